"""What the death of an actor's process means for the actor and the calls that it ran, and how it is told.

Neighbours: scheduler.py does the same for workers; node/deaths.py asks.  Must not do I/O or read a clock.
"""

from textwrap import indent
from typing import NamedTuple

from ray_lite.policy.attempt_ends import End as AttemptEnd
from ray_lite.policy.attempt_ends import cancelled_text
from ray_lite.policy.scheduler import OUTSIDE, Died, Fail, Finish, Requeue, Running

KILLED = "it was killed by ray_lite.kill"

class ActorState(NamedTuple):
    """What decides whether an actor comes back."""

    restarts: int  #: processes that it has lost since its checkpoint, without the present one
    max_restarts: int
    keeps: bool  #: it has checkpoints, and calls since the last one run again
    past_lost: bool  #: these calls were given up
    ending: bool  #: it was to end anyway, or its process had not begun
    unneeded: bool  #: nobody can call it any more


class CallState(NamedTuple):
    """What decides what becomes of a call that a dead actor ran."""

    class_name: str
    title: str  #: its actor's class and name
    comes_back: bool  #: the actor has another process
    keeps: bool
    constructs: bool  #: it is the constructor's call
    replays: bool  #: it had ended in an earlier process


class Restart(NamedTuple):
    """Instruction to let the actor have another process."""


class End(NamedTuple):
    """Instruction to end the actor."""

    how: str  #: what its calls say


def actor_story(event: Died, running: list[str]) -> str:
    """How an actor died, for the text of RayActorError.

    Args:
        running: names of the methods that it ran.
    """
    if event.forced:
        return KILLED
    if event.out_of_memory:
        how = f"its process (pid {event.pid}) was killed by the kernel, out of memory (signal {event.number}, {event.signal})"
    elif event.signal:
        how = f"its process (pid {event.pid}) was killed by signal {event.number} ({event.signal})"
    else:
        how = f"its process (pid {event.pid}) ended itself with exit code {event.number}"
    where = f" while it ran {', '.join(running)}" if running else ""
    peak = f"; its memory peaked at {event.peak / 1e6:,.0f} MB" if event.peak else ""
    words = "\nIts last lines on stderr:\n" + indent(event.last_words, "    ") if event.last_words else ""
    return f"{how}{where}{peak}{words}"


def after_death(event: Died, actor: ActorState, how: str) -> Restart | End:
    """Decides whether an actor comes back whose process died. `how`: the story of the death."""
    if event.forced or actor.ending:
        return End(how)
    if actor.unneeded:
        return End("its last handle is gone")
    if actor.past_lost:
        return End(f"{how}; it can't come back, since its calls since its last checkpoint were too many to keep")
    if actor.restarts < actor.max_restarts:
        return Restart()
    if actor.max_restarts == 0:
        return End(how)
    since = " since its last checkpoint" if actor.keeps else ""
    times = f"{actor.restarts + 1:,} processes{since}, and may come back {actor.max_restarts:,} times (max_restarts)"
    return End(f"{how}; it has lost {times}")


def on_call_death(event: Died, task: Running, call: CallState, how: str) -> Finish | Requeue | Fail:
    """Decides what happens to a call that a dead actor ran.

    If the actor comes back and has checkpoints, a call that had ended runs again, and so does one whose process was killed from
    outside; one whose process ended itself is lost, so that it can't end the next one, too.  Without checkpoints each call that
    ran is lost.
    """
    if call.comes_back and (call.constructs or call.keeps and (task.complete or call.replays)):
        return Requeue(task.task, counted=False, front=True)
    if task.complete:
        return Finish(task.task)
    if task.cancelled:
        text = cancelled_text(task.name, AttemptEnd.CRASH, task.attempts, how)
        return Fail(task.task, task.name, text, {}, "TaskCancelledError")
    if call.comes_back and call.keeps and event.signal in OUTSIDE and task.retries_left:
        return Requeue(task.task, counted=True, front=True)
    if call.comes_back:
        text = f"the call {task.name} was lost: {how}; the actor comes back"
    else:
        text = f"the actor {call.title} is dead: {how}"
    return Fail(task.task, task.name, text, {"class_name": call.class_name, "lost": call.comes_back}, "RayActorError")
