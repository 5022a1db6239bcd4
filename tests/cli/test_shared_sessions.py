"""A shared session as its users see it: several drivers, one session on the command line, members of a group."""

import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import time

import psutil
import pytest

from ray_lite.control.ask import ask
from ray_lite.system import session_dir

FAILS = """
@ray.remote
def fails(x):
    print("from", x)
    raise ValueError(x)

ray.wait([fails.remote(args[0])])
while not ray.error_info():
    time.sleep(0.01)
print([entry["message"].splitlines()[-1] for entry in ray.error_info()], flush=True)
time.sleep(60)
"""
IDIOM = """
import os, signal, subprocess, sys, time
import ray_lite as ray

start = [sys.executable, "-m", "ray_lite", "start", "--head", "--num-cpus=2", *sys.argv[1:]]
output = subprocess.check_output(start, text=True)
address = output.partition('redis_address="')[2].partition('"')[0]
other = subprocess.Popen([sys.executable, "-c", '''
import sys
import ray_lite as ray
ray.init(redis_address=sys.argv[1])

@ray.remote
class Counter:
    def __init__(self):
        self.value = 0

    def add(self, x):
        self.value += x
        return self.value

counter = Counter.options(name="counter", shared=True).remote()
x = ray.put([1, 2, 3])
print(x.hex(), ray.get(counter.add.remote(5)), flush=True)
sys.stdin.read()
''', address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
ray.init(redis_address=address)
text, five = other.stdout.readline().split()
print(ray.get(ray.ObjectID(bytes.fromhex(text))), five, ray.get(ray.get_actor("counter").add.remote(2)), flush=True)
counter = ray.get_actor("counter")
other.kill()
other.wait()
try:
    while True:
        ray.get(counter.add.remote(1))
except ray.exceptions.RayActorError:
    print("the actor has ended with its driver")
print(ray.get(ray.remote(lambda: "the session goes on").remote()))
ray.shutdown()
ray.init(redis_address=address)
print(ray.get(ray.remote(lambda: "again").remote()))
print(subprocess.check_output([sys.executable, "-m", "ray_lite", "stop", "--address", address], text=True).split()[0])
"""


def test_a_script_that_starts_shares_and_stops(run_script):
    """As scripts of 2018 do."""
    for flags in ([], ["--redis-port=0"]):
        done = run_script(IDIOM, args=flags, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == ["[1, 2, 3] 5 7", "the actor has ended with its driver", "the session goes on",
                                            "again", "stopped"]


@pytest.fixture
def two(started, attach):
    """A session with two drivers, one of which fails with "one", the other with "two"."""
    session = started("--port", 0)
    scripts = [attach(session, FAILS, args=[name]) for name in ("one", "two")]
    for script, name in zip(scripts, ("one", "two"), strict=True):
        lines = [script.stdout.readline(), script.stdout.readline()]
        assert sorted(lines) == sorted([f"from {name}\n", f"['ValueError: {name}']\n"]), "each driver has its own errors"
    return session, scripts


def test_one_session(command, two, wait_until):
    session, scripts = two
    wait_until(lambda: all(f"ValueError: {name}" in session.ask("errors") for name in ("one", "two")))
    out = session.ask("status")
    assert all(text in out for text in ("shared, node", "2 workers", "errors     2", *(f"{one.pid} " for one in scripts)))
    assert "2 of 2 CPU free" in out
    assert out.count("script0.py") == out.count("script1.py") == 1
    stacks = json.loads(session.ask("stack", "--json"))
    workers = {row["pid"] for row in json.loads(session.ask("ps", "--json")) if row["kind"] == "worker"}
    assert {one["pid"] for one in stacks} == workers and len(workers) == 2
    for pid in workers:
        assert [one["pid"] for one in json.loads(session.ask("stack", pid, "--json"))] == [pid]
        assert session.ask("logs", pid) in ("from one\n", "from two\n")
    logs = session.ask("logs")
    assert "from one" in logs and "from two" in logs
    code, _, err = command("stack", 1, "--address", session.address)
    assert code == 1 and "1 is no worker" in err
    for script, name, other in zip(scripts, ("one", "two"), ("two", "one"), strict=True):
        own = command("logs", "--address", script.pid)[1]
        assert f"from {name}" in own and f"from {other}" not in own, "a driver's part"


def test_a_driver_is_not_listed_beside_its_session(command, two, started):
    session, scripts = two
    other = started()
    code, _, err = command("status")
    assert code == 1 and session.directory in err and other.directory in err
    assert not any(str(script.pid) in err for script in scripts)


def test_errors_are_in_the_control_store(two, wait_until):
    import redis

    session, scripts = two
    host, port = session.address.split(":")
    with redis.Redis(host, int(port), password=session.password, decode_responses=True) as store:
        wait_until(lambda: store.llen("errors") == 2)
        for script, name in zip(scripts, ("one", "two"), strict=True):
            [entry] = map(json.loads, store.lrange(f"errors:{script.pid}", 0, -1))
            assert f"ValueError: {name}" in entry["message"] and entry["data"]["driver_pid"] == script.pid
            assert "kept_in" not in entry["data"]
        wait_until(lambda: set(store.hkeys("drivers")) == {str(one.pid) for one in scripts})
        before = int(store.get("generation"))
        control, = (row["pid"] for row in ask(session.directory, "ps", 5) if row["kind"] == "control")
        os.kill(control, signal.SIGKILL)  # the next one makes the copy anew, and knows nothing of its lists
        wait_until(lambda: int(store.get("generation")) > before)
        assert [store.llen(key) for key in ("errors", *(f"errors:{one.pid}" for one in scripts))] == [2, 1, 1]
        assert all("script" in json.loads(one)["script"][0] for one in store.hvals("drivers"))
        for script in scripts:
            script.kill()
        wait_until(lambda: not store.exists("drivers", "workers"))
        assert store.llen("errors") == 2


def test_what_dead_drivers_leave(two, wait_until):
    """Their errors and their output."""
    session, scripts = two
    for script in scripts:
        script.kill()
    wait_until(lambda: json.loads(session.ask("status", "--json"))["drivers"] == [])
    wait_until(lambda: all(f"ValueError: {name}" in session.ask("errors") for name in ("one", "two")))
    for script, name in zip(scripts, ("one", "two"), strict=True):
        wait_until(lambda pid=script.pid, name=name: session.ask("logs", pid).endswith(f") from {name}\n"))
        [line] = map(json.loads, session.ask("logs", script.pid, "--json").splitlines())
        assert line["driver"] == script.pid and f"from {name}" in line["text"]


def test_logs_of_dead_drivers_are_swept(started, attach, wait_until):
    session = started(RAY_LITE_DRIVER_LOGS="2")
    live = attach(session, "ray.get(ray.remote(print).remote(1)); print('there', flush=True); time.sleep(60)")
    while "there" not in live.stdout.readline():
        pass
    ended = []
    for _ in range(4):
        script = attach(session, "ray.get(ray.remote(print).remote(2))")
        assert script.wait(20) == 0
        wait_until(lambda pid=script.pid: pid in session_dir.driver_logs(session.directory))
        ended.append(script.pid)
    wait_until(lambda: set(session_dir.driver_logs(session.directory)) == {live.pid, *ended[-2:]})
    live.kill()


def test_old_logs_are_swept(tmp_path):
    (tmp_path / "logs").mkdir()
    now = time.time()
    for pid, age in ((1, 10), (2, 5_000), (3, 5_000), (4, 20)):
        path = session_dir.driver_log(str(tmp_path), pid)
        os.close(session_dir.open_driver_log(str(tmp_path), pid))
        os.utime(path, (now - age, now - age))
    (tmp_path / "logs" / "driver-x.log").touch()
    session_dir.sweep_driver_logs(str(tmp_path), {3}, 10, now - 1_000)
    assert list(session_dir.driver_logs(str(tmp_path))) == [3, 4, 1]
    session_dir.sweep_driver_logs(str(tmp_path), {3}, 1, now - 1_000)
    assert sorted(os.listdir(tmp_path / "logs")) == ["driver-1.log", "driver-3.log", "driver-x.log"]


@pytest.mark.parametrize("password, text", [("wrong", "the password is wrong"), ("", "the password is wrong")])
def test_a_wrong_password(started, start_script, password, text):
    session = started("--port", 0)
    script = start_script("""
        import sys, time
        import ray_lite as ray
        began = time.monotonic()
        try:
            ray.init(redis_address=sys.argv[1], redis_password=sys.argv[2])
        except ray.exceptions.RaySystemError as error:
            print(error, time.monotonic() - began < 2)
    """, args=[session.address, password])
    assert script.wait(20) == 0 and script.stdout.read() == f"this driver can't attach: {text} True\n"


def test_the_right_password(started, attach, start_script):
    session = started()
    script = start_script("""
        import sys
        import ray_lite as ray
        ray.init(redis_address=sys.argv[1], redis_password=sys.argv[2])
        print(ray.get(ray.remote(len).remote("abc")))
    """, args=[session.address, session.password])
    assert script.wait(20) == 0 and script.stdout.read() == "3\n"


def test_a_session_without_a_password(ray_session, start_script):
    script = start_script("""
        import sys
        import ray_lite as ray
        try:
            ray.init(redis_address=sys.argv[1], redis_password="x")
        except ray.exceptions.RaySystemError as error:
            print(error)
    """, args=[ray_session.session.current().address["session_dir"]])
    assert script.wait(20) == 0 and script.stdout.read() == "this driver can't attach: the session has no password\n"


def test_a_password_without_an_address(fresh):
    with pytest.raises(ValueError, match="redis_password goes with redis_address"):
        fresh.init(redis_password="x")
    with pytest.raises(TypeError, match="redis_password must be a string, got int"):
        fresh.init(redis_address="localhost:1", redis_password=5)


# --- several users ---

NOBODY, NOGROUP = 65534, 65534
AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOGROUP), "--clear-groups"]
READS_ALL = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]  # this interpreter may be in root's home


@pytest.fixture
def as_nobody(tmp_path):
    """(the command that starts another one as another user, a directory of that user)"""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can be several users")
    command = [*AS_NOBODY, *READS_ALL]
    if subprocess.run([*command, sys.executable, "-c", ""], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no other user can run this interpreter here")
    place = session_dir.shared_parent()
    theirs = os.path.join(os.path.dirname(place), "theirs")
    os.mkdir(theirs)
    os.chown(theirs, NOBODY, NOGROUP)
    reachable = [path for path in (os.path.dirname(place), os.path.dirname(os.path.dirname(place))) if path != "/tmp"]
    modes = {path: os.stat(path).st_mode for path in reachable}
    for path, mode in modes.items():
        os.chmod(path, mode | 0o011)
    yield command, theirs
    for path, mode in modes.items():
        os.chmod(path, mode)
    shutil.rmtree(theirs)


@pytest.fixture
def as_member(as_nobody, start_script):
    """`as_member(session, source, password)`: a driver of another user."""
    command, theirs = as_nobody

    def start(session, source, password):
        lines = ["import os, sys, time", "import ray_lite as ray", "address, password = sys.argv[1:]", "try:",
                 "    info = ray.init(redis_address=address, redis_password=password or None)",
                 "except ray.exceptions.RaySystemError as error:", "    sys.exit(str(error))"]
        return start_script("\n".join([*lines, source]), args=[session.directory, password], command=command,
                            env={"TMPDIR": theirs, "XDG_RUNTIME_DIR": None})

    return start


def test_a_member_of_the_group(started, as_member, command, wait_until):
    """His processes run as he; the session's user sees them, his errors and his output, and `stop` ends them."""
    session = started("--group", "nogroup")
    script = as_member(session, """
@ray.remote
def who():
    print("from", os.getuid())
    return os.getuid()

@ray.remote
class Actor:
    def who(self):
        return os.getuid()

actor = Actor.remote()
ray.wait([ray.remote(lambda: 1 / 0).remote()])
print(ray.get([who.remote(), actor.who.remote()]), flush=True)
time.sleep(60)
""", session.password)
    lines = {script.stdout.readline(), script.stdout.readline()}
    assert lines == {f"[{NOBODY}, {NOBODY}]\n", f"from {NOBODY}\n"}, script.stderr.read()
    wait_until(lambda: "ZeroDivisionError" in session.ask("errors"))
    theirs = psutil.Process(script.pid).children(recursive=True)
    assert len(theirs) >= 4 and {one.uids().real for one in theirs} == {NOBODY}
    log = pathlib.Path(session_dir.driver_log(session.directory, script.pid))
    wait_until(lambda: log.exists() and f"from {NOBODY}" in log.read_text())
    assert stat.S_IMODE(log.stat().st_mode) == 0o600 and stat.S_IMODE(log.parent.stat().st_mode) == 0o700
    assert command("stop")[0] == 0
    wait_until(lambda: all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in theirs), 3)
    script.send_signal(signal.SIGKILL)


def test_a_member_that_dies(started, as_member, wait_until):
    """The host can't signal its processes, and frees all that they had once they are gone."""
    session = started("--group", "nogroup")
    script = as_member(session, """
x = ray.put(bytes(1_000_000))
y = ray.remote(lambda: time.sleep(100)).remote()
print(ray.get(ray.remote(lambda: 1).remote()), flush=True)
time.sleep(60)
""", session.password)
    assert script.stdout.readline() == "1\n", script.stderr.read()
    script.kill()

    def is_free():
        facts = ask(session.directory, "status", 5)
        return not facts["drivers"] and facts["store"]["objects"] == 0 and facts["resources"]["CPU"]["free"] == 2

    wait_until(is_free)


@pytest.mark.parametrize("flags, password, text", [
    ([], "theirs", "Permission denied"),
    (["--group", "root"], "theirs", "Permission denied"),
    (["--group", "nogroup"], "", "gives its password"),
    (["--group", "nogroup"], "wrong", "the password is wrong"),
])
def test_who_may_not(started, as_member, flags, password, text):
    session = started(*flags)
    script = as_member(session, "", session.password if password == "theirs" else password)
    assert script.wait(20) == 1 and text in script.stderr.read()


def test_a_member_asks_nothing(started, as_member, as_nobody, start_script):
    """He sends errors of a driver of his that has attached; nothing else, and no others'."""
    session = started("--group", "nogroup")
    command, theirs = as_nobody
    script = start_script("""
        import os, sys
        from ray_lite.control.ask import ask
        from ray_lite.exceptions import RaySystemError
        for name, fields in (("status", {}), ("logs", {}), ("report", {"driver": os.getpid(), "entries": []}), ("report", {})):
            try:
                ask(sys.argv[1], name, 5, **fields)
                print("answered", name)
            except RaySystemError as error:
                print("another user's" in str(error))
    """, args=[session.directory], command=command, env={"TMPDIR": theirs, "XDG_RUNTIME_DIR": None})
    assert script.wait(20) == 0 and script.stdout.read() == "True\n" * 4


def test_another_users_stop(started, as_nobody, start_script):
    session = started("--group", "nogroup")
    command, theirs = as_nobody
    script = start_script("""
        import sys
        from ray_lite.cli.main import main
        sys.exit(main(["stop", "--address", sys.argv[1]]))
    """, args=[session.directory], command=command, env={"TMPDIR": theirs, "XDG_RUNTIME_DIR": None})
    assert script.wait(20) == 1 and "belongs to user 0" in script.stderr.read()
    assert ask(session.directory, "session", 5)["is_shared"]
