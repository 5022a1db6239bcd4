"""Many threads of one driver: every call from any of them, at once."""

import threading

import numpy as np
import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")


def in_threads(number, work):
    """Run `work(i)` in `number` threads that start together; the results, or the first failure."""
    barrier, results, failures = threading.Barrier(number), [None] * number, []

    def run(i):
        barrier.wait()
        try:
            results[i] = work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def test_sixty_four_threads_of_mixed_calls():
    add = ray.remote(lambda x, y: x + y)
    fail = ray.remote(lambda: 1 / 0)

    def work(i):
        total = 0
        for k in range(15):
            stored = ray.put(np.full(1000, i))
            ids = [add.remote(stored, k), add.remote(k, k)]
            ready, remaining = ray.wait(ids, num_returns=1)
            array, number = ray.get(ids)
            assert len(ready) == 1 and ready + remaining in (ids, ids[::-1])
            assert (array == i + k).all() and number == 2 * k
            with pytest.raises(ZeroDivisionError):
                ray.get(fail.remote())
            ray.wait([add.remote(1, 1)], timeout=0)
            total += int(ray.get(stored)[0])
        return total

    assert in_threads(64, work) == [15 * i for i in range(64)]


def test_all_wait_for_one(gate):
    wait = gate.wait

    @ray.remote
    def held():
        wait()
        return "value"

    pending = held.remote()
    others = [held.remote() for _ in range(3)]
    threading.Timer(0.1, gate.open).start()

    def work(i):
        if i % 3 == 0:
            return ray.wait([pending]) == ([pending], []) and ray.get(pending)
        if i % 3 == 1:
            return ray.get([others[i % 3], pending])[1]
        return ray.get(pending, timeout=30)

    assert in_threads(48, work) == ["value"] * 48


def test_timeouts_beside_a_blocking_call(gate):
    wait, got = gate.wait, []

    @ray.remote
    def held():
        wait()
        return 1

    pending = held.remote()
    blocked = threading.Thread(target=lambda: got.append(ray.get(pending)))
    blocked.start()
    for _ in range(100):
        assert ray.wait([pending], timeout=1) == ([], [pending])
        with pytest.raises(ray.exceptions.GetTimeoutError):
            ray.get(pending, timeout=0)
    gate.open()
    blocked.join()
    assert got == [1]


def test_ids_of_all_threads_are_different():
    f = ray.remote(lambda: None)
    ids = sum(in_threads(32, lambda i: [ray.put(i) for _ in range(50)] + [f.remote() for _ in range(20)]), [])
    assert len(set(ids)) == 32 * 70
    ready, remaining = ray.wait(ids, num_returns=len(ids))
    assert not remaining


def test_one_function_first_called_by_many():
    """The export happens once, whoever comes first."""
    for _ in range(5):
        captured = object()
        f = ray.remote(lambda x, c=str(captured): (c, x))
        results = in_threads(16, lambda i, f=f: ray.get(f.remote(i)))
        assert results == [(str(captured), i) for i in range(16)]


def test_handles_dropped_everywhere(statistics, wait_until):
    ray.get(ray.put(1))
    before = statistics().objects
    shared = [ray.put(np.zeros(2000)) for _ in range(20)]

    def work(i):
        copies = [ray.ObjectID(one.binary()) for one in shared]
        views = ray.get(copies)
        mine = [ray.put(view) for view in views]
        return sum(map(len, ray.get(mine)))

    assert in_threads(16, work) == [40_000] * 16
    shared.clear()
    wait_until(lambda: statistics().objects == before, what="the end of all objects")


def test_threads_that_end_leave_nothing(statistics, wait_until):
    length = ray.remote(len)
    assert ray.get(length.remote("abc")) == 3
    before = statistics()
    for _ in range(10):
        in_threads(16, lambda i: ray.get([ray.put(i), length.remote("abc")]))
    wait_until(lambda: statistics().objects <= before.objects + 1, what="the end of their objects")
    assert statistics().tasks <= before.tasks + 1


def test_the_session_ends_while_a_thread_stores_a_large_value(output_of):
    """The thread's call raises; its memory is there as long as it writes."""
    assert output_of("""
        import threading
        import numpy as np
        import ray_lite as ray

        ray.init(num_cpus=1, object_store_memory=400_000_000)
        large = np.ones(25_000_000)

        def store():
            try:
                ray.put(large)
            except ray.exceptions.RaySystemError as error:
                print(error)

        thread = threading.Thread(target=store)
        thread.start()
        while thread.is_alive() and ray.session.current().region.statistics()["bytes_used"] < large.nbytes:
            pass
        ray.shutdown()
        thread.join()
        print("over")
    """).endswith("over\n")
