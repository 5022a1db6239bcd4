"""Ids: derived without surprises, spread evenly, and found again by their bare bytes."""

import random

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectLostError

PARENT = bytes(range(20))


def test_the_same_place_gives_the_same_id():
    assert _core.derive_id(PARENT, 3, 4) == _core.derive_id(PARENT, 3, 4)
    assert _core.digest_id(b"module.function") == _core.digest_id(b"module.function")


def test_ids_have_twenty_bytes_and_a_parent_too():
    assert len(_core.derive_id(PARENT, 0, 0)) == len(_core.digest_id(b"")) == 20
    with pytest.raises(ValueError, match="20 bytes"):
        _core.derive_id(PARENT[:19], 0, 0)


@pytest.mark.parametrize("which", range(3))
def test_no_two_of_a_hundred_thousand_ids_are_equal(which):
    """In the children of one parent, of one index, and down a chain."""
    ids, parent = set(), PARENT
    for k in range(100_000):
        parent = _core.derive_id(parent if which == 2 else PARENT, k * (which == 0), k * (which == 1))
        ids.add(parent)
    assert len(ids) == 100_000


def test_each_bit_of_what_goes_in_changes_half_of_what_comes_out():
    """Single-bit changes are what neighbouring calls differ in."""
    random.seed(1)
    base = int.from_bytes(_core.derive_id(PARENT, 5, 9), "little")
    for bit in range(64):
        for x, y in ((5 ^ 1 << bit, 9), (5, 9 ^ 1 << bit)):
            changed = int.from_bytes(_core.derive_id(PARENT, x, y), "little")
            assert 45 < (base ^ changed).bit_count() < 115, (bit, x, y)


def test_every_byte_of_the_parent_counts():
    ids = {_core.derive_id(PARENT[:k] + b"\xff" + PARENT[k + 1 :], 1, 1) for k in range(20)}
    assert len(ids | {_core.derive_id(PARENT, 1, 1)}) == 21


def test_names_differ_by_length_and_by_every_byte():
    names = [b"", b"\0", b"\0\0", b"a" * 16, b"a" * 17, b"a" * 15 + b"b", b"a" * 31 + b"b", b"a" * 32]
    assert len({_core.digest_id(name) for name in names}) == len(names)


def test_the_first_bits_spread_over_the_buckets():
    """The index takes its bucket from the first bytes."""
    counts = [0] * 64
    for k in range(6400):
        counts[_core.derive_id(PARENT, 0, k)[0] & 63] += 1
    assert min(counts) > 50 and max(counts) < 170


def test_puts_of_the_same_place_repeat_when_the_root_does(region):
    def ids():
        _core.set_root(b"the root of a driver")
        return [_core.next_put_id() for _ in range(10)]

    first = ids()
    assert first == ids()
    assert len(set(first)) == 10
    _core.set_root(b"another driver's id!")
    assert _core.next_put_id() not in first


def test_an_exposed_id_is_found_by_its_bytes(region):
    x = _core.put_plain(region, "found")
    again = _core.ObjectID(x.binary())
    _core.resolve_all(region, [again])
    assert _core.get_ready(region, again) == "found"


def test_an_id_that_never_left_is_found_too(region):
    """A program can know an id from an earlier run with the same seed."""
    _core.set_root(b"root of these tests.")
    known = _core.next_put_id()
    _core.set_root(b"root of these tests.")
    x = _core.put_plain(region, 7)
    again = _core.ObjectID(known)
    _core.resolve_all(region, [again])
    assert _core.get_ready(region, again) == 7
    del x
    assert _core.get_ready(region, again) == 7


def test_an_object_under_construction_is_not_found(region):
    """Only its creator may hold it, so that the creator's death ends it."""
    known = _core.next_put_id()
    x = _core.create_object(region, known, 100, False)
    with pytest.raises(ObjectLostError):
        _core.resolve_all(region, [_core.ObjectID(known)])
    _core.fill_object(region, _core.object_index(x), 0, (b"x", [], [], []))
    _core.seal_object(region, x)
    _core.resolve_all(region, [_core.ObjectID(known)])


def test_the_index_agrees_with_a_dictionary(region):
    """Chains of many objects: 16 buckets for some hundreds, exposed and dropped in any order."""
    rng = random.Random(4)
    live, gone = {}, []
    for number in range(3000):
        if live and rng.random() < 0.45:
            binary = rng.choice(list(live))
            del live[binary]
            gone.append(binary)
        else:
            put(region, live, number)
        if number % 100 == 0:
            region.check()
            assert all(lookup(region, binary) == number for binary, (_, number) in live.items())
            assert all(lookup(region, binary) is None for binary in gone[-50:])


def put(region, live, number):
    x = _core.put_plain(region, number)
    live[x.binary()] = x, number


def lookup(region, binary):
    x = _core.ObjectID(binary)
    try:
        _core.resolve_all(region, [x])
    except ObjectLostError:
        return None
    return _core.get_ready(region, x)


def test_returns_of_a_task_under_construction_are_not_found(make_region, tasks, words):
    """Its submitter may die: then they go with the record, whoever else found them."""
    region = make_region()
    calls = tasks(region, {"f": None})
    x = calls.call("f")(1)
    assert _core.find_object(region, x.binary()) == x
    control = words(make_region.files_of(region))
    state = control.entry("task", control.get(control.entry("object", _core.object_index(x), "task")), "state")
    with control.damaged(state, lambda ready: 1):  # as while it is being built
        assert _core.find_object(region, x.binary()) is None
    assert _core.find_object(region, x.binary()) == x and _core.find_object(region, bytes(20)) is None
