"""Actors of a session with processes: there are none so far; only PYTHON_MODE has them (serial_actors.py)."""

from __future__ import annotations

from typing import Any, NoReturn

from ray_lite.calls.methods import Creation, MethodCall
from ray_lite.exceptions import RayActorError


class LocalActors:
    """See abc.Actors for the methods' contracts."""

    def create(self, creation: Creation) -> NoReturn:
        raise NotImplementedError(f"an actor of class {creation.methods.name}: actors run only in PYTHON_MODE so far: "
                                  "init(driver_mode=PYTHON_MODE)")

    def call(self, call: MethodCall) -> NoReturn:
        raise RayActorError(f"{call.method.shown_name}: the actor was of a session in PYTHON_MODE, which has ended")

    def named(self, name: str) -> NoReturn:
        raise ValueError(f"there is no actor named {name!r}; the names are none")

    def find(self, id: bytes) -> NoReturn:
        raise RayActorError(f"the actor {id.hex()} is gone: it was of a session in PYTHON_MODE")

    def kill(self, actor: Any) -> None:
        """Does nothing: the actor was of a session in PYTHON_MODE, which has ended."""

    def current(self) -> NoReturn:
        raise RuntimeError("this is no method of an actor")

    def exit(self) -> NoReturn:
        raise RuntimeError("this is no method of an actor")
