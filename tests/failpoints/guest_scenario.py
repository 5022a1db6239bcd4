"""A host that looks on while a guest works in its session and one of the guest's processes is killed; nothing stays of it.

Run by test_failpoints.py as `guest_scenario.py DIRECTORY TESTS_CORE [NAME KIND PASSAGE]`; without a name the guest's passages
are counted, and printed as JSON.  With one, the guest's process of that kind that passes there is killed.  The host exits with
0 if it and its tasks noticed nothing, and all of the guest is gone.
"""

import json
import os
import subprocess
import sys
import time

import ray_lite as ray

FOLDER, CORE, *ARMED = sys.argv[1:]
sys.path.insert(0, os.path.join(os.path.dirname(CORE), "failpoints"))
import table as tables  # noqa: E402

PATIENCE_S = 20  # until nothing is left of a guest
COUNTED = ("jobs", "objects", "tasks", "refs", "actors", "lanes", "cpus_free", "slots")
GUEST = '''
import sys, threading
import ray_lite as ray
from ray_lite.exceptions import RayActorError, RaySystemError, TaskCancelledError

@ray.remote
def increase(x, *more):
    return x + 1

@ray.remote
def fib(n):
    return n if n < 2 else sum(ray.get([fib.remote(n - 1), fib.remote(n - 2)]))

@ray.remote(num_cpus=2)
def wide(x):
    return x

@ray.remote
class Counter:
    def __init__(self):
        self.count = 0

    def add(self, *others):
        self.count += 1
        return self.count

def work():
    slow = increase.remote(0, ray.put(bytes(50_000)))
    for _ in range(10):
        slow = increase.remote(slow)
    ids = [increase.remote(k) for k in range(100)] + [wide.remote(k) for k in range(4)] + [fib.remote(5)]
    dropped = [increase.remote(slow) for _ in range(20)]
    for x in dropped[::2]:
        ray.cancel(x)
    counter = Counter.options(name="counter", max_restarts=2).remote()
    calls = [counter.add.remote(slow) for _ in range(10)]
    shared = Counter.options(name="shared", shared=True).remote()
    ray.get([shared.add.remote(), *ids, *calls])
    outer = ray.put([ray.put(k) for k in range(20)])
    assert ray.get(ray.wait([increase.remote(1)])[0]) == [2]
    del counter, dropped
    ray.get(ray.get(outer))

ray.init(redis_address=sys.argv[1])
ray.get(increase.remote(1))
print("ready", flush=True)
sys.stdin.readline()
try:
    work()
    ray.shutdown()
except (RaySystemError, RayActorError):
    pass  # its node was killed, or its actor's process too often
'''


@ray.remote
def double(x):
    return 2 * x


def facts(region):
    return {name: region.statistics()[name] for name in COUNTED}


def main():
    address = ray.init(num_cpus=2, object_store_memory=1 << 24)["session_dir"]
    region = ray.session.current().region
    assert ray.get([double.remote(k) for k in range(20)]) == [2 * k for k in range(20)]
    guest = subprocess.Popen([sys.executable, "-c", GUEST, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                             cwd=FOLDER)  # with -c, modules are looked for in the working directory first
    assert guest.stdout.readline() == "ready\n"
    points = tables.Table(os.environ["RAY_LITE_FAILPOINTS"], keep=True)
    before = points.hits()
    if ARMED:
        name, kind, passage = ARMED
        points.arm(name, int(kind), tables.KILL, int(passage))
    guest.stdin.write("go\n")
    guest.stdin.flush()
    if ARMED:
        while guest.poll() is None and not points.caught(ARMED[0]):  # the host's own processes pass nowhere meanwhile
            time.sleep(0.001)
        if points.caught(ARMED[0]) in (os.getpid(), ray.session.current().address["node_pid"]):
            guest.wait(PATIENCE_S)  # it was the host that passed there: then all sees the end of the session
            print(0)
            ray.shutdown()
            return
        assert ray.get([double.remote(k) for k in range(100)], timeout=PATIENCE_S) == [2 * k for k in range(100)]
    code = guest.wait(PATIENCE_S)
    assert ARMED or code == 0, f"a guest that nobody kills ends with {code}"
    print(json.dumps({name: [now - then for now, then in zip(hits, before[name], strict=True)]
                      for name, hits in points.hits().items()}), flush=True)
    end = time.monotonic() + PATIENCE_S
    while (left := facts(region))["jobs"] > 1 or left["actors"] or left["tasks"] or left["cpus_free"] != 2:
        assert time.monotonic() < end, left
        time.sleep(0.005)
    region.check()
    assert ray.get([double.remote(k) for k in range(20)], timeout=PATIENCE_S) == [2 * k for k in range(20)]
    region.check()
    print(points.caught(ARMED[0]) if ARMED else 0, flush=True)
    ray.shutdown()


main()
