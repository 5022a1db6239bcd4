"""The soak of a shared session: guests work, and they, their nodes or workers are killed; nothing stays of them.

    python tests/soak/crowd.py SECONDS SEED

This process is one more driver, whose tasks are checked meanwhile, and the region every second.  The servers of the control
store and the host's control process are killed, too; at last the session is stopped, or its host killed, under the guests.
It prints one line of counts, and ends with 1 if anything was wrong.  Neighbours: guest.py is what a guest does; test_crowd.py
runs both.
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
from ray_lite.control.ask import ask
from ray_lite.driver.address import directory_of

GUEST = Path(__file__).with_name("guest.py")
GUESTS = 4  # at a time
KILL_ONE_IN, HARM_HOST_ONE_IN = 3, 100  # turns
RAY_LITE = [sys.executable, "-m", "ray_lite"]
QUIET_S = 10  # until nothing of the guests is left
EMPTY = {"jobs": 2, "tasks": 0, "refs": 0, "actors": 0, "lanes": 0, "stalled": 0, "ready": 0, "cpus_free": 2.0}


@ray.remote
def double(x):
    return 2 * x


class Crowd:
    """The guests of one session."""

    def __init__(self, seed, address, host):
        self.seed, self.address, self.host, self.rng = seed, address, host, random.Random(seed)
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

    def harm_host(self):
        """Kills a server of the control store, or the host's control process."""
        try:
            children = self.host.children()
            servers = [one for one in children if "python" not in one.name()]
            kind = self.rng.choice(["server", "control"])
            self.rng.choice(servers if kind == "server" else [one for one in children if one not in servers]).kill()
        except (psutil.Error, IndexError):
            return
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
        self.guests.clear()

    def end(self):
        """The session ends under the guests, in good order or not."""
        self.fill()
        time.sleep(0.5)
        family = [self.host, *(one for guest in self.guests for one in psutil.Process(guest.pid).children(recursive=True))]
        if self.seed % 2:
            self.host.kill()
        else:
            subprocess.run([*RAY_LITE, "stop", "--address", self.address], check=True, capture_output=True)
        for guest in self.guests:
            try:
                guest.communicate(timeout=QUIET_S)
            except subprocess.TimeoutExpired:
                self.failures.append("a guest does not see the end of the session")
        gone, left = psutil.wait_procs(family, QUIET_S)
        self.failures += [f"there is still process {one.pid}" for one in left]
        self.leave()


def start():
    """A new session: its address, and its host."""
    flags = ["--num-cpus", "2", "--object-store-memory", "2e8", "--num-redis-shards", "1", "--port", "0"]
    output = subprocess.run([*RAY_LITE, "start", "--head", *flags], check=True, capture_output=True, text=True).stdout
    address = output.partition('redis_address="')[2].partition('"')[0]
    return address, psutil.Process(ask(directory_of(address), "session", 5)["node_pid"])


def run(seconds, seed):
    address, host = start()
    ray.init(redis_address=address, driver_mode=ray.SILENT_MODE)
    region, crowd = ray.session.current().region, Crowd(seed, address, host)
    end = looked = time.monotonic() + seconds
    while time.monotonic() < end:
        crowd.fill()
        assert ray.get([double.remote(k) for k in range(50)], timeout=30) == [2 * k for k in range(50)]
        if crowd.rng.randrange(KILL_ONE_IN) == 0:
            crowd.harm()
        if crowd.rng.randrange(HARM_HOST_ONE_IN) == 0:
            crowd.harm_host()
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
    crowd.end()
    print(json.dumps({"seed": seed, **crowd.counts, "failures": len(crowd.failures)}))
    print("\n".join(crowd.failures))
    return 1 if crowd.failures else 0


if __name__ == "__main__":
    sys.exit(run(float(sys.argv[1]), int(sys.argv[2])))
