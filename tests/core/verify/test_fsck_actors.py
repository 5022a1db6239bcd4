"""fsck of actors: each damaged word of an actor, a lane, a call's place, and what is held for life is found."""

import os
import signal

import pytest


@pytest.fixture
def scene(company, beside, make_region, wait_until):
    """A resting actor with CPUs for life, one that waits to be started, one with a mailbox and two lanes; and their words."""
    crew = company(cpus=20_000)
    crew.alive, crew.waits = crew.create(holds=10_000, name=NAMES[0]), crew.create(holds=20_000, name=NAMES[1])
    crew.start()
    crew.calls.get(crew.call(crew.alive, "note", 1))
    crew.full = crew.create(holds=20_000)
    late = crew.late()
    crew.ids = [crew.call(crew.full, "note", 1), crew.call(crew.full, "note", 2), crew.call(crew.full, "note", after=[late])]
    crew.ids += [crew.call(crew.full, "note", 3), crew.call(crew.full, "note", 4)]
    wait_until(lambda: crew.facts(crew.alive)["running"] == 0, what="it rests")
    crew.region.check()
    child = crew.processes[crew.of(crew.alive)][0]
    os.kill(child.pid, signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    scene = beside("damage.py").Scene(None, crew.region, make_region.files_of(crew.region).files[0])
    scene.crew = crew
    return scene


NAMES = b"a" * 20, b"a" + b"b" * 19  # in one chain
NAMED = 1 << 8
MORE = lambda old: old + 1  # noqa: E731
ACTOR = [
    ("full", "handle", lambda old: 0, "handle|pins"),
    ("full", "handle", MORE, "handle|pins"),
    ("full", "creation", lambda old: 0, "waits to be started|lanes or calls"),
    ("full", "head", lambda old: 0, "length"),
    ("full", "head", MORE, "list of calls|length"),
    ("full", "length", MORE, "length"),
    ("full", "stalled", lambda old: 0, "lanes"),
    ("full", "nlanes", MORE, "lanes"),
    ("full", "ncalls", MORE, "ncalls"),
    ("full", "nrunning", MORE, "nrunning"),
    ("full", "state", lambda old: 9, "state"),
    ("full", "state", lambda old: 3, "slot"),
    ("full", "wants", lambda old: 0, "waits to be started|list of actors"),
    ("full", "flags", lambda old: old | 1, "due"),
    ("full", "cause", MORE, "pins"),
    ("full", "facts", lambda old: 1 << 20, "facts"),
    ("full", "flags", lambda old: old | NAMED, "in no chain"),
    ("waits", "flags", lambda old: old & ~NAMED, "chain of names"),
    ("waits", "name_next", lambda old: 0, "in no chain"),
    ("waits", "name", lambda old: old + 1, "chain of names|name"),
    ("waits", "want_next", lambda old: 0, "queue"),
    ("waits", "want_prev", MORE, "queue"),
    ("alive", "slot", lambda old: 0, "slot"),
    ("alive", "slot", MORE, "process"),
]


def test_damage_of_an_actor_is_found(scene):
    for who, field, change, message in ACTOR:
        scene.entry_must_notice("actor", scene.crew.of(getattr(scene.crew, who)), (who, field, change, message))


def test_damage_of_a_lane_is_found(scene):
    lane = scene.read("actor", scene.crew.of(scene.crew.full), "stalled")
    for field, change, message in (
        ("state", lambda old: 2, "lane"),
        ("actor", MORE, "lane"),
        ("next", MORE, "lane|list"),
        ("head", lambda old: 0, "first call"),
        ("caller", MORE, "index"),
        ("serial", MORE, "index"),
    ):
        scene.entry_must_notice("lane", lane, (lane, field, change, message))


def test_damage_of_a_call_is_found(scene):
    mailed, laned = (next(t for t in range(1, 50) if scene.read("task", t, "state") == state) for state in (6, 7))
    for t in (mailed, laned):
        scene.entry_must_notice("task", t, (t, "actor", lambda old: 60, "no actor"))
        scene.entry_must_notice("task", t, (t, "actor", lambda old: 0, "calls|creation"))
        scene.entry_must_notice("task", t, (t, "state", lambda old: 3, "."))
    scene.entry_must_notice("task", laned, (laned, "owner", MORE, "list of calls"))


def test_damage_of_what_is_held_is_found(scene):
    slot = scene.read("actor", scene.crew.of(scene.crew.alive), "slot")
    scene.entry_must_notice("slot", slot, (slot, "held", lambda old: 0, "CPUs"))
    scene.entry_must_notice("slot", slot, (slot, "actor", MORE, "process"))
    scene.header_must_notice("cpus_held", MORE, ".")
    for field in ("nwanting", "life_ring", "actors_due"):
        scene.job_must_notice(field, MORE, ".")
    a = scene.crew.of(scene.crew.alive)
    scene.entry_must_notice("actor", a, (a, "job", MORE, "job"))


def test_damage_of_a_chain_of_names_is_found(scene):
    chain = NAMES[0][0]
    scene.header_must_notice("names", lambda old: 0, "in no chain", chain)
    scene.header_must_notice("names", MORE, "name", chain)
    scene.header_must_notice("names", lambda old: scene.crew.of(scene.crew.alive), "name", chain + 1)


def test_an_actor_that_rests_beside_a_call_is_found(scene):
    """As if a bell had not been rung."""
    crew = scene.crew
    actor = crew.of(crew.alive)
    crew.ids.append(crew.call(crew.alive, "note", 5))
    crew.region.check()
    scene.must_notice(scene.words.entry("actor", actor, "resting"), lambda old: 1, "rests beside a call", "resting")
