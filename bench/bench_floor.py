"""The floor that floor.pyx describes: its build, made once a run in a temporary directory, and its cases."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from probes import echo, latencies

HERE = Path(__file__).resolve().parent
CORE = HERE.parent / "ray_lite" / "_core.src"
BUILT = "RAY_LITE_BENCH_FLOOR"


@contextmanager
def built() -> Iterator[dict[str, str]]:
    """Build floor.pyx; yield the environment in which the cases find it."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, directory]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"floor.pyx does not build:\n{done.stdout}{done.stderr}")
        yield {BUILT: directory}


def build(directory: str) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    sources, options = [str(HERE / "floor.pyx")], ["-O3"]
    extension = Extension("floor", sources, include_dirs=[str(CORE)], extra_compile_args=options)
    modules = cythonize([extension], build_dir=directory)  # type: ignore[no-untyped-call]
    command = build_ext(Distribution({"ext_modules": modules}))
    command.build_lib = command.build_temp = directory
    command.ensure_finalized()
    command.run()


@contextmanager
def warm_floor(capacity: int) -> Iterator[Any]:
    sys.path.insert(0, os.environ[BUILT])
    floor = import_module("floor").Floor(echo, capacity + 1000)
    try:
        for ticket in [floor.submit(i) for i in range(1000)]:
            floor.result(ticket)
        yield floor
    finally:
        floor.close()


def throughput(quick: bool) -> dict[str, float]:
    count = 20_000 if quick else 100_000
    with warm_floor(count) as floor:
        started = perf_counter()
        values = [floor.result(ticket) for ticket in [floor.submit(i) for i in range(count)]]
        seconds = perf_counter() - started
        assert values == list(range(count))
    return {"async": count / seconds}


def latency(quick: bool) -> dict[str, float]:
    count = 2_000 if quick else 20_000
    with warm_floor(count * 2) as floor:
        return latencies(lambda i: floor.result(floor.submit(i)), count)


if __name__ == "__main__":
    build(sys.argv[1])
