"""Actors of the tests that run several calls at the same time: in threads, or as coroutines."""

import asyncio
import os
import threading
import time

import ray_lite as ray
from ray_lite.exceptions import TaskCancelledError

PATIENCE_S = 20


class Crowd:
    """What both kinds have."""

    def __init__(self):
        self.lock, self.inside, self.most_inside = threading.Lock(), 0, 0
        self.kept = []

    def note(self, x):
        self.kept.append(x)
        return x

    def get(self):
        return self.kept

    def most(self):
        return self.most_inside

    def pid(self):
        return os.getpid()

    def fetch(self, x):
        return ray.get(x[0])

    def hold(self, wait, arrive):
        arrive("held")
        wait()
        return "held"

    def spin(self, arrive):
        try:
            arrive("spin")
            while True:
                sum(range(100))
        except TaskCancelledError:
            self.kept.append("cancelled")
            raise

    def leave(self):
        ray.exit_actor()

    def fail(self):
        raise KeyError("no")

    def die(self):
        os._exit(7)

    @ray.method(num_return_vals=2)
    def two(self):
        return 1, 2

    def enter(self):
        with self.lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)

    def exit(self):
        with self.lock:
            self.inside -= 1


class Threads(Crowd):
    """`meet` returns when so many calls have been in it at the same time."""

    def meet(self, number):
        self.enter()
        end = time.monotonic() + PATIENCE_S
        while self.most_inside < number and time.monotonic() < end:
            time.sleep(0.001)
        self.exit()
        return self.most_inside

    def stay(self, wait, arrive):
        return self.hold(wait, arrive)

    def family(self, child, arrive=None, name=""):
        """The ids of five children; with `arrive` it goes on until it is cancelled."""
        ids = [child.remote() for _ in range(5)]
        if arrive:
            arrive(name)
            self.spin(arrive)
        return ids

    def by_thread(self, child):
        made = []
        thread = threading.Thread(target=lambda: made.append(child.remote()))
        thread.start()
        thread.join()
        return made

    def threads(self):
        return sum(thread.name.startswith("call-") for thread in threading.enumerate())


class Coroutines(Crowd):
    """The same as coroutines, beside the plain methods."""

    async def meet(self, number):
        self.enter()
        end = time.monotonic() + PATIENCE_S
        while self.most_inside < number and time.monotonic() < end:
            await asyncio.sleep(0.001)
        self.exit()
        return self.most_inside

    async def stay(self, wait, arrive):
        return await asyncio.to_thread(self.hold, wait, arrive)

    async def nap(self, seconds):
        self.enter()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.kept.append("cancelled")
            raise
        finally:
            self.exit()

    async def family(self, child, arrive=None, name=""):
        async def make():
            await asyncio.sleep(0)
            return child.remote()

        ids = await asyncio.gather(make(), make(), make(), asyncio.to_thread(child.remote), asyncio.to_thread(child.remote))
        if arrive:
            arrive(name)
            await self.nap(1000)
        return ids

    async def blocking(self, x):
        return ray.get(x[0])

    async def fail_later(self):
        await asyncio.sleep(0)
        raise KeyError("no")

    async def leave_later(self):
        await asyncio.sleep(0)
        try:
            ray.exit_actor()
        finally:
            await asyncio.sleep(0)

    async def handle(self):
        await asyncio.sleep(0)
        return ray.current_actor()

    async def loop(self):
        return id(asyncio.get_running_loop()), threading.current_thread() is threading.main_thread()

    def in_main_thread(self):
        return threading.current_thread() is threading.main_thread()

    @ray.method(num_return_vals=2)
    async def two_later(self):
        await asyncio.sleep(0)
        return 1, 2


KINDS = {"threads": ray.remote(max_concurrency=8)(Threads), "coroutines": ray.remote(Coroutines)}
