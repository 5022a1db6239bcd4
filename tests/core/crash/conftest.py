"""The stepped core, built once a run: as it is, and each mutant."""

import importlib.util
import platform
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
def program(variants):
    """`program(seed, switch=None, every=0)`: a Program over a region of its own; closed by the next one, or after the test.

    There is one at a time: a module has one court (judge.pyx), and a Program that closes gives that court's copies back.
    """
    made = []

    def close():
        while made:
            made.pop().close()

    def make(seed, switch=None, every=0):
        close()
        made.append(beside("program").Program(variants[switch], seed, every))
        made[-1].begin()
        return made[-1]

    yield make
    close()
