"""get and wait of values that are there: decoded here or left to `load`; unique ids; the two lists of `wait`."""

import random

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectLostError


def stored(region, data):
    x = _core.create_object(region, _core.next_put_id(), len(data), False)
    _core.fill_object(region, _core.object_index(x), 0, (data, [], [], []))
    _core.seal_object(region, x)
    return x


@pytest.fixture
def pending(region, tasks):
    calls = tasks(region, {"f": None})
    return lambda: calls.call("f")(1)


def test_plain_values_come_back(region):
    for value in (None, 5, "text", b"bytes", 2.5, [1, "a"], (1,), {"a": None}):
        x = _core.put_plain(region, value)
        assert _core.get_ready(region, x) == value


def test_what_is_not_small_and_plain_is_a_miss(region):
    for value in (object(), "x" * 36, [[1]], 2**70, [1] * 10):
        assert _core.put_plain(region, value) is _core.MISS
    assert region.statistics()["objects"] == 0


@pytest.mark.parametrize("length, fits", [(34, True), (35, True), (36, False)])
def test_the_inline_room_is_used_to_the_last_byte(region, length, fits):
    x = _core.put_plain(region, "x" * length)
    assert (x is not _core.MISS) == fits
    assert not fits or _core.get_ready(region, x) == "x" * length


def test_a_miss_is_what_get_ready_says_of_others(region, pending):
    for x in (pending(), stored(region, b"stream"), _core.ObjectID(bytes(20)), 5, None):
        assert _core.get_ready(region, x) is _core.MISS


def test_get_many_loads_what_is_not_plain(region):
    ids = [_core.put_plain(region, k) if k % 3 else stored(region, b"%d" % k) for k in range(30)]
    values = _core.get_many(region, ids, lambda x: int(bytes(_core.payload(region, x)[1])))
    assert values == list(range(30))

    def broken(x):
        raise KeyError(x)

    with pytest.raises(KeyError):
        _core.get_many(region, ids, broken)


def test_resolve_all_checks_types_and_lives(region):
    x = _core.put_plain(region, 1)
    _core.resolve_all(region, [x, x])
    with pytest.raises(TypeError, match="str"):
        _core.resolve_all(region, [x, "a"])
    with pytest.raises(ObjectLostError):
        _core.resolve_all(region, [x, _core.ObjectID(b"nobody knows this id")])


def test_lacking_are_those_not_sealed(region, pending):
    ids = [_core.put_plain(region, 1), pending(), stored(region, b"a"), pending()]
    assert _core.lacking(region, ids) == [ids[1], ids[3]]


@pytest.mark.parametrize("seed", range(4))
def test_split_ready_agrees_with_lists(region, pending, seed):
    rng = random.Random(seed)
    for _ in range(60):
        ids = [_core.put_plain(region, k) if rng.random() < 0.5 else pending() for k in range(rng.randrange(1, 12))]
        ready = [x for x in ids if x not in _core.lacking(region, ids)]
        wanted, loose = rng.randrange(1, len(ids) + 1), rng.random() < 0.5
        split = _core.split_ready(region, ids, wanted, loose)
        if len(ready) < wanted and not loose:
            assert split is None
            continue
        expected = ready[:wanted]
        assert split == (expected, [x for x in ids if x not in expected])


def test_draining_one_by_one_keeps_the_order(region):
    ids = [_core.put_plain(region, k) for k in range(50)]
    rest, drained = ids, []
    while rest:
        one, rest = _core.split_ready(region, rest, 1, False)
        drained += one
    assert drained == ids


def test_ids_must_be_unique(region):
    x, y = _core.put_plain(region, 1), _core.put_plain(region, 2)
    again = _core.id_from_token(*_core.id_token(x))
    assert again is not x
    for ids in ([x, x], [x, y, again], [y, x, y]):
        with pytest.raises(ValueError, match="unique"):
            _core.split_ready(region, ids, 1, False)
    assert _core.split_ready(region, [x, y], 2, False) == ([x, y], [])
    bare = _core.ObjectID(x.binary())
    with pytest.raises(ValueError, match="unique"):
        _core.split_ready(region, [x, bare], 1, False)


def test_wait_takes_ids_only(region):
    with pytest.raises(TypeError, match="element 1 is of type int"):
        _core.split_ready(region, [_core.put_plain(region, 1), 5], 1, False)
