"""Events of trace files, from records that are made up."""

import json
import os
import random

import importer
import pytest

from ray_lite import _core
from ray_lite.tracing import chrome
from ray_lite.tracing.records import Record
from ray_lite.tracing.source import Traces

MS = 1_000_000


def record(kind, pid, name, begin, end, **more):
    facts = dict(outcome=0, actor=0, what=1, before=0, after=0) | more
    return Record(kind=kind, pid=pid, id=name.ljust(20).encode(), begin=begin * MS, end=end * MS, **facts)


def run(pid, name, begin, end, **more):
    return record(_core.TRACE_RUN, pid, name, begin, end, **more)


def events(*records, parts=None, **traces):
    found = Traces(sorted(records, key=lambda one: one.begin), {1: "f"}, **traces)
    return list(chrome.Chrome(found, parts).events())


def of(ph, found):
    return [one for one in found if one["ph"] == ph]


SUBMITTED = [
    record(_core.TRACE_SUBMIT, 1, "a", 0, 1, before=2),
    record(_core.TRACE_SUBMIT, 1, "b", 2, 3, before=1),
    Record(_core.TRACE_ARGUMENT, 1, 0, 0, b"b".ljust(20), 0, 2 * MS, 2 * MS, 0, 0, _core.return_id(b"a".ljust(20), 1)),
    record(_core.TRACE_QUEUED, 1, "a", 1, 1),
    run(2, "a", 4, 6, before=500, after=300),
    run(3, "b", 7, 9, outcome=1),
]


def test_a_submission_and_an_argument_are_arrows_to_the_run():
    found = events(*SUBMITTED)
    importer.check(found)
    begins = [(one["cat"], one["pid"]) for one in of("s", found)]
    ends = [(one["cat"], one["pid"]) for one in of("f", found)]
    assert sorted(begins) == [("obj_dependency", 2), ("submit_task", 1), ("submit_task", 1)]
    assert sorted(ends) == [("obj_dependency", 3), ("submit_task", 2), ("submit_task", 3)]
    (queued, _) = (one for one in found if one.get("cat") == "queued")
    assert (queued["pid"], queued["ts"]) == (chrome.QUEUES, 1000)


def test_the_phases_of_a_task_are_slices_in_its_own():
    found = of("X", events(*SUBMITTED))
    there = {one["name"]: (one["ts"], one["dur"]) for one in found if one["pid"] == 2}
    assert there == {"f": (4000, 2000), "f:get_arguments": (4000, 500), "f:execute": (4500, 1200),
                     "f:store_outputs": (5700, 300)}
    assert [one["args"]["outcome"] for one in found if one["pid"] == 3] == ["failed"]


@pytest.mark.parametrize(("parts", "left_out"), [
    (dict(phases=False), lambda one: ":" in one["name"]),
    (dict(submissions=False), lambda one: one["ph"] in "sf" and one["cat"] == "submit_task"),
    (dict(arguments=False), lambda one: one["ph"] in "sf" and one["cat"] == "obj_dependency"),
    (dict(only=[b"a".ljust(20).hex()]), lambda one: one.get("args", {}).get("task") == b"b".ljust(20).hex()),
])
def test_parts_can_be_left_out(parts, left_out):
    whole, some = events(*SUBMITTED), events(*SUBMITTED, parts=chrome.Parts(**parts))
    importer.check(some)
    assert any(map(left_out, whole))
    assert not any(map(left_out, some))
    assert len(some) < len(whole)


def test_calls_that_run_beside_each_other_are_no_slices_of_one_track():
    found = events(run(2, "a", 0, 5, actor=1), run(2, "b", 1, 7, actor=1), run(2, "c", 2, 4, actor=1))
    importer.check(found)
    assert len(of("X", found)) == 2
    assert len(of("b", found)) == 1


def test_what_nests_and_what_crosses_agrees_with_a_look_at_all_pairs():
    chance = random.Random(3)
    for _ in range(300):
        records = sorted((run(2, "a", begin := chance.randrange(20), begin + chance.randrange(1, 9)) for _ in range(8)),
                         key=lambda one: one.begin)
        crossing = chrome.crossings(records)
        left = [one for k, one in enumerate(records) if k not in crossing]
        assert all(a.end <= b.begin or b.end <= a.begin or (a.begin <= b.begin and b.end <= a.end)
                   or (b.begin <= a.begin and a.end <= b.end) for a in left for b in left)
        importer.check(events(*records))


def test_events_deaths_and_moves():
    said = {"type": "load", "contents": {"n": "1"}, "span": True}
    found = events(
        record(_core.TRACE_EVENT, 2, "", 0, 3, event=said),
        record(_core.TRACE_EVENT, 2, "", 5, 5, event={"type": "now", "contents": None, "span": False}),
        record(_core.TRACE_DEATH, 1, "", 6, 6, what=2), record(_core.TRACE_MOVE, 1, "x", 1, 2),
        record(_core.TRACE_MOVE, 1, "x", 3, 4, outcome=1))
    importer.check(found)
    assert [(one["name"], one["args"]) for one in of("X", found) if one["cat"] == "event"] == [("load", {"n": "1"})]
    assert [(one["name"], one["pid"]) for one in of("i", found)] == [("now", 2), ("process died", 2)]
    assert [one["name"] for one in of("X", found) if one["pid"] == 1] == ["spill", "load"]


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "t.json"
    chrome.write(path, Traces())
    assert json.loads(path.read_text()) == {"displayTimeUnit": "ms", "otherData": {"lost": 0}, "traceEvents": [
        {"ph": "M", "pid": 0, "tid": 0, "name": "process_name", "args": {"name": "waiting for a worker"}}]}
    with pytest.raises(AttributeError):
        chrome.write(path, Traces([None]))
    assert os.listdir(tmp_path) == ["t.json"]
    assert json.loads(path.read_text())["traceEvents"]
    with pytest.raises(OSError, match="No such file"):
        chrome.write(tmp_path / "no" / "t.json", Traces())
