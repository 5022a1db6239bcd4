"""The program of an attached driver in the soak of several drivers: random work, checked, until it is killed or done.

    python tests/soak/guest.py ADDRESS SEED

It ends with 0 unless something is wrong: an error that no kill explains, a wrong value, or a wait that takes too long.
Neighbour: crowd.py starts it and kills it, its node, or its workers.
"""

import random
import sys
import time

import ray_lite as ray
from ray_lite.exceptions import ObjectLostError, RayActorError, RaySystemError, TaskCancelledError, WorkerCrashedError

NAMES = 3  # of shared actors, for which all drivers compete
PATIENCE_S = 20  # for any one result
ROUNDS = 40  # about; then it shuts down by itself


@ray.remote
def add_one(x, *more):
    return x + 1


@ray.remote
def nap(seconds):
    time.sleep(seconds)


@ray.remote
def leaves(depth):
    return 1 if depth == 0 else sum(ray.get([leaves.remote(depth - 1) for _ in range(2)]))


@ray.remote
class Counter:
    def __init__(self):
        self.count = 0

    def add(self):
        self.count += 1
        time.sleep(0.005)
        return self.count


class Guest:
    """What the driver does."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def tasks(self):
        assert ray.get([add_one.remote(k) for k in range(200)], timeout=PATIENCE_S) == list(range(1, 201))

    def nested(self):
        assert ray.get(leaves.remote(4), timeout=PATIENCE_S) == 16

    def values(self):
        kept = ray.put(bytes(self.rng.randrange(300_000)))
        assert ray.get(add_one.remote(1, kept), timeout=PATIENCE_S) == 2

    def unwanted(self):
        left = [nap.remote(0.01) for _ in range(self.rng.randrange(60))]
        if left:
            ray.wait(left, num_returns=(len(left) + 1) // 2, timeout=2000)

    def cancelled(self):
        first = [nap.remote(0.005) for _ in range(20)]
        second = [add_one.remote(1, x) for x in first]
        for x in first[::3]:
            ray.cancel(x)
        for x in second:
            try:
                assert ray.get(x, timeout=PATIENCE_S) == 2
            except TaskCancelledError:
                pass

    def own_actor(self):
        counter = Counter.remote()
        assert ray.get([counter.add.remote() for _ in range(20)], timeout=PATIENCE_S) == list(range(1, 21))

    def shared_actor(self):
        options = dict(name=f"shared {self.rng.randrange(NAMES)}", shared=True, get_if_exists=True)
        counter = Counter.options(**options, max_restarts=self.rng.choice((0, 3))).remote()
        ray.get([counter.add.remote() for _ in range(5)], timeout=PATIENCE_S)

    def others_actor(self):
        counter = ray.get_actor(f"shared {self.rng.randrange(NAMES)}")
        ray.get([counter.add.remote() for _ in range(3)], timeout=PATIENCE_S)

    def play(self):
        deeds = [self.tasks, self.nested, self.values, self.unwanted, self.cancelled, self.own_actor, self.shared_actor,
                 self.others_actor]
        while self.rng.randrange(ROUNDS):
            deed = self.rng.choice(deeds)
            try:
                deed()
            except (RayActorError, WorkerCrashedError):
                pass  # its process was killed too often
            except ValueError:
                if deed not in (self.shared_actor, self.others_actor):
                    raise  # else: somebody has just taken the name, or nobody has it


def main(address, seed):
    try:
        ray.init(redis_address=address)
        Guest(seed).play()
        ray.shutdown()
    except (RaySystemError, ObjectLostError) as error:
        if "node process" not in str(error):  # it was killed
            raise


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
