"""A bootstrap confidence interval over one large array that all processes share.

The array is put into the store once. Hundreds of tasks get its id, and each reads the same bytes through a
read-only view: no copy, no matter how many processes. The memory that all of them use together is measured
while they work.

Each task draws m of the n values with replacement (the "m out of n" bootstrap), so its estimate scatters
sqrt(n / m) times as much as one of the whole array would; the interval is scaled back by that.

    python examples/bootstrap.py [--num-cpus N] [--megabytes MB] [--tasks N] [--statistic median]
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ray_lite as ray

Array = NDArray[np.float64]
STATISTICS: dict[str, Callable[[Array], np.floating]] = {"mean": np.mean, "median": np.median, "std": np.std}
MB = 1_000_000


def main() -> None:
    options = parse_options()
    driver_and_node = [os.getpid(), ray.init(num_cpus=options.num_cpus)["node_pid"]]
    try:
        data_id = ray.put(sample_data(options.megabytes))
        data: Array = ray.get(data_id)

        started = time.perf_counter()
        name, draws = options.statistic, options.draws
        tasks = [estimate.remote(data_id, name, draws, seed) for seed in range(options.tasks)]
        estimates, workers, peak = gather(tasks, driver_and_node)
        seconds = time.perf_counter() - started

        report_interval(data, estimates, options)
        print(f"{options.tasks:,} tasks in {seconds:.2f} s, {options.tasks / seconds:,.0f} tasks/s")
        report_memory(data.nbytes, peak, readers=len(workers) + 1)
    finally:
        ray.shutdown()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-cpus", type=int, help="cores to use (default: all of them)")
    parser.add_argument("--megabytes", type=int, default=256, help="size of the array (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=400, help="resamples (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=200_000, help="values in one (default: %(default)s)")
    parser.add_argument("--statistic", choices=STATISTICS, default="median", help="default: %(default)s")
    return parser.parse_args()


def sample_data(megabytes: int) -> Array:
    """Incomes, say: log-normal, so that mean and median differ."""
    return np.random.default_rng(0).lognormal(mean=10.0, sigma=0.75, size=megabytes * MB // 8)


@ray.remote
def estimate(data: Array, statistic: str, draws: int, seed: int) -> tuple[float, int]:
    """Return the statistic of one resample, and the process that computed it."""
    # The seed travels with the task: the result is the same whichever worker runs it.
    chosen = np.random.default_rng(seed).integers(0, len(data), size=draws)
    return float(STATISTICS[statistic](data[chosen])), os.getpid()


def gather(pending: list[ray.ObjectID], roots: list[int]) -> tuple[Array, set[int], int]:
    """Wait for all tasks; return their estimates, the workers, and the most memory seen meanwhile."""
    tasks, peak = pending, 0
    while pending:
        _, pending = ray.wait(pending, num_returns=len(pending), timeout=250)
        peak = max(peak, memory(roots))
    estimates, workers = zip(*ray.get(tasks), strict=True)
    return np.array(estimates), set(workers), peak


def report_interval(data: Array, estimates: Array, options: argparse.Namespace) -> None:
    whole = float(STATISTICS[options.statistic](data))
    errors = (estimates - whole) * np.sqrt(options.draws / len(data))
    low, high = whole - np.quantile(errors, [0.975, 0.025])
    print(f"{options.statistic} of {len(data):,} values: {whole:,.2f}, 95 % from {low:,.2f} to {high:,.2f}")


def report_memory(array: int, peak: int, readers: int) -> None:
    copies = peak + (readers - 1) * array
    print(f"array: {array / MB:,.0f} MB, read by {readers} processes")
    print(f"memory of all processes together: {peak / MB:,.0f} MB ({peak / array:.2f} times the array)")
    print(f"with a copy in each process: {copies / MB:,.0f} MB ({copies / array:.2f} times the array)")


def memory(roots: list[int]) -> int:
    """Bytes that these processes and their descendants use; a page shared by k of them counts once."""
    return sum(proportional_set_size(pid) for pid in family(roots))


def proportional_set_size(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # a worker may end while we look
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def family(roots: list[int]) -> set[int]:
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything; after it come the state and the parent.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[parent].append(int(stat.parent.name))
    found: set[int] = set()
    pending = list(roots)
    while pending:
        pid = pending.pop()
        if pid not in found:
            found.add(pid)
            pending += children[pid]
    return found


if __name__ == "__main__":
    main()
