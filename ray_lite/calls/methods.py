"""The methods of a remote class: which of its attributes are methods, and what calls of them must look like.

Methods are looked up on the class, not on an instance: an attribute of the instance never hides one.  Neighbours:
actor_class.py and actor_handle.py ask; backends call what `bound` returns.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_lite.calls.functions import Signatures
from ray_lite.calls.unfinished import is_coroutine_function, is_generator_function

if TYPE_CHECKING:
    import inspect  # at run time only a process that decorates a class imports it

RETURNS = "__ray_num_return_vals__"  #: attribute by which `ray_lite.method` marks a function
TERMINATE, CHECKPOINT = "__ray_terminate__", "__ray_checkpoint__"  #: methods that every remote class has
BOUND_LATE = (functools.partialmethod, functools.singledispatchmethod)
MADE_BY_PYTHON = ("__annotate__", "__annotate_func__")  # functions in a class that are none of its methods
PROPERTIES = (property, functools.cached_property)


class Method(NamedTuple):
    """One method of a remote class."""

    name: str
    shown_name: str  #: with the class: "Counter.add"
    doc: str | None
    signatures: Signatures
    num_return_vals: int
    is_async: bool

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
        """The arguments by name; see Signatures.bind."""
        return self.signatures.bind(self.shown_name, args, kwargs)


class Methods(NamedTuple):
    """The methods of one class, and its constructor."""

    name: str  #: of the class
    constructor: Signatures
    known: dict[str, Method]  #: by name; those that the class and its bases define, and two that each remote class has
    others: dict[str, str]  #: names of attributes that are no methods, and what they are

    def find(self, name: str) -> Method:
        """The method of this name.

        Raises:
            AttributeError: there is none, or the attribute is no method.
        """
        method = self.known.get(name)
        if method is None and name in self.others:
            raise AttributeError(f"{self.name}.{name} is {self.others[name]}: write a method that returns it")
        if method is None:
            raise AttributeError(f"{self.name} has no method {name!r}")
        return method

    def check_constructor(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raises TypeError if the class could not be called with these arguments."""
        self.constructor.bind(self.name, args, kwargs)

    @property
    def is_async(self) -> bool:
        """Whether one of them is a coroutine function."""
        return any(method.is_async for method in self.known.values())


def methods_of(cls: type) -> Methods:
    """The methods of a class.

    Raises:
        TypeError: one is a generator function, whose values can't be returned one by one.
    """
    found = {name for base in cls.__mro__ if base is not object for name in vars(base)}
    known = {name: Method(name, f"{cls.__qualname__}.{name}", None, Signatures(None, None), 1, False)
             for name in (TERMINATE, CHECKPOINT)}
    others = {}
    for name in sorted(found.difference(MADE_BY_PYTHON)):
        attribute = _attribute(cls, name)
        if _is_method(attribute):
            known[name] = _method(cls, name, attribute)
        elif attribute is not None:
            others[name] = "a property" if isinstance(attribute, PROPERTIES) else "no method"
    signature = _signature(cls)
    return Methods(cls.__qualname__, Signatures(signature, signature), known, others)


def bound(instance: Any, name: str) -> Any:
    """A method of an instance, as the function that takes the other arguments."""
    attribute = _attribute(type(instance), name)
    get = getattr(type(attribute), "__get__", None)
    return attribute if get is None else get(attribute, instance, type(instance))


def _method(cls: type, name: str, attribute: Any) -> Method:
    shown_name, function = f"{cls.__qualname__}.{name}", _function(attribute)
    if is_generator_function(function):
        raise TypeError(f"{shown_name} is a generator function: write one that returns a list instead")
    signature = None if isinstance(attribute, BOUND_LATE) else _signature(function)
    if signature is not None and not isinstance(attribute, staticmethod):
        signature = signature.replace(parameters=_without_first(signature))
    return Method(name, shown_name, getattr(function, "__doc__", None), Signatures(signature, signature),
                  getattr(function, RETURNS, 1), is_coroutine_function(function))


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

    cls: type
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
