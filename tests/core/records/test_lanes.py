"""lanes.pyx: calls behind one that lacks arguments wait for it, in order, and no other caller does."""

from ray_lite import _core


def test_a_call_that_lacks_an_argument_holds_up_its_caller_alone(company):
    """The later calls of the same caller wait behind it; those of a task, which is another caller, do not."""
    crew = company()
    handle = crew.create()
    crew.start()
    crew.calls.get(crew.call(handle, "note", 0))
    late = crew.late()
    first = crew.call(handle, "note", after=[late])
    second = crew.call(handle, "note", 2)
    assert crew.facts(handle)["lanes"] == 1
    other = crew.other(handle, 7)
    assert other.wait() == 0
    crew.region.check()
    assert _core.lacking(crew.region, [first, second]) == [first, second]
    crew.worker()
    assert [crew.calls.get(x) for x in (first, second)] == [3, 4]
    assert crew.facts(handle)["lanes"] == 0, "the caller is on the fast path again"
    assert crew.ran(handle) == [0, 7, "late", 2]


def test_calls_are_cancelled_wherever_they_wait(company):
    crew = company()
    handle, several = crew.create(), crew.create(most=2)
    late = crew.late()
    mailed = crew.call(handle, "note", 1)
    laned = [crew.call(handle, "note", 2, after=[late]), crew.call(handle, "note", 3), crew.call(handle, "note", 4)]
    waits = crew.call(several, "note", 5, after=[late])
    for x in (mailed, laned[0], laned[1], waits):
        assert _core.cancel(crew.region, *_core.task_of(crew.region, x), False) == 1
        crew.region.check()
    assert crew.facts(handle)["lanes"] == 1 and crew.cancelled() == 4
    crew.start()
    assert crew.calls.get(laned[2]) == 1
    assert crew.facts(handle)["lanes"] == 0


def test_a_lane_comes_after_what_its_caller_had_in_the_mailbox(company):
    """Its first call may be ready before the earlier calls have run."""
    crew = company()
    handle = crew.create()
    late = crew.late()
    first = [crew.call(handle, "note", k) for k in range(5)]
    last = crew.call(handle, "note", after=[late])
    behind = crew.call(handle, "note", 6)
    crew.worker()
    crew.calls.get(late)
    crew.start()
    assert [crew.calls.get(x) for x in (*first, last, behind)] == list(range(1, 8))
    assert crew.ran(handle) == [0, 1, 2, 3, 4, "late", 6]


def test_thousands_of_calls_behind_one_are_let_go_at_once(company):
    crew = company()
    handle = crew.create()
    crew.start()
    late = crew.late()
    ids = [crew.call(handle, "note", after=[late]), *(crew.call(handle, "note", k) for k in range(1500))]
    crew.worker()
    assert crew.calls.get(ids[-1]) == 1501
    assert crew.region.statistics()["lanes"] == 0 and crew.region.statistics()["longest_section"] <= 64
