"""Result codes become exceptions at one gate; each is reached by what a user can do."""

import pytest

from ray_lite import _core
from ray_lite.exceptions import ForkedError, ObjectLostError, ObjectStoreFullError, RaySystemError


def test_a_full_arena_is_told_from_a_full_table(make_region):
    region = make_region(objects=256, arena=1 << 16)
    with pytest.raises(ObjectStoreFullError, match="the object store is full"):
        _core.create_object(region, _core.next_put_id(), 1 << 20, False)
    held = []
    with pytest.raises(ObjectStoreFullError, match="table"):
        while True:
            held.append(_core.put_plain(region, 0))


def test_a_lost_object(region):
    x = _core.put_plain(region, 0)
    token = _core.id_token(x)
    del x
    with pytest.raises(ObjectLostError):
        _core.resolve_all(region, [_core.id_from_token(*token)])


def test_an_untrusted_region(make_region, words):
    region = make_region()
    control = words(make_region.files_of(region))
    control.put(control.header("poison"), 117)
    for call in (lambda: _core.put_plain(region, 0), lambda: _core.open_worker(region), lambda: _core.can_start(region)):
        with pytest.raises(RaySystemError, match="cannot be trusted"):
            call()
    control.put(control.header("poison"), 0)


def test_a_closed_region(make_region):
    region = make_region()
    region.close()
    with pytest.raises(RaySystemError, match="has ended"):
        _core.open_worker(region)


def test_a_forked_region(region, forked):
    def child():
        with pytest.raises(ForkedError, match="forked"):
            _core.open_worker(region)

    assert forked(child).wait() == 0
