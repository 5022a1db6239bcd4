"""exceptions.py: the tree, as its docstring draws it."""

import inspect
import re

from ray_lite import exceptions


def test_the_docstring_draws_the_tree():
    drawn = set(re.findall(r"\+-- (\w+)", exceptions.__doc__)) | {"RayError"}
    defined = {name for name, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, BaseException)}
    assert drawn == defined
    assert all(issubclass(getattr(exceptions, name), exceptions.RayError) for name in defined)


def test_relatives_in_the_standard_library():
    assert issubclass(exceptions.SerializationError, TypeError)
    assert issubclass(exceptions.GetTimeoutError, TimeoutError)
