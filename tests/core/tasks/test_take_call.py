"""take_call.pyx: an actor's process keeps its CPUs from call to call, for a turn, and gives them back."""

import os
import signal
import time

from ray_lite import _core

CPU = 10_000


def test_a_call_gets_its_cpus_and_gives_them_back(company, wait_until):
    crew = company(cpus=CPU)
    handle = crew.create(needs=CPU)
    crew.start()
    free = lambda: crew.region.statistics()["cpus_free"]  # noqa: E731
    wait_until(lambda: crew.facts(handle)["pending"] == 0 and free() == 1, what="the constructor has run")
    held = crew.call(handle, "hold")
    wait_until(lambda: free() == 0, what="the call holds the CPU")
    os.kill(crew.processes[crew.of(handle)][0].pid, signal.SIGUSR1)
    assert crew.calls.get(held) == "held"
    wait_until(lambda: free() == 1, what="an actor without calls gives its CPU back")


def test_busy_actors_and_tasks_share_a_cpu(company):
    """Nobody starves: turns and tasks alternate, and a turn is short."""
    crew = company(cpus=CPU)
    handles = [crew.create(needs=CPU) for _ in range(3)]
    crew.start(turn=1_000_000)
    crew.worker()
    ids = [crew.call(handle, "nap", 0.001) for _ in range(150) for handle in handles]
    begun = time.monotonic()
    tasks = [crew.calls.call("nap")(0.001) for _ in range(20)]
    for x in tasks:
        crew.calls.get(x)
    taken = time.monotonic() - begun
    assert _core.lacking(crew.region, ids), f"the tasks took {taken:.2f} s: they came after all calls"
    for x in ids:
        crew.calls.get(x)
    crew.region.check()
