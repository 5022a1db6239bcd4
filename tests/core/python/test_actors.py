"""python/actors.pyx: what it refuses, and what the listing says."""

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectLostError


def test_a_call_of_what_is_no_handle_is_refused(company):
    crew = company()
    x = _core.put_plain(crew.region, 1)
    with pytest.raises(ValueError, match="no handle"):
        crew.call(x, "note", 1)
    with pytest.raises(ValueError, match="CPUs only"):
        _core.actor_queue(crew.region, _core.TURNS, (0, 10000, (), 0))


def test_many_actors_and_what_the_listing_says(company):
    """More than fit into the first page of their table."""
    crew = company()
    handles = [crew.create(most=2) for _ in range(40)]
    assert sorted(_core.actors(crew.region)) == sorted(crew.of(x) for x in handles)
    assert len({x.binary() for x in handles}) == 40
    assert crew.facts(handles[7]) == {
        "state": "PENDING", "serial": 0, "slot": 0, "pending": 0, "running": 0, "lanes": 0, "killed": False, "cause": 0,
    }
    assert crew.region.statistics()["actors"] == 40 and _core.own_actor(crew.region) == 0
    for handle in handles:
        assert _core.kill_actor(crew.region, handle)
    crew.node()
    assert {crew.facts(handle)["state"] for handle in handles} == {"DEAD"}


def test_a_failed_creation_leaves_nothing(company):
    crew = company()
    before = crew.region.statistics()
    with pytest.raises(ObjectLostError):
        _core.create_actor(crew.region, (1, 0, 0), b"x", [_core.ObjectID(b"nobody".ljust(20))], (1, 0, 1, 0, 0, 0, False))
    assert crew.region.statistics() == before
