"""Ids of a run: the same for the same seed and program, different for everything else."""

import json
import os

import pytest

import ray_lite as ray
from ray_lite.exceptions import WorkerCrashedError

PROGRAM = """
import json, sys
import ray_lite as ray

seed = sys.argv[1]
ray.init(num_cpus=2, object_id_seed=None if seed == "none" else int(seed))

@ray.remote
def leaf(x):
    return x

@ray.remote(num_return_vals=2)
def pair():
    return 1, ray.put(2)

@ray.remote
def tree(depth):
    mine = [ray.put(depth), leaf.remote(depth)]
    if depth:
        mine += ray.get(tree.remote(depth - 1))
        mine += ray.get(tree.options(inline=False).remote(depth - 1))
    return mine

ids = [ray.put(i) for i in range(5)] + [leaf.remote(i) for i in range(5)] + pair.remote()
ids += ray.get([tree.remote(3)])[0]
ids.append(ray.get(ids[11]))
ids += [ray.put(0), leaf.remote(ids[0])]
ray.wait(ids, num_returns=len(ids))
ids.append(ray.put("after waiting"))
if len(sys.argv) > 2:       # a second session in one process is a run of its own
    ray.shutdown()
    ray.init(num_cpus=1, object_id_seed=int(sys.argv[2]))
    ids += [ray.put(0), leaf.remote(0)]
print(json.dumps([one.hex() for one in ids]))
"""


@pytest.fixture
def ids_of(output_of):
    return lambda *arguments, **how: json.loads(output_of(PROGRAM, args=arguments, **how))


def test_the_same_seed_gives_the_same_ids(ids_of):
    first = ids_of(7)
    # Another hash seed, another directory and another timing are still the same program.
    one_core = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    assert ids_of(7, env={"PYTHONHASHSEED": "12345"}, cwd="/", command=one_core) == first
    assert len(set(first)) == len(first) == 46


def test_other_seeds_give_other_ids(ids_of):
    first, second = ids_of(7), ids_of(8)
    assert not set(first) & set(second)


def test_without_a_seed_no_run_is_like_another(ids_of):
    assert not set(ids_of("none")) & set(ids_of("none"))


def test_two_sessions_of_one_process(ids_of):
    ids = ids_of(7, 7)
    assert ids[-2] == ids[0], "the first put of a session with this seed"


def test_the_users_random_state_is_left_alone(output_of):
    assert (
        output_of("""
        import random
        random.seed(1)
        before = random.getstate()
        import ray_lite as ray
        ray.init(num_cpus=1, object_id_seed=3)
        ray.get(ray.remote(lambda: 1).remote())
        ray.shutdown()
        print(random.getstate() == before)
    """)
        == "True\n"
    )


@pytest.mark.parametrize("seed", [0, -1, 2**63 - 1])
def test_any_integer_is_a_seed(fresh, seed):
    fresh.init(num_cpus=1, object_id_seed=seed)
    first = fresh.put(1)
    fresh.shutdown()
    fresh.init(num_cpus=1, object_id_seed=seed)
    assert fresh.put(1) == first


def test_a_parent_that_runs_again_does_not_give_the_ids_of_its_first_run(fresh, tmp_path):
    """Its inline child was to blame for the death, so the attempt does not count; what it made may live on."""
    fresh.init(num_cpus=1)  # no other worker can take the child
    notes = tmp_path / "notes"

    @ray.remote(inline=True)
    def child():
        if notes.read_text().count("\n") == 1:
            os._exit(1)

    @ray.remote(max_retries=0)
    def parent():
        with open(notes, "a") as file:
            file.write(f"{ray.get_attempt_number()} {ray.put(1).hex()}\n")
        try:
            return ray.get(child.remote())
        except WorkerCrashedError:
            return None

    ray.get(parent.remote(), timeout=30)
    runs = [line.split() for line in notes.read_text().splitlines()]
    assert [number for number, _ in runs] == ["1", "2"] and len({made for _, made in runs}) == 2
