"""The end of calls that run at the same time: cancelled, with their actor, with their process, with the session."""

import asyncio
import contextlib
import os
import signal
import time

import pytest
from crowds import KINDS, Coroutines

import ray_lite as ray
from ray_lite.exceptions import RayActorError, TaskCancelledError

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


@pytest.fixture
def held(gate, wait_until):
    """`held(actor, number, method)`: ids of calls that have begun, and stay until the gate opens."""
    wait, arrive = gate.wait, gate.arrive

    def hold(actor, number=1, method="stay"):
        ids = [getattr(actor, method).remote(wait, arrive) for _ in range(number)]
        wait_until(lambda: len(gate.arrived("held")) == number)
        return ids

    return hold


def assert_cancelled(*ids):
    for x in ids:
        with pytest.raises(TaskCancelledError):
            ray.get(x, timeout=20)


def ready(ids):
    return ray.wait(ids, num_returns=len(ids), timeout=0)[0]


# --- cancelled ---


def test_a_running_call_in_a_thread_is_cancelled(session, gate, wait_until, held):
    actor, arrive = threads.remote(), gate.arrive
    [stays] = held(actor)
    spins = [actor.spin.remote(arrive) for _ in range(3)]
    wait_until(lambda: len(gate.arrived("spin")) == 3)
    assert ray.cancel(spins[1])
    assert_cancelled(spins[1])
    assert ready(spins) == [spins[1]], "the others go on"
    assert ray.cancel(spins[0]) and ray.cancel(spins[2])
    assert_cancelled(*spins)
    gate.open()
    assert ray.get(stays) == "held" and ray.get(actor.get.remote()) == ["cancelled"] * 3


def test_a_running_plain_method_beside_the_loop_is_cancelled(session, gate, wait_until):
    actor, arrive = coroutines.remote(), gate.arrive
    x = actor.spin.remote(arrive)
    wait_until(lambda: gate.arrived("spin"))
    assert ray.cancel(x)
    assert_cancelled(x)
    assert ray.get(actor.get.remote()) == ["cancelled"]


@pytest.mark.parametrize("kind, method", [(threads, "fetch"), (coroutines, "fetch"), (coroutines, "blocking")])
def test_a_call_that_waits_in_get_is_cancelled(session, gate, kind, method, taken):
    actor, wait = kind.remote(), gate.wait
    x = getattr(actor, method).remote([ray.remote(num_cpus=0)(lambda: wait()).remote()])
    taken()
    assert ray.cancel(x)
    assert_cancelled(x)
    assert ray.get(actor.note.remote(1)) == 1


def test_a_coroutine_is_cancelled(session, wait_until):
    actor = coroutines.remote()
    naps = [actor.nap.remote(1000) for _ in range(5)]
    wait_until(lambda: ray.get(actor.most.remote()) == 5)
    assert ray.cancel(naps[2])
    assert_cancelled(naps[2])
    assert ray.get(actor.get.remote()) == ["cancelled"] and ready(naps) == [naps[2]]
    for x in naps:
        ray.cancel(x)
    assert_cancelled(*naps)


def test_a_coroutine_that_was_cancelled_by_its_own_code(session):
    class Own(Coroutines):
        async def own(self):
            asyncio.current_task().cancel()
            await asyncio.sleep(1)

    x = ray.remote(Own).remote().own.remote()
    with pytest.raises(ray.exceptions.RayTaskError, match=r"asyncio\.exceptions\.CancelledError"):
        ray.get(x, timeout=20)


def test_a_coroutine_that_takes_no_notice(session, gate, wait_until):
    class Stubborn(Coroutines):
        async def stubborn(self, arrive):
            arrive("in")
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                return "value"

    arrive = gate.arrive
    x = ray.remote(Stubborn).remote().stubborn.remote(arrive)
    wait_until(lambda: gate.arrived("in"))
    assert ray.cancel(x) and ray.get(x, timeout=20) == "value"


def test_a_plain_method_that_waits_for_its_turn_is_cancelled_at_once(session, gate, held, taken):
    actor = coroutines.remote()
    [first] = held(actor, 1, "hold")
    second, third = actor.note.remote(2), actor.note.remote(3)
    taken()
    assert ray.cancel(second)
    assert_cancelled(second)
    gate.open()
    assert ray.get([first, third]) == ["held", 3] and ray.get(actor.get.remote()) == [3]


def test_a_queued_call_is_cancelled_and_none_by_force(session, kind, gate, held):
    actor = kind.options(max_concurrency=2).remote()
    ids = held(actor, 2)
    queued = actor.note.remote(1)
    assert ray.cancel(queued)
    assert_cancelled(queued)
    with pytest.raises(ValueError, match=r"ray_lite\.kill"):
        ray.cancel(ids[0], force=True)
    gate.open()
    assert ray.get(ids) == ["held"] * 2 and ray.get(actor.get.remote()) == []


def test_a_recursive_cancel_hits_only_its_own_children(session, gate, wait_until, kind, statistics):
    actor, wait, arrive = kind.remote(), gate.wait, gate.arrive
    child = ray.remote(num_cpus=0)(lambda: wait() or arrive("child"))
    doomed = actor.family.remote(child, arrive, "doomed")
    spared = [actor.family.remote(child) for _ in range(2)]
    wait_until(lambda: gate.arrived("doomed"))
    ids = [x for made in ray.get(spared) for x in made]
    assert ray.cancel(doomed, recursive=True)
    assert_cancelled(doomed)
    wait_until(lambda: statistics().tasks == 10)
    gate.open()
    assert ray.get(ids) == [None] * 10 and len(gate.arrived("child")) == 10


def test_cancellations_hit_nobody_else(session, kind):
    """Short calls, of which every other one is cancelled at some moment, or too late."""
    actor = kind.remote()
    for _ in range(30):
        ids = [actor.meet.remote(0) for _ in range(8)]
        for x in ids[::2]:
            ray.cancel(x)
        assert len(ray.get(ids[1::2], timeout=20)) == 4
        for x in ids[::2]:
            with contextlib.suppress(TaskCancelledError):
                ray.get(x, timeout=20)
    assert ray.get(actor.note.remote(1)) == 1


# --- with their actor ---


@pytest.mark.parametrize("kind, way", [(threads, "leave"), (threads, "__ray_terminate__"), (coroutines, "leave"),
                                       (coroutines, "leave_later"), (coroutines, "__ray_terminate__")])
def test_others_finish_when_a_call_ends_the_actor(session, gate, held, kind, way):
    actor = kind.options(max_concurrency=4).remote()
    ids = held(actor, 3)
    ended = getattr(actor, way).remote()
    later = [actor.note.remote(k) for k in range(20)]
    assert ray.get(ended, timeout=20) is None and ready(ids) == []
    gate.open()
    assert ray.get(ids, timeout=20) == ["held"] * 3
    for x in later[3:]:  # as many as ran at a time may have begun before
        with pytest.raises(RayActorError, match="exit_actor"):
            ray.get(x, timeout=20)


def test_plain_methods_that_have_not_begun_fail_when_the_actor_ends(session, gate, held, taken):
    actor = coroutines.remote()
    [stays] = held(actor, 1, "hold")
    queued = actor.note.remote(1)
    taken()
    assert ray.get(actor.leave_later.remote()) is None
    with pytest.raises(RayActorError, match="exit_actor"):
        ray.get(queued, timeout=20)
    gate.open()
    assert ray.get(stays) == "held"


@pytest.mark.parametrize("way", ["exit", "kill", "SIGKILL"])
def test_a_death_fails_all_running_calls(session, kind, held, way):
    actor = kind.options(max_concurrency=5).remote()
    pid = ray.get(actor.pid.remote())
    ids = held(actor, 4)
    if way == "exit":
        actor.die.remote()
    elif way == "kill":
        ray.kill(actor)
    else:
        os.kill(pid, signal.SIGKILL)
    for x in ids:
        with pytest.raises(RayActorError):
            ray.get(x, timeout=20)


def test_an_actor_without_handles_ends_after_its_calls_and_its_hook(session, gate, wait_until, kind):
    arrive = gate.arrive

    class Hooked(kind.__wrapped__):
        def __ray_shutdown__(self):
            arrive("bye")

    actor = ray.remote(max_concurrency=3)(Hooked).remote()
    ids = [actor.meet.remote(3) for _ in range(3)]
    del actor
    assert ray.get(ids) == [3] * 3
    wait_until(lambda: gate.arrived("bye"))


# --- with the session ---


@pytest.mark.slow
def test_the_end_of_the_session_cancels_coroutines_then_calls_the_hook(fresh, gate, wait_until):
    fresh.init(num_cpus=2, shutdown_grace=2)
    arrive = gate.arrive

    class Hooked(Coroutines):
        async def stays(self):
            self.place = asyncio.get_running_loop()
            arrive("in")
            try:
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(0)
                arrive("cut")

        async def __ray_shutdown__(self):
            await asyncio.sleep(0)
            arrive(f"bye {self.place is asyncio.get_running_loop()}")

    actor = ray.remote(Hooked).remote()
    actor.stays.remote()
    wait_until(lambda: gate.arrived("in"))
    ray.shutdown()
    assert gate.arrived("cut") and gate.arrived("bye True")


def test_the_end_of_the_session_waits_for_calls(fresh, gate, wait_until, kind):
    fresh.init(num_cpus=2)
    arrive = gate.arrive

    class Hooked(kind.__wrapped__):
        def work(self):
            arrive("in")
            time.sleep(0.3)
            arrive("done")

        def __ray_shutdown__(self):
            arrive("bye")

    actor = ray.remote(max_concurrency=3)(Hooked).remote()
    actor.work.remote()
    wait_until(lambda: gate.arrived("in"))
    ray.shutdown()
    assert gate.arrived("done") and gate.arrived("bye")


# --- restarted ---


def test_an_actor_that_comes_back_runs_several_calls_again(session, kind, held, gate):
    actor = kind.options(max_concurrency=3, max_restarts=1).remote()
    pid = ray.get(actor.pid.remote())
    lost = held(actor, 3)
    os.kill(pid, signal.SIGKILL)
    for x in lost:
        with pytest.raises(RayActorError):
            ray.get(x, timeout=20)
    assert set(ray.get([actor.meet.remote(3) for _ in range(9)], timeout=20)) == {3}
    assert ray.get(actor.pid.remote()) != pid
