"""Many sessions that start at once: each cleans up after those that were killed, none touches another."""

import os
import signal
import subprocess
import sys

import pytest

AT_ONCE = 50
ROUNDS = 20 if os.environ.get("RAY_LITE_FULL") else 2

SCRIPT = """
import os, random, signal, sys
import ray_lite as ray

double = ray.remote(lambda x: 2 * x)
for number in range(int(sys.argv[1])):
    address = ray.init(num_cpus=1, object_store_memory=8_000_000)
    assert ray.get(double.remote(number)) == 2 * number
    assert os.path.isdir(address["session_dir"])
    if random.random() < 0.2:
        os.kill(address["node_pid"], signal.SIGKILL)
    ray.shutdown()
    assert not os.path.exists(address["session_dir"])
print("done", flush=True)
if random.random() < 0.5:
    address = ray.init(num_cpus=1, object_store_memory=8_000_000)
    os.kill(address["node_pid"], signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.watchdog(60 + 60 * ROUNDS)
def test_many_scripts_at_once(fresh, tmp_path, wait_until):
    """Half of them end by SIGKILL, their nodes too: their directories are left to whoever comes next."""
    (tmp_path / "script.py").write_text(SCRIPT)
    scripts = [subprocess.Popen([sys.executable, tmp_path / "script.py", str(ROUNDS)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True) for _ in range(AT_ONCE)]
    for script in scripts:
        out, err = script.communicate(timeout=60 * ROUNDS)
        assert out == "done\n" and err == "" and script.returncode in (0, -signal.SIGKILL), err

    def others():
        """Directories of others that are there after one more `init`, which leaves those whose node is still dying."""
        own = os.path.basename(fresh.init(num_cpus=1)["session_dir"])
        found = [name for name in os.listdir(os.environ["TMPDIR"]) if name.startswith("ray_lite-") and name != own]
        fresh.shutdown()
        return found

    wait_until(lambda: not others(), what="the removal of all that was left")
