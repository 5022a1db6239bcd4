"""Checkpoints of actors: hooks, failures, what is freed, and what does not keep an actor alive."""

import asyncio
import os
import signal
import sys
import time

import numpy as np
import pytest
from ledgers import Ledger, kill, saving

import ray_lite as ray
from ray_lite.exceptions import RayActorError, TaskCancelledError


@pytest.fixture
def session(fresh):
    fresh.init(num_cpus=2)
    return fresh


@pytest.fixture
def says(capfd, wait_until):
    """`says(text)`: waits until the text was written on stderr."""
    heard = []

    def says(text):
        def look():
            heard.append(capfd.readouterr().err)
            return text in "".join(heard)

        wait_until(look, what=f"{text!r} on stderr")

    return says


@ray.remote(checkpoint_interval=4)
class Hooked(Ledger):
    """Saves the number of its notes only, and tells how it came to life."""

    def __init__(self):
        super().__init__()
        self.life = "made"

    def __ray_save__(self):
        return np.array([len(self.seen)])

    def __ray_restore__(self, state):
        state[0] += 0  # the state is the actor's own
        self.seen, self.life = [None] * int(state[0]), "restored"

    def lives(self):
        return self.life, self.seen


def test_the_hooks_save_and_restore(session):
    actor = Hooked.remote()
    assert ray.get([actor.note.remote(number) for number in range(4)]) == [1, 2, 3, 4]
    kill(actor)
    assert ray.get(actor.lives.remote()) == ("restored", [None] * 4)
    assert ray.get(actor.note.remote(5)) == 5


def test_a_checkpoint_at_any_time(session, gate, wait_until):
    """What is in it never runs again."""
    actor = saving(1000).remote()
    gate.open()
    ray.get(actor.hold.remote(gate.arrive, gate.wait, "once"))
    assert ray.get(actor.__ray_checkpoint__.remote()) is None
    actor.note.remote("after")
    kill(actor)
    assert ray.get(actor.get.remote()) == ["once", "after"] and len(gate.arrived("in")) == 1


@pytest.mark.parametrize("catches", [False, True])
def test_a_call_that_was_cancelled_midway_is_in_a_checkpoint(session, gate, wait_until, catches):
    """It is not run again, but what it has changed was there for others to see."""
    @ray.remote(checkpoint_interval=100)
    class Stopped(Ledger):
        def wait_long(self, arrive):
            self.seen.append("begun")
            try:
                arrive("in")
                time.sleep(30)
            except TaskCancelledError:
                if not catches:
                    raise

    actor = Stopped.remote()
    x = actor.wait_long.remote(gate.arrive)
    wait_until(lambda: gate.arrived("in"))
    ray.cancel(x)
    if catches:
        assert ray.get(x) is None
    else:
        with pytest.raises(TaskCancelledError):
            ray.get(x)
    assert ray.get(actor.get.remote()) == ["begun"]
    kill(actor)
    assert ray.get(actor.get.remote()) == ["begun"] and len(gate.arrived("in")) == 1


def test_a_failing_save_fails_no_call(says, fresh):
    fresh.init(num_cpus=2)

    @ray.remote(checkpoint_interval=2)
    class Unsaved(Ledger):
        def __ray_save__(self):
            raise OSError("nowhere to save it")

    actor = Unsaved.remote()
    assert ray.get([actor.note.remote(number) for number in range(5)]) == [1, 2, 3, 4, 5]
    kill(actor)
    assert ray.get(actor.get.remote()) == list(range(5))
    says("OSError: nowhere to save it")
    says("ray_lite: a checkpoint of the actor")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_whatever_a_save_raises_fails_no_call(says, fresh, error):
    fresh.init(num_cpus=2)

    @ray.remote(checkpoint_interval=1)
    class Unsaved(Ledger):
        def __ray_save__(self):
            raise error

    actor = Unsaved.remote()
    pid = ray.get(actor.pid.remote())
    assert ray.get([actor.note.remote(number) for number in range(5)]) == [1, 2, 3, 4, 5]
    assert ray.get(actor.pid.remote()) == pid
    says(error.__name__)


def test_a_save_that_ends_its_actor(actors):
    @ray.remote(checkpoint_interval=2)
    class Leaver(Ledger):
        def __ray_save__(self):
            ray.exit_actor()

    actor = Leaver.remote()
    assert ray.get(actor.note.remote(1)) == 1 and ray.get(actor.note.remote(2)) == 2
    with pytest.raises(RayActorError, match="ended itself by exit_actor"):
        ray.get(actor.note.remote(3))


@pytest.mark.parametrize("leave", [lambda: ray.exit_actor(), lambda: sys.exit(3), lambda: signal.raise_signal(signal.SIGABRT)])
def test_a_restoration_that_ends_its_process(session, leave):
    """It runs once if it can be stopped, else as often as the actor may come back."""
    @ray.remote(checkpoint_interval=1, max_restarts=2)
    class Unrestored(Ledger):
        def __ray_restore__(self, state):
            leave()

    actor = Unrestored.remote()
    ray.get([actor.note.remote(1), actor.__ray_checkpoint__.remote()])
    kill(actor)
    with pytest.raises(RayActorError, match=r"could not be restored|may come back 2 times"):
        ray.get(actor.get.remote())


def test_a_failing_restoration_ends_the_actor(says, fresh):
    fresh.init(num_cpus=2)

    @ray.remote(checkpoint_interval=1)
    class Unrestored(Ledger):
        def __ray_restore__(self, state):
            raise LookupError("what was it")

    actor = Unrestored.remote()
    ray.get(actor.note.remote(1))
    kill(actor)
    for _ in range(2):
        with pytest.raises(RayActorError, match="could not be restored: LookupError: what was it") as caught:
            ray.get(actor.get.remote())
        assert isinstance(caught.value, LookupError) and isinstance(caught.value.cause, LookupError)
    says("ray_lite: the restoration of the actor")


def test_a_checkpoint_starts_the_count_of_restarts_again(session):
    actor = saving(2, max_restarts=1).remote()
    for number in range(0, 10, 2):
        ray.get([actor.note.remote(number), actor.note.remote(number + 1)])
        kill(actor)
    assert ray.get(actor.get.remote()) == list(range(10))


def test_its_own_handle_does_not_keep_it_alive(session, wait_until, worker_pids):
    """In an argument of a call that may run again, and in its checkpoint."""
    for interval in (100, 1):
        actor = saving(interval).remote()
        ray.get(actor.keep.remote({"me": actor}))
        assert ray.get(actor.note.remote(1)) == 1
        del actor
        wait_until(lambda: ray.global_state.actors() == [], what="the end of the actor")


def test_handles_that_others_have_keep_it_alive(session):
    holder, actor = saving(100).remote(), saving(100).remote()
    ray.get([holder.keep.remote({"other": actor}), actor.note.remote(1)])
    name = actor._ray_actor_id.hex()
    del actor
    kill(holder)
    assert ray.get(holder.note.remote(2)) == 1
    assert name in [row["ActorID"] for row in ray.global_state.actors()]


def test_large_arguments_and_checkpoints_are_objects_that_end(session, statistics, wait_until):
    actor = saving(5).remote()
    for number in range(4):
        ray.get(actor.note.remote(np.full(100_000, number)))
    assert statistics().bytes_used > 3_000_000
    kill(actor)
    assert [int(array[0]) for array in ray.get(actor.get.remote())] == [0, 1, 2, 3]
    ray.get([actor.note.remote(5) for _ in range(5)] + [actor.__ray_checkpoint__.remote()])
    wait_until(lambda: statistics().tasks <= 1, what="the end of the past calls")
    ray.kill(actor)
    del actor
    wait_until(lambda: statistics().tasks == 0 and statistics().objects == 0, what="the end of its checkpoint")
    assert statistics().bytes_used < 100_000


def test_what_is_restored_can_be_changed(session):
    @ray.remote(checkpoint_interval=1)
    class Vector:
        def __init__(self):
            self.x = np.zeros(1000)

        def add(self, by):
            self.x += by
            return float(self.x.sum()), os.getpid()

    vector = Vector.remote()
    _, pid = ray.get(vector.add.remote(1))
    os.kill(pid, signal.SIGKILL)
    total, again = ray.get(vector.add.remote(1))
    assert total == 2000 and again != pid


def test_too_many_calls_to_keep(says, fresh, monkeypatch):
    monkeypatch.setenv("RAY_LITE_KEPT_CALLS", "20")

    @ray.remote(checkpoint_interval=1000)
    class Unsaved(Ledger):
        saves = 0

        def __ray_save__(self):
            if self.saves == 0:
                raise OSError("no")
            return self.seen

        def __ray_restore__(self, seen):
            self.seen = seen

        def let(self):
            self.saves = 1

    fresh.init(num_cpus=2)
    lost, saved = Unsaved.remote(), Unsaved.remote()
    ray.get([lost.note.remote(number) for number in range(30)])
    ray.get([saved.note.remote(number) for number in range(30)])
    ray.get([saved.let.remote(), saved.__ray_checkpoint__.remote()])
    kill(lost)
    kill(saved)
    assert ray.get(saved.get.remote()) == list(range(30))
    with pytest.raises(RayActorError, match="calls since its last checkpoint were too many to keep"):
        ray.get(lost.get.remote())
    says("can't be restored before its next checkpoint: its 20 calls")
