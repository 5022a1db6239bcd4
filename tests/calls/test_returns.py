"""Several returns: which results stand for them."""

import numpy as np
import pytest

from ray_lite.calls.returns import several


@pytest.mark.parametrize(
    "make",
    [
        lambda: (1, 2, 3),
        lambda: [1, 2, 3],
        lambda: np.array([1, 2, 3]),
        lambda: range(1, 4),
        lambda: iter([1, 2, 3]),
        lambda: (k for k in (1, 2, 3)),
        lambda: {1: "a", 2: "b", 3: "c"},
        lambda: map(int, "123"),
        lambda: b"\1\2\3",
    ],
)
def test_any_iterable_of_that_length(make):
    assert several(make(), 3) == [1, 2, 3]
    for count, got in ((2, "3 values|at least 3 values"), (4, "3 values")):
        with pytest.raises(
            ValueError, match=f"num_return_vals={count} and must return a tuple or list of that many values, not ({got})$"
        ):
            several(make(), count)


def test_what_is_not_iterable():
    for result in (None, 5, np.full((), 3), object()):
        with pytest.raises(ValueError, match=f"not one {type(result).__name__}$"):
            several(result, 2)


def test_no_more_is_drawn_than_tells():
    drawn = []
    endless = (drawn.append(k) for k in iter(int, 1))
    with pytest.raises(ValueError, match="at least 3 values"):
        several(endless, 2)
    assert len(drawn) == 3
    with pytest.raises(ValueError, match="1,000,000,000,000 values"):
        several(range(10**12), 2)


def test_an_error_while_values_are_made_is_the_tasks_own():
    def values():
        yield 1
        raise KeyError("k")

    with pytest.raises(KeyError):
        several(values(), 2)
