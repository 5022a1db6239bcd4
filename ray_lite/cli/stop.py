"""`ray-lite stop`: ends shared sessions of this user, or the one that an address names.

Neighbours: sessions.py finds sessions; driver/stop.py ends one.
"""

from __future__ import annotations

import argparse
import os
import sys

from ray_lite.cli.sessions import answer_timeout, directory_of
from ray_lite.cli.start import GRACE
from ray_lite.cli.text import counted
from ray_lite.control.ask import ask
from ray_lite.driver.stop import Stopped, stop
from ray_lite.exceptions import RaySystemError
from ray_lite.node.attach_link import GRACE_MOST, SOCKET
from ray_lite.system import session_dir

ABOUT = "Ends a session with all its processes: the only shared one of this user, or the one that --address names."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The flags of `ray-lite stop`."""
    which = command.add_mutually_exclusive_group()
    which.add_argument("--address", help="what `ray-lite start` printed, the session's directory, or the pid of its script")
    which.add_argument("--all", action="store_true", help="all shared sessions of this user")
    command.add_argument("--grace", type=_seconds, default=GRACE, metavar="SECONDS",
                         help=f"time that running tasks get; default {GRACE:g}")


def run(args: argparse.Namespace) -> int:
    """Ends sessions, and says which; returns the exit code."""
    code = 0
    for directory in _meant(args):
        try:
            print(_text(stop(directory, args.grace, answer_timeout())), flush=True)
        except RaySystemError as error:
            print(f"ray-lite stop: {error}", file=sys.stderr)
            code = 1
    return code


def _meant(args: argparse.Namespace) -> list[str]:
    """The directories of the sessions that are to end."""
    if args.address is not None:
        return [_checked(args.address, directory_of(args.address))]
    found = [path for path in session_dir.existing() if session_dir.is_shared(path)]
    for path in found:
        session_dir.remove_stale(path)  # what killed sessions have left is none
    found = [path for path in found if os.path.exists(os.path.join(path, SOCKET))]
    if args.all:
        if not found:
            print("ray-lite stop: no shared session of this user is running", file=sys.stderr)
        return found
    if not found:
        raise RaySystemError("no shared session of this user is running; --address names any other session")
    if len(found) > 1:
        raise RaySystemError("\n  ".join([f"{len(found)} shared sessions are running; --address says which one is meant, or "
                                          "--all:", *sorted(found)]))
    return found


def _checked(address: str, directory: str) -> str:
    """The directory, unless it is none of a session, or that of an attached driver."""
    if os.path.exists(os.path.join(directory, SOCKET)):
        return directory
    try:
        host = ask(directory, "session", answer_timeout())["attached_to"]  # without that socket only such a driver answers
    except RaySystemError:
        raise RaySystemError(f"no session runs at {address!r}") from None
    raise RaySystemError(f"the driver in {directory} has attached to {host}, which is the session")


def _text(stopped: Stopped) -> str:
    if stopped.was is None and stopped.killed:
        return f"killed the session in {stopped.session_dir} (node {stopped.node_pid}), which did not answer"
    if stopped.was is None:
        return f"the session in {stopped.session_dir} had ended already"
    drivers = ", ".join(map(str, stopped.was.drivers))
    attached = f"{counted(len(stopped.was.drivers), 'driver')} ({drivers})" if drivers else "no driver"
    what = "killed" if stopped.killed else "stopped"
    return (f"{what} the session in {stopped.session_dir} (node {stopped.node_pid}), with {attached} and "
            f"{counted(stopped.was.workers, 'worker')}")


def _seconds(text: str) -> float:
    if not 0 <= float(text) < GRACE_MOST:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {GRACE_MOST:g} seconds")
    return float(text)
