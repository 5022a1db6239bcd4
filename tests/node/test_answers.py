"""answers.py: what the command line is told, while the session changes under it."""

import json
import threading
import time

import pytest

import ray_lite as ray
from ray_lite.control.ask import ask

NAMES = ("session", "status", "memory", "ps", "errors", "logs", "stack")


@pytest.fixture
def asked(ray_session):
    directory = ray_session.session.current().address["session_dir"]
    return lambda name, **fields: ask(directory, name, 20, **fields)


def test_a_session_without_workers_answers(asked):
    facts = asked("status")
    assert facts["processes"] == {"workers": 0, "idle": 0, "starting": 0, "busy": 0, "blocked": 0, "actors": 0}
    assert facts["tasks"] == facts["actors"] == facts["waits"] == [] and facts["errors"] == 0
    assert {row["kind"] for row in asked("ps")} == {"driver", "node", "control"} and asked("stack") == []


def test_whatever_happens_meanwhile_each_answer_is_whole(asked):
    """Tasks, actors and objects come and go while several look."""
    @ray.remote
    class Short:
        def method(self, x):
            return x

    over, wrong, counts = threading.Event(), [], dict.fromkeys(NAMES, 0)

    def look(name):
        while not over.is_set():
            try:
                json.dumps(asked(name))
                counts[name] += 1
            except Exception as error:
                wrong.append((name, error))
                return

    lookers = [threading.Thread(target=look, args=(name,)) for name in NAMES]
    for looker in lookers:
        looker.start()
    add, fails = ray.remote(lambda x, y: x + y), ray.remote(lambda: [][0])
    number, end = 0, time.monotonic() + 40
    while number < 40 or (min(counts.values()) < 3 and not wrong and time.monotonic() < end):
        number += 1
        actors = [Short.remote() for _ in range(2)]
        x = ray.put(bytes(50_000))
        ids = [add.remote(k, number) for k in range(200)] + [actor.method.remote(x) for actor in actors]
        failed = fails.remote()
        ray.get(ids)
        ray.wait([failed])
    over.set()
    for looker in lookers:
        looker.join()
    assert not wrong and min(counts.values()) >= 3, counts


def test_nobody_can_ask_after_the_end(ray_session, asked):
    asked("session")
    ray_session.shutdown()
    with pytest.raises(ray.exceptions.RaySystemError, match="there is no session"):
        asked("session")
