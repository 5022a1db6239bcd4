"""A driver's life that passes every window of the core; every result is checked, and at the end nothing is left.

Run by test_failpoints.py as `scenario.py DIRECTORY TESTS_CORE`, while one of its processes is killed or held up.  Exits with
0 when all was right, with 3 when the node was gone.  Must not assume that nothing dies.
"""

import gc
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import ray_lite as ray

FOLDER, CORE = sys.argv[1:]
sys.path[:0] = [CORE, os.path.join(os.path.dirname(CORE), "failpoints")]
import actor_steps  # noqa: E402
import damage  # noqa: E402  # how to read the tables, from the core's tests
import restart_steps  # noqa: E402

STORE = 1 << 23
PIECE = 1 << 19
PIECES = 24  # together half as much again as the store
UNSPILLABLE = (2_000, 250)  # bytes: below the RAY_LITE_SPILL_LEAST that test_failpoints.py sets, in slabs of 32 and 16 pages
JOB_PINNED = 2
NODE_GONE = 3


@ray.remote
def increase(x, *more):
    return x + 1


@ray.remote
def fib(n):
    return n if n < 2 else sum(ray.get([fib.remote(n - 1), fib.remote(n - 2)]))


@ray.remote(inline=False)
def elsewhere(x):
    time.sleep(0.01)
    return x


@ray.remote
def blocking(x):
    return ray.get(elsewhere.remote(x))


@ray.remote(num_cpus=2)
def waiting_thread(x):
    """All CPUs are its own, until the node lends them."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ray.get, elsewhere.remote(x)).result()


@ray.remote
def length(*parts):
    return sum(len(part) for part in parts)


@ray.remote
def array(n):
    return np.arange(n)


@ray.remote(num_return_vals=30)
def many():
    return list(range(30))


@ray.remote
def exporting(k):
    here = ray.remote(lambda: k * 7)
    return [here.remote(), ray.put([k])]


@ray.remote
def dropping(n):
    """A container ends in the process that made it, and what it contains with it."""
    outer = ray.put([ray.put(np.full(10, k)) for k in range(n)])
    inner = ray.get(outer)
    del outer
    return len(inner)


def piece(k):
    return np.full(PIECE, k, "u1")


def is_piece(array, k):
    return len(array) == PIECE and bool((array == k).all())


make_piece, look_at_piece = ray.remote(piece), ray.remote(is_piece)


def first(name):
    """Whether nobody has asked so before, in any process."""
    try:
        os.close(os.open(os.path.join(FOLDER, name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


@ray.remote(num_return_vals=3)
def killed_once(ids):
    """Its first run ends in the middle, holding what it was given."""
    if first("killed-once"):
        os.kill(os.getpid(), signal.SIGKILL)
    return ray.get(ids)


@ray.remote(resources={"widget": 1})
def killed_with_widget(k):
    """Others are stalled meanwhile, until its first run ends."""
    if first("killed-with-widget"):
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    return k


@ray.remote(num_cpus=0, resources={"widget": 0.5})
def with_widget(k):
    return k


@ray.remote(max_retries=20, retry_exceptions=(ValueError,), resources={"widget": 1})
def flaky(k):
    if first(f"flaky-{k}"):
        raise ValueError(k)
    return k


@ray.remote
def cancelling(n):
    """What it cancels, others wait for; and it for them."""
    ids = [elsewhere.remote(k) for k in range(n)]
    behind = elsewhere.remote(increase.remote(0, *ids))
    for x in ids[1:]:
        ray.cancel(x)
    return [outcome(x) for x in (*ids, behind)]


def chains():
    x = increase.remote(0)
    for _ in range(30):
        x = increase.remote(x)
    assert ray.get(x) == 31
    slow = elsewhere.remote(5)
    assert ray.get([increase.remote(slow) for _ in range(40)]) == [6] * 40


def nests():
    assert ray.get(fib.remote(7)) == 13
    assert ray.get([blocking.remote(k) for k in range(4)]) == [0, 1, 2, 3]
    for k, ids in enumerate(ray.get([exporting.remote(k) for k in range(3)])):
        assert ray.get(ids) == [k * 7, [k]]


def loans():
    assert ray.get(waiting_thread.remote(8)) == 8


def sizes():
    assert ray.get(many.remote()) == list(range(30))
    assert ray.get(length.remote(b"x" * 60_000, b"y" * 5)) == 60_005
    assert ray.get(length.remote(np.ones(40_000))) == 40_000
    for n in (1, 1_000, 100_000):
        assert np.array_equal(ray.get(array.remote(n)), np.arange(n))


def containers():
    inner = [ray.put(np.full(10, k)) for k in range(60)]
    outer = ray.put({"ids": inner})
    del inner
    assert [int(ray.get(x)[0]) for x in ray.get(outer)["ids"]] == list(range(60))
    assert ray.get([dropping.remote(60) for _ in range(2)]) == [60, 60]


def waits():
    ids = [elsewhere.remote(k) for k in range(6)]
    ready, rest = ray.wait(ids, num_returns=6, timeout=1)
    while rest:
        ready, rest = ray.wait(rest)
        assert len(ready) == 1
    try:
        ray.get(elsewhere.remote(1), timeout=0.001)
    except ray.exceptions.GetTimeoutError:
        pass


def deaths():
    assert ray.get(killed_once.remote([ray.put(k) for k in range(3)])) == [0, 1, 2]


def moves():
    """More than the store holds: driver and workers move bytes into the spill file, and back."""
    stored = [ray.put(piece(k)) for k in range(PIECES)]
    returned = [make_piece.remote(k) for k in range(PIECES)]
    assert all(ray.get([look_at_piece.remote(x, k) for k, x in enumerate(stored)]))
    for ids in (stored, returned):
        assert all(is_piece(ray.get(x), k) for k, x in enumerate(ids))


def no_room():
    """A submission with many arguments that has to be taken back: the store is full of what can't be spilled."""
    refs = [ray.put(k) for k in range(60)]
    hoard = []
    for size in UNSPILLABLE:
        try:
            while True:
                hoard.append(ray.put(b"x" * size))
        except ray.exceptions.ObjectStoreFullError:
            pass
    try:
        increase.remote(1, b"x" * 90_000, *refs)
    except ray.exceptions.ObjectStoreFullError:
        pass


def outcome(x):
    """The value, or None if the task was cancelled."""
    try:
        return ray.get(x)
    except ray.exceptions.TaskCancelledError:
        return None


def cancels():
    ids = [elsewhere.remote(k) for k in range(12)]
    behind = [increase.remote(x) for x in ids]
    waits = elsewhere.remote(increase.remote(0, *ids))
    asked = {x for x in (*ids[3:], *behind[:2]) if ray.cancel(x)}
    for k, x in enumerate(ids):
        assert outcome(x) == k or x in asked
    for k, x in enumerate(behind):
        assert outcome(x) == k + 1 or x in asked or ids[k] in asked
    assert outcome(waits) in (1, None)
    for found in ray.get([cancelling.remote(n) for n in (2, 4)]):
        assert found[0] == 0 and all(value in (k, None) for k, value in enumerate(found[:-1]))


def stalls():
    """Tasks that lack a widget, while its holder dies; tasks that raise and give it away before they run again."""
    ids = [killed_with_widget.remote(7), *[with_widget.remote(k) for k in range(6)], *[flaky.remote(k) for k in range(4)]]
    for _ in range(20):  # whoever is done with one of these rechecks what is stalled
        assert ray.get(increase.remote(1)) == 2
    assert ray.get(ids) == [7, *range(6), *range(4)]


def threads():
    failures = []

    def one(k):
        try:
            assert ray.get([increase.remote(k + n) for n in range(10)]) == [k + n + 1 for n in range(10)]
        except BaseException as error:
            failures.append(error)

    every = [threading.Thread(target=one, args=(k,)) for k in range(4)]
    for thread in every:
        thread.start()
    for thread in every:
        thread.join()
    if failures:
        raise failures[0]


def trims():
    """Free memory goes back to the kernel, if the node is not held up; driver and workers take it again."""
    driver = ray.session.current()
    for k in range(2):
        held = [ray.put(np.full(1 << 20, k, "u1")) for _ in range(8)]
        assert all(ray.get(x)[-1] == k for x in held)
        del held
        end = time.monotonic() + 2
        while driver.view.statistics().bytes_committed > 4 << 20 and time.monotonic() < end:
            time.sleep(0.002)
        assert [int(one[-1]) for one in ray.get([array.remote(200_000) for _ in range(2)])] == [199_999] * 2


def leftovers(driver):
    """What the session still holds beyond its functions and call sites."""
    words = damage.Words(driver.files.control)
    used = words.get(words.table("objects", "used"))
    live = [i for i in range(1, used) if words.get(words.entry("object", i, "state"))]
    left = [i for i in live if not words.get(words.entry("object", i, "flags")) & JOB_PINNED]
    return left, driver.view.statistics().tasks, driver.view.statistics().bytes_spilled


def nothing_is_left(driver):
    end = time.monotonic() + 10
    while leftovers(driver) != ([], 0, 0) or not actor_steps.none_is_left(driver.region):
        assert time.monotonic() < end, f"left: {leftovers(driver)}, {driver.region.statistics()}"
        time.sleep(0.005)
        gc.collect()
    driver.view.check()


def main():
    try:
        ray.init(num_cpus=2, object_store_memory=STORE, spill_directory=FOLDER, shutdown_grace=0.5,
                 resources={"widget": 1, "seat": 2})
        steps = (chains, nests, loans, sizes, containers, waits, deaths, cancels, stalls, threads, moves, trims, no_room)
        for step in (*steps, chains, *actor_steps.STEPS, *restart_steps.STEPS):
            step()
        nothing_is_left(ray.session.current())
        ray.shutdown()
    except ray.exceptions.RaySystemError as error:
        assert "node" in str(error), error
        ray.shutdown()
        return NODE_GONE
    return 0


if __name__ == "__main__":
    sys.exit(main())
