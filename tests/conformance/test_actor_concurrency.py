"""Calls of an actor that run at the same time: in threads (max_concurrency), or as coroutines on one event loop."""

import asyncio
import os
import threading
import time

import pytest
from crowds import KINDS, Coroutines, Threads

import ray_lite as ray
from ray_lite.exceptions import RayActorError

threads, coroutines = KINDS.values()


@pytest.fixture
def session(fresh):
    fresh.init(num_cpus=2)
    return fresh


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request):
    """A remote class whose calls run at the same time."""
    return request.param


@pytest.fixture
def taken(wait_until):
    """Waits until the only actor has taken all its calls."""
    return lambda: wait_until(lambda: ray.session.current().actors.rows()[0]["CallsQueued"] == 0)


# --- the same in both modes ---


def test_values_errors_and_returns(actors, kind):
    actor = kind.remote()
    assert ray.get([actor.note.remote(k) for k in range(20)]) == list(range(20))
    assert sorted(ray.get(actor.get.remote())) == list(range(20))
    assert ray.get(actor.two.remote()) == [1, 2] and ray.get(actor.meet.remote(1)) == 1
    with pytest.raises(KeyError, match="no"):
        ray.get(actor.fail.remote())


def test_values_errors_and_returns_of_coroutines(actors):
    actor = coroutines.remote()
    assert ray.get(actor.two_later.remote()) == [1, 2]
    with pytest.raises(KeyError, match="no"):
        ray.get(actor.fail_later.remote())
    assert ray.get(ray.get(actor.handle.remote()).note.remote(5)) == 5
    assert len(set(ray.get([actor.loop.remote() for _ in range(20)]))) == 1, "one loop for all"


@pytest.mark.parametrize("name", ["leave", "leave_later"])
def test_an_actor_that_ends_itself(actors, name):
    actor = coroutines.remote()
    assert ray.get(getattr(actor, name).remote()) is None
    with pytest.raises(RayActorError, match="exit_actor"):
        ray.get(actor.note.remote(1))


def test_one_coroutine_at_a_time(actors):
    actor = coroutines.options(max_concurrency=1).remote()
    ray.get([actor.nap.remote(0.001) for _ in range(10)])
    assert ray.get(actor.most.remote()) == 1


# --- how many, and when ---


def test_so_many_calls_run_at_a_time_and_no_more(session, kind):
    actor = kind.options(max_concurrency=5).remote()
    assert set(ray.get([actor.meet.remote(5) for _ in range(50)])) == {5}


def test_a_thread_starts_only_when_none_is_idle(session):
    actor = threads.options(max_concurrency=50).remote()
    for k in range(30):
        ray.get(actor.note.remote(k))
    few = ray.get(actor.threads.remote())
    ray.get([actor.meet.remote(10) for _ in range(10)])
    assert few < 10 <= ray.get(actor.threads.remote()) < 30


def test_a_thousand_coroutines_at_a_time(session):
    actor = coroutines.remote()
    assert set(ray.get([actor.meet.remote(1000) for _ in range(1000)])) == {1000}
    ray.get([actor.nap.remote(0.02) for _ in range(2500)])
    assert ray.get(actor.most.remote()) == session.session.current().config.async_calls == 1000


def test_calls_start_when_they_are_ready(session, kind, gate):
    actor, wait = kind.remote(), gate.wait
    late = ray.remote(num_cpus=0)(lambda: wait() or "late").remote()
    first, second = actor.note.remote(late), actor.note.remote("second")
    assert ray.get(second) == "second"
    gate.open()
    assert ray.get(first) == "late"


def test_a_busy_plain_method_does_not_stop_coroutines(session, gate, wait_until):
    actor, wait, arrive = coroutines.remote(), gate.wait, gate.arrive
    held, after = actor.hold.remote(wait, arrive), actor.note.remote("after")
    wait_until(lambda: gate.arrived("held"))
    assert set(ray.get([actor.meet.remote(3) for _ in range(9)], timeout=20)) == {3}
    assert ray.wait([after], timeout=0)[0] == [], "plain methods run one at a time"
    gate.open()
    assert ray.get([held, after]) == ["held", "after"]
    assert ray.get(actor.loop.remote())[1] and not ray.get(actor.in_main_thread.remote())


def test_a_call_may_wait_for_another_of_its_actor(session, kind):
    class Calls(kind.__wrapped__):
        def through(self, x):
            return ray.get(ray.current_actor().meet.remote(x))

    assert ray.get(ray.remote(max_concurrency=4)(Calls).remote().through.remote(1), timeout=20) == 1


def test_a_fork_in_a_call(session):
    class Forks:
        def fork(self):
            if os.fork() == 0:
                return "child"
            os.wait()
            return "parent"

    class Async(Forks):
        async def fork_later(self):
            return self.fork()

    plain, other = ray.remote(max_concurrency=2)(Forks).remote(), ray.remote(Async).remote()
    assert ray.get([plain.fork.remote(), other.fork_later.remote(), other.fork.remote()]) == ["parent"] * 3


def test_an_idle_actor_uses_no_cpu(fresh, monkeypatch):
    """While others work, no thread of it wakes."""
    monkeypatch.setenv("RAY_LITE_IDLE_PARK", "60")
    fresh.init(num_cpus=2)
    actors = [kind.remote() for kind in KINDS.values()]
    pids = ray.get([actor.pid.remote() for actor in actors])
    ray.get([actor.meet.remote(2) for actor in actors for _ in range(2)])

    def wakes():
        total = 0
        for pid in pids:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/status") as file:
                    total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        return total

    def work():
        ray.get([ray.remote(lambda: time.sleep(0.01)).remote() for _ in range(20)])
        return wakes()

    work()  # the last wake-ups of its calls
    before = wakes()
    assert work() == before


# --- ids and parents ---


def test_nested_tasks_of_concurrent_calls_have_ids_of_their_own(session, kind):
    actor, child = kind.remote(), ray.remote(num_cpus=0)(lambda: 1)
    ids = [x for made in ray.get([actor.family.remote(child) for _ in range(80)]) for x in made]
    assert len({x.hex() for x in ids}) == 400 and set(ray.get(ids)) == {1}


def test_ids_of_a_users_thread(session):
    actor, child = threads.remote(), ray.remote(num_cpus=0)(lambda: 1)
    ids = [x for made in ray.get([actor.by_thread.remote(child) for _ in range(80)]) for x in made]
    assert len({x.hex() for x in ids}) == 80 and set(ray.get(ids)) == {1}


@pytest.mark.parametrize("alone", [True, False])
def test_a_users_thread_belongs_to_a_call_that_ran_alone(session, gate, wait_until, alone):
    """What it submits while several calls run belongs to none of them."""
    wait, arrive = gate.wait, gate.arrive

    class Parent(Threads):
        def parent(self, child, arrive):
            self.by_thread(child)
            self.spin(arrive)

    actor = ray.remote(max_concurrency=4)(Parent).remote()
    held = None if alone else actor.hold.remote(wait, arrive)
    wait_until(lambda: alone or gate.arrived("held"))
    x = actor.parent.remote(ray.remote(num_cpus=0)(lambda: wait() or arrive("child went on")), arrive)
    wait_until(lambda: gate.arrived("spin"))
    ray.cancel(x, recursive=True)
    gate.open()
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(x, timeout=20)
    if not alone:
        ray.get(held)
        wait_until(lambda: gate.arrived("child went on"))


# --- CPUs ---


@pytest.mark.parametrize("options", [{}, {"num_cpus": 2}, {"num_cpus": 1}])
def test_calls_that_all_wait_give_the_cpus_back(session, options):
    """Two CPUs, and each call waits for a task that needs one."""
    actor = threads.options(max_concurrency=2, **options).remote()
    add = ray.remote(lambda x: x + 1)
    assert ray.get([actor.fetch.remote([add.remote(k)]) for k in range(20)], timeout=30) == list(range(1, 21))


@pytest.mark.parametrize("options", [{}, {"num_cpus": 1}])
def test_a_call_that_works_keeps_its_cpu_while_another_waits(fresh, gate, wait_until, options, taken):
    fresh.init(num_cpus=1)
    actor, wait, arrive = threads.options(**options).remote(), gate.wait, gate.arrive
    held = actor.hold.remote(wait, arrive)
    wait_until(lambda: gate.arrived("held"))
    needs = ray.remote(lambda: 5).remote()
    x = actor.fetch.remote([needs])
    taken()
    assert ray.wait([needs], timeout=300)[0] == [], "for less than Config.deadlock"
    gate.open()
    assert ray.get([held, x], timeout=20) == ["held", 5]


@pytest.mark.parametrize("options", [{}, {"num_cpus": 1}])
def test_calls_that_wait_for_each_other_get_the_cpu_in_the_end(fresh, options):
    """One CPU: a call waits for an event that another one sets after a task that needs the CPU."""
    fresh.init(num_cpus=1)

    class Pair:
        def __init__(self):
            self.event = threading.Event()

        def waits(self):
            return self.event.wait(30)

        def sets(self, x):
            value = ray.get(x[0])
            self.event.set()
            return value

    actor = ray.remote(max_concurrency=2)(Pair).options(**options).remote()
    ids = [actor.waits.remote(), actor.sets.remote([ray.remote(lambda: 5).remote()])]
    assert ray.get(ids, timeout=20) == [True, 5]


def test_coroutines_that_block_the_loop_give_the_cpu_back(fresh):
    fresh.init(num_cpus=1)
    actor = coroutines.remote()
    ids = [actor.blocking.remote([ray.remote(lambda k=k: k).remote()]) for k in range(10)]
    assert ray.get(ids, timeout=20) == list(range(10))


def test_a_coroutine_that_waits_in_a_thread(fresh):
    """`asyncio.to_thread(ray.get, x)` holds up no other coroutine; its CPU is lent, as that of a task."""
    fresh.init(num_cpus=1)

    class Waits(Coroutines):
        async def wait_for(self, x):
            return await asyncio.to_thread(ray.get, x[0])

    actor = ray.remote(Waits).remote()
    ids = [actor.wait_for.remote([ray.remote(lambda k=k: k).remote()]) for k in range(10)]
    assert ray.get(ids, timeout=20) == list(range(10))
