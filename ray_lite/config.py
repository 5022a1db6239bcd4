"""All limits, timeouts and sizes of a session, and the version of the package.

The environment variable RAY_LITE_<FIELD IN CAPITALS> sets a field of `Config` for a process, for example RAY_LITE_SLOTS=4096.
Must not import anything else of the package.
"""

import os
from typing import NamedTuple

__version__ = "0.1.0"

SCRIPT_MODE, WORKER_MODE, PYTHON_MODE, SILENT_MODE = 0, 1, 2, 3

OBJECTS_MOST = (1 << 30) - 1  # the table of references has two entries for each object, with indices of 32 bits
SPILL_LEAST = 4_096  # smaller values may be read without a check whether they are spilled
NUMBERS = {int: "a whole number", float: "a number", bool: "0 or 1"}  # what is expected of a variable, by the field's type
CPU_UNIT = 10_000  # resources are counted in ten-thousandths, so that fractions add up exactly


class Config(NamedTuple):
    """Limits of a session, read once at `init`; times in seconds, sizes in bytes."""

    objects: int = 4_194_304  #: most objects alive at once, and most tasks; costs address space, and memory only where used
    slots: int = 2_048  #: most processes of a session at once: its driver, its node, workers and actors
    buckets: int = 65_536  #: hash buckets of the id index; a power of two
    commit_step: int = 2_097_152  #: bytes of memory by which the tables and the arena grow at a time
    reserve: int = 1_048_576  #: bytes of the store, at most a 16th of it, that only failures of tasks may use
    huge_page: int = 2_097_152  #: bytes of a huge page where there is no plasma_directory; a power of two
    num_cpus: float | None = None  #: CPUs of a session where init() names none; None: those that this process may use
    store_least: int = 4_194_304  #: least bytes of the store: an empty slab of each small size takes 1.9 MB for good
    store_fraction: float = 0.3  #: default of object_store_memory, as a part of the memory that this process may use
    small_arguments: int = 100_000  #: most bytes of pickled arguments that are kept with the task; larger ones become an object
    kept_arguments: int = 2_048  #: the same for calls of an actor with checkpoints, which are kept until the next one
    kept_calls: int = 10_000  #: calls that such an actor keeps at most; then a checkpoint is tried early
    copy_threads: int = 4  #: most threads that copy one large buffer into the store, within the session's or task's CPUs
    copy_large: int = 8_388_608  #: bytes of a buffer for each thread that copies it besides the caller's; below, there is none
    copy_uncached: int = 33_554_432  #: least bytes of a buffer that is copied past the CPU caches, which it would only empty
    full_wait: float = 10.0  #: seconds that a put, result or argument waits in a full store while objects are about to be freed
    full_look: float = 0.001  #: seconds before the first new try in that wait; the pause doubles, up to 32 times this
    room_precedence: float = 1.0  #: seconds for which a process that waits for room has precedence over others
    spill_least: int = 32_768  #: least bytes of an object that can be spilled; smaller ones stay in memory
    spill_batch: int = 16_777_216  #: least bytes that are spilled at a time, while there are enough objects to spill
    preallocate: int = 16_777_216  #: free bytes, at most a 16th of the store, that the node commits before they are needed
    trim: int = 67_108_864  #: least bytes of a free run of the store that is trimmed
    trim_after: float = 5.0  #: seconds that such a run stays free first; what is used again meanwhile keeps its pages
    private_pages: int = 1_048_576  #: least bytes of a writable buffer that is mapped, and copied only where it is written
    spin: float = 50e-6  #: seconds that a waiting call spins before it sleeps: about one wake-up across CPUs
    hot: float = 1e-3  #: seconds that a worker spins after a task, for the next one, before it sleeps
    park: float = 0.04  #: longest sleep in `get` and `wait`, in seconds; every sleep is bounded, since any wake-up may be lost
    idle_park: float = 2.0  #: longest sleep of an idle worker, in seconds
    actor_park: float = 60.0  #: the same of an idle actor; there may be a thousand
    node_look: float = 0.1  #: seconds between two checks of the queues by the node while tasks are ready
    aging: float = 1.0  #: seconds that others may pass over a stalled shape before resources are reserved for it
    preload_timeout: float = 300.0  #: seconds that the node may take for the imports of `init(preload=...)`
    hello_timeout: float = 2.0  #: seconds that a process which connects to attach may take to say what it is
    job_end: float = 1.0  #: seconds after the death of an attached driver until its node is killed, if that has not ended
    start_timeout: float = 30.0  #: seconds that `init` waits for the node's answer, and tasks while no worker can be started
    report_delay: float = 0.5  #: seconds that a `get` has to raise a failure before it is shown (SCRIPT_MODE)
    errors: int = 1_000  #: newest entries that the table of errors keeps
    error_bytes: int = 4_194_304  #: most bytes of their texts together
    trace: bool = False  #: whether detailed tracing is on from the start; `timeline(detail=True)` turns it on later
    trace_records: int = 1_024  #: newest records of what happened that each process keeps, 64 bytes each; a power of two
    trace_bytes: int = 67_108_864  #: most bytes of records that are collected; the oldest go first
    trace_pause: float = 0.002  #: seconds between two collections of records while tracing is detailed
    answer_timeout: float = 5.0  #: seconds that the control process may take to answer a question
    store_delay: float = 0.25  #: seconds from the start of a session to that of its control store: first results come before
    store_restart: float = 1.0  #: seconds before a server of the control store that has died starts again; doubles, up to 60 s
    store_refresh: float = 1.0  #: seconds between two looks at what the control store must be told
    log_tail: int = 65_536  #: newest bytes of each process's output that stay in memory for `ray-lite logs`
    log_bytes: int = 16_777_216  #: most bytes of a log file and its predecessor together
    driver_logs: int = 64  #: drivers whose output a shared session keeps in files after their end
    driver_logs_age: float = 604_800.0  #: seconds after which such a file is removed
    call_sites: int = 10_000  #: most call sites that a process records; calls from further places have none
    output_backlog: int = 4_194_304  #: most bytes of output that wait for the driver's terminal; more is dropped and counted
    last_lines: int = 20  #: lines of a dead worker's stderr that WorkerCrashedError shows
    last_words: float = 0.05  #: seconds that the node waits for these lines before it handles the death
    partial_line: float = 0.1  #: seconds after which an incomplete line of output is shown
    drain: float = 1.0  #: seconds that output may wait for the terminal at the end of the session
    report_patience: float = 0.05  #: seconds that a report waits for the control process; then it and the next are dropped
    control_restart: float = 1.0  #: least seconds between two starts of the control process
    tidy: float = 1.0  #: seconds after a worker's death in which the node reaps processes that the worker had started
    cancel_again: float = 0.005  #: seconds before a cancellation is repeated that came when the task could not be interrupted
    cancel_resend: float = 0.05  #: seconds before the node repeats a cancellation that was not delivered; doubles, up to 1 s
    oom_score: int = 200  #: added to a worker's oom_score_adj, so that the out-of-memory killer spares the node
    oom_window: float = 1.0  #: seconds after an out-of-memory kill in which a SIGKILL counts as one, too
    watch: float = 1.0  #: seconds between two checks for a process that was stopped inside the lock
    retire_after: float = 10.0  #: seconds of idleness after which a worker ends, if there are more than CPUs and num_workers
    brief: float = 0.01  #: tasks of fewer seconds start no workers beyond CPUs and num_workers, however little they need
    exit_grace: float = 2.0  #: seconds that the exit handlers, threads and open files of a worker get at its end
    actor_grace: float = 1.0  #: seconds that `__ray_shutdown__` gets; at the end of a session, beyond shutdown_grace
    fork_again: float = 2.0  #: seconds before a new try to start a worker, after the kernel refused a process
    deadlock: float = 1.0  #: seconds without a finished task before CPUs are lent, or a wait that can't end gets DeadlockError
    async_calls: int = 1_000  #: calls that an actor with async methods runs at a time, if it has no max_concurrency
    job_turn: float = 0.01  #: seconds for which a job may have more than its share of the CPUs while another waits for its own
    actor_turn: float = 2e-3  #: seconds for which an actor keeps its CPUs from call to call while others wait for some
    max_workers: int = 1_000  #: most workers at once, blocked ones included; actors count only against `slots`
    held_note: float = 5.0  #: seconds that an actor or a task waits for what actors hold for life, or an actor for a process,
    # before a line says so

    @classmethod
    def from_environment(cls) -> "Config":
        """The defaults, changed by the environment variables RAY_LITE_*.

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
                changed[field] = bool(("0", "1").index(text)) if kind is bool else kind(text)
            except ValueError:
                raise ValueError(f"{name}={text!r}: expected {NUMBERS[kind]}") from None
            if changed[field] <= 0 and default is not None and kind is not bool:  # init() checks num_cpus, which may be 0
                raise ValueError(f"{name}={text!r}: expected a number above zero")
        config = cls(**changed)  # type: ignore[arg-type]
        if config.objects > OBJECTS_MOST:
            raise ValueError(f"RAY_LITE_OBJECTS={config.objects}: expected at most {OBJECTS_MOST:,}")
        if config.spill_least < SPILL_LEAST:
            raise ValueError(f"RAY_LITE_SPILL_LEAST={config.spill_least}: expected at least {SPILL_LEAST:,}")
        for name in ("buckets", "huge_page", "trace_records"):
            value = getattr(config, name)
            if value & (value - 1):
                raise ValueError(f"RAY_LITE_{name.upper()}={value}: expected a power of two")
        return config
