"""The kill soak: real sessions, processes of every kind killed at random moments, compared with a model; for minutes or hours.

    python tests/soak/run.py --minutes 60 --keep DIRECTORY

Two lanes (lane.py) play sessions in turn.  It prints its seed, at the end one table, and what failed: exit code 1 then.
Neighbours: test_soak.py runs it for half a minute.  Must not hold a session itself: drivers are its grandchildren.
"""

import argparse
import contextlib
import multiprocessing.connection
import os
import shutil
import sys
import tempfile
import time
import uuid

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # drivers are forked: no threads may be here
import numpy  # noqa: E402, F401  (drivers and the model need it: once is enough)
import sabotage  # noqa: E402
import traces  # noqa: E402
from huge import PAGE, HugePages  # noqa: E402
from lane import Lane  # noqa: E402
from play import SMALL_STORE_BYTES  # noqa: E402
from record import Record  # noqa: E402

LANES = 2
LATE_S = 120.0  # a lane that has not ended so long after its time hangs
STORES = 3  # on huge pages, a lane: one in use, one that is about to go, one to spare
CGROUP_BYTES = 60_000_000
SETTLE_S = 3.0
TOLD_S = 60.0  # between two lines of progress


def arguments():
    parser = argparse.ArgumentParser(description="kill soak of ray_lite")
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    parser.add_argument("--keep", help="directory for the control file and logs of a session that failed")
    parser.add_argument("--only", help="LANE.NUMBER: this session over and over, to repeat a failure")
    parser.add_argument("--sabotage", choices=sorted(sabotage.EVERY), help="a wrong that must be found: tests the soak itself")
    given = parser.parse_args()
    given.seconds = given.seconds + 60 * given.minutes or 60
    return given


class Setting:
    """What all lanes know."""

    def __init__(self, given):
        self.seed, self.keep, self.sabotage = given.seed, given.keep, given.sabotage
        self.mark = f"{uuid.uuid4().hex};"
        self.only, self.rests, self.lanes = None, False, range(LANES)
        if given.only:
            lane, _, number = given.only.partition(".")
            self.lanes, self.only = [int(lane)], int(number)
        if given.sabotage:
            self.lanes = [0]
        self.place = tempfile.mkdtemp(prefix="rl-soak-")
        self.group = traces.SmallCgroup(f"ray_lite-soak-{os.getpid()}", CGROUP_BYTES)
        self.cgroup = self.group if self.group.path else None
        self.pages = HugePages(LANES * STORES * SMALL_STORE_BYTES // PAGE)
        if self.keep:
            os.makedirs(self.keep, exist_ok=True)


class Runner:
    """The lanes, from start to table."""

    def __init__(self, setting, seconds):
        self.setting, self.seconds = setting, seconds
        self.record, self.lanes = Record(), {}  # link -> (number, pid)

    def start(self, number, until):
        mine, its = multiprocessing.connection.Pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for link in (mine, *self.lanes):
                    link.close()
                self.setting.rests = number > 0
                its.send(Lane(number, self.setting, its).run(until))
                code = 0
            finally:
                os._exit(code)
        its.close()
        self.lanes[mine] = number, pid

    def run(self):
        until = time.monotonic() + self.seconds
        for number in self.setting.lanes:
            self.start(number, until)
        told = time.monotonic()
        while self.lanes:
            wait = max(0.0, min(until + LATE_S, told + TOLD_S) - time.monotonic())
            for link in multiprocessing.connection.wait(list(self.lanes), wait):
                self.hear(link)
            if time.monotonic() > until + LATE_S:
                self.give_up()
            if time.monotonic() > told + TOLD_S:
                told = time.monotonic()
                print(f"{told - self.record.began:.0f} s: going on", flush=True)

    def hear(self, link):
        """A lane has ended; if it failed, the others end too."""
        number, pid = self.lanes.pop(link)
        try:
            self.record.merge(link.recv())
        except (EOFError, ConnectionResetError):
            self.record.failures.append(f"lane {number} ended without a word")
        link.close()
        os.waitpid(pid, 0)
        if self.record.failures:
            for other in self.lanes:
                with contextlib.suppress(OSError):
                    other.send("stop")

    def give_up(self):
        """Lanes that hang are ended, and all that they had started."""
        for number, pid in self.lanes.values():
            self.record.failures.append(f"lane {number} hangs: {traces.say(pid)}")
            os.kill(pid, 9)
        for link in list(self.lanes):
            self.hear(link)

    def check_end(self, before):
        """Nothing is left anywhere."""
        end = time.monotonic() + SETTLE_S
        while (left := traces.marked(self.setting.mark)) and time.monotonic() < end:
            time.sleep(0.02)  # they are nobody's children any more: no descriptor tells of their end
        if left:
            self.record.failures.append("processes are left: " + "; ".join(map(traces.say, left)))
            traces.end(self.setting.mark)
        if not self.setting.group.remove():
            self.record.failures.append(f"the cgroup {self.setting.group.path} can't be removed")
        self.setting.pages.give_back()
        fresh = [path for path in traces.listing(*shared_places()) - before if traces.is_ours(path)]
        fresh += [name for number in self.setting.lanes for name in os.listdir(f"{self.setting.place}/lane{number}/spill")]
        fresh += [name for number in self.setting.lanes for name in traces.sessions(f"{self.setting.place}/lane{number}")]
        if fresh and not self.record.failures:  # a lane that failed left in the midst of it
            self.record.failures.append(f"files are left: {fresh}")
        shutil.rmtree(self.setting.place)


def shared_places():
    return {tempfile.gettempdir(), "/dev/shm"}


def main():
    given = arguments()
    print(f"kill soak: seed {given.seed}, {given.seconds:g} s", flush=True)
    before = traces.listing(*shared_places())
    setting = Setting(given)
    runner = Runner(setting, given.seconds)
    try:
        runner.run()
        runner.check_end(before)
    finally:
        setting.pages.give_back()
    why = f"no worker was killed out of memory: no memory cgroup can be made ({setting.group.why})"
    remarks = [] if setting.cgroup else [why]
    remarks += [f"no huge pages: {setting.pages.why}"] if setting.pages.why else []
    print(runner.record.table(given.seed, time.monotonic() - runner.record.began, remarks))
    for failure in runner.record.failures:
        print(f"\nFAILURE: {failure}")
    if runner.record.failures:
        print("\nin short:", *(failure.partition("\n")[0] for failure in runner.record.failures), sep="\n  ")
        print(f"\nto repeat: python {sys.argv[0]} --seed {given.seed} --seconds {given.seconds:g}, or with --only and the "
              "session's name that session alone, over and over; the moments of the kills differ")
    sys.exit(bool(runner.record.failures))


if __name__ == "__main__":
    main()
