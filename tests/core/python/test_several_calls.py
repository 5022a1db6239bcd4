"""several_calls.pyx, running_call.pyx, and what they do in the tables: calls that run at a time and end in any order."""

import contextvars
import itertools
import os
import sys
import threading
import time

import pytest

from ray_lite import _core

CPU = 10_000
TURN_NS = 2_000_000
STAY_NS = 20_000_000_000  # longer than anybody's patience


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_calls_end_in_any_order(cast, order):
    one = cast()
    ids = one.calls("note", "note", "note", "note")

    def act(stage):
        running = [stage.take() for _ in range(3)]
        assert stage.take() is None, "more may not run at a time"
        for k in order:
            stage.end(running[k], k)
        stage.end(stage.take(), 3)
        assert stage.take(rests=True) is None

    assert one.play(act).wait() == 0
    assert [one.crew.calls.get(x) for x in ids] == [0, 1, 2, 3]
    one.crew.region.check()


def test_a_thread_that_ends_a_call_takes_the_next_in_the_same_step(cast):
    one = cast(most=2)
    one.calls("note", "note", "note")

    def act(stage):
        first, second = stage.take(), stage.take()
        assert stage.take(rests=True) is None
        first.store(1)
        third = stage.take(first)
        assert third is not None and third.record != second.record
        stage.end(second)
        stage.end(third)

    assert one.play(act).wait() == 0


def test_who_does_not_wait_for_the_bell_leaves_it_to_the_one_who_does(cast, wait_until):
    """A call that comes rings the bell though another thread has taken one meanwhile."""
    one = cast(most=3)
    one.calls("hold", "hold", "note")
    came, comes = os.pipe()

    def act(stage):
        first, second, third = stage.take(), stage.take(), stage.take()
        assert stage.take(rests=True) is None
        seen = _core.bell(stage.region)
        first.store(1)
        assert stage.take(first) is None
        os.write(comes, b"x")
        _core.await_bell(stage.region, seen, STAY_NS)
        fourth = stage.take(rests=True)
        assert fourth is not None
        for call in (second, third, fourth):
            stage.end(call)

    child = one.play(act)
    os.read(came, 1)
    begun = time.monotonic()
    one.calls("note")
    assert child.wait() == 0 and time.monotonic() - begun < 10
    for file in (came, comes):
        os.close(file)


def test_cpus_are_free_only_while_all_calls_wait(cast):
    one = cast(needs=CPU)
    one.calls("note", "note", "note")

    def act(stage):
        first, second = stage.take(), stage.take()
        seen = []

        def wait(inside=lambda: True, calls=1):
            return _core.while_thread_waits(stage.region, True, inside, calls)

        def look():
            stage.region.check()
            seen.append(stage.free())
            return True

        wait(look)
        wait(lambda: wait(look))
        assert seen == [1, 2] and stage.free() == 1
        wait(look, calls=2)
        wait(lambda: wait(lambda: stage.take() is not None and look()))  # a third one has begun: it works
        assert seen[2:] == [2, 1]
        wait(lambda: look() and (stage.end(first), look()))  # neither the one that ended nor the third waits
        assert seen[4:] == [1, 1]
        wait(lambda: wait(lambda: look(), 0))  # a thread that belongs to no call
        assert seen[6:] == [1]
        del second

    assert one.play(act).wait() == 0


def test_the_end_of_a_call_leaves_the_others_waiting(cast):
    one = cast(needs=CPU)
    one.calls("note", "note")

    def act(stage):
        first, second = stage.take(), stage.take()
        seen = []

        def inside():
            seen.append(stage.free())
            stage.end(first)
            seen.append(stage.free())
            return True

        _core.while_thread_waits(stage.region, True, inside, 1)
        assert (seen, stage.free()) == ([1, 2], 1)
        stage.end(second)
        assert stage.take(rests=True) is None and stage.free() == 2

    assert one.play(act).wait() == 0


@pytest.mark.parametrize("options", [{"needs": CPU}, {"holds": CPU}])
@pytest.mark.parametrize("waiting", [0, 1, 2])
def test_a_death_while_calls_wait(cast, options, waiting):
    one = cast(**options)
    one.calls("note", "note")
    ready, tell = os.pipe()

    def act(stage):
        stage.take(), stage.take()

        def inside():
            os.write(tell, b"x")
            time.sleep(60)

        _core.while_thread_waits(stage.region, True, inside, waiting)

    one.play(act)
    os.read(ready, 1)
    one.crew.region.check()
    one.crew.kill(one.crew.of(one.handle))
    one.crew.region.check()
    assert one.crew.region.statistics()["cpus_free"] == 2
    for file in (ready, tell):
        os.close(file)


@pytest.mark.parametrize("options", [{"needs": CPU}, {"holds": CPU}])
def test_cpus_of_an_actor_are_lent_if_some_of_its_calls_wait(cast, options):
    one = cast(cpus=CPU, **options)
    one.calls("note", "note")
    ready, tell = os.pipe()
    go_on, lent = os.pipe()
    region = one.crew.region

    def act(stage):
        first, second = stage.take(), stage.take()

        def inside():
            os.write(tell, b"x")
            os.read(go_on, 1)
            assert stage.free() == 1
            return True

        _core.while_thread_waits(stage.region, True, inside, 1)
        assert stage.free() == 0, "the loan ends with the wait"
        stage.end(first), stage.end(second)

    child = one.play(act)
    os.read(ready, 1)
    assert region.statistics()["cpus_free"] == 0
    assert _core.waiting_workers(region)[3:5] == (0, 1), "no worker is blocked, and the CPUs of one process can be lent"
    assert _core.lend_cpus(region) == CPU and region.statistics()["cpus_free"] == 1
    region.check()
    os.write(lent, b"x")
    assert child.wait() == 0
    for file in (ready, tell, go_on, lent):
        os.close(file)


def test_a_cancelled_call_is_marked_alone_and_its_process_hears_the_bell(cast):
    one = cast()
    ids = one.calls("note", "note", "note")
    ready, tell = os.pipe()
    go_on, cancelled = os.pipe()

    def act(stage):
        running = [stage.take() for _ in range(3)]
        seen = _core.bell(stage.region)
        os.write(tell, b"x")
        _core.await_bell(stage.region, seen, STAY_NS)
        assert [call.is_cancelled for call in running] == [False, True, False]
        running[1].told()
        assert [call.is_cancelled for call in running] == [False] * 3
        assert [call.was_told for call in running] == [False, True, False]
        os.read(go_on, 1)

    child = one.play(act)
    os.read(ready, 1)
    region = one.crew.region
    assert _core.cancel(region, *_core.task_of(region, ids[1]), False) == 2
    assert _core.cancel_marks(region) == [], "no signal is needed"
    os.write(cancelled, b"x")
    assert child.wait() == 0
    for file in (ready, tell, go_on, cancelled):
        os.close(file)


def test_calls_have_ids_and_parents_of_their_own(cast):
    one = cast()
    one.calls("note", "note")

    def act(stage):
        calls = stage.take(), stage.take()
        contexts = [contextvars.Context() for _ in calls]
        for context, call in zip(contexts, calls, strict=True):
            context.run(call.enter)
        ids = [context.run(_core.next_put_id) for context in contexts for _ in range(100)]
        assert _core.running_call() is None and contexts[1].run(_core.running_call) is calls[1]
        assert [context.run(_core.current_task)[0] for context in contexts] == [call.record for call in calls]
        assert [context.run(_core.current_attempt) for context in contexts] == [1, 1]
        copied = contexts[0].copy()
        thread = threading.Thread(target=copied.run, args=(lambda: ids.extend(_core.next_put_id() for _ in range(100)),))
        plain = threading.Thread(target=lambda: ids.extend(_core.next_put_id() for _ in range(100)))
        for started in (thread, plain):
            started.start()
            started.join()
        ids += [contexts[0].run(_core.next_put_id) for _ in range(100)]
        assert len(set(ids)) == 500

    assert one.play(act).wait() == 0


def test_an_interrupt_strikes_the_frame_that_was_seen_or_nothing(cast):
    one = cast()
    one.calls("note")

    class Stop(Exception):
        pass

    def act(stage):
        call = stage.take()
        assert call.frame() is None and not call.runs_here
        inside, seen, went_on = threading.Event(), [], threading.Event()

        def user():
            assert call.runs_here
            inside.set()
            while not went_on.is_set():
                pass

        def run():
            try:
                call.call(user, (), {})
            except Stop as error:
                seen.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        inside.wait()
        deadline = time.monotonic() + 10
        while call.frame().f_code is not user.__code__:
            assert time.monotonic() < deadline
        assert not call.interrupt(act.__code__, Stop), "another frame"
        while not call.interrupt(call.frame(), Stop):
            assert time.monotonic() < deadline
        thread.join(10)
        assert len(seen) == 1 and call.frame() is None and not call.interrupt(None, Stop)

        assert call.call(call.interrupt, (sys._getframe(), Stop), {}) is True
        sum(range(1000))  # what comes when the function has ended strikes nothing

    assert one.play(act).wait() == 0


def test_nothing_begins_after_the_end(cast):
    one = cast()
    one.calls("note", "note")

    def act(stage):
        first = stage.take()
        assert _core.may_take_calls(stage.worker)
        seen = _core.bell(stage.region)
        stage.crew.methods.region = stage.region
        stage.crew.methods.leave()
        _core.await_bell(stage.region, seen, STAY_NS)
        assert not _core.may_take_calls(stage.worker) and stage.take(rests=True) is None
        first.store(5)
        assert stage.take(first) is None, "but it has ended"

    assert one.play(act).wait() == 0
    actor = one.crew.of(one.handle)
    one.crew.bury(actor, one.crew.processes.pop(actor)[1])
    one.crew.region.check()


def test_several_returns_and_arguments(cast):
    one = cast()
    x = one.crew.call(one.handle, "note", 1, "two")

    def act(stage):
        call = stage.take()
        args, kwargs = call.arguments()
        assert (args, kwargs) == ((1, "two"), {}) and call.several(3) == 3
        stage.end(call, call.call(call.function(), args, kwargs))

    assert one.play(act).wait() == 0
    assert one.crew.calls.get(x) == 2


def test_nobody_makes_a_call_of_his_own():
    with pytest.raises(TypeError, match="only take_call"):
        _core.RunningCall()
