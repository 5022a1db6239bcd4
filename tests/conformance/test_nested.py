"""Tasks that submit tasks and block on them: recursion, trees, chains, few processes, and no trace of an
inline task.
"""

import os
import random
import time

import numpy as np
import pytest
import shapes

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")


def test_tasks_submit_tasks():
    @ray.remote
    def child(x):
        return x * 2

    @ray.remote
    def parent(n):
        return sum(ray.get([child.remote(i) for i in range(n)]))

    assert ray.get([parent.remote(n) for n in range(20)]) == [n * (n - 1) for n in range(20)]


def test_recursion_needs_no_storm_of_processes():
    @ray.remote
    def fibonacci(n):
        if n < 2:
            return n, {os.getpid()}
        (a, one), (b, two) = ray.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)])
        return a + b, one | two | {os.getpid()}

    value, pids = ray.get(fibonacci.remote(11))
    assert value == 89 and len(pids) <= 4  # num_cpus + 2


def test_fifty_parents_blocking_on_ten_children_each(statistics):
    @ray.remote
    def child(i):
        return i, os.getpid()

    @ray.remote
    def parent(n):
        results = ray.get([child.remote(n + i) for i in range(10)])
        return sum(value for value, _ in results), {pid for _, pid in results} | {os.getpid()}

    results = ray.get([parent.remote(n) for n in range(50)])
    assert [value for value, _ in results] == [10 * n + 45 for n in range(50)]
    assert len(set().union(*(pids for _, pids in results))) <= 8
    assert statistics().workers <= 8


def test_deep_recursion(statistics):
    @ray.remote
    def down(n):
        return 0 if n == 0 else 1 + ray.get(down.remote(n - 1))

    assert ray.get(down.remote(200), timeout=50) == 200


def test_chain_of_dependent_tasks():
    @ray.remote
    def increment(x):
        return x + 1

    value = increment.remote(0)
    for _ in range(999):
        value = increment.remote(value)
    assert ray.get(value) == 1000


def test_tree_of_dependent_tasks():
    @ray.remote
    def merge(a, b):
        return a + b

    level = [ray.put(i) for i in range(256)]
    while len(level) > 1:
        level = [merge.remote(a, b) for a, b in zip(level[::2], level[1::2], strict=True)]
    assert ray.get(level[0]) == sum(range(256))


def test_a_task_waits_for_a_chain_it_did_not_start_itself():
    @ray.remote
    def increment(x):
        return x + 1

    @ray.remote
    def outer(box):
        value = box[0]
        for _ in range(20):
            value = increment.remote(value)
        return ray.get(value)

    assert ray.get([outer.remote([increment.remote(i)]) for i in range(10)]) == [i + 21 for i in range(10)]


def test_children_outlive_their_parent(gate):
    wait = gate.wait

    @ray.remote
    def child(x):
        wait()
        return x

    @ray.remote
    def parent():
        return [child.remote(i) for i in range(6)]

    ids = ray.get(parent.remote())
    assert ray.wait(ids, timeout=0) == ([], ids)
    gate.open()
    assert ray.get(ids) == list(range(6))


@pytest.fixture
def one_cpu(fresh):
    ray.shutdown()
    ray.init(num_cpus=1)


def test_the_awaited_task_is_run_inline(one_cpu):
    """The only CPU is the parent's, which runs tasks inline before it gives it back: no other worker can be first."""

    @ray.remote
    def child():
        return os.getpid()

    @ray.remote
    def parent(depth):
        return [os.getpid(), *(ray.get(parent.remote(depth - 1)) if depth else [ray.get(child.remote())])]

    pids = ray.get(parent.remote(5), timeout=30)
    assert len(pids) == 7 and len(set(pids)) == 1


def test_what_the_awaited_task_needs_is_run_inline_too(one_cpu):
    @ray.remote
    def leaf(x):
        return x

    @ray.remote
    def join(a, b):
        return a + b

    @ray.remote
    def parent():
        return ray.get(join.remote(join.remote(leaf.remote(1), leaf.remote(2)), leaf.remote(3)))

    assert ray.get(parent.remote(), timeout=30) == 6


def test_the_failure_of_an_inline_task_stays_the_childs(one_cpu):
    @ray.remote
    def child(kind):
        raise kind("inside")

    @ray.remote
    def parent():
        caught = []
        for kind in (ValueError, SystemExit, KeyboardInterrupt):
            try:
                ray.get(child.remote(kind))
            except ray.exceptions.RayTaskError as error:
                caught.append(type(error.cause).__name__)
        return caught

    assert ray.get(parent.remote(), timeout=30) == ["ValueError", "SystemExit", "KeyboardInterrupt"]


def test_an_inline_task_leaves_no_trace(one_cpu, tmp_path):
    @ray.remote
    def child(place):
        seen = shapes.VARIABLE.get()
        shapes.VARIABLE.set("child's")
        os.chdir(place)
        os.umask(0o077)
        os.environ["ONLY_CHILD"] = "1"
        os.environ["HOME"] = "elsewhere"
        os.environ.pop("PATH", None)
        random.seed(1)
        np.random.seed(1)
        return seen

    def state():
        mask = os.umask(0)
        os.umask(mask)
        return (
            shapes.VARIABLE.get(),
            os.getcwd(),
            mask,
            dict(os.environ),
            random.getstate(),
            np.random.get_state()[1].tolist(),
        )

    @ray.remote
    def parent(place):
        shapes.VARIABLE.set("parent's")
        before = state()
        seen = ray.get(child.remote(place))
        return before == state(), seen

    assert ray.get(parent.remote(str(tmp_path)), timeout=30) == (True, "default")


def test_a_get_with_a_timeout_gives_the_cpu_back(fresh):
    """It may not run it inline (that could take longer), so another worker must run the child."""
    ray.shutdown()
    ray.init(num_cpus=1)

    @ray.remote
    def child():
        return os.getpid()

    @ray.remote
    def parent():
        return os.getpid(), ray.get(child.remote(), timeout=20)

    one, other = ray.get(parent.remote())
    assert one != other


def test_blocked_tasks_do_not_hold_the_cpus(gate):
    """Two parents block on what a third task will finish; that one needs a CPU."""
    wait, arrive = gate.wait, gate.arrive

    @ray.remote(num_cpus=0)
    def held():
        wait()
        return 1

    @ray.remote
    def parent(box):
        arrive("parent")
        return ray.get(box[0])

    first = held.remote()
    parents = [parent.remote([first]) for _ in range(2)]
    assert ray.get(ray.remote(lambda: "free").remote(), timeout=20) == "free"
    gate.open()
    assert ray.get(parents) == [1, 1]


def test_after_a_block_the_task_goes_on_at_once(gate):
    """A woken task does not queue again for its CPU: it ends although every CPU is taken by then."""
    wait, arrive, arrived = gate.wait, gate.arrive, gate.arrived

    @ray.remote(num_cpus=0)
    def until_the_cpus_are_taken():
        while len(arrived("hog")) < 2:
            time.sleep(0.002)

    @ray.remote(num_cpus=2)
    def parent():
        ray.get(until_the_cpus_are_taken.remote(), timeout=25)
        return "done"

    @ray.remote
    def hog():
        arrive("hog")
        wait()

    result = parent.remote()
    hogs = [hog.remote() for _ in range(2)]
    assert ray.get(result, timeout=30) == "done"
    gate.open()
    ray.get(hogs)


def test_puts_and_arrays_between_tasks():
    @ray.remote
    def produce(n):
        return [ray.put(np.full(50_000, i)) for i in range(n)]

    @ray.remote
    def consume(box):
        return [int(array[7]) for array in ray.get(ray.get(box[0]))]

    assert ray.get(consume.remote([produce.remote(6)])) == list(range(6))


def test_threads_of_a_task_may_call(gate):
    @ray.remote
    def parent():
        import threading

        got = []

        def work(i):
            got.append(ray.get(ray.remote(lambda: i * 10).remote()))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(got)

    # One parent on two CPUs: threads give no CPU back, so their children need a free one.
    assert ray.get(parent.remote(), timeout=30) == [0, 10, 20, 30]


def test_inline_tasks_draw_numbers_of_their_own():
    """Neither one another's nor their parent's: in a simulation these would be the same samples again."""
    draw = ray.remote(lambda: (random.random(), float(np.random.random())))

    @ray.remote
    def parent():
        before = random.random()
        children = ray.get([draw.remote() for _ in range(50)])
        return [before, random.random(), float(np.random.random()), *(number for pair in children for number in pair)]

    drawn = [number for numbers in ray.get([parent.remote() for _ in range(4)]) for number in numbers]
    assert len(set(drawn)) == len(drawn)
