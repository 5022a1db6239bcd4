"""Deaths of workers: what is retried, what is reported at once and how, and that nobody else notices."""

import os
import re
import signal
import subprocess
import threading

import numpy as np
import psutil
import pytest

import ray_lite as ray
from ray_lite.exceptions import WorkerCrashedError

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture
def attempts(tmp_path):
    """`attempts.note()` is called by a task each time it starts; `attempts()` lists the pids that
    have done so.
    """
    path = str(tmp_path / "attempts")

    def note():
        with open(path, "a") as file:
            file.write(f"{os.getpid()}\n")

    def noted():
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return [int(line) for line in file]

    noted.note, noted.path = note, path
    return noted


@pytest.mark.parametrize("retries, expected", [(None, 4), (0, 1), (1, 2)], ids=["default", "0", "1"])
def test_a_killed_task_is_run_again_up_to_max_retries(attempts, retries, expected):
    note = attempts.note

    def always_killed():
        note()
        os.kill(os.getpid(), signal.SIGKILL)

    options = {} if retries is None else {"max_retries": retries}
    f = ray.remote(num_cpus=1, **options)(always_killed)
    with pytest.raises(WorkerCrashedError) as caught:
        ray.get(f.remote(), timeout=30)
    pids, text = attempts(), str(caught.value)
    assert len(pids) == expected and len(set(pids)) == expected, "each attempt in a process of its own"
    assert "always_killed" in text and str(pids[-1]) in text and re.search("SIGKILL|signal 9", text)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_a_task_killed_from_outside_succeeds_the_second_time(attempts, gate, wait_until, number):
    note, wait = attempts.note, gate.wait

    @ray.remote
    def held(x):
        note()
        wait()
        return x

    result = held.remote("survived")
    (pid,) = wait_until(attempts, what="the first attempt")
    os.kill(pid, number)
    wait_until(lambda: len(attempts()) == 2, what="the second attempt")
    gate.open()
    assert ray.get(result) == "survived"
    assert attempts()[1] != pid


ENDINGS = {
    "exit": (lambda: os._exit(3), r"exit[^\n]*\b3\b|\b3\b[^\n]*exit"),
    "exit zero": (lambda: os._exit(0), r"exit[^\n]*\b0\b|\b0\b[^\n]*exit"),
    "abort": (lambda: os.abort(), "SIGABRT|signal 6"),
    "segfault": (lambda: __import__("ctypes").string_at(0), "SIGSEGV|signal 11"),
    "other signal": (lambda: os.kill(os.getpid(), signal.SIGUSR1), "SIGUSR1|signal 10"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_process_that_ends_itself_is_reported_at_once(attempts, ending):
    note, (end, word) = attempts.note, ENDINGS[ending]

    @ray.remote
    def ends_itself():
        note()
        end()

    with pytest.raises(WorkerCrashedError) as caught:
        ray.get(ends_itself.remote(), timeout=30)
    (pid,), text = attempts(), str(caught.value)
    assert "ends_itself" in text and str(pid) in text and re.search(word, text), text


def test_every_result_and_every_dependant_of_the_dead_task_fails():
    @ray.remote(num_return_vals=3)
    def dies():
        os._exit(1)

    ids = dies.remote()
    behind = ray.remote(lambda x: x).remote(ids[1])
    assert ray.wait([*ids, behind], num_returns=4, timeout=30_000) == ([*ids, behind], [])
    for one in [*ids, behind]:
        with pytest.raises(WorkerCrashedError):
            ray.get(one)


def test_the_others_go_on(gate, wait_until):
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held():
        arrive("in")
        wait()
        return "held"

    safe = held.remote()
    wait_until(lambda: gate.arrived("in"), what="the other task")
    dying = [ray.remote(lambda: os._exit(1)).remote() for _ in range(5)]
    queued = [ray.remote(lambda i=i: i).remote() for i in range(100)]
    for one in dying:
        with pytest.raises(WorkerCrashedError):
            ray.get(one, timeout=30)
    assert ray.get(queued) == list(range(100))
    gate.open()
    assert ray.get(safe) == "held"


def test_idle_workers_that_die_are_replaced(worker_pids, wait_until):
    @ray.remote
    def pid():
        return os.getpid()

    ray.get([pid.remote() for _ in range(10)])
    for _ in range(3):
        old = worker_pids()
        assert old
        for one in old:
            os.kill(one, signal.SIGKILL)
        assert not set(ray.get([pid.remote() for _ in range(10)], timeout=30)) & set(old)
        wait_until(lambda old=old: not set(old) & set(worker_pids()), what="the list without the dead")


def test_what_the_dead_worker_held_is_released(attempts, gate, wait_until, statistics):
    note, wait = attempts.note, gate.wait

    @ray.remote(max_retries=0)
    def holder(array, box):
        mine = [ray.put(np.zeros(300_000)), array, box]
        note()
        wait()
        return len(mine)

    ray.get(ray.remote(len).remote([1]))
    before = statistics().bytes_used
    result = holder.remote(np.zeros(300_000), [ray.put(np.zeros(300_000))])
    (pid,) = wait_until(attempts, what="the holder")
    assert statistics().bytes_used >= before + 3 * 2_400_000
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashedError):
        ray.get(result, timeout=30)
    del result
    wait_until(lambda: statistics().bytes_used < before + 100_000, what="the return of all bytes")


def test_a_second_attempt_does_not_meet_what_the_first_one_held(tmp_path):
    mark = tmp_path / "killed"

    @ray.remote
    def holder(dies):
        objects = ray.session.current().view.statistics().objects
        if dies and not mark.exists():
            held = [ray.put(k) for k in range(200_000)]
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
            del held
        return objects

    ray.get([holder.remote(False) for _ in range(100)])  # the idle worker has loaded it when it is queued again
    assert ray.get(holder.remote(True), timeout=30) < 1_000


def test_processes_that_a_task_started_die_with_its_worker(attempts, wait_until):
    note, path = attempts.note, attempts.path

    @ray.remote(max_retries=0)
    def starts_another():
        with open(path + ".child", "w") as file:
            file.write(str(subprocess.Popen(["sleep", "300"]).pid))
        note()
        import time

        time.sleep(300)

    result = starts_another.remote()
    (pid,) = wait_until(attempts, what="the task")
    with open(path + ".child") as file:
        child = psutil.Process(int(file.read()))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashedError):
        ray.get(result, timeout=30)
    wait_until(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="the child's end"
    )


def test_a_parent_learns_of_its_dead_child():
    @ray.remote(inline=False)
    def child():
        os._exit(7)

    @ray.remote
    def parent():
        try:
            ray.get(child.remote())
        except WorkerCrashedError as error:
            return str(error)

    assert "child" in ray.get(parent.remote(), timeout=30)


def test_an_inline_task_is_to_blame_for_the_death_of_its_process(attempts):
    """The innermost one failed; the outer one is innocent and runs again, uncounted."""
    note = attempts.note

    @ray.remote
    def child():
        os._exit(7)

    @ray.remote(max_retries=0)
    def parent():
        note()
        try:
            ray.get(child.remote())
        except WorkerCrashedError as error:
            return "child" in str(error)

    assert ray.get(parent.remote(), timeout=30) is True
    assert 1 <= len(attempts()) <= 2


def test_random_kills_lose_nothing(worker_pids):
    """Ten workers are killed in the middle of 400 tasks, each of which holds an array and a stored object."""

    @ray.remote(max_retries=100)
    def work(i, array):
        import time

        mine = ray.put(array * 2)
        time.sleep(0.002)
        return i, int(ray.get(mine)[5])

    shared, random = ray.put(np.full(10_000, 4)), np.random.default_rng(7)
    ids, stop = [work.remote(i, shared) for i in range(400)], threading.Event()

    def killer():
        for _ in range(10):
            pids = worker_pids()
            if pids:
                try:
                    os.kill(pids[random.integers(len(pids))], signal.SIGKILL)
                except ProcessLookupError:  # it has ended by itself
                    continue
            stop.wait(0.05)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        assert ray.get(ids, timeout=50) == [(i, 8) for i in range(400)]
    finally:
        stop.set()
        thread.join()


def test_many_deaths_in_a_row():
    @ray.remote
    def dies(i):
        os._exit(i % 250)

    for one in [dies.remote(i) for i in range(1, 21)]:
        with pytest.raises(WorkerCrashedError):
            ray.get(one, timeout=30)
    assert ray.get([ray.remote(lambda i=i: i).remote() for i in range(50)]) == list(range(50))


def test_what_workers_leave_is_reaped(wait_until):
    """Orphans of live workers and of dead ones become the node's children; no zombie stays."""

    @ray.remote(max_retries=0)
    def leaves(dies):
        subprocess.Popen(["sh", "-c", "sleep 0.1 & sleep 0.1 &"]).wait()
        if dies:
            subprocess.Popen(["sleep", "300"])
            os._exit(1)

    ids = [leaves.remote(k % 2) for k in range(6)]
    ray.wait(ids, num_returns=6)
    node = psutil.Process(ray.session.current().address["node_pid"])

    def tidy():
        ray.wait([leaves.remote(1)])
        return all(child.status() != psutil.STATUS_ZOMBIE for child in node.children())

    wait_until(tidy)
