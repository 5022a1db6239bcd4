"""waiting_workers.pyx: who waits and for what, loans of CPUs, and verdicts about waits in vain."""

import os
import time

import pytest

from ray_lite import _core

CPU = 10_000
WAITING, LAST, CHAINED, BLOCKED, LENDABLE, FINISHED, LENDABLE_CPUS, SHORT_CPUS, LACKS = range(9)


def test_blocked_workers_are_counted_and_the_last_is_known(make_region, tasks, worker, wait_until):
    region = make_region(cpus=2 * CPU)
    gate = os.eventfd(0)
    box = {}

    def sleeper(k):
        _core.block(box["region"], True)
        os.read(gate, 8)
        os.eventfd_write(gate, 1)
        _core.unblock(box["region"])
        return k

    calls = tasks(region, {"sleeper": sleeper})

    def work(region):
        box["region"] = region
        calls.worker(region)

    crew = {worker(region, work)[1] for _ in range(2)}
    ids, seen = [], []
    for number in (1, 2):
        ids.append(calls.call("sleeper")(number))
        wait_until(lambda number=number: _core.waiting_workers(region)[WAITING] == number, what="a blocked worker")
        seen.append(_core.waiting_workers(region)[LAST])
    assert set(seen) == crew
    os.eventfd_write(gate, 1)
    assert [calls.get(x) for x in ids] == [1, 2]
    os.close(gate)
    _core.close_session(region)


@pytest.mark.slow
def test_what_is_scarce_is_known_when_everybody_lacks_something(make_region, tasks, worker, wait_until):
    region = make_region(cpus=2 * CPU, gpus=1, resources=[CPU, CPU])
    gate = os.eventfd(0, os.EFD_SEMAPHORE)
    calls = tasks(region, {"holds": lambda k: os.read(gate, 8) and k, "echo": lambda x: x})
    for _ in range(2):
        worker(region, calls.worker)
    held = calls.shaped("holds", 0, CPU, [(0, CPU)])(1)
    wait_until(lambda: region.statistics()["cpus_free"] == 2 and not region.statistics()["ready"], what="it runs")
    assert _core.scarce_resources(region) == [] and not _core.waiting_workers(region)[LACKS], "no task is left"
    lack = [calls.shaped("echo", CPU, 0, [(0, CPU)])(2), calls.shaped("echo", CPU, CPU // 2)(3)]
    wait_until(lambda: region.statistics()["stalled"] == 2, what="both hang")
    assert _core.scarce_resources(region) == [_core.GPU, _core.CUSTOM] and _core.waiting_workers(region)[LACKS]
    fits = calls.shaped("holds", CPU)(4)
    wait_until(lambda: region.statistics()["cpus_free"] == 1, what="it runs")
    assert _core.scarce_resources(region) == [_core.GPU, _core.CUSTOM]
    os.eventfd_write(gate, 2)
    assert [calls.get(x) for x in (held, fits, *lack)] == [1, 4, 2, 3]
    os.close(gate)
    _core.close_session(region)


def test_a_verdict_is_read_once_and_is_about_one_wait(region):
    assert not _core.take_deadlock(region, True, [])
    _core.break_deadlock(region, region.slot)
    assert not _core.take_deadlock(region, True, []), "it did not wait"
    _core.block(region, True)
    _core.break_deadlock(region, region.slot)
    assert _core.take_deadlock(region, True, []) and not _core.take_deadlock(region, True, [])
    _core.break_deadlock(region, region.slot)
    _core.unblock(region)
    _core.block(region, True)
    assert not _core.take_deadlock(region, True, []), "that was about the wait before"
    _core.unblock(region)
    _core.block(region, False)
    _core.break_deadlock(region, region.slot)
    assert not _core.take_deadlock(region, True, []), "it ends by itself"
    _core.unblock(region)
    assert not _core.is_leaving(region)


def test_a_verdict_for_threads_is_for_one_that_waits_for_ever(region):
    _core.break_deadlock(region, region.slot)
    assert not take(region), "none waits"
    assert in_thread(region, False, lambda: [_core.break_deadlock(region, region.slot), take(region)]) == [None, False]
    found = in_thread(region, True, lambda: [_core.break_deadlock(region, region.slot), take(region), take(region)])
    assert found == [None, True, False]
    in_thread(region, True, lambda: _core.break_deadlock(region, region.slot))
    assert not in_thread(region, True, lambda: take(region)), "that was about the wait before"


def test_the_main_thread_comes_first(region):
    _core.block(region, True)
    in_thread(region, True, lambda: _core.break_deadlock(region, region.slot))
    assert _core.take_deadlock(region, True, []) and not take(region)
    _core.unblock(region)


def take(region):
    return _core.take_deadlock(region, False, [])


def in_thread(region, for_ever, act):
    """As a thread of a worker does; in a core that knows threads only by what they call, any thread may."""
    return _core.while_thread_waits(region, for_ever, act)


class Crew:
    """Workers with tasks that wait as told; `gate` lets one of them go on."""

    def __init__(self, region, tasks, worker, number):
        self.region, self.gate = region, os.eventfd(0, os.EFD_SEMAPHORE)
        self.calls = tasks(region, {"main": self.main, "thread": self.thread, "echo": lambda x: x})
        self.box = region
        self.worker = worker
        self.slots = [self.hire() for _ in range(number)]

    def hire(self):
        """Starts one worker more; its slot."""
        return self.worker(self.region, self.work)[1]

    def work(self, region):
        self.box = region
        self.calls.worker(region)

    def main(self, for_ever):
        return _core.while_blocked(self.box, for_ever, lambda: os.read(self.gate, 8) and 1)

    def thread(self, for_ever):
        return _core.while_thread_waits(self.box, for_ever, lambda: os.read(self.gate, 8) and 1)

    def facts(self, broken=0):
        return _core.waiting_workers(self.region, broken)


@pytest.fixture
def crew(make_region, tasks, worker):
    made = []

    def make(number, **sizes):
        made.append(Crew(make_region(**sizes), tasks, worker, number))
        return made[-1]

    yield make
    for one in made:
        os.close(one.gate)
        _core.close_session(one.region)


def test_who_waits_in_another_thread_is_counted(crew, wait_until):
    one = crew(2, cpus=2 * CPU)
    ids = [one.calls.call("thread")(True), one.calls.call("thread")(False)]
    wait_until(lambda: one.facts()[LENDABLE] == 2, what="two waiting threads")
    facts = one.facts()
    assert facts[WAITING] == 1 and facts[LAST] in one.slots and facts[BLOCKED] == 0 and facts[LENDABLE_CPUS] == 2 * CPU
    assert _core.must_look(one.region), "what becomes ready now rings nobody"
    os.eventfd_write(one.gate, 2)
    assert [one.calls.get(x) for x in ids] == [1, 1]
    assert one.facts()[LENDABLE] == 0 and not _core.must_look(one.region)


def test_what_lacks_only_cpus_is_known(crew, wait_until):
    one = crew(1, cpus=2 * CPU, resources=[CPU])
    held = one.calls.call("thread", 2 * CPU)(True)
    wait_until(lambda: one.facts()[LENDABLE] == 1, what="a waiting thread")
    assert one.facts()[SHORT_CPUS] == 0, "no task is there"
    wide = one.calls.call("echo", 2 * CPU)(1)
    assert one.facts()[SHORT_CPUS] == 2 * CPU
    small = one.calls.call("echo", CPU // 2)(2)
    assert one.facts()[SHORT_CPUS] == CPU // 2
    os.eventfd_write(one.gate, 1)
    assert [one.calls.get(x) for x in (held, wide, small)] == [1, 1, 2]


def test_what_lacks_more_than_cpus_lacks_no_cpus(crew, wait_until):
    one = crew(1, cpus=CPU, resources=[CPU])
    held = one.calls.shaped("thread", CPU, 0, [(0, CPU)])(True)
    wait_until(lambda: one.facts()[LENDABLE] == 1, what="a waiting thread")
    x = one.calls.shaped("echo", CPU, 0, [(0, CPU)])(1)
    assert one.facts()[SHORT_CPUS] == 0 and one.facts()[LACKS]
    os.eventfd_write(one.gate, 1)
    assert one.calls.get(held) == one.calls.get(x) == 1


def test_no_more_is_lent_than_asked_for(crew, wait_until):
    one = crew(3, cpus=3 * CPU)
    ids = [one.calls.call("thread")(True) for _ in range(3)]
    wait_until(lambda: one.facts()[LENDABLE] == 3, what="three waiting threads")
    assert _core.lend_cpus(one.region, CPU + 1) == 2 * CPU and one.facts()[LENDABLE] == 1 and one.facts()[BLOCKED] == 2
    assert _core.lend_cpus(one.region) == CPU and _core.lend_cpus(one.region) == 0
    assert one.facts()[WAITING] == 3, "they still wait"
    one.region.check()
    os.eventfd_write(one.gate, 3)
    assert [one.calls.get(x) for x in ids] == [1] * 3
    assert one.region.statistics()["cpus_free"] == 3


def test_waits_of_a_chain_are_told_apart(crew, wait_until):
    """Those that had begun when a deadlock was broken, and those of tasks that its wait was for."""
    one = crew(3, cpus=3 * CPU)
    ids = [one.calls.call("main")(True), one.calls.call("thread")(True)]
    wait_until(lambda: one.facts()[WAITING] == 2, what="two who wait")
    assert one.facts()[CHAINED] == 0, "no deadlock was broken"
    broken = time.monotonic_ns()
    assert one.facts(broken)[CHAINED] == 2
    ids.append(one.calls.call("main")(True))
    wait_until(lambda: one.facts()[WAITING] == 3, what="the third")
    assert one.facts(broken)[CHAINED] == 2
    _core.block(one.region, True)
    _core.break_deadlock(one.region, one.region.slot)
    assert _core.take_deadlock(one.region, True, [ids[2]])
    _core.unblock(one.region)
    assert one.facts(broken)[CHAINED] == 3, "the error told its parent, and that one is marked"
    os.eventfd_write(one.gate, 3)
    assert [one.calls.get(x) for x in ids] == [1] * 3


def test_the_node_is_rung_when_a_worker_on_its_way_finds_only_what_lacks_cpus(crew, make_region, wait_until):
    """While it was on its way, the node could not know that CPUs have to be lent."""
    one = crew(1, cpus=2 * CPU)
    bell = make_region.files_of(one.region).rung
    held = one.calls.call("thread", 2 * CPU)(True)
    wait_until(lambda: one.facts()[LENDABLE] == 1, what="a waiting thread")
    x = one.calls.call("echo")(2)
    bell()
    one.hire()
    wait_until(bell, what="a ring")
    assert one.facts()[SHORT_CPUS] == CPU
    os.eventfd_write(one.gate, 1)
    assert [one.calls.get(i) for i in (held, x)] == [1, 2]
