"""Fixtures of the command line's tests: commands, and shared sessions that never outlive the test."""

import dataclasses
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

from ray_lite.system import session_dir


@pytest.fixture
def command():
    """`command(...)`: (exit code, stdout, stderr) of `python -m ray_lite ...`."""

    def run(*arguments, **changes):
        env = {**os.environ, "COLUMNS": "200", **changes}
        done = subprocess.run([sys.executable, "-m", "ray_lite", *map(str, arguments)], capture_output=True, text=True,
                              timeout=60, env=env)
        assert not done.stderr.startswith("Traceback"), done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


@dataclasses.dataclass
class Shared:
    """A shared session."""

    address: str
    directory: str
    output: str
    command: Callable

    def ask(self, name, *arguments):
        """What a command prints about this session, and nothing about another one that may run here."""
        code, out, err = self.command(name, *arguments, "--address", self.directory)
        assert (code, err) == (0, "")
        return out

    @property
    def password(self):
        with open(os.path.join(self.directory, session_dir.PASSWORD_FILE)) as file:
            return file.read().strip()


def existing():
    return [path for path in session_dir.existing() if session_dir.is_shared(path)]


@pytest.fixture
def started(command):
    """`started(flags, ...)`: a shared session that `ray-lite start --head` has started."""

    def start(*flags, **changes):
        code, out, err = command("start", "--head", "--num-cpus", "2", *flags, **changes)
        assert (code, err) == (0, "")
        [address] = re.findall(r'^ *ray\.init\(redis_address="(.*)"\)$', out, re.M)
        [directory] = re.findall(r"A session runs in (\S+):", out)
        return Shared(address, directory, out, command)

    yield start
    if existing():
        assert command("stop", "--all")[0] == 0
    assert existing() == []


ATTACH = """
import os, sys, time
import ray_lite as ray
address, *args = sys.argv[1:]
info = ray.init(redis_address=address)
"""


@pytest.fixture
def attach(start_script):
    """`attach(session, source)` starts a driver that attaches to it, and runs the source then; `ray`, `os`, `sys`, `time`,
    `args` and `info`, what `init` returned, are there."""

    def start(session, source, *, args=(), **how):
        return start_script(ATTACH + textwrap.dedent(source), args=[session.address, *args], **how)

    return start
