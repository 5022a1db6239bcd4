"""`init(redis_address=...)`: several drivers in one session, each with processes of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

import ray_lite as ray

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

    def start(source, *, args=(), **how):
        lines = ["import os, sys, time", "import ray_lite as ray", "address, *args = sys.argv[1:]",
                 "info = ray.init(redis_address=address)"]
        return start_script("\n".join([*lines, textwrap.dedent(source)]), args=[address, *args], **how)

    return start


def finished(process):
    """What a driver still prints that must succeed and say nothing on standard error."""
    out, err = process.stdout.read(), process.stderr.read()  # `communicate` would lose what `readline` has read ahead
    assert (process.wait(), err) == (0, ""), (out, err)
    return out


def family(pid):
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def gone(processes):
    return not [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_each_driver_has_workers_of_its_own(attached, worker_pids, tmp_path):
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


def test_functions_of_the_same_name_do_not_mix(attached):
    script = """
        @ray.remote
        def f(x):
            return x + {add}

        print(ray.get([f.remote(k) for k in range(200)]) == [k + {add} for k in range(200)])
    """
    both = [attached(script.format(add=add)) for add in (1, 1000)]
    assert [finished(one) for one in both] == ["True\n", "True\n"]


def test_objects_are_handed_over_by_id(attached, gate):
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


@pytest.mark.parametrize("how", ["shutdown", "exit", "kill"])
def test_nothing_stays_of_a_driver(attached, counts, wait_until, how):
    ray.get(ray.remote(os.getpid).remote())
    finished(attached("pass"))  # the first makes the host keep an error for later
    wait_until(lambda: counts()["jobs"] == 1, what="its job has ended")
    before = counts()
    for _ in range(2):
        script = attached("""
            @ray.remote
            class Keeps:
                def __init__(self):
                    self.x = ray.put("kept")
                def get(self):
                    return self.x

            @ray.remote
            def nested(n):
                return [ray.put(n), nested.remote(n - 1)] if n else []

            actor = Keeps.remote()
            kept = [ray.get(actor.get.remote()), ray.put(bytes(500_000)), nested.remote(3)]
            waits = [nested.remote(0) for x in range(50)]
            ray.wait(waits, num_returns=50)
            stuck = ray.remote(lambda: time.sleep(100))
            held = [stuck.remote() for _ in range(20)]
            after = [nested.remote(x) for x in held]
            print("ready", flush=True)
            if args[0] == "shutdown":
                for x in held:
                    ray.cancel(x)
                ray.shutdown()
            elif args[0] == "kill":
                time.sleep(100)
        """, args=[how])
        assert script.stdout.readline() == "ready\n"
        processes = family(script.pid)
        if how == "kill":
            script.kill()
        script.wait(20)
        wait_until(lambda processes=processes: gone(processes), 3, "its processes are gone")
        wait_until(lambda: counts() == before, 5, f"the tables are as before: {before}, now {counts()}")
        ray.session.current().view.check()


def test_what_a_killed_driver_would_have_made_is_an_error(attached, wait_until):
    script = attached("""
        x = ray.remote(lambda: time.sleep(100)).remote()
        y = ray.remote(lambda x: x).remote(x)
        there = ray.put("there")
        print(x.hex(), y.hex(), there.hex(), flush=True)
        time.sleep(100)
    """)
    x, y, there = (ray.ObjectID(bytes.fromhex(one)) for one in script.stdout.readline().split())
    mine = ray.remote(lambda value: value).remote(y)
    ray.wait([x, y, there], num_returns=1)
    script.kill()
    for lost in (x, y, mine):
        with pytest.raises(ray.exceptions.ObjectLostError, match=f"pid {script.pid}"):
            ray.get(lost, timeout=5)
    assert ray.get(there) == "there"


def test_the_owner_of_the_session_ends(attached, wait_until):
    """Calls of attached drivers raise, blocked ones too."""
    script = attached("""
        blocked = ray.remote(lambda: time.sleep(100)).remote()
        print("ready", flush=True)
        for call in (lambda: ray.get(blocked), lambda: ray.put(1)):
            try:
                call()
            except ray.exceptions.RaySystemError as error:
                print(error, flush=True)
        ray.shutdown()
        print(ray.is_initialized())
    """)
    assert script.stdout.readline() == "ready\n"
    processes = family(script.pid)
    ray.shutdown()
    assert "to which this driver was attached has ended" in script.stdout.readline()
    assert "to which this driver was attached has ended" in script.stdout.readline()
    assert finished(script) == "False\n"
    assert gone(processes)


def test_the_node_of_an_attached_driver_is_killed(attached, counts, wait_until):
    """The driver's calls raise; the session and its other drivers go on, and what it took is free again."""
    before = counts()
    script = attached("""
        blocked = ray.remote(lambda: time.sleep(100)).remote()
        kept = ray.put(bytes(100_000))
        print(info["node_pid"], flush=True)
        try:
            ray.get(blocked)
        except ray.exceptions.RaySystemError as error:
            print(error, flush=True)
        ray.shutdown()
    """)
    os.kill(int(script.stdout.readline()), signal.SIGKILL)
    assert "node process of this session died" in script.stdout.readline()
    wait_until(lambda: counts()["cpus_free"] == 2, 3, "its CPUs are free")
    assert ray.get(ray.remote(lambda: 5).remote()) == 5
    finished(script)
    wait_until(lambda: counts()["jobs"] == 1 and counts()["objects"] <= before["objects"] + 3, 5, "nothing of it is left")


def test_resources_are_shared(attached, gate, wait_until, counts):
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


def test_many_drivers_one_after_another_leave_the_tables_as_they_were(attached, counts, wait_until):
    sizes = []
    for k in range(8):
        finished(attached("""
            f = ray.remote(num_cpus=1, resources={})(lambda x: x)
            assert ray.get([f.remote(k) for k in range(100)]) == list(range(100))
        """))
        wait_until(lambda: counts()["jobs"] == 1, 5, "its job has ended")
        sizes.append((counts(), ray.session.current().region.statistics()["region_bytes"]))
        assert k < 2 or sizes[k] == sizes[1]


@pytest.mark.parametrize("argument", [dict(num_cpus=1), dict(pin=True), dict(spill_directory="/tmp", huge_pages=True)])
def test_arguments_of_the_session_may_not_be_given(ray_session, argument):
    session_dir = ray_session.session.current().address["session_dir"]
    code = f"import ray_lite; ray_lite.init(redis_address={session_dir!r}, **{argument!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert f"ValueError: {', '.join(sorted(argument, key=list(argument).index)[::-1])} can't be given" in done.stderr or \
        f"ValueError: {', '.join(argument)} can't be given" in done.stderr


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


ACTOR = """
    @ray.remote
    class Counter:
        def __init__(self):
            self.n = 0
        def add(self, by=1):
            self.n += by
            return self.n
        def pid(self):
            return os.getpid()
"""


def test_names_of_actors_do_not_mix_but_for_shared_ones(attached, wait_until, tmp_path):
    script = attached(ACTOR + """
    own, shared = Counter.options(name="own").remote(), Counter.options(name="both", shared=True).remote()
    print(ray.get([own.add.remote(), shared.add.remote(10)]), flush=True)
    while not os.path.exists(args[0]):
        time.sleep(0.01)
    print(ray.get(shared.add.remote(0)), flush=True)
    time.sleep(100)
    """, args=[tmp_path / "go"])
    assert script.stdout.readline() == "[1, 10]\n"
    with pytest.raises(ValueError, match="there is no actor named 'own'; the names are 'both'"):
        ray.get_actor("own")
    shared = ray.get_actor("both")
    assert ray.get([shared.add.remote() for _ in range(5)]) == [11, 12, 13, 14, 15]
    assert [row["Name"] for row in ray.global_state.actors()] == ["both"]

    @ray.remote
    class Counter:
        pass

    mine = Counter.options(name="own").remote()
    with pytest.raises(ValueError, match="there is an actor named 'both' already"):
        Counter.options(name="both", shared=True).remote()
    with pytest.raises(ValueError, match="shared=True needs a name"):
        Counter.options(shared=True).remote()
    (tmp_path / "go").touch()
    assert script.stdout.readline() == "15\n"
    script.kill()
    with pytest.raises(ray.exceptions.RayActorError):
        while True:
            ray.get(shared.add.remote(), timeout=5)
    wait_until(lambda: [row["Name"] for row in ray.global_state.actors()] == ["own"], what="the name is free")
    del mine, shared


def test_calls_of_a_dead_driver_do_not_stay_with_another_drivers_actor(attached, gate, counts, wait_until):
    """Queued ones are gone; the actor lives on, and what its calls had of that driver is not used any more."""
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    class Slow:
        def hold(self):
            arrive("here")
            wait()

        def add(self, x):
            return x + 1

    slow = Slow.options(name="slow", shared=True).remote()
    before = counts()
    held = slow.hold.remote()
    wait_until(lambda: gate.arrived(), what="it runs")
    script = attached("""
        slow = ray.get_actor("slow")
        waits = ray.remote(lambda: time.sleep(100)).remote()
        calls = [slow.add.remote(k) for k in range(30)] + [slow.add.remote(waits)]
        print(calls[0].hex(), flush=True)
        time.sleep(100)
    """)
    lost = ray.ObjectID(bytes.fromhex(script.stdout.readline().strip()))
    ray.wait([lost], timeout=0)
    script.kill()
    with pytest.raises(ray.exceptions.ObjectLostError, match=f"pid {script.pid}"):
        ray.get(lost, timeout=5)
    wait_until(lambda: counts()["jobs"] == 1, 5, "its job has ended")
    gate.open()
    assert ray.get(slow.add.remote(5)) == 6
    del lost, held
    wait_until(lambda: counts()["objects"] - counts()["kept"] == before["objects"] - before["kept"], 5, "nothing is left")
    ray.session.current().view.check()


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
def script_session(request, fresh, start_script):
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
