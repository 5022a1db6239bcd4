"""What is kept of an actor for as long as its job lives: for its processes, the node, and those who call it.

Neighbours: backends/local_actors.py makes both; store/named_values.py keeps them.  An actor's process must not load those of
callers: signatures would import modules that most actors never need.
"""

from __future__ import annotations

from typing import NamedTuple

from ray_lite.calls.functions import Token
from ray_lite.calls.methods import Methods


class ProcessFacts(NamedTuple):
    """What an actor's process, and the node, need; plain values only."""

    class_name: str
    name: str | None
    runtime_env: int  #: index of the object with the runtime environment of its creation, in which all calls run
    constructor: Token  #: of the function that is its constructor
    interval: int  #: calls between two checkpoints; 0: none are made
    hooks: dict[str, bool]  #: methods that ray_lite calls, if the class has them, and whether they are coroutine functions
    shared: bool  #: all drivers of the session find it by its name


class CallerFacts(NamedTuple):
    """What callers know."""

    methods: Methods
    name: str | None
    module: str  #: of the class
    tokens: dict[str, Token]  #: of the functions that are its methods
    keeps: bool  #: its calls may run again
    waits: bool  #: a call waits while there are as many pending ones as there may be
