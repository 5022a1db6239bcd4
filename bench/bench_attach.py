"""Several drivers in one session: attaching, throughput of two beside that of one, fairness, and the end of a driver."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter, sleep
from typing import IO

from probes import CPUS, MS, echo, percentile

import ray_lite as ray
from ray_lite import session

HEAD = """
import sys, time
import ray_lite as ray
begun = time.perf_counter()
ray.init(redis_address=sys.argv[1])
attached = time.perf_counter() - begun
count = int(sys.argv[2])
@ray.remote
def echo(x): return x
@ray.remote
def nap(): time.sleep(0.005)
"""
FIRST = """
ray.get(echo.remote(1))
print(attached, time.perf_counter() - begun)
"""
RATE = """
ray.get([echo.remote(k) for k in range(1000)])
print("ready", flush=True)
sys.stdin.readline()
begun = time.perf_counter()
for _ in range(count):
    ray.get([echo.remote(k) for k in range(2000)])
print(count * 2000 / (time.perf_counter() - begun))
"""
SHARE = """
ray.get(nap.remote())
begun = time.perf_counter()
ray.get([nap.remote() for _ in range(count)])
print(time.perf_counter() - begun)
"""
QUEUE = """
held = [ray.remote(lambda: time.sleep(1000)).remote() for _ in range(2)]
ids = [echo.remote(k) for k in range(count)]
print("ready", flush=True)
time.sleep(1000)
"""


def _begin(source: str, count: int) -> subprocess.Popen[str]:
    """An attached driver that runs a source."""
    address = session.current().address["session_dir"]
    command = [sys.executable, "-c", HEAD + source, address, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _says(driver: subprocess.Popen[str]) -> list[str]:
    """The words of the next line that a driver prints."""
    out: IO[str] | None = driver.stdout
    assert out is not None
    return out.readline().split()


def attaching(quick: bool) -> dict[str, float]:
    ray.init(num_cpus=CPUS, driver_mode=ray.SILENT_MODE)
    times = []
    for _ in range(3 if quick else 15):
        driver = _begin(FIRST, 0)
        times.append([float(word) for word in _says(driver)])
        driver.wait()
    ray.shutdown()
    return {"attach": percentile([one for one, _ in times], 50) * MS, "attach_first": percentile([two for _, two in times], 50)}


def _rates(number: int, rounds: int) -> float:
    """Tasks a second of so many drivers together."""
    drivers = [_begin(RATE, rounds) for _ in range(number)]
    for driver in drivers:
        assert _says(driver) == ["ready"]
    for driver in drivers:
        assert driver.stdin is not None
        driver.stdin.write("\n")
        driver.stdin.flush()
    found = sum(float(_says(driver)[0]) for driver in drivers)
    for driver in drivers:
        driver.wait()
    return found


def together(quick: bool) -> dict[str, float]:
    """Two drivers beside one, in turn."""
    rounds = 50 if quick else 1000
    ray.init(num_cpus=CPUS, driver_mode=ray.SILENT_MODE)
    ratios = [_rates(2, rounds) / _rates(1, rounds) for _ in range(1 if quick else 3)]
    ray.shutdown()
    return {"two_of_one": percentile(ratios, 50)}


def fairness(quick: bool) -> dict[str, float]:
    """How much of half of the CPUs a driver gets that comes while another has a long queue."""
    count = 20 if quick else 200
    ray.init(num_cpus=CPUS, driver_mode=ray.SILENT_MODE)
    nap = ray.remote(lambda: sleep(0.005))
    ids = [nap.remote() for _ in range(20 * count)]
    driver = _begin(SHARE, count)
    took = float(_says(driver)[0])
    driver.wait()
    for x in ids:
        ray.cancel(x)
    ray.shutdown()
    return {"share_of_half": count * 0.005 / (CPUS / 2) / took}


def dropping(quick: bool) -> dict[str, float]:
    """A driver with a long queue is killed: until its CPUs are free, until nothing of it is left, and others meanwhile."""
    count = 10_000 if quick else 1_000_000
    ray.init(num_cpus=CPUS, driver_mode=ray.SILENT_MODE)
    region = session.current().region  # type: ignore[attr-defined]
    task = ray.remote(num_cpus=0)(echo)

    def rate(seconds: float) -> float:
        begun, done = perf_counter(), 0
        while perf_counter() - begun < seconds:
            ray.get([task.remote(k) for k in range(500)])
            done += 500
        return done / (perf_counter() - begun)

    driver = _begin(QUEUE, count)
    assert _says(driver) == ["ready"]
    before = rate(1)
    driver.kill()
    begun, rates, freed = perf_counter(), [], 0.0
    while region.statistics()["jobs"] > 1:
        rates.append(rate(0.05))
        if not freed and region.statistics()["cpus_free"] == CPUS:
            freed = perf_counter() - begun
    gone = perf_counter() - begun
    driver.wait()
    ray.shutdown()
    return {"drop_cpus": freed or gone, "drop": gone, "drop_meanwhile": sum(rates) / len(rates) / before if rates else 1.0}
