"""The suite's machinery: the machine's description, fresh processes in turn, and the record of a run."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from plan import FIGURES, OURS, RATIOS, Case, Figure, Ratio

HERE = Path(__file__).resolve().parent
FORMAT = 1
PATIENCE = 180.0  # seconds; the longest case takes a tenth of that


class CaseFailed(Exception):
    """A case's process ended badly, or not at all."""


@dataclass(frozen=True)
class Result:
    """One figure of one contestant: a value for each fresh process."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def overlaps(self, other: Result) -> bool:
        return self.low <= other.high and other.low <= self.high


@dataclass
class Run:
    """Everything that one `run.py run` measured; what the files in results/ hold."""

    machine: dict[str, str]
    quick: bool
    started: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, contestant: str, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self.values.setdefault(contestant, {}).setdefault(key, []).append(value)

    def result(self, contestant: str, key: str) -> Result | None:
        values = self.values.get(contestant, {}).get(key)
        return Result(tuple(values)) if values else None

    def rows(self) -> Iterator[Figure]:
        """The figures and ratios of which there is a value."""
        for figure in (*FIGURES, *(ratio.figure for ratio in RATIOS)):
            if any(figure.key in values for values in self.values.values()):
                yield figure

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Run:
        stored = json.loads(path.read_text())
        if stored.pop("format") != FORMAT:
            raise ValueError(f"{path} has another format than {FORMAT}")
        return cls(**stored)


def play(run: Run, cases: Sequence[Case], rounds: int, environment: Mapping[str, str]) -> None:
    """Run all cases in turn, `rounds` times: whatever disturbs the machine disturbs every contestant."""
    for number in range(1, rounds + 1):
        fresh: dict[str, dict[str, float]] = {}
        for case in cases:
            if case.name in run.failures:
                continue
            print(f"round {number} of {rounds}: {case.name}", file=sys.stderr, flush=True)
            try:
                values = measure(case, run.quick, environment)
            except CaseFailed as failure:
                run.failures[case.name] = str(failure)
                continue
            run.add(case.contestant, values)
            fresh.setdefault(case.contestant, {}).update(values)
        run.add(OURS, {r.figure.key: value for r in RATIOS if (value := ratio_of(r, fresh)) is not None})


def ratio_of(ratio: Ratio, fresh: Mapping[str, Mapping[str, float]]) -> float | None:
    ours = fresh.get(OURS, {}).get(ratio.of)
    theirs = [value for key, value in fresh.get(ratio.contestant, {}).items() if key in ratio.faces]
    return ours / max(theirs) if ours is not None and theirs else None


def measure(case: Case, quick: bool, environment: Mapping[str, str]) -> dict[str, float]:
    """Run the case in a process, and a session, of its own."""
    size = "quick" if quick else "full"
    process = subprocess.Popen(
        [sys.executable, str(HERE / "measure.py"), case.module, case.function, size],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise CaseFailed(f"no result after {PATIENCE:.0f} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        raise CaseFailed(last_line(errors) or f"exit status {process.returncode}")
    values = {key: float(value) for key, value in (item.split("=") for item in last_line(output).split())}
    if set(values) != set(case.figures):
        raise CaseFailed(f"gave {sorted(values)} instead of {sorted(case.figures)}")
    return values


def last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def machine() -> dict[str, str]:
    """What the numbers depend on, and nothing that tells whose machine it is."""
    return {
        "cpu": first_match("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": first_match("/proc/meminfo", "MemTotal"),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": f"{os.getloadavg()[0]:.2f}",
        "commit": commit(),
    }


def first_match(path: str, label: str) -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == label:
            return value.strip()
    return ""


def free_huge_mib() -> int:
    """MiB of huge pages of the default size that nobody uses or was promised."""
    facts = {name: first_match("/proc/meminfo", name) for name in ("HugePages_Free", "HugePages_Rsvd", "Hugepagesize")}
    free, promised, size = (int((text or "0").split()[0]) for text in facts.values())
    return (free - promised) * size // 1024


def commit() -> str:
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
