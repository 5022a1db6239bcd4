"""An actor of the tests that does what it is told."""

import os
import signal
import time

import ray_lite as ray
from ray_lite.exceptions import TaskCancelledError


class Tools:
    """What tests let an actor do."""

    def __init__(self):
        self.seen = []

    def pid(self):
        return os.getpid()

    def note(self, x):
        self.seen.append(x)
        return x

    def get(self):
        return self.seen

    def hold(self, wait, arrive=None):
        if arrive is not None:
            arrive("in")
        wait()
        return "held"

    def sleep(self, seconds):
        time.sleep(seconds)

    def die(self):
        os._exit(7)

    def write(self, text):
        os.write(2, text.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def fetch(self, x):
        return ray.get(x[0])

    def total(self, array):
        return float(array.sum()), array.flags.writeable

    def caught(self, arrive):
        try:
            arrive("in")
            time.sleep(100)
        except TaskCancelledError:
            self.seen.append("cancelled")
            raise


tools = ray.remote(Tools)
