"""Where calls are made: one question a place, frames passed over, code that is gone."""

import functools
import gc
import os
import weakref

import pytest

from ray_lite import _core

ELSEWHERE = os.path.join(os.sep, "no", "such", "folder", "")


@pytest.fixture
def asked(region, tasks):
    """`asked.call()` submits on the fast path; `asked.places`: what was asked, each answered by its number."""
    calls = tasks(region, {"f": None})
    queue, [function] = _core.demand_queue(region, 10000), calls.by_index
    ours = {"submit": functools.partial(_core.submit, region)}
    source = f"def slow(remote, args, kwargs): return submit(({function}, {queue}, 1, 3, 0, 0), b'nothing', [])"
    exec(compiled(source, ELSEWHERE + "slow.py"), ours)
    remote = _core.RemoteCall(ours["slow"])
    remote.arm(region, function, queue, (1, 3, 0, 0, 4))
    remote.places, remote.keep = [], calls

    def ask(*place):
        remote.places.append(place)
        return len(remote.places)

    remote.ask = ask
    _core.set_call_sites(ask, ELSEWHERE)
    yield remote
    _core.set_call_sites(None, ELSEWHERE)


def compiled(source, name="made.py"):
    return compile(source, name, "exec")


def test_a_place_is_asked_for_once(asked):
    for _ in range(3):
        asked()
    [(file, line, function)] = asked.places
    assert (file, function) == (__file__, "test_a_place_is_asked_for_once") and line > 30


def test_places_on_a_line_and_functions_of_a_file_differ(asked):
    def inner():
        asked()

    for _ in range(2):
        asked(1), asked(2)
        inner()
    me = test_places_on_a_line_and_functions_of_a_file_differ.__name__
    assert [function for _, _, function in asked.places[:3]] == [me, me, inner.__name__]
    assert set(asked.places[3:]) <= set(asked.places[:3]), "asked for again only where two share a place in the cache"


def test_the_slow_way_knows_its_place_too(asked):
    for _ in range(2):
        asked(key=1)
    assert [place[2] for place in set(asked.places)] == ["test_the_slow_way_knows_its_place_too"]


def test_frames_of_our_folder_are_passed_over(asked):
    _core.set_call_sites(asked.ask, os.path.join(os.sep, "ours", ""))
    ours = {"call": asked}
    exec(compiled("def helper():\n    call()", "/ours/helper.py"), ours)
    for _ in range(2):
        ours["helper"]()
    assert [place[2] for place in set(asked.places)] == ["test_frames_of_our_folder_are_passed_over"]


def test_without_a_place_there_is_none(asked):
    _core.set_call_sites(asked.ask, "")  # all files are ours
    assert asked() is not None and asked.places == []
    _core.set_call_sites(None, ELSEWHERE)
    assert asked() is not None and asked.places == []


def test_more_places_than_are_remembered(asked):
    codes = [compiled(f"call({k})", f"{k}.py") for k in range(600)]
    for code in codes + codes:
        exec(code, {"call": asked})
    assert {file for file, *_ in asked.places} == {f"{k}.py" for k in range(600)}


def test_code_at_the_address_of_other_code_is_another_place(asked):
    for k in range(200):
        exec(compiled(f"call({k})", f"{k}.py"), {"call": asked})
    assert [file for file, *_ in asked.places] == [f"{k}.py" for k in range(200)]


def test_code_is_let_go_at_the_end(asked):
    names = {"call": asked}
    exec(compiled("def f():\n    call()"), names)
    code = weakref.ref(names["f"].__code__)
    names["f"]()
    del names
    gc.collect()
    assert code() is not None
    _core.set_call_sites(None, ELSEWHERE)
    gc.collect()
    assert code() is None


def test_a_failing_question_fails_the_call_and_leaves_nothing(asked, region):
    def fail(*place):
        raise RuntimeError("no answer")

    _core.set_call_sites(fail, ELSEWHERE)
    with pytest.raises(RuntimeError, match="no answer"):
        asked()
    assert region.statistics()["tasks"] == 0
