"""The values of a call with several returns.

Neighbours: workers/task_runner.py and backends/serial.py ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any


def several(result: Any, count: int) -> list[Any]:
    """The `count` values that a task's result stands for.

    Args:
        result: a sized iterable of so many values (a tuple, a list, an array, a range), or an iterator, such as a generator.

    Raises:
        ValueError: it is something else, or has more or fewer values.
    """
    length = _length(result)
    if isinstance(result, Iterator) or (isinstance(result, Iterable) and length == count):
        values = list(islice(result, count + 1))
        if len(values) == count:
            return values
        length = len(values)
    if length is None:
        got = f"one {type(result).__name__}"
    else:
        got = f"{'at least ' if length > count and _length(result) is None else ''}{length:,} values"
    raise ValueError(f"the task has num_return_vals={count} and must return a tuple or list of that many values, not {got}")


def _length(result: Any) -> int | None:
    try:
        return len(result)
    except TypeError:  # without a length, such as a generator, or an array without dimensions
        return None
