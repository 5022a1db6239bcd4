"""docs/reference.md, made of the docstrings, of config.py and of the command line.

    python tests/reference.py

writes it; tests/test_reference.py compares.
"""

import argparse
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray_lite
from ray_lite import exceptions
from ray_lite.actor_class import ActorClass
from ray_lite.actor_handle import ActorHandle, RemoteMethod
from ray_lite.cli.main import parser
from ray_lite.config import Config
from ray_lite.remote_function import RemoteFunction

ROOT = Path(__file__).parents[1]
HEAD = """# Reference

Everything public, in the words of its docstrings: `help(ray_lite.get)` shows the same in Python. Examples are in the pages that
[the index](index.md) lists. `python tests/reference.py` writes this page, and a test compares.
"""
LIMITS = "Environment variables set them for the sessions that a process starts. Times are in seconds, sizes in bytes.\n"
COMMANDS = "`ray-lite COMMAND`, or `python -m ray_lite COMMAND`; `--help` shows the same.\n"
GROUPS = {
    "Session": ("init", "shutdown", "is_initialized"),
    "Tasks and objects": ("remote", "get", "put", "wait", "cancel", "get_attempt_number", "get_gpu_ids"),
    "Actors": ("method", "get_actor", "kill", "exit_actor", "current_actor"),
    "Values": ("register_custom_serializer",),
    "Looking inside": ("memory", "error_info", "timeline", "log_event", "log_span", "flush_log", "get_webui_url"),
}
CLASSES: dict[type, tuple[str, ...]] = {
    ray_lite.ObjectID: ("binary", "id", "hex", "from_hex"),
    RemoteFunction: ("options",),
    ActorClass: ("remote", "options"),
    ActorHandle: (),
    RemoteMethod: ("options",),
}
TABLES = (  # of global_state
    "object_table", "task_table", "actors", "workers", "function_table", "cluster_resources", "available_resources",
    "task_profiles", "events", "dump_catapult_trace", "log_files", "client_table", "local_schedulers",
)
MODES = {
    "SCRIPT_MODE": "mode of `init`: a failure that no `get` has raised is shown on stderr",
    "SILENT_MODE": "mode of `init`: such a failure is not shown",
    "PYTHON_MODE": "mode of `init`: calls run at once in the driver's process",
    "WORKER_MODE": "mode of a worker; `init` does not take it",
    "__version__": "version of ray_lite, as text",
}
OTHERS = {*MODES, "ObjectID", "exceptions", "global_state"}  # public names that are no functions
WIDTH = 110


def reference() -> str:
    """The page as it has to be."""
    parts = [HEAD]
    for title, names in GROUPS.items():
        parts += [f"## {title}\n", *(entry(f"ray_lite.{name}", getattr(ray_lite, name)) for name in names)]
    parts += [entry(f"ray_lite.global_state.{name}", getattr(ray_lite.global_state, name)) for name in TABLES]
    parts.append("## Classes\n")
    for kind, names in CLASSES.items():
        parts += [described(kind), *(entry(f"{kind.__name__}.{name}", getattr(kind, name), depth=4) for name in names)]
    parts += ["## Exceptions\n", "All are in `ray_lite.exceptions`.\n", tree(), *(described(kind) for kind in errors())]
    parts += ["## Constants\n", rows(("name", "what it is"), [(f"`{name}`", about) for name, about in MODES.items()])]
    parts += ["## Limits\n", LIMITS, rows(("variable", "default", "what it is"), list(limits()))]
    parts += ["## Commands\n", COMMANDS, *commands()]
    return "\n".join(parts)


def entry(name: str, function: Callable[..., Any], depth: int = 3) -> str:
    """A function under a heading, with its signature."""
    head = f"{'#' * depth} {name.rpartition('.')[2]}"
    return f"{head}\n\n```\n{signature(name, function)}\n```\n\n{markdown(function.__doc__ or '')}"


def signature(name: str, function: Callable[..., Any]) -> str:
    """A call with the names of its parameters and their defaults, without types."""
    found = inspect.signature(function)
    kept = [one.replace(annotation=one.empty) for key, one in found.parameters.items() if key != "self"]
    shown = f"{name}{found.replace(parameters=kept, return_annotation=found.empty)}"
    return "\n".join(textwrap.wrap(shown, WIDTH, subsequent_indent="    ", break_on_hyphens=False))


def described(kind: type) -> str:
    """A class under a heading."""
    bases = [base.__name__ for base in kind.__bases__ if base is not object]
    doc = inspect.cleandoc(kind.__doc__ or "")
    if kind is ActorHandle:  # no user makes one
        doc = doc.partition("Args:")[0]
    return f"### {kind.__name__}" + (f" ({', '.join(bases)})" if bases else "") + f"\n\n{markdown(doc)}"


def errors() -> list[type]:
    """The exceptions, in the order of their definition."""
    return [one for one in vars(exceptions).values() if isinstance(one, type) and issubclass(one, exceptions.RayError)]


def tree() -> str:
    """The tree of exceptions, as their module draws it."""
    text = inspect.cleandoc(exceptions.__doc__ or "")
    return f"```\n{text[text.index('RayError'):]}\n```\n"


# --- docstrings ---


def markdown(doc: str) -> str:
    """A docstring as Markdown: text, and each section of it as a list."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(doc))
    return "\n".join(f"{section(part)}\n" for part in parts)


def section(part: str) -> str:
    """A paragraph, or the head of a section with its items."""
    head, _, body = part.partition("\n    ")
    if not body:
        return part
    head = f"**{' '.join(head.split()).rstrip(':')}**"
    if head == "**Returns**":
        return f"{head}: {' '.join(body.split())}"
    items = re.split(r"\n {4}(?! )|(?<=\.)  (?=[A-Z]\w+: )", body)
    return "\n".join([head, "", *(item(" ".join(one.split())) for one in items)])


def item(text: str) -> str:
    """A line of a list: names, and what is said of them."""
    names, _, about = text.partition(": ")
    return f"- {', '.join(f'`{name}`' for name in names.split(', '))}: {about}"


# --- limits and commands ---


def limits() -> Iterator[tuple[str, str, str]]:
    """The fields of Config, each with its comment."""
    source = inspect.getsource(Config)
    for name, about in re.findall(r"^    (\w+): [^#\n]*#: (.*(?:\n    # .*)*)", source, re.M):
        default = Config._field_defaults[name]
        yield f"`RAY_LITE_{name.upper()}`", "" if default is None else f"{default:,}", about.replace("\n    #", "")


def commands() -> Iterator[str]:
    """Each command with its flags."""
    top = next(one for one in parser()._actions if isinstance(one, argparse._SubParsersAction))
    for name, command in top.choices.items():
        about = command.description or next(one.help for one in top._choices_actions if one.dest == name)
        flags = [flag(one) for one in command._actions if one.help != argparse.SUPPRESS and one.dest != "help"]
        yield f"### ray-lite {name}\n\n{' '.join(about.split())}\n\n" + "".join(f"- {one}\n" for one in flags)


def flag(action: argparse.Action) -> str:
    """A flag or an argument of a command, with its help."""
    value = "" if action.nargs == 0 or not action.option_strings else f" {action.metavar or action.dest.upper()}"
    names = ", ".join(f"`{one}{value}`" for one in action.option_strings or [action.dest])
    return f"{names}: {action.help}" if action.help else names


def rows(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ("---",) * len(head), *lines]) + "\n"


if __name__ == "__main__":
    (ROOT / "docs/reference.md").write_text(reference())
