"""unfinished.py: which functions count as coroutine and generator functions, and a running event loop that is hidden."""

import asyncio
import functools
import pickle

import pytest
from shapes import doubled

from ray_lite.calls.unfinished import Finished, check_finished, finished, hide_loop, is_generator_function


async def coroutine(x=1):
    return x


def generator():
    yield 1


async def async_generator():
    yield 1


class Called:
    """Calls of its objects make what `call` makes."""

    def __init__(self, call):
        self.__class__ = type("Called", (), {"__call__": staticmethod(call)})


def test_coroutine_functions_become_plain_ones():
    for function in (coroutine, functools.partial(coroutine, 1), Called(coroutine)):
        assert finished(function)() == 1 and isinstance(finished(function), Finished)
    for function in (len, generator, lambda: coroutine(), Called(len)):
        assert finished(function) is function


def test_they_can_be_pickled():
    assert pickle.loads(pickle.dumps(finished(doubled)))(4) == 8


def test_generator_functions_are_known():
    assert all(map(is_generator_function, (generator, functools.partial(generator), Called(generator))))
    assert not any(map(is_generator_function, (len, coroutine, Called(len))))
    for function in (async_generator, functools.partial(async_generator), Called(async_generator)):
        with pytest.raises(TypeError, match="async generator function: write one that returns a list"):
            is_generator_function(function)


@pytest.mark.filterwarnings("error")
def test_results_that_have_not_run_are_refused():
    for result in (coroutine(), generator(), async_generator()):
        with pytest.raises(TypeError, match="^task returned an? "):
            check_finished("task", result, False)
    check_finished("task", generator(), True)
    check_finished("task", [1], False)


def test_a_hidden_loop_leaves_room_for_another():
    async def outer():
        me, hidden = asyncio.current_task(), hide_loop()
        try:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            inner = asyncio.run(coroutine(3))
        finally:
            hidden.show()
        await asyncio.sleep(0)
        return inner, asyncio.current_task() is me

    assert asyncio.run(outer()) == (3, True)
    assert hide_loop() is None
