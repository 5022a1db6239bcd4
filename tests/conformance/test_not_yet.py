"""What later parts bring raises NotImplementedError that names the argument, and is never passed over in
silence.
"""

import psutil
import pytest

import ray_lite as ray

INIT = [
    dict(use_raylet=True),
]


@pytest.mark.parametrize("arguments", INIT, ids=lambda a: next(iter(a)))
def test_arguments_of_init(fresh, arguments):
    with pytest.raises(NotImplementedError, match=next(iter(arguments))):
        ray.init(num_cpus=1, **arguments)
    assert not ray.is_initialized()
    assert psutil.Process().children(recursive=True) == [], "nothing was started"


def test_neutral_values_of_the_same_arguments_are_fine(fresh):
    ray.init(
        num_cpus=1,
        redis_address=None,
        num_gpus=0,
        resources={},
        num_custom_resource=0,
        num_redis_shards=0,
        redis_max_clients=None,
        use_raylet=False,
        redis_password=None,
    )
    assert ray.get(ray.put(1)) == 1
