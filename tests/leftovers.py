"""What a test leaves behind: processes, descriptors, mappings and files of its own, and of nobody else on the machine.

Every process that a test starts inherits a marker in its environment, and temporary files go to directories of this run alone.
So other programs may start and end processes and make files meanwhile, in the same places: they are not looked at.
"""

import contextlib
import os
import shutil
import tempfile
import uuid
from dataclasses import dataclass, fields

MARKER, MARK = "RAY_LITE_TEST_RUN", uuid.uuid4().hex
SHARED_MEMORY = "/dev/shm"


class Places:
    """Private directories of one run: the session directories' base, and one on tmpfs where there is one."""

    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="rl-tests-")
        self.shm = tempfile.mkdtemp(prefix="rl-tests-", dir=SHARED_MEMORY) if os.access(SHARED_MEMORY, os.W_OK) else self.base

    def begin(self):
        """Sessions look here first, then in TMPDIR."""
        os.environ[MARKER] = MARK
        os.environ["RAY_LITE_STORE_DELAY"] = "1e9"  # tests of the control store start one; the others need none
        os.environ["XDG_RUNTIME_DIR"] = os.environ["TMPDIR"] = tempfile.tempdir = self.base
        os.environ["RAY_LITE_SHARED_DIR"] = os.path.join(self.base, "shared")
        os.makedirs(os.path.join(self.base, "shared", f"ray_lite-{os.getuid()}"), 0o711)

    def end(self):
        for place in {self.base, self.shm}:
            shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True)
class Traces:
    """What is there now, each a set of printable facts."""

    processes: frozenset
    descriptors: frozenset
    mappings: frozenset
    files: frozenset

    @classmethod
    def now(cls, places):
        return cls(_processes(), _descriptors(), _mappings(), _files(places))

    def difference(self, before):
        """Lines that say what has appeared since `before`; a descriptor that has vanished is as bad."""
        lines = []
        for field in fields(self):
            old, new = getattr(before, field.name), getattr(self, field.name)
            lines += [f"left behind in {field.name}: {fact}" for fact in sorted(new - old)]
        lines += [f"closed or changed descriptor: {fact}" for fact in sorted(before.descriptors - self.descriptors)]
        return lines


_known = {}  # (pid, start time) -> whether it is ours: each process is looked at once


def _processes():
    facts = set()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                parent, started, state = _stat(name)
                if parent == os.getpid() or _is_marked(name, started, state):
                    facts.add((int(name), _command(name)))
    return frozenset(facts)


def _stat(name):
    with open(f"/proc/{name}/stat", "rb") as file:
        rest = file.read().rpartition(b")")[2].split()
    return int(rest[1]), rest[19], rest[0]


def _is_marked(name, started, state):
    """Whether the process was exec'ed, or forked from one exec'ed, with this run's marker. A zombie's environment is gone."""
    key = name, started
    if key not in _known and state != b"Z":
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                _known[key] = f"{MARKER}={MARK}".encode() in file.read().split(b"\0")
        except PermissionError:  # another user's
            _known[key] = False
    return _known.get(key, False)


def _command(name):
    with open(f"/proc/{name}/cmdline", "rb") as file:
        return file.read().replace(b"\0", b" ").decode(errors="replace").strip() or "(zombie)"


def _descriptors():
    facts = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own descriptor is closed by now
            facts.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
    return frozenset(facts)


def _mappings():
    with open("/proc/self/maps") as file:
        return frozenset(line.strip() for line in file if "memfd:" in line and "ray_lite" in line)


def _files(places):
    own = {f"{places.base}/{name}" for name in os.listdir(places.base) if name.startswith("ray_lite")}
    return frozenset(own | {f"{places.shm}/{name}" for name in os.listdir(places.shm)})
