"""Actors in processes of their own: order of calls, resources, cancellation, deaths, and what is left behind."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from counters import Remote
from tools import Tools, tools

import ray_lite as ray
from ray_lite.exceptions import RayActorError, TaskCancelledError, WorkerCrashedError


@pytest.fixture
def session(fresh):
    fresh.init(num_cpus=2)
    return fresh


def test_an_actor_has_a_process_of_its_own(session):
    actors = [tools.remote() for _ in range(3)]
    pids = ray.get([actor.pid.remote() for actor in actors])
    assert len({*pids, os.getpid()}) == 4
    assert not set(ray.get([ray.remote(os.getpid).remote() for _ in range(50)])).intersection(pids)


def test_calls_of_a_caller_run_in_order(session):
    actor = tools.remote()
    for number in range(5000):
        actor.note.remote(number)
    assert ray.get(actor.get.remote()) == list(range(5000))


def test_a_call_that_lacks_an_argument_holds_back_its_callers_later_ones_only(session, gate):
    actor, wait = tools.remote(), gate.wait
    late = ray.remote(num_cpus=0)(lambda: wait() or "late").remote()
    held = [actor.note.remote(late), actor.note.remote("after")]

    @ray.remote(num_cpus=0)
    def another(actor):
        return ray.get(actor.note.remote("another"))

    assert ray.get(another.remote(actor)) == "another"
    ready, _ = ray.wait(held, num_returns=2, timeout=50)
    assert ready == []
    gate.open()
    assert ray.get(held) == ["late", "after"] and ray.get(actor.get.remote()) == ["another", "late", "after"]


def test_each_callers_order_whoever_else_calls(session):
    actor = tools.remote()

    @ray.remote(num_cpus=0)
    def call(actor, name):
        ray.get([actor.note.remote((name, number)) for number in range(200)])

    ray.get([call.remote(actor, name) for name in range(4)])
    seen = ray.get(actor.get.remote())
    assert [[number for name, number in seen if name == one] for one in range(4)] == [list(range(200))] * 4


def test_arrays_are_not_copied(session):
    total, writable = ray.get(tools.remote().total.remote(np.ones(1_000_000)))
    assert (total, writable) == (1_000_000, False)


def test_actors_work_at_the_same_time(session, gate):
    one, other, wait, arrive = tools.remote(), tools.remote(), gate.wait, gate.arrive
    held = [actor.hold.remote(wait, lambda name, k=k: arrive(f"in-{k}")) for k, actor in enumerate((one, other))]
    gate_open = threading.Timer(0.0, lambda: None)
    gate_open.start()
    deadline = time.monotonic() + 10
    while len(gate.arrived("in")) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(gate.arrived("in")) == 2
    gate.open()
    assert ray.get(held) == ["held"] * 2
    gate_open.join()


def test_plain_actors_share_the_cpus(fresh, gate, wait_until):
    """Undecorated: a method needs a CPU while it runs; an idle actor needs none."""
    fresh.init(num_cpus=1)
    wait, arrive = gate.wait, gate.arrive
    many = [tools.remote() for _ in range(5)]
    held = [actor.hold.remote(wait, lambda name, k=k: arrive(f"in-{k}")) for k, actor in enumerate(many)]
    wait_until(lambda: len(gate.arrived("in")) == 1)
    task = ray.remote(lambda: 1).remote()
    assert ray.wait([task], timeout=50)[0] == []
    gate.open()
    assert ray.get(held) == ["held"] * 5 and ray.get(task) == 1


def test_what_is_held_for_life(fresh, wait_until):
    fresh.init(num_cpus=2, num_gpus=1, resources={"licence": 1})
    holder = ray.remote(num_gpus=1, resources={"licence": 1})(Tools).remote()
    ray.get(holder.pid.remote())
    assert ray.global_state.available_resources() == {"CPU": 1, "GPU": 0, "licence": 0}
    other = ray.remote(num_gpus=1)(Tools).remote()
    waiting = other.pid.remote()
    assert ray.wait([waiting], timeout=50)[0] == []
    ray.kill(holder)
    assert ray.get(waiting) > 0
    del other
    wait_until(lambda: ray.global_state.available_resources() == {"CPU": 2, "GPU": 1, "licence": 1})


def test_a_demand_that_can_never_be_met(session):
    with pytest.raises(ValueError, match="num_gpus=1, but this session has 0"):
        ray.remote(num_gpus=1)(Tools).remote()
    with pytest.raises(ValueError, match="num_cpus=3"):
        ray.remote(num_cpus=3)(Tools).remote()


@pytest.mark.slow
def test_tasks_that_wait_for_an_actor_at_work_are_no_deadlock(fresh):
    fresh.init(num_cpus=2, max_workers=2)
    actor = tools.remote()

    @ray.remote
    def waits(actor):
        return ray.get(actor.sleep.remote(2.5))

    assert ray.get([waits.remote(actor) for _ in range(2)]) == [None, None]


def test_a_method_that_waits_gives_its_cpu_back(fresh):
    fresh.init(num_cpus=1)
    x = ray.remote(lambda: 5).remote()
    assert ray.get(tools.remote().fetch.remote([x])) == 5


# ---------------------------------------------------------------- cancellation


def test_a_queued_call_is_cancelled(session, gate):
    actor, wait = tools.remote(), gate.wait
    held, queued, later = actor.hold.remote(wait), actor.note.remote("never"), actor.note.remote("later")
    assert ray.cancel(queued)
    gate.open()
    with pytest.raises(TaskCancelledError):
        ray.get(queued)
    assert ray.get([held, later, actor.get.remote()]) == ["held", "later", ["later"]]


def test_a_running_call_is_cancelled(session, gate, wait_until):
    actor, arrive = tools.remote(), gate.arrive
    x = actor.caught.remote(arrive)
    wait_until(lambda: gate.arrived("in"))
    with pytest.raises(ValueError, match="ray_lite.kill"):
        ray.cancel(x, force=True)
    assert ray.cancel(x)
    with pytest.raises(TaskCancelledError):
        ray.get(x)
    assert ray.get(actor.get.remote()) == ["cancelled"]


def test_a_task_that_is_cancelled_by_force_with_all_that_it_called_does_not_end_the_actor(session, gate, wait_until):
    actor, arrive = tools.remote(), gate.arrive

    @ray.remote
    def calling(actor):
        return ray.get(actor.caught.remote(arrive))

    x = calling.remote(actor)
    wait_until(lambda: gate.arrived("in"))
    assert ray.cancel(x, force=True, recursive=True)
    with pytest.raises(TaskCancelledError):
        ray.get(x)
    assert ray.get(actor.note.remote("alive")) == "alive"


@pytest.mark.parametrize("how, text", [
    ("die", r"ended itself with exit code 7 while it ran Tools\.die"),
    ("write", r"killed by signal 9 \(SIGKILL\) while it ran Tools\.write(?s:.*)last lines on stderr:\s+last words"),
])
def test_a_death_tells_its_story(fresh, monkeypatch, how, text):
    monkeypatch.setenv("RAY_LITE_LAST_WORDS", "5")  # the machine may be busy
    fresh.init(num_cpus=2)
    actor = tools.remote()
    first = actor.die.remote() if how == "die" else actor.write.remote("last words\n")
    calls = [first, *(actor.pid.remote() for _ in range(50))]
    for x in calls:
        with pytest.raises(RayActorError, match=rf"the actor Tools is dead: its process \(pid \d+\) (was )?{text}"):
            ray.get(x)
    with pytest.raises(RayActorError, match="is dead"):
        ray.get(actor.pid.remote())


@pytest.mark.parametrize("how, text, error", [
    ("raises", "LookupError: lost", LookupError), ("dies", "exit code 4", WorkerCrashedError)])
def test_an_argument_of_the_constructor_that_failed(session, how, text, error):
    @ray.remote(max_retries=0)
    def argument():
        if how == "raises":
            raise LookupError("lost")
        os._exit(4)

    class Takes(Tools):
        def __init__(self, x):
            super().__init__()

    actor = ray.remote(Takes).remote(argument.remote())
    for _ in range(2):
        with pytest.raises(RayActorError, match=rf"an argument of its constructor failed: (?s:.*){text}") as caught:
            ray.get(actor.pid.remote())
        assert isinstance(caught.value, error) and type(caught.value.cause) is error


def test_kill_while_calls_are_queued_and_run(session, gate, wait_until):
    actor, wait, arrive = tools.remote(), gate.wait, gate.arrive
    calls = [actor.hold.remote(wait, arrive), *(actor.note.remote(number) for number in range(10_000))]
    wait_until(lambda: gate.arrived("in"))
    ray.kill(actor)
    for x in calls:
        with pytest.raises(RayActorError, match="killed by ray_lite.kill"):
            ray.get(x)


def test_kill_before_it_starts(fresh):
    fresh.init(num_cpus=1, num_gpus=1)
    holder = ray.remote(num_gpus=1)(Tools).remote()
    ray.get(holder.pid.remote())
    never = ray.remote(num_gpus=1)(Tools).options(name="never").remote()
    x = never.pid.remote()
    ray.kill(never)
    with pytest.raises(RayActorError, match="killed by ray_lite.kill"):
        ray.get(x)
    with pytest.raises(ValueError, match="no actor named 'never'"):
        ray.get_actor("never")


def test_an_unready_argument_of_a_dead_actor(session, gate):
    actor, wait = tools.remote(), gate.wait
    x = actor.note.remote(ray.remote(num_cpus=0)(wait).remote())
    ray.kill(actor)
    with pytest.raises(RayActorError):
        ray.get(x)
    gate.open()


def test_an_actor_outlives_the_task_that_made_it(session):
    @ray.remote(max_calls=1)
    def make():
        return Remote.remote(5)

    counter = ray.get(make.remote())
    assert ray.get(counter.add.remote()) == 6


def test_handles_in_values_keep_it_alive(session, wait_until):
    stored = ray.put([Remote.remote(1)])
    result = ray.remote(lambda: Remote.remote(2)).remote()
    ray.wait([result])
    assert ray.get(ray.get(stored)[0].get.remote()) == 1 and ray.get(ray.get(result).get.remote()) == 2
    assert len(ray.global_state.actors()) == 2
    del stored, result
    wait_until(lambda: not ray.global_state.actors())


def test_queued_calls_run_before_the_end(session, tmp_path, wait_until):
    class Writes:
        def write(self, name):
            time.sleep(0.002)
            (tmp_path / name).touch()

    writes = ray.remote(Writes).remote()
    for number in range(20):
        writes.write.remote(str(number))
    del writes
    wait_until(lambda: len(list(tmp_path.iterdir())) == 20)


def test_many_actors(session):
    many = [Remote.remote(number) for number in range(40)]
    assert ray.get([actor.add.remote() for actor in many]) == list(range(1, 41))


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_driver_ends_its_actors(start_script, wait_until, tmp_path, sent):
    process = start_script(f"""
        import os, time
        import ray_lite as ray

        class Lives:
            def pid(self):
                return os.getpid()

            def __ray_shutdown__(self):
                open({str(tmp_path / "ended")!r}, "w").close()

        ray.init(num_cpus=1)
        lives = ray.remote(Lives).remote()
        print(ray.get(lives.pid.remote()), flush=True)
        while True:  # a signal just before a sleep is handled after it
            time.sleep(0.1)
    """)
    pid = int(process.stdout.readline())
    process.send_signal(sent)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    process.wait(20)
    assert os.path.exists(tmp_path / "ended") == (sent == signal.SIGTERM)


def test_a_child_that_an_actor_forks_answers_no_call(session):
    class Forks:
        def fork(self):
            if os.fork() == 0:
                return "child"
            os.wait()
            return "parent"

    forks = ray.remote(Forks).remote()
    assert ray.get([forks.fork.remote(), forks.fork.remote()]) == ["parent", "parent"]


def test_an_actor_that_dies_while_the_tables_are_full(fresh, gate, monkeypatch):
    """Its calls fail all the same."""
    monkeypatch.setenv("RAY_LITE_OBJECTS", "4096")
    fresh.init(num_cpus=2)
    actor = tools.remote()
    pid, held, kept = ray.get(actor.pid.remote()), actor.hold.remote(gate.wait), []
    queued = [actor.note.remote(number) for number in range(10)]
    with pytest.raises(ray.exceptions.ObjectStoreFullError):
        while True:
            kept.append(ray.put(None))
    os.kill(pid, signal.SIGKILL)
    for x in [held, *queued]:
        with pytest.raises(RayActorError):
            ray.get(x, timeout=20)
    kept.clear()
