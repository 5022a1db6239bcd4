"""Backend and SessionView: what the public functions ask of an implementation (backends/, workers/backend.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from ray_lite.calls.functions import Call, Function, Token
    from ray_lite.calls.methods import Creation, MethodCall
    from ray_lite.values.custom_serializers import Registration


class Statistics(Protocol):
    """Counts of what a session holds."""

    @property
    def objects(self) -> int:
        """Objects alive."""

    @property
    def tasks(self) -> int:
        """Tasks submitted and not finished."""

    @property
    def workers(self) -> int:
        """Worker processes."""

    @property
    def bytes_used(self) -> int:
        """Bytes of the object store in use."""

    @property
    def region_bytes(self) -> int:
        """Bytes of shared memory that have pages."""


class Tables(Protocol):
    """Tables in the shapes of Ray of 2018, as global_state shows them."""

    def objects(self) -> dict[Any, dict[str, Any]]:
        """Facts about each object, those that the session keeps for itself, too, by ObjectID."""

    def functions(self) -> dict[str, dict[str, str]]:
        """Facts about each remote function that was called, by id as hex text."""

    def clients(self) -> dict[str, list[dict[str, Any]]]:
        """What Ray of 2018 had a process for, by address of the machine."""

    def workers(self) -> dict[str, dict[str, Any]]:
        """Facts about each process that runs tasks or an actor, by id as hex text."""

    def log_files(self) -> dict[str, dict[str, list[str]]]:
        """Lines of log files by name, by address of the machine."""


class SessionView(Protocol):
    """What a session holds and uses."""

    @property
    def tables(self) -> Tables:
        """The session's tables."""

    def check(self) -> None:
        """Raises AssertionError when an invariant of the session does not hold."""

    def statistics(self) -> Statistics:
        """Counts of what the session holds now."""

    def amounts(self) -> dict[str, tuple[float, float]]:
        """Amounts of the session's resources: name -> (total, free)."""

    def objects(self) -> list[Any]:
        """A store.listing.Row for each object, largest first."""

    def memory(self, most: int) -> Any:
        """A store.memory_report.Memory with the `most` largest objects."""

    def errors(self) -> list[dict[str, Any]]:
        """The entries of error_info(), oldest first."""

    def traces(self) -> Any:
        """A tracing.source.Traces with what has been recorded so far."""

    def record_details(self, on: bool) -> None:
        """Lets the processes of the session record details, or not, from now on."""

    def record_event(self, begin: int, event: Any) -> None:
        """Records what a program says of itself, which JSON can say, from `begin` (CLOCK_MONOTONIC, ns) until now."""

    def worker_pids(self) -> list[int]:
        """Pids of the live workers."""


class Actors(Protocol):
    """The actors of a session. What stands for one has `id` (20 bytes), `name` (or None) and `methods`."""

    def create(self, creation: Creation) -> Any:
        """Creates an actor, or finds that of its name; returns what stands for it at once."""

    def call(self, call: MethodCall) -> Any:
        """Calls a method; returns its ids at once."""

    def named(self, name: str) -> Any:
        """What stands for the live actor of this name; ValueError if there is none."""

    def find(self, id: bytes) -> Any:
        """What stands for the actor of an id; RayActorError if it is gone."""

    def kill(self, actor: Any) -> None:
        """Ends an actor at once. Idempotent."""

    def rows(self) -> list[dict[str, Any]]:
        """Facts about each live actor, as global_state.actors() shows them."""

    def current(self) -> Any:
        """What stands for the actor whose method runs in this thread; RuntimeError if none does."""

    def exit(self) -> NoReturn:
        """Ends the actor whose method runs in this thread; RuntimeError if none does."""


class Sharing(Protocol):
    """Where a process shares what was registered in it."""

    def share(self, registration: Registration) -> None:
        """Makes a registered serializer known in all processes of the job."""

    def share_all(self) -> None:
        """Does so with all that were registered in this process before it had a session."""


class Backend(Protocol):
    """One session as seen by one process. All methods may be called from any thread."""

    is_worker: bool  #: True in a process that runs tasks
    mode: int  #: the driver_mode of `init`, or WORKER_MODE
    address: dict[str, Any]  #: what `init` returned
    session_id: int
    worker_id: bytes  #: 20 bytes that name this process in this session; those of a driver name its job, too

    @property
    def serializers(self) -> Sharing:
        """Where registered serializers are shared."""

    @property
    def view(self) -> SessionView:
        """What the session holds and uses."""

    @property
    def actors(self) -> Actors:
        """The session's actors."""

    @property
    def inherited(self) -> bool:
        """Whether this process is a forked child of the process that made the backend."""

    def submit(self, call: Call) -> Any:
        """Submits a call of a remote function; returns its ids at once."""

    def get(self, object_ids: Any, timeout: float | None, writable: bool = False) -> Any:
        """The value of an id, or the values of a list of ids; `timeout` in seconds; `writable`: arrays may be written."""

    def put(self, value: Any, timeout: float | None = None) -> Any:
        """Stores a value and returns its new id; `timeout`: seconds to wait for room in a full store, None: as configured."""

    def wait(self, object_ids: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """Waits for ids; returns (ready, rest), both in input order; `timeout` in milliseconds."""

    def export(self, function: Function) -> Token:
        """A token by which other processes of the session find the function."""

    def cancel(self, x: Any, force: bool, recursive: bool) -> bool:
        """Cancels the task that returns an object; returns whether the task had not ended yet."""

    def gpu_ids(self) -> list[int | str]:
        """The GPUs that the current task holds."""

    def attempt(self) -> int:
        """Number of the current task's present attempt, from 1; 0 outside of tasks."""

    def close(self) -> None:
        """Ends the session. Idempotent."""
