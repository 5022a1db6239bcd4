"""Resources: never more in use than there is, never idle while something fits, nothing starves, nothing impossible waits.

What runs at once is counted on a board in shared memory; nothing here depends on how long something takes.
"""

import os
import random
import time

import pytest
from board import Board

import ray_lite as ray

UNIT = 10_000
FULL = "RAY_LITE_FULL" in os.environ


@pytest.fixture
def counters(tmp_path):
    one = Board(str(tmp_path / "board"))
    yield one
    one.close()


SHAPES = [  # CPUs, GPUs, custom resources
    (1, 0, {}), (2, 0, {}), (0.5, 0, {}), (0, 0, {"disk": 1}), (1, 1, {}), (0, 0.5, {}), (0, 2, {}), (0.25, 0, {"disk": 2}),
    (1, 0, {"tape": 0.5, "disk": 0.5}), (0, 0, {"tape": 1}),
]
PLACES = {"cpu": 0, "gpu": 1, "disk": 2, "tape": 3}
THERE = {"cpu": 2, "gpu": 2, "disk": 2, "tape": 1}


def amounts(shape):
    cpus, gpus, custom = shape
    return {PLACES[name]: round(amount * UNIT) for name, amount in {"cpu": cpus, "gpu": gpus, **custom}.items()}


def options(shape):
    return {"num_cpus": shape[0], "num_gpus": shape[1], "resources": shape[2]}


BEGUN, AT_ONCE = 4, 5


@pytest.mark.slow
@pytest.mark.watchdog(120)
def test_never_more_in_use_than_there_is(fresh, counters):
    """Each holds what it has until others have begun beside it, or for a moment when none can: all of it is in use by then."""
    fresh.init(num_cpus=2, num_gpus=2, resources={"disk": 2, "tape": 1}, max_workers=24)

    @ray.remote
    def use(changes, k):
        counters.add({**changes, BEGUN: 1, AT_ONCE: 1})
        enough, end = counters.read(BEGUN) + 3, time.monotonic() + 0.02
        while counters.read(BEGUN) < enough and time.monotonic() < end:
            time.sleep(0.0002)
        counters.add({place: -amount for place, amount in [*changes.items(), (AT_ONCE, 1)]})
        return k

    rng = random.Random(3)
    calls = [(use.options(**options(shape)), amounts(shape)) for shape in SHAPES]
    ids = []
    for k in range(600):
        call, changes = rng.choice(calls)
        ids.append(call.remote(changes, k))
    assert ray.get(ids, timeout=100) == list(range(600))
    for name, place in PLACES.items():
        assert counters.most(place) == THERE[name] * UNIT, name
        assert counters.read(place) == 0
    assert counters.most(AT_ONCE) >= 3


def left_by(running):
    """What is free of each resource beside such tasks."""
    free = [amount * UNIT for amount in THERE.values()]
    for shape in running:
        for place, amount in amounts(shape).items():
            free[place] -= amount
    return free


def fits(shape, running):
    """Whether a task of a shape could run beside others, GPUs apart from which no part is left."""
    free = left_by(running)
    return all(amount <= free[place] for place, amount in amounts(shape).items() if amount)


@pytest.mark.watchdog(120)
@pytest.mark.parametrize("seed", range(2))
def test_never_idle_while_something_fits(fresh, monkeypatch, wait_until, tmp_path, seed):
    """Tasks run until the test ends them, one at a time: after each end, whatever fits then starts."""
    monkeypatch.setenv("RAY_LITE_AGING", "3600")  # nothing is kept for anybody
    fresh.init(num_cpus=2, num_gpus=2, resources={"disk": 2, "tape": 1}, max_workers=40)
    place = str(tmp_path)

    @ray.remote
    def hold(number):
        open(f"{place}/began-{number}", "w").close()
        while not os.path.exists(f"{place}/end-{number}"):
            time.sleep(0.001)

    rng = random.Random(seed)
    shapes = [shape for shape in SHAPES if shape[1] != 0.5]  # of parts of GPUs, which fit depends on where the others are
    queued = {k: rng.choice(shapes) for k in range(40)}
    ids = {k: hold.options(**options(shape)).remote(k) for k, shape in queued.items()}
    running = {}

    def settled():
        for name in os.listdir(place):
            kind, _, number = name.partition("-")
            if kind == "began" and int(number) in queued:
                running[int(number)] = queued.pop(int(number))
        assert min(left_by(running.values())) >= 0, "more is in use than there is"
        return not any(fits(shape, running.values()) for shape in queued.values())

    while queued or running:
        wait_until(settled, 20, "nothing that fits is left waiting")
        over = rng.choice(sorted(running))
        open(f"{place}/end-{over}", "w").close()
        ray.get(ids.pop(over), timeout=20)
        del running[over]


def test_what_does_not_fit_does_not_block_what_does(fresh, gate, wait_until):
    fresh.init(num_cpus=2, resources={"disk": 1})
    wait, arrive = gate.wait, gate.arrive

    @ray.remote(resources={"disk": 1})
    def held():
        arrive("in")
        wait()

    held.remote()
    wait_until(lambda: gate.arrived("in"))
    behind = [held.remote() for _ in range(20)]
    free = ray.remote(lambda x: x)
    assert ray.get([free.remote(k) for k in range(50)], timeout=20) == list(range(50))
    assert len(gate.arrived("in")) == 1
    gate.open()
    ray.get(behind, timeout=20)


def test_a_large_task_does_not_starve_behind_small_ones(fresh):
    """Small ones are submitted as long as the large one has not run."""
    fresh.init(num_cpus=2)
    small = ray.remote(lambda: time.sleep(0.002))
    pending = [small.remote() for _ in range(20)]
    large = ray.remote(num_cpus=2)(lambda: "ran").remote()
    end = time.monotonic() + 30
    while not ray.wait([large], timeout=0)[0] and time.monotonic() < end:
        done, pending = ray.wait(pending, num_returns=1)
        pending.append(small.remote())
    assert ray.get(large, timeout=0) == "ran"
    ray.get(pending)


def test_a_task_that_needs_two_scarce_kinds_does_not_starve(fresh, monkeypatch):
    """Others that need one of them overlap, so that both are never free at once; they come as long as it has not run."""
    monkeypatch.setenv("RAY_LITE_AGING", "0.05")
    fresh.init(num_cpus=4, resources={"disk": 1, "tape": 1})
    small = [ray.remote(num_cpus=0, resources={kind: 1})(lambda: time.sleep(0.002)) for kind in ("disk", "tape")]
    pending = [one.remote() for one in small * 10]
    both = ray.remote(resources={"disk": 1, "tape": 1})(lambda: "ran").remote()
    end = time.monotonic() + 30
    while not ray.wait([both], timeout=0)[0] and time.monotonic() < end:
        done, pending = ray.wait(pending, num_returns=2)
        pending += [one.remote() for one in small]
    assert ray.get(both, timeout=0) == "ran"
    ray.get(pending)


def test_who_waits_for_two_kinds_does_not_keep_them_from_the_children_of_who_holds_one(fresh, monkeypatch, wait_until):
    """Two parents hold a disk each; their children need the third, which is kept for a task that needs all."""
    monkeypatch.setenv("RAY_LITE_AGING", "0.05")
    fresh.init(num_cpus=4, resources={"disk": 3})
    child = ray.remote(resources={"disk": 1}, inline=False)(lambda k: k)

    @ray.remote(resources={"disk": 1}, inline=False)
    def parent(large):
        wait_until(lambda: ray.session.current().region.statistics()["reserved"])
        return [ray.get(child.remote(k)) for k in range(20)]

    parents = [parent.remote(0) for _ in range(2)]
    large = ray.remote(resources={"disk": 3})(lambda: "ran").remote()
    assert ray.get([*parents, large], timeout=30) == [list(range(20))] * 2 + ["ran"]


def test_what_waits_for_a_gpu_leaves_the_cpus_to_its_holders_children(fresh, monkeypatch):
    """Aged or not: the parent holds the GPU until its child has had a CPU."""
    monkeypatch.setenv("RAY_LITE_AGING", "0.05")
    fresh.init(num_cpus=2, num_gpus=1)
    child = ray.remote(inline=False)(lambda: 1)

    @ray.remote(num_gpus=1)
    def parent():
        time.sleep(0.5)
        return ray.get(child.remote())

    x = parent.remote()
    big = ray.remote(num_cpus=2, num_gpus=1)(lambda: 2).remote()
    assert ray.get(ray.remote(lambda: 3).remote(), timeout=20) == 3
    assert ray.get([x, big], timeout=20) == [1, 2]


def test_a_blocked_task_gives_back_its_cpus_and_nothing_else(fresh, gate, wait_until):
    fresh.init(num_cpus=1, num_gpus=1, resources={"disk": 1})
    wait, arrive = gate.wait, gate.arrive

    @ray.remote(num_cpus=0)
    def held():
        arrive("held")
        wait()

    @ray.remote(num_gpus=1, resources={"disk": 1}, inline=False)
    def parent():
        return ray.get(held.remote())

    x = parent.remote()
    wait_until(lambda: gate.arrived("held"))
    assert ray.get(ray.remote(lambda: "a CPU").remote(), timeout=20) == "a CPU"
    disk, gpu = ray.remote(resources={"disk": 1})(lambda: 1).remote(), ray.remote(num_gpus=1)(lambda: 1).remote()
    assert ray.wait([disk, gpu], timeout=100)[0] == []
    gate.open()
    assert ray.get([x, disk, gpu], timeout=20) == [None, 1, 1]


def test_a_child_that_needs_what_its_parent_holds_runs_in_its_place(fresh):
    fresh.init(num_cpus=1, resources={"disk": 1})
    child = ray.remote(num_cpus=0, resources={"disk": 1})(lambda: os.getpid())
    parent = ray.remote(resources={"disk": 1})(lambda: (os.getpid(), ray.get(child.remote())))
    one, other = ray.get(parent.remote(), timeout=20)
    assert one == other


# ---------------------------------------------------------------- demands


@pytest.mark.parametrize("demand, message", [
    ({"num_cpus": 3}, "num_cpus=3, but this session has 2"),
    ({"num_gpus": 2}, "num_gpus=2, but this session has 1"),
    ({"resources": {"disk": 1.5}}, "1.5 of resource 'disk', but this session has 1 in all"),
    ({"resources": {"tape": 1}}, "only 'disk'"),
])
def test_impossible_demands_are_refused_at_the_call(fresh, demand, message):
    fresh.init(num_cpus=2, num_gpus=1, resources={"disk": 1})
    for call in (ray.remote(**demand)(lambda: 1), ray.remote(lambda: 1).options(**demand)):
        with pytest.raises(ValueError, match=message):
            call.remote()
    with pytest.raises(ValueError, match=message):
        ray.remote(lambda: 1)._submit([], **demand)
    assert fresh.session.current().view.statistics().tasks == 0


@pytest.mark.parametrize("options, error", [
    ({"num_gpus": 1.5}, ValueError), ({"num_gpus": -1}, ValueError), ({"num_gpus": "1"}, TypeError),
    ({"num_gpus": 0.00001}, ValueError), ({"num_cpus": 0.00004}, ValueError), ({"resources": {"x": 1e-5}}, ValueError),
     ({"resources": {"CPU": 1}}, ValueError), ({"resources": {"GPU": 1}}, ValueError),
    ({"resources": {"x": -1}}, ValueError), ({"resources": {"x": "1"}}, TypeError), ({"resources": [1]}, TypeError),
    ({"resources": {1: 1}}, TypeError), ({"max_calls": -1}, ValueError), ({"max_calls": 1.5}, TypeError),
    ({"retry_exceptions": [3]}, TypeError), ({"retry_exceptions": int}, TypeError),
])
def test_wrong_options_are_refused_where_they_are_written(options, error):
    with pytest.raises(error, match=next(iter(options))):
        ray.remote(**options)(lambda: 1)


@pytest.mark.parametrize("arguments, error", [
    ({"resources": {"CPU": 1}}, ValueError), ({"resources": {"x": -1}}, ValueError), ({"resources": "x"}, TypeError),
    ({"resources": {"x": None}}, TypeError), ({"num_gpus": 1.5}, ValueError), ({"num_gpus": 257}, ValueError),
    ({"resources": {"x": 1}, "num_custom_resource": 2}, ValueError), ({"pin": 1}, TypeError),
    ({"max_workers": 2, "num_workers": 6}, ValueError),
])
def test_wrong_arguments_of_init(fresh, arguments, error):
    with pytest.raises(error, match=next(reversed(arguments)) if len(arguments) > 1 else next(iter(arguments))):
        fresh.init(num_cpus=1, **arguments)
    assert not fresh.is_initialized()


def test_ten_thousand_custom_resources_in_a_session_and_in_one_call(fresh):
    names = {f"resource {k}": 1 + k % 3 for k in range(10_000)}
    given = dict(names)
    fresh.init(num_cpus=2, resources=given, num_custom_resource=len(given))
    assert given == names, "it is the caller's"
    one = ray.remote(resources={"resource 9999": 1})(lambda x: x)
    every = ray.remote(resources=names)(lambda x: -x)
    ids = [(every if k % 10 == 0 else one).remote(k) for k in range(200)]
    assert ray.get(ids, timeout=50) == [-k if k % 10 == 0 else k for k in range(200)]


def test_a_session_without_cpus(fresh):
    fresh.init(num_cpus=0, resources={"x": 1})
    with pytest.raises(ValueError, match="has 0 in all"):
        ray.remote(lambda: 1).remote()
    assert ray.get(ray.remote(num_cpus=0)(lambda: 1).remote(), timeout=20) == 1
    assert ray.get(ray.remote(num_cpus=0, resources={"x": 0.5})(lambda: 2).remote(), timeout=20) == 2


def test_what_submit_is_not_told_is_as_undecorated(fresh):
    """As in 2018: one resource given replaces them all; `options` changes only what it names."""
    fresh.init(num_cpus=2, num_gpus=1)
    f = ray.remote(num_cpus=2, num_gpus=1)(lambda: (ray.get_gpu_ids(), os.environ["OMP_NUM_THREADS"]))
    assert ray.get(f._submit([], num_cpus=1)) == ([], "1")
    assert ray.get(f._submit([], num_gpus=1)) == ([0], "1")
    assert ray.get(f.options(num_cpus=1).remote()) == ([0], "1")
    assert ray.get(f._submit([])) == ([0], "2") == ray.get(f.remote())
