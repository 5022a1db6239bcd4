"""What the node and its control process have in common: their messages, and the descriptors that the node hands over.

Neighbours: control_starter.py is the node's side, process.py the other; the node loads nothing of that one.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

MESSAGE_MOST = 1 << 18  # most bytes of a message: a report, or an order of the node
END = b"end"
NODE = 0  # stands for the node's pid in tables of streams


class Source(NamedTuple):
    """What a process writes."""

    label: str  #: the class of the actor whose process it is: each line says so; "": it is no actor's
    fds: tuple[int, int]  #: read ends of its stdout and stderr


class Ends(NamedTuple):
    """The node's descriptors that the control process uses; each restarted control process gets the same."""

    link: socket.socket  #: orders of the node, and answers to it
    reports: socket.socket  #: the receiving end of reports
    terminal: tuple[int, int]  #: the driver's stdout and stderr
    bell: int  #: the node's doorbell
    listener: socket.socket  #: where questions come
    errors: tuple[int, int]  #: the files of the errors so far
    streams: dict[int, Source]  #: by pid
