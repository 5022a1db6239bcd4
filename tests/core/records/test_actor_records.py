"""actor_records.pyx: the mailbox counts what is pending, and handles tell one actor from the next."""

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectLostError, PendingCallsLimitExceeded


def test_a_full_actor_refuses_a_call_and_nothing_of_it_is_left(company):
    crew = company()
    handle = crew.create(limit=3)  # its constructor is the first pending call
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
