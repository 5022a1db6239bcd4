"""Regions: made, attached, refused, closed; statistics; and what a process without room for them is told."""

import gc
import os
import resource
import signal

import numpy
import pytest

from ray_lite import _core
from ray_lite.exceptions import RaySystemError


def test_a_region_can_only_be_created_or_attached():
    with pytest.raises(TypeError):
        _core.Region()


def test_an_attached_region_sees_the_same(make_place):
    place = make_place()
    first, second = place.create(), place.attach()
    first.join(_core.DRIVER, os.getpid(), 0)
    second.join(_core.DRIVER, os.getpid(), 0)
    assert first.slot != second.slot
    first.make_current()
    _core.set_root(b"root of these tests.")
    x = _core.put_plain(first, "seen")
    token = _core.id_token(x)
    second.make_current()
    y = _core.id_from_token(*token)
    del x
    assert _core.get_ready(second, y) == "seen"
    assert first.statistics() == second.statistics()
    second.check()
    del y
    assert first.statistics()["objects"] == 0


@pytest.mark.parametrize(
    "field, change, message",
    [
        ("magic", lambda old: old ^ 1, "not a region"),
        ("version", lambda old: old + 1, "version"),
        ("abi", lambda old: old ^ 1 << 3, "C library or architecture"),
    ],
)
def test_another_format_is_refused(make_place, words, field, change, message):
    place = make_place()
    place.create()
    control = words(place)
    with control.damaged(control.header(field), change), pytest.raises(RaySystemError, match=message):
        place.attach()
    place.attach()


@pytest.mark.parametrize("number, kind", list(enumerate(("pid", "user", "time"))))
def test_another_namespace_is_refused(make_place, number, kind):
    ours = [4026531836, 4026531837, 0]
    place = make_place(namespaces=ours)
    place.create()
    with pytest.raises(RaySystemError, match=f"{kind} namespace"):
        place.attach([inode + (k == number) for k, inode in enumerate(ours)])
    place.attach(ours)


def test_more_gpus_than_the_header_has_room_for_are_refused(make_place):
    make_place(gpus=256).create().check()
    with pytest.raises(ValueError, match="room for 256 GPUs, not for 257"):
        make_place(gpus=257).create()


def test_what_cannot_be_mapped_is_an_os_error(make_place):
    place = make_place()
    closed = os.eventfd(0)
    os.close(closed)
    with pytest.raises(OSError, match="cannot map"):
        _core.Region.create(closed, *place.files[1:], place.sizes)
    with pytest.raises(OSError, match="cannot map"):
        _core.Region.attach(closed, *place.files[1:], (0, 0, 0))


def test_files_that_are_too_short_are_refused(make_place):
    """Before they are touched: a load behind a file's end is SIGBUS."""
    place = make_place()
    place.create()
    for short in range(2):
        files = [os.memfd_create("ray_lite-short") if n == short else fd for n, fd in enumerate(place.files)]
        with pytest.raises(RaySystemError, match="short"):
            _core.Region.attach(*files, place.sizes.namespaces)
        os.close(files[short])


def test_too_little_address_space_is_named(make_place, forked):
    """RLIMIT_AS, as batch systems set it."""
    place = make_place(arena=1 << 36)

    def child():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 34, 1 << 34))
        with pytest.raises(OSError, match="RLIMIT_AS"):
            place.create()

    assert forked(child).wait() == 0


def test_closing_ends_the_calls(make_region):
    region = make_region()
    x = _core.put_plain(region, 1)
    region.close()
    region.close()
    for call in (region.check, region.statistics, lambda: _core.resolve_all(region, [x])):
        with pytest.raises(RaySystemError, match="ended"):
            call()
    assert _core.put_plain(region, 1) is _core.MISS
    assert _core.get_ready(region, x) is _core.MISS


def test_a_retired_region_ends_the_calls_and_stays_mapped(make_region):
    region = make_region()
    x = _core.put_plain(region, 1)
    region.retire()
    region.retire()
    with pytest.raises(RaySystemError, match="ended"):
        region.statistics()
    assert _core.put_plain(region, 1) is _core.get_ready(region, x) is _core.MISS
    assert region.workers() == [] and mappings() > 0
    region.close()
    assert mappings() == 0


def test_sessions_follow_each_other(make_region):
    for number in range(20):
        region = make_region()
        x = _core.put_plain(region, number)
        assert _core.get_ready(region, x) == number
        del x
        region.check()
        region.close()


def test_the_mapping_goes_with_the_last_view(make_region):
    region = make_region()
    arrays = []
    for size in (100, 100_000):
        x = _core.create_object(region, _core.next_put_id(), size, False)
        _core.fill_object(region, _core.object_index(x), 0, (b"", [b"v" * size], [size], []))
        _core.seal_object(region, x)
        arrays.append(numpy.frombuffer(_core.payload(region, x)[2][0], dtype="uint8"))
    del x
    region.close()
    assert [array[-1] for array in arrays] == [ord("v")] * 2
    arrays.pop()
    gc.collect()
    assert arrays[0].sum() == ord("v") * 100
    assert mappings() > 0
    arrays.clear()
    gc.collect()
    assert mappings() == 0


def mappings():
    with open("/proc/self/maps") as file:
        return sum("memfd:ray_lite" in line for line in file)


def test_statistics_count_what_there_is(make_region, tasks):
    region = make_region(cpus=30_000)
    before = region.statistics()
    assert (before["objects"], before["slots"], before["cpus"], before["cpus_free"]) == (0, 1, 3, 3)
    calls = tasks(region, {"f": None})
    ids = [calls.call("f")(k) for k in range(3)]
    after = region.statistics()
    assert (after["objects"], after["tasks"], after["ready"]) == (4, 3, 3)
    assert after["poisoned"] is False and after["recoveries"] == 0
    assert 0 < after["longest_section"] <= 64
    del ids


def test_the_lock_survives_its_owners_death(region, forked):
    """Stopped and killed at random instants inside short sections, until some died holding the lock."""
    x = _core.put_plain(region, 0)
    token, recovered = _core.id_token(x), 0
    for _ in range(400):
        slot = _core.open_worker(region)

        ready = os.pipe()

        def hammer(slot=slot, ready=ready):
            _core.adopt_slot(region, slot, os.getpid(), 0)
            os.write(ready[1], b"!")
            while True:
                y = _core.id_from_token(*token)
                del y

        child = forked(hammer)
        os.read(ready[0], 1)
        child.kill()
        os.close(ready[0]), os.close(ready[1])
        region.check()
        _core.begin_sweep(region, slot)
        _core.end_sweep(region, slot)
        region.check()
        recovered = region.statistics()["recoveries"]
        if recovered >= 5:
            break
    assert recovered >= 5
    assert _core.get_ready(region, x) == 0


def test_workers_are_told_with_their_start(region, forked, bury):
    ready, slot = os.pipe(), _core.open_worker(region)

    def child():
        _core.adopt_slot(region, slot, os.getpid(), 7)
        os.write(ready[1], b"!")
        signal.pause()

    one = forked(child)
    os.read(ready[0], 1)
    os.close(ready[0]), os.close(ready[1])
    assert region.workers() == [(one.pid, 7, _core.WORKER)]
    one.kill()
    bury(region, slot)
    assert region.workers() == []
    region.close()
    assert region.workers() == []


def test_a_forked_region_says_that_it_is_inherited(region, forked):
    def child():
        assert region.inherited
        os.kill(os.getpid(), signal.SIGKILL)

    assert not region.inherited
    assert forked(child).wait() == -signal.SIGKILL


def test_fractions_of_cpus_are_counted(make_region):
    counted = make_region(cpus=15_000).statistics()
    assert (counted["cpus"], counted["cpus_free"]) == (1.5, 1.5)
