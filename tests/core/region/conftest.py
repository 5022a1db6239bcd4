"""Fixtures of the tests of traces: a region with small rings, in which this process has the only one."""

import os

import pytest

from ray_lite import _core


@pytest.fixture
def place(make_place):
    return make_place(trace_records=64)


@pytest.fixture
def region(place):
    region = place.create()
    region.join(_core.DRIVER, os.getpid(), 0)
    return region
