"""Directories of sessions: each stays as long as its session, whoever else starts one, and goes with the next start."""

import os
import subprocess

import psutil
import pytest

import ray_lite as ray

NAMESPACES = ["unshare", "--pid", "--fork", "--mount-proc"]
LIVES = """
import os, sys, time
import ray_lite as ray
info = ray.init(num_cpus=1)
ray.get(ray.remote(lambda: 1).remote())
print(info["session_dir"], info["node_pid"], flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.005)
"""


@pytest.fixture
def another_namespace():
    """The command that starts another one in a pid namespace of its own."""
    if subprocess.run([*NAMESPACES, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no pid namespace can be made here")
    return NAMESPACES


def test_the_directory_of_a_session_in_another_pid_namespace_stays(fresh, start_script, gate, another_namespace):
    """As of a container that shares the directory: no process here has the pid in the name."""
    other = start_script(LIVES, args=[gate.path], command=another_namespace)
    place = other.stdout.readline().split()[0]
    fresh.init(num_cpus=1)
    assert os.path.isdir(os.path.join(place, "logs"))
    gate.open()
    assert other.wait(20) == 0 and not os.path.exists(place)


def test_the_directory_of_a_killed_session_goes_with_the_next_one(fresh, start_script, gate, wait_until):
    other = start_script(LIVES, args=[gate.path])
    place, node = other.stdout.readline().split()
    node = psutil.Process(int(node))
    node.suspend()  # it would see the driver's death
    other.kill()
    other.wait(20)
    node.kill()
    wait_until(lambda: not node.is_running() or node.status() == psutil.STATUS_ZOMBIE, what="the node's end")
    assert os.path.isdir(place)
    fresh.init(num_cpus=1)
    assert not os.path.exists(place)


def test_no_child_of_the_node_keeps_the_directory_locked(ray_session, control_process, wait_until):
    """It could outlive the session, and so would the directory.  (A child that has yet to start its program shares all.)"""

    def descriptors(pid):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                yield os.readlink(f"/proc/{pid}/fd/{fd}")
            except FileNotFoundError:
                pass  # that of this listing

    worker = ray.get(ray.remote(os.getpid).remote())
    place = ray.session.current().address["session_dir"]
    assert place in descriptors(ray.session.current().address["node_pid"])
    for pid in (worker, control_process().pid):
        wait_until(lambda pid=pid: place not in descriptors(pid), what="a child without the node's descriptor")
