"""actor_calls.pyx: the constructor first, then the calls of each caller in their order, one at a time or several."""

from ray_lite import _core


def test_calls_run_in_order_and_keep_state(company):
    crew = company()
    handle = crew.create()
    assert crew.facts(handle)["state"] == "PENDING"
    crew.start()
    ids = [crew.call(handle, "note", k) for k in range(100)]
    assert [crew.calls.get(x) for x in ids] == list(range(1, 101))
    assert crew.facts(handle)["state"] == "ALIVE" and crew.facts(handle)["pending"] == 0
    assert crew.ran(handle) == list(range(100))


def test_the_constructor_runs_first_though_it_lacks_an_argument(company):
    crew = company()
    late = crew.late()
    handle = crew.create(after=[late])
    x = crew.call(handle, "note", 1)
    assert crew.start() == [] and crew.facts(handle)["lanes"] == 0
    crew.worker()
    assert crew.calls.get(late) == "late"
    crew.start()
    assert crew.calls.get(x) == 2 and crew.ran(handle) == ["late", 1]


def test_several_calls_at_a_time_start_when_they_are_ready(company):
    crew = company()
    handle = crew.create(most=3)
    crew.start()
    late = crew.late()
    first = crew.call(handle, "note", after=[late])
    assert crew.calls.get(crew.call(handle, "note", 2)) == 1 and crew.facts(handle)["lanes"] == 0
    crew.worker()
    assert crew.calls.get(first) == 2


def test_a_waiting_task_never_runs_a_call_in_place(company):
    crew = company()
    handle = crew.create()
    x = crew.call(handle, "note", 1)
    assert _core.find_inline(crew.region, [x], 0, 1) == 1
    late = crew.late()
    y = crew.call(handle, "note", after=[late])
    assert _core.find_inline(crew.region, [y], 0, 1) == 1
