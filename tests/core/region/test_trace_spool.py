"""The spool: bounded files, and a thread while details are recorded."""

import os

import pytest

from ray_lite import _core
from ray_lite.tracing.records import parse
from ray_lite.tracing.spool import Spool


def numbers(spool):
    found = []
    for fd in spool.files():
        found += [one.what for one in parse(os.pread(fd, 1 << 20, 0))]
        os.close(fd)
    return found


@pytest.fixture
def make_spool(region):
    made = []

    def make(records):
        made.append(Spool(region, records * _core.TRACE_BYTES, 0.001))
        return made[-1]

    yield make
    _core.set_traces_detail(region, False)
    for spool in made:
        spool.close()


def test_the_newest_records_stay_within_the_bound_and_the_others_are_counted(region, make_spool):
    spool = make_spool(40)
    for k in range(200):
        _core.trace(region, _core.TRACE_MOVE, b"", k, 0)
        if k % 10 == 9:
            spool.collect()
    found = numbers(spool)
    assert found == list(range(200 - len(found), 200))
    assert 20 <= len(found) <= 40
    assert spool.lost == 200 - len(found)
    assert spool.facts()["lost"] == spool.lost


def test_what_a_ring_no_longer_has_is_counted(region, make_spool):
    spool = make_spool(1000)
    for k in range(100):
        _core.trace(region, _core.TRACE_MOVE, b"", k, 0)
    spool.collect()
    assert (numbers(spool), spool.lost) == (list(range(36, 100)), 36)


def test_details_are_collected_before_the_ring_comes_round(region, make_spool, wait_until):
    spool = make_spool(10_000)
    spool.start()
    assert spool.is_idle
    _core.set_traces_detail(region, True)
    spool.start()
    for k in range(500):
        _core.trace(region, _core.TRACE_MOVE, b"", k, 0)
        if k % 50 == 49:
            wait_until(lambda k=k: numbers(spool)[-1:] == [k])
    assert (numbers(spool), spool.lost) == (list(range(500)), 0)
    _core.set_traces_detail(region, False)
    wait_until(lambda: spool.is_idle)
