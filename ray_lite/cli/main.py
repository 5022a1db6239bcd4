"""`ray-lite`: the commands, their arguments, and how they end.

Exit codes: 0; 1 if there is no session, or it has no answer, or `doctor` finds that there can be none; 2 for wrong usage.
Neighbours: sessions.py finds sessions, show.py makes the texts; start.py, stop.py and doctor.py have their commands.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ray_lite.cli import completion, doctor, show, start, stop, timeline
from ray_lite.cli.sessions import Session, answer_timeout, directory_of, running
from ray_lite.config import __version__
from ray_lite.exceptions import RaySystemError
from ray_lite.store.memory_report import private_bytes
from ray_lite.system import session_dir

FOLLOWED = 0.2  # seconds between two looks of `logs --follow`
ABOUT = ("Starts and stops sessions of ray_lite that several scripts share, and shows what the sessions of all your scripts do "
         "and what this machine has.")
EXAMPLES = """examples:
  ray-lite start --head          start a session; prints how scripts attach to it
  ray-lite stop                  end it
  ray-lite status                what the session has, does, and waits for
  ray-lite status --watch        the same every two seconds
  ray-lite errors                failures of tasks, deaths of processes that ran something
  ray-lite logs --follow         what workers print, as it comes
  ray-lite stack 4711            where worker 4711 is in its Python code
  ray-lite timeline t.json.gz    what ran when, for ui.perfetto.dev
  ray-lite doctor                what init() takes of this machine, and what would make it faster
  ray-lite ps --json | jq .      for programs: JSON on stdout

With several sessions name one: --address takes its address, its directory, or the pid of its script.
Exit codes: 0; 1 no session, or no answer; 2 wrong usage; 130 Ctrl-C."""


def status(one: Session, args: argparse.Namespace) -> None:
    """What a session has, does, and waits for."""
    while True:
        answer = one.ask("status")
        if args.watch and sys.stdout.isatty() and not args.json:
            sys.stdout.write("\033[H\033[2J")
        _print(args, answer, show.status)
        if not args.watch:
            return
        sys.stdout.flush()
        time.sleep(args.watch)


def errors(one: Session, args: argparse.Namespace) -> None:
    """Failures of tasks, deaths of processes that ran something."""
    answer = one.ask("errors")
    _print(args, answer["entries"], lambda entries: show.errors(entries, answer["dropped"]))


def logs(one: Session, args: argparse.Namespace) -> None:
    """What workers, actors and the node process have written lately: the newest 64 KiB of each (RAY_LITE_LOG_TAIL); of a driver
    of a shared session that has ended: what is kept of it."""
    part = one.part_of(args.pid) if args.pid is not None else None
    if part is None and args.pid in session_dir.driver_logs(one.directory):
        _print_file(args, session_dir.driver_log(one.directory, args.pid))
        return
    if part is not None:
        one, args.pid = part, None
    followed = one.ask_parts(args.pid, "logs")
    _print_output(args, [piece for answer in followed.values() for piece in answer["pieces"]])
    while args.follow and followed:
        sys.stdout.flush()
        time.sleep(FOLLOWED)
        for directory, answer in list(followed.items()):
            try:
                followed[directory] = Session(directory, one.timeout).ask("logs", after=answer["number"], pid=args.pid)
                _print_output(args, followed[directory]["pieces"])
            except RaySystemError:
                del followed[directory]  # it has ended, and with it what there was to follow


def _print_file(args: argparse.Namespace, path: str) -> None:
    """Prints what a driver that has ended, or another user's, has left."""
    with open(path, errors="replace") as file:
        for line in file:
            sys.stdout.write(json.dumps({"driver": args.pid, "text": line}) + "\n" if args.json else line)


def _print_output(args: argparse.Namespace, pieces: list[list[Any]]) -> None:
    if not args.json:
        sys.stdout.write(show.output(pieces, several=args.pid is None))
        return
    for pid, label, stream, text in pieces:
        print(json.dumps({"pid": pid, "class": label or None, "stream": stream, "text": text}))


def memory(one: Session, args: argparse.Namespace) -> None:
    """What the memory is used for."""
    _print(args, one.ask("memory", most=args.most), lambda answer: str(answer["text"]))


def ps(one: Session, args: argparse.Namespace) -> None:
    """The processes of a session."""
    rows = one.ask("ps")
    private = {row["pid"]: private_bytes(row["pid"]) for row in rows}
    for row in rows:
        row["private"] = private[row["pid"]]
    _print(args, rows, lambda rows: show.processes(rows, private))


def stack(one: Session, args: argparse.Namespace) -> None:
    """The Python stacks of workers."""
    stacks = one.ask_parts(args.pid, "stack").values()
    _print(args, [stack for found in stacks for stack in found], show.stacks)


def _print(args: argparse.Namespace, answer: Any, text: Callable[[Any], str]) -> None:
    print(json.dumps(answer) if args.json else text(answer))


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    top = argparse.ArgumentParser(prog="ray-lite", description=ABOUT, epilog=EXAMPLES,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"ray_lite {__version__}")
    commands = top.add_subparsers(dest="command", metavar="command", required=True)

    def add(run: Callable[[Session, argparse.Namespace], None]) -> argparse.ArgumentParser:
        about = (run.__doc__ or "").rstrip(".")
        command = commands.add_parser(run.__name__, help=about[0].lower() + about[1:], description=about + ".")
        command.add_argument("--address", help="the session's address or directory, or the pid of its script")
        command.add_argument("--json", action="store_true", help="print JSON; logs: one value a line")
        command.set_defaults(run=run)
        return command

    add(status).add_argument("--watch", type=_seconds, nargs="?", const=2.0, metavar="SECONDS",
                             help="repeat every SECONDS (default 2), until Ctrl-C")
    add(errors)
    command = add(logs)
    command.add_argument("pid", type=int, nargs="?", help="of one process; default: all")
    command.add_argument("--follow", "-f", action="store_true", help="print what comes, until Ctrl-C or the end of the session")
    add(memory).add_argument("--most", type=_count, default=20, metavar="N", help="objects to list; default 20")
    add(ps)
    add(stack).add_argument("pid", type=int, nargs="?", help="of one worker or actor; default: all")
    timeline.add_arguments(add(timeline.timeline))
    for name, module, about in (("start", start, start.ABOUT), ("stop", stop, stop.ABOUT), ("doctor", doctor, doctor.ABOUT)):
        command = commands.add_parser(name, help=about[0].lower() + about[1:].partition(";")[0].partition(":")[0].rstrip("."),
                                      description=about)
        module.add_arguments(command)
        command.set_defaults(only=module.run)
    command = commands.add_parser("completion", help="print a script that lets a shell complete commands")
    command.add_argument("shell", choices=sorted(completion.SHELLS))
    command.set_defaults(words=_words(commands))
    return top


def _words(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[str]:
    """All that a shell can complete."""
    options = {word for one in commands.choices.values() for word in one._option_string_actions if word.startswith("--")}
    return [*commands.choices, *sorted(options)]


def _count(text: str) -> int:
    if not 0 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1000000")
    return int(text)


def _seconds(text: str) -> float:
    if not 0.1 <= float(text) <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 86400 seconds")
    return float(text)


def _chosen(address: str | None) -> str:
    """The directory of the session that is meant."""
    if address is not None:
        return directory_of(address)
    found, silent = running()
    found = [facts for facts in found if facts["attached_to"] is None]
    if len(found) == 1 and not silent:
        return str(found[0]["session_dir"])
    if not found and not silent:
        raise RaySystemError("no session of this user is running")
    lines = [show.session(facts, time.time()) for facts in found] + [f"{path}  does not answer" for path in silent]
    raise RaySystemError("\n  ".join([f"{len(lines)} sessions are running; --address says which one is meant:", *lines]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    if sys.stdout is None:  # it was closed
        sys.stdout = open(os.devnull, "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # errors may say anything
    args = parser().parse_args(arguments)
    try:
        code = _run(args)
        sys.stdout.flush()
    except (RaySystemError, ValueError) as error:
        print(f"ray-lite: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of stdout has gone
        return _without_output(0)
    except OSError as error:
        print(f"ray-lite: the output can't be written: {error.strerror}", file=sys.stderr)
        return _without_output(1)
    return code


def _run(args: argparse.Namespace) -> int:
    if args.command == "completion":
        print(completion.script(args.shell, args.words))
    elif "only" in args:
        return int(args.only(args))
    else:
        args.run(Session(_chosen(args.address), answer_timeout()), args)
    return 0


def _without_output(code: int) -> int:
    """The exit code; what is left to be written would be an error once more when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code
