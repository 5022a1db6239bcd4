"""tracebacks.py: what a user reads is what an interpreter would show, also the second time."""

import traceback

import pytest

from ray_lite.values import tracebacks
from ray_lite.values.tracebacks import REMEMBERED, traceback_text


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def chained():
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("second") from error


def within():
    try:
        raise KeyError("first")
    except KeyError:
        raise ValueError("second")  # noqa: B904


def hidden():
    try:
        raise KeyError("first")
    except KeyError:
        raise ValueError("second") from None


def noted():
    error = ValueError("with notes")
    error.__notes__ = ["one", "two"]  # CPython 3.10 shows none
    raise error


def misspelt():
    number = 1
    return numbr + number  # noqa: F821


def deep(levels=5):
    return deep(levels - 1) if levels else 1 / 0


CASES = [deep, chained, within, hidden, noted, misspelt, lambda: (_ for _ in ()).throw(ValueError("in a generator")),
         lambda: int("x"), lambda: compile("a b", "name", "exec"), lambda: [].nothing, lambda: {}["key"]]


def raised(function):
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("function", CASES)
def test_it_is_what_an_interpreter_shows(function):
    for _ in range(3):
        error = raised(function)
        assert traceback_text(error) == "".join(traceback.format_exception(type(error), error, error.__traceback__))


def test_two_errors_of_one_function_differ():
    def fail(where):
        if where:
            raise ValueError("here")
        raise ValueError("there")

    texts = [traceback_text(raised(lambda where=where: fail(where))) for where in (0, 1, 0, 1)]
    assert texts[0] == texts[2] != texts[1] == texts[3] and 'ValueError("here")' in texts[1]


def test_one_that_can_not_be_shown():
    error = raised(lambda: (_ for _ in ()).throw(Odd()))
    assert traceback_text(error).startswith("Traceback") and "Odd" in traceback_text(error)


def test_stacks_are_remembered_and_bounded():
    for number in range(2 * REMEMBERED):
        code = {}
        exec(compile("def f(): 1 / 0", f"made-{number}", "exec"), code)
        assert f"made-{number}" in traceback_text(raised(code["f"]))
        assert 0 < len(tracebacks._stacks) <= REMEMBERED
