"""Compare built checkouts, or settings of one, round by round in turn: for differences of a few per cent.

    python bench/pairs.py [--rounds N] TREE[,NAME=VALUE...] TREE[,NAME=VALUE...] ...

Each contestant is a session that lives throughout and idles while another has its round of 50,000 no-op tasks, a tenth of a
second at most.  So all meet the same phases of the machine, which change its speed by more than what is looked for.  NAME=VALUE
is put into the contestant's environment.  Name one tree twice to see how far two sessions of the same code differ.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

TASKS = 50_000
WARM_UP = 20_000


class Contestant:
    """A session in a process of its own, which runs one round for each line that it reads."""

    def __init__(self, label: str) -> None:
        tree, *settings = label.split(",")
        self.label = label
        self.rates: list[float] = []
        environment = {**os.environ, **dict(setting.split("=", 1) for setting in settings)}
        environment["PYTHONPATH"] = str(Path(tree).resolve())
        command = [sys.executable, __file__, "--contestant"]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def _answer(self) -> float:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.label}: the session ended, see above")
        return float(line)

    def play(self) -> None:
        assert self.process.stdin
        print("round", file=self.process.stdin, flush=True)
        self.rates.append(self._answer())

    def end(self) -> None:
        self.process.communicate()


def contestant() -> None:
    import ray_lite as ray

    @ray.remote
    def nothing() -> None:
        pass

    def rate(tasks: int) -> float:
        begin = time.perf_counter()
        ray.get([nothing.remote() for _ in range(tasks)])
        return tasks / (time.perf_counter() - begin)

    ray.init(num_cpus=1, driver_mode=ray.SILENT_MODE, object_store_memory=512 << 20)
    print(rate(WARM_UP), flush=True)
    for _ in sys.stdin:
        print(rate(TASKS), flush=True)
    ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("tree", nargs="+", help="TREE[,NAME=VALUE...]; the first is what the others are compared with")
    options = parser.parse_args()
    contestants = [Contestant(label) for label in options.tree]
    for _ in range(options.rounds):
        for one in random.sample(contestants, len(contestants)):
            one.play()
    print(f"{'tasks/s: median':>16} {'to the first':>13}  contestant")
    for one in contestants:
        ratio = statistics.median(mine / first for mine, first in zip(one.rates, contestants[0].rates, strict=True))
        print(f"{statistics.median(one.rates):16,.0f} {ratio:13.3f}  {one.label}")
        one.end()


if __name__ == "__main__":
    contestant() if sys.argv[1:] == ["--contestant"] else main()
