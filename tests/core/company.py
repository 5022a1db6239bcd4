"""Actors of the core's tests: their making, their processes, and what the node does for them.  conftest.py has `company`.

An actor's methods are numbered functions of a `Tasks`; what they keep is in the memory of the process that runs them.
"""

import json
import os
import random
import signal
import time

from ray_lite import _core

CPU = 10_000
PLAIN = 4  # RL_PLAIN_ARGS
TURN_NS = 2_000_000
PARK_NS = 20_000_000_000  # longer than anybody's patience: a lost wake-up shows


def plain(*args):
    """The bytes of a call whose arguments are plain."""
    return bytes([len(args)]) + b"".join(_core.encode(x) for x in args)


class Company:
    """Actors of one region; this process is their driver and their node."""

    def __init__(self, region, calls, forked):
        self.region, self.calls, self.forked = region, calls, forked
        self.processes = {}  #: {actor: (child, slot)}

    def queue(self, members, cpus):
        return _core.actor_queue(self.region, members, (cpus, 0, (), 0))

    def create(self, needs=0, holds=0, most=1, after=(), **how):
        """A handle. `needs`: CPUs of a call; `holds`: CPUs for life; `after`: what the constructor needs; `how`: `limit` of
        pending calls, `name` of 20 bytes, `back`: processes that it may lose, and whether past calls are kept."""
        turn = self.queue(_core.TURNS, needs) if needs else 0
        options = self.queue(_core.LIVES, holds), turn, most, how.get("limit", 0), 0, *how.get("back", (0, False))
        args = bytes([len(after)]) + b"R" * len(after)
        return _core.create_actor(self.region, (self.index("create"), PLAIN, 0), args, list(after), options, how.get("name"))

    def index(self, name):
        return next(i for i, n in self.calls.by_index.items() if n == name)

    def call(self, handle, name, *args, after=(), nreturns=1):
        """The id of what a method returns. `after`: ids whose values are further arguments."""
        record = self.index(name), 0, nreturns, 0, PLAIN, 0
        data = bytes([len(args) + len(after)]) + plain(*args)[1:] + b"R" * len(after)
        return _core.submit(self.region, record, data, list(after), handle)

    def of(self, handle):
        return _core.actor_of(self.region, handle)[0]

    def facts(self, handle):
        names = ("state", "serial", "slot", "pending", "running", "lanes", "killed", "cause")
        return dict(zip(names, _core.actor_facts(self.region, self.of(handle)), strict=True))

    def until_it_runs(self, handle):
        """Until the actor runs the last of its calls; the first was its constructor's."""
        end = time.monotonic() + 10
        while (self.facts(handle)["pending"], self.facts(handle)["running"]) != (0, 1):
            assert time.monotonic() < end, "no call of the actor runs"
            os.sched_yield()

    # --- what the node does ---

    def start(self, turn=TURN_NS):
        """A process for each actor that can have one."""
        started = []
        while (opened := _core.open_actor(self.region))[0]:
            actor, slot = opened
            self.processes[actor] = self.forked(self.perform, slot, turn), slot
            started.append(actor)
        return started

    def perform(self, slot, turn):
        """In the child."""
        _core.adopt_slot(self.region, slot, os.getpid(), 0)
        loop = _core.Worker(self.region, self.calls.runner(self.region))
        if hasattr(self, "methods"):
            self.methods.restore()
        while not _core.is_closing(self.region) and not loop.retired:
            loop.run_calls(50_000, PARK_NS, turn)

    def kill(self, actor):
        """Its process is killed, and buried; the calls that it ran fail."""
        child, slot = self.processes.pop(actor)
        child.kill()
        self.bury(actor, slot)

    def bury(self, actor, slot):
        region = self.region
        _core.begin_sweep(region, slot)
        _core.wake_all(region)
        while (adopted := _core.adopt_task(region, slot))[0]:
            for i in _core.task_returns(region, adopted[0]):
                if i:
                    _core.fill_object(region, i, _core.ERROR, (b"it ran", [], [], []))
            _core.finish_task(region, adopted[0])
        _core.end_actor(region, actor, self.error(b"it is dead"))
        _core.end_sweep(region, slot)

    def restart(self, actor):
        """Its process is killed; the calls that it ran, and those that it kept, run again in the next one."""
        child, slot = self.processes.pop(actor)
        child.kill()
        _core.begin_sweep(self.region, slot)
        _core.wake_all(self.region)
        while (adopted := _core.adopt_task(self.region, slot))[0]:
            _core.requeue_task(self.region, adopted[0], False, True)
        _core.restart_actor(self.region, actor)
        _core.end_sweep(self.region, slot)
        assert self.start() == [actor]

    def error(self, text):
        x = _core.create_object(self.region, os.urandom(20), len(text), False)
        _core.fill_object(self.region, _core.object_index(x), _core.ERROR, (text, [], [], []))
        _core.seal_object(self.region, x)
        return x

    def node(self):
        """What all actors that are due ask for: those that are freed or retired."""
        done = []
        while actor := _core.take_due_actor(self.region):
            state, _, _, _, _, _, killed, _ = _core.actor_facts(self.region, actor)
            if state == "ENDING":
                self.kill(actor)
            elif state == "PENDING" and killed:
                _core.end_actor(self.region, actor, self.error(b"it is dead"))
            elif state == "DEAD":
                _core.drain_actor(self.region, actor, 1 << 30)
                done += [("freed", actor)] if _core.free_actor(self.region, actor) else []
            elif _core.retire_actor(self.region, actor):
                done.append(("retired", actor))
        return done

    def failure(self, x):
        """The text of the error that is the value of an id."""
        assert self.calls.wait([x], 0, 10_000), "the error is not there in time"
        failed, stream, _ = _core.payload(self.region, x)
        assert failed
        return bytes(stream)


class Methods:
    """The methods of all actors, and what one keeps: each process has its own copy."""

    def __init__(self):
        self.region, self.kept = None, []

    def by_name(self):
        names = "create note ran hold from_ block leave keep nap late save lose".split()
        return {name: getattr(self, name) for name in names}

    def create(self, *values):
        self.kept.extend(values)

    def note(self, *values):
        self.kept.extend(values)
        return len(self.kept)

    def ran(self):
        return json.dumps(self.kept).encode()

    def hold(self, *values):
        """Runs until it is told to go on."""
        self.kept.extend(values)
        signal.sigtimedwait([signal.SIGUSR1], 20)
        return "held"

    def from_(self, caller, k, *_):
        self.kept.append((caller, k))
        return k

    def block(self, seconds):
        """As a `get` that takes so long."""
        _core.block(self.region)
        time.sleep(seconds)
        _core.unblock(self.region)

    def leave(self):
        text = b"it left"
        x = _core.create_object(self.region, os.urandom(20), len(text), False)
        _core.fill_object(self.region, _core.object_index(x), _core.ERROR, (text, [], [], []))
        _core.seal_object(self.region, x)
        _core.leave_actor(self.region, x)
        return "left"

    def keep(self, *handles):
        self.kept.extend(handles)

    def save(self, *values):
        """What it keeps is the checkpoint."""
        self.kept.extend(values)
        state = json.dumps(self.kept).encode()
        x = _core.create_object(self.region, os.urandom(20), len(state), False)
        _core.fill_object(self.region, _core.object_index(x), 0, (state, [], [], []))
        _core.seal_object(self.region, x)
        _core.save_checkpoint(self.region, x)

    def lose(self):
        _core.lose_past(self.region)

    def restore(self):
        saved = _core.saved_checkpoint(self.region)
        if saved is not None:
            self.kept = json.loads(bytes(_core.payload(self.region, saved)[1]))

    def nap(self, seconds):
        time.sleep(seconds)

    def late(self, seconds):
        time.sleep(seconds)
        return "late"


class Staffed(Company):
    """A company with workers, whose tasks are arguments that come late, and with other callers."""

    def __init__(self, region, tasks, forked, worker):
        self.methods = Methods()
        super().__init__(region, tasks(region, self.methods.by_name()), forked)
        self.start_worker = worker

    def ran(self, handle):
        """What an actor keeps."""
        x = self.call(handle, "ran")
        assert self.calls.wait([x], 0, 20_000), "the object is not ready in time"
        _, stream, value = _core.payload(self.region, x)
        return json.loads(value if stream is None else bytes(stream))

    def perform(self, slot, turn):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        self.methods.region = self.region
        super().perform(slot, turn)

    def late(self, seconds=0):
        """The id of what a worker returns, if there is one."""
        return self.calls.call("late")(seconds)

    def worker(self):
        return self.start_worker(self.region, self.calls.worker)[0]

    def enter(self, root):
        """In another caller, which has a worker's slot: no process expects it to take tasks."""
        _core.Worker(self.region, self.calls.runner(self.region)).leave()
        _core.set_root(root)

    def other(self, handle, value):
        """Another process calls a method and waits for it."""

        token = _core.id_token(handle)

        def call(region):
            self.enter(b"another caller".ljust(20))
            self.calls.get(self.call(_core.id_from_token(*token), "note", value))

        return self.start_worker(self.region, call)[0]

    def caller(self, handles, number, seed):
        """Another process that makes calls in an order of its own, numbered for each actor."""

        tokens = [_core.id_token(handle) for handle in handles]

        def call(region):
            self.enter(b"caller".ljust(19) + bytes([number]))
            handles = [_core.id_from_token(*token) for token in tokens]
            rng = random.Random(seed * 10 + number)
            ids = []
            for k in range(60):
                after = [self.late(0.001)] if rng.random() < 0.1 else []
                ids.append(self.call(handles[k % len(handles)], "from_", number, k, after=after))
                if rng.random() < 0.2:
                    self.calls.get(ids[-1])
            for x in ids:
                self.calls.get(x)

        return self.start_worker(self.region, call)[0]

    def cancelled(self):
        """The node fails calls that were cancelled; how many."""
        count = 0
        while t := _core.take_cancelled_queued(self.region):
            for i in _core.task_returns(self.region, t):
                if i:
                    _core.fill_object(self.region, i, _core.ERROR, (b"cancelled", [], [], []))
            _core.finish_task(self.region, t)
            count += 1
        return count
