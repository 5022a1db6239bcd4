"""cancel: queued, waiting, running, nested, finished tasks; politely, by force, with what they submitted."""

import os
import random
import signal
import time

import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")
Cancelled = ray.exceptions.TaskCancelledError


@pytest.fixture
def busy(gate, wait_until):
    """Both CPUs are taken until `gate.open()`."""
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held():
        arrive("busy")
        wait()

    ids = [held.remote() for _ in range(2)]
    wait_until(lambda: len(gate.arrived("busy")) == 2)
    yield ids
    gate.open()
    ray.get(ids)


@pytest.fixture
def sleeping(gate, wait_until):
    """`sleeping(**options)`: a task that sleeps for ever, and does."""
    arrive = gate.arrive

    def start(**options):
        @ray.remote(**{"num_cpus": 1, **options})
        def sleep():
            arrive("asleep")
            time.sleep(1000)

        before = len(gate.arrived("asleep"))
        x = sleep.remote()
        wait_until(lambda: len(gate.arrived("asleep")) > before)
        return x

    return start


def test_a_queued_task_never_runs(busy, gate):
    arrive = gate.arrive
    f = ray.remote(lambda: arrive("ran"))
    first, x, last = f.remote(), f.remote(), f.remote()
    assert ray.cancel(x) is True
    with pytest.raises(Cancelled, match="cancelled before it began"):
        ray.get(x, timeout=10)
    assert ray.cancel(x) is False
    gate.open()
    assert ray.get([first, last]) == [None, None] and len(gate.arrived("ran")) == 2


def test_a_task_that_waits_for_arguments(busy, gate):
    f = ray.remote(lambda *x: len(x))
    arguments = [f.remote() for _ in range(50)]
    x = f.remote(*arguments)
    behind = f.remote(x)
    assert ray.cancel(x)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    gate.open()
    with pytest.raises(Cancelled):
        ray.get(behind, timeout=10)
    assert ray.get(arguments) == [0] * 50


@pytest.mark.parametrize("number", [3, 10, 30, 1000])
def test_who_waits_for_what_the_node_cancels_gets_a_worker_at_once(number, monkeypatch):
    """The only worker waits, and tasks become ready when the node has ended others, not before: it starts one more."""
    ray.shutdown()
    monkeypatch.setenv("RAY_LITE_NODE_LOOK", "100")
    ray.init(num_cpus=1)
    queued = ray.remote(lambda: None)
    behind = ray.remote(inline=False)(lambda *x: None)

    @ray.remote
    def cancelling(number):
        ids = [queued.remote() for _ in range(number)]
        last = behind.remote(*ids)
        for x in ids:
            ray.cancel(x)
        ray.get(last, timeout=10)

    with pytest.raises(Cancelled):
        ray.get(cancelling.remote(number), timeout=20)


def test_all_returns_of_a_task_are_cancelled(busy):
    ids = ray.remote(num_return_vals=3)(lambda: (1, 2, 3)).remote()
    assert ray.cancel(ids[1])
    for x in ids:
        with pytest.raises(Cancelled):
            ray.get(x, timeout=10)


def test_a_sleeping_task_is_woken(sleeping, worker_pids):
    x = sleeping()
    pids = worker_pids()
    assert ray.cancel(x) is True
    with pytest.raises(Cancelled, match="cancelled while it ran"):
        ray.get(x, timeout=10)
    assert ray.get(ray.remote(lambda: os.getpid()).remote()) in pids, "its worker goes on"


def test_a_computing_task_is_stopped(gate, wait_until):
    arrive = gate.arrive

    @ray.remote
    def compute():
        arrive("in")
        while True:
            sum(range(1000))

    x = compute.remote()
    wait_until(lambda: gate.arrived("in"))
    assert ray.cancel(x)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)


def test_a_task_may_clean_up_and_its_result_stands_if_it_catches(gate, wait_until):
    arrive = gate.arrive

    @ray.remote
    def cleans():
        try:
            arrive("in")
            time.sleep(1000)
        finally:
            arrive("cleaned")

    @ray.remote
    def catches():
        try:
            arrive("in")
            time.sleep(1000)
        except Cancelled:
            return "caught"

    ids = [cleans.remote(), catches.remote()]
    wait_until(lambda: len(gate.arrived("in")) == 2)
    assert [ray.cancel(x) for x in ids] == [True, True]
    with pytest.raises(Cancelled):
        ray.get(ids[0], timeout=10)
    assert gate.arrived("cleaned") and ray.get(ids[1], timeout=10) == "caught"


def test_who_has_caught_it_is_not_told_again_when_others_are(gate, wait_until, sleeping):
    arrive = gate.arrive

    @ray.remote
    def catches():
        try:
            arrive("in")
            time.sleep(1000)
        except Cancelled:
            arrive("caught")
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                pass
            return "cleaned up"

    x = catches.remote()
    wait_until(lambda: gate.arrived("in"))
    ray.cancel(x)
    wait_until(lambda: gate.arrived("caught"))
    for _ in range(3):
        ray.cancel(sleeping())
    assert ray.get(x, timeout=10) == "cleaned up"


def test_recursive_lets_no_child_escape(gate, wait_until, statistics):
    """The parent submits all the time."""
    arrive = gate.arrive

    @ray.remote(num_cpus=0)
    def child():
        time.sleep(1000)

    @ray.remote
    def parent():
        arrive("in")
        while True:
            child.remote()
            time.sleep(0.0005)

    for number in range(1, 4):
        x = parent.remote()
        wait_until(lambda number=number: len(gate.arrived("in")) == number)
        assert ray.cancel(x, recursive=True)
        with pytest.raises(Cancelled):
            ray.get(x, timeout=10)
        wait_until(lambda: statistics().tasks == 0, what="none of its children is left")


def test_a_task_blocked_in_get(gate, wait_until):
    arrive, wait = gate.arrive, gate.wait
    child = ray.remote(inline=False)(lambda: (arrive("child"), wait()))

    @ray.remote
    def parent():
        arrive("parent")
        return ray.get(child.remote())

    x = parent.remote()
    wait_until(lambda: gate.arrived("child"))
    assert ray.cancel(x)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)


def test_force_kills_what_does_not_listen(gate, wait_until, worker_pids):
    arrive = gate.arrive

    @ray.remote(max_retries=3)
    def deaf():
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        arrive("deaf")
        time.sleep(1000)

    x = deaf.remote()
    wait_until(lambda: gate.arrived("deaf"))
    (pid,) = worker_pids()[:1]
    assert ray.cancel(x) and ray.wait([x], timeout=100)[0] == []
    assert ray.cancel(x, force=True)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    assert len(gate.arrived("deaf")) == 1, "it is not retried"
    wait_until(lambda: pid not in worker_pids())


def test_cancelling_an_outer_task_takes_effect_when_it_is_innermost(gate, wait_until):
    arrive, wait = gate.arrive, gate.wait

    @ray.remote
    def inner():
        arrive("inner")
        wait()
        return "done"

    @ray.remote
    def outer():
        return ray.get(inner.remote())

    ray.get(ray.remote(lambda: 1).remote())
    x = outer.remote()
    wait_until(lambda: gate.arrived("inner"))
    assert ray.cancel(x)
    gate.open()
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)


def test_force_on_an_outer_task_runs_the_innocent_again(gate, wait_until, tmp_path):
    arrive, wait = gate.arrive, gate.wait

    @ray.remote
    def inner(box):
        arrive("inner")
        wait()
        return "done"

    @ray.remote
    def outer(place):
        x = inner.remote(1)
        with open(place, "wb") as file:
            import pickle

            pickle.dump(None, file)
        return [x, ray.get(x)]

    x = outer.remote(str(tmp_path / "note"))
    wait_until(lambda: gate.arrived("inner"))
    assert ray.cancel(x, force=True)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    gate.open()
    assert ray.get(ray.remote(lambda: "alive").remote(), timeout=10) == "alive"


def test_recursive_cancels_children(gate, wait_until, statistics):
    arrive = gate.arrive

    @ray.remote(num_cpus=0, inline=False)
    def node(depth):
        arrive(f"node{depth}")
        kids = [node.remote(depth - 1) for _ in range(2)] if depth else []
        if not depth:
            time.sleep(1000)
        return ray.get(kids)

    x = node.remote(2)
    wait_until(lambda: len(gate.arrived("node0")) == 4, 20)
    assert ray.cancel(x, recursive=True)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    wait_until(lambda: statistics().tasks == 0, what="none of them is left")


def test_without_recursive_children_go_on(gate, wait_until):
    arrive, wait = gate.arrive, gate.wait

    @ray.remote(num_cpus=0)
    def child():
        arrive("child")
        wait()
        arrive("child ended")

    @ray.remote(num_cpus=0)
    def parent():
        child.remote()
        time.sleep(1000)

    x = parent.remote()
    wait_until(lambda: gate.arrived("child"))
    ray.cancel(x)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    gate.open()
    wait_until(lambda: gate.arrived("child ended"))


def test_what_has_ended_or_was_put_stays(sleeping):
    x, y = ray.remote(lambda: 5).remote(), ray.put(6)
    assert ray.get(x) == 5
    assert ray.cancel(x) is False and ray.cancel(y, force=True) is False
    assert ray.get([x, y]) == [5, 6]


def test_cancelling_from_within_tasks(sleeping):
    x = sleeping()
    assert ray.get(ray.remote(lambda box: ray.cancel(box[0])).remote([x]))
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)


def test_a_task_can_not_be_cancelled_twice_nor_a_neighbour_by_mistake(sleeping):
    """The worker goes on with other tasks: no late signal hits them."""
    for _ in range(10):
        x = sleeping()
        for _ in range(5):
            ray.cancel(x)
        with pytest.raises(Cancelled):
            ray.get(x, timeout=10)
        assert ray.get([ray.remote(lambda k: k).remote(k) for k in range(50)]) == list(range(50))


@pytest.mark.parametrize("bad", [None, "id", 5, [1]])
def test_what_is_no_id(bad):
    with pytest.raises(TypeError, match="ObjectID"):
        ray.cancel(bad)


def test_wrong_flags(sleeping):
    x = ray.put(1)
    with pytest.raises(TypeError, match="force"):
        ray.cancel(x, force=1)
    with pytest.raises(TypeError, match="recursive"):
        ray.cancel(x, recursive="yes")


def test_in_python_mode_there_is_nothing_to_cancel(fresh):
    fresh.shutdown()
    fresh.init(driver_mode=fresh.PYTHON_MODE)
    assert fresh.cancel(fresh.remote(lambda: 1).remote()) is False


@pytest.mark.slow
@pytest.mark.watchdog(120)
def test_five_percent_of_five_thousand(statistics, wait_until):
    """Each has one end, the others their values; half of the cancellations are by force."""
    rng = random.Random(1)
    f = ray.remote(lambda k: (time.sleep(0.0005 * (k % 3)), k)[1])
    ids = [f.remote(k) for k in range(5000)]
    chosen = rng.sample(range(5000), 250)
    told = {k for k in chosen if ray.cancel(ids[k], force=k % 2 == 0)}
    cancelled = set()
    for k, x in enumerate(ids):
        try:
            assert ray.get(x, timeout=60) == k
        except Cancelled:
            cancelled.add(k)
    assert cancelled <= told and len(cancelled) > 100
    wait_until(lambda: statistics().tasks == 0)
