"""Actors and what is scarce: processes, CPUs and other resources that they hold for life; what is said of it."""

import os
import re
import time

import psutil
import pytest

import ray_lite as ray

SOON = 20


@pytest.fixture
def short(monkeypatch):
    """Little patience before a note."""
    monkeypatch.setenv("RAY_LITE_HELD_NOTE", "0.5")


@pytest.fixture
def notes(capfd, wait_until):
    """`notes(number)`: the lines on stderr, once there are so many."""
    lines = []

    def read(number):
        def enough():
            lines.extend(capfd.readouterr().err.splitlines())
            return len(lines) >= number

        wait_until(enough, what=f"{number} notes")
        return lines

    return read


class Tools:
    def __init__(self, first=None):
        self.first = first

    def pid(self):
        return os.getpid()

    def hold(self, wait):
        wait()
        return "held"

    def fetch(self, box):
        return ray.get(box[0])

    def fetch_after(self, function, *args):
        return ray.get(function.remote(*args))

    def gpus(self):
        return ray.get_gpu_ids()


plain = ray.remote(num_cpus=0)(Tools)


# ---------------------------------------------------------------- what is held for life


def test_who_waits_for_what_an_actor_holds_is_told(fresh, short, notes):
    fresh.init(num_cpus=2, num_gpus=1, resources={"licence": 2})
    holder = ray.remote(num_gpus=1, resources={"licence": 1})(Tools).options(name="first").remote()
    pid = ray.get(holder.pid.remote())
    late = ray.remote(num_gpus=1)(Tools).remote()
    task = ray.remote(resources={"licence": 2})(lambda: 1)
    waiting = [late.pid.remote(), *(task.remote() for _ in range(3))]
    lines = notes(2)
    holds = rf"which actors hold until they end: Tools \('first', {holder._ray_actor_id.hex()[:8]}, pid {pid}\)"
    actor = rf"actor Tools \({late._ray_actor_id.hex()[:8]}\) has waited for 0\.5 s for 1 GPU"
    tasks = r"task .*<lambda> \(and 2 more\) has waited for 0\.5 s for 2 licence"
    for what in (actor, tasks):
        assert any(re.fullmatch(f"ray_lite: {what}, {holds}", line) for line in lines)
    del holder
    assert len(ray.wait(waiting, num_returns=4, timeout=SOON * 1000)[0]) == 4


@pytest.mark.slow
def test_it_is_told_once(fresh, short, notes):
    fresh.init(num_cpus=2, num_gpus=1)
    holder, = [ray.remote(num_gpus=1)(Tools).remote()]
    ray.get(holder.pid.remote())
    late = ray.remote(num_gpus=1)(Tools).remote()
    notes(1)
    time.sleep(1.5)
    assert len(notes(1)) == 1
    del holder
    assert ray.get(late.pid.remote(), timeout=SOON) > 0


def test_a_call_that_needs_a_cpu_while_actors_hold_all(fresh, short, notes):
    fresh.init(num_cpus=1)
    caller = ray.remote(Tools).remote()
    ray.get(caller.pid.remote())
    holder = ray.remote(num_cpus=1)(Tools).remote()
    ray.get(holder.pid.remote())
    x = caller.pid.remote()
    caller_id = caller._ray_actor_id.hex()[:8]
    line, = notes(1)
    assert re.match(rf"ray_lite: a call of actor Tools \({caller_id}, pid \d+\) has waited for 0\.5 s for 1 CPU, which", line)
    del holder
    assert ray.get(x, timeout=SOON) > 0


@pytest.mark.slow
def test_a_queue_for_what_tasks_release_is_not_told(fresh, short, capfd):
    """An actor holds a CPU, but the tasks wait for each other's, not for it."""
    fresh.init(num_cpus=2)
    holder = ray.remote(num_cpus=1)(Tools).remote()
    ray.get(holder.pid.remote())
    ray.get([ray.remote(time.sleep).remote(0.4) for _ in range(5)])
    ray.shutdown()  # shows all that was reported
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_many_holders_are_counted(fresh, short, notes):
    fresh.init(num_cpus=2, num_gpus=8)
    holders = [ray.remote(num_cpus=0, num_gpus=1)(Tools).remote() for _ in range(8)]
    ray.get([holder.pid.remote() for holder in holders])
    x = ray.remote(num_gpus=1)(lambda: 1).remote()
    line, = notes(1)
    assert line.count("Tools (") == 5 and line.endswith(", 3 more")
    holders.pop()
    assert ray.get(x, timeout=SOON) == 1


# ---------------------------------------------------------------- processes


def test_actors_wait_for_processes_and_tasks_have_some(fresh, short, notes, monkeypatch):
    monkeypatch.setenv("RAY_LITE_SLOTS", "11")
    fresh.init(num_cpus=2)
    many = [plain.remote() for _ in range(9)]
    calls = [one.pid.remote() for one in many]
    line, = notes(1)
    assert re.fullmatch(r"ray_lite: actor Tools \(\w{8}\) \(and 2 more\) has waited for 0\.5 s for a process: the session can "
                        r"have at most 8 processes \(RAY_LITE_SLOTS=11\), 6 of them for actors", line)
    ready, late = ray.wait(calls, num_returns=6, timeout=SOON * 1000)
    assert len(ready) == 6 and ray.wait(late, timeout=300)[0] == []
    assert ray.get([ray.remote(lambda k: k).remote(k) for k in range(20)], timeout=SOON) == list(range(20))
    del many[:3]
    assert len(ray.wait(late, num_returns=3, timeout=SOON * 1000)[0]) == 3
    assert len([line for line in notes(1) if "for a process" in line]) == 1


def test_max_workers_bounds_no_actors(fresh):
    fresh.init(num_cpus=2, max_workers=1)
    many = [plain.remote() for _ in range(4)]
    assert len({ray.get(one.pid.remote(), timeout=SOON) for one in many}) == 4


def test_idle_workers_make_room_for_actors(fresh, monkeypatch, worker_pids, gate, wait_until):
    monkeypatch.setenv("RAY_LITE_SLOTS", "11")
    fresh.init(num_cpus=2, num_workers=8)
    wait_until(lambda: len(worker_pids()) == 8)
    began = time.monotonic()
    many = [plain.remote() for _ in range(6)]
    assert len({ray.get(one.pid.remote(), timeout=SOON) for one in many}) == 6
    assert time.monotonic() - began < 8, "sooner than they would retire"


def test_tasks_that_wait_while_actors_have_the_processes(fresh, monkeypatch):
    """The limit of workers is smaller then; who runs into it is told why."""
    monkeypatch.setenv("RAY_LITE_SLOTS", "9")
    fresh.init(num_cpus=2)
    many = [plain.remote() for _ in range(4)]
    ray.get([one.pid.remote() for one in many])

    @ray.remote(num_cpus=0, inline=False)
    def nested(depth):
        return ray.get(nested.remote(depth - 1)) if depth else 0

    with pytest.raises(ray.exceptions.DeadlockError, match=r"4 of at most 6 processes \(RAY_LITE_SLOTS=9\) are actors'"):
        ray.get(nested.remote(4))
    del many
    assert ray.get(nested.remote(4), timeout=SOON) == 0


# ---------------------------------------------------------------- CPUs


def test_a_blocked_method_gives_back_cpus_that_are_held_for_life(fresh):
    fresh.init(num_cpus=2)
    actor = ray.remote(num_cpus=2)(Tools).remote()

    @ray.remote(num_cpus=2)
    def both():
        return ray.global_state.available_resources()["CPU"]

    assert ray.get(actor.fetch_after.remote(both), timeout=SOON) == 0
    assert ray.global_state.available_resources()["CPU"] == 0, "the actor has them again"


def test_a_blocked_method_keeps_gpus_and_custom_resources(fresh, gate, wait_until):
    fresh.init(num_cpus=2, num_gpus=1, resources={"licence": 1})
    actor, wait, arrive = ray.remote(num_gpus=1, resources={"licence": 1})(Tools).remote(), gate.wait, gate.arrive

    @ray.remote
    def slow():
        arrive("in")
        wait()
        return "slow"

    x = actor.fetch_after.remote(slow)
    wait_until(lambda: gate.arrived("in"))
    wait_until(lambda: ray.global_state.available_resources() == {"CPU": 1, "GPU": 0, "licence": 0})
    others = [ray.remote(num_gpus=1)(lambda: 1).remote(), ray.remote(resources={"licence": 1})(lambda: 1).remote()]
    assert ray.wait(others, timeout=300)[0] == []
    gate.open()
    assert ray.get(x) == "slow"
    del actor
    assert ray.get(others, timeout=SOON) == [1, 1]


def test_a_task_that_can_not_run_beside_an_actor_idles_no_cpu(fresh):
    """Two CPUs are not reserved while one is held for life."""
    fresh.init(num_cpus=2)
    holder = ray.remote(num_cpus=1)(Tools).remote()
    ray.get(holder.pid.remote())
    wide = ray.remote(num_cpus=2)(lambda: "wide").remote()
    time.sleep(1.5)  # longer than Config.aging
    assert ray.get([ray.remote(lambda k: k).remote(k) for k in range(50)], timeout=SOON) == list(range(50))
    assert ray.wait([wide], timeout=0)[0] == []
    del holder
    assert ray.get(wide, timeout=SOON) == "wide"


@pytest.mark.slow
def test_a_custom_resource_that_is_held_reserves_no_cpu(fresh):
    fresh.init(num_cpus=1, resources={"licence": 1})
    holder = ray.remote(num_cpus=0, resources={"licence": 1})(Tools).remote()
    ray.get(holder.pid.remote())
    hangs = ray.remote(num_cpus=1, resources={"licence": 1})(lambda: "late").remote()
    time.sleep(1.5)
    assert ray.get([ray.remote(lambda k: k).remote(k) for k in range(50)], timeout=SOON) == list(range(50))
    del holder
    assert ray.get(hangs, timeout=SOON) == "late"


@pytest.mark.parametrize("held_first", [True, False])
@pytest.mark.slow
def test_a_task_that_hangs_on_an_actor_keeps_no_other_from_its_turn(fresh, wait_until, held_first):
    """Only one shape at a time has the reservation: one that needs what an actor holds for life must not have it."""
    fresh.init(num_cpus=2, num_gpus=1, resources={"licence": 1})
    shape = {"num_cpus": 0, "resources": {"licence": 1}, "num_gpus": 0 if held_first else 1}
    holder = ray.remote(num_cpus=0, resources={"licence": 1})(Tools)
    if held_first:
        holder = holder.remote()
        ray.get(holder.pid.remote())
    else:  # it has the reservation first, since it lacks the GPU
        busy = ray.remote(num_gpus=1)(time.sleep).remote(2)
    hangs = ray.remote(**shape)(lambda: "late").remote()
    time.sleep(1.5)
    if not held_first:
        holder = holder.remote()
        ray.get([busy, holder.pid.remote()])
    ray.get(ray.remote(lambda: 1).remote())
    small = ray.remote(num_cpus=1)(lambda: time.sleep(0.03))
    streams = [small.remote() for _ in range(4)]
    wide = ray.remote(num_cpus=2)(lambda: "wide").remote()
    end = time.monotonic() + SOON
    while not ray.wait([wide], timeout=0)[0]:
        assert time.monotonic() < end, "others pass it over for ever"
        ready, rest = ray.wait(streams)
        streams = [*rest, small.remote()]
    assert ray.wait([hangs], timeout=0)[0] == []
    del holder
    assert ray.get(hangs, timeout=SOON) == "late"


# ---------------------------------------------------------------- what is listed


def test_actors_are_listed_among_the_processes(fresh):
    fresh.init(num_cpus=1)
    actor = plain.remote()
    pid = ray.get(actor.pid.remote())
    ray.get(ray.remote(lambda: 1).remote())
    backend = ray.session.current()
    roles = {one[0]: one[2] for one in backend.region.workers()}
    assert roles[pid] == ray._core.ACTOR and set(roles.values()) == {ray._core.ACTOR, ray._core.WORKER}
    assert pid not in backend.view.worker_pids()
    assert "actor" in str(ray.memory())
    x = ray.put([1] * 1000)
    keeper = ray.remote(num_cpus=0)(Tools).remote([x])
    ray.get(keeper.pid.remote())
    holders = ray.global_state.object_table(x)["Holders"]
    assert {role for _, role in holders} == {"driver", "actor"}


def test_actors_that_outlive_their_node_are_ended(start_script, wait_until):
    """A method may have blocked the signal by which they end."""
    script = start_script("""
        import os, signal
        import ray_lite as ray

        @ray.remote
        class Deaf:
            def __init__(self):
                signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
                for number in set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
                    signal.signal(number, signal.SIG_IGN)
            def pid(self):
                return os.getpid()

        node = ray.init(num_cpus=1)["node_pid"]
        deaf = Deaf.remote()
        print(ray.get(deaf.pid.remote()), node, flush=True)
        input()
    """)
    pid, node = map(int, script.stdout.readline().split())
    process = psutil.Process(pid)
    psutil.Process(node).kill()
    script.communicate("\n", timeout=SOON)
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


