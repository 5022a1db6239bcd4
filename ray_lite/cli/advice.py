"""Advice: which settings of a machine would make a session on it faster, and the commands.

Pure logic.  Neighbours: doctor.py finds the facts, findings.py shows the advice.  Must not suggest what has not been measured
(docs/hpc.md) and does not follow from the code either.
"""

from __future__ import annotations

from typing import NamedTuple

from ray_lite.cli.facts import Facts
from ray_lite.cli.text import counted
from ray_lite.system.machine import FILES_EACH, OTHER_SLOTS, OTHERS

MOST = 2  # suggestions at a time
STORE_LEAST = 1 << 30  # bytes of a store for which huge pages are worth a change of the machine
PART_LEAST = 0.5  # of the store's bytes that huge pages must at least have room for
WITH_HUGE_PAGES = ("within_size", "always", "force")  # `advise` is no help: the store's pages are made by fallocate
GAIN = "a large array is first written into the store several times as fast, and first read more than twice as fast"
SETTING = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"


class Suggestion(NamedTuple):
    """A setting that would make sessions faster."""

    text: str
    command: str


def suggestions(facts: Facts) -> list[Suggestion]:
    """The most useful suggestions, best first."""
    found = [_bound_by_srun(facts), _part_of_the_job(facts), _too_few_workers(facts), _huge_pages(facts)]
    return [one for one in found if one is not None][:MOST]


def _bound_by_srun(facts: Facts) -> Suggestion | None:
    """Of a step that has fewer CPUs than its job."""
    slurm = max((one.value for one in facts.cpus.limits if one.source.startswith("SLURM_")), default=0)
    job = min(max(facts.cpus.job or 0, slurm), _limit(facts, "the machine"))
    mask = _limit(facts, "the affinity mask")
    if facts.cpus.source != "the affinity mask" or mask >= job:
        return None
    return Suggestion(f"Slurm gave the job {job} CPUs of this machine, and this process may use {mask} of them: `srun` needs "
                      "the number, too.", f"srun --ntasks=1 --cpus-per-task={job} python script.py")


def _part_of_the_job(facts: Facts) -> Suggestion | None:
    """Of a task that has fewer CPUs than its job."""
    job = facts.cpus.job or 0
    if facts.cpus.source != "SLURM_CPUS_PER_TASK" or facts.cpus.value is None or facts.cpus.value >= job:
        return None
    return Suggestion(f"The job has {job} CPUs of this machine, and each of its tasks {facts.cpus.value:g}: one session takes "
                      "all of them in a job with one task.", f"sbatch --ntasks=1 --cpus-per-task={job} job.sh")


def _too_few_workers(facts: Facts) -> Suggestion | None:
    """Where limits leave fewer workers than CPUs."""
    workers, cpus = facts.limits.workers, facts.cpus.value
    if workers is None or cpus is None or workers.value >= cpus:
        return None
    text = f"{workers.source} leaves {counted(workers.value, 'worker')} for {cpus:g} CPUs."
    return Suggestion(text, _more_workers(facts, workers.source, int(cpus), int(cpus) - workers.value))


def _more_workers(facts: Facts, source: str, cpus: int, lacking: int) -> str:
    """The command that raises the limit that a source names, so that there is a worker for each CPU."""
    if source.startswith("RLIMIT_NOFILE"):
        return f"{_as_root(facts)}prlimit --pid $$ --nofile={cpus * FILES_EACH + OTHERS}:{cpus * FILES_EACH + OTHERS}"
    if source.startswith("RLIMIT_NPROC"):
        wanted, hard = (facts.limits.user_processes or 0) + lacking, facts.limits.user_processes_hard
        is_ours = hard is None or hard >= wanted
        return f"ulimit -Su {wanted}" if is_ours else f"{_as_root(facts)}prlimit --pid $$ --nproc={wanted}:{wanted}"
    if source.startswith("RAY_LITE_"):
        name = source.partition("=")[0]
        return f"export {name}={cpus + (OTHER_SLOTS if name.endswith('SLOTS') else 0)}"
    return f"docker run --pids-limit={cpus + 2 * OTHERS} ...  # or TasksMax= of a systemd unit"


def _huge_pages(facts: Facts) -> Suggestion | None:
    """Where large arrays would be written into the store faster for the first time."""
    huge, store = facts.huge_pages, facts.store
    if store is None or store.bytes < STORE_LEAST or huge.shared_memory in WITH_HUGE_PAGES:
        return None
    places: dict[str | None, int] = {
        None: sum(one.free * one.bytes for one in huge.reserved or () if one.bytes == huge.page_bytes)}
    places.update((one.path, one.free * one.page_bytes) for one in huge.mounts or ())
    best = max(places, key=lambda place: places[place])
    if places[best] >= store.bytes * PART_LEAST:
        where = "" if best is None else f", plasma_directory={best!r}"
        return Suggestion(f"{places[best]:,} bytes of huge pages are reserved and free: {GAIN}.",
                          f"ray_lite.init(huge_pages=True{where})")
    if huge.shared_memory in (None, "deny"):
        return None
    return Suggestion(f"The store gets no transparent huge pages ({huge.shared_memory}): with them, {GAIN}; the setting holds "
                      "for all programs, until the next boot.",
                      f"echo within_size | {_as_root(facts)}tee {SETTING}")


def _limit(facts: Facts, source: str) -> int:
    return next((one.value for one in facts.cpus.limits if one.source == source), 0)


def _as_root(facts: Facts) -> str:
    return "" if facts.root else "sudo "
