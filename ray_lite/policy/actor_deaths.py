"""What the death of an actor's process means for the calls that it ran, and how it is told.

Neighbours: scheduler.py does the same for workers; node/deaths.py asks.  Must not do I/O or read a clock.
"""

from __future__ import annotations

from textwrap import indent

from ray_lite.policy.attempt_ends import End, cancelled_text
from ray_lite.policy.scheduler import Died, Fail, Finish, Running


def actor_story(event: Died, running: list[str]) -> str:
    """How an actor died, for the text of RayActorError.

    Args:
        running: names of the methods that it ran.
    """
    if event.forced:
        return "it was killed by ray_lite.kill"
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


def on_actor_death(task: Running, class_name: str, how: str) -> Finish | Fail:
    """Decides what happens to a call that a dead actor ran: it never runs again."""
    if task.complete:
        return Finish(task.task)
    if task.cancelled:
        text = cancelled_text(task.name, End.CRASH, task.attempts, how)
        return Fail(task.task, task.name, text, {}, "TaskCancelledError")
    return Fail(task.task, task.name, f"the actor {class_name} is dead: {how}", {"class_name": class_name}, "RayActorError")
