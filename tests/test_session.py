"""session.py and abc.py: one current backend, and each backend and view has all that its contract has."""

import inspect

import pytest

from ray_lite import session
from ray_lite.abc import Backend, SessionView, Tables
from ray_lite.backends.local import LocalBackend
from ray_lite.backends.serial import NoTables, SerialBackend, SerialView
from ray_lite.backends.session_tables import SessionTables
from ray_lite.backends.session_view import LocalView
from ray_lite.exceptions import RaySystemError


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


@pytest.mark.parametrize("contract, kind", [
    (Backend, LocalBackend), (Backend, SerialBackend), (SessionView, LocalView), (SessionView, SerialView),
    (Tables, SessionTables), (Tables, NoTables),
])
def test_backends_and_views_keep_the_contract(contract, kind):
    for name, method in inspect.getmembers(contract, inspect.isfunction):
        if not name.startswith("_"):
            wanted, got = (list(inspect.signature(one).parameters) for one in (method, getattr(kind, name)))
            assert got == wanted, name
