"""nesting.pyx: while blocked tasks lend CPUs, nested tasks go first, the deepest first; else everybody takes turns."""

import os

import pytest

from ray_lite import _core

CPU = 10_000


class Family:
    """Tasks of one shape that note their number; `nest(k)` submits two of `nest(k - 1)` if k > 0, and `block(k)` three of
    `nest(k)`; then it blocks until it is let go. `hold` is held without blocking."""

    def __init__(self, region, tasks):
        self.region = region
        self.told, self.tells = os.pipe()
        self.gate, self.held = (os.eventfd(0, os.EFD_SEMAPHORE) for _ in range(2))
        self.calls = tasks(region, {"nest": self.nest, "block": self.block, "hold": self.hold})
        self.queue = self.children = _core.demand_queue(region, CPU)
        self.index = {name: index for index, name in self.calls.by_index.items()}

    def close(self):
        for file in (self.told, self.tells, self.gate, self.held):
            os.close(file)

    def submit(self, name, k, queue=0):
        """From whichever process this is."""
        call = _core.RemoteCall(None)
        call.arm(self.region, self.index[name], queue or self.queue, (1, 3, 0, 0, 9))
        return call(k)

    def note(self, k):
        os.write(self.tells, bytes([k]))

    def nest(self, k):
        self.note(k)
        for _ in range(2 if 0 < k < 9 else 0):
            self.submit("nest", k - 1)
        return k

    def block(self, k):
        for _ in range(3):
            self.submit("nest", k, self.children)
        _core.block(self.region)
        os.read(self.gate, 8)
        _core.unblock(self.region)
        return k

    def hold(self, k):
        os.read(self.held, 8)
        return k

    def until_blocked(self, wait_until, ready):
        """Its CPU is free again, and so many tasks wait for one."""
        facts = self.region.statistics
        wait_until(lambda: facts()["ready"] == ready and facts()["cpus_free"] == 1, what="it is blocked")

    def seen(self, number):
        found = b""
        while len(found) < number:
            found += os.read(self.told, number - len(found))
        return list(found)


@pytest.fixture
def family(make_region, tasks):
    families = []

    def make(**sizes):
        families.append(Family(make_region(**sizes), tasks))
        return families[-1]

    yield make
    for one in families:
        one.close()


@pytest.mark.parametrize("k, order", [(0, [0] * 3), (1, [1, 0, 0] * 3), (2, [2, 1, 0, 0, 1, 0, 0] * 3)])
def test_a_lent_cpu_goes_to_nested_tasks_first_and_to_the_deepest_of_them(family, worker, wait_until, k, order):
    """However many were queued before."""
    one = family(cpus=CPU)
    x = one.submit("block", k)
    others = [one.submit("nest", 9) for _ in range(4)]
    worker(one.region, one.calls.worker)
    one.until_blocked(wait_until, 7)
    worker(one.region, one.calls.worker)
    assert one.seen(len(order) + 4) == order + [9] * 4
    os.eventfd_write(one.gate, 1)
    assert one.calls.get(x) == k and [one.calls.get(y) for y in others] == [9] * 4
    _core.close_session(one.region)


def test_while_nobody_lends_they_take_turns(family, worker):
    one = family(cpus=CPU)
    ids = [one.submit("nest", 1), *(one.submit("nest", 9) for _ in range(4))]
    worker(one.region, one.calls.worker)
    assert one.seen(7) == [1, 9, 0, 9, 0, 9, 9]
    assert [one.calls.get(x) for x in ids] == [1, 9, 9, 9, 9]
    _core.close_session(one.region)


def test_a_blocked_tasks_death_ends_its_loan(family, worker, wait_until, bury):
    one = family(cpus=CPU)
    x = one.submit("block", 0)
    child, slot = worker(one.region, one.calls.worker)
    one.until_blocked(wait_until, 3)
    child.kill()
    bury(one.region, slot)
    one.region.check()
    worker(one.region, one.calls.worker)
    worker(one.region, one.calls.worker)
    os.eventfd_write(one.gate, 1)
    assert one.calls.get(x) == 0 and one.seen(6) == [0] * 6
    _core.close_session(one.region)


def test_damage_is_found(family, worker, wait_until, words, make_region):
    one = family(cpus=CPU)
    x = one.submit("block", 0)
    worker(one.region, one.calls.worker)
    one.until_blocked(wait_until, 3)
    all_words = words(make_region.files_of(one.region))
    [deep] = [q for q in range(1, 9) if all_words.get(all_words.entry("queue", q, "depth"))]
    damaged = [all_words.job(name) for name in ("nblocked", "nworking_nested", "nworking")]
    damaged += [all_words.job("nested_rings", 1)]
    damaged += [all_words.entry("queue", deep, name) for name in ("depth", "nested_next", "nested_prev")]
    for word in damaged:
        with all_words.damaged(word, lambda old: old ^ 1), pytest.raises(AssertionError, match="nesting"):
            one.region.check()
    os.eventfd_write(one.gate, 1)
    worker(one.region, one.calls.worker)
    assert one.calls.get(x) == 0 and one.seen(3) == [0] * 3
    _core.close_session(one.region)


@pytest.mark.skipif(not os.environ.get("RAY_LITE_FULL"), reason="runs in .ci/full: RAY_LITE_FULL=1")
def test_without_room_for_another_queue_a_nested_task_goes_to_the_first_one_of_its_shape(family, worker):
    one = family(cpus=CPU)
    with pytest.raises(ValueError):
        for cpus in range(1 << 20):
            _core.demand_queue(one.region, cpus)
    worker(one.region, one.calls.worker)
    assert one.calls.get(one.submit("nest", 2)) == 2
    assert sorted(one.seen(7)) == [0, 0, 0, 0, 1, 1, 2]
    _core.close_session(one.region)


def test_lent_cpus_are_kept_for_a_nested_task_that_needs_more_of_them(family, worker, wait_until):
    """Others would fit, and might be parents that lend their CPUs again: there are more of these than CPUs."""
    one = family(cpus=2 * CPU)
    one.children = _core.demand_queue(one.region, 2 * CPU)
    for _ in range(5):
        worker(one.region, one.calls.worker)
    held = one.submit("hold", 1)
    parents = [one.submit("block", 0) for _ in range(3)]
    one.until_blocked(wait_until, 9)
    others = [one.submit("nest", 9) for _ in range(4)]
    wait_until(lambda: one.region.statistics()["stalled"] == 2, what="the fifth worker has looked")
    assert one.region.statistics()["reserved"]
    os.eventfd_write(one.held, 1)
    assert one.seen(13) == [0] * 9 + [9] * 4
    os.eventfd_write(one.gate, 3)
    assert [one.calls.get(y) for y in (held, *parents, *others)] == [1, 0, 0, 0] + [9] * 4
    _core.close_session(one.region)


def test_a_nested_task_that_does_not_fit_holds_up_nobody_else(family, worker, wait_until):
    """There are more CPUs than tasks that lend one: no swarm of parents is in sight."""
    one = family(cpus=2 * CPU)
    one.children = _core.demand_queue(one.region, 2 * CPU)
    for _ in range(3):
        worker(one.region, one.calls.worker)
    held, x = one.submit("hold", 1), one.submit("block", 0)
    one.until_blocked(wait_until, 3)
    others = [one.submit("nest", 9) for _ in range(4)]
    assert one.seen(4) == [9] * 4
    os.eventfd_write(one.held, 1)
    os.eventfd_write(one.gate, 1)
    assert one.seen(3) == [0] * 3
    assert [one.calls.get(y) for y in (held, x, *others)] == [1, 0] + [9] * 4
    _core.close_session(one.region)


def test_others_are_not_passed_over_for_ever(family, worker, wait_until):
    """With next to no patience every second turn is one of those that are not nested."""
    one = family(cpus=CPU, aging=1)
    x = one.submit("block", 1)
    others = [one.submit("nest", 9) for _ in range(3)]
    worker(one.region, one.calls.worker)
    one.until_blocked(wait_until, 6)
    worker(one.region, one.calls.worker)
    assert one.seen(12) == [1, 9, 0, 9, 0, 9] + [1, 0, 0] * 2
    os.eventfd_write(one.gate, 1)
    assert one.calls.get(x) == 1 and [one.calls.get(y) for y in others] == [9] * 3
    _core.close_session(one.region)
