"""The soak of several drivers in one session: guests work, and they, their nodes or workers are killed; nothing stays of them.

    python tests/soak/crowd.py SECONDS SEED

The host's own tasks are checked meanwhile, and the region every second.  It prints one line of counts, and ends with 1 if
anything was wrong.  Neighbours: guest.py is what a guest does; test_crowd.py runs both.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

import ray_lite as ray

GUEST = Path(__file__).with_name("guest.py")
GUESTS = 4  # at a time
KILL_ONE_IN = 3  # turns
QUIET_S = 10  # until nothing of the guests is left
EMPTY = {"jobs": 1, "tasks": 0, "refs": 0, "actors": 0, "lanes": 0, "stalled": 0, "ready": 0, "cpus_free": 2.0}


@ray.remote
def double(x):
    return 2 * x


class Crowd:
    """The guests of one session."""

    def __init__(self, seed, address):
        self.seed, self.address, self.rng = seed, address, random.Random(seed)
        self.guests, self.counts, self.failures = [], Counter(), []

    def fill(self):
        while len(self.guests) < GUESTS:
            self.counts["guests"] += 1
            command = [sys.executable, str(GUEST), self.address, str(self.seed * 10_000 + self.counts["guests"])]
            self.guests.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def harm(self):
        """Kills a guest, its node or one of its workers, or stops its node for a moment."""
        guest, kind = self.rng.choice(self.guests), self.rng.choice(["driver", "node", "worker", "worker", "stop"])
        try:
            if kind == "driver":
                guest.kill()
            else:
                node, = psutil.Process(guest.pid).children()
                if kind == "node":
                    node.kill()
                elif kind == "stop":
                    node.suspend()
                    time.sleep(0.05)
                    node.resume()
                else:
                    self.rng.choice(node.children()).kill()
        except (psutil.Error, ValueError, IndexError):
            return  # it has none, or has ended
        self.counts[kind] += 1

    def judge(self):
        """Notes what guests that have ended said of errors."""
        for guest in [one for one in self.guests if one.poll() is not None]:
            self.guests.remove(guest)
            _, err = guest.communicate()
            if guest.returncode not in (0, -9):
                self.failures.append(err[-2000:])

    def leave(self):
        for guest in self.guests:
            guest.kill()
            guest.communicate()


def run(seconds, seed):
    address = ray.init(num_cpus=2, object_store_memory=200_000_000, driver_mode=ray.SILENT_MODE)["session_dir"]
    region, crowd = ray.session.current().region, Crowd(seed, address)
    end = looked = time.monotonic() + seconds
    while time.monotonic() < end:
        crowd.fill()
        assert ray.get([double.remote(k) for k in range(50)], timeout=30) == [2 * k for k in range(50)]
        if crowd.rng.randrange(KILL_ONE_IN) == 0:
            crowd.harm()
        crowd.judge()
        if time.monotonic() - looked > 1 or looked == end:
            region.check()
            looked = time.monotonic()
    crowd.leave()
    quiet = time.monotonic() + QUIET_S
    while left := {name: region.statistics()[name] for name, wanted in EMPTY.items() if region.statistics()[name] != wanted}:
        if time.monotonic() > quiet:
            crowd.failures.append(f"there is still: {left}")
            break
        time.sleep(0.05)
    region.check()
    ray.shutdown()
    print(json.dumps({"seed": seed, **crowd.counts, "failures": len(crowd.failures)}))
    print("\n".join(crowd.failures))
    return 1 if crowd.failures else 0


if __name__ == "__main__":
    sys.exit(run(float(sys.argv[1]), int(sys.argv[2])))
