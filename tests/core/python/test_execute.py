"""The worker's loop: arguments and results of both paths, failures, helping in place, and what `place` makes of ids."""

import signal

import pytest

from ray_lite import _core

CPU = 10_000
BOX = {}  # in a worker: its region, its loop, and the calls


@pytest.fixture
def session(make_region, tasks, worker):
    """`session(functions, workers=1, ...)`: the calls; functions find their worker in BOX."""
    made = []

    def make(functions, workers=1, **sizes):
        region = make_region(**sizes)
        calls = tasks(region, functions)

        def work(region):
            BOX.update(region=region, calls=calls, loop=_core.Worker(region, calls.runner(region)))
            while not _core.is_closing(region):
                BOX["loop"].run(20_000, 2_000_000_000)

        calls.start = lambda: children.append(worker(region, work)[0])
        children = []
        made.append((region, children))
        for _ in range(workers):
            calls.start()
        return calls

    yield make
    for region, children in made:
        _core.close_session(region)
        assert [child.wait() for child in children] == [0] * len(children)
        region.check()
        assert region.statistics()["longest_section"] <= 64


def test_plain_values_go_and_come_without_the_runner(session):
    calls = session({"echo": lambda *args: args})
    args = (1, "a", b"b", None)
    assert calls.get(calls.call("echo")(*args)) == args


def test_stored_results_come_through_the_runner(session):
    calls = session({"large": lambda n: b"x" * n})
    x = calls.call("large")(5000)
    assert bytes(calls.get(x)[1]) == b"x" * 5000


def test_stored_arguments_come_through_the_runner(session):
    calls = session({"large": lambda n: b"x" * n, "length": len})
    assert calls.get(calls.call("length")(calls.call("large")(5000))) == 5000


def test_failures_are_stored_and_the_worker_goes_on(session):
    def fail(kind):
        raise {"value": ValueError, "exit": SystemExit, "stop": KeyboardInterrupt}[kind](kind)

    calls = session({"fail": fail, "echo": lambda x: x})
    for kind in ("value", "exit", "stop"):
        error, stream, _ = calls.get(calls.call("fail")(kind))
        assert error and kind in bytes(stream).decode()
    assert calls.get(calls.call("echo")(1)) == 1


def test_a_failing_argument_is_no_crash(session):
    """The object of the first is an error; the runner's load gives its stream."""

    def fail(x):
        raise ValueError(x)

    calls = session({"fail": fail, "kind": lambda x: type(x).__name__})
    assert calls.get(calls.call("kind")(calls.call("fail")(1))) == "bytes"


def test_a_waiting_task_runs_what_it_waits_for(session):
    """One CPU and one worker: without helping, this could never end."""

    def fib(n):
        if n < 2:
            return n
        ids = [BOX["calls"].call("fib")(n - k) for k in (1, 2)]
        for x in ids:
            while _core.lacking(BOX["region"], [x]):
                assert BOX["loop"].run_inline(x)
        return sum(_core.get_ready(BOX["region"], x) for x in ids)

    calls = session({"fib": fib}, cpus=CPU)
    assert calls.get(calls.call("fib")(10)) == 55


def test_helping_walks_to_the_first_ready_descendant(session):
    """The awaited task is not READY: what it waits for is run first."""

    def outer(n):
        calls, loop = BOX["calls"], BOX["loop"]
        x = calls.call("add")(0)
        for _ in range(n):
            x = calls.call("add")(x)
        runs = 0
        while _core.lacking(BOX["region"], [x]):
            assert loop.run_inline(x)
            runs += 1
        return [runs, _core.get_ready(BOX["region"], x)]

    calls = session({"outer": outer, "add": lambda x: x + 1}, cpus=CPU)
    assert calls.get(calls.call("outer")(20)) == [21, 21]


def test_nobody_helps_with_strangers_or_against_their_wish(session):
    """A task submitted by another, and one that opted out."""

    def outer(x):
        stranger = _core.ObjectID(x)
        _core.resolve_all(BOX["region"], [stranger])
        own = BOX["calls"].call("add", flags=_core.NO_INLINE)(1)
        return [BOX["loop"].run_inline(stranger), BOX["loop"].run_inline(own)]

    calls = session({"outer": outer, "add": lambda x: x + 1}, workers=0, cpus=CPU)
    stranger = calls.call("add", cpus=2 * CPU)(5)  # never fits: it stays READY
    x = calls.call("outer")(stranger.binary())
    calls.start()
    assert calls.get(x) == [False, False]


def test_ids_of_a_task_repeat_when_it_runs_again(session):
    """They derive from the task, its attempt and the order, not from the process."""

    def ids(n):
        return b"".join(_core.next_put_id() for _ in range(n))[:35]

    calls = session({"ids": ids}, workers=2)
    _core.set_root(b"the root of a driver")
    first = [calls.get(calls.call("ids")(k)) for k in range(1, 6)]
    _core.set_root(b"the root of a driver")
    assert first == [calls.get(calls.call("ids")(k)) for k in range(1, 6)]
    assert len(set(first)) == 5


def test_the_current_task_is_known_inside_only(session):
    calls = session({"current": lambda: list(_core.current_task())})
    assert _core.current_task() == (0, 0)
    record, serial = calls.get(calls.call("current")())
    assert record > 0


def test_facts_of_a_record(session, bury, worker, wait_until):
    calls = session({"stuck": lambda x: signal.pause()}, workers=0)
    child, slot = worker(calls.region, calls.worker)
    x = calls.call("stuck", nreturns=2, retries=7)(1)
    wait_until(lambda: calls.region.statistics()["cpus_free"] < 2, what="the task runs")
    child.kill()
    _core.begin_sweep(calls.region, slot)
    t, complete = _core.adopt_task(calls.region, slot)
    facts = _core.task_facts(calls.region, t)
    assert not complete and calls.by_index[facts[0]] == "stuck"
    assert facts[2:5] == (1, 7, 2)
    assert _core.task_returns(calls.region, t) == [_core.object_index(y) for y in x]
    for i in _core.task_returns(calls.region, t):
        _core.fill_object(calls.region, i, _core.ERROR, (b"crashed", [], [], []))
    _core.finish_task(calls.region, t)
    _core.end_sweep(calls.region, slot)
    assert [calls.get(y)[0] for y in x] == [True, True]


def test_a_task_that_is_interrupted_on_the_way_into_it_is_queued_again(session):
    def raises():
        raise LookupError("a signal handler's")

    def outer():
        loop, x = BOX["loop"], BOX["calls"].call("attempt")()
        with pytest.raises(LookupError):
            loop.run_inline(x, raises)
        return [loop.run_inline(x), _core.get_ready(BOX["region"], x)]

    calls = session({"outer": outer, "attempt": _core.current_attempt}, cpus=CPU)
    assert calls.get(calls.call("outer")()) == [True, 1]


def test_a_task_that_ends_as_the_session_closes_is_sealed(session):
    """Somebody may wait for it in one that has a while to end."""
    calls = session({"close": lambda: _core.close_session(BOX["region"])})
    assert calls.get(calls.call("close")(), 5000) is None


def test_what_can_be_helped_is_found_among_what_can_not(session):
    def outer():
        region, calls = BOX["region"], BOX["calls"]
        ids = [calls.call("add", flags=_core.NO_INLINE)(k) for k in range(100)]
        ids += [calls.call("add")(k) for k in range(2)]
        found = [_core.find_inline(region, ids, 0, 64), _core.find_inline(region, ids, 64, 1 << 40)]
        assert BOX["loop"].run_inline(ids[100])
        return [*found, _core.find_inline(region, ids, 64, 1 << 40), _core.find_inline(region, ids, 102, 64)]

    calls = session({"outer": outer, "add": lambda x: x + 1}, cpus=CPU)
    assert calls.get(calls.call("outer")()) == [64, 100, 101, 102]
