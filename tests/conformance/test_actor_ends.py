"""Ends of actors, their checkpoints, and what can be seen of them."""

import os
import sys

import pytest
from counters import Remote

import ray_lite as ray
from ray_lite.exceptions import RayActorError


@pytest.fixture
def ended(tmp_path):
    """A remote class whose actors leave a note when they end gracefully; `ended.notes()` lists them."""
    place = str(tmp_path)

    class Ends:
        def __init__(self, name="end"):
            self.name = name

        def hello(self):
            return self.name

        def leave(self):
            ray.exit_actor()

        def __ray_shutdown__(self):
            with open(os.path.join(place, self.name), "w"):
                pass

    remote = ray.remote(Ends)
    remote.notes = lambda: sorted(os.listdir(place))
    return remote


def test_it_ends_with_its_last_handle(actors, ended, wait_until):
    one = ended.remote()
    other = [one.hello]
    del one
    assert ray.get(other[0].remote()) == "end" and ended.notes() == []
    other.clear()
    wait_until(lambda: ended.notes() == ["end"])


def test_it_ends_with_its_session(actors, ended):
    kept = [ended.remote(str(number)) for number in range(3)]
    ray.get([actor.hello.remote() for actor in kept])
    ray.shutdown()
    assert ended.notes() == ["0", "1", "2"] and kept
    ray.init(driver_mode=ray.PYTHON_MODE)
    with pytest.raises(RayActorError, match="session"):
        ray.get(kept[0].hello.remote())


def test_kill(actors, ended):
    actor = ended.remote()
    ray.kill(actor)
    ray.kill(actor)
    with pytest.raises(RayActorError, match="Ends is dead: it was killed by ray_lite.kill"):
        ray.get(actor.hello.remote())
    assert ended.notes() == []
    with pytest.raises(TypeError, match="kill takes the handle"):
        ray.kill("actor")


def test_the_error_names_an_actor_that_has_a_name(actors, ended):
    actor = ended.options(name="one of many").remote()
    ray.kill(actor)
    with pytest.raises(RayActorError, match="Ends 'one of many' is dead: it was killed") as caught:
        ray.get(actor.hello.remote())
    assert caught.value.class_name.endswith("Ends")


def test_exit(actors, ended, wait_until):
    actor = ended.remote()
    assert ray.get(actor.leave.remote()) is None
    wait_until(lambda: ended.notes() == ["end"])
    with pytest.raises(RayActorError, match="it ended itself by exit_actor"):
        ray.get(actor.hello.remote())


def test_terminate(actors, ended, wait_until):
    actor = ended.remote()
    actor.__ray_terminate__.remote(actor._ray_actor_id.id())
    wait_until(lambda: ended.notes() == ["end"])
    with pytest.raises(RayActorError):
        ray.get(actor.hello.remote())


@pytest.mark.parametrize("mode", ["PYTHON_MODE", "SCRIPT_MODE"])
def test_a_hook_that_fails_is_shown(run_script, mode):
    done = run_script(f"""
        import ray_lite as ray

        @ray.remote
        class Fails:
            def hello(self):
                pass

            def __ray_shutdown__(self):
                raise OSError("no disk")

        ray.init(driver_mode=ray.{mode}, num_cpus=1)
        kept = Fails.remote()
        ray.get(kept.hello.remote())
    """)
    assert "__ray_shutdown__ of Fails failed" in done.stderr and "OSError: no disk" in done.stderr


class Saves:
    saved = []

    def __init__(self):
        self.calls = 0

    def call(self):
        self.calls += 1
        return self.calls

    def raises(self):
        self.calls += 1
        raise ValueError(self.calls)

    def __ray_save__(self):
        if self.calls > 6:
            raise OSError("no disk")
        Saves.saved.append(self.calls)
        return self.calls

    def __ray_restore__(self, calls):
        self.calls = calls


def test_a_checkpoint_is_taken_after_each_interval(python_mode, capfd):
    Saves.saved.clear()
    actor = ray.remote(checkpoint_interval=3)(Saves).remote()
    ray.get([actor.call.remote() for _ in range(2)])
    with pytest.raises(ValueError, match="3"):
        ray.get(actor.raises.remote())
    ray.get(actor.call.remote())
    ray.get(actor.__ray_checkpoint__.remote())
    assert Saves.saved == [3, 4]
    assert ray.get([actor.call.remote() for _ in range(3)]) == [5, 6, 7]
    assert "a checkpoint of Saves failed: OSError: no disk" in capfd.readouterr().err

def test_the_table_of_actors(actors):
    counter = Remote.options(name="seen").remote()
    ray.get([counter.add.remote(), counter.add.remote()])
    (row,) = ray.global_state.actors()
    assert type(row.pop("Pid")) is int
    assert row == {"ActorID": counter._ray_actor_id.hex(), "ClassName": "Counter", "Name": "seen", "State": "ALIVE",
                   "CallsFinished": 2, "CallsQueued": 0, "Restarts": 0}


class Notes:
    """Notes what happens, in a list of the test."""

    steps = []

    def __init__(self, name="", hook=None):
        self.name, self.hook = name, hook

    def outer(self, how):
        getattr(ray.current_actor(), how).remote()
        self.steps.append("method goes on")

    def exits(self):
        ray.exit_actor()

    def swallows(self):
        try:
            ray.exit_actor()
        except BaseException:
            return "swallowed"

    def kills(self):
        ray.kill(ray.current_actor())
        self.steps.append("killed")
        return "value"

    async def group(self):
        import asyncio

        await asyncio.gather(asyncio.to_thread(ray.exit_actor))

    def __ray_shutdown__(self):
        self.steps.append(f"hook {self.name}")
        if self.hook is not None:
            self.hook()


@pytest.fixture
def steps():
    Notes.steps.clear()
    return Notes.steps


@pytest.mark.parametrize("how", ["exits", "__ray_terminate__"])
def test_the_hook_runs_after_the_calls_that_run(python_mode, steps, how):
    notes = ray.remote(Notes).remote()
    ray.get(notes.outer.remote(how))
    assert steps == ["method goes on", "hook "]


@pytest.mark.parametrize("method", ["swallows", "group"])
def test_an_exit_can_not_be_stopped(python_mode, steps, method):
    notes = ray.remote(Notes).remote()
    assert ray.get(getattr(notes, method).remote()) is None and steps == ["hook "]
    with pytest.raises(RayActorError, match="it ended itself"):
        ray.get(notes.kills.remote())


def test_an_actor_that_kills_itself(python_mode, steps):
    notes = ray.remote(Notes).remote()
    with pytest.raises(RayActorError, match="killed by ray_lite.kill"):
        ray.get(notes.kills.remote())
    assert "hook " not in steps


def test_each_actor_ends_whatever_hooks_do(python_mode, steps, capfd):
    remote = ray.remote(Notes)
    kept = [remote.remote("0", lambda: sys.exit(3)), remote.remote("1", ray.exit_actor), remote.remote("2")]
    ray.shutdown()
    assert steps == ["hook 0", "hook 1", "hook 2"] and kept
    assert capfd.readouterr().err.count("__ray_shutdown__ of Notes failed") == 2


def test_a_hook_is_a_method_of_its_actor(python_mode, steps):
    """Also of one whose last handle goes in a method of another."""
    seen, kept = [], []

    class Drops:
        def drop(self):
            kept.clear()

    kept.append(ray.remote(Notes).remote("", lambda: seen.append(ray.current_actor()._ray_actor_id)))
    id = kept[0]._ray_actor_id
    ray.get(ray.remote(Drops).remote().drop.remote())
    assert seen == [id]


def test_an_async_hook(python_mode):
    seen = []

    class Async:
        async def hello(self):
            import asyncio

            self.task = asyncio.get_running_loop().create_task(asyncio.sleep(1000))
            return "hello"

        async def __ray_save__(self):
            seen.append("saved")

        async def __ray_shutdown__(self):
            seen.append("ended")

    hello = ray.remote(Async).remote()
    assert ray.get(hello.hello.remote()) == "hello"
    ray.get(hello.__ray_checkpoint__.remote())
    del hello
    assert seen == ["saved", "ended"]


ENDS = """
    import os, signal, sys
    import ray_lite as ray

    @ray.remote
    class Ends:
        def __ray_shutdown__(self):
            import json
            print(json.dumps("ended"), flush=True)

    ray.init(driver_mode=ray.PYTHON_MODE)
    kept = Ends.remote()
"""


@pytest.mark.parametrize("end, status", [("", 0), ("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGTERM)", -15),
                                         ("os.fork() or os._exit(0); os.wait()", 0), ("os.fork() and os.wait()", 0)])
def test_ends_of_the_driver(run_script, end, status):
    done = run_script(f"{ENDS}\n    {end}\n")
    assert (done.stdout, done.stderr, done.returncode) == ('"ended"\n', "", status)
