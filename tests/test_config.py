"""config.py: defaults, and the environment variables that change them."""

import pytest

from ray_lite.config import Config, __version__


def test_defaults(monkeypatch):
    for name in Config._fields:
        monkeypatch.delenv(f"RAY_LITE_{name.upper()}", raising=False)
    assert Config.from_environment() == Config()
    assert __version__.count(".") == 2


def test_a_variable_changes_a_field(monkeypatch):
    monkeypatch.delenv("RAY_LITE_STORE_DELAY")  # which the whole run has
    monkeypatch.setenv("RAY_LITE_SLOTS", "77")
    monkeypatch.setenv("RAY_LITE_PARK", "0.01")
    config = Config.from_environment()
    assert (config.slots, config.park) == (77, 0.01)
    assert config._replace(slots=Config().slots, park=Config().park) == Config()


@pytest.mark.parametrize("text, cpus", [("7", 7), ("1.5", 1.5), ("0", 0)])
def test_cpus_may_be_a_fraction_or_none(monkeypatch, text, cpus):
    monkeypatch.setenv("RAY_LITE_NUM_CPUS", text)
    assert Config.from_environment().num_cpus == cpus


@pytest.mark.parametrize("name, text", [
    ("SLOTS", "many"), ("SLOTS", "1.5"), ("SLOTS", "0"), ("SLOTS", "-1"), ("PARK", "soon"), ("BUCKETS", "1000"),
    ("OBJECTS", "1073741824"), ("NUM_CPUS", "all"), ("HUGE_PAGE", "3000000"),
])
def test_a_wrong_value_is_named(monkeypatch, name, text):
    monkeypatch.setenv(f"RAY_LITE_{name}", text)
    with pytest.raises(ValueError, match=f"RAY_LITE_{name}=.*{text}"):
        Config.from_environment()
