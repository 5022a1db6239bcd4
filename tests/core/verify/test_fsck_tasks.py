"""fsck of tasks, queues and slots: each damaged word of a record, a queue, the idle list or the CPUs is found."""

import pytest


@pytest.fixture
def scene(lively):
    return lively()


BUILDING, WAITING, READY, RUNNING = 1, 2, 3, 4
DAMAGE = [
    (WAITING, "ndeps", lambda old: old + 1, "ndeps"),
    (WAITING, "ndeps", lambda old: 0, "ndeps|waits for nothing"),
    (WAITING, "state", lambda old: READY, "unready|nready|queue"),
    (WAITING, "state", lambda old: 0, "live entries"),
    (WAITING, "state", lambda old: 9, "state"),
    (WAITING, "refs", lambda old: 0, "ndeps"),
    (WAITING, "nrefs", lambda old: 0, "refs"),
    (READY, "state", lambda old: RUNNING, "queue|lists|nready|owns"),
    (READY, "prev", lambda old: old + 1, "queue"),
    (READY, "next", lambda old: 0, "queue|length"),
    (READY, "returns", lambda old: old + 1, "returns"),
    (READY, "nreturns", lambda old: 0, "returns"),
    (READY, "queue", lambda old: old + 1, "queue"),
    (RUNNING, "owner", lambda old: old + 1, "running"),
    (RUNNING, "state", lambda old: BUILDING, "running|building"),
    (RUNNING, "state", lambda old: READY, "running list|nready"),
]


def test_damage_of_a_record_is_found(scene):
    for case in DAMAGE:
        records = [t for t in range(1, 100) if scene.read("task", t, "state") == case[0]]
        assert records, case
        scene.entry_must_notice("task", records[0], case)


def test_damage_of_a_queue_is_found(scene):
    queues = [q for q in range(1, 20) if scene.read("queue", q, "length")]
    assert len(queues) > 1
    for field in ("head", "tail", "length", "listed", "next", "prev"):
        scene.entry_must_notice("queue", queues[0], (queues[0], field, lambda old: old ^ 1, "queue"))


BUSY = [
    ("busy", "running", lambda old: 0, "running"),
    ("busy", "building", lambda old: 1, "building"),
    ("busy", "shape", lambda old: 0, "CPUs|nesting"),
    ("busy", "blocked", lambda old: 1, "CPUs|nesting"),
    ("busy", "awaits", lambda old: 1, "awaits"),
    ("busy", "availability", lambda old: 1, "idle"),
    ("busy", "availability", lambda old: 3, "starting"),
]
IDLE = [
    ("idle", "availability", lambda old: 0, "idle"),
    ("idle", "prev", lambda old: old + 1, "idle"),
    ("idle", "state", lambda old: 0, "live entries"),
]


def test_damage_of_a_slot_is_found(scene):
    for case in BUSY:
        scene.entry_must_notice("slot", scene.busy, case)
    for case in IDLE:
        scene.entry_must_notice("slot", scene.idle, case)


def test_damage_of_a_resource_is_found(scene):
    for field in ("free", "head", "tail"):
        scene.entry_must_notice("resource", 1, (1, field, lambda old: old + 1, "CPUs|stalled"))


def test_damage_of_the_counts_is_found(scene):
    scene.job_must_notice("ready_ring", lambda old: old + 1, "ring")
    for field in ("nready", "nidle", "idle_first", "idle_last", "nstarting", "ncoming", "nawaiting", "cancelled_queued"):
        scene.job_must_notice(field, lambda old: old + 1, ".")


def test_what_has_no_job_is_found(scene):
    for kind, index in (("slot", scene.busy), ("queue", 1)):
        for job in (0, 2, 1 << 30):
            scene.entry_must_notice(kind, index, (job, "job", lambda old, job=job: job, "job"))
