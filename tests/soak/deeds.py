"""What the tasks of the soak do: each returns what its label and its arguments determine, in however many attempts.

An attempt of a task that a driver submitted notes its start in a file, a line each, so that the runner knows who ran what when,
and how often.  Neighbours: driver.py makes these functions remote, model.py knows their results.  Workers import this file.
"""

import os
import subprocess
import time

import values

import ray_lite as ray

LOG = "RAY_LITE_SOAK_LOG"  # names the file in the environment of a session's processes
CONTAINED = 40
PIECE = ("array", 1_000_000)
GROWTH = 1_000_000  # bytes a step of what runs out of memory
_log = -1


def note(label):
    """An attempt starts here and now, of a task that the runner knows by its label: those of other tasks have a slash in it."""
    global _log
    if "/" in label:
        return
    if _log < 0:
        _log = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    os.write(_log, f"{label} {os.getpid()} {time.monotonic_ns()}\n".encode())


def linger(seconds):
    """Takes so long: asleep, or below zero busy."""
    if seconds > 0:
        time.sleep(seconds)
    end = time.monotonic() - seconds
    while seconds < 0 and time.monotonic() < end:
        pass


def salted(label, arguments):
    """The salt of a result: a wrong argument makes another one."""
    return values.mix(label, [values.digest(one, ray.get) for one in arguments])


def make(label, recipe, pause, *arguments):
    """A value."""
    note(label)
    salt = salted(label, arguments)
    linger(pause)
    if pause and salted(label, arguments) != salt:
        raise AssertionError("an argument changed under the eyes of its task")
    return values.build(*recipe, salt)


def scribble(label, recipe, pause, *arguments):
    """A value; and writes to the arrays among its arguments, which are its own copies."""
    note(label)
    salt = salted(label, arguments)
    arrays = [one for one in arguments if type(one).__name__ == "ndarray"]
    for array in arrays:
        values.scribble(array, salt)
    written = salted(label, arguments)
    linger(pause)
    if salted(label, arguments) != written or arrays and written == salt:
        raise AssertionError("what a task wrote is not there")
    return values.build(*recipe, salt)


def several(label, recipe, count, *arguments):
    """So many values."""
    note(label)
    salt = salted(label, arguments)
    return [values.build(*recipe, salt + k) for k in range(count)]


def box(label, recipe, pause, *arguments):
    """A value that holds the id of another one, which the worker stored."""
    note(label)
    salt = salted(label, arguments)
    inner = ray.put(values.build(*recipe, salt + 1))
    linger(pause)
    return [values.build(*recipe, salt), inner]


def tree(label, me, depth, fan, pause):
    """Children and children's children, which their parents wait for, and at times run inline."""
    note(label)
    linger(pause)
    if depth == 0:
        return values.mix(label)
    ids = [me.remote(f"{label}/{k}", me, depth - 1, fan, pause) for k in range(fan)]
    if fan > 2:
        ray.wait(ids, num_returns=2, timeout=5)
    return values.mix(label, ray.get(ids))


def churn(label, me, rounds):
    """Much inside the core, so that a kill meets it there; nothing of it stays."""
    note(label)
    wrong = 0
    for k in range(rounds):
        if k % 16 == 0 and me is not None:
            wrong += ray.get(me.remote(f"{label}/{k}", None, 2)) != values.mix("churned", 0)
        wrong += churned(k)
    return values.mix("churned", wrong)


def churned(k):
    """Stores, contains, gets and drops; how many values came back changed."""
    data = values.content((k * 37) % 500, k)
    stored = [ray.put(data) for _ in range(4)]
    stored += [ray.put(k) for _ in range(CONTAINED)]  # short ones: most of the time goes into the core
    inside = ray.get(ray.put(stored))
    del stored
    return sum(one != data for one in ray.get(inside[:4])) + sum(one != k for one in ray.get(inside[4:]))


def hoarding(label, pieces):
    """Stores much and reads it: where a full store spills, bytes move."""
    note(label)
    recipes = [(*PIECE, values.mix(label, k)) for k in range(pieces)]
    stored = [ray.put(values.build(*recipe)) for recipe in recipes]
    for x, recipe in zip(stored, recipes, strict=True):
        if values.digest(ray.get(x)) != values.digest(values.build(*recipe)):
            raise AssertionError("a value came back changed")
    return values.mix(label)


def printing(label, lines):
    """Writes whole lines on both streams."""
    note(label)
    import sys

    for k in range(lines):
        print(f"soak {label} {k} end", file=sys.stderr if k % 3 == 0 else sys.stdout)
    return values.mix(label)


def forking(label, children):
    """Forks children that end at once."""
    note(label)
    codes = []
    for k in range(children):
        pid = os.fork()
        if pid == 0:
            os._exit(k)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return values.mix(codes)


def spawning(label, programs):
    """Starts programs and waits for them."""
    note(label)
    return values.mix([subprocess.run(["true"], check=False).returncode for _ in range(programs)])


def raising(label):
    """Fails."""
    note(label)
    raise ValueError(label)


def flaky(label, good):
    """Fails until so many attempts have begun."""
    note(label)
    if ray.get_attempt_number() < good:
        raise ValueError(label)
    return values.mix(label)


def inspecting(label):
    """The invariants, looked at by a worker."""
    note(label)
    ray.session.current().view.check()
    return values.mix(label)


def hog(label, procs):
    """Enters a small memory cgroup and grows until the kernel ends it."""
    with open(procs, "w") as file:
        file.write(str(os.getpid()))
    note(label)
    hoard = []
    while True:
        hoard.append(bytearray(b"x") * GROWTH)


def held(label, gate):
    """Waits until a file is there."""
    note(label)
    while not os.path.exists(gate):
        time.sleep(0.002)
    return values.mix(label)


EVERY = (make, scribble, several, box, tree, churn, hoarding, printing, forking, spawning, raising, flaky,
         inspecting, hog, held)
