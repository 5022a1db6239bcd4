"""The methods of a remote class: which of its attributes are methods, and what calls of them must look like.

Methods are looked up on the class, not on an instance: an attribute of the instance never hides one.  Neighbours:
actor_class.py and actor_handle.py ask; backends call what `Method.bound` returns.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_lite.calls.functions import Signatures
from ray_lite.calls.unfinished import is_coroutine_function, is_generator_function

if TYPE_CHECKING:
    import inspect  # at run time only a process that decorates a class, or checks a call, imports it

RETURNS = "__ray_num_return_vals__"  #: attribute by which `ray_lite.method` marks a function
TERMINATE, CHECKPOINT = "__ray_terminate__", "__ray_checkpoint__"  #: methods that every remote class has
ADDED = (TERMINATE, CHECKPOINT)
BOUND_LATE = (functools.partialmethod, functools.singledispatchmethod)
MADE_BY_PYTHON = ("__annotate__", "__annotate_func__")  # functions in a class that are none of its methods


class Method(NamedTuple):
    """One method of a remote class."""

    name: str
    shown_name: str  #: with the class: "Counter.add"
    attribute: Any  #: as it stands in the class; None for an added method
    signatures: Signatures
    num_return_vals: int

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
        """The arguments by name; see Signatures.bind."""
        return self.signatures.bind(self.shown_name, args, kwargs)

    def bound(self, instance: Any) -> Any:
        """The method of an instance, as a function that takes the other arguments."""
        get = getattr(type(self.attribute), "__get__", None)
        return self.attribute if get is None else get(self.attribute, instance, type(instance))


class Methods:
    """The methods of one class.

    Raises:
        TypeError: a method is a generator function, whose values can't be returned one by one.
    """

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.name = cls.__qualname__
        self._known: dict[str, Method] = {}
        self._constructor: Signatures | None = None
        self.is_async = False  #: whether one of them is a coroutine function
        for name in self.names():
            function = _function(_attribute(cls, name))
            if is_generator_function(function):
                raise TypeError(f"{self.name}.{name} is a generator function: write one that returns a list instead")
            self.is_async = self.is_async or is_coroutine_function(function)

    def names(self) -> list[str]:
        """Names of the methods that the class and its bases define, without those of `object`."""
        found = {name for base in self.cls.__mro__ if base is not object for name in vars(base)}
        return sorted(name for name in found.difference(MADE_BY_PYTHON) if _is_method(_attribute(self.cls, name)))

    def find(self, name: str) -> Method:
        """The method of this name.

        Raises:
            AttributeError: there is none, or the attribute is no method.
        """
        if name not in self._known:
            self._known[name] = self._make(name)
        return self._known[name]

    def check_constructor(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raises TypeError if the class could not be called with these arguments."""
        if self._constructor is None:
            signature = _signature(self.cls)
            self._constructor = Signatures(signature, signature)
        self._constructor.bind(self.name, args, kwargs)

    @property
    def signature(self) -> inspect.Signature | None:
        """Signature of the constructor, or None if it has none that Python knows."""
        return _signature(self.cls)

    def _make(self, name: str) -> Method:
        if name in ADDED:
            return Method(name, f"{self.name}.{name}", None, Signatures(None, None), 1)
        attribute = _attribute(self.cls, name)
        if attribute is None:
            raise AttributeError(f"{self.name} has no method {name!r}", name=name, obj=self.cls)
        if isinstance(attribute, (property, functools.cached_property)):
            raise AttributeError(f"{self.name}.{name} is a property: write a method that returns it", name=name, obj=self.cls)
        if not _is_method(attribute):
            raise AttributeError(f"{self.name}.{name} is no method: write a method that returns it", name=name, obj=self.cls)
        function = _function(attribute)
        signature = None if isinstance(attribute, BOUND_LATE) else _signature(function)
        if signature is not None and not isinstance(attribute, staticmethod):
            signature = signature.replace(parameters=_without_first(signature))
        return Method(name, f"{self.name}.{name}", attribute, Signatures(signature, signature), getattr(function, RETURNS, 1))


def _attribute(cls: type, name: str) -> Any:
    """What stands in the class, or in the first of its bases that has it, under a name; None if nothing does."""
    return next((vars(base)[name] for base in cls.__mro__ if base is not object and name in vars(base)), None)


def _is_method(attribute: Any) -> bool:
    if isinstance(attribute, (staticmethod, classmethod, *BOUND_LATE)):
        return True
    return callable(attribute) and not isinstance(attribute, type)


def _function(attribute: Any) -> Any:
    """The function behind an attribute of a class."""
    if isinstance(attribute, (staticmethod, classmethod)):
        return attribute.__func__
    return attribute.func if isinstance(attribute, BOUND_LATE) else attribute


def _signature(function: Any) -> inspect.Signature | None:
    import inspect

    try:
        return inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return None  # some builtins have no signature


def _without_first(signature: inspect.Signature) -> list[inspect.Parameter]:
    """The parameters without the instance, or the class, that comes first; `*args` takes it, too."""
    parameters = list(signature.parameters.values())
    takes_more = parameters and parameters[0].kind is parameters[0].VAR_POSITIONAL
    return parameters if takes_more else parameters[1:]


class Creation(NamedTuple):
    """The creation of an actor, as a backend gets it; `options` is an options.ActorOptions."""

    methods: Methods
    options: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class MethodCall(NamedTuple):
    """One call of a method, as a backend gets it; `actor` is what the backend returned at the creation."""

    actor: Any
    method: Method
    num_return_vals: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


