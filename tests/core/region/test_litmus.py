"""Publish against announce never loses a wake-up; with release and acquire it does, so the test can fail."""

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parents[2] / "ray_lite" / "_core.src" / "region"
MILLIONS = 3  # rounds that must be lossless
PATIENCE_S = 40  # until the weak variant has lost one, or the strong one has done its rounds


@pytest.fixture(scope="module", autouse=True)
def two_cpus():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two threads that never run at once lose nothing: this needs 2 CPUs")


@pytest.fixture
def litmus(tmp_path):
    """`litmus(milliseconds, *switches)`: (rounds, lost)."""

    def run(milliseconds, *switches):
        program = tmp_path / "-".join(["litmus", *switches])
        if not program.exists():
            compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))
            flags = ["-std=gnu11", "-O2", "-pthread", f"-I{CORE}", *(f"-D{switch}" for switch in switches)]
            subprocess.run([*compiler, *flags, str(HERE / "litmus.c"), "-o", str(program)], check=True)
        done = subprocess.run([program, str(milliseconds)], capture_output=True, text=True, check=True)
        return tuple(map(int, done.stdout.split()))

    return run


@pytest.mark.slow
def test_sequential_consistency_loses_nothing(litmus):
    rounds = lost = 0
    for _ in range(PATIENCE_S // 2):
        more, missed = litmus(2000)
        rounds, lost = rounds + more, lost + missed
        if rounds >= MILLIONS * 1_000_000:
            break
    print(f"{rounds:,} rounds, {lost} lost")
    assert lost == 0
    assert rounds >= 100_000, "too few rounds to mean anything"


@pytest.mark.slow
def test_release_and_acquire_lose_wake_ups(litmus):
    rounds = 0
    for _ in range(PATIENCE_S):
        more, lost = litmus(1000, "RL_LITMUS")
        rounds += more
        if lost:
            break
    print(f"{lost} of {rounds:,} rounds lost")
    assert lost, f"none of {rounds:,} rounds was lost: the program can't tell right from wrong"
