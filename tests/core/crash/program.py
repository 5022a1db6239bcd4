"""A random program over the core's operations, run by a handful of actors of one region, one stepped operation at a time.

It needs no model: each operation is chosen from what the region itself says is possible, and judge.pyx judges each state.
"""

import os
import random
from collections import Counter
from types import SimpleNamespace

NODE, DRIVER, ONE, TWO = range(4)
WORKERS = (ONE, TWO)
PENDING, CREATING, SEALED = 1, 2, 3
JOB_PINNED, NAMELESS = 2, 4
DONE, STALE, FULL_ARENA, FULL_TABLE = 0, -20, -21, -22
SIZES = (1, 40, 41, 64, 200, 300, 1000, 3000, 6000, 20000, 32768, 33000, 70000, 200000)  # cells and runs
SHAPES = (0, 5000, 10000, 20000)
NOW = 1 << 62  # nanoseconds: who is idle since before that is so long enough
RESOURCES = 14  # custom ones; a shape with all of them is wide
DEMANDING = ((0, 10000, 0), (5000, 2500, 0), (0, 0, 2), (5000, 0, RESOURCES), (20000, 10000, 1))  # CPUs, GPUs, custom ones
UNIT = 4096


def small_region(module):
    """A region of the least size: its META is some tens of KiB. (region, files to close)."""
    sizes = dict(objects=64, slots=8, buckets=4, commit_bytes=UNIT, page_bytes=UNIT, reserve_bytes=0)
    sizes |= dict(spill_least=4096, room_precedence=10**9, trim_bytes=5 * UNIT, session_id=1, namespaces=(0, 0, 0))
    sizes |= dict(cpus=20000, gpus=1, resources=[10000] * RESOURCES, aging=1, job_turn=1 << 60, trace_records=0, tracing=False)
    control = module.control_bytes(sizes["objects"], sizes["slots"], sizes["buckets"], RESOURCES)
    lengths = [control, 1 << 21]
    files = [os.memfd_create(f"ray_lite-crash-{n}") for n in lengths]
    for file, length in zip(files, lengths, strict=True):
        os.ftruncate(file, length)
    files.append(os.eventfd(0, os.EFD_NONBLOCK))
    sizes = SimpleNamespace(**sizes, control_bytes=lengths[0], arena_bytes=lengths[1])
    return module.Region.create(*files, sizes), files


class Program:
    """Random operations of the actors of one stepper."""

    def __init__(self, module, seed, every=0):
        self.module, self.random = module, random.Random(seed)
        self.region, self.files = small_region(module)
        self.stepper = module.Stepper(self.region, every)
        self.ids = iter(range(1, 1 << 30))
        self.counts = Counter()
        self.driver, self.everybody = DRIVER, (DRIVER, ONE, TWO)  #: whose tasks are submitted now; who holds objects
        self.roles = (module.NODE, module.DRIVER, module.WORKER, module.WORKER)

    def begin(self):
        """Everybody enters; the queues are made."""
        for who, role in enumerate(self.roles):
            self.stepper.enter(who, role)
        for who in WORKERS:
            self.do("adopt_slot", who, a=self.stepper.slot(who))
        driver = self.stepper.slot(DRIVER)
        self.queues = [self.do("shape", DRIVER, a=driver, size=cpus)[1] for cpus in SHAPES]
        self.queues += [self.shape(*demands) for demands in DEMANDING]

    def shape(self, cpus, gpus, resources):
        """A queue of tasks that need all there is of the first custom resources."""
        return self.do("shape", DRIVER, a=self.stepper.slot(DRIVER), b=gpus, size=cpus, targets=range(resources))[1]

    def close(self):
        self.stepper.close()
        self.region.close()
        for file in self.files:
            os.close(file)

    def do(self, what, who, **settings):
        self.counts[what] += 1
        rc, out, complete = self.stepper.do(what, who, **settings)
        assert rc in (DONE, STALE, FULL_ARENA, FULL_TABLE), f"{what}: {rc}"
        return rc, out, complete

    def new_id(self):
        return next(self.ids).to_bytes(8, "little") * 2 + b"\1\2\3\4"

    # --- what is possible now ---

    def run(self, operations):
        for _ in range(operations):
            self.step()

    def step(self):
        if self.random.random() < 0.15:
            names = "trim trim cancelled cancelled retire age lend look".split()
            return getattr(self, self.random.choice(names))()
        who = self.random.choice((DRIVER, ONE, ONE, TWO, TWO))
        if who in WORKERS and self.random.random() < 0.5:
            return self.work(who)
        if who in WORKERS and self.random.random() < 0.05:
            return self.die(who)
        return self.hold(who)

    def hold(self, who):
        """An operation on objects, which any process can do."""
        objects, tasks, refs = self.stepper.left()
        mine = self.stepper.holds(who)
        if objects < 24 or tasks < 4 or (mine and self.random.random() < 0.3):
            return self.release(who, mine)
        names = "put create create build build build move move read share expose find announce submit submit cancel".split()
        return getattr(self, self.random.choice(names))(who, mine)

    def release(self, who, mine):
        if mine:
            i = self.random.choice(mine)[0]
            for _ in range(self.stepper.reads(who, i)):  # views hold their objects
                self.do("unread", who, a=i)
            self.do("release", who, a=i)
        else:
            self.do("drain", NODE)

    def put(self, who, mine):
        self.do("put", who, id=self.new_id(), size=self.random.randrange(41))

    def create(self, who, mine):
        pinned = JOB_PINNED if self.random.random() < 0.05 else 0
        self.do("create", who, id=self.new_id(), size=self.random.choice(SIZES), a=pinned)

    def build(self, who, mine):
        """The next step of an object under construction: other room, contents, or the seal."""
        own = [i for i, state, _, owner, _ in mine if state == CREATING and owner == self.stepper.slot(who)]
        if not own:
            return self.put(who, mine)
        self.construct(who, self.random.choice(own), mine)

    def construct(self, who, i, mine):
        if self.random.random() < 0.4:
            return self.do("seal", who, a=i)
        if self.random.random() < 0.4:
            return self.do("room", who, a=i, size=self.random.choice(SIZES))
        if self.random.random() < 0.4:
            return self.do("abandon", who, a=i)
        self.contain(who, i, mine)

    def contain(self, who, i, mine):
        done = [j for j, state, *_ in mine if state != CREATING]
        count = min(len(done), self.random.choice((1, 2, 12)), self.stepper.left()[2] - 40)
        if count > 0:
            self.do("contain", who, a=i, targets=self.random.sample(done, count))

    def move(self, who, mine):
        """An object's bytes go to the spill file, or come back; sometimes the mover gives up, or is told that it was late."""
        movable = self.stepper.movable(who)
        if not movable:
            rc, i, _ = self.do("create", who, id=self.new_id(), size=self.random.choice(SIZES[-6:]))
            return self.do("seal", who, a=i) if rc == DONE else None
        i, size, spilled, moves, readers, own = self.random.choice(movable)
        if not spilled and own == 0 and self.do("read", who, a=i)[0]:
            return
        rc, target, _ = self.do("create" if spilled else "create_spilled", who, size=size, a=NAMELESS)
        if rc == DONE:
            late = self.random.random() < 0.1
            moved = self.do("exchange", who, a=i, b=target, size=moves + late)[0] == DONE
            assert moved == (not late and (spilled or (readers, own) in ((0, 0), (1, 1))))
            self.do("release", who, a=target)
        if not spilled:
            self.do("unread", who, a=i)

    def trim(self):
        """The node gives the pages of a free run back, or cannot."""
        spilled = self.random.random() < 0.3
        if self.do("trim_take", NODE, b=spilled)[0] == DONE:
            self.do("trim_finish", NODE, a=self.random.random() < 0.8, b=spilled)

    def cancelled(self):
        """The node ends a cancelled task, as one that failed."""
        _, t, _ = self.do("take_cancelled", NODE)
        if t:
            for i in self.stepper.returns(t):
                if self.random.random() < 0.5:
                    self.do("room", NODE, a=i, b=1, size=self.random.choice(SIZES[:6]))  # of the reserve, as failures are
            self.do("finish", NODE, a=t)
        return t

    def retire(self):
        """The node asks a worker to end, if one is idle for long enough."""
        self.do("retire", NODE, size=NOW if self.random.random() < 0.9 else 0)

    def age(self):
        self.do("age", NODE)

    def read(self, who, mine):
        """Somebody begins to read bytes, or ends it."""
        movable = [entry for entry in self.stepper.movable(who) if entry[-1] or not entry[2]]
        if movable:
            i, *_, own = self.random.choice(movable)
            self.do("unread" if own and self.random.random() < 0.7 else "read", who, a=i)

    def share(self, who, mine):
        """Another process's object becomes known here."""
        other = self.random.choice([one for one in self.everybody if one != who])
        theirs = [entry for entry in self.stepper.holds(other) if entry[1] != CREATING]
        if theirs:
            i, _, generation, *_ = self.random.choice(theirs)
            self.do("hold", who, a=i, b=generation + (self.random.random() < 0.1))

    def expose(self, who, mine):
        done = [i for i, state, *_ in mine if state != CREATING]
        if done:
            self.do("expose", who, a=self.random.choice(done))

    def find(self, who, mine):
        known = [entry[0] for one in self.everybody for entry in self.stepper.holds(one)]
        missing = not known or self.random.random() < 0.2
        binary = self.new_id() if missing else self.stepper.id_of(self.random.choice(known))
        self.do("find", who, id=binary, a=self.random.randrange(2))

    def announce(self, who, mine):
        pending = [i for i, state, *_ in mine if state == PENDING]
        if pending:
            self.stepper.announce(who, self.random.choice(pending), self.random.random() < 0.5)

    def cancel(self, who, mine):
        """Any task, or one that has ended and whose record may be another's."""
        tasks = self.stepper.tasks()
        if tasks:
            t, serial = self.random.choice(tasks)
            late = self.random.random() < 0.1
            self.do("cancel", who, a=t, b=serial + late, size=self.random.randrange(2))

    def submit(self, who, mine):
        done = [i for i, state, *_ in mine if state != CREATING]
        count = min(len(done), self.random.choice((0, 0, 1, 2, 8)))
        running = self.stepper.work(who)[2]
        size = self.random.choice((0, 8, 28, 29, 500, 1500, 5000))
        size = self.random.choice((size, size, size, size, 40000, 3000000)) if self.random.random() < 0.05 else size
        self.do(
            "submit",
            who,
            id=self.new_id(),
            targets=self.random.sample(done, count),
            size=min(size, 65536) if size != 3000000 else size,
            nreturns=self.random.choice((0, 1, 1, 1, 2, 5, 14)),
            queue=self.random.choice(self.queues),
            parent=running[0] if running else 0,
        )

    # --- a worker's own life ---

    def work(self, who):
        idle, blocked, running = self.stepper.work(who)
        if self.random.random() < 0.1:
            return self.threads(who)
        if blocked and self.random.random() < 0.7:
            return self.do("unblock", who)
        if blocked and self.random.random() < 0.5:
            return self.do("await", who, a=self.random.choice([0, *(i for i, *_ in self.stepper.holds(who))]))
        if blocked:
            return self.hold(who)
        if not running:
            if self.stepper.leaving(who) and self.random.random() < 0.8:  # else it looked before it was asked
                return self.retired(who)
            if idle and self.random.random() < 0.2:
                return self.do("leave", who)
            return self.do("next", who)
        self.run_task(who, running)

    def threads(self, who):
        """Other threads of a worker begin to wait, or wake; they may do so at any time."""
        waits, for_ever, _ = self.stepper.threads(who)
        if waits and self.random.random() < 0.6:
            old = waits == for_ever or for_ever and self.random.random() < 0.5
            return self.do("thread_wake", who, b=bool(old) + 2 * (self.random.random() < 0.3))
        self.do("thread_wait", who, b=self.random.randrange(2))

    def lend(self):
        self.do("lend", NODE, a=self.stepper.slot(self.random.choice(WORKERS)))

    def look(self):
        self.do("look", NODE, b=self.random.randrange(2))

    def run_task(self, who, running):
        if self.random.random() < 0.1:
            return self.do("block", who)
        if self.random.random() < 0.12:
            return self.do("mark", who, a=self.random.choice([0, *(i for i, *_ in self.stepper.holds(who))]))
        if self.random.random() < 0.3:
            return self.nest(who, running)
        returns = self.stepper.returns(running[0])
        if returns and self.random.random() < 0.4:
            i = self.random.choice(returns)
            if self.random.random() < 0.6:
                return self.do("room", who, a=i, size=self.random.choice(SIZES))
            return self.contain(who, i, self.stepper.holds(who))
        if self.random.random() < 0.1:
            return self.do("again", who, a=running[0], b=self.random.randrange(8))
        last = len(running) == 1 and not self.stepper.leaving(who)
        return self.do("next" if last else "finish", who, a=running[0])

    def retired(self, who):
        """It was asked to end, and does."""
        self.do("leave", who)
        self.die(who)

    def nest(self, who, running):
        """A child that others wait for, run inline: the way of `get` inside a task."""
        if min(self.stepper.left()) < 24:
            return self.release(who, self.stepper.holds(who))
        child = self.spawn(who, running, ())
        for _ in range(self.random.randrange(4)):
            self.spawn(self.random.choice((who, self.driver)), running, child)
        rc, inner, _ = self.do("inline", who, a=child[0])
        if rc == DONE and self.random.random() < 0.2:
            self.do("again", who, a=inner, b=self.random.randrange(8))
        elif rc == DONE:
            self.do("finish", who, a=inner)

    def spawn(self, who, running, targets):
        """The returns of a task without CPUs, so that it can always run inline; `targets` must be held."""
        for i in targets if who == self.driver else ():
            self.do("hold", who, a=i, b=self.stepper.generation(i))
        parent = running[0] if who != self.driver else 0
        queue = self.random.choice(self.queues) if targets else self.queues[0]
        _, t, _ = self.do("submit", who, id=self.new_id(), targets=targets, nreturns=1, queue=queue, parent=parent)
        return self.stepper.returns(t)

    def die(self, who):
        """The process is gone between two operations; the node sweeps it and forks another."""
        self.bury(self.stepper.slot(who))
        _, slot, _ = self.do("open", NODE)
        self.do("adopt_slot", who, a=slot)

    def bury(self, slot):
        self.do("sweeping", NODE, a=slot)
        self.do("sweep", NODE, a=slot)
        while True:
            _, t, complete = self.do("adopt", NODE, a=slot)
            if not t:
                break
            if complete:
                self.do("finish", NODE, a=t)
            else:
                self.undone(t)
        self.do("free", NODE, a=slot)

    def undone(self, t):
        """What becomes of a task whose process died."""
        self.do("requeue", NODE, a=t, b=self.random.randrange(4))

    # --- the end ---

    def end(self):
        """Everybody dies, and what is left runs, in as many fresh workers as its GPUs take; then all is free again."""
        for who in WORKERS:
            self.die(who)
        self.bury(self.stepper.slot(DRIVER))
        self.all_is_free()
        t = 0
        for _ in range(1000):
            while self.cancelled():
                pass
            _, t, _ = self.do("next", ONE, a=t)
            if t == 0 and self.stepper.tasks() == []:
                break
            if t == 0:
                self.die(ONE)
        facts = self.region.statistics()
        assert [facts[name] for name in ("tasks", "ready", "stalled", "reserved")] == [0, 0, 0, False]
        self.all_is_free()

    def all_is_free(self):
        for number, (total, free) in enumerate(self.module.resource_amounts(self.region)):
            assert free == total, f"of resource {number}, {free} of {total} is free"
