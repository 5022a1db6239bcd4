"""What tasks write: whole, in the driver's terminal or in capped files; a slow or lost reader stops no task."""

import contextlib
import importlib.util
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import ray_lite as ray
from ray_lite.control.control_starter import ControlStarter
from ray_lite.control.stack_dumps import StackDumps
from ray_lite.session_setting import SessionSetting
from ray_lite.system.machine import Limit


def logs():
    directory = Path(ray.session.current().address["session_dir"], "logs")
    found = {}
    for path in sorted(directory.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # it was capped meanwhile: renamed
            found[path.name] = path.read_text()
    return found


def test_what_tasks_write_reaches_the_drivers_streams_before_it_ends(run_script):
    done = run_script("""
        import os, subprocess, sys
        import ray_lite as ray

        @ray.remote
        def f(k):
            print("out", k)
            print("err", k, file=sys.stderr)
            subprocess.run(["echo", "child", str(k)])
            sys.stdout.write(f"unfinished {k} ")

        ray.init(num_cpus=2)
        ray.get([f.remote(k) for k in range(50)])
    """)
    assert done.returncode == 0
    out = done.stdout
    assert all(f"{what} {k}" in out for what in ("out", "child", "unfinished") for k in range(50))
    errors = [re.sub(r"^\(pid=\d+\) ", "", line) for line in done.stderr.splitlines()]
    assert sorted(errors) == sorted(f"err {k}" for k in range(50))


def test_a_lot_of_output_arrives_whole(run_script):
    done = run_script("""
        import ray_lite as ray

        @ray.remote
        def f(k):
            for line in range(20_000):
                print(f"{k} {line} {'x' * 60}")

        ray.init(num_cpus=2)
        ray.get([f.remote(k) for k in range(2)])
    """, env={"RAY_LITE_OUTPUT_BACKLOG": "100000000"})
    assert done.returncode == 0 and done.stderr == ""
    lines = [re.sub(r"^\(pid=\d+\) ", "", line) for line in done.stdout.splitlines()]
    for k in range(2):
        assert [line for line in lines if line.startswith(f"{k} ")] == [f"{k} {n} {'x' * 60}" for n in range(20_000)]
    assert len(lines) == 40_000, "no line was cut"


def test_an_unfinished_line_is_shown_while_the_task_runs(start_script, tmp_path):
    script = start_script("""
        import os, sys
        import ray_lite as ray

        @ray.remote
        def f(path):
            import time
            sys.stdout.write("50 %")
            sys.stdout.flush()
            while not os.path.exists(path):
                time.sleep(0.01)

        ray.init(num_cpus=1)
        ray.get(f.remote(sys.argv[1]))
    """, args=[tmp_path / "go"])
    assert script.stdout.read(4) == "50 %"
    (tmp_path / "go").touch()
    assert script.wait(20) == 0


def test_an_unfinished_line_is_shown_beside_one_who_never_stops_writing(start_script, tmp_path):
    script = start_script("""
        import os, sys
        import ray_lite as ray

        @ray.remote
        def chatty(path):
            while not os.path.exists(path):
                print("chat", file=sys.stderr)

        @ray.remote
        def slow(path):
            import time
            print("50 %", end="", flush=True)
            while not os.path.exists(path):
                time.sleep(0.01)

        ray.init(num_cpus=2)
        ray.get([f.remote(sys.argv[1]) for f in (chatty, slow)])
    """, args=[tmp_path / "go"], env={"RAY_LITE_OUTPUT_BACKLOG": "10000"})
    shown = ""
    while "50 %" not in shown:
        shown += script.stdout.read(1)
    assert re.fullmatch(r"(\(pid=\d+\) )?50 %", shown)
    (tmp_path / "go").touch()
    script.communicate(timeout=20)
    assert script.returncode == 0


def test_a_control_process_that_cannot_be_started_is_due_later(fresh, monkeypatch, tmp_path):
    def no_fork():
        raise BlockingIOError(11, "no more processes")

    ray.init(num_cpus=1)
    driver = ray.session.current()
    limits = Limit(1, "this test"), Limit(2, "this test")
    info = driver.info._replace(session_dir=str(tmp_path))
    dumps = StackDumps()
    control = ControlStarter(driver.region, SessionSetting(info, *limits, os.getpid(), 0o022, [], []), -1, dumps, dict)
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "fork", no_fork)
    assert control.due_in() == 0
    with pytest.raises(OSError):
        control.start([])
    assert control.due_in() > 0 and os.listdir("/proc/self/fd") == before
    for fd in (*control.terminal, *control.errors, dumps.read_end, dumps.write_end):
        os.close(fd)
    for socket in (control.listener, control.reports, control.sender):
        socket.close()


def test_nobody_waits_for_a_reader_that_does_not_read(start_script, wait_until, tmp_path):
    script = start_script("""
        import sys
        import ray_lite as ray

        @ray.remote
        def f():
            for _ in range(1000):
                print("y" * 999)

        ray.init(num_cpus=1)
        ray.get([f.remote() for _ in range(5)])
        open(sys.argv[1], "w").close()
    """, args=[tmp_path / "done"], env={"RAY_LITE_OUTPUT_BACKLOG": "100000"})
    wait_until((tmp_path / "done").exists, 30)
    out, err = script.communicate(timeout=30)
    assert script.returncode == 0
    assert 0 < len(out) < 5_000_000


def test_into_files(fresh, wait_until, capfd):
    ray.init(num_cpus=1, redirect_worker_output=True)

    @ray.remote
    def f():
        print("to stdout")
        print("to stderr", file=sys.stderr)
        subprocess.run(["echo", "from a child"])
        return os.getpid()

    pid = ray.get(f.remote())
    wait_until(lambda: logs().get(f"worker-{pid}.out") == "to stdout\nfrom a child\n")
    wait_until(lambda: logs().get(f"worker-{pid}.err") == "to stderr\n")
    directory = os.path.join(ray.session.current().address["session_dir"], "logs")
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    ray.shutdown()
    assert not os.path.exists(directory)
    assert capfd.readouterr() == ("", "")


def test_files_are_capped(fresh, monkeypatch, wait_until):
    monkeypatch.setenv("RAY_LITE_LOG_BYTES", "10000")
    ray.init(num_cpus=1, redirect_worker_output=True)

    @ray.remote
    def f():
        for k in range(5000):
            print("line", k)
        return os.getpid()

    pid = ray.get(f.remote())
    wait_until(lambda: logs().get(f"worker-{pid}.out", "").endswith("line 4999\n"))
    assert sum(map(len, logs().values())) <= 10_000
    assert sorted(logs()) == [f"worker-{pid}.out", f"worker-{pid}.out.1"]


@pytest.mark.slow
def test_a_killed_control_process_is_replaced_and_nothing_is_lost(fresh, control_process, wait_until):
    ray.init(num_cpus=1, redirect_worker_output=True)
    f = ray.remote(lambda k: print("line", k))

    def lines():
        return sorted(line for text in logs().values() for line in text.splitlines())

    for k in range(4):
        ray.get(f.remote(k))
        wait_until(lambda k=k: lines() == [f"line {n}" for n in range(k + 1)])
        control_process().kill()
    ray.get(f.remote(4))
    wait_until(lambda: lines() == [f"line {n}" for n in range(5)])


def test_a_stopped_control_process_does_not_stop_tasks_or_the_end(fresh, control_process, monkeypatch):
    monkeypatch.setenv("RAY_LITE_DRAIN", "0.2")
    ray.init(num_cpus=1)
    f = ray.remote(lambda: 1)
    ray.get(f.remote())
    control = control_process()
    os.kill(control.pid, signal.SIGSTOP)
    assert ray.get([f.remote() for _ in range(100)]) == [1] * 100
    ray.shutdown()
    assert not psutil.pid_exists(control.pid)


@pytest.mark.parametrize("redirect", [True, False])
def test_the_nodes_own_output(fresh, redirect):
    ray.init(num_cpus=1, redirect_output=redirect)
    node = ray.session.current().address["node_pid"]
    for fd in (1, 2):
        mine = os.readlink(f"/proc/self/fd/{fd}")
        assert (os.readlink(f"/proc/{node}/fd/{fd}") == mine) is not redirect


def test_a_driver_without_streams(run_script, tmp_path):
    done = run_script("""
        import os, sys
        os.close(1)
        os.close(2)
        import ray_lite as ray
        ray.init(num_cpus=1)
        f = ray.remote(lambda: [print("x"), os.write(2, b"y")] and 1)
        with open(sys.argv[1], "w") as file:
            file.write(str(ray.get(f.remote())))
        ray.shutdown()
    """, args=[tmp_path / "answer"])
    assert (tmp_path / "answer").read_text() == "1", done


def test_the_limit_of_open_files_is_the_drivers(ray_session):
    import resource

    look = ray.remote(lambda: resource.getrlimit(resource.RLIMIT_NOFILE))
    assert ray.get(look.remote()) == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_a_worker_has_no_descriptors_of_others(ray_session):
    import time

    pause = ray.remote(lambda: time.sleep(0.2))
    ray.get([pause.remote() for _ in range(2)])


    def look():
        links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        return [os.readlink(link) for link in links if os.path.lexists(link)]

    found = set(ray.get(ray.remote(look).remote())) - set(look())
    assert len([name for name in found if name.startswith("pipe:")]) == 3, f"stdout, stderr, and the pipe for stacks: {found}"
    assert len([name for name in found if name.startswith("socket:")]) <= 1, found


def test_a_doorbell_that_was_claimed_and_not_rung_is_rung(fresh, monkeypatch, gate, wait_until):
    """By a process that was stopped in between; without looks of its own, the node would never hear of a second task."""
    monkeypatch.setenv("RAY_LITE_NODE_LOOK", "100")
    monkeypatch.setenv("RAY_LITE_WATCH", "0.05")
    ray.init(num_cpus=2)
    wait, arrive = gate.wait, gate.arrive

    def held():
        arrive("here")
        wait()

    first = ray.remote(held).remote()
    wait_until(lambda: len(gate.arrived()) == 1, what="the first task, and with it the control process")
    driver = ray.session.current()
    words = words_of(driver.files.control)
    words.put(words.job("bell_rung"), 1)
    second = ray.remote(held).remote()
    wait_until(lambda: len(gate.arrived()) == 2, what="the second worker")
    gate.open()
    ray.get([first, second])


def words_of(control):
    spec = importlib.util.spec_from_file_location("damage", Path(__file__).parents[1] / "core" / "damage.py")
    damage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(damage)
    return damage.Words(control)


@pytest.mark.slow
@pytest.mark.parametrize("redirect", [False, True])
def test_a_million_lines_hold_up_no_task_and_fill_no_disk(run_script, redirect):
    """A terminal gets what it can take, files keep the newest, and memory a little."""
    done = run_script(f"""
        import os, time
        import ray_lite as ray

        @ray.remote
        def f(k):
            for line in range(250_000):
                print(k, line)
            return time.monotonic()

        address = ray.init(num_cpus=2, redirect_worker_output={redirect})
        ids = [f.remote(k) for k in range(4)]
        begun = time.monotonic()
        ended = ray.get(ids)
        assert max(ended) - begun < 60, max(ended) - begun
        logs = os.path.join(address["session_dir"], "logs")
        sizes = [os.path.getsize(os.path.join(logs, name)) for name in os.listdir(logs)]
        assert sum(sizes) < 6 * 200_000, sizes
        from ray_lite.control.ask import ask
        pieces = ask(address["session_dir"], "logs", 20)["pieces"]
        assert 0 < sum(len(text) for *_, text in pieces) <= 3 * 70_000
    """, env={"RAY_LITE_LOG_BYTES": "200000", "RAY_LITE_OUTPUT_BACKLOG": "100000"})
    assert done.returncode == 0 and done.stderr == "", done.stderr
