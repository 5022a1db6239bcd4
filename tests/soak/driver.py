"""The driver of a soak session: a real one, in a process of its own, that does what the runner says and tells what it sees.

An order is (number, verb, arguments); the answer (number, "ok" or "raised", what, when).  It keeps ids and views under the
runner's labels and knows no value: it tells digests, and the runner compares.  SIGINT is heard only inside a blocking call that
asked for it.  Neighbours: player.py holds the other end.  Must not decide anything.
"""

import contextlib
import faulthandler
import gc
import os
import signal
import subprocess
import threading
import time

import deeds
import values
from actor_deeds import calling
from actor_driver import ActorVerbs

import ray_lite as ray
from ray_lite import _core
from ray_lite.exceptions import GetTimeoutError, RayError, RaySystemError

LOOK_S = 0.004  # between two looks of `quiet`


class Interrupts:
    """Ctrl-C reaches only calls made through `call`."""

    def __init__(self):
        self.open = False
        signal.signal(signal.SIGINT, self._take)

    def _take(self, number, frame):
        if self.open:
            self.open = False
            raise KeyboardInterrupt

    def call(self, function, *arguments):
        """(whether it was interrupted, its value)."""
        try:
            self.open = True
            value = function(*arguments)
            self.open = False
        except KeyboardInterrupt:
            return True, None
        finally:
            self.open = False
        return False, value


class Driver(ActorVerbs):
    """Ids and views by label; the methods without an underscore are the verbs."""

    def __init__(self):
        super().__init__()
        self.ids, self.threads, self.seen, self.hidden = {}, [], [], []
        self.views = {}  # name: (array, the id of what it is a copy of, which the driver holds with it)
        self.spills, self.spilled = False, {"values": 0, "arguments": 0}  # that were in the spill file when they were asked for
        self.old = []  # ids of a session that is over
        self.interrupts = Interrupts()
        self.functions = {function.__name__: ray.remote(function) for function in (*deeds.EVERY, calling)}
        self.handles = {}

    # --- sessions ---

    def init(self, options, environment):
        """Starts a session with all functions known; its address, and what it counts before anything else."""
        os.environ.update(environment)
        self.spills, self.spilled = "spill_directory" in options, dict.fromkeys(self.spilled, 0)
        address = ray.init(**options)
        for function in self.functions.values():
            ray.session.current().export(function._target)
        return address, self.count()

    def end(self, keep):
        """A polite end; views stay, and the ids too if they are to be kept: their late release must disturb nobody."""
        self.old = [*self.ids.values(), *self.actors.values()] if keep else []
        self.ids.clear()
        self.actors.clear()
        ray.shutdown()

    def count(self):
        """What the session says about itself."""
        counts = ray.session.current().view.statistics()._asdict()
        tables = ray.session.current().region.statistics()
        counts |= {name: tables[name] for name in ("actors", "lanes")}
        return {**counts, "bytes": counts["bytes_used"] + counts["bytes_spilled"], "spilled": dict(self.spilled)}

    def _note_spilled(self, kind, ids):
        if self.spills:
            self.spilled[kind] += sum(_core.spilled_place(ray.session.current().region, x) is not None for x in ids)

    def check(self):
        """fsck; the counts after it."""
        ray.session.current().view.check()
        return self.count()

    def quiet(self, expected, patience):
        """Waits until the counts are the expected ones, `patience` seconds; the last counts."""
        end = time.monotonic() + patience
        gc.collect()
        while True:
            found = self.count()
            if all(found[name] == number for name, number in expected.items()) or time.monotonic() > end:
                return found
            time.sleep(LOOK_S)

    # --- values ---

    def put(self, label, recipe, salt, inside):
        """Stores a value, or a list of it and the ids of others."""
        value = values.build(*recipe, salt)
        self.ids[label] = ray.put([value, *(self.ids[one] for one in inside)] if inside else value)

    def cancel(self, labels, force, recursive):
        """(those of these whose tasks had not ended, the time after that)."""
        found = [label for label in labels if ray.cancel(self.ids[label], force=force, recursive=recursive)]
        return found, time.monotonic_ns()

    def hide(self, recipe):
        """Stores a value that the runner won't know of."""
        self.hidden.append(ray.put(values.build(*recipe, 0)))

    def read(self, labels):
        """{label: ("value", digest) or ("raised", type, text, attributes)} of all these, waiting for each."""
        return {label: self._outcome(label) for label in labels}

    def _outcome(self, label):
        self._note_spilled("values", [self.ids[label]])
        try:
            return "value", values.digest(ray.get(self.ids[label]), ray.get)
        except RaySystemError:
            raise  # the session is over: no outcome of a task
        except RayError as error:
            return "raised", type(error).__name__, str(error), self._facts(error)

    def _facts(self, error):
        facts = {name: value for name, value in vars(error).items() if isinstance(value, int | str | bool | None)}
        return {**facts, "is_value_error": isinstance(error, ValueError)}

    def gather(self, labels):
        """Digests of the values, got in one call."""
        return [values.digest(value, ray.get) for value in ray.get([self.ids[label] for label in labels])]

    def interruptible(self, labels):
        """Waits for these, unless Ctrl-C comes; whether it came."""
        return self.interrupts.call(ray.wait, [self.ids[label] for label in labels], len(labels))[0]

    def interruptible_get(self, labels):
        """The same with `get`, for values that can't fail; (interrupted, digests)."""
        return self.interrupts.call(self.gather, labels)

    def wait(self, labels, number, timeout):
        """(labels that are ready, the others)."""
        names = {self.ids[label]: label for label in labels}
        done, left = ray.wait([self.ids[label] for label in labels], number, timeout)
        return [names[one] for one in done], [names[one] for one in left]

    def get_late(self, label, seconds):
        """A `get` that runs out of time, or doesn't; the digest."""
        try:
            return values.digest(ray.get(self.ids[label], timeout=seconds), ray.get)
        except GetTimeoutError:
            return None

    def view(self, name, label):
        """Keeps an array."""
        array = ray.get(self.ids[label])
        self.views[name] = array, None if in_store(array) else self.ids[label]

    def write(self, name, label, ink):
        """Keeps an array of its own, and writes to it; the digest that it had, and that of the object after that."""
        array = ray.get(self.ids[label], writable=True)
        before = values.digest(array)
        values.scribble(array, ink)
        self.views[name] = array, self.ids[label]
        return before, values.digest(ray.get(self.ids[label]))

    def look(self):
        """{name: digest} of the arrays kept."""
        return {name: values.digest(array) for name, (array, _) in self.views.items()}

    def drop(self, labels, views=()):
        """Forgets ids and arrays."""
        for label in labels:
            self.ids.pop(label, None)  # the death of the node may have kept it from being made
        for name in views:
            self.views.pop(name, None)

    # --- tasks ---

    def call(self, order):
        """Submits one task: order is (function, labels of its returns, plain arguments, labels of ids, options)."""
        name, labels, plain, of, options = order
        key = name, repr(options)
        handle = self.handles.get(key)
        if handle is None:
            handle = self.handles[key] = self.functions[name].options(**options)
        plain = [handle if one == "me" else self._actor_in(one) for one in plain]
        self._note_spilled("arguments", [self.ids[one] for one in of])
        made = handle.remote(*plain, *(self.ids[one] for one in of))
        self.ids.update(zip(labels, made if isinstance(made, list) else [made], strict=True))

    def calls(self, orders, threads):
        """Submits tasks from several threads at once."""
        errors = []

        def submit(mine):
            try:
                for order in mine:
                    self.call(order)
            except BaseException as error:
                errors.append(error)

        started = [threading.Thread(target=submit, args=(orders[k::threads],)) for k in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        if errors:
            raise errors[0]

    def churn(self, rounds):
        """Much inside the core; nothing of it stays."""
        function = self.functions["churn"].options(max_retries=1000)
        for k in range(rounds):
            if deeds.churned(k):
                raise AssertionError("a value came back changed")
            if k % 32 == 0:
                function.remote("/", None, 1)  # dropped at once

    def damage(self):
        """Writes to the file of spilled objects, here and there."""
        fd = ray.session.current().files.spill
        for at in range(0, os.fstat(fd).st_size, 4096):
            os.pwrite(fd, b"damage", at + 100)

    def stray(self):
        """Starts a process that escapes the end of the session."""
        subprocess.Popen(["sleep", "60"], start_new_session=True)

    # --- calls that the death of the node must end ---

    def block(self, label):
        """Blocks in three ways, each in a thread of its own, on an object that never comes."""
        one = self.ids[label]
        calls = (lambda: ray.get(one), lambda: ray.wait([one]), lambda: ray.get([one], timeout=100))

        def run(call):
            try:
                call()
                self.seen.append(("returned", time.monotonic()))
            except BaseException as error:
                self.seen.append((type(error).__name__, time.monotonic()))

        self.threads = [threading.Thread(target=run, args=(call,)) for call in calls]
        for thread in self.threads:
            thread.start()

    def unblock(self, patience):
        """What the blocked calls raised, and when."""
        end = time.monotonic() + patience
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))
        seen, self.seen = self.seen, []
        return seen


def in_store(array):
    """Whether an array lies in the store, and not in a copy that was made for lack of room."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return isinstance(getattr(array, "obj", array), _core.View)


def serve(link):
    """The life of a driver, until the runner closes its end."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    gc.freeze()
    driver = Driver()
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            number, verb, arguments = link.recv()
            try:
                answer = "ok", getattr(driver, verb)(*arguments)
            except Exception as error:
                answer = "raised", (type(error).__name__, str(error))
            link.send((number, *answer, time.monotonic()))
    ray.shutdown()
    os._exit(0)
