"""Real worker processes that do one operation at a time, as told over a pipe; and the node that starts and buries them.

A puppet obeys orders until a task is taken; the task's body obeys on, so that everything else can happen inside it, and
`finish` is its return.  Every order gets one answer: its own, or `took` when it led into a task.

Its end is what the node makes of it: the real scheduler's decision, carried out as node.py does.
"""

import ctypes
import gc
import os
import select
import signal
import struct
import sys
import time
import traceback
from multiprocessing.connection import Pipe

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.exceptions import ObjectLostError
from ray_lite.policy.scheduler import Died, Fail, Requeue, Running, Scheduler
from ray_lite.store.object_store import Store
from ray_lite.store.region_files import SMALL_PAGE, Sizes, make_files
from ray_lite.system.process import started_at
from ray_lite.values.failures import SystemFailure

PATIENCE_S = 10  # until an answer counts as missing
PARK_NS = 20_000_000_000  # longer than anybody's patience: a lost wake-up shows
ALARM_S = 60  # whatever happens to the test, its puppets end
NOTHING = object()  # no answer: the puppet died first
CPU = 10_000
TURN_NS = 1_000_000  # for which an actor keeps its CPUs while others wait


class Fuse:
    """A timer of the kernel that ends this process by SIGKILL, to the microsecond, however busy the machine is."""

    def __init__(self):
        self.libc, self.timer = ctypes.CDLL(None, use_errno=True), ctypes.c_void_p()
        if not hasattr(self.libc, "timer_create"):  # glibc before 2.34
            self.libc = ctypes.CDLL("librt.so.1", use_errno=True)
        event = struct.pack("Pii48x", 0, signal.SIGKILL, 0)  # SIGEV_SIGNAL
        done = self.libc.timer_create(time.CLOCK_MONOTONIC, event, ctypes.byref(self.timer))
        assert done == 0, os.strerror(ctypes.get_errno())

    def light(self, nanoseconds):
        self.libc.timer_settime(self.timer, 0, struct.pack("llll", 0, 0, 0, max(nanoseconds, 1)), None)


class Puppet:
    """In the child: the orders, by name. Also the runner of its `_core.Worker`."""

    def __init__(self, region, link, fuse):
        self.region, self.link, self.fuse = region, link, fuse
        self.worker = _core.Worker(region, self)
        self.handles = {}

    def obey(self):
        """Orders, until one says that the task at hand is over: what it returns."""
        while True:
            nanoseconds, name, *facts = self.link.recv()
            if nanoseconds is not None:
                self.fuse.light(nanoseconds)
            if name == "finish":
                return facts[0]
            self.link.send(getattr(self, name)(*facts))

    # --- objects ---

    def keep(self, x):
        binary = _core.id_token(x)[2]
        self.handles[binary] = x
        return binary

    def root(self, binary):
        _core.set_root(binary)

    def put(self, data, contents, seal):
        """Small and final: in one section, as `put` does; else made, filled and sealed."""
        x = _core.put_plain(self.region, data) if seal and not contents else _core.MISS
        if x is _core.MISS:
            x = _core.create_object(self.region, _core.next_put_id(), len(data), False)
            _core.fill_object(self.region, _core.object_index(x), 0, (data, [], [], [self.handles[c] for c in contents]))
            if seal:
                _core.seal_object(self.region, x)
        return self.keep(x)

    def seal(self, binary):
        _core.seal_object(self.region, self.handles[binary])

    def get(self, place, bare):
        """The value, or None if it is not there yet, of an id that came in a pickle or as bare bytes."""
        try:
            x = _core.ObjectID(place[2]) if bare else _core.id_from_token(*place)
            _core.resolve_all(self.region, [x])
        except ObjectLostError:
            return "lost", None
        self.keep(x)
        return "got", self.read(place[2])

    def read(self, binary):
        x = self.handles[binary]
        return None if _core.lacking(self.region, [x]) else self.load(x)

    def release(self, binary):
        del self.handles[binary]

    def expose(self, binary):
        self.handles[binary].binary()

    def churn(self, rounds, size):
        """Makes containers and drops them: always inside the core, and nothing stays."""
        for _ in range(rounds):
            held = []
            for k in range(3):
                held.append(_core.create_object(self.region, os.urandom(20), size, False))
                _core.fill_object(self.region, _core.object_index(held[-1]), 0, (b"c" * size, [], [], held[:k]))
                _core.seal_object(self.region, held[-1])
            del held

    # --- tasks ---

    def submit(self, record, data, arguments):
        ids = _core.submit(self.region, record, data, [self.handles[a] for a in arguments])
        return [self.keep(x) for x in (ids if isinstance(ids, list) else [ids] if ids else [])]

    def work(self):
        """Takes a task, and then the next; answers `idle` when there is none any more."""
        self.worker.run(0, 0)
        return ("idle",)

    def help(self, binary):
        return ("helped",) if self.worker.run_inline(self.handles[binary]) else ("none",)

    def block(self):
        _core.block(self.region)

    def wait(self, ids, allowed, blocked):
        done = _core.wait_for_ids(self.region, [self.handles[x] for x in ids], allowed, (-1, 0, PARK_NS), 1 << 20)
        if blocked:
            _core.unblock(self.region)
        return done

    def leave(self, code):
        os._exit(code)

    # --- actors ---

    def create(self, function, options, data, arguments, name):
        """The id of the handle; None: the name is taken."""
        try:
            given = [self.handles[a] for a in arguments]
            return self.keep(_core.create_actor(self.region, (function, 0, 0), data, given, options, name))
        except ValueError:
            return None

    def call(self, handle, record, data, arguments):
        ids = _core.submit(self.region, record, data, [self.handles[a] for a in arguments], self.handles[handle])
        return [self.keep(x) for x in (ids if isinstance(ids, list) else [ids])]

    def find(self, name):
        """The id of the handle of the actor that has the name, or None."""
        x = _core.named_actor(self.region, name)
        return None if x is None else self.keep(x)

    def slay(self, handle):
        return _core.kill_actor(self.region, self.handles[handle])

    def serve(self):
        """This process is an actor's: runs its next call, and the one after that; `left`: it is to end."""
        self.worker.run_calls(0, 0, TURN_NS)
        return ("left",) if self.worker.retired else ("idle",)

    # --- the policy ---

    def function(self, index):
        return self.act

    def act(self, data, *values):
        """The body of every task."""
        task = _core.task_facts(self.region, _core.current_task()[0])[5]
        self.link.send(("took", task, data, list(values)))
        values = self.obey()
        return values[0] if len(values) == 1 else values

    def load(self, x):
        value = _core.get_ready(self.region, x)
        if value is not _core.MISS:
            return value
        failed, stream, plain = _core.payload(self.region, x)
        return "WorkerCrashedError" if failed else plain if stream is None else bytes(stream)

    def arguments(self, task, data, writable):
        return (data, *[self.load(x) for x in _core.task_arguments(self.region, task)]), {}

    def several(self, task, result):
        return list(result)

    def store_result(self, task, result):
        returns = _core.task_returns(self.region, task)
        for index, value in zip(returns, [result] if len(returns) == 1 else result, strict=True):
            if index:
                _core.fill_object(self.region, index, 0, (value, [], [], []))

    def fail(self, task, error):
        raise error  # no order fails in a task: the puppet ends, and the test says so

    asks = False

    def runtime_env(self, index):
        """The caller was somewhere else: nothing to these tasks."""

    def shape(self, cpus):
        """How many CPUs a task has: nothing to it either."""


class Strings:
    """The test's end of a puppet."""

    def __init__(self, slot, pid, link):
        self.slot, self.pid, self.link = slot, pid, link
        self.pidfd = os.pidfd_open(pid)

    def tell(self, *order, fuse=None):
        """`fuse`: the puppet dies so many nanoseconds after it began with the order."""
        self.link.send((fuse, *order))

    def ask(self, *order):
        self.tell(*order)
        return self.answer()

    def answer(self):
        answer = self.last_answer()
        assert answer is not NOTHING, f"the process in slot {self.slot} has ended by itself"
        return answer

    def last_answer(self):
        """The answer of a process that may be dying: NOTHING if it died first."""
        assert self.link.poll(PATIENCE_S), f"no answer from the process in slot {self.slot}"
        try:
            return self.link.recv()
        except (EOFError, ConnectionResetError):
            return NOTHING

    def reap(self):
        """How it died, as soon as the pidfd says that every thread of it is gone."""
        assert select.select([self.pidfd], [], [], PATIENCE_S)[0], "a killed process does not end"
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.link.close()
        if os.WIFSIGNALED(status):
            return Died(self.pid, signal.Signals(os.WTERMSIG(status)).name, os.WTERMSIG(status))
        return Died(self.pid, "", os.waitstatus_to_exitcode(status))


def small(cpus):
    """Sizes of a region that grows often, and where no task is old enough to be given precedence."""
    return Sizes(
        control_bytes=_core.control_bytes(2048, 16, 16),
        arena_bytes=1 << 24,
        objects=2048,
        slots=16,
        buckets=16,
        commit_bytes=1 << 16,
        page_bytes=SMALL_PAGE,
        reserve_bytes=0,
        spill_least=0,
        room_precedence=10**9,
        trim_bytes=0,
        cpus=cpus,
        gpus=0,
        resources=(),
        aging=1 << 60,
        job_turn=1 << 60,
        trace_records=0,
        tracing=False,
        session_id=1,
        namespaces=(0, 0, 0),
    )


class Stage:
    """A region, its puppets by slot, and what the node does for them."""

    def __init__(self, cpus=2 * CPU):
        self.files = make_files(sizes := small(cpus), None)
        self.region = _core.Region.create(*self.files[:3], sizes)
        self.region.join(_core.DRIVER, os.getpid(), 0)
        self.region.make_current()
        self.store, self.scheduler, self.puppets = Store(self.region, Config()), Scheduler(99), {}

    def start(self, fuse=None, slot=None):
        """A new puppet, in a slot of its own or the given one, that is here; or one whose life begins with a burning fuse."""
        slot = slot or _core.open_worker(self.region)
        ours, theirs = Pipe()
        pid = os.fork()
        if pid == 0:
            self.become_worker(slot, (ours, theirs), fuse)
        theirs.close()
        self.puppets[slot] = Strings(slot, pid, ours)
        if fuse is None:
            assert self.puppets[slot].answer() == "here"
        return slot

    def become_worker(self, slot, ends, nanoseconds):
        """In the child."""
        ours, theirs = ends
        try:
            fuse = Fuse()
            gc.disable()  # what the test had is not to be collected here
            signal.alarm(ALARM_S)
            for link in [ours, *(puppet.link for puppet in self.puppets.values())]:
                link.close()
            if nanoseconds is not None:
                fuse.light(nanoseconds)
            _core.adopt_slot(self.region, slot, os.getpid(), started_at(os.getpid()))
            theirs.send("here")
            Puppet(self.region, theirs, fuse).obey()
        except EOFError:
            pass  # the test has gone
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)

    def bury(self, slot):
        """A dead puppet's tasks go where the scheduler says, and its slot is swept."""
        died = self.puppets.pop(slot).reap()
        _core.begin_sweep(self.region, slot)
        _core.wake_all(self.region)
        innermost = True
        while (adopted := _core.adopt_task(self.region, slot))[0]:
            task, complete = adopted
            facts = _core.task_facts(self.region, task)
            running = Running(task, "puppet", "", facts[2], facts[3], innermost, complete)
            self.obey(self.scheduler.on_death(died, running))
            innermost = False
        _core.end_sweep(self.region, slot)

    def obey(self, order):
        if isinstance(order, Requeue):
            _core.requeue_task(self.region, order.task, order.counted, order.front)
            return
        if isinstance(order, Fail):
            for index in _core.task_returns(self.region, order.task):
                if index:
                    self.store.fail(index, SystemFailure("WorkerCrashedError", order.text))
        _core.finish_task(self.region, order.task)

    def close(self):
        """Whatever still lives ends."""
        for puppet in self.puppets.values():
            os.kill(puppet.pid, signal.SIGKILL)
            puppet.reap()
        self.region.close()
        self.files.close()
