"""The methods of a remote class: which of its attributes are methods, and what calls of them must look like.

Methods are looked up on the class, not on an instance: an attribute of the instance never hides one.  Neighbours:
actor_class.py and actor_handle.py ask; backends call what `bound` returns.
"""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_lite import _core
from ray_lite.calls.functions import Signatures
from ray_lite.calls.unfinished import is_coroutine_function, is_generator_function

if TYPE_CHECKING:
    import inspect  # at run time only a process that decorates a class imports it

RETURNS = "__ray_num_return_vals__"  #: attribute by which `ray_lite.method` marks a function
TERMINATE, CHECKPOINT = "__ray_terminate__", "__ray_checkpoint__"  #: methods that every remote class has
BOUND_LATE = (functools.partialmethod, functools.singledispatchmethod)
RESERVED = ("_ray_actor", "_ray_actor_id", TERMINATE, CHECKPOINT)  #: names that handles need
# what is in a class for Python alone, or what pickle and copy look for on a handle
NO_METHODS = (
    "__annotate__", "__annotate_func__", "__init_subclass__", "__class_getitem__", "__new__", "__subclasshook__",
    "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__copy__", "__deepcopy__", "__class__", "__dict__",
    "__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__dir__",
)
PROPERTIES = (property, functools.cached_property)


class Method(NamedTuple):
    """One method of a remote class."""

    name: str
    shown_name: str  #: with the class: "Counter.add"
    doc: str | None
    signatures: Signatures
    num_return_vals: int
    is_async: bool = False
    yields: bool = False  #: it is a generator function, which only methods of the class itself can use

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
        """The arguments by name; see Signatures.bind."""
        return self.signatures.bind(self.shown_name, args, kwargs)


class Methods(NamedTuple):
    """The methods of one class, and its constructor."""

    name: str  #: of the class
    doc: str  #: what `help` shows of the class and its handles
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
            raise AttributeError(f"{self.name} has no method {name!r}; attributes of an actor can't be read: write a method "
                                 "that returns them")
        if method.yields:
            raise AttributeError(f"{method.shown_name} is a generator function, whose values can't be returned one by one: "
                                 "write a method that returns a list")
        return method

    def check_constructor(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raises TypeError if the class could not be called with these arguments."""
        self.constructor.bind(self.name, args, kwargs)

    @property
    def is_async(self) -> bool:
        """Whether one of those that others call is a coroutine function."""
        return any(method.is_async and not method.name.startswith("_") for method in self.known.values())


def methods_of(cls: type) -> Methods:
    """The methods of a class.

    Raises:
        TypeError: the class itself defines a public generator function, whose values can't be returned one by one, or an
            attribute that hides one of each handle.
    """
    found = {name for base in cls.__mro__ if base is not object for name in vars(base)}
    if reserved := found.intersection(RESERVED):
        raise TypeError(f"{cls.__qualname__}.{min(reserved)}: each handle has an attribute of this name already")
    known = {name: Method(name, f"{cls.__qualname__}.{name}", None, Signatures(None, None), 1)
             for name in (TERMINATE, CHECKPOINT)}
    others = {}
    for name in sorted(found.difference(NO_METHODS)):
        attribute = _attribute(cls, name)
        if _is_method(attribute):
            known[name] = _method(cls, name, attribute)
        elif attribute is not None:
            others[name] = "a property" if isinstance(attribute, PROPERTIES) else "no method"
    constructor = Signatures(_signature(cls, False), _signature(cls, True))
    return Methods(cls.__qualname__, _help(cls, constructor, known), constructor, known, others)


def bound(instance: Any, name: str) -> Any:
    """A method of an instance, as the function that takes the other arguments."""
    attribute = _attribute(type(instance), name)
    get = getattr(type(attribute), "__get__", None)
    return attribute if get is None else get(attribute, instance, type(instance))


def _method(cls: type, name: str, attribute: Any) -> Method:
    shown_name, function = f"{cls.__qualname__}.{name}", _function(attribute)
    yields = _yields(function)
    if yields and name in vars(cls) and not name.startswith("_"):
        raise TypeError(f"{shown_name} is a generator function: write one that returns a list instead")
    late = isinstance(attribute, BOUND_LATE)
    signatures = [None if late else _signature(function, follow_wrapped) for follow_wrapped in (False, True)]
    if hasattr(type(attribute), "__get__") and not isinstance(attribute, staticmethod):
        signatures = [one and one.replace(parameters=_without_first(one)) for one in signatures]
    returns = getattr(attribute, RETURNS, getattr(function, RETURNS, 1))
    return Method(name, shown_name, getattr(function, "__doc__", None), Signatures(*signatures), returns,
                  is_coroutine_function(function), yields)


def _yields(function: Any) -> bool:
    try:
        return is_generator_function(function)
    except TypeError:
        return True  # an async one


def _help(cls: type, constructor: Signatures, known: dict[str, Method]) -> str:
    """The class's docstring, and a line for each public method."""
    public = [method for method in known.values() if not method.name.startswith("_")]
    lines = [f"{method.name}{method.signatures.shown or '(...)'}" for method in public]
    own = f"{cls.__doc__}\n\n" if cls.__doc__ else ""
    return own + "\n    ".join([f"Actor class {cls.__qualname__}{constructor.shown or '(...)'} with the methods", *lines])


def _attribute(cls: type, name: str) -> Any:
    """What stands in the class, or in the first of its bases that has it, under a name; None if nothing does."""
    return next((vars(base)[name] for base in cls.__mro__ if base is not object and name in vars(base)), None)


def _is_method(attribute: Any) -> bool:
    """Whether a call of the attribute of an instance is one of a method; classes and aliases of types can be called, too."""
    kind = type(attribute)
    if isinstance(attribute, (type, *PROPERTIES)):
        return False
    binds = hasattr(kind, "__get__") and not hasattr(kind, "__set__")
    return binds or isinstance(attribute, (functools.partial, types.BuiltinFunctionType))


def _function(attribute: Any) -> Any:
    """The function behind an attribute of a class."""
    if isinstance(attribute, (staticmethod, classmethod)):
        return attribute.__func__
    return attribute.func if isinstance(attribute, BOUND_LATE) else attribute


def _signature(function: Any, follow_wrapped: bool) -> inspect.Signature | None:
    import inspect

    try:
        return inspect.signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError, NameError):
        return None  # some builtins have no signature, and some annotations no value


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
    remote: _core.RemoteCall  #: what was called: the backend may arm its fast path
