"""queues.pyx: a shape has one queue, whatever it demands; a queue is FIFO."""

import os

import pytest

from ray_lite import _core

CPU = 10_000


@pytest.fixture
def region(make_region):
    return make_region(resources=[CPU] * 20, gpus=4)


def shapes():
    for cpus in (0, 1, CPU):
        for gpus in (0, CPU // 2, 2 * CPU):
            for demands in ((), ((0, 5),), ((0, 6),), ((1, 5),), ((0, 5), (1, 5)), tuple((k, 1) for k in range(20))):
                for options in (0, 3):
                    yield cpus, gpus, demands, options


def test_a_shape_has_one_queue(region):
    every = list(shapes())
    queues = [_core.demand_queue(region, *shape) for shape in every]
    assert len(set(queues)) == len(every)
    assert queues == [_core.demand_queue(region, *shape) for shape in every]


def test_the_order_of_demands_does_not_matter(region):
    assert _core.demand_queue(region, 0, 0, [(3, 7), (1, 2)]) == _core.demand_queue(region, 0, 0, [(1, 2), (3, 7)])


def test_a_thousand_shapes(region):
    """More than the index has chains for, and more than one step of the table."""
    queues = [_core.demand_queue(region, k) for k in range(3000)]
    assert len(set(queues)) == 3000
    assert queues == [_core.demand_queue(region, k) for k in range(3000)]


def test_facts_of_a_shape(region):
    assert _core.shape_facts(region, _core.demand_queue(region, 5, 0, (), 0)) == (5, 0)


def test_a_queue_is_first_in_first_out(make_region, tasks, worker):
    region = make_region(cpus=CPU)
    order = []
    calls = tasks(region, {"next": lambda k: order.append(k) or len(order)})
    ids = [calls.call("next")(k) for k in range(200)]
    worker(region, calls.worker)
    assert [calls.get(x) for x in ids] == list(range(1, 201))
    _core.close_session(region)


@pytest.mark.skipif(not os.environ.get("RAY_LITE_FULL"), reason="runs in .ci/full: RAY_LITE_FULL=1")
def test_when_there_are_too_many_shapes_the_error_says_of_what(region):
    with pytest.raises(ValueError, match="65,534 different sets of num_cpus, num_gpus, resources and options"):
        for k in range(1 << 16):
            _core.demand_queue(region, k)
    assert _core.demand_queue(region, 5) == _core.demand_queue(region, 5), "those that are known go on"
