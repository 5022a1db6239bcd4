"""A lane: sessions in turn, one driver at a time. Two lanes are two sessions at once; each is a process of its own.

All choices of a session follow from the run's seed, the lane and its number, so a session can be repeated alone; the moments
of the kills can't.  Neighbours: run.py starts lanes, play.py is a session, endings.py its end.
"""

import os
import random
import time

import endings
import sabotage
import traces
import values
from model import Failed
from play import Play
from player import Lost, Player, pause
from record import Record
from script import shuffled

ROUNDS = 14  # at most, in a session
REUSED = 0.6  # so often a driver that lives begins another session
REST_S = 0.6
FIRST = 99  # label: they are so long that arguments with one don't fit into a task's record
PLAIN = ("tree", "churn", "calling", "churn_in", "hoarding", "printing", "forking", "spawning", "flaky", "inspecting", "held")
MARGIN = 24  # bytes by which the pickle of a value with ids may vary


class Lane:
    """One lane.

    Args:
        number: of the lane.
        setting: the run's; has seed, mark, keep, place, cgroup, pages, sabotage, only, rests.
        link: to the runner; closed here for its children.
    """

    def __init__(self, number, setting, link):
        self.number, self.setting, self.link = number, setting, link
        self.mark, self.cgroup, self.keep = setting.mark, setting.cgroup, setting.keep
        self.place = os.path.join(setting.place, f"lane{number}")
        self.spill_place = os.path.join(self.place, "spill")
        os.makedirs(self.spill_place)
        os.environ["XDG_RUNTIME_DIR"] = os.environ["TMPDIR"] = self.place
        self.terminal = os.path.join(setting.place, f"terminal{number}")
        self.record = Record()
        self.labels, self.player, self.play, self.costs = FIRST, None, None, {}

    def label(self):
        """A new one."""
        self.labels += 1
        return f"o{self.labels}"

    def patient(self, seconds):
        """How long to wait for what must come; less if it is known not to."""
        return seconds * sabotage.PATIENCE if self.setting.sabotage in sabotage.NEVER_COMES else seconds

    def has_huge_pages(self, size):
        """Whether there are huge pages for a store of this size; counted."""
        there = self.setting.pages.enough(size)
        self.record.counts["sessions on huge pages" if there else "sessions that found no huge pages"] += 1
        return there

    def run(self, until):
        """Sessions until that moment, the runner's word, or a failure."""
        number = self.setting.only or 0
        try:
            self.measure()
            while time.monotonic() < until and not self.link.poll():
                self.session(number)
                number += 0 if self.setting.only is not None else 1
            if traces.sessions(self.place):
                self.tidy()
            if self.player is not None and self.player.pidfd >= 0:
                self.player.leave()
        except Exception as error:
            self.fail(error)
        except KeyboardInterrupt:
            self.clean()
        return self.record.packed()

    # --- sessions ---

    def tidy(self):
        """One more session: what a death left to the next `init` is gone after it."""
        play, _ = self.begin(-2)
        play.begin()
        endings.Ending(play, "polite").perform()

    def begin(self, number):
        """A session that has not begun, and its ending's kind."""
        rng = random.Random(f"{self.setting.seed}/{self.number}/{number}")
        fresh = rng.random() > REUSED
        if self.player is not None and (self.player.pidfd < 0 or fresh):
            if self.player.pidfd >= 0:
                self.player.leave()
            self.player = None
        if self.player is None:
            self.player = Player(self.terminal, [self.link.fileno()], self.record)
        self.play = Play(self, f"{self.number}.{number}", rng, self.player)
        self.record.tell(f"session {self.play.name}, driver {self.player.pid}")
        return self.play, self.kind(number)

    def kind(self, number):
        """How a session ends: each of the deck's in turn."""
        if self.setting.sabotage:
            return "polite"
        size = sum(endings.DECK.values())
        return shuffled(endings.DECK, random.Random(f"{self.setting.seed}/{self.number}/deck {number // size}"))[number % size]

    def session(self, number):
        """One from beginning to end."""
        play, kind = self.begin(number)
        if kind not in endings.IN_INIT:
            play.begin()
            if self.setting.sabotage:
                sabotage.EVERY[self.setting.sabotage](play)
            else:
                for _ in range(play.rng.randint(0, ROUNDS)):
                    play.round()
                    if self.link.poll():
                        break
        endings.Ending(play, kind).perform()
        self.record.counts[f"ends: {kind}"] += 1
        if self.setting.rests and play.rng.random() < 0.5:
            self.rest(play.rng.random() * REST_S)

    def rest(self, seconds):
        """So that the other lane is alone for a while."""
        if self.player.pidfd >= 0:
            pause(self.player, seconds)
        else:
            self.link.poll(seconds)

    # --- what things cost ---

    def measure(self):
        """Objects and bytes of each kind of thing, in a session without kills."""
        self.setting.sabotage, wrong = None, self.setting.sabotage
        play, _ = self.begin(-1)
        play.spills = False
        play.begin()
        for recipe in dict.fromkeys((*values.RECIPES, *values.LARGE, *values.HUGE)):
            self.cost(play, ("put", recipe, 0), "put", "x", recipe, 1, ())
            for function, plain in (("make", (recipe, 0)), ("scribble", (recipe, 0)), ("several", (recipe, 2))):
                self.cost_of_call(play, function, recipe, plain)
        self.measure_actors(play)
        for recipe in values.BOXES:
            more = recipe[0], recipe[1] + MARGIN
            play.ask("put", "y", ("bytes", 1), 1, ())
            for number in (0, 1, 2):
                self.cost(play, ("put", recipe, number), "put", "x", recipe, 1, ("y",) * number)
                self.cost(play, ("put", more, number), "put", "x", more, 1, ("y",) * number)
            play.ask("drop", ("y",))
            for one in (recipe, more):
                self.cost_of_call(play, "box", one, (one, 0))
            different = [key for key in self.costs if key[1] == recipe and self.costs[key] != self.costs[key[0], more, key[2]]]
            if different and recipe not in values.RECIPES:
                raise Failed(f"{different} lie at the edge of a size class: choose other boxes")
        for function in PLAIN:
            self.costs[function, (), 0] = 1, 0
        self.setting.sabotage = wrong
        endings.Ending(play, "polite").perform()
        self.record.story.clear()

    def cost(self, play, key, *order):
        """Of what an order for `x` makes."""
        before = play.ask("quiet", {"tasks": 0}, 1.0)
        play.ask(*order)
        labels = [label for label in ("x", "x2") if label == "x" or key[0] in ("several", "acts")]
        play.ask("read", labels)
        after = play.ask("quiet", {"tasks": 0}, 1.0)
        play.ask("drop", labels)
        self.costs[key] = tuple((after[name] - before[name]) // len(labels) for name in ("objects", "bytes"))

    def measure_actors(self, play):
        """One more actor costs as much as any but the first, which brings functions that the session keeps."""
        labels, found = ("/a", "/b", "/returns"), []
        for number, label in enumerate(labels):
            play.ask("create", label, False, {"max_restarts": 1} if number == 2 else {})
            found.append(play.ask("quiet", {"tasks": number // 2}, 1.0))
        for kind, before, after in (("actor", *found[:2]), ("actor that comes back", *found[1:])):
            self.costs[kind] = tuple(after[name] - before[name] for name in ("objects", "bytes"))
        play.ask("forget", labels[2:])
        play.ask("quiet", {"actors": 2, "tasks": 0}, 1.0)
        for number, recipe in enumerate(values.RECIPES):
            self.cost(play, ("act", recipe, 0), "act", "act", "/a", ["x"], ("/", "", number, recipe, 0), ())
            self.cost(play, ("acts", recipe, 0), "act", "acts", "/b", ["x", "x2"], ("/", "", number, recipe, 0), ())
        play.ask("forget", ("/a", "/b"))
        play.ask("quiet", {"actors": 0}, 1.0)

    def cost_of_call(self, play, function, recipe, plain):
        labels = ["x", "x2"] if function == "several" else ["x"]
        options = {"num_return_vals": 2} if function == "several" else {}
        self.cost(play, (function, recipe, 0), "call", (function, labels, ("/", *plain), (), options))

    # --- failures ---

    def fail(self, error):
        """Notes what happened, keeps what can be looked at, ends everything."""
        import traceback

        if isinstance(error, Lost):
            error = endings.lost(self.play)
        lines = [f"lane {self.number}, session {self.play.name if self.play else '-'}: {type(error).__name__}: {error}"]
        if not isinstance(error, Failed):
            lines.append("".join(traceback.format_exception(error)))
        lines += ["the last actions:", *self.record.story]
        if self.play is not None:
            lines += ["processes of the session:", *self.autopsy()]
        self.record.failures.append("\n".join(lines))
        self.clean()

    def autopsy(self):
        """What is there; copies into the directory for such things."""
        mine = [pid for pid in (self.player.pid,) if self.player.pidfd >= 0]
        found = [*mine, *traces.marked(self.play.mark)]
        lines = [traces.say(pid) for pid in found]
        if mine:
            self.player.stacks()
        if self.keep:
            prefix = os.path.join(self.keep, f"{self.setting.seed}-{self.play.name}")
            if traces.copy_control(found, prefix + ".control"):
                lines.append(f"the region's control file: {prefix}.control")
            for path, suffix in ((self.play.log, ".attempts"), (self.terminal, ".terminal")):
                if os.path.exists(path):
                    with open(path, "rb") as source, open(prefix + suffix, "wb") as sink:
                        sink.write(source.read())
        return lines

    def clean(self):
        if self.player is not None:
            self.player.kill()
        traces.end(f"{self.mark}{self.number}.")
