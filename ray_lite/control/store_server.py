"""The servers of the control store: how they are configured, and the child that becomes one.

    node --fork--> child: is a binary new enough? -> configuration as stdin -> exec: a server that dies with the node

A server listens on a Unix socket in the session's directory, and on TCP only where a shared session was given a port; then
it wants a password, which it reads from its stdin.  It writes nothing to disk but its log.  Neighbours: node/store_servers.py
forks and restarts; store_publisher.py fills it.
"""

from __future__ import annotations

import os
import socket
from typing import NoReturn

from ray_lite import _core
from ray_lite.control.report_channel import Reporter
from ray_lite.control.store_binaries import unusable
from ray_lite.session_setting import SessionSetting, Sharing, StoreSetting
from ray_lite.system.session_dir import LOGS

CHECKS_PER_SECOND = 1  # how often an idle server looks after itself; its default of 10 costs an idle session CPU
NO_SERVER = 75  # exit code of a child that found no binary it could become
SOCKET = "redis.sock"  #: the primary's, in the session's directory


def socket_name(number: int) -> str:
    """Name of a server's socket: the primary's is number 0, then come the shards'."""
    return f"redis-{number}.sock" if number else SOCKET


def configuration(number: int, store: StoreSetting, sharing: Sharing | None) -> str:
    """The lines that a server reads."""
    lines = [
        f"unixsocket {socket_name(number)}", "unixsocketperm 600", "daemonize no", 'save ""', "appendonly no",
        "loglevel warning", 'logfile ""', f"hz {CHECKS_PER_SECOND}", "protected-mode yes",
    ]
    if sharing is not None and number < len(sharing.ports):
        lines += [f"port {sharing.ports[number]}", f"bind {sharing.bind}", f'requirepass "{sharing.password}"']
    else:
        lines.append("port 0")
    if store.max_clients is not None:
        lines.append(f"maxclients {store.max_clients + 1}")  # one is the session's own
    return "\n".join(lines) + "\n"


def log_name(number: int) -> str:
    """Path of a server's log in the session's directory."""
    return f"{LOGS}/redis-{number}.log"


def become_server(number: int, setting: SessionSetting, reporter: Reporter, first: int) -> NoReturn:
    """Turns this forked child of the node into a server, which ends with the node. `first`: the binary to try first."""
    code = 1
    try:
        os.setpgid(0, 0)
        _close_all_but(reporter.sender)
        _core.die_with_parent(setting.node_pid)  # a signal whose default action, which an exec restores, ends the process
        os.chdir(setting.session_dir)
        log = os.open(log_name(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        for fd in (1, 2):
            os.dup2(log, fd)
        code = _exec(number, setting, reporter, first)
    except BaseException:  # into its log
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _close_all_but(sender: socket.socket | None) -> None:
    """Closes what is the node's; the rest is closed before the exec."""
    fd, end = 3 if sender is None else sender.fileno(), os.sysconf("SC_OPEN_MAX")
    os.closerange(3, fd)
    os.closerange(fd + 1, end)


def _exec(number: int, setting: SessionSetting, reporter: Reporter, first: int) -> int:
    """Becomes a binary that can be used; returns NO_SERVER if there is none."""
    reasons, binaries = [], setting.store.binaries
    first %= len(binaries)
    for path in binaries[first:] + binaries[:first]:
        reason = unusable(path)
        if reason:
            reasons.append(reason)
            continue
        config = os.memfd_create("redis.conf")
        os.write(config, configuration(number, setting.store, setting.sharing).encode())
        os.lseek(config, 0, os.SEEK_SET)
        os.dup2(config, 0)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.execv(path, [path, "-"])
    if number == 0:
        reporter.note(f"the control store can't start: {'; '.join(reasons)}", "control_store")
    return NO_SERVER
