"""region_files.py: where the arena's memory comes from, and its page sizes; real huge pages where root can reserve some."""

import os
import subprocess

import numpy as np
import pytest

from ray_lite.config import Config
from ray_lite.policy.resources import Resources
from ray_lite.store.region_files import SMALL_PAGE, ArenaBacking, arena_backing, make_files, plan_sizes
from ray_lite.system import machine

HUGE = 2 << 20
TWO = Resources(cpus=2)
PAGES = 48  # 96 MiB
COUNT = f"{machine.HUGE_PAGES}/hugepages-{HUGE // 1024}kB/nr_hugepages"


def test_backings():
    assert arena_backing(None, False, Config()) == ArenaBacking(None, SMALL_PAGE)
    assert arena_backing(None, True, Config()) == ArenaBacking(None, HUGE)
    assert arena_backing(None, True, Config(huge_page=1 << 30)) == ArenaBacking(None, 1 << 30)


def test_backings_in_directories(tmp_path):
    assert arena_backing(tmp_path, False, Config()) == ArenaBacking(os.path.realpath(tmp_path), SMALL_PAGE)
    with pytest.raises(ValueError, match="no huge pages"):
        arena_backing(tmp_path, True, Config())
    with pytest.raises(ValueError, match="not a directory"):
        arena_backing(tmp_path / "missing", True, Config())
    with pytest.raises(TypeError):
        arena_backing(7, False, Config())


@pytest.mark.parametrize(
    "page, asked, given",
    [
        (SMALL_PAGE, 1, 4 << 20),
        (SMALL_PAGE, 10**6, 4 << 20),
        (SMALL_PAGE, 4 << 20, 4 << 20),
        (SMALL_PAGE, 10**7, -(-(10**7) // SMALL_PAGE) * SMALL_PAGE),
        (HUGE, 1, 2 * HUGE),
        (HUGE, 10**7, 5 * HUGE),
        (HUGE, 5 * HUGE, 5 * HUGE),
        (1 << 30, 1, 1 << 30),
    ],
)
def test_a_store_is_rounded_up(page, asked, given):
    sizes = plan_sizes(Config(objects=1000), ArenaBacking(None, page), asked, TWO)
    assert (sizes.arena_bytes, sizes.page_bytes) == (given, page) and sizes.reserve_bytes % page == 0


def test_files_have_no_name_and_the_right_length(tmp_path):
    sizes = plan_sizes(Config(objects=1000), ArenaBacking(None, SMALL_PAGE), 10**7, TWO)
    for directory in (None, str(tmp_path)):
        files = make_files(sizes, directory)
        assert [os.fstat(fd).st_size for fd in files[:2]] == [sizes.control_bytes, sizes.arena_bytes]
        assert os.listdir(tmp_path) == [] and not any(map(os.get_inheritable, files[:3]))
        files.close()


def test_too_few_huge_pages_are_named(fresh):
    """The numbers, and what an administrator does."""
    wanted = (machine.free_huge_pages(HUGE)[0] + 1000) * HUGE
    with pytest.raises(OSError, match=r"(?s)too few huge pages.* needs [\d,]+ of 2,097,152 .* are free.*echo \d+ > .*2048kB"):
        fresh.init(num_cpus=1, huge_pages=True, object_store_memory=wanted)
    assert not fresh.is_initialized()


@pytest.fixture
def reserved():
    """So many huge pages more are free."""
    try:
        with open(COUNT) as file:
            before = int(file.read())
        with open(COUNT, "w") as file:
            file.write(str(before + PAGES))
    except OSError as error:
        pytest.skip(f"no huge pages can be reserved here: {error}")
    if machine.free_huge_pages(HUGE)[0] < PAGES:
        pytest.skip("memory is too scattered for huge pages here")
    yield machine.free_huge_pages(HUGE)[0]
    with open(COUNT, "w") as file:
        file.write(str(before))


@pytest.fixture
def hugetlbfs(reserved, tmp_path):
    """A directory on huge pages; `hugetlbfs(limit)` mounts one with room for so many bytes."""
    mounts = []

    def mount(limit=None):
        place = tmp_path / str(len(mounts))
        place.mkdir()
        options = f"pagesize=2M{f',size={limit}' if limit else ''}"
        done = subprocess.run(["mount", "-t", "hugetlbfs", "-o", options, "none", place], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no hugetlbfs can be mounted here: {done.stderr.strip()}")
        mounts.append(place)
        return place

    yield mount
    for place in mounts:
        subprocess.run(["umount", "--lazy", place], check=True)  # a session of a failed test is still to be ended


def use(ray, megabytes):
    """Fills most of the store, in a worker too, and reads it all back."""
    ids = [ray.put(np.full(1 << 20, k, "u1")) for k in range(megabytes // 2)]
    ids += [ray.remote(lambda k: np.full(1 << 20, k, "u1")).remote(k) for k in range(megabytes // 2, megabytes)]
    assert [int(array[-1]) for array in ray.get(ids)] == list(range(megabytes))
    mine = ray.get(ids[0], writable=True)
    mine[:] = 99
    assert ray.get(ids[0])[0] == 0


@pytest.mark.parametrize("where", ["anonymous", "a mount", "a mount, unasked"])
def test_sessions_run_on_huge_pages(fresh, reserved, hugetlbfs, where):
    place = None if where == "anonymous" else hugetlbfs()
    fresh.init(num_cpus=1, plasma_directory=place, huge_pages="unasked" not in where, object_store_memory=PAGES * HUGE)
    facts = fresh.session.current().view.statistics()
    assert (facts.page_bytes, facts.arena_bytes) == (HUGE, PAGES * HUGE)
    use(fresh, 70)
    with pytest.raises(fresh.exceptions.ObjectStoreFullError):
        fresh.put(np.ones(100 << 20, "u1"))
    fresh.session.current().view.check()
    fresh.shutdown()
    assert machine.free_huge_pages(HUGE)[0] == reserved
    assert place is None or os.listdir(place) == []


def test_by_default_a_session_takes_what_is_free(fresh, reserved, capfd):
    fresh.init(num_cpus=1, huge_pages=True, verbose=True)
    assert f"{reserved * HUGE:,} bytes of object store (the free huge pages) on pages of 2,097,152" in capfd.readouterr().err
    assert fresh.session.current().view.statistics().arena_bytes == reserved * HUGE
    with pytest.raises(OSError, match="and 0 are free"):
        ArenaBacking(None, HUGE).check_enough(HUGE)
    fresh.shutdown()


def test_a_mount_with_a_limit(fresh, hugetlbfs):
    place = hugetlbfs(limit=8 * HUGE)
    with pytest.raises(OSError, match="too few huge pages"):
        fresh.init(num_cpus=1, plasma_directory=place, object_store_memory=9 * HUGE)
    fresh.init(num_cpus=1, plasma_directory=place)
    assert fresh.session.current().view.statistics().arena_bytes == 8 * HUGE
    use(fresh, 10)
    fresh.shutdown()
