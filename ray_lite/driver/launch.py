"""Launching a driver: its node is started, and the rest is planned and made meanwhile. A failure undoes every step.

The node's interpreter takes longest to start, so nothing comes before it that can come later: this file imports little.
Neighbours: plan.py plans, begin.py makes a private session, attach.py joins a running one; shared_session.py starts one that
has no driver of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
from typing import TYPE_CHECKING

from ray_lite.driver.request import Request
from ray_lite.node.spawn_node import PASSWORD, spawn_node
from ray_lite.system import machine, session_dir

if TYPE_CHECKING:
    from ray_lite.driver.begin import Node
    from ray_lite.driver.driver import Driver
    from ray_lite.driver.plan import SessionPlan


def launch(request: Request) -> Driver:
    """Starts a private session, or attaches to a running one.

    Raises:
        OSError, ObjectStoreFullError: no memory, address space, process or huge pages for it.
        ValueError: it claims more GPUs than there can be, or the address is wrong.
        RaySystemError: the node did not start, or no session runs at the address.
    """
    connection = _connect(request) if request.redis_address is not None else None
    with contextlib.ExitStack() as undo:
        if connection is not None:
            undo.callback(connection.close)
        plan = _plan(request) if request.backing.huge else None  # too few huge pages are an error before anything starts
        directory = session_dir.new_path()
        undo.callback(session_dir.remove, directory)  # undone last: the node makes it
        node = spawn()
        undo.callback(abandon, node)
        if connection is None:
            from ray_lite.driver.begin import begin

            driver = begin(plan or _plan(request), node, directory, undo)
        else:
            from ray_lite.driver.attach import attach

            driver = attach(request, connection, node, directory, undo)
        undo.pop_all()
        return driver


def _connect(request: Request) -> socket.socket:
    """A connection with the session at the request's address: a wrong one is an error before anything starts."""
    from ray_lite.driver.attach import connect

    has_password = request.redis_password is not None or PASSWORD in os.environ
    return connect(str(request.redis_address), request.config.hello_timeout, foreign=has_password)


def _plan(request: Request) -> SessionPlan:
    from ray_lite.driver.plan import make_plan

    return make_plan(request)


def spawn() -> Node:
    """Starts a node; raises OSError, RaySystemError as `launch`."""
    try:
        return spawn_node()
    except BlockingIOError as error:
        raise OSError(errno.EAGAIN, f"no process can be started: {machine.why_no_process()}") from error


def abandon(node: Node) -> None:
    """Kills a node that was started in vain."""
    from ray_lite.driver.driver import reap

    node[1].close()
    os.kill(node[0], signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # whoever killed it came before it led a group
        os.killpg(node[0], signal.SIGKILL)  # a preloaded package may have started processes
    reap(node[0])
