"""Actors that come back after the death of their process: which calls run again, and the end of a crash loop."""

import contextlib
import os
import signal

import psutil
import pytest
from ledgers import Ledger, kill, saving

import ray_lite as ray
from ray_lite.exceptions import RayActorError, TaskCancelledError


@pytest.fixture
def session(fresh):
    fresh.init(num_cpus=2)
    return fresh


def test_calls_since_the_checkpoint_run_again(session):
    actor = saving(10).remote("first")
    results = []
    for k in range(6):
        results.append([actor.note.remote((k, number)) for number in range(7)])
        kill(actor)
    expected = [(k, number) for k in range(6) for number in range(7)]
    assert ray.get([x for some in results for x in some]) == list(range(2, 44))
    assert ray.get(actor.get.remote()) == ["first", *expected]
    (row,) = ray.global_state.actors()
    assert row["State"] == "ALIVE" and row["Restarts"] == 6


def test_results_stay_as_they_are(session):
    """Also those of calls that give something else when they run again."""
    actor = saving(100).remote()
    rolled = [actor.roll.remote() for _ in range(20)]
    before = ray.get(rolled)
    kill(actor)
    again = ray.get(actor.get.remote())
    assert ray.get(rolled) == before and len(again) == 20 and again != before


def test_several_results_and_errors_run_again_in_silence(capfd, fresh):
    fresh.init(num_cpus=2)
    actor = saving(100).remote()
    two = actor.several.options(num_return_vals=2).remote(1)
    failed = actor.fail.remote(2)
    assert ray.get(two) == [1, 2]
    with pytest.raises(KeyError):
        ray.get(failed)
    kill(actor)
    assert ray.get(actor.get.remote()) == [1, 2]
    with pytest.raises(KeyError):
        ray.get(failed)
    fresh.shutdown()
    assert "failed" not in capfd.readouterr().err


def test_the_call_that_ran_when_the_process_was_killed_runs_again(session, gate, wait_until):
    actor = saving(100).remote()
    actor.note.remote("before")
    held, after = actor.hold.remote(gate.arrive, gate.wait, "held"), actor.note.remote("after")
    [name] = wait_until(lambda: gate.arrived("in"))
    os.kill(int(name.split("-")[2]), signal.SIGKILL)
    wait_until(lambda: len(gate.arrived("in")) == 2)
    gate.open()
    assert ray.get([held, after]) == ["held", 3]
    assert ray.get(actor.get.remote()) == ["before", "held", "after"]


def test_a_call_whose_process_is_killed_each_time_is_lost_alone(session, gate, wait_until):
    """It begins four times: as often as a task does by default."""
    actor = saving(100, max_restarts=50).remote()
    held, after = actor.hold.remote(gate.arrive, gate.wait, "held"), actor.note.remote("after")
    for count in range(1, 5):
        wait_until(lambda count=count: len(gate.arrived("in")) == count)
        pids = {int(name.split("-")[2]) for name in gate.arrived("in")}
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    with pytest.raises(RayActorError, match=r"call Ledger.hold was lost: .*SIGKILL.* the actor comes back") as caught:
        ray.get(held, timeout=20)
    assert caught.value.lost and caught.value.class_name == "Ledger"
    assert ray.get(after) == 1 and ray.get(actor.get.remote()) == ["after"]


def test_a_call_that_ends_the_process_is_lost_at_once(session):
    actor = saving(100).remote()
    before, poison, after = actor.note.remote("before"), actor.end_process.remote("poison"), actor.note.remote("after")
    with pytest.raises(RayActorError, match=r"(?s)Ledger.end_process was lost: .*exit code 3"):
        ray.get(poison)
    assert ray.get([before, after]) == [1, 2] and ray.get(actor.get.remote()) == ["before", "after"]
    assert ray.global_state.actors()[0]["Restarts"] == 1


def test_a_cancelled_call_does_not_run_again(session, gate, wait_until):
    actor = saving(100).remote()
    held = actor.hold.remote(gate.arrive, gate.wait, "held")
    wait_until(lambda: gate.arrived("in"))
    assert ray.cancel(held)
    with pytest.raises(TaskCancelledError):
        ray.get(held)
    assert ray.get(actor.get.remote()) == ["held"]
    kill(actor)
    assert ray.get(actor.get.remote()) == ["held"] and len(gate.arrived("in")) == 1


def test_a_call_that_was_cancelled_too_late_runs_again(session, gate, wait_until):
    """The process dies when all its many results are there and it has not quite ended: what it has done must not be lost."""
    count = 10_000

    @ray.remote(checkpoint_interval=1_000, max_restarts=50)
    class Wide(Ledger):
        @ray.method(num_return_vals=count)
        def wide(self, arrive, x):
            self.seen.append(x)
            arrive(f"out-{x}-")
            return range(count)

    actor, arrive, late = Wide.remote(), gate.arrive, 0
    for number in range(6):
        pid = ray.get(actor.pid.remote())
        ids = actor.wide.remote(arrive, number)
        wait_until(lambda number=number: gate.arrived(f"out-{number}-"))
        late += ray.cancel(ids[0])
        ray.wait(ids, num_returns=count)
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(TaskCancelledError):  # the mark came in time
            assert ray.get(ids[::1000]) == list(range(0, count, 1000)) and number in ray.get(actor.get.remote())
    assert late and [entry for entry in ray.error_info() if entry["type"] == "task"] == []


def test_each_callers_order_over_deaths(session):
    actor = saving(50, max_restarts=100).remote()

    @ray.remote(num_cpus=0)
    def call(actor, name):
        return ray.get([actor.note.remote((name, number)) for number in range(100)])

    callers = [call.remote(actor, name) for name in range(3)]
    for _ in range(5):
        kill(actor)
    ray.get(callers)
    seen = ray.get(actor.get.remote())
    assert [[number for name, number in seen if name == one] for one in range(3)] == [list(range(100))] * 3


def test_a_call_that_lacks_an_argument_over_a_death(session, gate):
    actor, wait = saving(100).remote(), gate.wait
    late = ray.remote(num_cpus=0)(lambda: wait() or "late").remote()
    first, held, after = actor.note.remote("first"), actor.note.remote(late), actor.note.remote("after")
    assert ray.get(first) == 1
    (pid,) = [row["Pid"] for row in ray.global_state.actors()]
    os.kill(pid, signal.SIGKILL)
    gate.open()
    assert ray.get([held, after]) == [2, 3] and ray.get(actor.get.remote()) == ["first", "late", "after"]


def test_callers_that_lack_arguments_keep_their_order_over_deaths(session, gate, wait_until):
    """Each sends a call with an argument that is late, and others after it; whoever lacks nothing goes on meanwhile."""
    actor, wait = saving(100).remote(), gate.wait
    late = ray.remote(num_cpus=0)(lambda: wait() or 0).remote()

    @ray.remote(num_cpus=0)
    def call(actor, name, late):
        first = [actor.mark.remote((name, number), None) for number in range(3)]
        lacks = actor.mark.remote((name, 3), *late)
        return ray.get([*first, lacks, *(actor.mark.remote((name, number), None) for number in range(4, 8))])

    callers = [call.remote(actor, name, [late]) for name in range(3)]
    free = call.remote(actor, "free", [None])
    ray.get(free)
    wait_until(lambda: ray.global_state.actors()[0]["CallsQueued"] >= 15, what="calls that are held back")
    for _ in range(2):
        kill(actor)
    gate.open()
    ray.get(callers)
    kill(actor)
    seen = ray.get(actor.get.remote())
    for name in (0, 1, 2, "free"):
        assert [number for one, number in seen if one == name] == list(range(8))


def test_a_crash_loop_ends(session):
    actor = saving(100, max_restarts=3).remote()
    ray.get(actor.note.remote("x"))
    for _ in range(3):
        kill(actor)
    assert ray.get(actor.get.remote()) == ["x"]
    kill(actor)
    with pytest.raises(RayActorError, match=r"SIGKILL.*lost 4 processes since its last checkpoint.*3 times \(max_restarts\)"):
        ray.get(actor.get.remote())


def test_a_constructor_that_dies_each_time(session):
    @ray.remote(max_restarts=2)
    class Stillborn:
        def __init__(self):
            os._exit(9)

        def method(self):
            return 1

    actor = Stillborn.remote()
    with pytest.raises(RayActorError, match=r"exit code 9.*lost 3 processes, and may come back 2 times"):
        ray.get(actor.method.remote(), timeout=20)


def test_without_checkpoints_the_constructor_runs_again(session, gate, wait_until):
    actor = ray.remote(max_restarts=1)(Ledger).remote("made")
    ray.get(actor.note.remote("gone"))
    held, after = actor.hold.remote(gate.arrive, gate.wait, "held"), actor.note.remote("after")
    [name] = wait_until(lambda: gate.arrived("in"))
    os.kill(int(name.split("-")[2]), signal.SIGKILL)
    with pytest.raises(RayActorError, match="Ledger.hold was lost") as caught:
        ray.get(held)
    assert caught.value.lost and ray.get(after) == 2 and ray.get(actor.get.remote()) == ["made", "after"]
    kill(actor)
    with pytest.raises(RayActorError, match="lost 2 processes, and may come back 1 times") as caught:
        ray.get(actor.get.remote())
    assert not caught.value.lost


def test_kill_and_exit_are_for_good(session):
    @ray.remote(checkpoint_interval=1)
    class Leaver(Ledger):
        def leave(self):
            ray.exit_actor()

    killed, left = Leaver.remote(), Leaver.remote()
    assert ray.get([killed.note.remote(1), left.note.remote(1)]) == [1, 1]
    ray.kill(killed)
    assert ray.get(left.leave.remote()) is None
    for actor, why in ((killed, "killed by ray_lite.kill"), (left, "ended itself")):
        with pytest.raises(RayActorError, match=why):
            ray.get(actor.note.remote(2))
    assert ray.global_state.actors() == []


def test_one_that_was_killed_for_good_says_so_whatever_its_process_died_of(session, wait_until):
    """The process dies, and `kill` returns, before the node looks."""
    actor, node = saving(10).remote(), ray.session.current().address["node_pid"]
    pid = ray.get(actor.pid.remote())
    os.kill(node, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        ray.kill(actor)
        x = actor.note.remote(1)
    finally:
        os.kill(node, signal.SIGCONT)
    with pytest.raises(RayActorError, match="is dead: it was killed by ray_lite.kill"):
        ray.get(x, timeout=20)


def test_the_limit_of_pending_calls_while_calls_run_again(session, gate, wait_until):
    """These do not count."""
    actor = saving(1000, max_pending_calls=10).remote()
    for number in range(40):
        ray.get(actor.note.remote(number))
    held = actor.hold.remote(gate.arrive, gate.wait, "held")
    [name] = wait_until(lambda: gate.arrived("in"))
    os.kill(int(name.split("-")[2]), signal.SIGKILL)
    later = [actor.note.remote(number) for number in range(10)]
    gate.open()
    assert ray.get([held, *later]) == ["held", *range(42, 52)]


def test_names_stay_over_deaths(session):
    actor = saving(10).options(name="ledger").remote()
    kill(actor)
    assert ray.get_actor("ledger") == actor and ray.get(ray.get_actor("ledger").note.remote(1)) == 1
