"""machine.py: what this machine gives."""

import os

from ray_lite import machine


def test_cpus_follow_the_affinity_mask():
    allowed = os.sched_getaffinity(0)
    assert 1 <= machine.cpus() <= len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine.cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_memory_is_what_the_kernel_says():
    with open("/proc/meminfo") as file:
        kilobytes = int(file.readline().split()[1])
    assert abs(machine.memory() - kilobytes * 1024) < 1 << 20


def test_file_systems():
    assert machine.file_system("/proc/self") == "proc"
    assert machine.file_system("/dev/shm") == "tmpfs"
    assert machine.file_system("/") != "proc"  # in a chroot it can't be told
