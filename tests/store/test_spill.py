"""spill.py: bytes go into the file and come back, whole or not at all."""

import os

import pytest

from ray_lite import _core, session
from ray_lite.exceptions import ObjectLostError, ObjectStoreFullError
from ray_lite.store.spill import Spill

SIZE = 100_000


@pytest.fixture
def spill(fresh, tmp_path):
    """The driver's hand on the file of a session."""
    fresh.init(num_cpus=1, object_store_memory=8 << 20, spill_directory=tmp_path)
    return session.current().store.backpressure.spill


def put(k):
    return session.current().put(bytes([k]) * SIZE)


def create(size):
    return _core.create_object(session.current().region, _core.next_put_id(), size, False)


def test_as_much_as_is_wanted_is_spilled(spill, statistics):
    held = [put(k) for k in range(10)]
    assert spill.spill(1) >= SIZE and statistics().bytes_spilled < 2 * SIZE
    assert spill.spill(3 * SIZE) >= 3 * SIZE
    assert spill.spill(1 << 40) >= 5 * SIZE
    assert spill.spill(1) == 0, "all are spilled"
    assert [session.current().get(x, None) for x in held] == [bytes([k]) * SIZE for k in range(10)]


def test_nothing_is_spilled_without_a_file(fresh):
    fresh.init(num_cpus=1)
    held = put(1)
    assert session.current().store.backpressure.spill.spill(1) == 0
    assert session.current().get(held, None) == b"\1" * SIZE


def test_a_copy_of_ones_own(spill, statistics):
    x = put(7)
    assert spill.copy(x) is None, "its bytes are here"
    spill.spill(1)
    copy = spill.copy(x)
    assert copy.readonly and bytes([7]) * SIZE in bytes(copy)
    assert statistics().bytes_spilled, "they stay in the file"


def test_restoring_what_is_here_does_nothing(spill, statistics):
    x = put(7)
    before = statistics()
    spill.restore(x, create)
    assert statistics() == before


@pytest.mark.parametrize("how", ["copy", "restore"])
def test_other_bytes_are_noticed(spill, how):
    x = put(7)
    spill.spill(1)
    os.pwrite(spill.fd, b"!", 1000)
    with pytest.raises(ObjectLostError, match="damaged"):
        spill.copy(x) if how == "copy" else spill.restore(x, create)


class Unlucky(Spill):
    """Others move the object while it is read, so many times, and use its place in the file."""

    times = 6

    def _read(self, room, offset):
        if self.times == 0:
            return super()._read(room, offset)
        self.times -= 1
        fellow = Spill(self.region, self.fd)
        fellow.restore(self.object, create)
        fellow.spill(1)
        return False


@pytest.mark.parametrize("how", ["copy", "restore"])
def test_bytes_that_move_while_they_are_read_are_not_damaged(spill, how):
    x = put(7)
    spill.spill(1)
    reader = Unlucky(spill.region, spill.fd)
    reader.object = x
    reader.copy(x) if how == "copy" else reader.restore(x, create)
    assert reader.times == 0 and session.current().get(x, None) == bytes([7]) * SIZE


def test_a_file_that_was_cut(spill):
    x = put(7)
    spill.spill(1)
    os.ftruncate(spill.fd, 5000)
    with pytest.raises(ObjectLostError, match="damaged"):
        spill.restore(x, create)


def test_a_file_that_can_not_be_written_or_read(spill, statistics):
    region = session.current().region
    x = put(7)
    closed = Spill(region, os.open(os.devnull, os.O_RDONLY))
    with pytest.raises(ObjectStoreFullError, match="spilling failed"):
        closed.spill(1)
    os.close(closed.fd)
    assert session.current().get(x, None) == bytes([7]) * SIZE
    spill.spill(1)
    write_only = Spill(region, os.open(os.devnull, os.O_WRONLY))
    with pytest.raises(ObjectLostError, match="read back"):
        write_only.restore(x, create)
    os.close(write_only.fd)
    assert session.current().get(x, None) == bytes([7]) * SIZE
