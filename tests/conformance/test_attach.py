"""`init(redis_address=...)`: several drivers in one session, each with processes of its own."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

import ray_lite as ray


def test_each_driver_has_workers_of_its_own(attached, worker_pids, tmp_path, finished):
    (tmp_path / "only_there.py").write_text("VALUE = 5")
    script = attached("""
        @ray.remote
        def where():
            import only_there
            return os.getpid(), os.getcwd(), os.environ.get("MARK"), only_there.VALUE

        pid, *rest = ray.get(where.remote())
        print(pid, *rest, info["node_pid"])
    """, env={"MARK": "theirs"}, cwd=tmp_path)
    pid = ray.get(ray.remote(os.getpid).remote())
    theirs, directory, mark, value, node = finished(script).split()
    assert int(theirs) != pid and (directory, mark, value) == (str(tmp_path), "theirs", "5")
    assert int(node) != ray.session.current().address["node_pid"]


def test_functions_of_the_same_name_do_not_mix(attached, finished):
    script = """
        @ray.remote
        def f(x):
            return x + {add}

        print(ray.get([f.remote(k) for k in range(200)]) == [k + {add} for k in range(200)])
    """
    both = [attached(script.format(add=add)) for add in (1, 1000)]
    assert [finished(one) for one in both] == ["True\n", "True\n"]


def test_objects_are_handed_over_by_id(attached, gate, finished):
    """In both directions, as text; a value, and one that is not there yet."""
    wait = gate.wait

    @ray.remote
    def later():
        wait()
        return "later"

    value, pending = ray.put({"a": [1, 2]}), later.remote()
    script = attached("""
        value, pending = (ray.ObjectID(bytes.fromhex(one)) for one in args)
        length = ray.remote(lambda x: len(x)).remote(pending)
        print(ray.get(value), flush=True)
        mine = ray.put("mine")
        print(mine.hex(), flush=True)
        print(ray.get(length), ray.get(pending))
        sys.stdin.read()
    """, args=[value.hex(), pending.hex()])
    assert script.stdout.readline() == "{'a': [1, 2]}\n"
    assert ray.get(ray.ObjectID(bytes.fromhex(script.stdout.readline().strip()))) == "mine"
    gate.open()
    assert finished(script) == "5 later\n"


def test_resources_are_shared(attached, gate, wait_until, counts, finished):
    wait = gate.wait

    @ray.remote(num_cpus=2)
    def all_of_them():
        wait()

    held = all_of_them.remote()
    wait_until(lambda: counts()["cpus_free"] == 0, what="both CPUs are taken")
    script = attached("""
        x = ray.remote(lambda: 7).remote()
        print(ray.wait([x], timeout=300)[0] == [], flush=True)
        print(ray.get(x))
    """)
    assert script.stdout.readline() == "True\n"
    gate.open()
    assert finished(script) == "7\n"
    ray.get(held)


@pytest.mark.parametrize("argument", [
    dict(num_cpus=0), dict(pin=True), dict(huge_pages=True, spill_directory="/tmp"), dict(resources={}),
])
def test_arguments_of_the_session_may_not_be_given(ray_session, argument):
    session_dir = ray_session.session.current().address["session_dir"]
    code = f"import ray_lite; ray_lite.init(redis_address={session_dir!r}, **{argument!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert f"ValueError: {', '.join(argument)} can't be given" in done.stderr


@pytest.mark.parametrize("address, error, text", [
    ("12.345.67.89:6379", ValueError, "12.345.67.89 is not this machine"),
    ("some-name-of-nobody:6379", ValueError, "is not this machine"),
    ("8.8.8.8:6379", ValueError, "8.8.8.8 is not this machine"),
    ("localhost", ValueError, "is no address"),
    ("localhost:0", ValueError, "is no address"),
    ("127.0.0.1:1", ray.exceptions.RaySystemError, "no session of this user runs at"),
    ("/tmp", ray.exceptions.RaySystemError, "no session answers at '/tmp'"),
    ("unix:/nowhere/redis.sock", ray.exceptions.RaySystemError, "no session of this user runs at"),
])
def test_a_wrong_address(fresh, address, error, text):
    began = time.monotonic()
    with pytest.raises(error, match=text):
        fresh.init(redis_address=address)
    assert time.monotonic() - began < 2 and not fresh.is_initialized()


def test_an_address_is_a_string(fresh):
    with pytest.raises(TypeError, match="redis_address must be a string, got 6379"):
        fresh.init(redis_address=6379)


@pytest.mark.parametrize("script_session", [1, 2], indirect=True)
def test_cpus_are_shared_fairly(script_session):
    """A driver that comes while another has thousands of tasks queued gets its half, on one CPU in turns."""
    left, took = script_session("""
        short = ray.remote(lambda: time.sleep(0.005))
        began = time.monotonic()
        ray.get([short.remote() for _ in range(int(args[0]) * 40)])
        print(time.monotonic() - began)
    """)
    assert left > 0.8, "the first driver's tasks have not run meanwhile"
    assert took < 4, "40 tasks of 5 ms for each CPU take 0.4 s at half of the CPUs"


@pytest.fixture
def script_session(request, fresh, start_script, finished):
    """A session of so many CPUs, whose driver has queued tasks of 5 ms for 10 s. Gives a function: what part of these is left
    after another driver has run a source, and the number that this printed.
    """
    fresh.init(num_cpus=request.param)
    short = fresh.remote(lambda: time.sleep(0.005))
    queued = [short.remote() for _ in range(2000 * request.param)]
    address = fresh.session.current().address["session_dir"]

    def run(source):
        head = f"import os, sys, time\nimport ray_lite as ray\nargs = sys.argv[1:]\nray.init(redis_address={address!r})\n"
        printed = finished(start_script(head + textwrap.dedent(source), args=[request.param]))
        return len(fresh.wait(queued, num_returns=len(queued), timeout=0)[1]) / len(queued), float(printed)

    yield run
    for x in queued:
        fresh.cancel(x)


def test_two_drivers_at_a_time_have_different_seeds(fresh, start_script, finished):
    address = fresh.init(num_cpus=1, object_id_seed=5)["session_dir"]
    source = """
        import sys, ray_lite as ray
        ray.init(redis_address=sys.argv[1], object_id_seed=int(sys.argv[2]))
        print(ray.get(ray.remote(lambda: 3).remote()))
    """
    assert finished(start_script(source, args=[address, 6])) == "3\n"
    refused = start_script(source, args=[address, 5])
    assert "another driver of the session has object_id_seed=5" in refused.communicate(timeout=20)[1]


def test_gpus_are_those_of_the_session(fresh, start_script):
    """Whatever the environment of the driver that attaches names; it is told once."""
    fresh.init(num_cpus=1, num_gpus=2)
    source = """
        import os, sys
        import ray_lite as ray
        ray.init(redis_address=sys.argv[1])
        show = ray.remote(num_gpus=1)(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
        print(ray.get(show.remote()) in ("0", "1"))
    """
    address = fresh.session.current().address["session_dir"]
    for shown, told in (("5", True), ("0,1", False), (None, False)):
        script = start_script(source, args=[address], env={"CUDA_VISIBLE_DEVICES": shown})
        out, err = script.communicate(timeout=20)
        assert (script.returncode, out) == (0, "True\n")
        assert err == ("ray_lite: tasks get the session's GPUs, 0,1; CUDA_VISIBLE_DEVICES=5 of this driver does not count\n"
                       if told else "")
