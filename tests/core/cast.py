"""An actor's process that does what a test's function says, for several calls at a time."""

import os

from ray_lite import _core

TURN_NS = 2_000_000
STAY_NS = 20_000_000_000  # longer than anybody's patience


class Cast:
    """An actor's process, a child, that does what a test's function says: `play(act)` runs `act(stage)` there."""

    def __init__(self, crew, most, **options):
        self.crew, self.handle = crew, crew.create(most=most, **options)

    def calls(self, *names):
        return [self.crew.call(self.handle, name) for name in names]

    def play(self, act):
        [(actor, slot)] = [_core.open_actor(self.crew.region)]
        child = self.crew.forked(self._perform, slot, act)
        self.crew.processes[actor] = child, slot
        return child

    def _perform(self, slot, act):
        _core.adopt_slot(self.crew.region, slot, os.getpid(), 0)
        act(Stage(self.crew))


class Stage:
    """In the child: its calls, after the constructor."""

    def __init__(self, crew):
        self.region, self.crew = crew.region, crew
        self.worker = _core.Worker(self.region, crew.calls.runner(self.region))
        self.worker.run_calls(0, STAY_NS, TURN_NS)
        assert self.worker.ran == 1, "the constructor alone"

    def take(self, ended=None, rests=False):
        call = _core.take_call(self.worker, ended, TURN_NS, rests)
        self.region.check()
        return call

    def end(self, call, result=None):
        call.store(result)
        _core.end_call(self.worker, call)
        self.region.check()

    def free(self):
        return self.region.statistics()["cpus_free"]
