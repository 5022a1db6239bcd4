"""NodeStart: the driver's node from its setting to its answer, which may be that it can't start.

Neighbours: begin.py and shared_session.py have the setting; node/driver_link.py answers.
"""

from __future__ import annotations

import socket
import time

from ray_lite.exceptions import RaySystemError
from ray_lite.node.spawn_node import READY, REFUSED, send_setting
from ray_lite.session_setting import SessionSetting
from ray_lite.store.region_files import Files
from ray_lite.system.polling import readable

LOOK = 1.0  # seconds between two looks at the time


class NodeStart:
    """The start of a node.

    Args:
        node: as spawn_node started it.
        files: of the session.
    """

    def __init__(self, node: tuple[int, socket.socket], setting: SessionSetting, files: Files) -> None:
        (self.pid, self.link), self.setting = node, setting
        self.timeout, self.name = setting.config.start_timeout, "RAY_LITE_START_TIMEOUT"
        if setting.preload and setting.config.preload_timeout > self.timeout:
            self.timeout, self.name = setting.config.preload_timeout, "RAY_LITE_PRELOAD_TIMEOUT"
        try:
            send_setting(self.link, setting, [fd for fd in files if fd >= 0])
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended: `is_over` says so
        self.deadline = time.monotonic() + self.timeout

    def wait(self) -> None:
        """Waits for the node's answer.

        Raises:
            RaySystemError: it has ended, or did not answer in time.  ImportError, ValueError: it can't preload a package.
        """
        while not self.is_over(LOOK):
            pass

    def is_over(self, seconds: float = 0) -> bool:
        """Whether the node has answered, at most so many seconds later; raises as `wait`."""
        if not readable(self.link.fileno(), seconds):
            if time.monotonic() > self.deadline:
                raise RaySystemError(f"the node process (pid {self.pid}) did not answer within {self.timeout:g} s "
                                     f"({self.name})")
            return False
        try:
            answer = self.link.recv(len(READY))
        except ConnectionResetError:
            answer = b""
        if answer == READY:
            return True
        if answer == REFUSED:
            raise _refusal(self.link)
        whiles = f"it preloaded {', '.join(self.setting.preload)}, or started" if self.setting.preload else "it started"
        raise RaySystemError(f"the node process ended while {whiles}; its output on stderr says why")


REFUSALS: dict[str, type[Exception]] = {"ImportError": ImportError, "OSError": OSError}  # else ValueError


def _refusal(link: socket.socket) -> Exception:
    """What `init` raises, since the node can't preload a package, or have the session's directory."""
    import json  # 2 ms, which no other start needs

    with link.makefile("rb") as file:
        try:
            error, text = json.load(file)
        except ValueError:  # somebody killed it
            raise RaySystemError("the node process ended while it said why it can't start") from None
    return REFUSALS.get(error, ValueError)(text)
