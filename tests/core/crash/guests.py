"""Random programs of two jobs: a guest with a node, a driver and a worker, beside all that program.py does.

What the guest submits its own worker runs; objects go to and fro.  The host ends it as node/job_end.py does, then the next one
comes.
"""

from program import DONE, DRIVER, FULL_TABLE, JOB_PINNED, NODE, ONE, SHAPES, TWO, Program

GUEST_NODE, GUEST, WORKER = 4, 5, 6  # places among those that act
LEFT = 20  # entries of each table that must be free before a job is ended: no room is nothing that could go wrong here


class Guests(Program):
    """Random operations of a host and of guests."""

    def begin(self):
        super().begin()
        self.host_queues, self.job, self.cause = self.queues, 0, None
        self.attach()

    def attach(self):
        """A guest joins."""
        _, self.job, _ = self.do("open_job", NODE)
        for who, role in ((GUEST_NODE, self.module.NODE), (GUEST, self.module.DRIVER), (WORKER, self.module.WORKER)):
            self.stepper.enter(who, role, self.job)
        self.do("adopt_slot", WORKER, a=self.stepper.slot(WORKER))
        self.guest_queues = [self.do("shape", GUEST, size=cpus)[1] for cpus in SHAPES]
        for _ in range(2):  # what a job keeps, such as its functions
            rc, i, _ = self.do("create", GUEST, id=self.new_id(), size=8, a=JOB_PINNED)
            if rc == DONE:
                self.do("seal", GUEST, a=i)
        self.everybody = (DRIVER, ONE, TWO, GUEST, WORKER)

    # --- what is possible now ---

    def step(self):
        if self.random.random() < 0.03 and min(self.stepper.left()) > LEFT:
            return self.replace()
        if self.random.random() < 0.5:
            return super().step()
        self.queues, self.driver = self.guest_queues, GUEST
        if self.random.random() < 0.1:
            self.of_the_node()
        elif self.random.random() < 0.5:
            self.work(WORKER)
        else:
            self.hold(self.random.choice((GUEST, WORKER)))
        self.queues, self.driver = self.host_queues, DRIVER

    def of_the_node(self):
        """What the guest's own node does."""
        _, t, _ = self.do("take_cancelled", GUEST_NODE)
        if t:
            self.do("finish", GUEST_NODE, a=t)
        self.do("age", GUEST_NODE)

    def retired(self, who):
        self.do("leave", who)  # a guest's worker is not replaced alone
        if who != WORKER:
            self.die(who)

    # --- the end of a guest ---

    def replace(self):
        self.drop()
        self.attach()

    def drop(self):
        """The host ends the guest, whose processes are gone."""
        rc, cause, _ = self.do("create", NODE, id=self.new_id(), size=8)
        assert rc == DONE
        self.do("seal", NODE, a=cause)
        self.cause = cause
        self.do("drop_job", NODE, a=self.job)
        for who in self.random.sample((GUEST_NODE, GUEST, WORKER), 3):
            self.bury(self.stepper.slot(who))
        self.everybody = (DRIVER, ONE, TWO)
        self.do("lose_cancelled", NODE, a=self.job, b=cause)
        for name in ("lose_tasks", "forget_sites", "unkeep", "free_queues"):
            at = 1
            while at:
                rc, at, _ = self.do(name, NODE, a=self.job, b=cause, size=at)
                assert rc == DONE
        self.do("free_job", NODE, a=self.job)
        self.do("release", NODE, a=cause)
        self.job, self.cause = 0, None

    def undone(self, t):
        if self.cause is None:
            return super().undone(t)
        assert self.do("lose", NODE, a=t, b=self.cause)[0] != FULL_TABLE

    def end(self):
        """The last guest leaves nothing; then all else ends."""
        while min(self.stepper.left()) <= LEFT:
            self.release(DRIVER, self.stepper.holds(DRIVER))
        self.drop()
        facts = self.region.statistics()
        assert facts["jobs"] == 1 and facts["kept"] == 0
        super().end()
