"""One session of the soak: rounds of orders, kills in their midst, and after them everything compared with the model.

    begin -> [compose orders, strike, collect answers, verify] * rounds -> an ending (endings.py)

Neighbours: script.py composes, killer.py strikes, player.py speaks with the driver, model.py judges, lane.py owns plays.
"""

import os
import re
import time

import deeds
import sabotage
import traces
from actor_model import CALLER, CALLS
from actor_script import MOST, NAMES, SEATS
from killer import Killer
from model import Failed, Model
from player import pause
from script import Script

from ray_lite.config import SCRIPT_MODE, SILENT_MODE

QUIET_S = 5.0  # the session's counts are the model's by then
SAVES = 10  # checkpoints of an actor, until the counts are the model's
TOLD_S = 1.0  # after the death of the node, calls have raised by then
STORE_BYTES = 268_435_456
SPILLING = 0.4  # of the sessions have a small store and a spill directory,
SMALL_STORE_BYTES = 25_165_824
FORCING = 0.2  # of the sessions cancel by force, too: then it can't be told who killed a worker
HUGE = 0.4  # and of these so many are on huge pages
EMPTIED = 0.2  # so often, all that a session holds is dropped when it is quiet
STEP_S = 0.0005
FATAL = re.compile(r"Traceback|Fatal Python error|Segmentation fault|AssertionError|lost before|Exception ignored")
OF_ACTORS = re.compile(r"^ray_lite: task calling failed(?:(?!^ray_lite: ).)*?^ray_lite\.exceptions\.RayActorError: .*?$",
                       re.MULTILINE | re.DOTALL)
LINE = re.compile(r"(\(pid=\d+\) )?soak \S+ \d+ end")


class Play:
    """One session of a driver.

    Args:
        lane: has record, costs, cgroup, place, label(), sabotage.
        name: lane and number; with the run's seed it determines all choices.
    """

    def __init__(self, lane, name, rng, player):
        self.lane, self.name, self.rng, self.player, self.record = lane, name, rng, player, lane.record
        self.model = Model(lane.costs)
        self.mark = f"{lane.mark}{name};"
        self.log, self.log_at = os.path.join(lane.place, f"attempts-{name}"), 0
        self.node, self.session_dir, self.silent = 0, "", self.rng.random() < 0.5
        self.thens, self.doomed, self.told = [], 0.0, 0.0
        self.killed_at, self.begun_since = {}, []
        self.recoveries, self.spilled, self.were_spilled = 0, 0, {"values": 0, "arguments": 0}
        self.spills = self.rng.random() < SPILLING or lane.setting.sabotage in sabotage.SPILL
        self.forces = self.rng.random() < FORCING
        self.killer, self.script = Killer(self), Script(self)

    # --- speaking with the driver ---

    def tell(self, verb, *arguments, then=None):
        """Sends an order; `then` gets what it answers, in `collect`."""
        self.thens.append(then)
        self.player.tell(verb, *arguments)

    def take(self):
        """The answer of the oldest open order."""
        verb, how, what, when = self.player.answer()
        then = self.thens.pop(0)
        if how == "raised":
            if self.doomed and what[0] in ("RaySystemError", "KeyError"):  # the second: of what an earlier order didn't make
                self._told(verb, when)
                return
            raise Failed(f"{verb} raised {what[0]}: {what[1]}")
        if then is not None:
            then(what)

    def _told(self, verb, when):
        """The first call that the death of the node ended."""
        if not self.told:
            self.told = when - self.doomed
            self.record.took("death of the node to the end of the call it met", self.told, self.name)
            if self.told > TOLD_S:
                raise Failed(f"{verb} was told {self.told:.2f} s after the death of the node")

    def collect(self):
        """All answers that are due."""
        while self.player.open:
            self.take()

    def ask(self, verb, *arguments):
        """One order and its answer, after all others."""
        self.collect()
        return self.player.ask(verb, *arguments)

    # --- the session ---

    def begin(self):
        """Starts the session."""
        self.tell_init()
        self.collect()
        if self.spills:
            self.script.hoard()

    def tell_init(self):
        with open(self.log, "w"):
            pass
        environment = {traces.MARK: self.mark, deeds.LOG: self.log}
        environment["RAY_LITE_OBJECTS"] = self.rng.choice(("32768", "4194304"))
        environment["RAY_LITE_COMMIT_STEP"] = self.rng.choice(("65536", "2097152"))  # the first grows all the time
        environment["RAY_LITE_STORE_DELAY"] = self.rng.choice(("0.01", "1e6"))
        environment["RAY_LITE_STORE_RESTART"] = environment["RAY_LITE_STORE_REFRESH"] = "0.02"
        options = {
            "num_redis_shards": self.rng.choice((0, 0, 2)),
            "num_cpus": self.rng.choice((1, 2, 2, 3)), "num_gpus": 1, "resources": {"disk": 2, "tape": 1, SEATS: MOST},
            "object_store_memory": STORE_BYTES, "shutdown_grace": 0.5,
            "driver_mode": SILENT_MODE if self.silent else SCRIPT_MODE, "num_workers": self.rng.choice((None, None, 2)),
            "redirect_worker_output": self.rng.random() < 0.3,
        }
        environment["RAY_LITE_SPILL_LEAST"] = self.rng.choice(("4096", "32768"))
        environment["RAY_LITE_SPILL_BATCH"] = self.rng.choice(("65536", "2097152", "16777216"))
        if self.spills:
            options |= {"object_store_memory": SMALL_STORE_BYTES, "spill_directory": self.lane.spill_place}
            self.record.counts["sessions that spill"] += 1
        if self.spills and self.rng.random() < HUGE and self.lane.has_huge_pages(SMALL_STORE_BYTES):
            options["huge_pages"] = True
        elif self.rng.random() < 0.2:
            options["plasma_directory"] = "/dev/shm"
        self.tell("init", options, environment, then=self._begun)

    def _begun(self, answer):
        address, counts = answer
        self.node, self.session_dir = address["node_pid"], address["session_dir"]
        self.model.base = {name: counts[name] for name in self.model.base}
        self.record.counts["sessions"] += 1
        if len(traces.sessions(self.lane.place)) != 1:
            raise Failed(f"directories of sessions that are over: {traces.sessions(self.lane.place)} beside {self.session_dir}")

    def round(self):
        """Orders, one to three kills in their midst, and what must be true after each."""
        self.script.compose(self.rng.randint(2, 9))
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            self.strike()
            self.tell("check", then=self._checked)
        if self.script.interruptible_open:
            pause(self.player, self.rng.random() * 0.01)
            self.player.signal(2)
        self.collect()
        settled = self.rng.random() < 0.75
        self.verify(settled, struck=self.rng.random() < 0.3)

    def strike(self):
        """One kill of the next kind for which there is somebody."""
        for _ in range(3):
            if self.killer.strike(self.killer.deal()):
                return

    def submit(self, function, count):
        """A task for the killer's sake."""
        if function == "hog":
            self.script.call(function, (self.lane.cgroup.procs,), retries=0)
        elif function == "churn_in":
            self.script.actors.churn(count)
        elif function == "churn":
            self.script.call(function, ("me", count))
        else:
            self.script.call(function, (count,), retries=self.rng.choice((1, 3)), shape=(count,))

    # --- what tasks noted ---

    def begun(self, function, patience):
        """The pid that began a task of this function just now, or 0."""
        self.begun_since.clear()
        end = time.monotonic() + patience
        while time.monotonic() < end:
            self.read_log()
            for task, pid in self.begun_since:
                if task.function == function:
                    return pid
            pause(self.player, STEP_S)
        return 0

    def read_log(self):
        """Takes the attempts that began since the last look."""
        with open(self.log) as file:
            file.seek(self.log_at)
            text = file.read()
        text = text[: text.rfind("\n") + 1]
        self.log_at += len(text)
        for line in text.splitlines():
            label, pid, when = line.split()
            self.noted(label, int(pid), int(when))

    def noted(self, label, pid, when):
        if self.model.actors.began(label, pid):
            self.record.counts["processes of actors"] += 1
            self.record.counts["restarts of actors"] += len(self.model.actors.handles[label].pids) > 1
            return
        task = self.model.tasks.get(label)
        if task and task.attempts and task.attempts[-1][0] in self.killed_at:
            late = (when - self.killed_at[task.attempts[-1][0]]) / 1e9
            self.record.took("kill of a worker to its task's next start", late, self.name)
        self.model.attempt(label, pid, when)
        if task.function in ("hog", "leap"):
            self.model.mortal.add(pid)
        self.begun_since.append((task, pid))
        self.record.counts["attempts of tasks"] += 1
        self.record.counts["calls of actors"] += task.function in CALLS
        self.record.counts["attempts of tasks that write"] += task.function == "scribble"

    # --- comparing ---

    def learn(self, label, outcome):
        """An outcome is judged by what had happened when it was told."""
        if outcome[0] == "raised":
            self.read_log()
        self.model.learn(label, outcome)
        self.record.counts["values checked" if outcome[0] == "value" else "failures of tasks, explained"] += 1

    def _checked(self, counts):
        self.note(counts)
        self.record.counts["fscks"] += 1

    def verify(self, settled, struck=False):
        """Everything that the driver holds, and the counts if all is to be quiet."""
        self.tell("check", then=self._checked)
        labels = sorted(self.model.held)
        if not settled and labels:
            labels, _ = self.ask("wait", labels, len(labels), 0)
        self.tell("read", labels, then=self._learn_all)
        self.tell("look", then=self._judge_views)
        if struck:
            self.strike()
            self.tell("check", then=self._checked)
            settled = False  # what the kill needs may have begun
        self.collect()
        self.read_log()
        self.model.check_attempts()
        self.model.check_returns()
        failed = [label for label in self.model.held if (self.model.things[label].outcome or "?")[0] == "failed"]
        if failed:
            self.model.drop(failed)
            self.ask("drop", failed)
        if settled:
            self.look_at_actors()
            self.compare_counts()
            self.model.actors.check_names(self.ask("names", NAMES))
            self.record.counts["names looked up"] += len(NAMES)
            if self.rng.random() < EMPTIED:
                self.empty()

    def look_at_actors(self):
        """What each actor ran; the dead ones are forgotten."""
        actors = self.model.actors
        found = self.ask("histories", [min(one.handles) for one in actors.held()])
        self.read_log()
        for handle, (how, *what) in found.items():
            if how == "value":
                actors.check_log(handle, *what, self.model)
                self.record.counts["logs of actors that had come back compared"] += len(actors.handles[handle].pids) > 1
                self.record.counts["logs of actors compared"] += 1
                self.record.counts["calls of actors by tasks"] += sum(caller != CALLER for caller, _ in what[0])
                continue
            actors.died(handle, *what)
            self.record.counts["deaths of actors, explained"] += 1
            dead = sorted(actors.handles[handle].handles)
            for label in dead:
                actors.drop(label)
            self.ask("forget", dead)

    def _learn_all(self, found):
        for label, outcome in found.items():
            self.learn(label, outcome)

    def _judge_views(self, found):
        lost = self.model.views.keys() - found.keys()
        if lost and not self.doomed:
            raise Failed(f"kept arrays are lost: {lost}")
        for name, digest in found.items():
            label = self.model.views.get(name)
            if label is not None and digest != self.model.expected_view(name):
                raise Failed(f"a kept array changed: {self.model.say(label)}")
            self.record.counts["kept arrays checked"] += 1

    def compare_counts(self):
        """Objects, bytes and tasks are what the model holds."""
        expected = self.model.counts()
        keepers = [min(one.handles) for one in self.model.actors.held() if one.keeps]
        for _ in range(SAVES if keepers else 1):
            raised = self.ask("save", keepers)  # they keep calls, also of tasks of which nobody knows whether they have ended
            if raised:
                raise Failed(f"no checkpoint could be made of actors that live: {raised}")
            found = self.ask("quiet", expected, self.lane.patient(QUIET_S) / (SAVES if keepers else 1))
            wrong = {name: (number, found[name]) for name, number in expected.items() if found[name] != number}
            if not wrong:
                break
        self.note(found)
        if wrong:
            raise Failed(f"the session does not become quiet: (expected, found) {wrong}; all counts: {found}")
        self.record.counts["counts compared"] += 1

    def empty(self):
        """When all is dropped, nothing is left in the store, nor in the spill file."""
        labels, views, actors = sorted(self.model.held), sorted(self.model.views), self.model.actors.labels()
        self.model.drop(labels, views)
        for label in actors:
            self.model.actors.drop(label)
        self.ask("drop", labels, views)
        self.ask("forget", actors)
        self.compare_counts()
        self.ask("check")
        self.record.counts["stores emptied"] += 1

    def note(self, counts):
        """What the session did since the last look."""
        self.record.counts["lock recoveries"] += counts["recoveries"] - self.recoveries
        self.recoveries = counts["recoveries"]
        self.record.counts["bytes seen spilled"] += max(0, counts["bytes_spilled"] - self.spilled)
        self.spilled = counts["bytes_spilled"]
        for kind, number in counts["spilled"].items():
            self.record.counts[f"spilled {kind} wanted back"] += number - self.were_spilled[kind]
        self.were_spilled = counts["spilled"]

    def check_terminal(self):
        """What the session wrote: whole lines, no trace-back."""
        with open(self.lane.terminal, errors="replace") as file:
            text = OF_ACTORS.sub("", file.read())  # a task whose actor was killed may fail
        bad = FATAL.search(text)
        if bad:
            raise Failed(f"on the terminal:\n{text[max(0, bad.start() - 500):bad.start() + 3000]}")
        if not self.model.mortal & self.killer.controls:
            others = ("ray_lite", "called at")  # reports of failures; paths in them may say anything
            ours = [line for line in text.splitlines() if "soak" in line and not any(word in line for word in others)]
            torn = [line for line in ours if not LINE.fullmatch(line.strip())]  # a report repeats last lines, indented
            if torn:
                raise Failed(f"torn lines on the terminal: {torn[:5]}")
        self.record.counts["lines of output checked"] += text.count("\n")
        os.truncate(self.lane.terminal, 0)
        os.unlink(self.log)

    def check_node_log(self):
        """The node said nothing: it has nothing to complain of."""
        for name in ("node.err", "node.out"):
            path = os.path.join(self.session_dir, "logs", name)
            if os.path.exists(path) and os.path.getsize(path):
                with open(path, errors="replace") as file:
                    raise Failed(f"the node wrote: {file.read()[:3000]}")
