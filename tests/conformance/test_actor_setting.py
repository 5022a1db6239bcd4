"""Where an actor's calls run: in the environment of its creation, with random numbers and output of its own."""

import os
import random
import re
import signal
import sys

import numpy as np
import pytest

import ray_lite as ray
from ray_lite.exceptions import RayActorError


class Place:
    """Tells where it is, from the constructor on."""

    def __init__(self):
        self.first = self.now()

    def now(self):
        return os.getcwd(), list(sys.path)

    def both(self):
        return self.first, self.now()

    def go(self, directory):
        os.chdir(directory)
        os.environ["WENT"] = directory

    def of_a_task(self):
        return ray.get(ray.remote(os.getcwd).remote()), os.environ.get("WENT")

    def random(self):
        return random.random(), float(np.random.rand())

    def save(self):
        return ray.get(ray.current_actor().__ray_checkpoint__.remote())

    def __ray_save__(self):
        return self.first

    def __ray_restore__(self, state):
        self.first = self.now()

    def pid(self):
        return os.getpid()


place = ray.remote(num_cpus=0)(Place)


@pytest.fixture
def session(fresh, tmp_path, monkeypatch):
    """A session; the test's directory and sys.path are back afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(os.getcwd())
    fresh.init(num_cpus=2)
    return fresh


def test_calls_run_where_the_actor_was_created(session, tmp_path):
    actor = place.remote()
    here = os.getcwd(), list(sys.path)
    os.chdir(tmp_path)
    sys.path.insert(0, str(tmp_path))
    assert ray.get(actor.both.remote()) == (here, here)
    other = place.remote()
    there = str(tmp_path), list(sys.path)
    os.chdir(here[0])
    sys.path.pop(0)
    assert ray.get([other.both.remote(), actor.both.remote()]) == [(there, there), (here, here)]
    assert ray.get(ray.remote(num_cpus=0)(lambda other: ray.get(other.both.remote())).remote(other)) == (there, there)


def test_what_a_method_changes_stays_for_the_next(session, tmp_path):
    """It is the actor's own process."""
    actor = place.remote()
    ray.get(actor.go.remote(str(tmp_path)))
    assert ray.get(actor.now.remote())[0] == str(tmp_path)
    assert ray.get(actor.of_a_task.remote()) == (str(tmp_path), str(tmp_path))
    assert ray.get(ray.remote(os.getcwd).remote()) == os.getcwd()


def test_a_class_that_only_the_creators_path_finds(session, tmp_path):
    (tmp_path / "only_there.py").write_text("class Odd:\n    def get(self): return 3\n")
    sys.path.insert(0, str(tmp_path))
    import only_there

    actor = ray.remote(only_there.Odd).remote()
    sys.path.pop(0)
    assert ray.get(actor.get.remote()) == 3


def test_a_directory_that_is_gone_fails_the_constructor(session, tmp_path):
    here = os.getcwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    ray.put(1)
    holder = ray.remote(num_cpus=2)(Place).remote()
    ray.get(holder.pid.remote())
    late = ray.remote(num_cpus=1)(Place).remote()
    os.chdir(here)
    gone.rmdir()
    ray.kill(holder)
    with pytest.raises(RayActorError, match="FileNotFoundError"):
        ray.get(late.now.remote())


def test_an_actor_that_comes_back_is_where_it_was(session, tmp_path):
    here = os.getcwd()
    os.chdir(tmp_path)
    actor = ray.remote(num_cpus=0, checkpoint_interval=1)(Place).remote()
    os.chdir(here)
    pid = ray.get(actor.pid.remote())
    os.kill(pid, signal.SIGKILL)
    assert ray.get(actor.pid.remote()) != pid
    assert [where[0] for where in ray.get(actor.both.remote())] == [str(tmp_path)] * 2


def test_each_actor_has_random_numbers_of_its_own(session):
    actors = [place.remote() for _ in range(4)]
    drawn = ray.get([actor.random.remote() for actor in actors for _ in range(2)])
    assert len({one for pair in drawn for one in pair}) == 16


def test_random_numbers_after_a_restart(session):
    actor = ray.remote(num_cpus=0, max_restarts=1)(Place).remote()
    before, pid = ray.get([actor.random.remote(), actor.pid.remote()])
    os.kill(pid, signal.SIGKILL)
    assert not set(before).intersection(ray.get(actor.random.remote()))


# ---------------------------------------------------------------- output


def test_what_an_actor_prints_names_it(run_script):
    done = run_script("""
        import os, sys
        import ray_lite as ray

        @ray.remote
        class Counter:
            def __init__(self):
                print("made")
            def count(self):
                print("one\\ntwo")
                print("err", file=sys.stderr)
                os.system("echo child")
                sys.stdout.write("no end")
            def pid(self):
                return os.getpid()

        @ray.remote
        def task():
            print("task")

        def scope():
            @ray.remote
            class Local:
                def say(self):
                    print("local")
            return Local.remote()

        ray.init(num_cpus=1)
        counter = Counter.remote()
        ray.get(counter.count.remote())
        ray.get([task.remote(), scope().say.remote()])
        print("pid", ray.get(counter.pid.remote()))
    """)
    assert done.returncode == 0
    pid = re.search(r"^pid (\d+)", done.stdout, re.M)[1]
    for line in ("made", "one", "two", "child", "no end"):
        assert f"\n(Counter pid={pid}) {line}\n" in "\n" + done.stdout + "\n"
    assert re.search(r"^task$", done.stdout, re.M) and re.search(r"^\(Local pid=\d+\) local$", done.stdout, re.M)
    assert done.stderr == f"(Counter pid={pid}) err\n"


def test_an_unfinished_line_is_named_once(start_script, tmp_path):
    script = start_script("""
        import os, sys, time
        import ray_lite as ray

        @ray.remote
        class Slow:
            def work(self, path):
                print("50 %", end="", flush=True)
                while not os.path.exists(path):
                    time.sleep(0.01)
                print(" 100 %")
                print("done")

        ray.init(num_cpus=1)
        slow = Slow.remote()
        ray.get(slow.work.remote(sys.argv[1]))
    """, args=[tmp_path / "go"])
    begun = ""
    while not begun.endswith("50 %"):
        begun += script.stdout.read(1)
    (tmp_path / "go").touch()
    out, _ = script.communicate(timeout=20)
    label = begun[:-len("50 %")]
    assert re.fullmatch(r"\(Slow pid=\d+\) ", label) and out == f" 100 %\n{label}done\n"


def test_files_of_actors(fresh, wait_until):
    fresh.init(num_cpus=1, redirect_worker_output=True)

    @ray.remote
    class Writer:
        def write(self):
            print("line")
            return os.getpid()

    writer = Writer.remote()
    pid = ray.get(writer.write.remote())
    path = os.path.join(ray.session.current().address["session_dir"], "logs", f"worker-{pid}.out")
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path))
    with open(path) as file:
        assert re.fullmatch(rf"\((.*\.)?Writer pid={pid}\) line\n", file.read())


def test_output_after_the_control_process_has_died(run_script):
    """The next one knows the names, too."""
    done = run_script("""
        import contextlib, os, time
        import psutil
        import ray_lite as ray

        @ray.remote
        class Survivor:
            def say(self, text):
                print(text)

        node = ray.init(num_cpus=1)["node_pid"]
        one = Survivor.remote()
        ray.get(one.say.remote("before"))
        def control():
            children = psutil.Process(node).children()
            with contextlib.suppress(ProcessLookupError):  # one has ended meanwhile
                found = [child for child in children if os.getpgid(child.pid) == os.getpgid(node)]
                return found[0] if len(found) == 1 else None

        while not (first := control()):
            time.sleep(0.01)
        first.kill()
        while control() in (first, None):
            time.sleep(0.01)
        ray.get(one.say.remote("after"))
    """)
    assert re.search(r"^\(Survivor pid=\d+\) after$", done.stdout, re.M)
