"""deaths.py and supervisor.py: what the node does once a turn, however many workers died in it."""

import importlib.util
import os
import signal
from pathlib import Path

import psutil

import ray_lite as ray

DAMAGE = Path(__file__).parents[1] / "core" / "damage.py"


def words(file):
    """The named words of a control file."""
    spec = importlib.util.spec_from_file_location("damage", DAMAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Words(file)


def test_deaths_of_one_turn_wake_every_process_once(fresh, worker_pids, wait_until):
    ray.init(num_cpus=2, num_workers=6)
    wait_until(lambda: len(worker_pids()) == 6, what="the workers")
    driver = ray.session.current()
    control, node = words(driver.files.control), psutil.Process(driver.address["node_pid"])
    arrived = control.entry("slot", driver.region.slot, "arrived")
    before, crew = control.get(arrived), worker_pids()
    node.suspend()
    wait_until(lambda: node.status() == psutil.STATUS_STOPPED, what="the stop of the node")
    try:
        for pid in crew:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in crew), what="their deaths")
    finally:
        node.resume()
    wait_until(lambda: not set(crew) & set(worker_pids()), what="the list without the dead")
    assert control.get(arrived) == before + 1
