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
    (READY, "state", lambda old: RUNNING, "queue|lists|nready"),
    (READY, "prev", lambda old: old + 1, "queue"),
    (READY, "next", lambda old: 0, "queue|length"),
    (READY, "returns", lambda old: old + 1, "returns"),
    (READY, "nreturns", lambda old: 0, "returns"),
    (READY, "queue", lambda old: old + 1, "queue"),
    (RUNNING, "owner", lambda old: old + 1, "running"),
    (RUNNING, "state", lambda old: BUILDING, "running|building"),
    (RUNNING, "state", lambda old: READY, "running list|nready"),
]


@pytest.mark.parametrize("state, field, change, message", DAMAGE)
def test_damage_of_a_record_is_found(scene, state, field, change, message):
    records = [t for t in range(1, 100) if scene.read("task", t, "state") == state]
    assert records
    with scene.damaged("task", records[0], field, change), pytest.raises(AssertionError, match=message):
        scene.region.check()


@pytest.mark.parametrize("field", ["head", "tail", "length", "listed", "next", "prev"])
def test_damage_of_a_queue_is_found(scene, field):
    queues = [q for q in range(1, 20) if scene.read("queue", q, "length")]
    assert len(queues) > 1
    with scene.damaged("queue", queues[0], field, lambda old: old ^ 1), pytest.raises(AssertionError, match="queue"):
        scene.region.check()


@pytest.mark.parametrize(
    "field, change, message",
    [
        ("running", lambda old: 0, "running"),
        ("building", lambda old: 1, "building"),
        ("cpus_held", lambda old: old + 1, "CPUs"),
        ("blocked", lambda old: 1, "CPUs"),
        ("idle", lambda old: 1, "idle"),
        ("idle", lambda old: 3, "starting"),
    ],
)
def test_damage_of_a_busy_slot_is_found(scene, field, change, message):
    with scene.damaged("slot", scene.busy, field, change), pytest.raises(AssertionError, match=message):
        scene.region.check()


@pytest.mark.parametrize(
    "field, change, message",
    [("idle", lambda old: 0, "idle"), ("prev", lambda old: old + 1, "idle"), ("state", lambda old: 0, "live entries")],
)
def test_damage_of_an_idle_slot_is_found(scene, field, change, message):
    with scene.damaged("slot", scene.idle, field, change), pytest.raises(AssertionError, match=message):
        scene.region.check()


@pytest.mark.parametrize("field", ["cpus_free", "nready", "nidle", "idle", "nstarting", "ready", "ncoming"])
def test_damage_of_the_counts_is_found(scene, field):
    with scene.damaged_header(field, lambda old: 0 if field == "ready" else old + 1), pytest.raises(AssertionError):
        scene.region.check()
