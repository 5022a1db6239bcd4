"""Host and Guest: what a node does besides its own job.

The node that began with the session is the host: it keeps the store's memory in order, runs the servers of the control store,
and deals with attached jobs.  The node of an attached job is a guest, which only watches the host.  Neighbours: supervisor.py
owns one of the two; memory_upkeep.py, store_servers.py, attach_listener.py and jobs.py do the host's work.
"""

from __future__ import annotations

import math
import os
import select

from ray_lite import _core
from ray_lite.control.report_channel import Reporter
from ray_lite.node.attach_link import Stop
from ray_lite.node.attach_listener import AttachListener
from ray_lite.node.jobs import Jobs
from ray_lite.node.memory_upkeep import MemoryUpkeep
from ray_lite.node.store_servers import StoreServers
from ray_lite.session_setting import Attachment, SessionSetting
from ray_lite.store.object_store import Store


class Host:
    """What the host does for the whole session."""

    def __init__(self, store: Store, setting: SessionSetting, reporter: Reporter, poll: select.epoll,
                 files: tuple[int, int, int]) -> None:
        self.upkeep = MemoryUpkeep(store.region, setting.config, setting.info.spill_fd)
        self.store_servers = StoreServers(setting, reporter, poll)
        self.jobs = Jobs(store, setting, files, poll)
        self.listener = AttachListener(store.region, setting, poll, self.jobs.open)

    @property
    def order(self) -> Stop | None:
        """The newest order to end the session, from somebody who is not its driver."""
        return self.listener.stop

    @property
    def over(self) -> bool:
        """Whether there is one."""
        return self.order is not None

    @property
    def grace(self) -> float:
        """Seconds that running tasks get then."""
        return self.order.grace if self.order is not None else 0.0

    def children(self) -> set[int]:
        """Pids of its children."""
        return self.store_servers.pids()

    def fds(self) -> list[int]:
        """Descriptors that no child may have."""
        return [*self.store_servers.pidfds(), *self.listener.fds(), *self.jobs.fds()]

    def on_event(self, fd: int) -> None:
        """Handles a readable descriptor."""
        if not (self.listener.on_event(fd) or self.jobs.on_event(fd)):
            self.store_servers.on_exit(fd)

    def on_bell(self) -> None:
        """Passes rings on."""
        self.jobs.ring()

    def step(self) -> None:
        """Does what is due."""
        self.upkeep.step()
        self.store_servers.start_due()
        self.listener.step()
        self.jobs.step()

    def patience(self) -> float:
        """Seconds until something is due; infinite: nothing is."""
        waits = (self.upkeep.patience(), self.store_servers.due_in(), self.listener.patience(), self.jobs.patience())
        return min((wait for wait in waits if wait is not None), default=math.inf)

    def begin_end(self) -> None:
        """Ends the servers, and tells attached jobs to end."""
        self.store_servers.end()
        self.listener.ends = True
        self.jobs.begin_end()

    def has_guests(self) -> bool:
        """Whether nodes of attached jobs are left, which end with this process at the latest."""
        return any(not job.has_no_node for job in self.jobs.live())

    def saw_end_of(self, fd: int) -> bool:
        """Notes, while the session ends, that an attached driver or its node has, or that it is to end sooner; False: the
        descriptor is none of these."""
        return self.listener.on_event(fd) or self.jobs.saw_end_of(fd)

    def end(self) -> None:
        """Ends what is left of attached jobs."""
        self.listener.close()
        self.jobs.kill_left()


class Guest:
    """What the node of an attached job does: it ends when the host does.

    Args:
        grace: seconds that running tasks get if the host ends in good order; it may give them less.
    """

    order = None  #: only the host takes orders

    def __init__(self, region: _core.Region, attachment: Attachment, grace: float, poll: select.epoll) -> None:
        self.region, self.over, self.grace, self._grace = region, False, 0.0, grace
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
        """Looks whether the host ends."""
        if _core.is_closing(self.region):
            self.over, self.grace = True, self._grace

    def step(self) -> None:
        """Does nothing."""

    def patience(self) -> float:
        """Nothing is ever due."""
        return math.inf

    def begin_end(self) -> None:
        """Does nothing: the host ends what belongs to the session."""

    def has_guests(self) -> bool:
        """Only the host has."""
        return False

    def saw_end_of(self, fd: int) -> bool:
        """Takes no end for one of an attached job."""
        return False

    def end(self) -> None:
        """Does nothing."""
