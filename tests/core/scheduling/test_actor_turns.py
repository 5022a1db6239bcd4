"""actor_turns.pyx: actors wait for the CPUs of a turn, or for what they hold for life, beside tasks that wait."""

import os
import time

from ray_lite import _core

CPU = 10_000


def test_a_call_waits_for_cpus_and_is_granted_them_by_whoever_releases_some(company, wait_until):
    crew = company(cpus=CPU)
    handle = crew.create(needs=CPU)
    crew.start()
    crew.calls.get(crew.call(handle, "note", 0))
    wait_until(lambda: crew.region.statistics()["cpus_free"] == 1, what="it rests")
    crew.worker()
    task = crew.calls.call("nap")(0.2)
    wait_until(lambda: crew.region.statistics()["cpus_free"] == 0, what="a task has the CPU")
    x = crew.call(handle, "note", 1)
    assert _core.lacking(crew.region, [x]) == [x] and _core.must_look(crew.region)
    assert crew.calls.get(x) == 2 and not _core.lacking(crew.region, [task])


def test_what_an_actor_holds_for_life_is_nobody_elses(company, wait_until):
    crew = company(cpus=2 * CPU)
    first, second = crew.create(holds=CPU), crew.create(holds=2 * CPU)
    crew.start()
    crew.calls.get(crew.call(first, "note", 0))
    assert crew.facts(second)["state"] == "PENDING" and crew.region.statistics()["cpus_free"] == 1
    assert crew.start() == []
    crew.kill(crew.of(first))
    assert crew.region.statistics()["cpus_free"] == 2
    assert crew.start() == [crew.of(second)]
    assert crew.calls.get(crew.call(second, "note", 0)) == 1 and crew.region.statistics()["cpus_free"] == 0


def test_a_shape_that_needs_cpus_held_for_life_keeps_none_idle(company, wait_until):
    """One CPU of two is an actor's: a task that needs both stalls, and nothing is reserved for it."""
    crew = company(cpus=2 * CPU, aging=1)
    handle = crew.create(holds=CPU)
    crew.start()
    crew.calls.get(crew.call(handle, "note", 0))
    crew.worker()
    large = crew.calls.call("nap", cpus=2 * CPU)(0.0)
    small = crew.calls.call("nap")(0.0)
    crew.calls.get(small)
    _core.recheck_stalled(crew.region)
    assert crew.region.statistics()["stalled"] == 1 and not crew.region.statistics()["reserved"]
    crew.calls.get(crew.calls.call("nap")(0.0))
    crew.kill(crew.of(handle))
    crew.calls.get(large)


def test_a_blocked_call_lends_the_cpus_held_for_life(company, wait_until):
    crew = company(cpus=CPU)
    handle = crew.create(holds=CPU)
    crew.start()
    x = crew.call(handle, "block", 0.2)
    wait_until(lambda: crew.region.statistics()["cpus_free"] == 1, what="it blocks")
    crew.region.check()
    crew.calls.get(x)
    assert crew.region.statistics()["cpus_free"] == 0


def test_the_node_leaves_free_cpus_to_a_task_once(company, make_region, forked):
    """It may start a worker for the task; if it does not, the actor that waits gets them."""
    crew = company(cpus=CPU)
    handles = [crew.create(needs=CPU) for _ in range(2)]
    crew.start(turn=0)
    for handle in handles:
        crew.calls.get(crew.call(handle, "note", 0))
    place = make_region.files_of(crew.region)

    def look():
        node = place.attach()
        node.join(_core.NODE, os.getpid(), 0)
        while True:
            time.sleep(0.002)
            _core.recheck_stalled(node)  # nobody starts a worker

    forked(look)
    task = crew.calls.call("nap")(0)
    ids = [crew.call(handle, "nap", 0.001) for _ in range(5) for handle in handles]
    for x in ids:
        crew.calls.get(x)
    assert _core.lacking(crew.region, [task]) == [task]
    crew.worker()
    crew.calls.get(task)
