"""What a run did, and the table it prints at the end: counts, slowest times, failures, the last actions.

Neighbours: lanes fill one each, run.py merges them.
"""

import time
from collections import Counter, deque

STORY = 120  # actions that a failure shows


class Record:
    """Counts of one lane, or of all."""

    def __init__(self):
        self.kills, self.counts = Counter(), Counter()
        self.slowest = {}  # seconds, and in which play
        self.failures = []
        self.story = deque(maxlen=STORY)
        self.began = time.monotonic()

    def tell(self, text):
        """An action, for the story of a failure."""
        self.story.append(f"{time.monotonic() - self.began:10.4f}  {text}")

    def killed(self, kind, pid=0):
        self.kills[kind] += 1
        self.tell(f"kill: {kind} {pid or ''}")

    def took(self, what, seconds, play):
        """A time of which the slowest is shown."""
        if seconds > self.slowest.get(what, (0.0, ""))[0]:
            self.slowest[what] = seconds, play

    def packed(self):
        """For the way from a lane to the runner."""
        return self.kills, self.counts, self.slowest, self.failures

    def merge(self, packed):
        kills, counts, slowest, failures = packed
        self.kills.update(kills)
        self.counts.update(counts)
        self.failures += failures
        for what, (seconds, play) in slowest.items():
            self.took(what, seconds, play)

    def table(self, seed, seconds, remarks):
        """Lines for people; test_soak.py reads them too."""
        kills = sum(self.kills.values())
        rows = [("seed", seed), ("seconds", f"{seconds:.1f}"), ("kills", f"{kills} ({kills / seconds:.1f} a second)")]
        rows += [(f"  {kind}", number) for kind, number in sorted(self.kills.items())]
        rows += sorted(self.counts.items())
        for what, (found, play) in sorted(self.slowest.items()):
            rows.append((f"slowest: {what}", f"{found * 1e3:.1f} ms (session {play})"))
        rows += [("remark", remark) for remark in remarks]
        rows += [("failures", len(self.failures))]
        return "\n".join(f"{name:<58} {value}" for name, value in rows)
