"""resources.py: what a session has, what a call demands, and what can never be met."""

import pytest

from ray_lite.options import Options
from ray_lite.policy.resources import Demand, Resources, gpu_numbers

SESSION = Resources(cpus=4, gpu_ids=("0", "1"), custom={"disk": 2, "licence": 0.5})


def demand(session=SESSION, **options):
    return session.demand("f", Options().updated(options))


def test_amounts_in_ten_thousandths():
    assert demand() == Demand(10_000, 0, ())
    assert demand(num_cpus=0.5, num_gpus=2, resources={"licence": 0.25}) == Demand(5_000, 20_000, ((1, 2_500),))
    assert demand(num_gpus=0.3).gpus == 3_000


def test_custom_resources_are_numbered_by_their_order_and_nothing_of_one_is_no_demand():
    assert demand(resources={"licence": 0.1, "disk": 1}).custom == ((0, 10_000), (1, 1_000))
    assert demand(resources={"licence": 0}).custom == ()
    assert SESSION.units == [20_000, 5_000]


def test_amounts_are_compared_as_they_are_counted():
    session = Resources(cpus=0.3, gpu_ids=("0",), custom={"b": 0.3, "c": 0.7})
    sum_of_floats = 0.1 + 0.2
    assert sum_of_floats > 0.3
    assert demand(session, num_cpus=sum_of_floats, resources={"b": sum_of_floats}) == Demand(3_000, 0, ((0, 3_000),))
    for wrong in {"num_cpus": 0.3001}, {"num_cpus": 0, "resources": {"b": 0.3001}}:
        with pytest.raises(ValueError, match=r"needs .*0\.3001, but|needs 0\.3001 of"):
            demand(session, **wrong)


@pytest.mark.parametrize("options, message", [
    ({"num_cpus": 5}, "f needs num_cpus=5, but this session has 4 in all"),
    ({"num_gpus": 3}, "f needs num_gpus=3, but this session has 2 in all"),
    ({"resources": {"disk": 2.5}}, "f needs 2.5 of resource 'disk', but this session has 2 in all"),
    ({"resources": {"tape": 1}}, "f needs 1 of resource 'tape', but this session has only 'disk', 'licence'"),
])
def test_what_can_never_be_met_says_what_there_is(options, message):
    with pytest.raises(ValueError) as error:
        demand(**options)
    assert message in str(error.value)


def test_a_session_without_custom_resources_says_so():
    with pytest.raises(ValueError, match="no custom resources"):
        demand(Resources(cpus=1), resources={"x": 1})


def test_gpu_ids_are_numbers_where_they_can_be():
    assert gpu_numbers(["0", "12", "GPU-8f3a", "MIG-1/2/3"]) == [0, 12, "GPU-8f3a", "MIG-1/2/3"]
