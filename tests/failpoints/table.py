"""The file through which a test tells every process of a session where to die or to stand still (region/failpoints.h)."""

import mmap
import re
import struct
from pathlib import Path

CORE = Path(__file__).parents[2] / "ray_lite" / "_core.src"
COUNT, KILL, HOLD = range(3)
UNSLOTTED, DRIVER, NODE, WORKER, ACTOR = range(5)
KINDS = {UNSLOTTED: "process without a slot", DRIVER: "driver", NODE: "node", WORKER: "worker", ACTOR: "actor's process"}
ENTRY = struct.Struct("32s 4I 5I")
ACTION, WHO, COUNTDOWN, CAUGHT, HITS = (32 + 4 * k for k in range(5))


def names():
    """Every failpoint that the core's sources define, in all of its folders."""
    files = [path for path in CORE.rglob("*") if path.suffix in (".pyx", ".h") and path.name != "failpoints.h"]
    return sorted({name for path in files for name in re.findall(r'rl_failpoint\(.*?, b?"([\w.]+)"\)', path.read_text())})


class Table:
    """All failpoints, counting; `arm` sets one. `keep`: somebody has made the file."""

    def __init__(self, path, keep=False):
        self.path = path
        if not keep:
            path.write_bytes(b"".join(ENTRY.pack(name.encode(), *[0] * 9) for name in names()))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.at = {name: k * ENTRY.size for k, name in enumerate(names())}

    def close(self):
        self.map.close()

    def get(self, name, field):
        return struct.unpack_from("I", self.map, self.at[name] + field)[0]

    def set(self, name, field, value):
        struct.pack_into("I", self.map, self.at[name] + field, value)

    def arm(self, name, kind, action, passage):
        """The so-manyth passage of a process of this kind is caught."""
        self.set(name, ACTION, action)
        self.set(name, WHO, 1 << kind)
        self.set(name, COUNTDOWN, passage)

    def caught(self, name):
        """The pid of whoever was caught, or 0."""
        return self.get(name, CAUGHT)

    def release(self, name):
        """Whoever is held there goes on."""
        self.set(name, ACTION, COUNT)

    def hits(self):
        """{name: passages by kind}."""
        return {name: [self.get(name, HITS + 4 * kind) for kind in KINDS] for name in self.at}

    def tasks_begun(self):
        """Calls of actors are tasks, too."""
        return sum(self.hits()["take.run"]) + sum(self.hits()["call.run"])
