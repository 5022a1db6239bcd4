"""The stepped core, built once a run: as it is, and each mutant."""

import importlib.util
import platform
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
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
def program(programs):
    """`program(seed, switch=None, every=0)`: a Program."""
    return lambda seed, switch=None, every=0: programs(beside("program").Program, seed, switch, every)


@pytest.fixture
def calls(programs, monkeypatch):
    """`calls(seed, every=0)`: a Program with actors."""
    monkeypatch.setitem(sys.modules, "program", beside("program"))
    kind = beside("calls").Calls
    return lambda seed, every=0: programs(kind, seed, None, every)
