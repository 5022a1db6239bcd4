"""Host and Guest: what a node does besides its own job.

The node of a session's first job is the host: it keeps the store's memory in order, runs the servers of the control store, and
deals with attached jobs.  The node of an attached job is a guest, which only watches the host.  Neighbours: supervisor.py owns
one of the two; memory_upkeep.py, store_servers.py and jobs.py do the host's work.
"""

from __future__ import annotations

import math
import os
import select

from ray_lite.control.report_channel import Reporter
from ray_lite.node.jobs import Jobs
from ray_lite.node.memory_upkeep import MemoryUpkeep
from ray_lite.node.store_servers import StoreServers
from ray_lite.session_setting import Attachment, SessionSetting
from ray_lite.store.object_store import Store


class Host:
    """What the host does for the whole session."""

    over = False  #: whether the session has ended without its driver's order

    def __init__(self, store: Store, setting: SessionSetting, reporter: Reporter, poll: select.epoll,
                 files: tuple[int, int, int]) -> None:
        self.upkeep = MemoryUpkeep(store.region, setting.config, setting.info.spill_fd)
        self.store_servers = StoreServers(setting, reporter, poll)
        self.jobs = Jobs(store, setting, files, poll)

    def children(self) -> set[int]:
        """Pids of its children."""
        return self.store_servers.pids()

    def fds(self) -> list[int]:
        """Descriptors that no child may have."""
        return [*self.store_servers.pidfds(), *self.jobs.fds()]

    def on_event(self, fd: int) -> None:
        """Handles a readable descriptor."""
        if not self.jobs.on_event(fd):
            self.store_servers.on_exit(fd)

    def on_bell(self) -> None:
        """Passes rings on."""
        self.jobs.ring()

    def step(self) -> None:
        """Does what is due."""
        self.upkeep.step()
        self.store_servers.start_due()
        self.jobs.step()

    def patience(self) -> float:
        """Seconds until something is due; infinite: nothing is."""
        waits = (self.upkeep.patience(), self.store_servers.due_in(), self.jobs.patience())
        return min((wait for wait in waits if wait is not None), default=math.inf)

    def end(self) -> None:
        """Ends the servers; attached jobs see the end of this process."""
        self.store_servers.end()


class Guest:
    """What the node of an attached job does: it ends when the host is gone."""

    def __init__(self, attachment: Attachment, poll: select.epoll) -> None:
        self.over = False
        try:
            self.pidfd = os.pidfd_open(attachment.host_pid)
        except ProcessLookupError:
            self.over, self.pidfd = True, -1
            return
        poll.register(self.pidfd, select.EPOLLIN)

    def children(self) -> set[int]:
        """It has none."""
        return set()

    def fds(self) -> list[int]:
        """Descriptors that no child may have."""
        return [] if self.pidfd < 0 else [self.pidfd]

    def on_event(self, fd: int) -> None:
        """Notes that the host is gone."""
        self.over |= fd == self.pidfd

    def on_bell(self) -> None:
        """Does nothing: only the host passes rings on."""

    def step(self) -> None:
        """Does nothing."""

    def patience(self) -> float:
        """Nothing is ever due."""
        return math.inf

    def end(self) -> None:
        """Does nothing: the host ends what belongs to the session."""
