"""isolation.py: what is put back after a task was run inline, and fresh seeds."""

import os
import random
import subprocess

import numpy as np

from ray_lite.workers.isolation import ProcessState, RandomStates, reseed


def test_everything_is_put_back(tmp_path):
    before = os.getcwd(), dict(os.environ)
    state = ProcessState()
    os.chdir(tmp_path)
    os.environ["RAY_LITE_TEST"] = "1"
    removed = next(name for name in os.environ if name != "RAY_LITE_TEST")
    del os.environ[removed]
    umask = os.umask(0o77)
    state.restore()
    assert (os.getcwd(), dict(os.environ)) == before
    assert os.umask(umask) == umask
    printed = subprocess.run("echo $RAY_LITE_TEST", shell=True, capture_output=True, text=True, env=None).stdout
    assert printed == "\n", "the C environment too"


def test_generators_are_replaced_and_restored():
    """Tasks run inline draw one fresh stream, not that of the task around them."""
    ours = random.getstate(), np.random.get_state()[1].tolist()
    expected = random.random(), float(np.random.random())
    random.setstate(ours[0])
    draws = set()
    for _ in range(2):
        states = RandomStates()
        states.replace()
        draws |= {random.random(), float(np.random.random())}
        states.replace()
        draws |= {random.random(), float(np.random.random())}
        states.restore()
        assert random.getstate() == ours[0]
    assert len(draws) == 8 and not draws & set(expected)


def test_generators_that_were_not_replaced_are_not_touched():
    before = random.getstate()
    RandomStates().restore()
    assert random.getstate() == before


def test_reseeding_makes_other_numbers():
    before = random.getstate(), np.random.get_state()
    try:
        random.seed(1)
        np.random.seed(1)
        expected = random.random(), np.random.random()
        random.seed(1)
        np.random.seed(1)
        reseed()
        assert (random.random(), np.random.random()) != expected
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def test_a_directory_that_is_gone_keeps_nothing_else_from_being_put_back(tmp_path):
    before, umask = os.getcwd(), os.umask(0o22)
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    try:
        state = ProcessState()
        os.chdir(tmp_path)
        (tmp_path / "gone").rmdir()
        os.environ["RAY_LITE_TEST"] = "1"
        os.umask(0o77)
        state.restore()
        assert "RAY_LITE_TEST" not in os.environ and os.umask(umask) == 0o22
    finally:
        os.chdir(before)
        os.umask(umask)
        os.environ.pop("RAY_LITE_TEST", None)
