"""`ray-lite doctor`: what this machine offers, what `init()` would take of it, and what would make that faster.

What a session would have is computed as `init` does it: by the same plan, and a region that is made and given back.
Neighbours: features.py tries what the kernel has, advice.py judges the facts, findings.py makes their text.  Must not start a
process of a session, or leave anything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
from collections.abc import Callable
from typing import TypeVar

from ray_lite.cli.advice import suggestions
from ray_lite.cli.facts import Cpus, Directory, Facts, Feature, HugePages, Limits, Memory, Mount, Pages, Server, Store, plain
from ray_lite.cli.features import FAILS, features
from ray_lite.cli.findings import findings
from ray_lite.cli.start import default_arguments
from ray_lite.config import Config, __version__
from ray_lite.control.store_binaries import examine, find_binaries
from ray_lite.driver.begin import make_region
from ray_lite.driver.plan import SessionPlan, make_plan
from ray_lite.init_arguments import request_of
from ray_lite.store.region_files import arena_backing
from ray_lite.system import cgroups, machine, session_dir

ABOUT = ("What this machine offers, what `init()` takes of it and why, and what would make that faster: CPUs, memory, huge "
         "pages, limits, the kernel, the control store, GPUs.")
SETTINGS = frozenset(f"RAY_LITE_{name.upper()}" for name in Config._fields)
Found = TypeVar("Found")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The flags of `ray-lite doctor`."""
    command.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Shows what there is; returns the exit code: 1 if `init()` would fail."""
    facts = examined()
    advice = suggestions(facts)
    print(json.dumps({**plain(facts), "suggestions": plain(advice)}) if args.json else findings(facts, advice))
    return 1 if facts.problems else 0


def examined() -> Facts:
    """The facts of this machine and this process."""
    plan, no_plan = _plan()
    no_region = _error_of(lambda: _try_region(plan)) if plan is not None else ""
    no_directory = _error_of(session_dir.try_out)
    config = _or_none(Config.from_environment) or Config()
    tried = features()
    lacking = [f"{one.name} does not work here" for one in tried if one.is_needed and not one.works]
    memory = Feature("shared memory with robust locks", None if plan is None else not no_region, FAILS, is_needed=True)
    return Facts(
        version=__version__, python=platform.python_version(), kernel=os.uname().release, root=os.geteuid() == 0,
        problems=[text for text in (no_plan, no_region, no_directory, *lacking) if text],
        settings={name: value for name, value in sorted(os.environ.items()) if name in SETTINGS},
        cpus=_cpus(plan), memory=_memory(), store=_store(plan), huge_pages=_huge_pages(config), limits=_limits(plan),
        features=[memory, *tried], control_store=_or_none(_servers), gpus=_gpus(plan), directory=_or_none(_directory))


def _plan() -> tuple[SessionPlan | None, str]:
    """What `init()` would plan without arguments, or why it would raise."""
    try:
        return make_plan(request_of(default_arguments())), ""
    except Exception as error:  # whatever it is, `init` raises the same
        return None, _text(error)


def _try_region(plan: SessionPlan) -> None:
    """Makes the memory of such a session, and gives it back."""
    with contextlib.ExitStack() as undo:
        make_region(plan, undo)


def _error_of(trial: Callable[[], object]) -> str:
    """Why something fails, or ""."""
    try:
        trial()
    except Exception as error:  # whatever it is, `init` raises the same
        return _text(error)
    return ""


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _or_none(probe: Callable[[], Found]) -> Found | None:
    """What a probe finds, or None where the machine does not tell."""
    try:
        return probe()
    except Exception:  # files of /proc and /sys may be missing, unreadable or odd, and psutil raises errors of its own
        return None


def _cpus(plan: SessionPlan | None) -> Cpus:
    value, source = (None, "") if plan is None or plan.sources is None else (plan.resources.cpus, plan.sources.cpus)
    return Cpus(value, source, _or_none(machine.cpu_limits) or [], machine.job_cpus(), machine.numa_nodes())


def _memory() -> Memory:
    least = _or_none(machine.memory)
    return Memory(None, "", []) if least is None else Memory(least.value, least.source, machine.memory_limits())


def _store(plan: SessionPlan | None) -> Store | None:
    if plan is None or plan.sources is None or plan.sizes is None:
        return None
    return Store(plan.sizes.arena_bytes, plan.sources.store, plan.sizes.page_bytes)


def _gpus(plan: SessionPlan | None) -> machine.Gpus | None:
    if plan is None or plan.sources is None:
        return None
    return machine.Gpus(plan.resources.gpu_ids, plan.resources.gpu_variable, plan.sources.gpus)


def _huge_pages(config: Config) -> HugePages:
    return HugePages(config.huge_page, _or_none(_reserved), _or_none(lambda: _mounts(config)), machine.shared_huge_pages())


def _reserved() -> list[Pages]:
    return [Pages(size, *machine.free_huge_pages(size)) for size in machine.huge_page_sizes()]


def _mounts(config: Config) -> list[Mount]:
    """Those on which this user can have a store."""
    found = []
    for path in machine.huge_page_mounts():
        with contextlib.suppress(OSError, ValueError):
            backing = arena_backing(path, True, config)
            found.append(Mount(path, backing.page, backing.free()))
    return found


def _limits(plan: SessionPlan | None) -> Limits:
    files, processes = ([None if one == resource.RLIM_INFINITY else one for one in resource.getrlimit(which)]
                        for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    workers, all_of_them = (None, None) if plan is None else (plan.worker_limit, plan.process_limit)
    return Limits(files[0], files[1], processes[0], processes[1], _or_none(cgroups.processes), machine.overcommit(),
                  workers, all_of_them)


def _servers() -> list[Server]:
    """The binaries up to the first that can be used."""
    found: list[Server] = []
    for path in find_binaries():
        found.append(Server(path, *examine(path)))
        if not found[-1].problem:
            break
    return found


def _directory() -> Directory:
    path = session_dir.private_parent()
    named = (name for name in session_dir.BASES if os.environ.get(name) and os.path.abspath(os.environ[name]) == path)
    return Directory(path, next(named, f"neither {' nor '.join(session_dir.BASES)} names a local directory to write into"))
