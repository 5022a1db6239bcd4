"""What the tables of a region say, as plain sets: read from the control file, in the words of ledger.py.

Nobody may be inside the core meanwhile.  Pictures of a region and of the ledger that agree are equal.
"""

import os
from typing import NamedTuple

import damage
import numpy as np

OBJECT_STATES = ("free", "pending", "creating", "sealed", "garbage")
TASK_STATES = ("free", "building", "waiting", "ready", "running")
INDEXED, INTERRUPTED, ALIVE = 1, 2, 1


def label(binary):
    """A name of an object or task that people can read."""
    return binary[:4].hex()


class Picture(NamedTuple):
    """Everything by label; `picture != other` is a disagreement."""

    objects: dict  #: (state, slots that hold it, pins, exposed, its live task, contents)
    tasks: dict  #: (state, slot that runs it, attempts, retries left, arguments, returns, interrupted, unready arguments)
    queues: dict  #: labels of ready tasks in order, by CPUs and depth
    slots: dict  #: (running tasks, innermost last; CPUs held; blocked)

    def differences(self, other):
        """Lines that name what is different."""
        for what, mine, theirs in zip(self._fields, self, other, strict=True):
            for key in sorted({*mine, *theirs}, key=str):
                if mine.get(key) != theirs.get(key):
                    yield f"{what} {key}: expected {mine.get(key)}, found {theirs.get(key)}"


class Tables:
    """The tables of one control file."""

    def __init__(self, file):
        self.file, self.words = file, damage.Words(file)
        self.kinds = {kind: self.layout(kind) for kind in damage.TABLES}
        self.row_bytes = self.header("row_bytes")

    def header(self, field):
        return self.words.get(self.words.header(field))

    def layout(self, kind):
        """The fields of an entry, and where the table is."""
        fields = {name: (f"<u{size}", at) for name, (at, size) in self.words.structs["rl_" + kind].items() if size > 1}
        if kind in ("object", "task"):
            fields["id"] = ("V20", self.words.structs["rl_" + kind]["id"][0])
        formats, offsets = zip(*fields.values(), strict=True)
        offset, stride = (self.words.get(self.words.table(damage.TABLES[kind], what)) for what in ("offset", "stride"))
        names = list(fields)
        return offset, np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": stride})

    def read(self, kind):
        """The entries of a table, 0 included."""
        offset, layout = self.kinds[kind]
        used = self.words.get(self.words.table(damage.TABLES[kind], "used"))
        return np.frombuffer(os.pread(self.file, used * layout.itemsize, offset), layout)

    def slot(self, index, field):
        return self.words.get(self.words.entry("slot", index, field))

    def holders(self, slots, count):
        """{object: slots with its bit}."""
        found = {}
        for slot in slots:
            row = os.pread(self.file, count // 8 + 8, self.header("rows") + self.row_bytes * slot)
            for index in np.flatnonzero(np.unpackbits(np.frombuffer(row, "u1"), bitorder="little")).tolist():
                found.setdefault(index, []).append(slot)
        return found

    def now(self):
        return Reading(self)


class Reading:
    """One look at all tables."""

    def __init__(self, tables):
        self.objects, self.tasks, self.refs, self.slots = (tables.read(kind) for kind in ("object", "task", "ref", "slot"))
        self.queues = tables.read("queue")
        self.alive = [s for s in range(1, len(self.slots)) if self.slots["state"][s]]
        self.live = np.flatnonzero(self.objects["state"]).tolist()
        self.holders = tables.holders(self.alive, len(self.objects))

    def name(self, rows, index):
        return label(bytes(rows["id"][index])) if index else None

    def chain(self, rows, index):
        """Indices along `next`; an entry is on it once, so a longer one is a cycle."""
        found = []
        while index:
            found.append(int(index))
            assert len(found) <= len(rows), "a chain has a cycle"
            index = rows["next"][index]
        return found

    def targets(self, first):
        """The objects that a chain of refs names, in the order in which they were given."""
        refs = [self.refs["object"][r] for r in self.chain(self.refs, first)]
        return tuple(self.name(self.objects, i) for i in reversed(refs))

    def object(self, i):
        row = self.objects[i]
        holders = tuple(self.holders.get(i, ()))
        task, contents = self.name(self.tasks, row["task"]), self.targets(row["contents"])
        return OBJECT_STATES[row["state"]], holders, int(row["pins"]), bool(row["flags"] & INDEXED), task, contents

    def task(self, t):
        row = self.tasks[t]
        returns = tuple(self.name(self.objects, i) for i in reversed(self.chain(self.objects, row["returns"])))
        attempts, interrupted = (int(row["attempts"]), int(row["retries_left"])), bool(row["flags"] & INTERRUPTED)
        facts = *attempts, self.targets(row["refs"]), returns, interrupted, int(row["ndeps"])
        return TASK_STATES[row["state"]], int(row["owner"]), *facts

    def stack(self, s):
        running = tuple(self.name(self.tasks, t) for t in reversed(self.chain(self.tasks, self.slots["running"][s])))
        return running, self.cpus_of(self.slots["shape"][s]), bool(self.slots["blocked"][s])

    def cpus_of(self, queue):
        return int(self.queues["cpus"][queue]) if queue else 0

    def picture(self):
        tasks = np.flatnonzero(self.tasks["state"]).tolist()
        heads = [((int(q["cpus"]), int(q["depth"])), self.chain(self.tasks, q["head"])) for q in self.queues if q["head"]]
        return Picture(
            {self.name(self.objects, i): self.object(i) for i in self.live},
            {self.name(self.tasks, t): self.task(t) for t in tasks},
            {key: tuple(self.name(self.tasks, t) for t in order) for key, order in heads},
            {s: self.stack(s) for s in self.alive},
        )

    def places(self):
        """{id: (index, generation, payload bytes)} of the live objects."""
        rows = self.objects
        return {bytes(rows["id"][i]): (i, int(rows["generation"][i]), int(rows["size"][i])) for i in self.live}
