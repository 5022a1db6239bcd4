"""The end of an attached driver, of its node, and of the driver that started the session."""

import contextlib
import os
import signal

import psutil
import pytest

import ray_lite as ray


def family(pid):
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def gone(processes):
    return not [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("how", ["shutdown", "exit", "kill"])
def test_nothing_stays_of_a_driver(attached, counts, wait_until, how, finished):
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
        """, args=[how], grace=0.2)
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


def test_the_owner_of_the_session_ends(attached, wait_until, finished):
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


def test_the_node_of_an_attached_driver_is_killed(attached, counts, wait_until, finished):
    """The driver's calls raise; the session and its other drivers go on, and what it took is free again."""

    @ray.remote
    class Other:
        def pid(self):
            return os.getpid()

    other = Other.remote()
    pid = ray.get(other.pid.remote())
    before = counts()
    script = attached("""
        ray.get(ray.remote(lambda: 1).remote())  # its node has started
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
    assert ray.get(other.pid.remote()) == pid, "shutdown has ended nothing of another driver"
    wait_until(lambda: counts()["jobs"] == 1, 5, "nothing of it is left")
    assert counts()["slots"] == before["slots"] + 1, "a worker has run the task"


def test_many_drivers_one_after_another_leave_the_tables_as_they_were(attached, counts, wait_until, finished):
    sizes = []
    for k in range(8):
        finished(attached("""
            f = ray.remote(num_cpus=1, resources={})(lambda x: x)
            assert ray.get([f.remote(k) for k in range(100)]) == list(range(100))
        """))
        wait_until(lambda: counts()["jobs"] == 1, 5, "its job has ended")
        sizes.append((counts(), ray.session.current().region.statistics()["region_bytes"]))
        assert k < 2 or sizes[k] == sizes[1]


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


def test_the_node_of_an_attached_driver_does_not_start(attached, counts, wait_until, finished):
    """`init` does not wait for it; the first call that waits raises, and nothing is left."""
    finished(attached("pass"))
    wait_until(lambda: counts()["jobs"] == 1, what="its job has ended")
    before = counts()
    script = attached("""
        os.kill(info["node_pid"], 9)
        for _ in range(2):
            try:
                ray.get(ray.remote(lambda: 1).remote())
            except ray.exceptions.RaySystemError as error:
                print(error)
    """)
    out = finished(script)
    assert out.count("the node process") == 2, out
    wait_until(lambda: counts() == before, 5, f"the tables are as before: {before}")


def test_nobody_waits_for_a_driver_whose_node_was_killed(attached, wait_until):
    """What it would have made is an error at once, though it lives on; calls of its actors, too."""
    script = attached("""
        @ray.remote
        class Counter:
            def add(self):
                return 1

        counter = Counter.options(name="theirs", shared=True).remote()
        ray.get(counter.add.remote())
        running, waits = ray.remote(lambda: time.sleep(100)).remote(), ray.remote(lambda x: x)
        later = waits.remote(running)
        print(info["node_pid"], running.hex(), later.hex(), flush=True)
        print(info["session_dir"], flush=True)
        time.sleep(100)
    """)
    node, *ids = script.stdout.readline().split()
    running, later = (ray.ObjectID(bytes.fromhex(one)) for one in ids)
    theirs, mine = ray.get_actor("theirs"), ray.remote(lambda x: x).remote(later)
    ray.wait([running, later], timeout=0)
    os.kill(int(node), signal.SIGKILL)
    for lost in (running, later, mine):
        with pytest.raises(ray.exceptions.ObjectLostError, match=f"pid {script.pid}"):
            ray.get(lost, timeout=5)
    for _ in range(3):
        with pytest.raises(ray.exceptions.RayActorError, match="is dead"):
            ray.get(theirs.add.remote(), timeout=5)
    directory = script.stdout.readline().strip()
    assert os.path.isdir(directory)
    script.kill()
    wait_until(lambda: not os.path.exists(directory), 5, "the host removes what its node has left behind")


def test_arrays_of_a_driver_that_has_let_go_stay_as_they_are(attached, counts, finished, wait_until, tmp_path):
    """The host frees them when the last view is gone, or the driver."""
    script = attached("""
        import numpy as np
        array = ray.get(ray.put(np.full(1_000_000, 7)))
        ray.shutdown()
        print("let go", flush=True)
        while not os.path.exists(args[0]):
            time.sleep(0.01)
        print(array.min(), array.max())
        del array
        ray.init(redis_address=address)
        print(ray.get(ray.remote(lambda: 3).remote()))
    """, args=[tmp_path / "go"])
    assert script.stdout.readline() == "let go\n"
    kept = [ray.put(os.urandom(8_000_000)) for _ in range(5)]
    (tmp_path / "go").touch()
    assert finished(script) == "7 7\n3\n"
    del kept
    wait_until(lambda: counts()["jobs"] == 1, 5, "its jobs have ended")


def test_a_driver_that_comes_and_goes_keeps_no_descriptor(attached, finished):
    script = attached("""
        import subprocess
        seen, inherited = [], []
        for _ in range(4):
            ray.get(ray.remote(lambda: 1).remote())
            inherited.append(subprocess.run("ls /proc/self/fd", shell=True, close_fds=False, stdout=-1).stdout)
            ray.shutdown()
            seen.append(len(os.listdir("/proc/self/fd")))
            ray.init(redis_address=address)
        print(len(set(seen[1:])), set(inherited) == {subprocess.run("ls /proc/self/fd", shell=True, stdout=-1).stdout})
    """)
    assert finished(script) == "1 True\n"
