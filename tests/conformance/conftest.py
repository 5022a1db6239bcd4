"""Fixtures of the conformance tests: drivers that attach to the session of a test."""

import textwrap

import pytest

COUNTED = ("objects", "tasks", "refs", "actors", "lanes", "kept", "jobs", "slots", "cpus_free", "bytes_used")


@pytest.fixture
def counts(fresh):
    """What the live session's tables hold."""

    def count():
        facts = fresh.session.current().region.statistics()
        return {name: facts[name] for name in COUNTED}

    return count


@pytest.fixture
def attached(start_script, ray_session):
    """`attached(source)` starts a driver that attaches to this test's session, and runs the source then; `ray`, `os`, `sys`,
    `time` and `info`, what `init` returned, are there.
    """
    address = ray_session.session.current().address["session_dir"]

    def start(source, *, args=(), grace=5.0, **how):
        lines = ["import os, sys, time", "import ray_lite as ray", "address, *args = sys.argv[1:]",
                 f"info = ray.init(redis_address=address, shutdown_grace={grace})"]
        return start_script("\n".join([*lines, textwrap.dedent(source)]), args=[address, *args], **how)

    return start


@pytest.fixture
def finished():
    """`finished(process)`: what a driver still prints that must succeed and say nothing on standard error."""

    def end(process):
        out, err = process.stdout.read(), process.stderr.read()  # `communicate` would lose what `readline` has read ahead
        assert (process.wait(), err) == (0, ""), (out, err)
        return out

    return end
