"""An actor of the tests that can be killed, and come back."""

import os
import random
import signal

import ray_lite as ray


class Ledger:
    """Writes down what it is told."""

    def __init__(self, *seen):
        self.seen = list(seen)

    def note(self, x):
        self.seen.append(x)
        return len(self.seen)

    def mark(self, x, needed):
        self.seen.append(x)

    def get(self):
        return self.seen

    def pid(self):
        return os.getpid()

    def roll(self):
        self.seen.append(random.random())
        return self.seen[-1]

    def several(self, x):
        self.seen.append(x)
        return x, x + 1

    def fail(self, x):
        self.seen.append(x)
        raise KeyError(x)

    def hold(self, arrive, wait, x):
        """Is written down when it begins."""
        self.seen.append(x)
        arrive(f"in-{x}-{os.getpid()}-")
        wait()
        return x

    def end_process(self, x):
        self.seen.append(x)
        os._exit(3)

    def keep(self, x):
        self.kept = x


def kill(actor):
    """Kills its process once all calls so far have ended, and what follows the last but this one."""
    os.kill(ray.get(actor.pid.remote()), signal.SIGKILL)


def saving(interval, **options):
    """The remote class with checkpoints."""
    return ray.remote(checkpoint_interval=interval, **options)(Ledger)
