"""Tasks: random graphs run by one to three real workers, compared with a model; arguments, returns, and what is left."""

import gc
import random

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectStoreFullError


def total(*values):
    return sum(values) + 1


def spread(*values):
    """Three returns: plain for the fast path and for the slow one alike."""
    return [str(sum(values) + k).encode() * (1, 20, 2000)[k] for k in range(3)]


def gathered(data, *values):
    return len(data)


FUNCTIONS = {"total": total, "spread": spread, "gathered": gathered}


@pytest.fixture
def crew(make_region, tasks, worker):
    """A region with tasks and so many workers; closed at the end, with nothing left."""
    made = []

    def make(workers, **sizes):
        region = make_region(**{"cpus": 20000, "objects": 8192, "slots": 8, **sizes})
        calls = tasks(region, FUNCTIONS)
        children = [worker(region, calls.worker)[0] for _ in range(workers)]
        made.append((region, children))
        return region, calls

    yield make
    for region, children in made:
        _core.close_session(region)
        assert [child.wait() for child in children] == [0] * len(children)


def settle(region, wait_until):
    """Only the functions are left: no task, no ref, no other object."""
    gc.collect()

    def clean():
        s = region.statistics()
        return (s["tasks"], s["refs"], s["objects"], s["ready"]) == (0, 0, len(FUNCTIONS), 0)

    wait_until(clean, what=f"an empty region; there is {region.statistics()}")
    region.check()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_random_graphs_agree_with_a_model(crew, wait_until, workers):
    region, calls = crew(workers)
    rng = random.Random(workers)
    ids, values = [], []
    for _ in range(1200):
        chosen = rng.sample(range(len(ids)), min(len(ids), rng.choice((0, 1, 1, 2, 5, 30))))
        numbers = [rng.randrange(100) for _ in range(rng.randrange(3))]
        ids.append(calls.call("total")(*[ids[k] for k in chosen], *numbers))
        values.append(total(*[values[k] for k in chosen], *numbers))
    some = rng.sample(range(len(ids)), 200)
    assert calls.wait([ids[k] for k in some], 0, 40_000)
    assert [calls.get(ids[k]) for k in some] == [values[k] for k in some]
    assert [calls.get(x) for x in ids] == values
    ids.clear()
    settle(region, wait_until)


def test_a_long_chain_is_run_in_order(crew, wait_until):
    region, calls = crew(2)
    x = calls.call("total")()
    for _ in range(800):
        x = calls.call("total")(x)
    assert calls.get(x) == 801
    del x
    settle(region, wait_until)


def test_a_fan_out_and_a_fan_in(crew, wait_until):
    """Hundreds of tasks wait for one object: its edges are counted down in small sections."""
    region, calls = crew(2)
    root = calls.call("total")(1)
    leaves = [calls.call("total")(root, k) for k in range(700)]
    tops = [calls.call("total")(*leaves[k : k + 30]) for k in range(0, 700, 30)]
    leaves.clear()
    assert calls.get(calls.call("total")(*tops)) == 1 + sum(
        1 + sum(1 + 2 + k for k in range(n, min(n + 30, 700))) for n in range(0, 700, 30)
    )
    tops.clear()
    del root
    settle(region, wait_until)
    assert region.statistics()["longest_section"] <= 64


def test_many_returns(crew, wait_until):
    region, calls = crew(2)
    groups = [calls.call("spread", nreturns=3)(k) for k in range(50)]
    assert calls.wait([x for group in groups for x in group], 0, 30_000)
    read = [[bytes(_core.payload(region, x)[1]) for x in group] for group in groups]
    assert read == [spread(k) for k in range(50)]
    groups.clear()
    settle(region, wait_until)


def test_returns_that_nobody_wants_end_with_their_task(crew, wait_until):
    region, calls = crew(2)
    for k in range(300):
        calls.call("spread", nreturns=3)(k)
        calls.call("total", nreturns=0)(k)
    settle(region, wait_until)


@pytest.mark.parametrize("size", [0, 1, 27, 28, 29, 5000, 32768, 40_000, 300_000])
def test_arguments_of_every_size_arrive(crew, wait_until, size):
    region, calls = crew(1)
    queue = _core.demand_queue(region, 10000)
    record = (next(i for i, name in calls.by_index.items() if name == "gathered"), queue, 1, 3, 0, 0)
    x = _core.submit(region, record, b"a" * max(size, 1), [])
    assert calls.get(x) == max(size, 1)
    del x
    settle(region, wait_until)


def test_hundreds_of_references_in_one_call(crew, wait_until):
    region, calls = crew(1)
    queue = _core.demand_queue(region, 10000)
    record = (next(i for i, name in calls.by_index.items() if name == "gathered"), queue, 1, 3, 0, 0)
    refs = [calls.call("total")(k) for k in range(300)] + [_core.put_plain(region, k) for k in range(100)]
    x = _core.submit(region, record, b"refs", refs + refs[:5])
    refs.clear()
    region.check()
    assert calls.get(x) == 4
    del x
    settle(region, wait_until)


def test_a_call_without_room_leaves_nothing(crew):
    region, calls = crew(0, arena=1 << 20)
    held = _core.put_plain(region, 5)
    before = region.statistics()
    record = (1, _core.demand_queue(region, 10000), 3, 3, 0, 0)
    with pytest.raises(ObjectStoreFullError):
        _core.submit(region, record, b"a" * ((1 << 20) + 1), [held])
    region.check()
    after = region.statistics()
    assert [after[k] for k in ("objects", "tasks", "refs", "ready", "bytes_used")] == [
        before[k] for k in ("objects", "tasks", "refs", "ready", "bytes_used")
    ]


def test_the_longest_log_stays_in_its_budget(crew, wait_until):
    """Everything at once and in bad moments: full logs, many refs, many returns, merging runs."""
    region, calls = crew(2, arena=1 << 24)
    rng = random.Random(8)
    held = []
    for k in range(1500):
        if held and rng.random() < 0.45:
            held.pop(rng.randrange(len(held)))
            continue
        refs = rng.sample(held, min(len(held), rng.choice((0, 1, 8, 30))))
        data = _core.create_object(region, _core.next_put_id(), rng.choice((41, 5000, 33_000, 70_000)), False)
        inside = rng.sample(held, min(len(held), rng.choice((0, 3, 12))))
        size = rng.choice((41, 100, 9000, 20_000, 40_000))
        _core.fill_object(region, _core.object_index(data), 0, (b"x" * size, [], [], inside))
        _core.seal_object(region, data)
        held.append(data)
        if k % 3 == 0:
            held += calls.call("spread", nreturns=3)(k)
        if all(isinstance(_core.get_ready(region, x), int) for x in refs):
            held.append(calls.call("total")(*refs))
    held.clear()
    del data
    settle_loosely(region, wait_until)
    assert region.statistics()["longest_section"] <= 64


def settle_loosely(region, wait_until):
    gc.collect()
    wait_until(lambda: region.statistics()["tasks"] == 0, what="no task")
    region.check()
