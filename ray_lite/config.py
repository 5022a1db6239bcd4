"""Every limit, timeout and size, in one place; and the version.

Each field of `Config` can be set for a process by the environment variable RAY_LITE_<FIELD IN CAPITALS>, for example
RAY_LITE_SLOTS=4096.  Imports nothing of ours.
"""

from __future__ import annotations

import os
from typing import NamedTuple

__version__ = "0.1.0"

SCRIPT_MODE, WORKER_MODE, PYTHON_MODE, SILENT_MODE = 0, 1, 2, 3

OBJECTS_MOST = (1 << 30) - 1  # the table of references has two entries for each, named by 32 bits
SPILL_LEAST = 4_096  # below, values may be read without a look whether they are there
CPU_UNIT = 10_000  # CPUs are counted in ten-thousandths, so that fractions add up exactly


class Config(NamedTuple):
    """Limits of a session, read once at `init`. Times in seconds, sizes in bytes."""

    objects: int = 4_194_304  #: objects alive at once, and tasks; address space, touched only where used
    slots: int = 1_024  #: processes of a session at once
    buckets: int = 65_536  #: buckets of the id index, a power of two
    commit_step: int = 2_097_152  #: step in which tables and arena get their pages
    reserve: int = 1_048_576  #: of the object store, but at most a 16th of it, that only failures of tasks may use
    huge_page: int = 2_097_152  #: bytes of a huge page where no plasma_directory tells its own, a power of two
    num_cpus: float | None = None  #: of a session for which init() names none; None: what machine, groups and Slurm allow
    store_fraction: float = 0.3  #: default object_store_memory, as a part of the memory this process may use
    inline_arguments: int = 100_000  #: pickled arguments up to this travel in the task record, larger ones are put
    copy_threads: int = 4  #: that copy one large buffer into the store, at most, and at most the session's or the task's CPUs
    copy_large: int = 8_388_608  #: buffers from this size on are copied by one thread more for each so many bytes
    copy_uncached: int = 33_554_432  #: and from this size on past the caches, which they would only empty
    full_wait: float = 10.0  #: a full store: `put` and tasks' results wait so long while something is about to be freed
    full_look: float = 0.001  #: and look first after so long, then ever less often, up to 32 times it
    room_precedence: float = 1.0  #: a process that waits for room goes before others for so long
    spill_least: int = 32_768  #: objects from this size on can be spilled; smaller ones stay in memory
    spill_batch: int = 16_777_216  #: at least so much is spilled at once
    preallocate: int = 16_777_216  #: the node keeps so much memory of the store ready beyond what is used, at most a 16th of it
    trim: int = 67_108_864  #: free memory of the store in one piece of so many bytes goes back to the kernel
    trim_after: float = 5.0  #: so long after it became free: what is used again meanwhile keeps its pages
    private_pages: int = 1_048_576  #: a writable buffer from this size on is mapped, and copied only where it is written
    spin: float = 50e-6  #: how long a call burns time before it sleeps: about one wake-up across CPUs
    hot: float = 1e-3  #: how long an idle worker stays hot after its last task
    park: float = 0.04  #: longest sleep in `get` and `wait`; every sleep is bounded, since any wake-up may be lost
    idle_park: float = 2.0  #: longest sleep of an idle worker
    node_look: float = 0.1  #: the node looks at the queues this often while they are not empty
    aging: float = 1.0  #: what does not fit is overtaken for so long; then what it has and what it lacks are kept for it
    start_timeout: float = 30.0  #: how long `init` waits for the node's answer, and tasks while no worker can be started
    report_delay: float = 0.5  #: a failure that no `get` has raised for so long is shown (SCRIPT_MODE)
    log_bytes: int = 16_777_216  #: a log file and its predecessor together keep so much
    call_sites: int = 10_000  #: places in the program, a process, that are told apart in reports; calls from more have none
    output_backlog: int = 4_194_304  #: output of workers that waits for the driver's terminal; more is dropped and counted
    last_lines: int = 20  #: of a dead worker's stderr that WorkerCrashedError shows
    last_words: float = 0.05  #: how long the node waits for them before it deals with a death
    partial_line: float = 0.1  #: an incomplete line of output is shown after so long
    drain: float = 1.0  #: at the end, how long output may wait for the terminal
    report_patience: float = 0.05  #: a failure's report waits so long for the control process, then it is dropped and counted
    control_restart: float = 1.0  #: least time between two starts of the control process
    tidy: float = 1.0  #: how long the node looks for what a dead worker's children leave
    cancel_again: float = 0.005  #: a cancellation that came at a delicate moment of the task is tried again after so long
    oom_score: int = 200  #: added to a worker's oom_score_adj, so that the out-of-memory killer spares the node
    oom_window: float = 1.0  #: a SIGKILL so soon after the out-of-memory killer was seen at work is taken for its work
    watch: float = 1.0  #: time between two looks for a process stopped inside the lock
    retire_after: float = 10.0  #: a worker that is idle for so long ends, if there are more than the session's CPUs
    brief: float = 0.01  #: tasks that take less than this start no workers beyond the session's CPUs, however little they need
    fork_again: float = 2.0  #: when the machine gave no process more, it is asked again after so long
    deadlock: float = 1.0  #: everybody waits for what nobody can run, for so long: then one of them gets DeadlockError
    max_workers: int = 1_000  #: workers at once, blocked ones included

    @classmethod
    def from_environment(cls) -> Config:
        """The defaults, changed by RAY_LITE_* variables.

        Raises:
            ValueError: a variable is not a number, or out of range; the message names it.
        """
        changed: dict[str, float] = {}
        for field, default in cls._field_defaults.items():
            name = f"RAY_LITE_{field.upper()}"
            text = os.environ.get(name)
            if text is None:
                continue
            kind = float if default is None else type(default)
            try:
                changed[field] = kind(text)
            except ValueError:
                raise ValueError(f"{name}={text!r}: expected {'a whole' if kind is int else 'a'} number") from None
            if changed[field] <= 0 and default is not None:  # whose range init() checks, as that of its own argument
                raise ValueError(f"{name}={text!r}: expected a number above zero")
        config = cls(**changed)  # type: ignore[arg-type]
        if config.objects > OBJECTS_MOST:
            raise ValueError(f"RAY_LITE_OBJECTS={config.objects}: expected at most {OBJECTS_MOST:,}")
        if config.spill_least < SPILL_LEAST:
            raise ValueError(f"RAY_LITE_SPILL_LEAST={config.spill_least}: expected at least {SPILL_LEAST:,}")
        for name in ("buckets", "huge_page"):
            value = getattr(config, name)
            if value & (value - 1):
                raise ValueError(f"RAY_LITE_{name.upper()}={value}: expected a power of two")
        return config
