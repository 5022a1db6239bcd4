"""How sessions end: politely, or by the death of the driver, of the node, of both; and what must be true soon after.

    node dead    blocked calls raise RaySystemError in a second, arrays stay readable, nothing stays
    driver dead  no process and no file of the session after two seconds

Neighbours: play.py is the session, lane.py draws the ending.
"""

import signal
import time

import traces
from model import Failed
from play import TOLD_S
from player import pause

GONE_S = 2.0  # processes and files are gone by then
DECK = {
    "polite": 5, "driver": 5, "stopped driver": 1, "driver by SIGTERM": 1, "driver in init": 2, "node": 3, "stopped node": 1,
    "node amidst orders": 2, "node in init": 2, "driver and node": 1,
}
IN_INIT = ("driver in init", "node in init")
INIT_S = 0.2  # about what it takes on a busy machine


class Ending:
    """The end of one session. After it the driver is gone, or without a session.

    Args:
        play: the session.
        kind: of DECK.
    """

    def __init__(self, play, kind):
        self.play, self.kind, self.rng, self.record = play, kind, play.rng, play.record

    def perform(self):
        """Ends the session and proves that nothing stays."""
        self.record.tell(f"ending: {self.kind}")
        getattr(self, "_" + self.kind.replace(" ", "_"))()

    # --- common parts ---

    def gone(self, began, what, directory=True):
        """Waits until no process and no file is left."""
        patience = self.play.lane.patient(GONE_S)
        while True:
            left = [traces.say(pid) for pid in traces.marked(self.play.mark)]
            files = traces.sessions(self.play.lane.place) if directory else []
            if not left and not files:
                break
            if time.monotonic() > began + patience:
                raise Failed(f"{patience:g} s after {what} there are still: {left + files}")
            time.sleep(0.002)  # another session's end can't be waited for by descriptors that one doesn't have
        self.record.took(f"{what} to all gone", time.monotonic() - began, self.play.name)

    def stop_driver(self, *numbers):
        """Signals to the driver, the last of which ends it; when."""
        for number in numbers[:-1]:
            self.play.player.signal(number)
            pause(self.play.player, self.rng.random() * 0.02)
        began = time.monotonic()
        if not self.play.player.signal(numbers[-1]):
            raise Failed("the driver ended by itself")
        return began

    def orders(self):
        """Gives the driver something to do, so that its end comes in the midst of it."""
        if self.rng.random() < 0.5:
            self.play.tell("churn", 2000)
        else:
            self.play.script.compose(self.rng.randint(1, 12))
        pause(self.play.player, self.rng.random() * self.rng.choice((0.001, 0.01, 0.05)))

    # --- the driver's ---

    def _polite(self):
        self.play.verify(settled=True)
        self.play.check_node_log()
        self.end_without("shutdown")

    def end_without(self, what):
        """`shutdown` in the driver; its arrays stay good."""
        began = time.monotonic()
        self.play.ask("end", self.rng.random() < 0.3)
        self.gone(began, what)
        self.play.tell("look", then=self.play._judge_views)
        self.play.collect()
        self.play.ask("drop", (), list(self.play.model.views))
        self.play.check_terminal()

    def _driver(self, *before):
        self.orders()
        began = self.stop_driver(*before, signal.SIGKILL)
        self.record.killed(self.kind, self.play.player.pid)
        self.buried(-signal.SIGKILL)
        self.gone(began, "death of the driver")
        self.play.check_terminal()

    def buried(self, expected):
        code = self.play.player.reap()
        if code != expected:
            raise Failed(f"the driver ended with {code}, not {expected}")

    def _stopped_driver(self):
        self._driver(signal.SIGSTOP)

    def _driver_by_SIGTERM(self):
        self.orders()
        began = self.stop_driver(signal.SIGTERM)
        self.record.killed(self.kind, self.play.player.pid)
        self.buried(-signal.SIGTERM)
        self.gone(began, "SIGTERM of the driver")
        self.play.check_terminal()

    def _driver_in_init(self):
        """The node may not have heard of the directory yet: then the next `init` removes it."""
        self.play.tell_init()
        pause(self.play.player, self.rng.random() * self.rng.choice((0.01, INIT_S)))
        began = self.stop_driver(signal.SIGKILL)
        self.record.killed(self.kind, self.play.player.pid)
        self.buried(-signal.SIGKILL)
        self.gone(began, "death of the driver", directory=False)
        self.leave_directory()
        self.play.check_terminal()

    def leave_directory(self):
        """It may stay until the next `init`, whose play looks whether it is gone."""
        self.record.counts["directories left to the next init"] += len(traces.sessions(self.play.lane.place))

    def _driver_and_node(self):
        self.orders()
        began = time.monotonic()
        traces.send(self.play.node, signal.SIGKILL, self.play.player.pid)
        self.stop_driver(signal.SIGKILL)
        self.record.killed(self.kind, self.play.player.pid)
        self.buried(-signal.SIGKILL)
        self.gone(began, "death of driver and node", directory=False)
        self.leave_directory()
        self.play.check_terminal()

    # --- the node's ---

    def kill_node(self, *before):
        """Kills it; when."""
        for number in before:
            traces.send(self.play.node, number, self.play.player.pid)
            pause(self.play.player, self.rng.random() * 0.05)
        self.play.doomed = time.monotonic()
        if not traces.send(self.play.node, signal.SIGKILL, self.play.player.pid):
            raise Failed("the node ended by itself")
        self.record.killed(self.kind, self.play.node)

    def _node(self, *before):
        """With calls that wait for ever."""
        play = self.play
        play.verify(settled=True)
        play.check_node_log()
        label, = play.script.call("held", (f"{play.log}.gate",))
        play.tell("block", label)
        play.collect()
        if not play.begun("held", GONE_S):
            raise Failed("a task did not begin")
        pause(play.player, self.rng.random() * 0.01)
        self.kill_node(*before)
        seen = play.player.ask("unblock", TOLD_S * 2)
        if [kind for kind, _ in seen] != ["RaySystemError"] * 3:
            raise Failed(f"{TOLD_S * 2} s after the death of the node the blocked calls had told: {seen}")
        late = max(when for _, when in seen) - play.doomed
        if late > TOLD_S:
            raise Failed(f"the last blocked call was told {late:.2f} s after the death of the node")
        self.record.took("death of the node to the last blocked call", late, play.name)
        self.gone(play.doomed, "death of the node", directory=False)
        self.end_without("shutdown after the death of the node")

    def _stopped_node(self):
        self._node(signal.SIGSTOP)

    def _node_amidst_orders(self):
        self.orders()
        self.kill_node()
        self.play.collect()
        self.gone(self.play.doomed, "death of the node", directory=False)
        self.end_without("shutdown after the death of the node")

    def _node_in_init(self):
        """`init` raises, or the first call does."""
        play = self.play
        play.tell_init()
        pause(play.player, self.rng.random() * self.rng.choice((0.03, INIT_S)))
        play.doomed = time.monotonic()
        nodes = list(traces.children(play.player.pid))
        for node in nodes:
            if traces.send(node, signal.SIGKILL, play.player.pid):
                self.record.killed(self.kind, node)
        play.collect()
        if nodes:
            self.gone(play.doomed, "death of the node", directory=False)
        self.end_without("shutdown after the death of the node")


def lost(play):
    """The driver is gone, and nobody killed it."""
    try:
        code = play.player.reap()
    except (Failed, ProcessLookupError) as error:
        code = str(error)
    return Failed(f"the driver ended by itself: {code}")
