"""The kills in the midst of a session: which process, when, by which signal.  All that a session must survive.

    a deck of kinds, shuffled -> deal() -> one kill, at a random moment from nothing to some milliseconds from now

Every pid that is killed or stopped goes into the model's `mortal` before the signal does.  Ends of a whole session are
endings.py's.  Neighbours: play.py calls, traces.py signals.
"""

import os
import signal
import time

import traces
from player import pause
from script import shuffled

# How often each kind is in the deck.
DECK = {
    "worker": 9, "two workers": 4, "newborn worker": 3, "worker in the core": 6, "stopped worker": 2, "control process": 2,
    "store server": 2,
    "worker in a move": 3, "worker in fork": 2, "worker in exec": 2, "worker out of memory": 1, "stop and go of a worker": 2,
    "stop and go of the driver": 1, "stop and go of the node": 1, "stop and go of the control process": 1,
    "actor": 12, "two actors": 4, "newborn actor": 2, "actor in the core": 6, "actor and worker": 2, "stopped actor": 1,
    "stop and go of an actor": 1, "actor that comes back": 8, "actor that saves": 5,
}
LONG_STOPS = 0.1  # a deck: they take time
DELAYS = (0.0, 0.0003, 0.003, 0.012, 0.04)  # seconds: a kill comes at a random moment up to one of these
STOPS = (0.0005, 0.005, 0.03)
LONG_STOP_S = 1.6  # the watchdog looks by then, and ends a worker that was stopped inside the lock
BIRTH_S = 0.15  # how long to wait for a worker to be born
RETURN_S = 0.1  # how long to wait for an actor to come back
SAVES = 4  # checkpoints that are asked for at once
INFANCY_S = 0.004  # it registers in so much time
MOVING_S = 0.08  # what stores more than there is room for takes about so long
NOTE_S = 0.2  # how long to wait for a task that is to be killed in its midst


class Killer:
    """Of one session.

    Args:
        play: has rng, record, model, player, lane, node (pid), killed_at, submit(), begun().
    """

    def __init__(self, play):
        self.play, self.rng = play, play.rng
        self.deck, self.control, self.controls = [], 0, set()

    def deal(self):
        """The next kind."""
        if not self.deck:
            self.deck = shuffled(DECK, self.rng)
            if self.rng.random() < LONG_STOPS:
                self.deck.insert(self.rng.randrange(len(self.deck)), "long stop of a worker")
        return self.deck.pop(0)

    def strike(self, kind):
        """One kill of this kind, if there is anybody to kill; whether there was."""
        pause(self.play.player, self.rng.random() * self.rng.choice(DELAYS))
        return getattr(self, "_" + kind.replace(" ", "_"))(kind)

    # --- whom ---

    def family(self):
        """(workers, [control process], servers of the control store): the node's children; all but one lead their groups. A
        server that has not begun passes for a worker."""
        node = self.play.node
        found = traces.children(node)
        fact = traces.facts(node)
        group = fact[1] if fact else 0
        others = [pid for pid, its in found.items() if its == group]
        if self.control not in others:  # one that has just been forked may become a worker
            self.control = others[0] if len(others) == 1 else 0
        self.controls.update(others)
        servers = [pid for pid in found if traces.is_server(pid)]
        leaders = [pid for pid, its in found.items() if its == pid and pid not in servers]
        return leaders, [self.control] if self.control else [], servers

    def some_workers(self, number):
        """An actor that has not begun its constructor passes for a worker."""
        actors = self.play.model.actors.pids()
        workers = [pid for pid in self.family()[0] if pid not in actors]
        self.rng.shuffle(workers)
        return workers[:number]

    def some_actors(self, number):
        self.play.read_log()
        found = sorted(self.play.model.actors.pids() & {*self.family()[0]})
        self.rng.shuffle(found)
        return found[:number]

    def send(self, pid, number):
        """Signals a child of the node; whether it was there."""
        self.play.model.mortal.add(pid)
        return traces.send(pid, number, self.play.node)

    def slay(self, kind, pids):
        """Kills all these; whether any was there."""
        now = time.monotonic_ns()
        hit = [pid for pid in pids if self.send(pid, signal.SIGKILL)]
        for pid in hit:
            self.play.record.killed(kind, pid)
            self.play.killed_at[pid] = now
        return bool(hit)

    # --- how ---

    def _worker(self, kind):
        return self.slay(kind, self.some_workers(1))

    def _two_workers(self, kind):
        pids = self.some_workers(2)
        return len(pids) == 2 and self.slay(kind, pids)

    def _actor(self, kind):
        return self.slay(kind, self.some_actors(1))

    def _two_actors(self, kind):
        pids = self.some_actors(2)
        return len(pids) == 2 and self.slay(kind, pids)

    def _actor_and_worker(self, kind):
        pids = [*self.some_actors(1), *self.some_workers(1)]
        return len(pids) == 2 and self.slay(kind, pids)

    def _stopped_worker(self, kind):
        return self._stopped(kind, self.some_workers(1))

    def _stopped_actor(self, kind):
        return self._stopped(kind, self.some_actors(1))

    def _stopped(self, kind, pids):
        for pid in pids:
            if self.send(pid, signal.SIGSTOP):
                pause(self.play.player, self.rng.choice(STOPS))
                return self.slay(kind, [pid])
        return False

    def _control_process(self, kind):
        return self.slay(kind, self.family()[1])

    def _store_server(self, kind):
        return self.slay(kind, self.family()[2][:1])

    def _newborn_worker(self, kind):
        """Makes room for one, and kills it as soon as it is there: mostly while it registers."""
        before = set(traces.children(self.play.node))
        if not self.slay("worker", self.some_workers(1)):
            return False
        return self._newborn(kind, before, set(traces.pids()))

    def _newborn_actor(self, kind):
        """Mostly while it registers; until it has its slot, another process is started for it."""
        before, known = set(traces.children(self.play.node)), set(traces.pids())
        self.play.script.actors.create()
        return self._newborn(kind, before, known)

    def _newborn(self, kind, before, known):
        end = time.monotonic() + BIRTH_S
        while time.monotonic() < end:
            fresh = set(traces.pids()) - known
            known |= fresh
            for pid in fresh:
                fact = traces.facts(pid)
                if fact and fact[0] == self.play.node and pid not in before:
                    busy_until(time.monotonic() + self.rng.random() * INFANCY_S * self.rng.choice((0.02, 0.2, 1)))
                    return self.slay(kind, [pid])
        return False

    def _worker_in_fork(self, kind):
        return self.amidst(kind, "forking", 12)

    def _worker_in_exec(self, kind):
        return self.amidst(kind, "spawning", 6)

    def _worker_in_the_core(self, kind):
        """One that does nothing but calls: the likeliest to hold the lock."""
        return self.amidst(kind, "churn", 400)

    def _actor_in_the_core(self, kind):
        return self.amidst(kind, "churn_in", 400)

    def _actor_that_comes_back(self, kind):
        """Kills one, and its next process while that restores and replays, mostly."""
        known = self.play.model.actors.pids()
        if not self.slay(kind, self.some_actors(1)):
            return False
        end = time.monotonic() + RETURN_S
        while time.monotonic() < end:
            self.play.read_log()
            fresh = self.play.model.actors.pids() - known
            if fresh:
                busy_until(time.monotonic() + self.rng.random() * self.rng.choice(DELAYS[1:4]))
                self.slay(kind, fresh)
                break
            pause(self.play.player, 0.0005)
        return True

    def _actor_that_saves(self, kind):
        """One of which a checkpoint is wanted."""
        handle = self.play.script.actors.saver()
        pids = self.play.model.actors.handles[handle].pids[-1:] if handle else []
        if not pids:
            return False
        for _ in range(SAVES):
            self.play.script.actors.save_one(handle)
        busy_until(time.monotonic() + self.rng.random() * self.rng.choice(DELAYS[1:4]))
        return self.slay(kind, pids)

    def _worker_in_a_move(self, kind):
        """One that stores more than there is room for: the likeliest to spill or to restore."""
        return self.play.spills and self.amidst(kind, "hoarding", 16, MOVING_S)

    def amidst(self, kind, function, count, most=0.006):
        """Kills the worker of a task that has begun at most so many seconds ago."""
        self.play.submit(function, count)
        pid = self.play.begun(function, NOTE_S)
        if not pid:
            return False
        busy_until(time.monotonic() + self.rng.random() * most)
        return self.slay(kind, [pid])

    def _worker_out_of_memory(self, kind):
        """The kernel kills it: a task that grows in a small cgroup."""
        if not self.play.lane.cgroup:
            return False
        self.play.submit("hog", 0)
        self.play.record.killed(kind)
        return True

    def stop_and_go(self, kind, pid, seconds):
        """Stops a process for a while."""
        if not pid or not self.send(pid, signal.SIGSTOP):
            return False
        self.play.record.killed(kind, pid)
        pause(self.play.player, seconds)
        self.send(pid, signal.SIGCONT)
        return True

    def _stop_and_go_of_a_worker(self, kind):
        return any([self.stop_and_go(kind, pid, self.rng.choice(STOPS)) for pid in self.some_workers(1)])

    def _stop_and_go_of_an_actor(self, kind):
        return any([self.stop_and_go(kind, pid, self.rng.choice(STOPS)) for pid in self.some_actors(1)])

    def _long_stop_of_a_worker(self, kind):
        done = any([self.stop_and_go(kind, pid, LONG_STOP_S) for pid in self.some_workers(1)])
        self.play.killed_at.clear()  # what waits for the stopped one's CPU says nothing about speed
        return done

    def _stop_and_go_of_the_control_process(self, kind):
        return any([self.stop_and_go(kind, pid, self.rng.choice(STOPS)) for pid in self.family()[1]])

    def _stop_and_go_of_the_node(self, kind):
        return self._hold(kind, lambda number: traces.send(self.play.node, number, self.play.player.pid), self.play.node)

    def _stop_and_go_of_the_driver(self, kind):
        return self._hold(kind, self.play.player.signal, self.play.player.pid)

    def _hold(self, kind, send, pid):
        if not send(signal.SIGSTOP):
            return False
        self.play.record.killed(kind, pid)
        pause(self.play.player, self.rng.choice(STOPS))
        send(signal.SIGCONT)
        return True


def busy_until(moment):
    """Sleeping is too coarse for this."""
    while time.monotonic() < moment:
        os.sched_yield()
