"""The least store: any number of bytes is legal for it, and in what that is rounded up to everything works."""

import numpy as np
import pytest

import ray_lite as ray
from ray_lite.exceptions import ObjectStoreFullError

CELLS = (64, 128, 192, 256, 384, *(size for k in range(9, 15) for size in (1 << k, 3 << k - 1)), 1 << 15)
LARGE = 1 << 20
ROOM = 50_000


@pytest.fixture(params=["alone", "with a spill file"])
def least(fresh, request, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_LITE_FULL_WAIT", "0.1")
    spill = tmp_path if request.param == "with a spill file" else None
    fresh.init(num_cpus=2, object_store_memory=1, spill_directory=spill)
    return spill is not None


def test_small_objects_of_all_sizes_leave_room_for_a_large_one(least):
    held = [ray.put(np.ones(size - 16, "u1")) for size in CELLS]
    assert all(ray.get(x).all() for x in held)
    del held
    assert ray.get(ray.put(np.ones(LARGE, "u1"))).sum() == LARGE


def test_a_full_one(least, statistics):
    """Tasks run and fail as in any other: with the error's class and text, also a long one."""

    @ray.remote
    def fail(size):
        raise KeyError("x" * size)

    increase = ray.remote(lambda x: x + 1)
    assert ray.get(increase.remote(1)) == 2 and fail.remote(1)  # their pickles need room, too
    held = []
    try:
        while len(held) * ROOM < 2 * statistics().arena_bytes:
            held.append(ray.put(np.full(ROOM, len(held), "u1")))
        assert least and statistics().bytes_spilled > 0
    except ObjectStoreFullError as error:
        assert not least and f"of {4 << 20:,} in use" in str(error)
    assert len(held) * ROOM > 3 << 19, "most of it can be used"
    assert ray.get(increase.remote(2)) == 3
    for size in (10, 1_000, 20_000):
        with pytest.raises(KeyError, match="x" * min(size, 200)):
            ray.get(fail.remote(size))
    if least:
        assert ray.get(ray.remote(np.ones).remote(LARGE // 8)).sum() == LARGE // 8
    assert all((ray.get(x) == k).all() for k, x in enumerate(held))


def test_reports_name_the_rounded_size(least):
    assert ray.memory().arena_bytes == 4 << 20 and f"of {4 << 20:,}" in str(ray.memory())
