"""The end of a worker: a graceful one is as complete as an interpreter's and takes bounded time; a kill runs nothing."""

import gzip
import os
import signal
import subprocess
import sys
import time
import zlib

import pytest

import ray_lite as ray


def leave_things(place):
    """Leaves in its process what only the end of an interpreter completes; returns its pid."""
    import atexit
    import gzip
    import os
    import tempfile
    import threading
    import time

    global text, zipped, temporary, noticed

    def note(name):
        with open(f"{place}/{name}", "a") as file:
            file.write(name)

    class Notices:
        def __del__(self, mkdir=os.mkdir):  # names of modules may be gone by then
            mkdir(f"{place}/noticed")

    text = open(f"{place}/text", "w")  # noqa: SIM115  (it stays open)
    text.write("text")
    zipped = gzip.open(f"{place}/zipped", "wb")
    zipped.write(b"zipped")
    temporary, noticed = tempfile.TemporaryDirectory(dir=place), Notices()
    atexit.register(note, "handled")
    threading.Thread(target=lambda: (time.sleep(0.05), note("thread"))).start()
    return os.getpid()


def found(place):
    """What of `leave_things` has come to its end."""
    contents = {path.name: path.read_text() for path in place.iterdir() if path.is_file() and path.name != "zipped"}
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    unpacked = unpack.decompress((place / "zipped").read_bytes())
    directories = [path.name for path in place.iterdir() if path.is_dir()]
    return contents, unpacked if unpack.eof else b"", directories


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """What the end of a plain interpreter completes of `leave_things`: in CPython 3.15 no gzip file of a module."""
    place = tmp_path_factory.mktemp("plain")
    program = "import sys, test_worker_end; test_worker_end.leave_things(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), *sys.path])}
    subprocess.run([sys.executable, "-c", program, place], env=environment, stderr=subprocess.DEVNULL, check=True)
    contents, unpacked, directories = found(place)
    assert contents == {name: name for name in ("text", "handled", "thread")} and directories == ["noticed"]
    assert unpacked == b"zipped" or sys.version_info >= (3, 15)
    return contents, unpacked, directories


@pytest.fixture
def has_ended(wait_until):
    return lambda pid: wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the worker's end")


def test_at_shutdown(fresh, tmp_path, complete):
    ray.init(num_cpus=1)
    ray.get(ray.remote(leave_things).remote(str(tmp_path)))
    ray.shutdown()
    assert found(tmp_path) == complete


def test_files_of_a_script_are_complete(output_of, tmp_path):
    """In each version: what a script's functions keep is let go before the interpreter ends."""
    output_of(f"""
        import gzip
        import ray_lite as ray

        @ray.remote
        def leave():
            global zipped
            zipped = gzip.open({str(tmp_path / "zipped")!r}, "wb")
            zipped.write(b"zipped")

        ray.init(num_cpus=1)
        ray.get(leave.remote())
    """)
    assert gzip.decompress((tmp_path / "zipped").read_bytes()) == b"zipped"


def test_of_a_task_that_ends_within_the_grace(fresh, tmp_path, gate, wait_until, complete):
    arrive = gate.arrive

    def late(place):
        region = ray.session.current().region
        arrive("in")
        while not ray._core.is_closing(region):
            time.sleep(0.002)
        return leave_things(place)

    ray.init(num_cpus=1, shutdown_grace=20)
    place = tmp_path / "place"
    place.mkdir()
    x = ray.remote(late).remote(str(place))
    wait_until(lambda: gate.arrived("in"))
    ray.shutdown()
    assert found(place) == complete
    del x


def test_with_max_calls(fresh, tmp_path, has_ended, complete):
    ray.init(num_cpus=1)
    has_ended(ray.get(ray.remote(max_calls=1)(leave_things).remote(str(tmp_path))))
    assert found(tmp_path) == complete


def test_at_retirement(fresh, monkeypatch, tmp_path, gate, wait_until, complete):
    monkeypatch.setenv("RAY_LITE_RETIRE_AFTER", "0.2")
    ray.init(num_cpus=1)
    wait, arrive = gate.wait, gate.arrive

    @ray.remote(num_cpus=0)
    def held(place):
        arrive("in")
        wait()
        return leave_things(place), place

    places = [tmp_path / name for name in "ab"]
    for place in places:
        place.mkdir()
    ids = [held.remote(str(place)) for place in places]
    wait_until(lambda: len(gate.arrived("in")) == 2)
    gate.open()
    ran = ray.get(ids)
    (ended,) = wait_until(lambda: [place for pid, place in ran if not os.path.exists(f"/proc/{pid}")])
    assert found(tmp_path / os.path.basename(ended)) == complete


@pytest.mark.parametrize("kill", ["SIGKILL", "SIGTERM", "cancel", "driver"])
def test_a_kill_runs_nothing(start_script, tmp_path, wait_until, has_ended, gate, kill):
    place = tmp_path / "place"
    place.mkdir()
    process = start_script(f"""
        import os, sys, time
        sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
        from test_worker_end import leave_things
        import ray_lite as ray
        ray.init(num_cpus=1)
        pid = ray.get(ray.remote(leave_things).remote({str(place)!r}))
        def busy():
            print(pid, flush=True)
            time.sleep(100)
        x = ray.remote(busy).remote()
        while not os.path.exists({gate.path!r}):
            time.sleep(0.005)
        if {kill!r} == "cancel":
            ray.cancel(x, force=True)
        time.sleep(100)
    """)
    pid = int(process.stdout.readline())
    wait_until(lambda: (place / "thread").exists() and (place / "thread").read_text())  # it is made before it is written
    gate.open()
    if kill == "driver":
        process.kill()
    elif kill != "cancel":
        os.kill(pid, getattr(signal, kill))
    has_ended(pid)
    contents, packed, directories = found(place)
    assert (contents, packed, len(directories)) == ({"text": "", "thread": "thread"}, b"", 1)


def test_what_handlers_print_is_shown_and_their_errors_stop_no_other(run_script):
    done = run_script("""
        import atexit
        import ray_lite as ray
        ray.init(num_cpus=1)

        def leave():
            atexit.register(print, "first registered, last called")
            atexit.register(lambda: 1 / 0)
            atexit.register(print, "unfinished line", end="")

        ray.get(ray.remote(leave).remote())
    """)
    assert done.stdout == "unfinished linefirst registered, last called\n"
    assert "ZeroDivisionError" in done.stderr and done.returncode == 0


HANGS = {
    "handler": "atexit.register(never)",
    "handler with the GIL": "atexit.register(ctypes.PyDLL(None).sleep, 1000)",
    "thread": "threading.Thread(target=never).start()",
    "finaliser": "global kept; kept = type('Kept', (), {'__del__': lambda self, never=never: never()})()",
}


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_what_hangs_is_shown_and_ended(run_script, hang):
    done = run_script(f"""
        import atexit, ctypes, threading, time
        import ray_lite as ray
        ray.init(num_cpus=1, shutdown_grace=100)

        def never(sleep=time.sleep):  # names may be gone
            sleep(1000)

        def leave():
            {hang}

        ray.get(ray.remote(leave).remote())
        ray.shutdown()
    """, env={"RAY_LITE_EXIT_GRACE": "0.3"})
    assert done.returncode == 0
    assert "Timeout" in done.stderr and ("in never" in done.stderr or "PyDLL" in hang)


def test_shutdown_takes_no_longer_than_its_grace(fresh):
    def leave():
        import atexit

        atexit.register(time.sleep, 1000)

    ray.init(num_cpus=1, shutdown_grace=0.2)
    ray.get(ray.remote(leave).remote())
    began = time.monotonic()
    ray.shutdown()
    assert time.monotonic() - began < ray.config.Config().exit_grace




@pytest.mark.parametrize("options", ["", "max_calls=1"], ids=["shutdown", "max_calls"])
def test_handlers_can_use_the_session_no_more(output_of, options):
    assert output_of(f"""
        import atexit
        import ray_lite as ray
        ray.init(num_cpus=1)
        f = ray.remote(lambda: 1)
        x = f.remote()

        @ray.remote({options or "num_cpus=1"})
        def leave(ids):
            (x,) = ids
            ray.get(f.remote())
            calls = dict(get=lambda: ray.get(x), put=lambda: ray.put(1), wait=lambda: ray.wait([x]),
                         call=lambda: f.remote(), new=lambda: ray.remote(lambda: 2).remote(), init=ray.init)

            def try_all():
                for name, call in calls.items():
                    try:
                        print(name, call())
                    except (ray.exceptions.RaySystemError, RuntimeError) as error:
                        print(type(error).__name__, "about to end" in str(error))

            atexit.register(try_all)

        ray.get(leave.remote([x]))
        ray.get(f.remote())
        ray.shutdown()
    """) == "RaySystemError True\n" * 5 + "RuntimeError False\n"


@pytest.mark.parametrize("way", ["fork", "multiprocessing"])
def test_children_of_a_task_run_no_handler_of_the_worker(fresh, tmp_path, way):
    def leave(place):
        import atexit
        import multiprocessing
        import sys

        def note():
            with open(f"{place}/{os.getpid()}", "w"):
                pass

        atexit.register(note)
        if way == "multiprocessing":
            child = multiprocessing.get_context("fork").Process(target=int)
            child.start()
            child.join()
        elif (pid := os.fork()) == 0:
            sys.exit(0)
        else:
            os.waitpid(pid, 0)
        return os.getpid()

    ray.init(num_cpus=1)
    pid = ray.get(ray.remote(leave).remote(str(tmp_path)))
    ray.shutdown()
    assert os.listdir(tmp_path) == [str(pid)]


def test_workers_run_no_handler_of_the_node(output_of, tmp_path):
    """Not those of start-up files either; and these don't keep tasks from having the same ones."""
    site, place = tmp_path / "site", tmp_path / "place"
    site.mkdir()
    place.mkdir()
    (site / "sitecustomize.py").write_text(f"""
import atexit, os, weakref

def note(kind):
    with open(f"{str(place)!s}/{{kind}}-{{os.getpid()}}", "w"):
        pass

atexit.register(note, "handler")
weakref.finalize(note, note, "finalizer")
""")
    root = os.path.dirname(os.path.dirname(ray.__file__))
    driver, node, worker = output_of(f"""
        import os, tempfile
        import ray_lite as ray
        node = ray.init(num_cpus=1)["node_pid"]

        def leave():
            global kept
            kept = tempfile.TemporaryDirectory(dir={str(site)!r})
            return os.getpid()

        print(os.getpid(), node, ray.get(ray.remote(leave).remote()))
    """, env={"PYTHONPATH": os.pathsep.join([str(site), root])}).split()
    notes = os.listdir(place)
    assert {f"handler-{driver}", f"finalizer-{driver}"} <= set(notes) and not [name for name in notes if worker in name]
    assert [path.name for path in site.iterdir() if path.is_dir() and path.name.startswith("tmp")] == []
    del node
