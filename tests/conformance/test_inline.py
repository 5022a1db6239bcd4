"""Inline tasks, seen from the task around them: what it keeps as it was, and what signals do meanwhile."""

import contextlib
import os
import random
import shutil
import signal
import sys

import pytest

import ray_lite as ray


@pytest.fixture(autouse=True)
def one_worker(fresh):
    """Nobody else can run what its task waits for."""
    ray.init(num_cpus=1, max_workers=1)


@pytest.mark.parametrize("name", ["random.getstate", "os.getcwd", "os.umask"])
def test_a_task_is_not_lost_when_a_handler_raises_on_the_way_into_it(name):
    """What saves the parent's state sends it a signal."""
    module, name = sys.modules[name.partition(".")[0]], name.partition(".")[2]

    @ray.remote
    def parent():
        def handler(*_):
            raise LookupError("the handler's")

        def interrupted(*args):
            setattr(module, name, original)
            result = original(*args)
            signal.raise_signal(signal.SIGUSR1)
            return result

        original, mask = getattr(module, name), os.umask(0o022)
        before = signal.signal(signal.SIGUSR1, handler)
        x = ray.remote(lambda: "inline").remote()
        setattr(module, name, interrupted)
        with contextlib.suppress(LookupError):
            ray.get(x)
        setattr(module, name, original)
        signal.signal(signal.SIGUSR1, before)
        return ray.get(x), ray.get(ray.remote(lambda: 5).remote()), os.umask(mask)

    assert ray.get(parent.remote(), timeout=10) == ("inline", 5, 0o022)


def test_a_handler_that_raises_as_a_wait_begins_leaves_no_cpu_given_back(statistics, wait_until):
    """At random moments of it, and often."""

    class Alarm(Exception):
        pass

    @ray.remote
    def parent():
        def handler(*_):
            raise Alarm

        x, rng, caught = ray.remote(inline=False)(lambda: None).remote(), random.Random(1), 0
        before = signal.signal(signal.SIGALRM, handler)
        for _ in range(2000):
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 60e-6))
                with contextlib.suppress(ray.exceptions.GetTimeoutError):
                    ray.get(x, timeout=0.0003)
            except Alarm:
                caught += 1
        signal.signal(signal.SIGALRM, before)
        return caught

    assert ray.get(parent.remote(), timeout=30) > 1000
    wait_until(lambda: statistics().cpus_free == 1)


def test_an_inline_task_may_go_as_deep_as_any_other():
    """Its parent's depth does not count; where the stacks would become very deep together, another worker runs it."""
    ray.shutdown()
    ray.init(num_cpus=1)

    def deep(frames, then):
        return deep(frames - 1, then) if frames else then()

    frames = sys.getrecursionlimit() * 17 // 20

    @ray.remote
    def level(below):
        return 1 + deep(frames, lambda: ray.get(level.remote(below - 1)) if below else 0)

    @ray.remote
    def parent():
        before = sys.getrecursionlimit()
        return ray.get(level.remote(12)), sys.getrecursionlimit() - before

    assert ray.get(parent.remote(), timeout=30) == (13, 0)


def test_a_parent_whose_directory_its_child_removes(tmp_path):
    """The child's value is not lost for that, and what else it changed is put back."""
    place = tmp_path / "parent"

    def child():
        os.chdir(tmp_path)
        shutil.rmtree(place)
        os.environ["ONLY_CHILD"] = "1"
        os.umask(0o011)
        return 7

    def parent():
        os.mkdir(place)
        os.chdir(place)
        before = os.umask(0o022)
        return ray.get(ray.remote(child).remote()), os.environ.get("ONLY_CHILD"), os.umask(before)

    assert ray.get(ray.remote(parent).remote(), timeout=10) == (7, None, 0o022)


def look():
    return sys.path.copy()


@pytest.mark.parametrize("calls", [False, True])
@pytest.mark.parametrize("replace", [False, True])
def test_each_has_its_own_path(calls, replace):
    """The child's is what its parent's was at the call, and it changes only that; calls from there say so."""
    inline, queued = ray.remote(look), ray.remote(inline=False)(look)

    @ray.remote
    def child():
        seen = look()
        sys.path.insert(0, "/the/child's")
        if replace:
            sys.path = ["/another", *sys.path]
        return seen, ray.get(inline.remote()) == look() if calls else True

    @ray.remote
    def parent():
        path, first = sys.path, look()
        x = child.remote()
        sys.path.insert(0, "/the/parent's")
        sys.path.insert(0, "/and another")
        mine = look()
        assert ray.get(x) == (first, True) and look() == mine and sys.path is path
        y = child.remote()
        assert ray.get(y) == (mine, True) and look() == mine
        assert ray.get(inline.remote()) == mine
        del sys.path[0]
        assert ray.get(inline.remote()) == look() == mine[1:]
        return look(), queued.remote()

    mine, x = ray.get(parent.remote(), timeout=10)
    assert ray.get(x, timeout=10) == mine == ["/the/parent's", *look()]
    assert ray.get(inline.remote(), timeout=10) == look()


def test_who_waits_for_many_gives_its_cpu_back_before_it_has_looked_at_all():
    """Where it looks, at how many, and how many CPUs are free then."""
    child = ray.remote(inline=False)(lambda: None)

    @ray.remote
    def parent():
        from ray_lite import _core, session

        class Seen(Exception):
            pass

        look, seen = _core.find_inline, []

        def spy(region, ids, start, most):
            seen.append((start, most, region.statistics()["cpus_free"]))
            if len(seen) == 2:
                raise Seen
            return look(region, ids, start, most)

        _core.find_inline = spy
        try:
            with contextlib.suppress(Seen):
                ray.get([child.remote() for _ in range(1000)])
        finally:
            _core.find_inline = look
        return seen, session.current().region.statistics()["cpus_free"]

    assert ray.get(parent.remote(), timeout=10) == ([(0, 64, 0), (64, 1000, 1)], 0)


def test_behind_many_that_it_can_not_run_inline_is_one_that_it_can(gate):
    """The other worker stands in the first of these until that one runs."""
    ray.shutdown()
    ray.init(num_cpus=1, max_workers=2)
    wait, open_gate = gate.wait, gate.open
    held, opens = ray.remote(inline=False)(lambda: wait()), ray.remote(lambda: open_gate())

    @ray.remote
    def parent():
        return len(ray.get([*(held.remote() for _ in range(100)), opens.remote()]))

    assert ray.get(parent.remote(), timeout=10) == 101
