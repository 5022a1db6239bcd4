"""Words of a control file by name, to read and to damage: the headers of region/ are read for the offsets.

`Words` finds a field of the header or of an entry; `Scene` is a region full of life with the names of its parts.
"""

import contextlib
import os
import re
from pathlib import Path

REGION = Path(__file__).parents[2] / "ray_lite" / "_core.src" / "region"
HEADERS = [REGION / name for name in ("constants.h", "entries.h", "layout.h")]
TYPES = {"char": 1, "uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "int64_t": 8, "uint64_t": 8, "rl_table": 32, "rl_space": 1096}
TABLES = {"object": "objects", "task": "tasks", "ref": "refs", "extent": "extents", "queue": "queues", "slot": "slots",
          "resource": "resources", "actor": "actors", "lane": "lanes", "job": "jobs"}


def structs():
    """{struct: {field: (offset, bytes of an element)}}, up to the first field of a type that isn't known here."""
    text = "".join(path.read_text() for path in HEADERS)
    numbers = {name: int(value) for name, value in re.findall(r"#define (\w+) (\d+)", text)}
    found = {}
    for body, name in re.findall(r"typedef struct \{\n(.*?)^\} (\w+);", text, re.S | re.M):
        found[name] = dict(fields(body, numbers))
    return found


def fields(body, numbers):
    at = 0
    body = re.sub(r"union \{(.*?;).*?\};", r"\1", body, flags=re.S)  # of a union the first member
    for kind, name, count in re.findall(r"^\s+(\w+) (\w+)(?:\[([^\]]*)\])?\s*;", body, re.M):
        if kind not in TYPES or "sizeof" in count:
            return
        size = TYPES[kind]
        at += -at % min(size, 8)
        yield name, (at, min(size, 8))
        at += size * (eval(count, dict(numbers)) if count else 1)  # a product of constants of constants.h


class Words:
    """Named words of a control file."""

    def __init__(self, file):
        self.file, self.structs = file, structs()

    def header(self, field, k=0):
        """A word of the header; "arena.heads": of one of its spaces."""
        field, _, inner = field.partition(".")
        at, size = self.structs["rl_header"][field]
        if inner:
            start, (at, size) = at, self.structs["rl_space"][inner]
            at += start
        return at + k * size, size

    def job(self, field, k=0):
        """A word of the first job."""
        at, size = self.entry("job", 1, field)
        return at + k * size, size

    def table(self, table, field):
        at, size = self.structs["rl_table"][field]
        return self.header(table)[0] + at, size

    def entry(self, kind, index, field):
        offset = self.get(self.table(TABLES[kind], "offset"))
        stride = self.get(self.table(TABLES[kind], "stride"))
        at, size = self.structs["rl_" + kind][field]
        return offset + stride * index + at, 4 if size == 1 else size  # of an id, the first word

    def get(self, word):
        at, size = word
        return int.from_bytes(os.pread(self.file, size, at), "little")

    def put(self, word, value):
        at, size = word
        os.pwrite(self.file, (value % (1 << 8 * size)).to_bytes(size, "little"), at)

    @contextlib.contextmanager
    def damaged(self, word, change):
        old = self.get(word)
        assert change(old) % (1 << 8 * word[1]) != old, "this is no damage"
        self.put(word, change(old))
        try:
            yield
        finally:
            self.put(word, old)


class Scene:
    """A region with sealed, contained, awaited objects, with waiting, ready and running tasks, a busy and an idle worker."""

    def __init__(self, core, region, file):
        self.core, self.region, self.words = core, region, Words(file)
        self.objects = {}

    def store(self, size, contained=()):
        x = self.core.create_object(self.region, self.core.next_put_id(), size, False)
        self.core.fill_object(self.region, self.core.object_index(x), 0, (b"s" * size, [], [], list(contained)))
        self.core.seal_object(self.region, x)
        return x

    def furnish(self, calls, start, wait_until):
        """`start` forks a worker; with its CPUs taken by one task, the others stay where they are."""
        statistics = self.region.statistics
        start()
        self.objects["stuck"] = calls.call("stuck", cpus=20000)(1)
        wait_until(lambda: statistics()["cpus_free"] == 0, what="the task runs")
        start()
        wait_until(lambda: statistics()["idle"] == 1, what="an idle worker")
        inner = self.store(70)
        self.objects |= {"inner": inner, "container": self.store(10, [inner, inner]), "held": self.store(20)}
        self.objects |= {"blocked": self.store(5000), "run": self.store(100_000), "indexed": self.store(3)}
        self.objects["indexed"].binary()
        self.objects["awaited"] = calls.call("echo")(2)
        self.objects["ready"] = [calls.call("echo", cpus=10000 * (1 + k % 2))(k) for k in range(4)]
        self.objects["waits"] = calls.call("echo")(self.objects["awaited"])
        self.objects["contained"] = self.lent()
        gone = self.store(300, [inner])
        self.free_object = self.core.object_index(gone)
        del gone
        assert calls.get(calls.call("echo", cpus=0)(1)) == 1  # leaves a free record
        wait_until(lambda: statistics()["idle"] == 1, what="an idle worker again")
        self.waiting = next(t for t in range(1, 50) if self.read("task", t, "state") == 2)
        slots = range(1, 16)
        self.busy = next(s for s in slots if self.read("slot", s, "running"))
        self.idle = next(s for s in slots if self.read("slot", s, "availability") == 1)
        return self

    def lent(self):
        """An object whose owner, by its entry, is the idle worker, which holds no bit of it."""
        x = self.store(30)
        self.words.put(self.words.entry("object", self.core.object_index(x), "owner"), self.region.slot + 2)
        return x

    def read(self, kind, index, field):
        return self.words.get(self.words.entry(kind, index, field))

    def read_header(self, field, k=0):
        return self.words.get(self.words.header(field, k))

    def must_notice(self, word, change, message, what):
        """fsck objects while the word is changed, and no longer when it is put back."""
        with self.words.damaged(word, change):
            try:
                self.region.check()
            except AssertionError as found:
                assert re.search(message, str(found)), f"{what}: {found}"
            else:
                raise AssertionError(f"{what}: not noticed")
        self.region.check()

    def entry_must_notice(self, kind, index, case):
        """`case`: (what, field, new value of the old, what fsck says)."""
        what, field, change, message = case
        self.must_notice(self.words.entry(kind, index, field), change, message, f"{kind} {what}.{field}")

    def header_must_notice(self, field, change, message, k=0):
        self.must_notice(self.words.header(field, k), change, message, field)

    def job_must_notice(self, field, change, message):
        self.must_notice(self.words.job(field), change, message, field)

    def bit_must_notice(self, slot, index, message):
        """A holder bit that appears or goes."""
        row = self.read_header("rows") + self.read_header("row_bytes") * slot
        self.must_notice((row + index // 64 * 8, 8), lambda old: old ^ 1 << index % 64, message, f"bit {index}")
