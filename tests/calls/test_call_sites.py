"""call_sites.py: the texts of call sites, shared by the processes of a session, and what WorkerCrashedError tells of them."""

import os
import re

import pytest

from ray_lite.exceptions import WorkerCrashedError


def crash(ray):
    return ray.remote(lambda: os._exit(3)).remote()


def site_of(ray, x):
    with pytest.raises(WorkerCrashedError) as caught:
        ray.get(x, timeout=30)
    assert caught.value.call_site in str(caught.value)
    return caught.value.call_site


def line_of(text):
    with open(__file__) as file:
        return next(number for number, line in enumerate(file, 1) if text in line)


def test_a_crash_names_the_line_of_the_call(ray_session):
    where = f"{__file__}:{line_of('lambda: os._exit(3)')} in crash"
    assert [site_of(ray_session, crash(ray_session)) for _ in range(2)] == [where, where]


def test_every_way_to_call_is_noted(ray_session):
    f = ray_session.remote(lambda *a, **k: os._exit(3))
    ways = [lambda: f.remote(), lambda: f.remote(1, b=object()), lambda: f._submit((1,)),  # the ways
            lambda: f.options(num_cpus=0.5).remote(), lambda: next(map(f.remote, [1]))]
    sites = [site_of(ray_session, way()) for way in ways]
    lines = [line_of("# the" + " ways")] * 3 + [line_of("# the" + " ways") + 1] * 2
    assert sites == [f"{__file__}:{line} in <lambda>" for line in lines]


def test_calls_of_tasks_are_noted_too(ray_session):
    def outer():
        return [inner.remote()]

    inner = ray_session.remote(inline=False)(lambda: os._exit(3))
    [x] = ray_session.get(ray_session.remote(outer).remote())
    assert re.fullmatch(rf"{re.escape(__file__)}:\d+ in outer", site_of(ray_session, x))


def test_processes_share_the_text_of_a_place(ray_session, statistics):
    inner = ray_session.remote(lambda: os.getpid())

    def outer(k):
        return os.getpid(), ray_session.get(inner.remote())

    outer = ray_session.remote(outer)
    ray_session.get([outer.remote(k) for k in range(3)])
    before = statistics().kept
    for _ in range(20):
        pids = ray_session.get([outer.remote(k) for k in range(20)])
    del pids
    assert statistics().kept <= before + 1  # the place of the loop's calls


def test_places_without_end_are_not_kept(fresh, monkeypatch, statistics):
    monkeypatch.setenv("RAY_LITE_CALL_SITES", "3")
    fresh.init(num_cpus=1)
    names = {"call": fresh.remote(lambda: 1).remote}
    before = statistics().kept
    for k in range(10):
        exec(compile("x = call()", f"{k}.py", "exec"), names)
        fresh.get(names.pop("x"))
    assert statistics().kept - before == 1 + 3  # the function and the places
