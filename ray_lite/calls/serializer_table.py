"""The serializers that the processes of a job have registered, as one of them knows them.

Each registration is an object that the job keeps.  Their ids follow from their numbers: so a process finds out at each pickle
with instances, by one look for the next id, whether there is a new one, and processes that run already or start later need not
be told.  Neighbours: values/custom_serializers.py has what this process knows; backends/local.py owns the one table.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator

from ray_lite import _core
from ray_lite.exceptions import ForkedError, RaySystemError, TaskCancelledError
from ray_lite.store.object_store import Store
from ray_lite.values import custom_serializers
from ray_lite.values.custom_serializers import Registration
from ray_lite.values.failures import described
from ray_lite.values.serialization import dumps


class SerializerTable:
    """The registrations of a job."""

    def __init__(self, store: Store, session_dir: str) -> None:
        self._store, self._lock_path = store, os.path.join(session_dir, "serializers")
        self._known: dict[type, Registration] = {}
        self._next = self._place(0)  # number and id of the first one that this process does not know
        self._loading: set[int] = set()  # threads that load one
        self.report: Callable[[str], None] = _say  #: gets why one could not be loaded here

    def begin(self) -> None:
        """Lets pickles of this process heed what others register."""
        custom_serializers.set_look(self.look)

    def share_all(self) -> None:
        """Shares what this process had registered before it had a session.

        Raises:
            SerializationError: one can't be pickled.
        """
        for registration in list(custom_serializers.shared.values()):
            self.share(registration)

    def end(self) -> None:
        """Undoes `begin`."""
        custom_serializers.set_look(None)

    def look(self) -> None:
        """Enters what others have registered since the last look."""
        x = self._find()
        me = threading.get_ident()
        if x is None or me in self._loading:  # a module that is imported to load one may pickle something
            return
        self._loading.add(me)
        try:
            while x is not None:
                number, _ = self._next
                self._take(x)
                self._next = self._place(number + 1)
                x = self._find()
        finally:
            self._loading.discard(me)

    def _find(self) -> _core.ObjectID | None:
        try:
            return _core.find_object(self._store.region, self._next[1])
        except (RaySystemError, ForkedError):
            return None  # no session any more: what is known holds

    def _take(self, x: _core.ObjectID) -> None:
        try:
            registration = Registration(*self._store.load(x)[0])
        except (TaskCancelledError, ForkedError, RaySystemError):
            raise  # the registration itself can be loaded
        except Exception as error:  # of the user's module, say; the value that is pickled now may have nothing to do with it
            self.report(f"a serializer that was registered can't be loaded in process {os.getpid()}: {described(error)}")
            return
        self._known[registration.kind] = registration
        custom_serializers.enter(registration)

    def share(self, registration: Registration) -> None:
        """Makes a registration known in all processes of the job.

        Raises:
            SerializationError: it can't be pickled.
        """
        pickled = dumps(tuple(registration), f"the serializer of {registration.kind.__qualname__}")
        with self._turn():
            self.look()
            if self._known.get(registration.kind) == registration:
                return  # such as a module's own, which each process registers that imports it
            number, binary = self._next
            x = self._store.create(binary, for_job=True)
            try:
                self._store.fill(_core.object_index(x), pickled)
            except BaseException:
                _core.abandon_object(self._store.region, x)
                raise
            _core.seal_object(self._store.region, x)
            x.binary()  # enters the id index, so that the others find it
            self._next = self._place(number + 1)
            self._known[registration.kind] = registration

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """A context in which no other process of the job shares a registration: no two get the same number."""
        try:
            lock = os.open(self._lock_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # the node has not made the session's directory yet, or no more: no other process is there
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _place(self, number: int) -> tuple[int, bytes]:
        return number, _core.digest_id(f"serializer\0{self._store.region.job_key}\0{number}".encode())


def _say(text: str) -> None:
    print(f"ray_lite: {text}", file=sys.stderr)
