"""reservation.pyx: nothing is overtaken for ever, and nobody waits for what is kept while only he could give the rest."""

import os

import pytest

from ray_lite import _core

CPU = 10_000


@pytest.fixture
def session(make_region, tasks):
    """`session(**sizes)`: a region where all that hangs is too long there, and its tasks.

    `echo` returns; `holds` first waits for `let_go`; `blocks` does that twice, the second time blocked.
    """
    files = []

    def make(**changes):
        region = make_region(aging=1, **changes)
        pipes = [os.pipe() for _ in range(4)]
        files.extend(file for pipe in pipes for file in pipe)

        def holds(k):
            os.read(pipes[k][0], 1)
            return k

        def blocks(k):
            holds(k)
            _core.block(region)
            holds(k)
            _core.unblock(region)
            return k

        calls = tasks(region, {"echo": lambda x: x, "holds": holds, "blocks": blocks})
        calls.looks = lambda region: calls.worker(region, 0, 5_000_000)  # what doesn't fit hangs when somebody has looked
        calls.let_go = lambda k: os.write(pipes[k][1], b".")
        return region, calls

    yield make
    for file in files:
        os.close(file)


@pytest.fixture
def reserved(wait_until):
    """`reserved(region)`: waits until some shape has the reservation."""
    return lambda region: wait_until(
        lambda: _core.recheck_stalled(region) or region.statistics()["reserved"], what="a shape has the reservation")


def free(region, kind):
    return _core.resource_amounts(region)[kind][1]


def test_a_shape_that_hangs_too_long_gets_what_is_freed(session, worker, wait_until, reserved):
    """Two small tasks that overlap with others would never leave two CPUs free for the large one."""
    region, calls = session(cpus=2 * CPU)
    for _ in range(3):
        worker(region, calls.looks)
    held = [calls.call("holds")(k) for k in range(2)]
    wait_until(lambda: free(region, 0) == 0, what="both run")
    large = calls.call("echo", cpus=2 * CPU)(9)
    assert calls.get(calls.call("echo", cpus=0)(5)) == 5, "whoever ran it has passed over the large one"
    reserved(region)
    later = [calls.call("echo")(k) for k in range(20)]
    calls.let_go(0)
    assert calls.get(held[0]) == 0
    wait_until(lambda: region.statistics()["idle"] == 2, what="everybody has looked")
    assert not calls.wait(later, len(later) - 1, 0)
    calls.let_go(1)
    assert calls.get(large) == 9 and [calls.get(x) for x in later] == list(range(20))
    assert not region.statistics()["reserved"]
    _core.close_session(region)


def test_nothing_is_reserved_for_an_empty_queue(session, worker, reserved):
    region, calls = session(cpus=CPU, resources=[CPU])
    x = calls.shaped("echo", 0, 0, [(0, 2 * CPU)])(1)
    worker(region, calls.looks)
    reserved(region)
    assert _core.cancel(region, *_core.task_of(region, x), False) == 1
    region.check()
    assert not region.statistics()["reserved"] and region.statistics()["stalled"] == 0
    assert calls.get(calls.shaped("echo", 0, 0, [(0, CPU)])(3)) == 3
    _core.close_session(region)


def test_damage_is_found(session, words, make_region, worker, wait_until, reserved):
    region, calls = session(cpus=2 * CPU, resources=[CPU])
    worker(region, calls.looks)
    held = calls.shaped("holds", 0, 0, [(0, CPU)])(0)
    wait_until(lambda: free(region, 2) == 0, what="the kind is held")
    aged = calls.shaped("echo", 0, 0, [(0, CPU)])(1)
    worker(region, calls.looks)
    reserved(region)
    region.check()
    all_words = words(make_region.files_of(region))
    empty = _core.demand_queue(region, 7)
    for field, value in (("working_holders", 0), ("working_holders", 2), ("reserved_for", empty)):
        with all_words.damaged(all_words.header(field), lambda old, value=value: value):
            with pytest.raises(AssertionError, match="reservation"):
                region.check()
    calls.let_go(0)
    assert calls.get(held) == 0 and calls.get(aged) == 1
    _core.close_session(region)


def test_no_cpu_rests_while_another_kind_is_waited_for(session, worker, wait_until, reserved):
    region, calls = session(cpus=2 * CPU, resources=[CPU])
    for _ in range(2):
        worker(region, calls.looks)
    held = calls.shaped("holds", 0, 0, [(0, CPU)])(0)
    wait_until(lambda: free(region, 2) == 0, what="the kind is held")
    aged = calls.shaped("echo", 2 * CPU, 0, [(0, CPU)])(8)
    reserved(region)
    assert calls.get(calls.call("echo", cpus=2 * CPU)(9)) == 9
    calls.let_go(0)
    assert calls.get(held) == 0 and calls.get(aged) == 8
    _core.close_session(region)


SHAPES = {  # of one who holds the first kind, one who holds the second, and one who needs both
    "two custom kinds": ((0, 0, [(0, CPU)]), (0, 0, [(1, CPU)]), (0, 0, [(0, CPU), (1, CPU)])),
    "a GPU and a custom kind": ((0, CPU), (0, 0, [(0, CPU)]), (0, CPU, [(0, CPU)])),
    "a part of a GPU": ((0, CPU), (0, 0, [(0, CPU)]), (0, CPU // 2, [(0, CPU)])),
    "a custom kind and CPUs": ((0, 0, [(0, CPU)]), (2 * CPU, 0), (2 * CPU, 0, [(0, CPU)])),
    "a GPU and CPUs": ((0, CPU), (2 * CPU, 0), (CPU, CPU)),
}


@pytest.mark.parametrize("case", SHAPES)
def test_what_it_has_is_kept_while_it_waits_for_the_rest(session, worker, wait_until, reserved, case):
    """The first kind is freed before the second: others that need it don't take it meanwhile."""
    first, second, both = SHAPES[case]
    region, calls = session(cpus=2 * CPU, gpus=1, resources=[CPU, CPU])
    for _ in range(6):
        worker(region, calls.looks)
    held = [calls.shaped("holds", *shape)(k) for k, shape in enumerate((first, second))]
    wait_until(lambda: (region.statistics()["ready"], region.statistics()["idle"]) == (0, 4), what="both run")
    aged = calls.shaped("holds", *both)(2)
    reserved(region)
    later = [calls.shaped("holds", *first)(3), calls.shaped("holds", *second)(3)]
    calls.let_go(0)
    assert calls.get(held[0]) == 0
    wait_until(lambda: region.statistics()["idle"] == 5, what="everybody has looked")
    calls.let_go(1)
    assert calls.get(held[1]) == 1
    wait_until(lambda: not region.statistics()["reserved"], what="it runs")
    region.check()
    assert not calls.wait(later, 1, 0)
    for k in (2, 3, 3):
        calls.let_go(k)
    assert calls.get(aged) == 2 and [calls.get(x) for x in later] == [3, 3]
    _core.close_session(region)


@pytest.mark.parametrize("child", [[(0, CPU)], [(1, CPU)], [(0, CPU), (1, CPU)]])
def test_it_is_lifted_while_who_has_the_rest_waits(session, worker, wait_until, reserved, child):
    """The aged shape has the first kind and lacks the second, of which a parent holds some; its child needs what is kept."""
    region, calls = session(cpus=2 * CPU, resources=[CPU, 2 * CPU])
    for _ in range(3):
        worker(region, calls.looks)
    parent = calls.shaped("blocks", CPU, 0, [(1, CPU)])(0)
    wait_until(lambda: region.statistics()["ready"] == 0, what="it runs")
    aged = calls.shaped("echo", CPU, 0, [(0, CPU), (1, 2 * CPU)])(1)
    reserved(region)
    x = calls.shaped("echo", CPU, 0, child)(2)
    wait_until(lambda: region.statistics()["stalled"] == 2, what="the others have looked")
    assert not calls.wait([x], 0, 0)
    calls.let_go(0)
    assert calls.get(x) == 2, "now it can run"
    assert not calls.wait([aged], 0, 0)
    calls.let_go(0)
    assert calls.get(parent) == 0 and calls.get(aged) == 1
    _core.close_session(region)


def test_it_binds_again_while_somebody_works_who_has_of_the_rest(session, worker, wait_until, reserved):
    """One at a time runs while it is lifted, so that the aged shape gets what is freed meanwhile."""
    region, calls = session(cpus=4 * CPU, resources=[3 * CPU])
    for _ in range(4):
        worker(region, calls.looks)
    parent = calls.shaped("blocks", CPU, 0, [(0, CPU)])(0)
    calls.let_go(0)
    wait_until(lambda: free(region, 0) == 4 * CPU, what="it is blocked")
    aged = calls.shaped("echo", CPU, 0, [(0, 3 * CPU)])(1)
    reserved(region)
    small = calls.shaped("holds", CPU, 0, [(0, CPU)])
    first, second = small(2), small(3)
    wait_until(lambda: region.statistics()["idle"] == 2, what="one of them runs")
    assert region.statistics()["ready"] == 2
    calls.let_go(0)
    assert calls.get(parent) == 0
    calls.let_go(2)
    assert calls.get(first) == 2 and calls.get(aged) == 1
    calls.let_go(3)
    assert calls.get(second) == 3
    _core.close_session(region)
