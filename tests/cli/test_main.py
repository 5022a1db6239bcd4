"""The command line, as a user types it, beside scripts that run."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

COMMANDS = ("status", "errors", "logs", "memory", "ps", "stack")
SCRIPT = """
import os, sys, time
import ray_lite as ray

@ray.remote
class Counter:
    def hold(self, path):
        print("counting")
        while not os.path.exists(path):
            time.sleep(0.01)

@ray.remote
def fail():
    raise ValueError("on purpose")

@ray.remote(num_cpus=0)
def waits(ids):
    return ray.get(ids[0])

@ray.remote(resources={"disk": 1})
def queued():
    pass

ray.init(num_cpus=2, resources={"disk": 1}, driver_mode=ray.SILENT_MODE)
counter = Counter.options(name="one", resources={"disk": 1}).remote()
x = counter.hold.remote(sys.argv[1])
ray.wait([fail.remote()])
y, z = waits.remote([x]), queued.remote()
big = ray.put(bytes(3_000_000))
while "RUNNING" not in str(ray.session.current().actors.rows()) and ray.global_state.actors()[0]["State"] != "ALIVE":
    time.sleep(0.01)
sys.stdout.write("ready " + ray.session.current().address["session_dir"] + chr(10))  # at once: the actor writes, too
sys.stdout.flush()
ray.get(y)
"""


def until_ready(script):
    """Its session's directory."""
    for line in script.stdout:
        if line.startswith("ready"):
            return line.split()[1]
    raise AssertionError(f"the script ended: {script.stderr.read()}")


@pytest.fixture
def script(start_script, tmp_path):
    """A script that runs until the file `go` is there."""
    one = start_script(SCRIPT, args=[tmp_path / "go"])
    one.directory = until_ready(one)
    yield one
    (tmp_path / "go").touch()
    assert one.wait(30) == 0


def asked(command, script, *arguments):
    code, out, err = command(*arguments, "--address", script.directory)
    assert code == 0, err
    return out


def test_waits_for_what_actors_hold(command, script, wait_until):
    """The task that needs a disk waits for the actor that holds it."""
    text = "task queued waits for 1 disk, which actors hold until they end: Counter 'one'"
    wait_until(lambda: text in json.loads(asked(command, script, "status", "--json"))["waits"])
    assert text in asked(command, script, "status")


def test_status(command, script, wait_until):
    wait_until(lambda: "waits waits for" in asked(command, script, "status"))
    out = asked(command, script, "status")
    for text in ("0 of 1 disk free", "of 2 CPU free", "Counter 'one'", "Counter.hold", "queued", "waits waits for Counter.hold",
                 "1 of actors", "errors     1", str(script.pid)):
        assert text in out, (text, out)
    facts = json.loads(asked(command, script, "status", "--json"))
    assert facts["resources"]["disk"] == {"total": 1, "free": 0} and facts["errors"] == 1
    assert facts["actors"][0]["Name"] == "one" and facts["store"]["bytes_used"] >= 3_000_000


def test_errors(command, script):
    out = asked(command, script, "errors")
    assert "task  fail" in out and "ValueError: on purpose" in out
    [entry] = json.loads(asked(command, script, "errors", "--json"))
    assert entry["type"] == "task" and entry["data"]["function_name"] == "fail"


def test_logs(command, script, wait_until):
    wait_until(lambda: "counting" in asked(command, script, "logs"))
    out = asked(command, script, "logs")
    assert "(Counter pid=" in out and out.count("counting") == 1
    [piece] = [json.loads(line) for line in asked(command, script, "logs", "--json").splitlines() if "counting" in line]
    assert piece["class"] == "Counter" and piece["stream"] == "out" and piece["text"] == "counting\n"
    assert "counting" in asked(command, script, "logs", piece["pid"])
    code, out, err = command("logs", script.pid, "--address", script.directory)
    assert (code, out) == (1, "") and f"nothing is known of process {script.pid}" in err


def test_logs_that_are_followed(script, wait_until, tmp_path):
    line = [sys.executable, "-m", "ray_lite", "logs", "--follow", "--address", script.directory]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        assert "counting" in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(20) == 130 and follower.stderr.read() == ""


def test_what_is_followed_ends_with_its_session(script, tmp_path):
    line = [sys.executable, "-m", "ray_lite", "logs", "--follow", "--address", script.directory]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        assert "counting" in follower.stdout.readline()
        (tmp_path / "go").touch()
        assert follower.wait(30) == 0 and follower.stderr.read() == ""


def test_memory(command, script):
    assert "3,0" in asked(command, script, "memory", "--most", 1)
    facts = json.loads(asked(command, script, "memory", "--json"))
    assert facts["largest"][0]["DataSize"] >= 3_000_000 and script.pid in [one["pid"] for one in facts["processes"]]


def test_ps(command, script):
    rows = {row["kind"]: row for row in json.loads(asked(command, script, "ps", "--json"))}
    assert set(rows) == {"driver", "node", "worker", "actor", "control"} and rows["driver"]["pid"] == script.pid
    assert rows["actor"]["task"] == "Counter.hold" and rows["actor"]["name"] == "one" and rows["actor"]["private"] > 1_000_000
    assert "Counter 'one'" in asked(command, script, "ps")


def test_stack(command, script):
    out = asked(command, script, "stack")
    assert "in hold" in out and "in waits" in out and "supervisor.py" not in out
    pid = next(row["pid"] for row in json.loads(asked(command, script, "ps", "--json")) if row["kind"] == "actor")
    [row] = json.loads(asked(command, script, "stack", pid, "--json"))
    assert row["pid"] == pid and "in hold" in row["stack"] and "in waits" not in row["stack"]
    code, _, err = command("stack", script.pid, "--address", script.directory)
    assert code == 1 and "is no worker" in err


def test_each_takes_less_than_a_second(command, script):
    for name in COMMANDS:
        begun = time.monotonic()
        asked(command, script, name)
        assert time.monotonic() - begun < 3, "three times what is promised: the machine may be busy"


@pytest.mark.parametrize("address", ["pid", "path in it", "as it is shown"])
def test_a_session_is_named(command, script, address):
    text = {"pid": script.pid, "path in it": os.path.join(script.directory, "control.sock")}.get(address, script.directory)
    assert script.directory in command("status", "--address", text)[1]


def test_no_session_and_several(command, script, start_script, tmp_path):
    code, out, err = command("status", TMPDIR=str(tmp_path), XDG_RUNTIME_DIR="")
    assert code in (0, 1)  # /tmp may have sessions of others
    for name in (tmp_path / "nowhere", "999999999"):
        code, out, err = command("status", "--address", name)
        assert (code, out) == (1, "") and err.startswith("ray-lite: ") and err.count("\n") == 1
    other = start_script(SCRIPT, args=[tmp_path / "go"])
    until_ready(other)
    code, out, err = command("status")
    assert (code, out) == (1, "") and "sessions are running; --address says which" in err
    assert script.directory in err and str(other.pid) in err
    (tmp_path / "go").touch()
    assert other.wait(30) == 0


def test_a_session_of_another_environment_is_found(command, start_script, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    place = str(tmp_path / "elsewhere")
    one = start_script(SCRIPT, args=[tmp_path / "go"], env={"TMPDIR": place, "XDG_RUNTIME_DIR": place})
    directory = until_ready(one)
    assert os.path.dirname(directory) == place
    if len(directory) <= 90:  # a longer name isn't listed by the kernel
        assert directory in command("status", "--address", one.pid)[1]
    (tmp_path / "go").touch()
    assert one.wait(30) == 0


def test_one_that_does_not_answer_is_named(command, script):
    rows = json.loads(asked(command, script, "ps", "--json"))
    [control] = [row["pid"] for row in rows if row["kind"] == "control"]
    os.kill(control, signal.SIGSTOP)
    try:
        code, out, err = command("status")
        assert (code, out) == (1, "") and f"{script.directory}  does not answer" in err
    finally:
        os.kill(control, signal.SIGCONT)


def test_odd_characters_and_closed_or_full_outputs(start_script, tmp_path):
    odd = SCRIPT.replace('"on purpose"', r'"\udcff \u00e9"')
    one = start_script(odd, args=[tmp_path / "go"])
    ours = f"{sys.executable} -m ray_lite errors --address {until_ready(one)}"
    plain = f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {ours}"
    for line, code, text in [(plain, 0, ""), (f"{ours} > /dev/full", 1, "can't be written"), (f"{ours} >&-", 0, "")]:
        done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60)
        assert done.returncode == code and text.encode() in done.stderr and b"Traceback" not in done.stderr, (line, done)
    (tmp_path / "go").touch()
    assert one.wait(30) == 0


@pytest.mark.parametrize("arguments", [
    ["nonsense"], [], ["status", "--watch", "0"], ["logs", "x"], ["memory", "--most", "x"], ["memory", "--most", "-5"],
    ["completion", "csh"], ["stack", "1", "2"],
])  # fmt: skip
def test_wrong_usage(command, arguments):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "") and "usage: ray-lite" in err


def test_help_teaches(command):
    code, out, _ = command("--help")
    assert code == 0 and "examples:" in out and all(name in out for name in COMMANDS)
    for name in COMMANDS:
        code, out, _ = command(name, "--help")
        assert code == 0 and "--address" in out and "--json" in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(command, shell):
    code, out, _ = command("completion", shell)
    assert code == 0 and "status" in out and "ray-lite" in out


def test_a_reader_that_goes_away_is_no_error(script):
    ours = f"{sys.executable} -m ray_lite memory --most 100000 --address {script.directory}"
    line = f"{ours} | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and done.stdout.endswith("0\n")


STRANGER = 100_000 + os.getpid()
AS_STRANGER = ["setpriv", f"--reuid={STRANGER}", "--regid=100000", "--clear-groups", "--inh-caps=+dac_read_search",
               "--ambient-caps=+dac_read_search"]  # who may read whatever this Python is made of


@pytest.mark.skipif(subprocess.run([*AS_STRANGER, "true"], capture_output=True).returncode != 0,
                    reason="this user can't become another one")
@pytest.mark.parametrize("let_in", [False, True])
def test_another_user_is_refused(script, let_in):
    """By the socket's mode, and if that is changed by the session itself."""
    if let_in:
        os.chmod(script.directory, 0o755)
        os.chmod(os.path.join(script.directory, "control.sock"), 0o666)
    line = [*AS_STRANGER, sys.executable, "-m", "ray_lite", "status", "--address", script.directory]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert ("another user's" if let_in else "Permission denied") in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_what_others_have_planted_is_passed_over(command, script, tmp_path):
    base = os.path.dirname(script.directory)
    planted, link = (os.path.join(base, f"ray_lite-{os.getuid()}-1-{name}") for name in ("planted", "link"))
    os.mkdir(planted)
    os.symlink(tmp_path, link)
    for path in (planted, link):
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    try:
        code, out, err = command("status", TMPDIR=base, XDG_RUNTIME_DIR=base)
        assert not any(os.path.basename(path) in out + err for path in (planted, link))
    finally:
        os.rmdir(planted)
        os.unlink(link)


def test_errors_that_are_gone_are_counted(command, start_script, tmp_path):
    many = SCRIPT.replace("ray.wait([fail.remote()])", "ray.wait([fail.remote() for _ in range(30)], num_returns=30)")
    one = start_script(many, args=[tmp_path / "go"], env={"RAY_LITE_ERRORS": "10"})
    out = command("errors", "--address", until_ready(one))[1]
    assert "(20 older ones are gone)" in out and out.count("on purpose") == 2 * 10
    (tmp_path / "go").touch()
    assert one.wait(30) == 0


def test_no_colours_but_on_a_terminal(command, script):
    assert "\033" not in asked(command, script, "status") + asked(command, script, "errors")
