"""Simulators with state, killed on purpose while they run, and the result is the same.

Each simulator is an actor with checkpoints: a small forest fire on a grid, with a random generator of its own. A task kills
the process of one simulator after another. Each comes back from its latest checkpoint and runs the steps since then again.

    python examples/simulators.py [--simulators 4] [--steps 300] [--kills 10]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ray_lite as ray

EMPTY, TREE, FIRE = 0, 1, 2
SIZE = 96
GROWTH, LIGHTNING = 0.02, 0.0005


class Forest:
    """A forest fire: trees grow, lightning strikes, and fire spreads to the four neighbours."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.grid: NDArray[np.uint8] = (self.random.random((SIZE, SIZE)) < 0.5).astype(np.uint8)
        self.steps = 0

    def step(self) -> int:
        """One step; how many trees burn."""
        fire = self.grid == FIRE
        beside = np.zeros_like(fire)
        beside[1:] |= fire[:-1]
        beside[:-1] |= fire[1:]
        beside[:, 1:] |= fire[:, :-1]
        beside[:, :-1] |= fire[:, 1:]
        chance = self.random.random((SIZE, SIZE))
        grown = (self.grid == EMPTY) & (chance < GROWTH)
        lit = (self.grid == TREE) & (beside | (chance < LIGHTNING))
        self.grid = np.where(fire, EMPTY, np.where(lit, FIRE, np.where(grown, TREE, self.grid))).astype(np.uint8)
        self.steps += 1
        return int((self.grid == FIRE).sum())

    def trees(self) -> int:
        """How many trees stand."""
        return int((self.grid == TREE).sum())

    def pid(self) -> int:
        """The process that simulates."""
        return os.getpid()


Simulator = ray.remote(checkpoint_interval=25, max_restarts=1000)(Forest)


@ray.remote(num_cpus=0)
def saboteur(simulators: list[Any], kills: int) -> int:
    """Kills processes of simulators; how many."""
    chosen, killed = random.Random(3), 0
    while killed < kills:
        pid = ray.get(chosen.choice(simulators).pid.remote())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
        time.sleep(0.01)
    return killed


def simulate(simulators: int, steps: int, kills: int) -> tuple[list[int], list[int]]:
    """Runs simulators beside a saboteur; how many trees burned in each, and how many stand at the end."""
    actors = [Simulator.remote(seed) for seed in range(simulators)]
    sabotage = saboteur.remote(actors, kills)
    burned = [0] * simulators
    for _ in range(steps // 10):
        batches = [[actor.step.remote() for _ in range(10)] for actor in actors]
        for number, batch in enumerate(batches):
            burned[number] += sum(ray.get(batch))
    print(f"killed {ray.get(sabotage)} processes; " + ", ".join(
        f"simulator {number} came back {row['Restarts']} times" for number, row in enumerate(ray.global_state.actors())))
    return burned, ray.get([actor.trees.remote() for actor in actors])


def simulate_serially(simulators: int, steps: int) -> tuple[list[int], list[int]]:
    """The same without ray_lite, and without deaths."""
    forests = [Forest(seed) for seed in range(simulators)]
    return [sum(forest.step() for _ in range(steps // 10 * 10)) for forest in forests], [forest.trees() for forest in forests]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulators", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=10, help="default: %(default)s")
    options = parser.parse_args()
    ray.init()
    try:
        found = simulate(options.simulators, options.steps, options.kills)
    finally:
        ray.shutdown()
    expected = simulate_serially(options.simulators, options.steps)
    print(f"trees burned: {found[0]}, standing: {found[1]}")
    print("as a run without deaths says" if found == expected else f"NOT as a run without deaths says: {expected}")


if __name__ == "__main__":
    main()
