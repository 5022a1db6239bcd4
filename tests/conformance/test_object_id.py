"""`ObjectID`: twenty opaque bytes that can go anywhere, and whose handle keeps the object."""

import copy
import operator
import os
import pickle

import numpy as np
import pytest

import ray_lite as ray

RAW = bytes(range(20))


def test_the_bytes_in_and_out():
    one = ray.ObjectID(RAW)  # no session is needed to hold a name
    assert one.id() == RAW and one.binary() == RAW
    assert type(one.id()) is bytes
    assert one.hex() == RAW.hex() and len(one.hex()) == 40
    assert ray.ObjectID.from_hex(RAW.hex()) == one
    assert repr(one) == str(one) == f"ObjectID({RAW.hex()})"


@pytest.mark.parametrize(
    "wrong, error",
    [
        (b"x" * 19, ValueError),
        (b"x" * 21, ValueError),
        (b"", ValueError),
        ("x" * 20, TypeError),
        (None, TypeError),
        (20, TypeError),
        ([1] * 20, TypeError),
    ],
    ids=repr,
)
def test_wrong_bytes(wrong, error):
    with pytest.raises(error):
        ray.ObjectID(wrong)


@pytest.mark.parametrize(
    "wrong, error",
    [
        ("00" * 19, ValueError),
        ("zz" * 20, ValueError),
        ("", ValueError),
        (b"00" * 20, TypeError),
        (None, TypeError),
    ],
    ids=repr,
)
def test_wrong_hex(wrong, error):
    with pytest.raises(error):
        ray.ObjectID.from_hex(wrong)


def test_equality_and_hash():
    one, same, other = ray.ObjectID(RAW), ray.ObjectID(RAW), ray.ObjectID(RAW[::-1])
    assert one == same and hash(one) == hash(same) and one != other
    assert one != RAW and one != 1 and one is not None and not (one == "x")
    assert {one: "a"}[same] == "a" and len({one, same, other}) == 2
    with pytest.raises(TypeError):
        operator.lt(one, other)
    with pytest.raises(TypeError):
        sorted([one, other])


def test_opaque():
    one, two = ray.ObjectID(RAW), ray.ObjectID(RAW[::-1])
    array = np.array([[one], [two]])
    assert array.shape == (2, 1) and array.dtype == object and array[0, 0] is one
    for operation in (len, iter, bytes, memoryview, int):
        with pytest.raises(TypeError):
            operation(one)
    with pytest.raises(AttributeError):
        one.binary = lambda: b""


def test_copies_and_pickles_are_the_same_id(ray_session):
    one = ray.put("value")
    for other in (
        copy.copy(one),
        copy.deepcopy(one),
        pickle.loads(pickle.dumps(one)),
        ray.ObjectID(one.binary()),
        *[pickle.loads(pickle.dumps(one, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)],
    ):
        assert other == one and ray.get(other) == "value"


def test_a_plain_pickle_holds_nothing(ray_session):
    one = ray.put("value")
    text = pickle.dumps(one)
    del one
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.get(pickle.loads(text))


def test_each_handle_keeps_the_object(ray_session):
    one = ray.put("value")
    two = ray.ObjectID(one.binary())
    del one
    assert ray.get(two) == "value"
    three = copy.copy(two)
    del two
    assert ray.get(three) == "value"


def test_stored_returned_and_passed(ray_session):
    @ray.remote
    def make():
        return ray.put("made in a task")

    @ray.remote
    def open_box(box):
        return ray.get(box["id"])

    made = ray.get(make.remote())
    assert isinstance(made, ray.ObjectID)
    assert ray.get(made) == "made in a task"
    assert ray.get(open_box.remote({"id": made})) == "made in a task"
    stored = ray.get(ray.put({made: [made, (made,)]}))
    assert stored == {made: [made, (made,)]}
    array = ray.get(ray.put(np.array([[made], [made]], dtype=object)))
    assert array.shape == (2, 1) and array[1, 0] == made


def test_a_task_that_returns_a_pending_id(ray_session, gate):
    wait = gate.wait

    @ray.remote
    def child():
        wait()
        return 5

    @ray.remote
    def parent():
        return child.remote()

    inner = ray.get(parent.remote())
    assert ray.wait([inner], timeout=0) == ([], [inner])
    gate.open()
    assert ray.get(inner) == 5


def test_ids_in_attributes_and_closures(ray_session):
    class Holder:
        def __init__(self, one):
            self.one = one

    one = ray.put("kept")

    @ray.remote
    def closes_over():
        return ray.get(one)

    assert ray.get(ray.get(ray.put(Holder(one))).one) == "kept"
    assert ray.get([closes_over.remote() for _ in range(3)]) == ["kept"] * 3


def test_a_borrowed_id_outlives_its_owner(ray_session, gate, wait_until):
    """The driver drops its handle while a task still holds one."""
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def borrower(box):
        (one,) = box
        arrive("in")
        wait()
        return ray.get(one)

    one = ray.put("borrowed")
    result = borrower.remote([one])
    del one
    wait_until(lambda: gate.arrived("in"), what="the borrower")
    gate.open()
    assert ray.get(result) == "borrowed"


def test_ids_are_unique(ray_session):
    f = ray.remote(lambda: 1)

    @ray.remote(num_return_vals=2)
    def pair():
        return ray.put(1), ray.put(2)

    ids = [ray.put(i) for i in range(2000)] + [f.remote() for _ in range(2000)]
    for both in [pair.remote() for _ in range(100)]:
        ids += both + ray.get(both)
    assert len(set(ids)) == len(ids)
    assert len({one.binary()[:8] for one in ids}) > 4000, "spread over the whole range, not counted up"


def test_random_bytes_are_no_object(ray_session):
    for _ in range(100):
        with pytest.raises(ray.exceptions.ObjectLostError):
            ray.get(ray.ObjectID(os.urandom(20)))
