"""attach_link.py and jobs.py: whatever somebody says on the socket for drivers, the host and the session go on."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

import ray_lite as ray
from ray_lite.node import attach_link

HELLO = attach_link.hello(None, "", "")._asdict()


@pytest.fixture
def connect(ray_session):
    """A new connection with the host of this test's session."""
    path = os.path.join(ray_session.session.current().address["session_dir"], attach_link.SOCKET)
    made = []

    def make():
        made.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        made[-1].settimeout(5)
        made[-1].connect(path)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ends():
    """The descriptors of a Hello: of this process, of one that stands for its node, and a doorbell."""
    node = subprocess.Popen(["sleep", "100"])  # a child of this process, as a driver's node is
    fds = [os.pidfd_open(os.getpid()), os.pidfd_open(node.pid), os.eventfd(0)]
    yield fds
    node.kill()
    node.wait()
    for fd in fds:
        os.close(fd)


@pytest.fixture
def goes_on(ray_session, wait_until):
    """Whether the session still works, and has one job."""

    def look():
        region = ray_session.session.current().region
        wait_until(lambda: region.statistics()["jobs"] == 1, what="no other job is there")
        region.check()
        return ray.get(ray.remote(lambda: 5).remote(), timeout=10) == 5

    return look


GARBAGE = {
    "nothing": b"", "no JSON": b"hello", "deep": b"[" * 60_000, "no object": b"[1]", "a number": b"5", "empty": b"{}",
    **{f"{name} is {value!r}": json.dumps(HELLO | {name: value}).encode()
       for name, values in {"namespaces": ([], ["x", 1, 2], None), "pid": ("x", 0, 1 << 70), "seed": (0.5, "y"),
                            "version": (None, "0.0"), "directory": (5,), "proof": (None,), "more": (1,)}.items()
       for value in values},
    "a challenge with descriptors": b'{"nonce": "%s", "proof": ""}' % (b"0" * 64),
    "a short number": b'{"nonce": "0", "proof": ""}',
    "no number": b'{"nonce": "%s", "proof": ""}' % (b"\\ud800" * 64),
    "a grace that is none": b'{"grace": -1}', "not a number": b'{"grace": NaN}', "true": b'{"grace": true}',
}


@pytest.mark.parametrize("what", GARBAGE)
def test_a_hello_that_is_none(connect, ends, goes_on, what):
    one = connect()
    socket.send_fds(one, [GARBAGE[what]], ends)
    answer = one.recv(1 << 16)
    assert answer == b"" or "refused" in json.loads(answer)
    assert goes_on()


@pytest.mark.parametrize("place, made", [(0, "file"), (1, "file"), (2, "file"), (0, "node"), (1, "pipe"), (2, "pipe"),
                                         (1, "host"), (1, "self")])
def test_descriptors_that_are_something_else(connect, ends, goes_on, place, made):
    reads, writes = os.pipe()
    file = os.open("/dev/null", os.O_RDONLY)
    fds = [*ends]
    host = os.pidfd_open(ray.session.current().address["node_pid"])
    fds[place] = {"file": file, "node": ends[1], "pipe": reads, "host": host, "self": ends[0]}[made]
    one = connect()
    socket.send_fds(one, [json.dumps(HELLO).encode()], fds)
    assert one.recv(1 << 16) == b""
    for fd in (reads, writes, file, host):
        os.close(fd)
    assert goes_on()


@pytest.mark.parametrize("directory", ["", "/", "/etc", "\0", "\ud800", "relative", "x" * 10_000])
def test_a_directory_that_is_not_the_drivers(connect, ends, goes_on, directory):
    one = connect()
    socket.send_fds(one, [json.dumps(HELLO | {"directory": directory}).encode()], ends)
    message, fds = attach_link.receive(one, attach_link.WELCOME_FDS)
    assert message["job"] == 2
    for fd in fds:
        os.close(fd)
    one.close()
    signal.pidfd_send_signal(ends[1], signal.SIGKILL)
    assert goes_on() and os.path.isdir("/etc")


def test_too_few_descriptors(connect, ends, goes_on):
    one = connect()
    socket.send_fds(one, [json.dumps(HELLO).encode()], ends[:2])
    assert one.recv(1 << 16) == b"" and goes_on()


def test_who_says_nothing_is_forgotten(connect, goes_on, monkeypatch):
    """After Config.hello_timeout; and others are served meanwhile."""
    silent = [connect() for _ in range(3)]
    assert goes_on()
    assert [one.recv(1) for one in silent] == [b""] * 3


def test_a_driver_that_says_more_is_not_listened_to(connect, ends, goes_on, wait_until, statistics):
    one = connect()
    socket.send_fds(one, [json.dumps(HELLO).encode()], ends)
    message, fds = attach_link.receive(one, attach_link.WELCOME_FDS)
    assert message["job"] == 2 and not any(os.get_inheritable(fd) for fd in fds)
    for said in (b"", b"more", b"x" * 10_000):
        one.send(said)
    assert ray.get(ray.remote(lambda: 6).remote()) == 6
    assert ray.session.current().region.statistics()["jobs"] == 2, "it is still there"
    for fd in fds:
        os.close(fd)
    one.close()
    signal.pidfd_send_signal(ends[1], signal.SIGKILL)
    assert goes_on()


def test_a_driver_that_is_gone_when_the_host_reads_its_hello(ray_session, ends, goes_on):
    address = ray_session.session.current().address
    source = f"""
import json, os, socket
from ray_lite.node import attach_link
one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
one.connect({os.path.join(address["session_dir"], attach_link.SOCKET)!r})
fds = [os.pidfd_open(os.getpid()), os.pidfd_open(os.getppid()), os.eventfd(0)]
socket.send_fds(one, [json.dumps(attach_link.hello(None, "", "")._asdict()).encode()], fds)
os._exit(0)
"""
    os.kill(address["node_pid"], signal.SIGSTOP)
    try:
        for _ in range(3):
            found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            subprocess.run([sys.executable, "-c", source], check=True, env=found)
    finally:
        os.kill(address["node_pid"], signal.SIGCONT)
    assert goes_on()
