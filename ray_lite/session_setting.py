"""SessionSetting: what the driver tells the node, and every process that the node forks inherits.

It travels once, pickled, from driver/begin.py to node/spawn_node.py.  Must not change after the start.
"""

import time
from typing import NamedTuple

from ray_lite.config import SCRIPT_MODE, Config
from ray_lite.policy.resources import Resources
from ray_lite.system.machine import Limit


class SessionInfo(NamedTuple):
    """What a process that makes calls needs to know about its session."""

    config: Config
    resources: Resources
    session_id: int
    spill_fd: int = -1  #: descriptor of the spill file, or -1
    session_dir: str = ""
    node_ip_address: str = "127.0.0.1"  #: as `init` was told
    has_worker_files: bool = False  #: whether what workers print goes to files


class Secret(str):
    """A password, which no text of an error shows."""

    def __repr__(self) -> str:
        return "'...'"


class Sharing(NamedTuple):
    """What is special about a session that `ray-lite start` makes, which has no driver of its own."""

    address: str  #: by which drivers attach to it
    ports: tuple[int, ...] = ()  #: TCP ports of the control store's servers, the primary's first; (): they have none
    bind: str = "127.0.0.1"  #: the address to which these are bound
    password: Secret = Secret()  #: of these servers
    group: int = -1  #: id of the group whose members may attach; -1: only this user


class JobDefaults(NamedTuple):
    """What drivers that attach to a shared session have in common, where they ask for nothing else."""

    num_workers: int = 0
    pin: bool = False
    preload: tuple[str, ...] = ()


class StoreSetting(NamedTuple):
    """The control store of a session, as `init` was asked for it."""

    binaries: tuple[str, ...] = ()  #: paths of servers to try, in order; none: there is no store
    shards: int = 0  #: servers besides the primary
    max_clients: int | None = None  #: connections to a server at a time; None: as the server has it


class Attachment(NamedTuple):
    """What a driver that has attached to a session tells its node."""

    job: int
    host_pid: int  #: the node that is the session's host
    session_dir: str  #: the host's
    is_shared: bool  #: whether it is a shared session


class SessionSetting(NamedTuple):
    """What the driver has decided about the processes of a session."""

    info: SessionInfo
    worker_limit: Limit  #: most worker processes at once, and the source of this limit
    process_limit: Limit  #: most processes of workers and actors together
    driver_pid: int  #: 0: the session has no driver of its own
    umask: int
    argv: list[str]
    path: list[str]  #: sys.path
    store: StoreSetting = StoreSetting()
    redis_address: str | None = None  #: path of the control store's socket
    attachment: Attachment | None = None  #: None: the node is the session's host
    sharing: Sharing | None = None  #: None: the session belongs to the driver
    preload: tuple[str, ...] = ()  #: packages that the node imports before it forks
    defaults: JobDefaults = JobDefaults()  #: of jobs that attach
    num_workers: int = 0  #: workers to start immediately
    shutdown_grace: float = 5.0  #: seconds that running tasks get at the end
    driver_mode: int = SCRIPT_MODE
    redirect_worker_output: bool = False
    redirect_output: bool = True
    pin: bool = False
    object_id_seed: int | None = None
    node_pid: int = 0  #: filled in by the node
    started: float = 0.0  #: when the session started, in seconds since 1970; filled in by the node
    log_fd: int = -1  #: descriptor into which the control process writes what all processes write, too; filled in by the node
    stack_fd: int = -1  #: descriptor into which a process writes its stack when it is asked to; filled in by the node

    @property
    def session_dir(self) -> str:
        """The session's directory."""
        return self.info.session_dir

    @property
    def config(self) -> Config:
        """The limits of the session."""
        return self.info.config

    def in_node(self, node_pid: int, spill_fd: int, stack_fd: int, log_fd: int) -> "SessionSetting":
        """The setting as the node and its children use it: with the node's pid and its descriptors, and of a shared session
        without the command that starts it."""
        return self._replace(info=self.info._replace(spill_fd=spill_fd), node_pid=node_pid, stack_fd=stack_fd,
                             log_fd=log_fd, started=time.time(), driver_pid=0 if self.sharing else self.driver_pid)
