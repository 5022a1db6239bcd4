"""Measure ray_lite beside the standard library's pools and the floor, or compare two runs.

    python bench/run.py run [--quick] [--only NAME] [--rounds N] [--output results/x.json]
    python bench/run.py run --only profile
    python bench/run.py compare a.json b.json
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

import bench_floor
from common import Run, free_huge_mib, machine, play
from plan import CASES, FLOOR, Case
from report import comparison, table


def main() -> int:
    options = parse_options()
    if options.command == "compare":
        print(comparison(Run.load(options.before), Run.load(options.after)))
        return 0
    return measure_all(options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure, and print one table")
    run.add_argument("--quick", action="store_true", help="3 rounds of smaller cases: a look, not a result")
    run.add_argument("--only", default="", help="cases or figures whose name contains this")
    run.add_argument("--rounds", type=int, help="fresh processes a case (default: 7, quick 3)")
    run.add_argument("--output", type=Path, help="also write the values, as JSON")
    compare = commands.add_parser("compare", help="say what differs between two runs, if anything")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    return parser.parse_args()


def measure_all(options: argparse.Namespace) -> int:
    run = Run(machine(), options.quick)
    wanted = [case for case in CASES if matches(case, options.only) and (options.only or not case.apart)]
    cases = [case for case in wanted if case.huge_mib <= free_huge_mib()]
    for case in wanted:
        if case not in cases:
            print(f"left out {case.name}: it needs {case.huge_mib} MiB of free huge pages", file=sys.stderr)
    if not cases:
        known = ", ".join(case.name for case in CASES)
        print(f"no case or figure has {options.only!r} in its name; the cases: {known}", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        environment: dict[str, str] = {}
        if any(case.contestant == FLOOR for case in cases):
            environment = stack.enter_context(bench_floor.built())
        play(run, cases, options.rounds or (3 if options.quick else 7), environment)
    print(table(run))
    if options.output:
        run.save(options.output)
    return 1 if run.failures else 0


def matches(case: Case, name: str) -> bool:
    return any(name in candidate for candidate in (case.name, case.contestant, *case.figures))


if __name__ == "__main__":
    sys.exit(main())
