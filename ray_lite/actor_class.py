"""ActorClass: what `@remote` makes of a class; `remote` creates an actor and returns its handle.

Neighbours: api.py decorates; calls/methods.py knows the methods; actor_handle.py is what callers hold.
"""

from __future__ import annotations

from typing import Any

from ray_lite import session
from ray_lite.actor_handle import ActorHandle
from ray_lite.calls.methods import Creation, Methods
from ray_lite.options import ActorOptions


class ActorClass:
    """A class whose instances are actors. Made by `ray_lite.remote`; `__wrapped__` is the plain class.

    Args:
        cls: the plain class.
        methods: its methods.
        options: the options of its actors.

    Raises:
        ValueError: the class can't have these options together.
    """

    __name__: str
    __qualname__: str
    __wrapped__: type

    def __init__(self, cls: type, methods: Methods, options: ActorOptions) -> None:
        options.check_for(methods.name, methods.is_async)
        self.__wrapped__, self.__name__, self.__qualname__ = cls, cls.__name__, cls.__qualname__
        self.__module__, self.__doc__ = cls.__module__, cls.__doc__
        self._methods, self._options = methods, options

    @property
    def __signature__(self) -> Any:
        """Signature of the constructor, for `inspect.signature`."""
        return self._methods.constructor.shown

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Creates an actor and returns its handle at once; the arguments are those of the constructor.

        Raises:
            TypeError: the constructor does not take these arguments.
            ValueError: another actor has this name, or with get_if_exists=True an actor of another class.
        """
        self._methods.check_constructor(args, kwargs)
        creation = Creation(self.__wrapped__, self._methods, self._options, args, kwargs)
        return ActorHandle(session.current().actors.create(creation))

    def options(self, **options: Any) -> ActorClass:
        """The same class with other options, for one actor or many; see `ray_lite.remote`."""
        return ActorClass(self.__wrapped__, self._methods, self._options.updated(options))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a remote class can't be called directly: write {self._methods.name}.remote(...)")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """A class that derives from this one derives from the plain class, and may be made remote itself."""
        return (self.__wrapped__,)

    def __deepcopy__(self, memo: Any) -> ActorClass:
        return self  # PYTHON_MODE copies arguments, but a class needs no copy

    def __repr__(self) -> str:
        return f"<remote class {self._methods.name}>"
