"""The end of actors in good order: hooks and exit handlers, within their bounds, whoever asks for the end."""

import os
import signal
import time

import pytest

import ray_lite as ray

HOOKED = """
import atexit, os, sys, time
import ray_lite as ray
from ray_lite.exceptions import TaskCancelledError

@ray.remote
class Hooked:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        atexit.register(self.note, "exit")

    def note(self, what):
        open(os.path.join(self.folder, f"{what}-{self.name}"), "w").close()

    def hold(self):
        try:
            self.note("holding")
            while True:
                time.sleep(0.05)
        except TaskCancelledError:
            self.note("cancelled")
            raise

    def stuck(self):
        self.note("holding")
        while True:
            try:
                time.sleep(100)
            except TaskCancelledError:
                self.note("ignored")

    def __ray_shutdown__(self):
        self.note("hook")
"""


@ray.remote
class Hooked:
    """Notes the steps of its end."""

    def __init__(self, arrive, wait=None):
        import atexit

        self.arrive, self.wait = arrive, wait
        atexit.register(arrive, "exit")

    def pid(self):
        return os.getpid()

    def leave(self):
        ray.exit_actor()

    def __ray_shutdown__(self):
        self.arrive("hook")
        if self.wait is not None:
            self.wait()


@pytest.mark.parametrize("how", ["handle", "exit", "terminate", "shutdown", "kill"])
def test_the_hook_and_the_exit_handlers(fresh, gate, wait_until, how):
    fresh.init(num_cpus=2)
    actor = Hooked.remote(gate.arrive)
    pid = ray.get(actor.pid.remote())
    if how == "exit":
        ray.get(actor.leave.remote())
    elif how == "terminate":
        actor.__ray_terminate__.remote()
    elif how == "kill":
        ray.kill(actor)
    if how == "shutdown":
        fresh.shutdown()
    elif how != "kill":
        del actor
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the end of the process")
    assert len(gate.arrived("hook")) == len(gate.arrived("exit")) == (0 if how == "kill" else 1)


def test_a_hook_that_hangs_is_cut_off(fresh, gate, wait_until, monkeypatch, capfd):
    monkeypatch.setenv("RAY_LITE_ACTOR_GRACE", "0.2")
    fresh.init(num_cpus=2)
    actor = Hooked.remote(gate.arrive, gate.wait)
    pid = ray.get(actor.pid.remote())
    del actor
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the end of the process")
    assert gate.arrived("hook") and not gate.arrived("exit")
    fresh.shutdown()
    assert "__ray_shutdown__" in capfd.readouterr().err, "where it hung"


def test_shutdown_with_a_hook_that_hangs(fresh, gate, monkeypatch):
    monkeypatch.setenv("RAY_LITE_ACTOR_GRACE", "0.2")
    monkeypatch.setenv("RAY_LITE_EXIT_GRACE", "0.2")
    fresh.init(num_cpus=2, shutdown_grace=0.3)
    actor = Hooked.remote(gate.arrive, gate.wait)
    pid = ray.get(actor.pid.remote())
    began = time.monotonic()
    fresh.shutdown()
    assert time.monotonic() - began < 5 and gate.arrived("hook") and not os.path.exists(f"/proc/{pid}")


@pytest.mark.slow
def test_a_busy_method_gets_the_grace_and_then_the_hook_runs(start_script, tmp_path, wait_until):
    """32 actors at SIGTERM, of which one is busy and one does not listen; all is over within 12 s."""
    script = start_script(HOOKED + """
ray.init(num_cpus=2, shutdown_grace=1)
folder = sys.argv[1]
actors = [Hooked.options(num_cpus=0).remote(folder, number) for number in range(32)]
ray.get([actor.note.remote("made") for actor in actors])
actors[0].hold.remote()
actors[1].stuck.remote()
while True:  # a signal just before a sleep is handled after it
    time.sleep(0.1)
""", args=[str(tmp_path)])
    def there(what):
        return len(list(tmp_path.glob(f"{what}-*")))

    wait_until(lambda: there("holding") == 2, deadline=30)
    began = time.monotonic()
    script.send_signal(signal.SIGTERM)
    assert script.wait(12) == -signal.SIGTERM and time.monotonic() - began < 12
    assert (there("hook"), there("exit"), there("cancelled"), there("ignored")) == (31, 31, 1, 1)


@pytest.mark.parametrize("end", ["", "ray.shutdown()", "raise SystemExit(0)"])
def test_the_end_of_a_script(run_script, tmp_path, end):
    run_script(HOOKED + f"""
ray.init(num_cpus=2)
actors = [Hooked.remote(sys.argv[1], number) for number in range(4)]
ray.get([actor.note.remote("made") for actor in actors])
{end}
""", args=[str(tmp_path)])
    assert len(list(tmp_path.glob("hook-*"))) == 4


def test_coroutines_are_cancelled_after_the_grace(start_script, tmp_path, wait_until):
    script = start_script("""
import asyncio, os, sys, time
import ray_lite as ray

@ray.remote
class Sleepers:
    def __init__(self, folder):
        self.folder = folder

    async def sleep(self, number):
        try:
            open(os.path.join(self.folder, f"in-{number}"), "w").close()
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            open(os.path.join(self.folder, f"cancelled-{number}"), "w").close()
            raise

    async def __ray_shutdown__(self):
        open(os.path.join(self.folder, "hook"), "w").close()

ray.init(num_cpus=2, shutdown_grace=0.5)
actor = Sleepers.remote(sys.argv[1])
sleeps = [actor.sleep.remote(number) for number in range(10)]
while True:  # a signal just before a sleep is handled after it
    time.sleep(0.1)
""", args=[str(tmp_path)])
    wait_until(lambda: len(list(tmp_path.glob("in-*"))) == 10, deadline=30)
    script.send_signal(signal.SIGTERM)
    assert script.wait(12) == -signal.SIGTERM
    assert len(list(tmp_path.glob("cancelled-*"))) == 10 and (tmp_path / "hook").exists()
