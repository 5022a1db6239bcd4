"""`ray-lite stop`: which sessions end, how long that takes, and what those see who are attached."""

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from ray_lite.cli.main import main
from ray_lite.control.ask import ask
from ray_lite.node.attach_link import SOCKET

WORKS = """
@ray.remote
def work(path):
    try:
        open(path, "w").close()
        while True:
            time.sleep(0.01)
    finally:
        os.rename(path, path + ".done")

x = work.remote(args[0])
while not os.path.exists(args[0]):
    time.sleep(0.005)
print(info["node_pid"], flush=True)
try:
    ray.get(x)
except ray.exceptions.RaySystemError as error:
    print(error)
"""


@pytest.fixture
def private(start_script):
    """A driver with a session of its own: (process, directory)."""
    script = start_script("""
        import ray_lite as ray
        x = ray.remote(lambda: __import__("time").sleep(100)).remote if ray.init(num_cpus=1) else None
        print(ray.session.current().address["session_dir"], flush=True)
        try:
            ray.get(x())
        except ray.exceptions.RaySystemError as error:
            print(error)
    """)
    return script, script.stdout.readline().strip()


def node_of(directory):
    return psutil.Process(ask(directory, "session", 5)["node_pid"])


def family(session, script):
    """All processes of a session with this driver, but the driver."""
    return [node_of(session.directory), *node_of(session.directory).children(recursive=True),
            *psutil.Process(script.pid).children(recursive=True)]


def are_gone(processes):
    return all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in processes)


def test_the_only_one(command, started, attach, tmp_path, wait_until):
    """Its drivers get an error, and nothing is left of it. Private sessions stay."""
    session = started()
    script = attach(session, WORKS, args=[tmp_path / "works"])
    node = int(script.stdout.readline())
    processes = family(session, script)
    assert {node, script.pid} & {one.pid for one in processes} == {node}
    began = time.monotonic()
    code, out, err = command("stop")
    assert (code, err) == (0, "") and session.directory in out and f"1 driver ({script.pid}) and 1 worker" in out
    assert time.monotonic() - began < 3 and not os.path.exists(session.directory)
    assert script.wait(10) == 0 and "has ended" in script.stdout.read()
    wait_until(lambda: are_gone(processes), 2, "all processes have ended")


def test_private_sessions_stay(command, private):
    script, directory = private
    code, _, err = command("stop")
    assert code == 1 and "no shared session of this user is running" in err and script.poll() is None
    code, out, _ = command("stop", "--all")
    assert (code, out) == (0, "") and script.poll() is None
    assert os.path.exists(os.path.join(directory, SOCKET))
    script.terminate()


@pytest.mark.parametrize("how", ["directory", "pid"])
def test_a_private_session_that_is_named(command, private, how):
    script, directory = private
    code, out, _ = command("stop", "--address", directory if how == "directory" else script.pid)
    assert code == 0 and f"1 driver ({script.pid})" in out
    assert script.wait(10) == 0 and "this session was stopped" in script.stdout.read()


def test_several(command, started):
    first, second = started(), started("--port", 0)
    code, _, err = command("stop")
    assert code == 1 and err.startswith("ray-lite: 2 shared sessions are running") and second.directory in err
    assert command("stop", "--address", second.address)[0] == 0
    code, out, _ = command("stop")
    assert code == 0 and first.directory in out


def test_all(command, started):
    directories = [started().directory for _ in range(2)]
    code, out, _ = command("stop", "--all")
    assert code == 0 and out.count("stopped the session") == 2 and not any(map(os.path.exists, directories))


def test_time_for_what_runs(command, started, attach, tmp_path, wait_until):
    """With a grace a task may end by itself."""
    session, path = started(), tmp_path / "works"
    script = attach(session, """
        @ray.remote
        def work(path):
            open(path, "w").close()
            while not os.path.exists(path + ".go"):
                time.sleep(0.005)
            open(path + ".end", "w").close()

        x = work.remote(args[0])
        try:
            ray.get(x)
        except ray.exceptions.RaySystemError:
            open(args[0] + ".go", "w").close()
            time.sleep(60)
    """, args=[path])
    wait_until(path.exists)
    began = time.monotonic()
    assert command("stop", "--grace", 20)[0] == 0
    assert time.monotonic() - began < 15, "nobody waits for the grace when all has ended"
    assert (tmp_path / "works.end").exists()
    script.kill()


def test_without_a_grace(command, started, attach, tmp_path, wait_until):
    session = started()
    script = attach(session, WORKS, args=[tmp_path / "works"])
    script.stdout.readline()
    processes = family(session, script)
    assert command("stop", "--grace", 0)[0] == 0
    wait_until(lambda: are_gone(processes), 2, "all processes have ended")
    assert script.wait(10) == 0


def test_a_host_that_does_not_answer(command, started, attach, tmp_path, wait_until):
    """It is killed; its drivers' processes see that."""
    session = started()
    script = attach(session, WORKS, args=[tmp_path / "works"])
    script.stdout.readline()
    processes = family(session, script)
    node_of(session.directory).suspend()
    code, out, _ = command("stop", RAY_LITE_ANSWER_TIMEOUT="0.3")
    assert code == 0 and "killed the session" in out and not os.path.exists(session.directory)
    assert script.wait(10) == 0 and "has ended" in script.stdout.read()
    wait_until(lambda: are_gone(processes), 3, "all processes have ended")


def test_addresses_of_nothing(command, started, attach):
    for address, text in (("/nowhere", "no session runs at '/nowhere'"), ("127.0.0.1:1", "no session of this user"),
                          ("4711", "no driver"), ("8.8.8.8:7000", "is not this machine"), ("/etc", "no session runs at")):
        code, out, err = command("stop", "--address", address)
        assert (code, out) == (1, "") and text in err, err


def test_a_driver_is_no_session(command, started, attach):
    session = started()
    script = attach(session, "ray.get(ray.remote(len).remote('')); print(info['session_dir'], flush=True); time.sleep(60)")
    code, _, err = command("stop", "--address", script.stdout.readline().strip())
    assert code == 1 and f"has attached to {session.directory}" in err
    assert script.poll() is None
    script.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("grace", ["-1", "nan", "x", "1e7"])
def test_a_grace_that_is_none(grace):
    with pytest.raises(SystemExit, match="2"):
        main(["stop", "--grace", grace])


# --- what may go wrong ---


def test_two_at_once(started, attach, tmp_path, wait_until):
    """Neither of them kills a host that does what the other has ordered."""
    session = started()
    script = attach(session, WORKS + "    time.sleep(100)", args=[tmp_path / "works"])
    script.stdout.readline()
    line = [sys.executable, "-m", "ray_lite", "stop", "--grace", "1", "--address", session.directory]
    both = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        out, err = one.communicate(timeout=20)
        assert one.returncode == 0 and "killed" not in out and ("stopped" in out or "had ended already" in out), (out, err)


def test_less_time_than_was_said_first(command, started, attach, tmp_path, wait_until):
    session = started()
    script = attach(session, WORKS + "    print('ends', flush=True); time.sleep(100)", args=[tmp_path / "works"])
    script.stdout.readline()
    line = [sys.executable, "-m", "ray_lite", "stop", "--grace", "1000", "--address", session.directory]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as patient:
        while script.stdout.readline() != "ends\n":
            assert script.poll() is None
        assert command("stop", "--address", session.directory)[0] == 0
        assert patient.wait(10) == 0 and "stopped" in patient.stdout.read()


def test_connections_that_say_nothing(command, started):
    """Whoever stops a session waits until they are forgotten, and does not take the host for dead."""
    session = started()
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(40)]
    for one in silent:
        one.connect(f"{session.directory}/{SOCKET}")
    code, out, _ = command("stop")
    assert code == 0 and out.startswith("stopped")
    for one in silent:
        one.close()


def test_what_killed_sessions_left(command, started, wait_until):
    """It is no session: neither to count nor to stop."""
    killed, lives = started(), started()
    host = node_of(killed.directory)
    host.kill()
    wait_until(lambda: are_gone([host]))
    code, out, _ = command("stop")
    assert code == 0 and lives.directory in out and not os.path.exists(killed.directory)
    killed = started()
    host = node_of(killed.directory)
    host.kill()
    wait_until(lambda: are_gone([host]))
    code, out, _ = command("stop", "--address", killed.directory)
    assert code == 0 and "had ended already" in out and not os.path.exists(killed.directory)


def test_a_stopped_guest(command, started, attach, tmp_path, wait_until):
    """Its node does not see the end of the session; the host kills it, with what it had."""
    session = started()
    script = attach(session, WORKS, args=[tmp_path / "works"])
    node = psutil.Process(int(script.stdout.readline()))
    processes, place = family(session, script), ask_for_directory(node)
    node.suspend()
    assert command("stop")[0] == 0
    wait_until(lambda: are_gone(processes), 3, "all processes have ended")
    assert not os.path.exists(place)


def ask_for_directory(node):
    """The directory of a node: it has its lock."""
    return next(one for one in (os.readlink(f"/proc/{node.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{node.pid}/fd"))
                if os.path.basename(one).startswith("ray_lite-"))
