"""What is measured: the figures with their aims, and the cases that yield them.

`aim` is what we want of ray_lite on a machine of two cores; short of `limit` it is not acceptable.
"""

from __future__ import annotations

from dataclasses import dataclass

OURS, POOL, EXECUTOR, PIPE, FLOOR = "ray_lite", "Pool", "Executor", "pipe", "floor"
CONTESTANTS = (OURS, POOL, EXECUTOR, PIPE, FLOOR)


@dataclass(frozen=True)
class Figure:
    key: str
    title: str
    unit: str
    more_is_better: bool = False
    aim: float | None = None
    limit: float | None = None

    def reaches(self, value: float, mark: float) -> bool:
        return value >= mark if self.more_is_better else value <= mark


@dataclass(frozen=True)
class Ratio:
    """Derived, round by round: one of our figures over the best face that a contestant has for it."""

    figure: Figure
    of: str
    contestant: str
    faces: tuple[str, ...] = ("async", "map")


@dataclass(frozen=True)
class Case:
    """One function, run in a fresh process; it returns the values of its figures."""

    contestant: str
    module: str
    function: str
    figures: tuple[str, ...]
    huge_mib: int = 0  # of free huge pages that it needs; where there are fewer it is left out
    apart: bool = False  # it runs when --only names it

    @property
    def name(self) -> str:
        return f"{self.module}.{self.function}"


def crowd(size: int) -> tuple[Figure, ...]:
    """Of a session with many more workers than cores."""
    return (
        Figure(f"crowd{size}_start", f"{size} CPUs: first submission to all workers in tasks", "s", aim=size / 100),
        Figure(f"crowd{size}_busy", f"{size} CPUs: one no-op task, the other workers in tasks", "us", aim=15),
        Figure(f"crowd{size}_idle", f"{size} CPUs: one no-op task, all workers idle", "us", aim=15),
        Figure(f"crowd{size}_async", f"{size} CPUs: no-op tasks: submit all, get all", "tasks/s", True, aim=100_000),
        Figure(f"crowd{size}_memory", f"{size} CPUs: private memory of a worker", "MB", aim=10),
        Figure(f"crowd{size}_lock", f"{size} CPUs: the lock is held, of each no-op task's time", "ns"),
    )


def profile(size: int) -> tuple[Figure, ...]:
    """Where the time of no-op tasks goes, of which there is no aim: it explains the other figures."""
    return (
        Figure(f"profile{size}_clock", f"{size} CPUs: no-op tasks, by the clock", "us/task"),
        Figure(f"profile{size}_driver_user", f"{size} CPUs: driver, user", "us/task"),
        Figure(f"profile{size}_driver_kernel", f"{size} CPUs: driver, kernel", "us/task"),
        Figure(f"profile{size}_workers_user", f"{size} CPUs: all workers, user", "us/task"),
        Figure(f"profile{size}_workers_kernel", f"{size} CPUs: all workers, kernel", "us/task"),
        Figure(f"profile{size}_node", f"{size} CPUs: node and control process", "us/task"),
        Figure(f"profile{size}_voluntary", f"{size} CPUs: voluntary context switches, 1,000 tasks", ""),
        Figure(f"profile{size}_involuntary", f"{size} CPUs: involuntary context switches, 1,000 tasks", ""),
        Figure(f"profile{size}_submit", f"{size} CPUs: submission, of the time by the clock", "%"),
        Figure(f"profile{size}_lock", f"{size} CPUs: the lock is held", "ns/task"),
    )


FIGURES = (
    Figure("async", "no-op tasks: submit all, get all", "tasks/s", True, aim=400_000, limit=250_000),
    Figure("map", "no-op tasks through map, chunks of 1", "tasks/s", True),
    Figure("sync_p50", "one no-op task, submit to result, median", "us", aim=6, limit=15),
    Figure("sync_p99", "one no-op task, submit to result, p99", "us"),
    Figure("chain", "chain of 1,000 dependent tasks", "ms", aim=10),
    Figure("fib", "recursive fib(16), 3,193 tasks", "s", aim=0.2),
    Figure("fib_workers", "workers that fib(16) ever used", "", aim=4),
    Figure("drain", "10,000 results, one a wait()", "s", aim=0.25, limit=0.35),
    Figure("backlog", "submit 1,000,000 tasks to a busy session", "s", aim=3),
    Figure("backlog_bytes", "memory of a queued task", "bytes", aim=400),
    Figure("mixed", "no-op tasks of four shapes in turn", "tasks/s", True, aim=100_000),
    Figure("nested", "100 tasks that each get 100 of their own", "tasks/s", True, aim=200_000),
    Figure("get_ids", "100,000 sealed ids in one get, beyond decoding", "s", aim=0.2),
    Figure("get_ids_late", "... under way, the caller's processor time", "s", aim=0.2),
    Figure("wait_ids", "100,000 sealed ids in one wait", "s", aim=0.2),
    *crowd(64),
    *crowd(256),
    Figure("cancel_queued", "cancel of a queued task until get raises, median", "ms", aim=10),
    Figure("cancel_asleep", "... of a sleeping one", "ms", aim=50),
    Figure("cancel_force", "... of a sleeping one by force", "ms", aim=200),
    *profile(8),
    *profile(64),
    *profile(256),
    Figure("actor_async", "no-op calls of an actor: submit all, get all", "calls/s", True, aim=1_000_000, limit=400_000),
    Figure("actor_of_tasks", "... of the tasks of the same run", "x", True, aim=0.75),
    Figure("actor_kept_of_tasks", "... with checkpoint_interval=1,000", "x", True, aim=0.6),
    Figure("actor_sync_p50", "one no-op call, submit to result, median", "us", aim=3, limit=6),
    Figure("actor_sync_p99", "one no-op call, submit to result, p99", "us"),
    Figure("actor_crowd", "8 tasks that call an actor each", "calls/s", True),
    Figure("actor_crowd_of_tasks", "... of the tasks of the same run", "x", True, aim=0.7),
    Figure("actor_create_100", "100 actors created and called once", "s", aim=0.4, limit=1),
    Figure("actor_create_1000", "1,000 actors created and called once", "s", aim=5),
    Figure("actor_private", "private memory of an actor", "MB", aim=5),
    Figure("actor_shared", "shared tables of an actor", "MB", aim=0.1),
    Figure("actor_idle_cpu", "processor time of 100 idle actors", "%", aim=0.2),
    Figure("actor_restart", "SIGKILL to the next answer, checkpoint of 1 MB", "ms", aim=20),
    Figure("actor_array", "1 MiB array to an actor and back", "us"),
    Figure("errors_rate", "tasks that fail", "tasks/s", True, aim=25_000),
    Figure("errors_seen", "a failing task until another process sees its error", "ms", aim=50),
    Figure("status", "`ray-lite status` with 10,000 tasks in the queue", "s", aim=1),
    Figure("trace_detailed", "no-op tasks while details are recorded, of those while they are not", "x", True),
    Figure("trace_file", "a trace file of 1,000,000 tasks, as far as records are kept", "s"),
    Figure("attach", "attaching to a running session", "ms", aim=50),
    Figure("attach_first", "... to the first result", "s", aim=0.15),
    Figure("two_of_one", "no-op tasks of two attached drivers, of those of one", "x", True, aim=0.9),
    Figure("share_of_half", "what a driver gets of its half beside a long queue", "x", True, aim=0.9),
    Figure("drop_cpus", "a killed driver with 1,000,000 queued tasks: until its CPUs are free", "s", aim=1),
    Figure("drop", "... until nothing of it is left", "s", aim=3),
    Figure("drop_meanwhile", "... tasks of others meanwhile, of those before", "x", True, aim=0.8),
    Figure("put_small", "small put", "puts/s", True, aim=400_000),
    Figure("get_small", "small get", "gets/s", True, aim=800_000),
    Figure("put_large", "128 MiB put, of the best plain copy's speed", "x", True, aim=0.95),
    Figure("put_large_first", "128 MiB put into fresh pages, of a bare copy's speed", "x", True, aim=0.9),
    Figure("put_large_first_two", "... of two threads' bare copy", "x", True),
    Figure("put_1g", "1 GiB put, of the best plain copy's speed", "x", True, aim=0.95),
    Figure("put_1g_first", "1 GiB put into fresh pages, of a bare copy's speed", "x", True, aim=0.9),
    Figure("put_1g_first_two", "... of two threads' bare copy", "x", True),
    Figure("put_large_2m", "128 MiB put on huge pages, of the best plain copy's speed", "x", True, aim=0.95),
    Figure("put_large_2m_first", "128 MiB put into fresh huge pages, of a bare copy's speed", "x", True, aim=0.9),
    Figure("put_large_2m_first_two", "... of two threads' bare copy", "x", True),
    Figure("put_1g_2m", "1 GiB put on huge pages, of the best plain copy's speed", "x", True, aim=0.95),
    Figure("put_1g_2m_first", "1 GiB put into fresh huge pages, of a bare copy's speed", "x", True, aim=0.9),
    Figure("put_1g_2m_first_two", "... of two threads' bare copy", "x", True),
    Figure("get_large", "128 MiB get, median", "us", aim=20),
    Figure("get_1g", "1 GiB get, median", "us", aim=20),
    Figure("put_bytes", "put of 1 GiB of bytes, of a copy's speed", "x", True, aim=0.9),
    Figure("get_bytes", "... get", "x", True, aim=0.9),
    Figure("put_text", "put of a text of 1 GiB, of a copy's speed", "x", True, aim=0.45),
    Figure("get_text", "... get", "x", True, aim=0.6),
    Figure("task_1m", "tasks with a 1 MiB array in and out", "tasks/s", True, aim=5_000),
    Figure("object_overhead", "memory of a small object, without its value", "bytes", aim=128),
    Figure("reader_memory", "memory of a reader of a shared 2 GB array, without the array", "MB", aim=30),
    Figure("import", "import", "ms", aim=50),
    Figure("start", "start to first result", "s", aim=0.12, limit=0.2),
    Figure("shutdown", "shutdown", "s", aim=0.1),
    Figure("idle_cpu", "processor time of an idle session", "%", aim=0.2),
    Figure("idle_memory", "private memory of an idle worker", "MB", aim=10),
)

RATIOS = (
    Ratio(Figure("async_of_floor", "no-op tasks, of the floor", "x", True, aim=0.35), "async", FLOOR),
    Ratio(Figure("async_of_pool", "no-op tasks, of Pool's best", "x", True, limit=5), "async", POOL),
)

CASES = (
    Case(FLOOR, "bench_floor", "throughput", ("async",)),
    Case(OURS, "bench_tasks", "throughput", ("async",)),
    Case(POOL, "bench_peers", "pool_throughput", ("async", "map")),
    Case(EXECUTOR, "bench_peers", "executor_throughput", ("async", "map")),
    Case(FLOOR, "bench_floor", "latency", ("sync_p50", "sync_p99")),
    Case(OURS, "bench_tasks", "latency", ("sync_p50", "sync_p99")),
    Case(POOL, "bench_peers", "pool_latency", ("sync_p50", "sync_p99")),
    Case(EXECUTOR, "bench_peers", "executor_latency", ("sync_p50", "sync_p99")),
    Case(OURS, "bench_tasks", "chain", ("chain",)),
    Case(OURS, "bench_tasks", "recursion", ("fib", "fib_workers")),
    Case(OURS, "bench_tasks", "drain", ("drain",)),
    Case(OURS, "bench_tasks", "backlog", ("backlog", "backlog_bytes")),
    Case(OURS, "bench_scheduling", "mixed", ("mixed",)),
    Case(OURS, "bench_scheduling", "nested", ("nested",)),
    Case(OURS, "bench_scheduling", "many_ids", ("get_ids", "get_ids_late", "wait_ids")),
    Case(OURS, "bench_scheduling", "crowd_of_64", tuple(figure.key for figure in crowd(64))),
    Case(OURS, "bench_scheduling", "crowd_of_256", tuple(figure.key for figure in crowd(256))),
    Case(OURS, "bench_scheduling", "cancelling", ("cancel_queued", "cancel_asleep", "cancel_force")),
    *(Case(OURS, "bench_profile", f"profile_of_{size}", tuple(figure.key for figure in profile(size)), apart=True)
      for size in (8, 64, 256)),
    Case(OURS, "bench_actors", "throughput", ("actor_async", "actor_of_tasks", "actor_kept_of_tasks")),
    Case(PIPE, "bench_peers", "pipe_throughput", ("actor_async",)),
    Case(OURS, "bench_actors", "latency", ("actor_sync_p50", "actor_sync_p99")),
    Case(PIPE, "bench_peers", "pipe_latency", ("actor_sync_p50", "actor_sync_p99")),
    Case(OURS, "bench_actors", "crowd", ("actor_crowd", "actor_crowd_of_tasks")),
    Case(OURS, "bench_actors", "creation", ("actor_create_100", "actor_private", "actor_shared", "actor_idle_cpu")),
    Case(OURS, "bench_actors", "creation_of_1000", ("actor_create_1000",)),
    Case(OURS, "bench_actors", "restart", ("actor_restart",)),
    Case(OURS, "bench_actors", "arrays", ("actor_array",)),
    Case(OURS, "bench_observing", "errors", ("errors_rate", "errors_seen")),
    Case(OURS, "bench_observing", "status", ("status",)),
    Case(OURS, "bench_observing", "tracing", ("trace_detailed", "trace_file")),
    Case(OURS, "bench_attach", "attaching", ("attach", "attach_first")),
    Case(OURS, "bench_attach", "together", ("two_of_one",)),
    Case(OURS, "bench_attach", "fairness", ("share_of_half",)),
    Case(OURS, "bench_attach", "dropping", ("drop_cpus", "drop", "drop_meanwhile")),
    Case(OURS, "bench_store", "small", ("put_small", "get_small")),
    Case(OURS, "bench_large", "large", ("put_large", "put_large_first", "put_large_first_two", "get_large")),
    Case(OURS, "bench_large", "larger", ("put_1g", "put_1g_first", "put_1g_first_two", "get_1g")),
    Case(OURS, "bench_large", "large_on_huge", ("put_large_2m", "put_large_2m_first", "put_large_2m_first_two"), 160),
    Case(OURS, "bench_large", "larger_on_huge", ("put_1g_2m", "put_1g_2m_first", "put_1g_2m_first_two"), 1_200),
    Case(OURS, "bench_large", "long_values", ("put_bytes", "get_bytes", "put_text", "get_text")),
    Case(OURS, "bench_large", "through_tasks", ("task_1m",)),
    Case(OURS, "bench_large", "overhead", ("object_overhead",)),
    Case(OURS, "bench_large", "readers", ("reader_memory",)),
    Case(OURS, "bench_start", "start", ("import", "start", "shutdown")),
    Case(POOL, "bench_peers", "pool_start", ("start", "shutdown")),
    Case(EXECUTOR, "bench_peers", "executor_start", ("start", "shutdown")),
    Case(OURS, "bench_start", "idle", ("idle_cpu", "idle_memory")),
)
