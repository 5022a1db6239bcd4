"""Attaching to a running session: the driver's side, from the address to a driver like that of a private session.

The host opens a job and a slot for this driver; its node, which launch.py has started meanwhile, joins that job.  Neighbours:
address.py finds the session, node/attach_link.py has the messages, begin.py makes the driver.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys

from ray_lite import _core
from ray_lite.config import SCRIPT_MODE
from ray_lite.control.listener import peer, reached
from ray_lite.driver.address import directory_of
from ray_lite.driver.begin import Node, address_of, enter
from ray_lite.driver.driver import Belongings, Driver
from ray_lite.driver.plan import attached_plan
from ray_lite.driver.request import Request
from ray_lite.exceptions import RaySystemError
from ray_lite.node import attach_link, password_proof
from ray_lite.node.attach_link import WELCOME_FDS, Challenge, Hello, Welcome
from ray_lite.node.password_proof import Ends
from ray_lite.node.spawn_node import PASSWORD
from ray_lite.policy.resources import Resources
from ray_lite.session_setting import Attachment, SessionInfo
from ray_lite.store.region_files import Files
from ray_lite.system import machine
from ray_lite.system.process import namespaces


def connect(address: str, timeout: float, foreign: bool = False) -> socket.socket:
    """A connection with the host of the session at an address.

    Args:
        timeout: seconds that the host may take to answer.
        foreign: whether it may belong to another user, who will prove that he knows a password.

    Raises:
        ValueError, RaySystemError: there is no such session, or it is not this user's.
    """
    directory = directory_of(address)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(timeout)
        with reached(directory) as place:
            connection.connect(f"{place}/{attach_link.SOCKET}")
        uid = peer(connection)[1]
        if uid not in (os.getuid(), 0) and not foreign:
            raise RaySystemError(f"the session at {address!r} belongs to user {uid}, not to this one ({os.getuid()}); a member "
                                 f"of its group (`ray-lite start --group`) gives its password: redis_password or {PASSWORD}")
    except OSError as error:
        connection.close()
        raise RaySystemError(f"no session answers at {address!r}: {error.strerror or error}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def prove(connection: socket.socket, password: str) -> str:
    """This process's proof that it knows the session's password, after the host has proved that it does.

    Raises:
        RaySystemError: the password is another one, the session has none, or the host has ended.
    """
    ours = password_proof.nonce()
    try:
        attach_link.send(connection, Challenge(ours))
        message, _ = attach_link.receive(connection, 0)
    except OSError as error:
        raise _silent(error) from None
    theirs = attach_link.challenge_in(message)
    if theirs is None:
        raise RaySystemError(f"this driver can't attach: {message.get('refused', 'the session ended meanwhile')}")
    ends = Ends((os.getpid(), os.getuid()), peer(connection), ours, theirs.nonce)
    if not password_proof.is_proof(theirs.proof, password, password_proof.HOST, ends):
        raise RaySystemError("this driver can't attach: the password is wrong")
    return password_proof.proof(password, password_proof.DRIVER, ends)


def _silent(error: OSError) -> RaySystemError:
    return RaySystemError(f"the session did not answer: {error.strerror or error}")


def _password(request: Request, uid: int) -> str | None:
    """The password to prove: the one that was given, or for another user's session that of the environment; None: none."""
    if request.redis_password is not None or uid in (os.getuid(), 0):
        return request.redis_password
    return os.environ.get(PASSWORD)


def attach(request: Request, connection: socket.socket, node: Node, directory: str, undo: contextlib.ExitStack) -> Driver:
    """Makes this process a driver of the session at the other end.

    Args:
        node: this driver's, just started.
        directory: of this driver's own job, which its node makes.
        undo: gets what undoes each step; closing the connection is in it already.
    """
    host_pid = peer(connection)[0]
    bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    with contextlib.ExitStack() as until_then:
        until_then.callback(os.close, bell)
        password = _password(request, peer(connection)[1])
        proof = "" if password is None else prove(connection, password)
        welcome, fds = _greet(attach_link.hello(request.object_id_seed, directory, proof), connection, node, bell)
        more = fds[3:]
        spill, log = more.pop(0) if welcome.spills else -1, more.pop() if welcome.is_shared else -1
        files = Files(fds[0], fds[1], bell, spill, fds[2], log)
        undo.callback(files.close)
        until_then.pop_all()
    try:
        region = _core.Region.attach(files.control, files.arena, files.bell, namespaces(), welcome.job, files.host_bell)
    except RaySystemError as error:  # the host has begun to end the job
        raise RaySystemError(f"this driver can't attach: its node process ended while it started ({error})") from None
    undo.callback(region.close)
    region.take_slot(welcome.slot)
    plan = attached_plan(request, welcome)
    nonce = int.from_bytes(os.urandom(8), "little") >> 1
    info = SessionInfo(plan.request.config, plan.resources, nonce, files.spill, directory,
                       request.node_ip_address, request.redirect_worker_output)
    address = address_of(plan, directory, welcome.redis_address)
    region.keep_attached(os.dup(connection.fileno()))
    connection.close()
    belongings = Belongings(*node, files, request.shutdown_grace, address)
    attachment = Attachment(welcome.job, host_pid, welcome.session_dir, welcome.is_shared)
    driver = enter(plan, region, info, belongings, undo, attachment)
    if request.driver_mode == SCRIPT_MODE:
        _tell_of_gpus(plan.resources)
    if request.verbose:
        print(f"ray_lite: attached to the session {welcome.session_dir}", file=sys.stderr)
    return driver


def _tell_of_gpus(resources: Resources) -> None:
    """Says that the session's GPUs are others than those that this driver's environment names."""
    shown = os.environ.get(resources.gpu_variable)
    if shown is not None and resources.gpu_ids and machine.gpu_names(shown) != resources.gpu_ids:
        ids = ",".join(resources.gpu_ids)
        print(f"ray_lite: tasks get the session's GPUs, {ids}; {resources.gpu_variable}={shown} of this driver does not count",
              file=sys.stderr)


def _greet(hello: Hello, connection: socket.socket, node: Node, bell: int) -> tuple[Welcome, list[int]]:
    """Says hello to the host, and returns its Welcome with the files."""
    pidfds: list[int] = []
    try:
        pidfds += [os.pidfd_open(os.getpid()), os.pidfd_open(node[0])]
        attach_link.send(connection, hello, [*pidfds, bell])
        message, fds = attach_link.receive(connection, WELCOME_FDS)
    except OSError as error:
        raise _silent(error) from None
    finally:
        for fd in pidfds:
            os.close(fd)
    if "refused" in message:
        raise RaySystemError(f"this driver can't attach: {message['refused']}")
    if not message:
        raise RaySystemError("the session ended while this driver attached to it")
    connection.settimeout(None)
    return Welcome(**message), fds

