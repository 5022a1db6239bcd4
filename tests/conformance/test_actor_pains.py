"""What users of actors have asked for elsewhere: a test for each wish, from the story of a death to the end of a generator."""

import atexit
import gc
import os
import pickle
import signal
import time

import pytest
from ledgers import Ledger, kill, saving

import ray_lite as ray
from ray_lite.exceptions import DeadlockError, PendingCallsLimitExceeded, RayActorError, TaskCancelledError


@pytest.fixture
def session(fresh):
    fresh.init(num_cpus=2)
    return fresh


def test_1_a_death_tells_who_and_why(session):
    class Chatty:
        def die(self):
            os.write(2, b"the last line\n")
            os.kill(os.getpid(), signal.SIGSEGV)

    story = r"actor \S*Chatty is dead: its process \(pid \d+\) was killed by signal 11 \(SIGSEGV\) while it ran \S*Chatty\.die"
    with pytest.raises(RayActorError, match=rf"{story}(?s:.*)the last line"):
        ray.get(ray.remote(Chatty).remote().die.remote())


def test_2_the_constructors_exception_is_the_cause_of_each_call(actors, tmp_path):
    class Broken:
        def __init__(self):
            with open(tmp_path / "lives", "a") as file:
                file.write("x")
            raise LookupError("no such model")

        def method(self):
            return 1

    broken = ray.remote(max_restarts=5)(Broken).remote()
    for _ in range(3):
        with pytest.raises(LookupError, match="no such model") as caught:
            ray.get(broken.method.remote())
        assert isinstance(caught.value, RayActorError) and isinstance(caught.value.cause, LookupError)
        assert "in __init__" in str(caught.value) and "Broken is dead: its constructor failed" in str(caught.value)
    assert (tmp_path / "lives").read_text() == "x", "only the death of a process is answered by another one"


def test_3_calls_of_one_caller_keep_their_order(actors):
    @ray.remote(num_cpus=0)
    def call(actor, name):
        return ray.get([actor.note.remote((name, number)) for number in range(50)])

    actor = ray.remote(Ledger).remote()
    late = ray.remote(num_cpus=0)(lambda: time.sleep(0.1) or ("driver", 0)).remote()
    own = [actor.note.remote(late), *(actor.note.remote(("driver", number)) for number in range(1, 50))]
    ray.get([*own, *(call.remote(actor, name) for name in "ab")])
    seen = ray.get(actor.get.remote())
    for name in ("driver", "a", "b"):
        assert [number for one, number in seen if one == name] == list(range(50))


@pytest.mark.parametrize("kind", ["threads", "coroutines"])
def test_3_a_late_argument_holds_back_no_concurrent_call(session, gate, kind):
    class Several:
        def plain(self, x):
            return x

        async def coroutine(self, x):
            return x

    cls = ray.remote(max_concurrency=2)(Several)
    actor = cls.remote()
    method = actor.plain if kind == "threads" else actor.coroutine
    late = ray.remote(num_cpus=0)(lambda wait: wait() or "late").remote(gate.wait)
    held = method.remote(late)
    assert ray.get(method.remote("ready"), timeout=20) == "ready"
    gate.open()
    assert ray.get(held) == "late"


def test_4_actors_start_at_once(session):
    """Elsewhere four take a second."""
    cls = ray.remote(Ledger)
    ray.get(cls.remote().pid.remote())
    began = time.monotonic()
    pids = ray.get([cls.remote().pid.remote() for _ in range(20)])
    assert len(set(pids)) == 20 and time.monotonic() - began < 2


def test_5_who_waits_for_an_actors_resources_is_told(fresh, monkeypatch, capfd, wait_until):
    monkeypatch.setenv("RAY_LITE_HELD_NOTE", "0.3")
    fresh.init(num_cpus=1)
    holder = ray.remote(num_cpus=1)(Ledger).options(name="holder").remote()
    pid, told = ray.get(holder.pid.remote()), []
    late = ray.remote(num_cpus=1)(Ledger).remote()
    wait_until(lambda: told.append(capfd.readouterr().err) or "".join(told).count("\n"), what="a line on stderr")
    assert "actor Ledger" in "".join(told) and "has waited for 0.3 s for 1 CPU" in "".join(told)
    assert "'holder'" in "".join(told) and f"pid {pid}" in "".join(told)
    ray.kill(holder)
    assert ray.get(late.note.remote(1)) == 1


def test_6_an_actor_lives_while_there_are_handles_or_calls(actors, wait_until):
    class Maker:
        def make(self):
            return ray.remote(Ledger).remote("made")

        def keep(self, me):
            self.me = me

    maker = ray.remote(Maker).remote()
    assert ray.get(ray.get(maker.make.remote()).get.remote()) == ["made"]
    assert ray.get(ray.remote(Ledger).remote("temporary").get.remote()) == ["temporary"]
    ray.get(maker.keep.remote(ray.put([maker])))
    del maker
    wait_until(lambda: gc.collect() is not None and not ray.global_state.actors(), what="the end, though it has its own handle")


def test_7_handles_can_be_pickled_anywhere(actors):
    class Own:
        def me(self):
            return pickle.dumps(ray.current_actor()), [ray.current_actor()]

        def hello(self):
            return "hello"

    own = ray.remote(Own).remote()
    by_pickle, (by_value,) = ray.get(own.me.remote())
    assert pickle.loads(by_pickle) == by_value == pickle.loads(pickle.dumps(own)) == own
    assert ray.get([by_value.hello.remote(), pickle.loads(by_pickle).hello.remote()]) == ["hello"] * 2

    @ray.remote
    def call(bound):
        return ray.get(bound.remote())

    assert ray.get(call.remote(own.hello)) == "hello"


@pytest.mark.parametrize("end", ["kill", "exit", "error", "handle"])
def test_8_a_name_is_free_as_soon_as_its_actor_is_dead(actors, end, wait_until):
    class Named:
        def __init__(self, fails=False):
            if fails:
                raise ValueError("no")

        def leave(self):
            ray.exit_actor()

        def hello(self):
            return "hello"

    cls = ray.remote(Named).options(name="service")
    actor = cls.remote(end == "error")
    if end == "error":
        with pytest.raises(RayActorError):
            ray.get(actor.hello.remote())
    else:
        with pytest.raises(ValueError, match="'service' already"):
            cls.remote()
        assert cls.options(get_if_exists=True).remote() == actor
    if end == "kill":
        ray.kill(actor)
    elif end == "exit":
        actor.leave.remote()
        with pytest.raises(RayActorError):
            ray.get(actor.hello.remote())
    elif end == "handle":
        del actor
        wait_until(lambda: not ray.global_state.actors(), what="the end of the actor")
    assert ray.get(cls.remote().hello.remote()) == "hello"


@pytest.mark.parametrize("end", ["handle", "exit", "shutdown", "kill"])
def test_9_graceful_ends_run_the_hook_and_the_exit_handlers(session, tmp_path, wait_until, end):
    class Tidy:
        def __init__(self):
            atexit.register(lambda: (tmp_path / "atexit").touch())

        def pid(self):
            return os.getpid()

        def leave(self):
            ray.exit_actor()

        def __ray_shutdown__(self):
            (tmp_path / "hook").touch()

    tidy = ray.remote(Tidy).remote()
    pid = ray.get(tidy.pid.remote())
    if end == "exit":
        ray.get(tidy.leave.remote())
    elif end == "kill":
        ray.kill(tidy)
    elif end == "shutdown":
        session.shutdown()
    del tidy
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the end of the process")
    assert sorted(os.listdir(tmp_path)) == ([] if end == "kill" else ["atexit", "hook"])


def test_10_a_restart_loses_no_state_or_says_which_call_was_lost(session):
    saved, plain = saving(5).remote(), ray.remote(max_restarts=1)(Ledger).remote()
    ray.get([actor.note.remote(number) for actor in (saved, plain) for number in range(7)])
    kill(saved)
    assert ray.get(saved.get.remote()) == list(range(7))
    with pytest.raises(RayActorError, match="the call Ledger.end_process was lost.*the actor comes back") as caught:
        ray.get(plain.end_process.remote(7))
    assert caught.value.lost and ray.get(plain.get.remote()) == []


def test_11_waits_in_actors_block_nobody_for_ever(fresh):
    fresh.init(num_cpus=1)

    class Asks:
        def name(self):
            return "asks"

        def own(self):
            return ray.get(ray.current_actor().name.remote())

        def ask(self, other):
            return ray.get(other.name.remote())

    first, second = ray.remote(Asks).remote(), ray.remote(Asks).remote()
    assert ray.get(first.ask.remote(second)) == "asks", "there is one CPU for two methods"
    with pytest.raises(DeadlockError, match=r"Asks\.own waits for \S*Asks\.name"):
        ray.get(first.own.remote())


def test_12_calls_are_cancelled_without_harm_to_the_actor(session, gate, wait_until):
    class Slow:
        def spin(self, arrive):
            arrive("in")
            while True:
                pass

        def hello(self):
            return "hello"

    slow = ray.remote(Slow).remote()
    running, queued, later = slow.spin.remote(gate.arrive), slow.hello.remote(), slow.hello.remote()
    wait_until(lambda: gate.arrived("in"))
    with pytest.raises(ValueError, match=r"ray_lite\.kill"):
        ray.cancel(running, force=True)
    for x in (queued, running):
        ray.cancel(x)
        with pytest.raises(TaskCancelledError):
            ray.get(x)
    assert ray.get(later) == "hello"


@pytest.mark.parametrize("choice", ["raise", "wait"])
def test_13_the_queue_is_bounded(session, gate, choice):
    actor = ray.remote(max_pending_calls=2, on_full=choice)(Ledger).remote()
    if choice == "raise":
        held = actor.hold.remote(gate.arrive, gate.wait, "held")
        with pytest.raises(PendingCallsLimitExceeded, match="max_pending_calls"):
            for number in range(4):
                actor.note.remote(number)
        gate.open()
        assert ray.get(held) == "held"
    else:
        assert ray.get([actor.note.remote(number) for number in range(100)]) == list(range(1, 101))


def test_14_plain_methods_do_not_block_the_loop(session, gate, wait_until):
    class Mixed:
        async def quick(self):
            return "quick"

        def slow(self, arrive, wait):
            arrive("in")
            wait()
            return "slow"

    mixed = ray.remote(Mixed).remote()
    slow = mixed.slow.remote(gate.arrive, gate.wait)
    wait_until(lambda: gate.arrived("in"))
    assert ray.get([mixed.quick.remote() for _ in range(100)], timeout=20) == ["quick"] * 100
    gate.open()
    assert ray.get(slow) == "slow"


@pytest.mark.parametrize("is_async", [False, True])
def test_15_a_generator_is_refused_where_it_is_decorated(is_async):
    """Until its values can come one by one: none is gathered behind the user's back."""
    class Plain:
        def values(self):
            yield 1

    class Async:
        async def values(self):
            yield 1

    with pytest.raises(TypeError, match="generator"):
        ray.remote(Async if is_async else Plain)
