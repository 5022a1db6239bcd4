"""The part of the scenario that passes the windows of actors that come back.  Neighbour: scenario.py runs these steps.

Whoever is caught may be an actor's process, while it runs a call, saves, restores or replays: then the actor must come back
with the state that it would have had.
"""

import contextlib
import os
import signal

from actor_steps import DEAD, Tally, call, calling, late, outcome

import ray_lite as ray
from ray_lite.exceptions import RayActorError

RESTARTS = 20  # more than processes are killed here
PLENTY = 300  # calls that are kept: more than go into one section


class Saved(Tally):
    """Its process is killed."""

    def pid(self):
        return os.getpid()

    def end_process(self):
        os._exit(1)


class Hooked(Saved):
    """Has a state that is not itself."""

    def __ray_save__(self):
        return ray.put((self.start, self.log))

    def __ray_restore__(self, state):
        self.start, self.log = ray.get(state)


OFTEN = ray.remote(num_cpus=0, checkpoint_interval=2, max_restarts=RESTARTS)(Saved)
SELDOM = ray.remote(checkpoint_interval=1000, max_restarts=RESTARTS)(Saved)
HOOKED = ray.remote(num_cpus=0, resources={"seat": 1}, checkpoint_interval=5, max_restarts=RESTARTS)(Hooked)
UNSAVED = ray.remote(num_cpus=0, max_restarts=RESTARTS)(Saved)
BRITTLE = ray.remote(num_cpus=0, checkpoint_interval=1000, max_restarts=1)(Saved)


def kill(pid):
    with contextlib.suppress(ProcessLookupError):  # it was caught meanwhile
        os.kill(pid, signal.SIGKILL)


def kill_now(actor):
    """Kills its process, if there is one, whatever it does."""
    name = actor._ray_actor_id.hex()
    for pid in [row["Pid"] for row in ray.global_state.actors() if row["ActorID"] == name and row["Pid"]]:
        kill(pid)


def kill_at_rest(actor):
    kill(ray.get(actor.pid.remote()))


def noted(actor, wanted):
    """The actor lives, and ran these calls of the driver's, each once and in order; of the tasks' calls none is missing."""
    log = ray.get(actor.noted.remote())[1]
    assert log.pop("driver", []) == list(wanted), (log, wanted)
    assert all(its == list(range(len(its))) for its in log.values()), log


def restarts():
    """Killed amidst calls, and at rest; some calls lack their arguments."""
    for remote in (OFTEN, SELDOM, HOOKED):
        actor = remote.remote(late.remote(3))
        tasks, made = [], []
        for killing in (kill_now, kill_at_rest, kill_now):
            tasks.append(calling.remote(actor, 5))
            made += [call(actor, *[late.remote(k)] * (k % 4 == 0)) for k in range(9)]
            killing(actor)
        assert [outcome(x) for _, x in made] == [number for number, _ in made]
        assert all(ray.get(tasks))
        noted(actor, [number for number, _ in made])


def many_calls():
    """They come back in several sections, and are freed in several."""
    actor = SELDOM.remote()
    made = [call(actor) for _ in range(PLENTY)]
    ray.get([x for _, x in made])
    kill_at_rest(actor)
    noted(actor, [number for number, _ in made])
    assert ray.get(actor.__ray_checkpoint__.remote()) is None
    made.append(call(actor))
    kill_at_rest(actor)
    noted(actor, [number for number, _ in made])


def constructors():
    """Without checkpoints only the constructor's call runs again; a call that ran is lost, alone."""
    actor = UNSAVED.remote(late.remote(2))
    kill_at_rest(actor)
    made = [call(actor, *[late.remote(k)] * (k % 3 == 0)) for k in range(9)]
    kill_now(actor)
    values = {number for number, x in made if outcome(x) != DEAD}
    assert len(values) >= len(made) - 2, values  # one of them was caught
    start, log = ray.get(actor.noted.remote())
    assert start == 2 and set(log.get("driver", [])) <= values, (log, values)


def losses():
    """Calls that end their process end the actor after some time."""
    actor = BRITTLE.remote()
    first = call(actor)
    assert outcome(first[1]) == first[0]
    ids = [actor.end_process.remote() for _ in range(2)]
    assert outcome(call(actor)[1]) == DEAD
    for x in ids:
        try:
            raise AssertionError(ray.get(x))
        except RayActorError as error:
            assert not error.lost or x == ids[0], error


def ends():
    """The last handle goes while there are calls that may have to run again."""
    for remote in (OFTEN, SELDOM):
        actor = remote.remote()
        made = [call(actor, *[late.remote(k)] * (k == 3)) for k in range(6)]
        kill_now(actor)
        del actor
        assert [outcome(x) for _, x in made] == [number for number, _ in made]


STEPS = (restarts, many_calls, constructors, losses, ends)
