"""Limits of an actor's pending calls: a call raises, or waits for room."""

import os
import signal
import threading

import pytest
from tools import Tools

import ray_lite as ray
from ray_lite.exceptions import PendingCallsLimitExceeded, RayActorError


@pytest.fixture
def session(fresh):
    fresh.init(num_cpus=2)
    return fresh


def test_pending_calls_are_limited(session, gate):
    actor, wait = ray.remote(max_pending_calls=3)(Tools).remote(), gate.wait
    ray.get(actor.pid.remote())
    held = actor.hold.remote(wait)
    ray.wait([held], timeout=50)
    calls = [actor.note.remote(number) for number in range(2)]
    with pytest.raises(PendingCallsLimitExceeded, match="max_pending_calls"):
        for _ in range(3):
            calls.append(actor.note.remote("one too many"))
    gate.open()
    ray.get([held, *calls])
    assert ray.get(actor.note.remote("room")) == "room"


def test_the_constructor_is_no_pending_call(session, gate):
    class Slow(Tools):
        def __init__(self, wait):
            super().__init__()
            wait()

    actor = ray.remote(max_pending_calls=1)(Slow).remote(gate.wait)
    assert ray.global_state.actors()[0]["CallsQueued"] == 0
    first = actor.note.remote(1)
    with pytest.raises(PendingCallsLimitExceeded):
        actor.note.remote(2)
    gate.open()
    assert ray.get(first) == 1


# ---------------------------------------------------------------- deaths


def test_calls_wait_while_too_many_are_pending(session, gate, wait_until):
    """Each returns once there is room for it; one that the actor makes to itself raises."""
    patient = ray.remote(max_pending_calls=3, on_full="wait")(Tools)
    actor, made = patient.remote(), []
    held = actor.hold.remote(gate.wait)
    wait_until(lambda: ray.global_state.actors()[0]["CallsQueued"] == 0)

    def call():
        for number in range(200):
            made.append(actor.note.remote(number))

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: len(made) == 3)
    assert not thread.join(0.05) and len(made) == 3 and ray.global_state.actors()[0]["CallsQueued"] == 3
    gate.open()
    thread.join(20)
    assert ray.get(held) == "held" and ray.get(made) == list(range(200)) and ray.get(actor.get.remote()) == list(range(200))


def test_waiting_for_an_actor_that_dies(session, gate, wait_until):
    actor = ray.remote(max_pending_calls=1, on_full="wait")(Tools).remote()
    pid = ray.get(actor.pid.remote())
    actor.hold.remote(gate.wait)
    wait_until(lambda: ray.global_state.actors()[0]["CallsQueued"] == 0)
    queued, late = actor.note.remote(1), []
    thread = threading.Thread(target=lambda: late.append(actor.note.remote(2)))
    thread.start()
    os.kill(pid, signal.SIGKILL)
    thread.join(20)
    for x in (queued, *late):
        with pytest.raises(RayActorError, match="SIGKILL"):
            ray.get(x)
    assert late


def test_an_actor_does_not_wait_for_itself(session):
    @ray.remote(max_pending_calls=1, on_full="wait")
    class Own:
        def call(self):
            me = ray.current_actor()
            me.nothing.remote()
            with pytest.raises(PendingCallsLimitExceeded):
                me.nothing.remote()
            return "raised"

        def nothing(self):
            return None

    assert ray.get(Own.remote().call.remote()) == "raised"


@pytest.mark.parametrize("kind", ["results", "no results", "late arguments"])
def test_tasks_wait_with_their_cpus_given_back(fresh, kind):
    """The actor needs one, and so does the task that makes an argument."""
    fresh.init(num_cpus=1)
    actor = ray.remote(max_pending_calls=2, on_full="wait")(Tools).remote()

    @ray.remote
    def late(number):
        return number

    @ray.remote
    def call(actor):
        note = actor.note.options(num_return_vals=0 if kind == "no results" else 1)
        for number in range(30):
            note.remote(late.remote(number) if kind == "late arguments" else number)
        return ray.get(actor.get.remote())

    assert ray.get(call.remote(actor), timeout=30) == list(range(30))
