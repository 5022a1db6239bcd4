"""The stepped core, built once a run: as it is, and each mutant."""

import importlib.util
import os
import platform
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OPERATIONS = int(os.environ.get("RAY_LITE_CRASH_OPS", "1000"))
A_PROGRAM = 200  # operations of one region
MORE = 8  # most programs beyond those, until all that is wanted came
MUTANTS = ["RL_MUTANT_UNLOGGED", "RL_MUTANT_EARLY_PUBLISH", "RL_MUTANT_LATE_CLEAR"]


def beside(name):
    spec = importlib.util.spec_from_file_location(f"crash_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def variants(tmp_path_factory):
    """{switch or None: the module}."""
    if platform.machine() != "x86_64":
        pytest.skip("single-stepping uses the trap flag of x86-64")
    build = beside("build")
    work = tmp_path_factory.mktemp("stepped")
    return {switch: build.load(path) for switch, path in build.build(work, [None, *MUTANTS]).items()}


@pytest.fixture
def programs(variants):
    """`programs(kind, seed, switch, every)`: a Program of `kind` over a region of its own; closed by the next one, or after the
    test.

    There is one at a time, since each module has one court (judge.pyx); a closed Program has given back the court's copies.
    """
    made = []

    def close():
        while made:
            made.pop().close()

    def make(kind, seed, switch, every):
        close()
        made.append(kind(variants[switch], seed, every))
        made[-1].begin()
        return made[-1]

    yield make
    close()


@pytest.fixture
def enumeration():
    """`enumeration(make, wanted)`: runs random programs, at least as many as RAY_LITE_CRASH_OPS says, until all that is wanted
    came. The totals, the counts of what came, and the longest section."""

    def run(make, wanted):
        totals, counts, longest = Counter(), Counter(), 0
        begun = time.monotonic()
        enough = max(1, OPERATIONS // A_PROGRAM)
        for seed in range(enough + MORE):
            if seed >= enough and all(counts[name] for name in wanted):
                break
            one = make(seed, every=100)
            one.run(A_PROGRAM)
            one.end()
            one.region.check()
            totals.update(one.stepper.totals)
            counts.update(one.counts)
            longest = max(longest, one.region.statistics()["longest_section"])
        print(f"{dict(totals)} in {time.monotonic() - begun:.0f} s; longest log {longest}; {dict(counts)}")
        return totals, counts, longest

    return run


@pytest.fixture
def program(programs):
    """`program(seed, switch=None, every=0)`: a Program."""
    return lambda seed, switch=None, every=0: programs(beside("program").Program, seed, switch, every)


@pytest.fixture
def guests(programs, monkeypatch):
    """`guests(seed, every=0)`: a Program of two jobs."""
    monkeypatch.setitem(sys.modules, "program", beside("program"))
    kind = beside("guests").Guests
    return lambda seed, every=0: programs(kind, seed, None, every)


@pytest.fixture
def calls(programs, monkeypatch):
    """`calls(seed, every=0)`: a Program with actors."""
    monkeypatch.setitem(sys.modules, "program", beside("program"))
    kind = beside("calls").Calls
    return lambda seed, every=0: programs(kind, seed, None, every)
