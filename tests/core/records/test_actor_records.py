"""actor_records.pyx: the mailbox counts what is pending, and handles tell one actor from the next."""

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectLostError, PendingCallsLimitExceeded


def test_a_full_actor_refuses_a_call_and_nothing_of_it_is_left(company):
    crew = company()
    handle = crew.create(limit=2)  # its constructor is no pending call
    ids = [crew.call(handle, "note", k) for k in range(2)]
    before = crew.region.statistics()
    with pytest.raises(PendingCallsLimitExceeded):
        crew.call(handle, "note", 2)
    assert crew.region.statistics() == before
    crew.start()
    assert [crew.calls.get(x) for x in ids] == [1, 2]
    assert crew.calls.get(crew.call(handle, "note", 2)) == 3


def test_a_stale_handle_is_told(company):
    crew = company()
    handle = crew.create()
    call = _core.RemoteCall(None)
    call.arm(crew.region, crew.index("note"), 0, (1, 0, 0, 0, 9), handle)
    actor = crew.of(handle)
    crew.start()
    assert crew.calls.get(call(1)) == 1
    crew.kill(actor)
    x = call(2)
    assert crew.node() == [] and crew.failure(x) == b"it is dead"
    del call, x
    with pytest.raises(ObjectLostError):
        _core.actor_facts(crew.region, 1 << 20)


NAMES = [b"n" + bytes([k]) * 19 for k in range(3)]  # of one chain


def test_each_of_a_chain_of_names_is_found_and_goes_alone(company):
    crew = company()
    handles = [crew.create(name=name) for name in NAMES]
    for gone in (1, 2, 0):
        crew.region.check()
        with pytest.raises(ValueError):
            crew.create(name=NAMES[gone])
        assert _core.kill_actor(crew.region, handles[gone])
        assert _core.named_actor(crew.region, NAMES[gone]) is None
        handles[gone] = None
        crew.node()
        for handle, name in zip(handles, NAMES, strict=True):
            found = _core.named_actor(crew.region, name)
            assert found == handle if handle else found is None
    assert crew.create(name=NAMES[1]) == _core.named_actor(crew.region, NAMES[1])


@pytest.mark.parametrize("how", ["killed", "dead", "retired"])
def test_a_name_is_free_when_its_actor_ends(company, how):
    crew = company()
    handle = crew.create(name=NAMES[0])
    actor = crew.of(handle)
    crew.start()
    assert crew.calls.get(crew.call(handle, "note", 1)) == 1
    if how == "killed":
        _core.kill_actor(crew.region, handle)
    elif how == "dead":
        crew.kill(actor)
    else:
        del handle
        assert crew.node() == [("retired", actor)]
    assert _core.named_actor(crew.region, NAMES[0]) is None
    assert crew.create(name=NAMES[0]) == _core.named_actor(crew.region, NAMES[0])
    crew.region.check()


def test_an_actor_that_is_found_by_its_name_is_not_retired(company):
    """Its last handle has gone, and the node has not looked yet."""
    crew = company()
    handle = crew.create(name=NAMES[0])
    crew.start()
    assert crew.calls.get(crew.call(handle, "note", 1)) == 1
    del handle
    found = _core.named_actor(crew.region, NAMES[0])
    assert crew.node() == [] and crew.calls.get(crew.call(found, "note", 2)) == 2
