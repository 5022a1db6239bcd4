"""What the actors of the soak do, and the tasks that call them.

An actor keeps a log of the calls that it ran: pairs of a caller and a number, which grows with each of the caller's calls.
Neighbours: actor_driver.py creates and calls, actor_model.py knows what the log must be.  Workers import this file.
"""

import os
import time

import deeds
import values

import ray_lite as ray

RECIPE = ("bytes", 12)  # of what an actor returns to a task
LEAP = 3  # the exit code of a process that ends itself
HOOK_S = 0.0005


class Keeper:
    """An actor. Notes each process in which it comes to life."""

    def __init__(self, label, fails):
        deeds.note(label)
        if fails:
            raise ValueError(label)
        self.label, self.log, self.last = label, [], {}

    def __setstate__(self, state):
        deeds.note(state["label"])
        self.__dict__.update(state)

    def act(self, label, caller, number, recipe, pause, *arguments):
        """A value."""
        self._note(label, caller, number)
        salt = deeds.salted(label, arguments)
        deeds.linger(pause)
        return values.build(*recipe, salt)

    @ray.method(num_return_vals=2)
    def acts(self, label, caller, number, recipe, pause, *arguments):
        """Two values."""
        self._note(label, caller, number)
        salt = deeds.salted(label, arguments)
        deeds.linger(pause)
        return [values.build(*recipe, salt + k) for k in range(2)]

    def churn_in(self, label, caller, number, rounds):
        """Much inside the core."""
        self._note(label, caller, number)
        return values.mix("churned", sum(map(deeds.churned, range(rounds))))

    def leap(self, label, caller, number):
        """Ends its process."""
        self._note(label, caller, number)
        os._exit(LEAP)

    def history(self):
        """(the log, the pid)."""
        return self.log, os.getpid()

    def _note(self, label, caller, number):
        deeds.note(label)
        if self.last.get(caller, -1) >= number:
            raise AssertionError(f"{caller} made call {number} before {self.last[caller]}, and it comes after it")
        self.last[caller] = number
        self.log.append((caller, number))


class Hooked(Keeper):
    """Has a state that is not itself; takes a while to save and restore it."""

    def __ray_save__(self):
        deeds.linger(HOOK_S)
        return self.label, list(self.log)

    def __ray_restore__(self, state):
        self.label, self.log = state
        deeds.note(self.label)
        self.last = dict(self.log)
        deeds.linger(HOOK_S)


@ray.remote(num_cpus=0, max_retries=1000)
def late(label, pause):
    """An argument that takes a while."""
    deeds.linger(pause)
    return values.mix(label)


def calling(label, actor, count, pause):
    """Calls an actor so many times; now and then the argument comes late."""
    deeds.note(label)
    caller, ids, expected = f"{label}/{os.getpid()}.{time.monotonic_ns()}", [], []
    for k in range(count):
        name = f"{label}/{k}"
        ids.append(actor.act.remote(name, caller, k, RECIPE, 0, *([late.remote(name, pause)] if k % 3 == 0 else [])))
        salt = values.mix(name, [values.digest(values.mix(name))] if k % 3 == 0 else [])
        expected.append(values.build(*RECIPE, salt))
    if ray.get(ids) != expected:
        raise AssertionError("calls gave other values")
    return values.mix(label)
