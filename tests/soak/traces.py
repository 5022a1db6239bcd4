"""What processes and files a run leaves in the system, and how its processes are ended: by pidfd, never by name.

A session's processes inherit a mark in their environment; their pids tell nothing once they are reused, so every signal goes
through a pidfd that was opened before the process was looked at.  Neighbours: killer.py and endings.py ask.
"""

import contextlib
import os
import signal
import stat

MARK = "RAY_LITE_SOAK_MARK"  # names a session in the environment of its processes


def facts(pid):
    """(parent, process group, state) of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[2]), fields[0].decode()


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(parent):
    """{pid: process group} of the live children."""
    found = {pid: facts(pid) for pid in pids()}
    return {pid: fact[1] for pid, fact in found.items() if fact and fact[0] == parent and fact[2] not in "ZX"}


def is_server(pid):
    """Whether it is a server of a control store."""
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().startswith(("redis", "valkey"))
    except OSError:
        return False


def marked(mark):
    """Pids of processes that were exec'ed with this mark, or with one that begins like it, or forked from such."""
    wanted = f"\0{MARK}={mark}".encode()
    found = []
    for pid in pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                there = wanted in b"\0" + file.read()
        except OSError:
            continue
        fact = facts(pid) if there else None
        if fact and fact[2] not in "ZX":
            found.append(pid)
    return found


def say(pid):
    """A process in a few words, for reports."""
    words = [str(pid)]
    for name in ("cmdline", "wchan", "syscall"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/{name}", "rb") as file:
                words.append(" ".join(file.read(160).replace(b"\0", b" ").decode(errors="replace").split()))
    return " | ".join([*words, str(facts(pid))])


def send(pid, number, parent):
    """Signals a child of `parent`; whether it was one, and there."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        fact = facts(pid)
        if fact is None or fact[0] != parent or fact[2] in "ZX":
            return False
        signal.pidfd_send_signal(pidfd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)


def end(mark):
    """Kills all that bear the mark: what is left of a run that failed."""
    for pid in marked(mark):
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            if pid in marked(mark):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)


def copy_control(found, to):
    """Copies the committed parts of the region's control file, as it is seen in any of these processes; whether it was."""
    for pid in found:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{name}"
                if "memfd:ray_lite_control" in os.readlink(path):
                    _copy_sparse(path, to)
                    return True
    return False


def _copy_sparse(path, to):
    with open(path, "rb", buffering=0) as source, open(to, "wb", buffering=0) as sink:
        size, at = os.fstat(source.fileno()).st_size, 0
        sink.truncate(size)
        with contextlib.suppress(OSError):  # ENXIO: only a hole is left
            while at < size:
                at = os.lseek(source.fileno(), at, os.SEEK_DATA)
                end_of_data = os.lseek(source.fileno(), at, os.SEEK_HOLE)
                while at < end_of_data:
                    data = os.pread(source.fileno(), min(1 << 20, end_of_data - at), at)
                    at += os.pwrite(sink.fileno(), data, at)


def listing(*places):
    """Names in these directories."""
    return {f"{place}/{name}" for place in places for name in os.listdir(place)}


def sessions(place):
    """Session directories in a place."""
    return [name for name in os.listdir(place) if name.startswith("ray_lite-") and stat.S_ISDIR(_mode(place, name))]


def is_ours(path):
    """Whether it looks like something of a session whose driver is dead; those of the living are not this run's."""
    parts = os.path.basename(path).split("-")
    owner = int(parts[2]) if len(parts) > 3 and parts[2].isdigit() else 0
    return "ray_lite" in path and not (owner and facts(owner))


def _mode(place, name):
    try:
        return os.lstat(os.path.join(place, name)).st_mode
    except OSError:
        return 0


class SmallCgroup:
    """A memory cgroup below this process's own, into which tasks that grow too much are put. `why`: why there is none."""

    def __init__(self, name, limit):
        self.path, self.why = "", ""
        for base, line, file in (("/sys/fs/cgroup/memory", ":memory:", "memory.limit_in_bytes"),
                                 ("/sys/fs/cgroup", "0::", "memory.max")):
            path = os.path.join(base + _own(line), name)
            try:
                os.mkdir(path)
                self.path = path
                with open(os.path.join(path, file), "w") as limits:
                    limits.write(str(limit))
                return
            except OSError as error:
                self.why = str(error)
                self.remove()

    @property
    def procs(self):
        return os.path.join(self.path, "cgroup.procs") if self.path else ""

    def remove(self):
        """Whether it is gone."""
        if self.path:
            try:
                os.rmdir(self.path)
            except OSError:
                return False
        self.path = ""
        return True


def _own(line):
    """This process's path in a hierarchy."""
    with open("/proc/self/cgroup") as file:
        return next((text.rstrip("\n").partition(line)[2] for text in file if line in text), "")
