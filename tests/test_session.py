"""session.py and abc.py: one current backend, and both backends have all that a Backend has."""

import inspect

import pytest

from ray_lite import session
from ray_lite.abc import Backend
from ray_lite.exceptions import RaySystemError
from ray_lite.backends.local import LocalBackend
from ray_lite.backends.serial import SerialBackend


def test_there_is_none_to_begin_with():
    assert session.peek() is None
    with pytest.raises(RaySystemError, match="init"):
        session.current()


def test_install_and_clear():
    backend = SerialBackend("127.0.0.1")
    session.install(backend)
    try:
        assert session.current() is session.peek() is backend
    finally:
        session.clear()
    assert session.peek() is None


@pytest.mark.parametrize("kind", [LocalBackend, SerialBackend])
def test_backends_keep_the_contract(kind):
    for name, method in inspect.getmembers(Backend, inspect.isfunction):
        if not name.startswith("_"):
            wanted, got = (list(inspect.signature(one).parameters) for one in (method, getattr(kind, name)))
            assert got == wanted, name
