"""Deliberate wrongs, by name: each must be found and reported, or else the soak proves nothing.

Each is done to the first session of a run, which is then compared and ended as usual.  Neighbours: lane.py calls.
"""

import os

from actor_model import CALLER, number
from actor_script import NAMES
from model import Task

PATIENCE = 0.1  # of the usual, where what is waited for never comes
NEVER_COMES = ("leak", "process", "file")
RECIPE = ("bytes", 4000)
SPILL = ("spilled",)  # is done to a session that spills
MANY = 40  # arrays, which are more than the small store holds


def value(play):
    """The model is told another value than the driver stored."""
    play.script._put(RECIPE, ())
    play.model.things[max(play.model.held)].salt += 1


def spilled(play):
    """Bytes of spilled objects are damaged on the disk."""
    for _ in range(MANY):
        play.script._put(("array", 1_100_000), ())
    play.ask("damage")


def ink(play):
    """The driver wrote something else to an array of its own than the model thinks."""
    play.script._put(("array", 24_000), ())
    play.script.write()
    play.model.inks = {name: salt + 1 for name, salt in play.model.inks.items()}


def leak(play):
    """The driver holds an object of which the model does not know."""
    play.ask("hide", RECIPE)


def process(play):
    """A process of the session escapes its end."""
    play.ask("stray")


def file(play):
    """A session's directory stays."""
    os.mkdir(os.path.join(play.lane.place, "ray_lite-0-0-0-0"))


def attempt(play):
    """A task ran twice, though nobody killed its worker."""
    label, = play.script.call("inspecting", ())
    with open(play.log, "a") as log:
        log.write(f"{label} 1 1\n")
    play.collect()


def retry(play):
    """A task ran once more than it may."""
    label, = play.script.call("printing", (1,), retries=0)
    play.model.mortal.add(1)
    with open(play.log, "a") as log:
        log.write(f"{label} 1 1\n")
    play.collect()


def cancelled(play):
    """A cancelled task began again."""
    label, = play.script.call("printing", (1,))
    play.model.mortal.add(1)
    play.model.mark([label], 0)
    with open(play.log, "a") as log:
        log.write(f"{label} 1 1\n")
    play.collect()


def actor(play):
    """An actor that was killed runs a call."""
    handle = an_actor(play)
    play.model.actors.kill(handle, 0)
    play.script.actors.call("act", handle, (RECIPE, 0), recipe=RECIPE)


def log(play):
    """An actor ran a call of which the model does not know."""
    label = play.lane.label()
    play.ask("act", "act", an_actor(play), [label], (label, CALLER, number(label), RECIPE, 0), ())
    play.model.tasks[label] = Task("act", label)
    play.ask("drop", [label])


def name(play):
    """A name is not free, though no actor has it that the model knows."""
    play.model.actors.handles[an_actor(play)].name = None


def an_actor(play):
    """The label of one that has a name."""
    label = play.lane.label()
    play.model.actors.create(label, NAMES[0], False)
    play.ask("create", label, False, {"name": NAMES[0]})
    return label


def terminal(play):
    """Something of the session fails aloud."""
    with open(play.lane.terminal, "a") as text:
        text.write("Traceback (most recent call last):\n")


def driver(play):
    """The driver ends by itself."""
    play.player.signal(9)
    play.collect()
    play.ask("check")


WRONGS = (value, spilled, ink, leak, process, file, attempt, retry, cancelled, actor, log, name, terminal, driver)
EVERY = {wrong.__name__: wrong for wrong in WRONGS}
