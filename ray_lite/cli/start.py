"""`ray-lite start`: a session that several scripts share, with the flags of `ray start` in 2018 and those of `init`.

Neighbours: init_arguments.py checks what `init` takes, driver/shared_session.py starts the session; stop.py ends one.
"""

from __future__ import annotations

import argparse
import inspect
import ipaddress
import json
import os
import signal
import sys
from typing import Any

from ray_lite import api
from ray_lite.cli.sessions import answer_timeout
from ray_lite.driver.request import Request
from ray_lite.driver.shared_session import Ports, Started, start_session, wait_for_end
from ray_lite.driver.stop import stop
from ray_lite.exceptions import RaySystemError
from ray_lite.init_arguments import request_of
from ray_lite.node.spawn_node import PASSWORD

GRACE = 0.3  # seconds that running tasks get when a session is stopped
PORTS = range(1 << 16)
SHOWN = 200  # characters of a wrong value
PASSWORD_LEAST, PASSWORD_MOST = 12, 512  # characters: whoever can connect could try many short ones
ABOUT = "Starts a session that stays until `ray-lite stop`; any number of scripts attach to it by the address that is printed."
ANOTHER_MACHINE = ("a session of ray_lite is on one machine, so no second one can join it; to use several, run the same "
                   "program on a Ray cluster")
NO_EFFECT = {  # flags of 2018 that ask for what there is not, and why nothing is missing without it
    "object_manager_port": "objects don't leave this machine",
    "no_ui": "no page listens before somebody asks for it",
}
REFUSED = {
    "autoscaling_config": "sessions of ray_lite are on one machine",
    "use_raylet": "it is not supported yet",
    "redis_password": f"every user of this machine would see it in the list of processes; set {PASSWORD}, or let one be made",
}


class WrongUsage(Exception):
    """The flags are wrong, or don't go together."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The flags of `ray-lite start`."""
    add = command.add_argument
    add("--head", action="store_true", help="start a session; always needed, as in 2018")
    add("--block", action="store_true", help="stay until the session ends; Ctrl-C and SIGTERM stop it")
    add("--port", "--redis-port", type=int, metavar="PORT", help="TCP port of the control store, which wants a password; 0: a "
        "free one. Default: none, only a Unix socket")
    add("--redis-shard-ports", metavar="A,B", help="TCP ports of the further servers")
    add("--node-ip-address", metavar="IP", help="this machine's address to which the ports are bound; default 127.0.0.1")
    add("--num-redis-shards", type=int, metavar="N", help="servers of the control store besides the first")
    add("--redis-max-clients", type=int, metavar="N", help="most connections to each of them")
    add("--num-cpus", type=float, metavar="N", help="CPUs that all tasks together may use")
    add("--num-gpus", type=float, metavar="N", help="GPUs that all tasks together may use")
    add("--resources", metavar="JSON", help="custom resources, such as '{\"disk\": 2}'")
    add("--num-workers", type=int, metavar="N", help="workers that each driver starts immediately")
    add("--object-store-memory", type=float, metavar="BYTES", help="most bytes of the object store")
    add("--plasma-directory", metavar="DIR", help="directory of the object store's file")
    add("--huge-pages", action="store_true", help="put the object store on huge pages")
    add("--spill-directory", metavar="DIR", help="directory of the spill file")
    add("--preload", metavar="A,B", help="packages that each driver's node imports once for all of its workers")
    add("--group", metavar="NAME", help="let members of a group attach, who can then run code as you")
    add("--pin", action="store_true", help="pin workers to cores")
    add("--redis-address", metavar="ADDRESS", help=argparse.SUPPRESS)
    add("--object-manager-port", metavar="PORT", help=argparse.SUPPRESS)
    add("--no-ui", action="store_true", help=argparse.SUPPRESS)
    add("--autoscaling-config", metavar="FILE", help=argparse.SUPPRESS)
    add("--redis-password", metavar="PASSWORD", help=argparse.SUPPRESS)
    add("--use-raylet", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Starts a session; returns the exit code."""
    try:
        _check(args)
        request, ports, group = _request(args), _ports(args), _group(args.group)
    except (WrongUsage, TypeError, ValueError) as error:
        print(f"ray-lite start: {error}", file=sys.stderr)
        return 2
    for name, why in NO_EFFECT.items():
        if getattr(args, name):
            print(f"ray-lite start: {_flag(name)} has no effect: {why}", file=sys.stderr)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # under nohup it stays ignored
            signal.signal(number, _interrupt)
    try:
        started = start_session(request, ports, group)
    except (OSError, RaySystemError, ValueError, ImportError) as error:
        print(f"ray-lite start: {error}", file=sys.stderr)
        return 1
    except _Ended as ended:
        return 128 + ended.number
    return _stay(started, args.block)


class _Ended(BaseException):
    """A signal that asks this process to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stay(started: Started, block: bool) -> int:
    """Says how to attach, and waits for the end if `block`. Who can't be told, or is asked to end, ends the session."""
    code = 1
    try:
        _show(started)
        if not block:
            return 0
        return 0 if wait_for_end(started) == 0 else 1
    except _Ended as ended:
        code = 128 + ended.number
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except OSError as error:
        print(f"ray-lite start: the output can't be written, so the session ends: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter would try once more at its end
    stop(started.session_dir, GRACE, answer_timeout())
    wait_for_end(started)
    return code


def _show(started: Started) -> None:
    if started.store:
        print(f"ray-lite start: there is no control store: {started.store}", file=sys.stderr)
    print(f"A session runs in {started.session_dir}: {started.summary}.\nAttach to it in Python with\n\n"
          f"    ray.init(redis_address=\"{started.address}\")\n\n"
          f"and end it with `ray-lite stop --address {started.address}`.", flush=True)


def _interrupt(number: int, _: object) -> None:
    raise _Ended(number)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check(args: argparse.Namespace) -> None:
    """Checks which flags go together; raises WrongUsage."""
    for name, why in REFUSED.items():
        if getattr(args, name):
            raise WrongUsage(f"{_flag(name)} is refused: {why}")
    if args.redis_address is not None:
        raise WrongUsage("--head starts a session, and --redis-address names one that runs: give one of them" if args.head
                         else f"--redis-address={args.redis_address}: {ANOTHER_MACHINE}")
    if not args.head:
        raise WrongUsage("--head is missing: `ray-lite start --head` starts a session")
    if args.redis_shard_ports is not None and args.port is None:
        raise WrongUsage("--redis-shard-ports needs --port")


def _request(args: argparse.Namespace) -> Request:
    """What the flags ask for, checked as `init` checks its arguments."""
    given = default_arguments()
    same = ("num_redis_shards", "redis_max_clients", "num_cpus", "num_workers", "object_store_memory", "plasma_directory",
            "huge_pages", "spill_directory", "pin")
    given.update({name: getattr(args, name) for name in same})
    if args.num_gpus is not None:
        given["num_gpus"] = int(args.num_gpus) if args.num_gpus.is_integer() else args.num_gpus
    if args.resources is not None:
        given["resources"] = _json(args.resources)
    if args.preload is not None:
        given["preload"] = tuple(args.preload.split(","))
    if args.node_ip_address is not None:
        given["node_ip_address"] = args.node_ip_address
    return request_of(given)


def default_arguments() -> dict[str, Any]:
    """The arguments of `init` where a program gives none."""
    return {name: one.default for name, one in inspect.signature(api.init).parameters.items()}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"--resources={text[:SHOWN]!r} is no JSON: {error}") from None


def _ports(args: argparse.Namespace) -> Ports:
    """What the session is to listen on."""
    shards = [] if args.redis_shard_ports is None else [_port("--redis-shard-ports", one)
                                                        for one in args.redis_shard_ports.split(",")]
    number = args.num_redis_shards or 0
    if args.redis_shard_ports is not None and len(shards) != number:
        raise WrongUsage(f"--redis-shard-ports has {len(shards)} ports, but --num-redis-shards is {number}")
    primary = None if args.port is None else _port("--port", str(args.port))
    taken = [port for port in (primary, *shards) if port]
    if len(set(taken)) < len(taken) or 0 in shards:
        raise WrongUsage("the ports must differ, and only --port may be 0")
    return Ports(_bindable(args.node_ip_address), primary, tuple(shards), _password())


def _port(flag: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) not in PORTS:
        raise WrongUsage(f"{flag}: {text!r} is no port")
    return int(text)


def _bindable(address: str | None) -> str:
    if address in (None, "localhost"):
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(str(address)))
    except ValueError:
        raise WrongUsage(f"--node-ip-address={address}: expected a numeric address of this machine") from None


def _group(name: str | None) -> int:
    """The id of a group; -1 without one."""
    import grp

    if name is None:
        return -1
    try:
        found = grp.getgrnam(name).gr_gid
    except KeyError:
        raise WrongUsage(f"--group={name}: there is no such group") from None
    if found not in (os.getegid(), *os.getgroups()) and os.geteuid() != 0:
        raise WrongUsage(f"--group={name}: you are no member of this group")
    return found


def _password() -> str | None:
    """The password that the user has chosen, or None."""
    password = os.environ.get(PASSWORD)
    if password is None:
        return None
    are_fine = all("!" <= one <= "~" and one not in "\"\\" for one in password)
    if not are_fine or not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise WrongUsage(f"{PASSWORD} must have {PASSWORD_LEAST} to {PASSWORD_MOST} printable ASCII characters, none of them a "
                         "space, quote or backslash")
    return password
