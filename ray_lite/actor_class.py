"""ActorClass: what `@remote` makes of a class; `remote` creates an actor and returns its handle.

Neighbours: decorator.py decorates; calls/methods.py knows the methods; actor_handle.py is what callers hold.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ray_lite import session
from ray_lite.actor_handle import ActorHandle
from ray_lite.calls.methods import Creation, Methods, methods_of
from ray_lite.options import ActorOptions
from ray_lite.values.importable import found_by_name


class ActorClass:
    """A class whose instances are actors. Made by `ray_lite.remote`; `__wrapped__` is the plain class.

    For annotations, `isinstance` and as a base class it stands for the plain class.
    """

    __name__: str
    __qualname__: str
    __wrapped__: type
    __signature__: Any
    _methods: Methods
    _options: ActorOptions

    @classmethod
    def of(cls, plain: type, methods: Methods, options: ActorOptions) -> ActorClass:
        """The remote class of a plain class, with its methods, and the options of its actors.

        Raises:
            ValueError: the class can't have these options together.
        """
        options.check_for(methods.name, methods.is_async)
        made = cls.__new__(cls)
        made.__wrapped__, made.__name__, made.__qualname__ = plain, plain.__name__, plain.__qualname__
        made.__module__, made.__doc__ = plain.__module__, methods.doc
        made.__signature__ = methods.constructor.shown
        made._methods, made._options = methods, options
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Refuses the call of a constructor of a derived class, which means the plain class."""
        raise TypeError(f"{self.__name__} is a remote class: call super().__init__(...)")

    def remote(self, /, *args: Any, **kwargs: Any) -> ActorHandle:
        """Creates an actor and returns its handle at once; the arguments are those of the constructor.

        Raises:
            TypeError: the constructor does not take these arguments, or the class is abstract.
            ValueError: another actor has this name, or with get_if_exists=True an actor of another class.
        """
        self._options.check_creation()
        self._methods.check_constructor(args, kwargs)
        if missing := getattr(self.__wrapped__, "__abstractmethods__", None):
            raise TypeError(f"{self._methods.name} is abstract: it lacks {', '.join(sorted(missing))}")
        creation = Creation(self.__wrapped__, self._methods, self._options, args, kwargs)
        return ActorHandle(session.current().actors.create(creation))

    def options(self, **options: Any) -> ActorClass:
        """The same class with other options, for one actor or many; see `ray_lite.remote`."""
        return ActorClass.of(self.__wrapped__, self._methods, self._options.updated(options))

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"a remote class can't be called directly: write {self._methods.name}.remote(...)")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a remote class has no {name!r}; the plain class is {self.__dict__.get('__name__')}.__wrapped__")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """A class that derives from this one derives from the plain class, and may be made remote itself."""
        return (self.__wrapped__,)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self.__wrapped__)

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(cls, self.__wrapped__)

    def __or__(self, other: Any) -> Any:
        return self.__wrapped__ | other

    def __ror__(self, other: Any) -> Any:
        return other | self.__wrapped__

    def __getitem__(self, item: Any) -> Any:
        cls: Any = self.__wrapped__
        return cls[item]

    def __reduce__(self) -> Any:
        """By name where other processes find it, else by the class and the options."""
        found = found_by_name(self.__module__, self.__qualname__)
        return self.__qualname__ if found is self else (_received, (self.__wrapped__, self._options))

    def __deepcopy__(self, memo: Any) -> ActorClass:
        return self  # PYTHON_MODE copies arguments, but a class needs no copy

    def __repr__(self) -> str:
        return f"<remote class {self._methods.name}>"


def _received(plain: type, options: ActorOptions) -> ActorClass:
    return ActorClass.of(plain, methods_of(plain), options)
