"""Random programs with actors: their calls, their processes, and what the node does for them, beside all that program.py does.

Each operation is chosen from what the region itself says is possible; judge.pyx judges each state.
"""

from program import DONE, DRIVER, JOB_PINNED, NODE, ONE, STALE, TWO, Program

FULL_CALLS, NAME_TAKEN = -28, -29
NAMES = (b"\1" * 20, b"\1" + b"\2" * 19, b"\7" * 20)  # the first two are in one chain
PROCESSES = (4, 5)  # places of the actors' processes among those that act
PENDING, STARTING, ALIVE, ENDING, DEAD = range(1, 6)
TURNS, LIVES = 1, 2
KILLED = 2
BACK = ((0, False), (3, False), (3, True), (3, True))  # processes that an actor may lose, and whether it keeps calls
CROWDED = 5  # calls that are kept from which on a checkpoint is likely
LIMIT = 6  # pending calls of some actors
FOR_LIFE = ((0, 0, 0), (0, 0, 0), (5000, 0, 0), (0, 10000, 2))  # CPUs, GPUs, custom resources
FOR_A_CALL = (0, 10000, 15000)  # CPUs, if nothing is held for life


class Calls(Program):
    """Random operations, actors among them."""

    def begin(self):
        super().begin()
        self.seats = dict.fromkeys(PROCESSES)  # the actor whose process each is
        self.lives = [self.members(LIVES, *demands) for demands in FOR_LIFE]
        self.facts = self.do("create", DRIVER, id=self.new_id(), size=8, a=JOB_PINNED)[1]
        self.do("seal", DRIVER, a=self.facts)
        self.turns = [self.members(TURNS, cpus, 0, 0) if cpus else 0 for cpus in FOR_A_CALL]

    def members(self, kind, cpus, gpus, resources):
        """A queue of actors."""
        driver = self.stepper.slot(DRIVER)
        return self.do("shape", DRIVER, a=driver, b=gpus, size=cpus, targets=range(resources), members=kind)[1]

    def do(self, what, who, **settings):
        self.counts[what] += 1
        rc, out, complete = self.stepper.do(what, who, **settings)
        assert rc in (DONE, FULL_CALLS, NAME_TAKEN, -20, -21, -22), f"{what}: {rc}"
        assert rc != NAME_TAKEN or settings["name"]
        return rc, out, complete

    # --- what is possible now ---

    def step(self):
        if self.random.random() < 0.3:
            return super().step()
        names = "make call call call call process process process process process process node kill named".split()
        getattr(self, self.random.choice(names))()

    def live(self, *states):
        return [entry for entry in self.stepper.actors() if entry[2] in states]

    def caller(self):
        """Who makes a call, and the task that it runs."""
        who = self.random.choice((DRIVER, DRIVER, ONE, TWO, *(who for who in PROCESSES if self.seats[who])))
        return who, self.stepper.work(who)[2]

    def make(self, **settings):
        if len(self.stepper.actors()) > 3 or min(self.stepper.left()) < 16:
            return self.release(DRIVER, self.stepper.holds(DRIVER))
        kind = self.random.randrange(4)
        life = self.lives[kind]
        turn = self.random.choice(self.turns) if kind < 2 else 0
        most, limit = self.random.choice((1, 1, 1, 3)), self.random.choice((0, 0, LIMIT))
        back = self.random.choice(BACK if most == 1 else BACK[:2])
        return self.create(DRIVER, (life, turn, most, limit, self.facts), self.some(DRIVER, (0, 0, 1, 3)), back)

    def some(self, who, counts):
        """Some objects that one holds."""
        done = [i for i, state, *_ in self.stepper.holds(who) if state != 2]
        return self.random.sample(done, min(len(done), self.random.choice(counts)))

    def create(self, who, makes, targets=None, back=BACK[0]):
        if targets is None:  # of an object
            return super().create(who, makes)
        size = self.random.choice((0, 28, 29, 500))
        name = self.random.choice((None, *NAMES))
        return self.do("submit", who, id=self.new_id(), targets=targets, size=size, makes=makes, name=name, back=back)

    def call(self):
        who, running = self.caller()
        handles = self.stepper.handles(who)
        if min(self.stepper.left()) < 24:
            return self.release(who, self.stepper.holds(who))
        if not handles:
            return self.share_a_handle(who)
        self.post(who, self.random.choice(handles)[1], running, self.some(who, (0, 0, 1, 2, 5)))

    def post(self, who, actor, running=(), targets=(), **settings):
        """A call; its record."""
        settings = dict(nreturns=self.random.choice((0, 1, 1, 1, 4)), size=self.random.choice((0, 8, 28, 29, 700))) | settings
        parent = running[0] if running else 0
        return self.do("submit", who, id=self.new_id(), targets=targets, actor=actor, parent=parent, **settings)[1]

    def share_a_handle(self, who):
        for other in (DRIVER, ONE, TWO):
            for i, _ in self.stepper.handles(other):
                return self.do("hold", who, a=i, b=self.stepper.generation(i))
        return None

    def kill(self):
        for a, serial, *_ in self.live(PENDING, STARTING, ALIVE)[:1]:
            if self.random.random() < 0.2:
                self.do("kill_actor", DRIVER, a=a, b=serial + (self.random.random() < 0.1))

    # --- an actor's own process ---

    def process(self):
        who = self.random.choice(PROCESSES)
        if self.seats[who] is None:
            return self.start(who)
        [(_, _, state, slot, *_)] = [entry for entry in self.stepper.actors() if entry[0] == self.seats[who]]
        assert slot == self.stepper.slot(who)
        running, blocked = self.stepper.work(who)[2], self.stepper.work(who)[1]
        most, waiting = self.stepper.crowd(who)
        if blocked and most == 1 and self.random.random() < 0.3:
            return self.do("await", who, a=self.random.choice([0, *(i for i, *_ in self.stepper.holds(who))]))
        if blocked and most == 1:
            return self.do("unblock", who)
        if self.random.random() < 0.04 or state == ENDING and not running:
            return self.vanish(who)
        if waiting and (waiting == len(running) or self.random.random() < 0.3):
            return self.do("calls_wait", who, b=self.random.randint(1, waiting))
        if running and most > 1 and self.random.random() < 0.1:
            awaited = self.random.choice([0, *(i for i, *_ in self.stepper.holds(who))])
            return self.do("call_awaits", who, a=self.random.choice(running), b=awaited)
        _, keeps, _, _, kept = self.stepper.back(self.seats[who])
        if keeps and self.random.random() < (0.5 if kept > CROWDED else 0.1):
            return self.save(who)
        if running and self.random.random() < 0.15:
            return self.do("block", who) if most == 1 else self.do("calls_wait", who, a=1)
        return self.work_on(who, running, most)

    def work_on(self, who, running, most):
        """A call ends, and the next begins; or a part of that."""
        returns = self.stepper.returns(running[0]) if running else []
        if returns and self.random.random() < 0.2:
            return self.do("room", who, a=self.random.choice(returns), size=self.random.choice((40, 300, 9000)))
        if running and most == 1 and self.random.random() < 0.05:  # of several none is put back
            return self.do("again", who, a=running[0], b=self.random.randrange(8))
        if running and self.random.random() < 0.05:
            return self.leave_with_cause(who)
        several = most > 1 and running and self.random.random() < 0.3  # another one may begin
        ended = 0 if several else self.random.choice(running) if running else 0
        if most > 1 and ended:
            self.do("call_awaits", who, a=ended)
        if most > 1 and ended and self.random.random() < 0.2:
            self.do("end_call", who, a=ended)
        else:
            rests = most == 1 or ended == 0 or self.random.random() < 0.5
            self.do("next_call", who, a=ended, b=not rests, size=self.random.choice((0, 1 << 60)))
        if most > 1 and ended:
            self.do("calls_wait", who)  # perhaps all others wait

    def save(self, who):
        """A checkpoint, which may refer to the actor itself; or its past calls are given up."""
        if self.random.random() < 0.1:
            return self.do("lose_past", who)
        self.save_one(who)

    def save_one(self, who):
        rc, i, _ = self.do("create", who, id=self.new_id(), size=self.random.choice((8, 300, 9000)))
        if rc == DONE:
            self.do("contain", who, a=i, targets=[handle for handle, _ in self.stepper.handles(who)[:1]])
            self.do("seal", who, a=i)
            self.do("save_checkpoint", who, a=i)
            self.do("release", who, a=i)

    # --- step by step ---

    def make_lasting(self):
        """An actor that keeps its calls."""
        self.create(DRIVER, (self.lives[0], 0, 1, 0, self.facts), (), BACK[-1])

    def seat(self, who=PROCESSES[0]):
        """The next actor, which has a process now, and which that is."""
        _, a, slot = self.do("open_actor", NODE)
        self.seats[who] = a
        self.do("adopt_slot", who, a=slot)
        return a, who

    def run_these(self, who, ended, these):
        """They are the next ones, and the last of them runs still."""
        for t in these:
            assert self.do("next_call", who, a=ended)[1] == t
            ended = t

    def bring_back_from(self, who, these):
        """Its process dies, and another is there, for these calls."""
        a, slot = self.seats[who], self.stepper.slot(who)
        self.do("sweeping", NODE, a=slot)
        self.do("sweep", NODE, a=slot)
        self.bring_back(a, slot, lost=0)
        self.do("free", NODE, a=slot)
        assert self.stepper.mailbox(a) == list(these)
        self.seat(who)

    def leave_with_cause(self, who):
        """It ends itself, and says why, or not."""
        cause = self.do("put", who, id=self.new_id(), size=8)[1] if self.random.random() < 0.5 else 0
        self.do("leave_actor", who, a=cause)
        if cause:
            self.do("release", who, a=cause)

    def named(self):
        """Somebody looks a name up."""
        who, _ = self.caller()
        rc, _, _ = self.do("named", who, id=self.random.choice(NAMES))
        self.counts["names found"] += rc != STALE

    def start(self, who):
        """The node starts a process, if an actor has none."""
        if not self.live(PENDING):
            return self.make()
        _, a, slot = self.do("open_actor", NODE)
        if a == 0:
            return None
        if self.random.random() < 0.25:  # it dies before it is here
            return self.bury_actor(a, slot)
        self.seats[who] = a
        return self.do("adopt_slot", who, a=slot)

    def vanish(self, who):
        a, self.seats[who] = self.seats[who], None
        self.bury_actor(a, self.stepper.slot(who))

    def bury_actor(self, a, slot):
        [state] = [entry[2] for entry in self.stepper.actors() if entry[0] == a]
        self.do("sweeping", NODE, a=slot)
        self.do("sweep", NODE, a=slot)
        if self.stepper.back(a)[0] and self.random.random() < 0.9:
            self.bring_back(a, slot)
        else:
            self.end_or_retry(a, slot, state)
        self.do("free", NODE, a=slot)

    def bring_back(self, a, slot, lost=0.3):
        """Its next process runs what it ran and all that it keeps, in the order of old."""
        _, keeps, creation, rebuild, _ = self.stepper.back(a)
        past, later = self.stepper.past(a), self.stepper.mailbox(a)
        while True:
            _, t, complete = self.do("adopt", NODE, a=slot)
            if not t:
                break
            if t == creation or keeps and (complete or self.stepper.replays(t) or self.random.random() >= lost):
                self.do("requeue", NODE, a=t, b=2 + (self.random.random() < 0.5))
                again = t in self.stepper.mailbox(a) or t == creation
                assert again or not complete, f"call {t} has all its results, and does not run again"
                past += [t] if again and t != creation else []  # a cancelled one is left to the node
            else:
                self.do("finish", NODE, a=t)
        self.do("restart_actor", NODE, a=a)
        wanted = [t for t in (*past, *later) if t != creation]
        found = [t for t in self.stepper.mailbox(a) if t not in (creation, rebuild)]
        assert found == wanted, f"actor {a} runs {found} again, instead of {wanted}"
        assert not rebuild or self.stepper.back(a)[2] == rebuild
        self.counts["calls that run again"] += len(past)

    def end_or_retry(self, a, slot, state):
        while True:
            _, t, complete = self.do("adopt", NODE, a=slot)
            if not t:
                break
            if complete or self.random.random() < 0.5:
                self.do("finish", NODE, a=t)
            else:
                self.do("requeue", NODE, a=t, b=self.random.randrange(4))
        if state == STARTING and self.random.random() < 0.5:
            self.do("retry_actor", NODE, a=a)
        else:
            self.end_one(a)

    def end_one(self, a):
        """It is DEAD, with a cause."""
        cause = self.do("put", NODE, id=self.new_id(), size=8)[1]
        self.do("end_actor", NODE, a=a, b=cause)
        self.do("release", NODE, a=cause)

    # --- what the node does ---

    def node(self):
        """What one actor asks for; whether one did."""
        _, a, _ = self.do("due", NODE)
        if a == 0:
            return False
        [(_, _, state, slot, calls, _, cause, _)] = [entry for entry in self.stepper.actors() if entry[0] == a]
        if state == PENDING:
            self.end_one(a)
        elif state == ENDING:
            self.strike(a, slot)
        elif state == DEAD and calls and cause:
            self.do("drain_actor", NODE, a=a, b=self.random.choice((1, 3, 100)))
        elif state == DEAD:
            if not calls:
                self.do("drain_actor", NODE, a=a)  # of its checkpoint
            self.do("free_actor", NODE, a=a)
        else:
            self.do("retire_actor", NODE, a=a)
        return True

    def strike(self, a, slot):
        """A process that is to end does, here or before it is here."""
        for who, seat in self.seats.items():
            if seat == a:
                return self.vanish(who)
        return self.bury_actor(a, slot)

    # --- the end ---

    def end(self):
        """Actors end first: their callers' other tasks may wait for what they never return."""
        for a, serial, *_ in self.live(PENDING, STARTING, ALIVE):
            self.do("kill_actor", DRIVER, a=a, b=serial)
        self.settle()
        super().end()
        self.settle()
        assert self.stepper.actors() == []

    def settle(self):
        for _ in range(300):
            while self.node():
                pass
            for a, _, state, slot, calls, *_ in self.stepper.actors():
                if state == ENDING:
                    self.strike(a, slot)
                elif state == DEAD and calls:
                    self.do("drain_actor", NODE, a=a, b=100)
            if all(state == DEAD and not calls for _, _, state, _, calls, *_ in self.stepper.actors()):
                return
            while self.cancelled():
                pass

