"""The examples with actors, each beside a serial run."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    """`example(name)`: the module, whose classes go to other processes by value."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_parameter_server(fresh, example, tmp_path):
    module = example("parameter_server")
    fresh.init(num_cpus=2)
    weights, losses = module.train(workers=3, shards=2, steps=8)
    expected, serial_losses = module.train_serially(workers=3, steps=8)
    assert np.allclose(weights, expected) and np.allclose(losses, serial_losses)
    assert losses[-1] < losses[0]
    assert module.curve(losses).count("*") == 8
    module.save_png(str(tmp_path / "loss.png"), losses)


def test_word_count(fresh, example):
    module = example("word_count")
    paths = module.files(25)
    fresh.init(num_cpus=2)
    found = module.count(paths, mappers=3, reducers=2, top=20)
    assert found == module.count_serially(paths, 20) and len(found) == 20


def test_simulators(fresh, example):
    module = example("simulators")
    fresh.init(num_cpus=2)
    assert module.simulate(simulators=3, steps=60, kills=4) == module.simulate_serially(simulators=3, steps=60)
