"""Coroutine functions run to their end as tasks; generator functions are refused where they are decorated."""

import asyncio
import functools
import threading

import pytest

import ray_lite as ray


@pytest.fixture(params=["workers", "PYTHON_MODE"])
def session(fresh, request):
    fresh.init(num_cpus=1, driver_mode=ray.SCRIPT_MODE if request.param == "workers" else ray.PYTHON_MODE)
    return request.param


async def later(x):
    await asyncio.sleep(0.001)
    return x + 1


def test_it_runs_to_its_end(session):
    class Adder:
        async def __call__(self, x):
            return await later(x)

        async def method(self, x):
            return await later(x)

    for function in (later, functools.partial(later), Adder(), Adder().method):
        assert ray.get(ray.remote(function).remote(3)) == 4
    pair = ray.remote(num_return_vals=2)(later_pair)
    assert ray.get(list(pair.remote())) == [1, 2]


async def later_pair():
    return await asyncio.gather(later(0), later(1))


def test_it_shows_through():
    f = ray.remote(later)
    assert f.__wrapped__ is later and f.__name__ == "later"


def test_errors_keep_their_class(session):
    @ray.remote
    async def fails():
        await asyncio.sleep(0)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ray.get(fails.remote())


def test_each_call_has_a_loop_of_its_own(session):
    @ray.remote
    async def leaves_a_task():
        loop = asyncio.get_running_loop()
        loop.left = asyncio.ensure_future(asyncio.sleep(60))
        return len(asyncio.all_tasks()), threading.current_thread() is threading.main_thread()

    assert [ray.get(leaves_a_task.remote()) for _ in range(3)] == [(2, True)] * 3
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_a_task_inside_a_coroutine_may_run_a_loop_too(session):
    """Inline, on top of the loop that runs: it does not see that loop, and the coroutine goes on in it."""

    @ray.remote
    async def nested(n):
        me = asyncio.current_task()
        plain = ray.remote(lambda x: asyncio.run(later(x)))
        below = ray.get([plain.remote(n), nested.remote(n - 1)] if n else [])
        await asyncio.sleep(0)
        return asyncio.current_task() is me, below

    assert ray.get(nested.remote(2)) == (True, [3, (True, [2, (True, [])])])


def test_a_driver_may_have_a_loop(session):
    async def main():
        return ray.get(ray.remote(later).remote(1)), asyncio.current_task() is not None

    assert asyncio.run(main()) == (2, True)


def generator():
    yield 1


async def async_generator():
    yield 1


def test_generator_functions_are_refused_at_the_decoration():
    for function in (generator, functools.partial(generator)):
        with pytest.raises(TypeError, match="generator function: return a list instead, or give num_return_vals"):
            ray.remote(function)
        with pytest.raises(TypeError, match="generator function"):
            ray.remote(num_return_vals=0)(function)
    several = ray.remote(num_return_vals=2)(generator)
    with pytest.raises(TypeError, match="generator function"):
        several.options(num_return_vals=1)
    for options in ({}, {"num_return_vals": 2}):
        with pytest.raises(TypeError, match="async generator function"):
            ray.remote(**options or {"num_cpus": 1})(async_generator)


def test_what_a_generator_function_yields_may_be_the_returns(session):
    """It runs as the rest of the task does: a loop that runs in the caller's thread is none of its own."""

    @ray.remote(num_return_vals=2)
    def several():
        yield 1
        yield asyncio.run(later(1))

    async def main():
        return ray.get(list(several.remote()))

    assert asyncio.run(main()) == [1, 2]


@pytest.mark.parametrize("function", [later, generator, async_generator], ids=lambda f: f.__name__)
def test_what_only_the_result_shows(session, function, capfd):
    """Behind a wrapper the decoration can't see it: the error names the task, and nothing warns."""

    @ray.remote
    def behind(*args):
        return function(*args)

    for count in (1,) if function is generator else (1, 2):
        with pytest.raises(TypeError, match=r"behind returned an? \w+.*, which"):
            ray.get(behind.options(num_return_vals=count).remote(*[1] * (function is later)))
    ray.shutdown()
    assert "never awaited" not in capfd.readouterr().err


@pytest.mark.parametrize("busy", [False, True], ids=["waiting", "busy"])
def test_a_cancelled_coroutine_ends(fresh, gate, wait_until, busy):
    fresh.init(num_cpus=1, max_workers=1)
    arrive = gate.arrive

    @ray.remote
    async def held():
        try:
            arrive("in")
            while busy:
                pass
            await asyncio.sleep(60)
        finally:
            arrive("out")

    x = held.remote()
    wait_until(lambda: gate.arrived("in"), what="the task")
    assert ray.cancel(x)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(x, timeout=10)
    assert gate.arrived("out"), "its finally has run"
    assert ray.get(ray.remote(later).remote(1), timeout=10) == 2
