"""Tasks whose threads wait, by asyncio, executors or plain threads: nothing hangs; and how long a deadlock is waited for."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

import ray_lite as ray
from ray_lite.exceptions import DeadlockError

IN_TIME = 30


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setenv("RAY_LITE_DEADLOCK", "0.3")


@ray.remote(inline=False)
def child(k):
    return k * 10


@ray.remote
def parent(k, call=child):
    return asyncio.run(asyncio.to_thread(ray.get, call.remote(k)))


@pytest.mark.parametrize("cpus, number", [(2, 2), (1, 1), (2, 12), (1, 5)])
def test_tasks_that_wait_in_threads(fresh, statistics, wait_until, cpus, number):
    fresh.init(num_cpus=cpus)
    assert ray.get([parent.remote(k) for k in range(number)], timeout=IN_TIME) == [k * 10 for k in range(number)]
    wait_until(lambda: ray.global_state.available_resources()["CPU"] == cpus, what="all CPUs")


def executor(x):
    with ThreadPoolExecutor(2) as pool:
        return pool.submit(ray.get, x).result()


def in_executor(x):
    async def wait():
        return await asyncio.get_running_loop().run_in_executor(None, ray.get, x)

    return asyncio.run(wait())


def waiting(x):
    return ray.get(executor_of(ray.wait, [x])[0][0])


def with_a_timeout(x):
    return executor_of(partial(ray.get, x, timeout=IN_TIME))


def asks_again(x):
    """No wait lasts as long as a worker takes to start."""
    def ask():
        while not ray.wait([x], timeout=5)[0]:
            time.sleep(0.01)
        return ray.get(x)

    return executor_of(ask)


def busy(x):
    """The main thread works on, without an end of its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(ray.get(x)))
    thread.start()
    while not found:
        pass
    thread.join()
    return found[0]


def executor_of(function, *arguments):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


WAYS = [executor, in_executor, waiting, with_a_timeout, asks_again, busy]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_to_wait(fresh, way):
    fresh.init(num_cpus=2)
    tasks = ray.remote(lambda k: way(child.remote(k)))
    assert ray.get([tasks.remote(k) for k in range(3)], timeout=IN_TIME) == [0, 10, 20]


def test_many_threads_of_one_task(fresh):
    fresh.init(num_cpus=1)

    def waits():
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda k: ray.get(child.remote(k)), range(40)))

    assert ray.get(ray.remote(waits).remote(), timeout=IN_TIME) == [k * 10 for k in range(40)]


def test_a_pool_of_threads_that_outlives_its_task(fresh):
    """The second task waits by a thread of the first one's."""
    fresh.init(num_cpus=1)

    def waits(k):
        import builtins

        pool = builtins.__dict__.setdefault("kept_pool", ThreadPoolExecutor(1))
        return pool.submit(ray.get, child.remote(k)).result()

    tasks = ray.remote(waits)
    assert [ray.get(tasks.remote(k), timeout=IN_TIME) for k in range(3)] == [0, 10, 20]


def test_threads_of_a_task_that_runs_inline(fresh):
    fresh.init(num_cpus=1)
    outer = ray.remote(lambda k: ray.get(parent.remote(k)) + 1)
    assert ray.get([outer.remote(k) for k in range(3)], timeout=IN_TIME) == [1, 11, 21]


def test_mixed_with_tasks_that_wait_themselves(fresh):
    fresh.init(num_cpus=2)
    ordinary = ray.remote(lambda k: ray.get(child.remote(k)) + 1)
    over = ray.remote(lambda k: ray.get(parent.options(inline=False).remote(k)) + 2)
    ids = [call.remote(k) for k in range(4) for call in (parent, ordinary, over)]
    assert ray.get(ids, timeout=IN_TIME) == [k * 10 + more for k in range(4) for more in (0, 1, 2)]


def test_a_task_in_between_wakes_and_works_on(fresh):
    """Its CPUs are its own again: no more tasks run at once than there are CPUs, as soon as nobody waits."""
    fresh.init(num_cpus=1)

    @ray.remote
    def twice(k):
        first = executor_of(ray.get, child.remote(k))
        free = ray.global_state.available_resources().get("CPU", 0)
        return first, free, executor_of(ray.get, child.remote(first))

    assert ray.get(twice.remote(3), timeout=IN_TIME) == (30, 0, 300)


@pytest.mark.parametrize("demand, more, what", [
    ({"num_gpus": 1}, {"num_gpus": 0.5}, "GPU"),
    ({"resources": {"disk": 1}}, {"resources": {"disk": 2}}, "disk"),
    ({"num_cpus": 0, "resources": {"disk": 2}}, {"resources": {"disk": 1}}, "disk"),
])
def test_a_thread_that_waits_for_what_its_own_task_holds(fresh, demand, more, what):
    fresh.init(num_cpus=2, num_gpus=1, resources={"disk": 2}, driver_mode=ray.SILENT_MODE)

    @ray.remote(**demand)
    def waits():
        x = child.options(**more).remote(1)
        try:
            return executor_of(ray.get, x)
        except DeadlockError as error:
            return str(error), x

    text, x = ray.get(waits.remote(), timeout=IN_TIME)
    assert f"need resources that waiting tasks hold ({what})" in text
    assert ray.get(x, timeout=IN_TIME) == 10, "it runs when what it needs is free"


def test_threads_of_two_tasks_that_hold_what_the_other_needs(fresh):
    """One is told, and what it held makes the other's child run."""
    fresh.init(num_cpus=2, resources={"disk": 2}, driver_mode=ray.SILENT_MODE)

    @ray.remote(resources={"disk": 1})
    def waits(k):
        x = child.options(resources={"disk": 1}).remote(k)
        try:
            return executor_of(ray.get, x)
        except DeadlockError:
            return "told"

    @ray.remote
    def holds():
        return ray.get([waits.remote(k) for k in range(2)])

    assert sorted(map(str, ray.get(holds.remote(), timeout=IN_TIME)))[-1] == "told"


@pytest.mark.parametrize("way", [lambda x: ray.get(x), lambda x: executor_of(ray.get, x)], ids=["main", "thread"])
def test_no_worker_is_left(fresh, way):
    """Two that may wait in threads or themselves, and no third process."""
    fresh.init(num_cpus=2, max_workers=2, driver_mode=ray.SILENT_MODE)

    @ray.remote
    def waits(k):
        try:
            return (way if k else lambda x: executor_of(ray.get, x))(child.remote(k))
        except DeadlockError as error:
            return str(error)

    found = ray.get([waits.remote(k) for k in range(2)], timeout=IN_TIME)
    told = [text for text in found if isinstance(text, str)]
    assert told and all("can have at most 2 (max_workers)" in text for text in told)


def test_what_waits_with_a_timeout_is_not_told(fresh):
    fresh.init(num_cpus=1, max_workers=1)

    @ray.remote
    def waits():
        try:
            return executor_of(partial(ray.get, child.remote(1), timeout=1))
        except ray.exceptions.GetTimeoutError:
            return "late"

    assert ray.get(waits.remote(), timeout=IN_TIME) == "late"


def test_a_task_whose_thread_waits_is_killed(fresh, gate, wait_until):
    """Its CPUs were lent: they are there once, not twice."""
    import os
    import signal

    fresh.init(num_cpus=1)
    wait, arrive = gate.wait, gate.arrive

    @ray.remote(inline=False)
    def held(k):
        arrive("child")
        wait()
        return k

    @ray.remote(max_retries=1)
    def waits():
        if ray.get_attempt_number() == 1:
            arrive("parent")
        return executor_of(ray.get, held.remote(4))

    x = waits.remote()
    wait_until(lambda: gate.arrived("child"), deadline=IN_TIME)
    [name] = gate.arrived("parent")
    os.kill(int(name.split(".")[1]), signal.SIGKILL)
    gate.open()
    assert ray.get(x, timeout=IN_TIME) == 4
    wait_until(lambda: ray.global_state.available_resources()["CPU"] == 1, what="all CPUs")


# ---------------------------------------------------------------- patience


def took(call):
    begun = time.monotonic()
    with pytest.raises(DeadlockError):
        ray.get(call(), timeout=IN_TIME)
    return time.monotonic() - begun


@pytest.mark.slow
def test_an_unrelated_deadlock_takes_its_time(fresh, monkeypatch):
    """However soon after another one."""
    monkeypatch.delenv("RAY_LITE_DEADLOCK")
    fresh.init(num_cpus=2, num_gpus=1, driver_mode=ray.SILENT_MODE)
    needs = child.options(num_gpus=1)
    waits = ray.remote(num_gpus=1)(lambda: ray.get(needs.remote(1)))
    assert [took(waits.remote) >= 1 for _ in range(3)] == [True] * 3


@pytest.mark.slow
def test_the_rest_of_a_chain_is_quick(fresh, gate, monkeypatch, wait_until):
    """Each of eight waits for what the others hold, and seven must give up."""
    monkeypatch.delenv("RAY_LITE_DEADLOCK")
    fresh.init(num_cpus=8, resources={"disk": 8}, driver_mode=ray.SILENT_MODE)
    wait, arrive = gate.wait, gate.arrive

    @ray.remote(resources={"disk": 1})
    def waits(k):
        arrive("holds")
        wait()
        try:
            return ray.get(child.options(resources={"disk": 7}).remote(k))
        except DeadlockError:
            return "told"

    ids = [waits.remote(k) for k in range(8)]
    wait_until(lambda: len(gate.arrived()) == 8, deadline=IN_TIME)
    begun = time.monotonic()
    gate.open()
    assert ray.get(ids, timeout=IN_TIME).count("told") == 7
    assert time.monotonic() - begun < 5


@pytest.mark.slow
def test_what_a_broken_wait_had_waited_for_is_of_its_chain(output_of):
    output = output_of("""
        import time
        import ray_lite as ray
        ray.init(num_cpus=2, max_workers=3, driver_mode=ray.SILENT_MODE)
        nest = ray.remote(inline=False)(lambda me, n: n and ray.get(me.remote(me, n - 1)))
        begun = time.monotonic()
        try:
            ray.get(nest.remote(nest, 20))
        except ray.exceptions.DeadlockError:
            pass
        while ray.session.current().view.statistics().tasks:  # the inner ones go on, and fail in their turn
            pass
        print(time.monotonic() - begun < 4)
    """, env={"RAY_LITE_DEADLOCK": "1"})
    assert output == "True\n"
