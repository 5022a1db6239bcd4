"""postmortem.py: signals, exit codes, peak memory, and the out-of-memory killer by its cgroup's counter."""

import faulthandler
import os
import signal

import pytest

from ray_lite.node.postmortem import Postmortem
from ray_lite.system import cgroups


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def child(forked):
    """`child(ending)`: the pid of a child that has ended so, and that nobody has reaped."""

    def run(ending):
        faulthandler.disable()  # the test run's own, which would report the death as one of its own
        ending()
        os._exit(99)

    def start(ending):
        pid = forked(run, ending).pid
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return pid

    return start


@pytest.fixture
def counters(tmp_path, monkeypatch):
    """A cgroup tree of our own: `counters(version, kills)` writes what the kernel would."""
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path))
    with open("/proc/self/cgroup") as file:
        places = {controllers: path for _, controllers, path in (line.strip().split(":", 2) for line in file)}

    def write(version, kills):
        if version == 2:
            path = tmp_path / places.get("", "/").lstrip("/") / "memory.events"
        else:
            path = tmp_path / "memory" / places.get("memory", "/").lstrip("/") / "memory.oom_control"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"oom 7\noom_kill_disable 0\noom_kill {kills}\n")

    write.versions = [version for version, name in ((1, "memory"), (2, "")) if name in places]
    return write


def test_an_exit_code(child):
    died = Postmortem(1.0).examine(child(lambda: os._exit(3)))
    assert (died.signal, died.number, died.out_of_memory) == ("", 3, False)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV], ids=lambda number: number.name)
def test_a_signal(child, number):
    died = Postmortem(1.0).examine(child(lambda: os.kill(os.getpid(), number)))
    assert (died.signal, died.number) == (number.name, number)


def test_a_real_time_signal(child):
    number = signal.SIGRTMIN + 3
    assert Postmortem(1.0).examine(child(lambda: os.kill(os.getpid(), number))).signal == f"SIG{number}"


def test_peak_memory(child):
    died = Postmortem(1.0).examine(child(lambda: bytearray(b"x") * 200_000_000))
    assert died.peak > 200_000_000


def test_a_kill_while_the_counter_grew_is_the_kernels(child, counters):
    for version in counters.versions:
        counters(version, 5)
        postmortem = Postmortem(1.0)
        assert not postmortem.examine(child(killed)).out_of_memory
        first, second = child(killed), child(killed)
        counters(version, 7)
        assert postmortem.examine(first).out_of_memory
        assert postmortem.examine(second).out_of_memory, "several may die at once"


def test_other_ends_are_not_the_kernels(child, counters):
    for version in counters.versions:
        counters(version, 0)
        postmortem = Postmortem(1.0)
        pid = child(lambda: os._exit(1))
        counters(version, 1)
        assert not postmortem.examine(pid).out_of_memory


def test_it_is_not_the_kernels_for_ever(child, counters):
    for version in counters.versions:
        counters(version, 0)
        postmortem = Postmortem(0.0)
        counters(version, 1)
        postmortem.examine(child(killed))
        assert not postmortem.examine(child(killed)).out_of_memory


def test_without_cgroups_the_machines_counter_stands_in(child, tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path))
    assert Postmortem(1.0)._own == ["/proc/vmstat"]
    assert not Postmortem(1.0).examine(child(killed)).out_of_memory
