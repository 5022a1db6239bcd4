"""Great numbers: parents that wait for children, recursion, threads that submit, ids; and few processes for all of them."""

import os
import threading
import time

import pytest

import ray_lite as ray

FULL = "RAY_LITE_FULL" in os.environ


@pytest.fixture
def nobody_leaves(monkeypatch):
    """No worker retires: at the end, all there ever were are there, also those that ran nothing."""
    monkeypatch.setenv("RAY_LITE_RETIRE_AFTER", "3600")


def test_five_hundred_parents_that_block_on_ten_children_each(nobody_leaves, fresh, statistics):
    """On 4 CPUs, with at most 2 x 4 + 4 processes in all: this one, the node, its control process and the server's place."""
    fresh.init(num_cpus=4)
    child = ray.remote(lambda x: x)
    parent = ray.remote(lambda n: sum(ray.get([child.remote(10 * n + k) for k in range(10)])))
    found = ray.get([parent.remote(n) for n in range(500)], timeout=50)
    assert found == [sum(range(10 * n, 10 * n + 10)) for n in range(500)]
    assert statistics().workers <= 2 * 4 + 4 - 3


@pytest.mark.parametrize("how", ["inline=False", "wait", "timeout", "two CPUs", "three levels"])
def test_parents_that_can_not_run_their_children_need_few_processes_all_the_same(nobody_leaves, fresh, statistics, how):
    """The CPUs that they give back go to children, not to more parents: without that there would be some hundreds of them."""
    fresh.init(num_cpus=4)
    child = ray.remote(inline=how not in ("inline=False", "three levels"), num_cpus=2 if how == "two CPUs" else 1)(lambda k: k)

    @ray.remote(inline=False)
    def parent(levels):
        ids = [parent.remote(levels - 1) if levels else child.remote(k) for k in range(10)]
        if how == "wait":
            assert ray.wait(ids, num_returns=10) == (ids, [])
        return sum(ray.get(ids, timeout=60 if how == "timeout" else None))

    levels = int(how == "three levels")
    ids = [parent.remote(levels) for _ in range(50 if levels else 400)]
    assert ray.get(ids, timeout=50) == [450 if levels else 45] * len(ids)
    assert statistics().workers <= 4 * 6


def test_recursion_a_thousand_deep(nobody_leaves, fresh, statistics):
    fresh.init(num_cpus=2)

    @ray.remote
    def down(n):
        return n and 1 + ray.get(down.remote(n - 1))

    assert ray.get(down.remote(1000), timeout=50) == 1000
    assert statistics().workers <= 1000 // 32 + 4


@pytest.mark.watchdog(180)
def test_three_threads_queue_a_million_tasks(fresh):
    """All run, and each thread's in its order (one CPU: one at a time)."""
    fresh.init(num_cpus=1)
    each = (1_000_000 if FULL else 60_000) // 3
    f = ray.remote(lambda thread, k: (thread, k))
    ends = ray.remote(lambda thread, k: time.monotonic_ns())
    found = {}

    def submit(thread):
        ids, stamps = [], []
        for k in range(each):
            if k % (each // 100) == 0:
                stamps.append(ends.remote(thread, k))
            else:
                ids.append(f.remote(thread, k))
        found[thread] = ids, stamps

    threads = [threading.Thread(target=submit, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for thread, (ids, stamps) in found.items():
        wanted = [(thread, k) for k in range(each) if k % (each // 100)]
        assert ray.get(ids, timeout=150) == wanted
        moments = ray.get(stamps)
        assert moments == sorted(moments)


def test_submitters_take_turns_when_their_tasks_have_different_shapes(fresh, gate, wait_until):
    """A long queue of one shape does not hold up another's: they go one by one."""
    fresh.init(num_cpus=1)
    wait, arrive = gate.wait, gate.arrive
    held = ray.remote(lambda: (arrive("in"), wait())).remote()
    wait_until(lambda: gate.arrived("in"))
    order = ray.remote(lambda: time.monotonic_ns())
    many = [order.options(num_cpus=0.75).remote() for _ in range(2000)]
    few = [order.options(num_cpus=0.5).remote() for _ in range(100)]
    gate.open()
    ray.get(held)
    stamps = sorted([(moment, "many") for moment in ray.get(many)] + [(moment, "few") for moment in ray.get(few)])
    last = max(place for place, (_, kind) in enumerate(stamps) if kind == "few")
    assert last < 400


def test_ids_in_great_numbers(fresh):
    """100,000 in one get and one wait, and 10,000 one at a time."""
    fresh.init(num_cpus=2)
    f = ray.remote(lambda k: k)
    ids = [f.remote(k) for k in range(100_000)]
    ready, rest = ray.wait(ids, num_returns=len(ids))
    assert ready == ids and rest == []
    assert ray.get(ids) == list(range(100_000))
    left = ids[:10_000]
    while left:
        done, left = ray.wait(left)
        assert len(done) == 1
