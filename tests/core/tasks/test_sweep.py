"""sweep.pyx: what a dead worker held and ran; and the soak: workers killed at random moments, and nothing is lost."""

import gc
import os
import random
import signal
import threading
import time

import pytest

from ray_lite import _core

CPU = 10_000


def test_a_dead_idle_worker_leaves_the_list(make_region, tasks, worker, bury, wait_until):
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x})
    crew = [worker(region, calls.worker) for _ in range(3)]
    wait_until(lambda: region.statistics()["idle"] == 3, what="three idle workers")
    for child, slot in crew[:2]:
        child.kill()
        bury(region, slot)
        region.check()
    assert region.statistics()["idle"] == 1
    assert calls.get(calls.call("echo")(5)) == 5
    _core.close_session(region)


def stuck(number):
    signal.pause()


def test_a_dead_workers_task_is_queued_again(make_region, tasks, worker, bury, wait_until):
    region = make_region()
    calls = tasks(region, {"first try": stuck, "echo": lambda x: x})
    child, slot = worker(region, calls.worker)
    x = calls.call("first try")(1)
    wait_until(lambda: running(region, child), what="the task runs")
    assert region.statistics()["cpus_free"] == 1
    child.kill()
    assert len(bury(region, slot)) == 1
    assert region.statistics()["ready"] == 1 and region.statistics()["cpus_free"] == 2
    calls.functions["first try"] = lambda number: number + 100
    worker(region, calls.worker)
    assert calls.get(x) == 101
    _core.close_session(region)


def running(region, child):
    return region.statistics()["cpus_free"] < 2 and region.statistics()["ready"] == 0


@pytest.mark.parametrize("counted, left", [(True, 2), (False, 3)])
def test_no_two_attempts_make_the_same_ids(make_region, tasks, worker, bury, counted, left):
    """Whether they count or not: what the first one made may live."""
    region, (read, write) = make_region(), os.pipe()

    def makes(last):
        facts = _core.task_facts(region, _core.current_task()[0])
        os.write(write, _core.next_put_id() + bytes([_core.current_attempt(), facts[3]]))
        signal.pause()

    calls = tasks(region, {"makes": makes})
    x = calls.call("makes", retries=3)(1)
    runs = []
    for _ in range(2):
        child, slot = worker(region, calls.worker)
        runs.append(os.read(read, 22))
        child.kill()
        bury(region, slot, counted)
    assert runs[0][:20] != runs[1][:20] and list(runs[0][20:] + runs[1][20:]) == [1, 3, 2, left]
    os.close(read), os.close(write)
    del x


def test_a_task_without_returns_is_not_taken_for_finished(make_region, tasks, worker, bury, wait_until):
    """It has no return whose state could tell, but it has not run to its end."""
    region = make_region()
    calls = tasks(region, {"stuck": stuck})
    child, slot = worker(region, calls.worker)
    calls.call("stuck", nreturns=0)(1)
    wait_until(lambda: running(region, child), what="the task runs")
    child.kill()
    assert len(bury(region, slot)) == 1
    assert region.statistics()["tasks"] == 1


def test_what_a_dead_worker_held_is_gone_before_its_task_runs_again(make_region, tasks, worker, wait_until):
    """And the task still has its arguments."""
    region = make_region()
    kept = []

    def holds(argument):
        kept.extend(_core.put_plain(region, "held") for _ in range(50))
        kept.append(_core.create_object(region, _core.next_put_id(), 200_000, False))  # not sealed
        signal.pause()

    calls = tasks(region, {"holds": holds, "argument": None})
    argument = _core.put_plain(region, "argument")
    child, slot = worker(region, calls.worker)
    x = calls.call("holds")(argument)
    wait_until(lambda: region.statistics()["objects"] == 55, what="51 objects more than the functions, argument and result")
    del argument
    child.kill()
    _core.begin_sweep(region, slot)
    assert region.statistics()["objects"] == 4 and region.statistics()["bytes_used"] < 1000
    region.check()
    t, complete = _core.adopt_task(region, slot)
    assert not complete and len(_core.task_arguments(region, t)) == 1
    _core.requeue_task(region, t, True, True)
    _core.end_sweep(region, slot)
    calls.functions["holds"] = len
    worker(region, calls.worker)
    assert calls.get(x) == len("argument")
    _core.close_session(region)


@pytest.mark.parametrize("spill_least", [0, 4096])
def test_nobody_reads_bits_for_which_there_is_no_memory(make_region, worker, spill_least):
    """The row of a process that held nothing: a read would get it a page, or SIGBUS where none is left."""
    region = make_region(spill_least=spill_least)
    held = [_core.put_plain(region, k) for k in range(100)]
    child, slot = worker(region, lambda region: None)
    assert child.wait() == 0
    control = make_region.files_of(region).files[0]
    before = os.fstat(control).st_blocks
    region.check()
    for x in held:
        _core.object_facts(region, _core.object_index(x))
    _core.bytes_freed_soon(region)
    _core.others_reading(region)
    _core.begin_sweep(region, slot)
    _core.end_sweep(region, slot)
    region.check()
    assert os.fstat(control).st_blocks == before


def test_a_row_keeps_its_memory_when_its_slot_is_used_again(make_region, worker, words):
    region = make_region()
    limit = words(make_region.files_of(region))
    held, rows = _core.put_plain(region, 1), []
    token = _core.id_token(held)
    for hold in (True, False):
        child, slot = worker(region, lambda region, hold=hold: hold and _core.id_from_token(*token))
        assert child.wait() == 0
        rows.append((slot, limit.get(limit.entry("slot", slot, "row_limit"))))
        region.check()
        _core.begin_sweep(region, slot)
        _core.end_sweep(region, slot)
        region.check()
    assert rows[0] == rows[1] and rows[0][1] > _core.object_index(held)


# ---------------------------------------------------------------- the soak


def hash_of(*values):
    """What a task of the soak gives."""
    return sum(values) * 31 % 1_000_003


class Soak:
    """Workers that are killed while they run a random graph; the node's part is played by this process."""

    def __init__(self, region, calls, worker, bury):
        self.region, self.calls, self.worker, self.bury = region, calls, worker, bury
        self.rng = random.Random(11)
        self.crew = {}
        self.kills = self.requeued = 0

    def start(self):
        child, slot = self.worker(self.region, self.churn)
        self.crew[slot] = child

    def churn(self, region):
        _core.set_root(os.urandom(20))
        self.calls.worker(region, 20_000, 1_000_000_000)

    def kill_one(self):
        slot = self.rng.choice(list(self.crew))
        child = self.crew.pop(slot)
        child.kill()
        self.requeued += len(self.bury(self.region, slot))
        self.region.check()
        self.kills += 1
        self.start()


def body(soak_region):
    """The task of the soak: it spends its time inside the core, and leaves nothing behind."""

    def run(number, *values):
        region = soak_region()
        for k in range(30):
            held = [_core.put_plain(region, k) for k in range(number % 4)]
            x = _core.create_object(region, _core.next_put_id(), 100, False)
            data = b"x" * ((number + k) % 9 * 900 + 1)
            _core.fill_object(region, _core.object_index(x), 0, (data, [], [], held))
            _core.seal_object(region, x)
        return hash_of(number, *values)

    return run


@pytest.mark.slow
@pytest.mark.watchdog(120)
def test_kills_at_random_moments_lose_and_leak_nothing(make_region, tasks, worker, bury, wait_until):
    """Some hundred kills of workers that run tasks all the time: invariants after each, right results, nothing left."""
    region = make_region(objects=8192, cpus=2 * CPU, arena=1 << 25)
    calls = tasks(region, {"body": body(lambda: region)})
    soak = Soak(region, calls, worker, bury)
    for _ in range(2):
        soak.start()
    ids, values, number = [], [], 0
    end = time.monotonic() + 25
    while soak.kills < 250 and time.monotonic() < end:
        for _ in range(max(0, 300 - region.statistics()["tasks"])):  # a worker is killed at work, not at rest
            chosen = soak.rng.sample(range(len(ids)), min(len(ids), soak.rng.choice((0, 1, 2, 6))))
            ids.append(calls.call("body", retries=65535)(number, *[ids[k] for k in chosen]))
            values.append(hash_of(number, *[values[k] for k in chosen]))
            number += 1
        pause(soak.rng.random() * 0.01)
        soak.kill_one()
        if len(ids) > 2000:
            del ids[:1000], values[:1000]
    assert calls.wait(ids, 0, 40_000)
    assert [calls.get(x) for x in ids] == values
    print(f"{soak.kills} kills, {soak.requeued} tasks queued again, {region.statistics()['recoveries']} locks recovered")
    assert soak.kills >= 40 and soak.requeued > 10 and region.statistics()["recoveries"] > 0
    finish(region, soak, ids, wait_until)


def pause(seconds):
    """A random moment of the workers' lives, not a condition to be waited for."""
    threading.Event().wait(seconds)


def finish(region, soak, ids, wait_until):
    """Everybody dies: all that is left is the function."""
    ids.clear()
    gc.collect()
    wait_until(lambda: region.statistics()["tasks"] == 0, what="no task")
    for slot, child in soak.crew.items():
        child.kill()
        soak.bury(region, slot)
    region.check()
    statistics = region.statistics()
    assert (statistics["objects"], statistics["refs"], statistics["slots"]) == (1, 0, 1)
    assert statistics["bytes_used"] == 0 and statistics["cpus_free"] == statistics["cpus"]
