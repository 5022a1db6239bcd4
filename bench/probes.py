"""What the cases measure with: latencies, memory, processor time, context switches. Light to import, for measure.py's sake."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

CPUS = 2  # of every contestant; the aims hold for two
US = 1e6
MS = 1e3
MB = 1e6


def echo(value: int) -> int:
    """The no-op task of every contestant: giving its argument back shows that each task ran."""
    return value


class Echo:
    """The no-op actor of every contestant that has actors.

    Args:
        size: bytes of its state.
    """

    def __init__(self, size: int = 0) -> None:
        self.state = bytes(size)

    def echo(self, value: Any) -> Any:
        return value

    def pid(self) -> int:
        return os.getpid()


def hold(arrivals: str, door: str) -> int:
    """A task that is seen, then keeps its worker until the door opens; which process that was.

    Here, since its module is imported by every worker whose memory is measured.
    """
    with open(door, "rb") as wait, open(arrivals, "wb", buffering=0) as bell:  # in this order: it may open at once
        bell.write(b"!")
        wait.read()
    return os.getpid()


def latencies(call: Callable[[int], int], count: int) -> dict[str, float]:
    """Time `call(i)`, which must return i, one after the other."""
    for i in range(count // 10):
        call(i)
    times = []
    for i in range(count):
        started = perf_counter()
        answer = call(i)
        times.append(perf_counter() - started)
        assert answer == i
    return {"sync_p50": percentile(times, 50) * US, "sync_p99": percentile(times, 99) * US}


def percentile(values: Iterable[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def family(*roots: int) -> set[int]:
    """These processes and all their descendants."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            # The command's name, in parentheses, may hold anything; after it come the state and the parent.
            parent = int(_read(f"/proc/{name}/stat").rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    pending = list(roots)
    while pending:
        pid = pending.pop()
        if pid not in found:
            found.add(pid)
            pending += children.get(pid, ())
    return found


def private_bytes(pids: Iterable[int]) -> int:
    """Memory that only one process has, shared mappings apart.

    smaps_rollup can't tell those apart: the kernel calls a page of a shared mapping private while one process
    only has touched it, and such pages are counted once already, in the region's size.
    """
    total = 0
    for pid in pids:
        shared = False
        for line in _read(f"/proc/{pid}/smaps").splitlines():
            field, *rest = line.split()
            if not field.endswith(":"):
                shared = rest[0].endswith("s")
            elif field.startswith("Private_") and not shared:
                total += int(rest[0]) * 1024
    return total


def proportional_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes together: what they share is counted once."""
    total = 0
    for pid in pids:
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pids: Iterable[int]) -> float:
    """Time on a processor, to the nanosecond: an idle session uses less than a tick of /proc/*/stat."""
    nanoseconds = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            nanoseconds += int(_read(f"/proc/{pid}/task/{thread}/schedstat").split()[0])
    return nanoseconds / 1e9


def kernel_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """What part of the time between two looks at `ticks` was spent in the kernel."""
    user, kernel = (late - early for early, late in zip(before, after, strict=True))
    return kernel / (user + kernel) if user + kernel else 0.0


def ticks(pids: Iterable[int]) -> tuple[int, int]:
    """Clock ticks in user and in kernel mode: good for their proportion, too coarse for a total of many processes."""
    fields = [_read(f"/proc/{pid}/stat").rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) for one in fields), sum(int(one[12]) for one in fields)


def switches(pids: Iterable[int]) -> tuple[int, int]:
    """Context switches: voluntary ones, when a thread had to wait, and involuntary ones, when another had its turn."""
    voluntary = involuntary = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            facts = dict(line.split(":", 1) for line in _read(f"/proc/{pid}/task/{thread}/status").splitlines())
            voluntary += int(facts["voluntary_ctxt_switches"])
            involuntary += int(facts["nonvoluntary_ctxt_switches"])
    return voluntary, involuntary


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
