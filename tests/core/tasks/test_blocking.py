"""blocking.pyx: threads that wait are counted, and loans of CPUs end with the wait or the task, whatever happens meanwhile."""

import os
import threading

import pytest

from ray_lite import _core

CPU = 10_000
BLOCKED, LENDABLE = 3, 4  # places in what waiting_workers returns


class Scene:
    """A region with one CPU, and a worker whose task `acts` does what it is told through a pipe, letter by letter."""

    def __init__(self, make_region, tasks, **sizes):
        self.region = self.inside = make_region(cpus=CPU, **sizes)
        self.orders, self.told = os.pipe()
        self.done = os.eventfd(0, os.EFD_SEMAPHORE)
        self.calls = tasks(self.region, {"acts": self.acts, "echo": lambda x: x})
        self.waits = []  # in the worker: (gate, thread) of those that wait

    def close(self):
        for file in (self.orders, self.told, self.done):
            os.close(file)
        _core.close_session(self.region)

    def work(self, region):
        self.inside = region
        self.calls.worker(region)

    # --- in the worker ---

    def acts(self, x):
        while (order := os.read(self.orders, 1)) != b".":
            {b"t": self.start, b"e": self.end, b"v": self.end_in_vain, b"b": self.block, b"u": self.unblock}[order]()
            os.eventfd_write(self.done, 1)
        return x

    def start(self):
        entered, gate, verdict = threading.Event(), threading.Event(), []

        def wait():
            entered.set()
            gate.wait()
            return verdict.pop()

        thread = threading.Thread(target=_core.while_thread_waits, args=(self.inside, True, wait), daemon=True)
        thread.start()
        entered.wait()
        self.waits.append((gate, verdict, thread))

    def end(self, result=True):
        gate, verdict, thread = self.waits.pop()
        verdict.append(result)
        gate.set()
        thread.join()

    def end_in_vain(self):
        self.end(False)

    def block(self):
        _core.block(self.inside, True)

    def unblock(self):
        _core.unblock(self.inside)

    # --- in the test ---

    def order(self, letters):
        os.write(self.told, letters)
        for _ in letters.rstrip(b"."):
            os.read(self.done, 8)
        self.region.check()

    def free(self):
        return _core.can_start(self.region)[3]

    def facts(self):
        return _core.waiting_workers(self.region)

    def counts(self):
        return self.free(), self.facts()[BLOCKED], self.facts()[LENDABLE]


@pytest.fixture
def scene(make_region, tasks, worker):
    made = []

    def make(**sizes):
        made.append(Scene(make_region, tasks, **sizes))
        made[-1].crew = worker(made[-1].region, made[-1].work)
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_loan_ends_when_the_last_thread_wakes(scene, worker):
    one = scene()
    x = one.calls.call("acts")(1)
    one.order(b"tt")
    assert one.counts() == (0, 0, 1)
    assert _core.lend_cpus(one.region, 1) == CPU and one.counts() == (CPU, 1, 0)
    one.order(b"e")
    assert one.counts() == (CPU, 1, 0), "another waits"
    one.order(b"e")
    assert one.counts() == (0, 0, 0)
    one.order(b".")
    assert one.calls.get(x) == 1


def test_what_is_lent_serves_others_and_may_be_overcommitted(scene, worker):
    one = scene()
    worker(one.region, one.calls.worker)
    x = one.calls.call("acts")(1)
    one.order(b"t")
    other = one.calls.call("echo")(2)
    assert not one.calls.wait([other], 0, 30)
    _core.lend_cpus(one.region)
    assert one.calls.get(other) == 2
    one.order(b"e.")
    assert one.calls.get(x) == 1


def test_a_thread_that_waited_in_vain_leaves_the_loan(scene, wait_until):
    one = scene()
    x = one.calls.call("acts")(1)
    one.order(b"t")
    _core.lend_cpus(one.region)
    one.order(b"v")
    assert one.counts() == (CPU, 1, 0)
    one.order(b"te")
    assert one.counts() == (0, 0, 0)
    one.order(b"tv.")
    assert one.calls.get(x) == 1


@pytest.mark.parametrize("letters, in_between", [
    (b"bu", (CPU, 1, 0)),  # the main thread blocks and wakes while its CPUs are lent
    (b"beu", (0, 0, 0)),  # the loan ends while it is blocked
    (b"bet", (CPU, 1, 0)),
])
def test_the_main_thread_blocks_meanwhile(scene, letters, in_between):
    one = scene()
    x = one.calls.call("acts")(1)
    one.order(b"t")
    _core.lend_cpus(one.region)
    one.order(letters)
    assert one.counts() == in_between
    if letters == b"bet":
        one.order(b"u")
        assert one.counts() == (0, 0, 1), "the other thread's wait began after the loan"
    one.order(b".")
    assert one.calls.get(x) == 1


def test_of_a_blocked_worker_nothing_is_lent(scene):
    one = scene()
    x = one.calls.call("acts")(1)
    one.order(b"tb")
    assert one.counts() == (CPU, 1, 0) and _core.lend_cpus(one.region) == 0
    one.order(b"ue.")
    assert one.calls.get(x) == 1


def test_a_loan_ends_with_its_task(scene, wait_until):
    """A thread waits on: the worker's next task, taken in the same section, holds its CPUs."""
    one = scene()
    ids = [one.calls.call("acts")(k) for k in (1, 2)]
    one.order(b"t")
    _core.lend_cpus(one.region, CPU)
    one.order(b".")
    assert one.calls.get(ids[0]) == 1
    one.order(b"bu")
    assert one.counts() == (0, 0, 1), "it may be lent again"
    _core.lend_cpus(one.region, CPU)
    one.order(b"e.")
    assert one.calls.get(ids[1]) == 2
    wait_until(lambda: one.counts() == (CPU, 0, 0), what="the end")
    one.region.check()


def test_an_idle_worker_whose_thread_waits_lends_nothing(scene, wait_until):
    one = scene()
    x = one.calls.call("acts")(1)
    one.order(b"t.")
    assert one.calls.get(x) == 1
    wait_until(lambda: one.region.statistics()["idle"] == 1, what="an idle worker")
    assert one.counts() == (CPU, 0, 0) and _core.lend_cpus(one.region) == 0


@pytest.mark.parametrize("letters", [b"t", b"tb", b"tv"])
def test_the_death_of_a_worker_ends_its_loan(scene, worker, bury, letters):
    one = scene()
    x = one.calls.call("acts")(1)
    one.order(letters[:1])
    _core.lend_cpus(one.region)
    one.order(letters[1:])
    child, slot = one.crew
    child.kill()
    bury(one.region, slot)
    assert one.counts() == (CPU, 0, 0)
    one.region.check()
    worker(one.region, one.work)
    one.order(b".")
    assert one.calls.get(x) == 1


def test_a_loan_lifts_a_reservation(scene, worker, wait_until):
    """What is kept of a resource that only the lender could give is anybody's meanwhile."""
    one = scene(aging=1, resources=[CPU, CPU])
    x = one.calls.shaped("acts", CPU, 0, [(0, CPU // 2)])(1)
    one.order(b"t")
    large = one.calls.shaped("echo", 0, 0, [(0, CPU)])(2)
    worker(one.region, one.calls.worker)
    wait_until(lambda: one.region.statistics()["stalled"] and not _core.recheck_stalled(one.region)
               and one.region.statistics()["reserved"], what="the reservation")
    small = one.calls.shaped("echo", 0, 0, [(0, CPU // 2)])(3)
    assert not one.calls.wait([small], 0, 30)
    _core.lend_cpus(one.region)
    assert one.calls.get(small) == 3
    one.order(b"e.")
    assert [one.calls.get(y) for y in (x, large)] == [1, 2]


def test_damage_is_found(scene, words, make_region):
    one = scene()
    x = one.calls.call("acts")(1)
    one.order(b"t")
    _core.lend_cpus(one.region)
    all_words = words(make_region.files_of(one.region))
    slot = one.crew[1]
    for field, damage in (("lent", 2), ("thread_waits", 0), ("blocked", 0)):
        with all_words.damaged(all_words.entry("slot", slot, field), lambda old, damage=damage: damage):
            with pytest.raises(AssertionError):
                one.region.check()
    with all_words.damaged(all_words.job("threads_wait"), lambda old: 0), pytest.raises(AssertionError, match="threads"):
        one.region.check()
    one.order(b"e.")
    assert one.calls.get(x) == 1


def test_the_node_is_rung_by_the_first_thread_that_waits(make_region):
    region = make_region()
    rung = make_region.files_of(region).rung
    assert not rung() and not _core.must_look(region)
    assert _core.while_thread_waits(region, True, lambda: (rung(), _core.must_look(region))) == (True, True)
    assert not _core.while_thread_waits(region, False, rung), "it looks anyway"
    assert _core.must_look(region)
    _core.waiting_workers(region)
    assert not _core.must_look(region)
