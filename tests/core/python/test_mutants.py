"""What a driver gone wild may leave where others read it: values, buffers, labels and messages, with bytes changed at random.

Each is read as another driver, the host or the command line would; it means something else then, or is refused: nothing
crashes, hangs, or leads out of the object.  With RAY_LITE_FULL=1 there are a million.  Words of the region's tables are another
matter: all drivers write them.
"""

import contextlib
import json
import os
import pickle
import random
import struct

import pytest

from ray_lite import _core
from ray_lite.control.error_table import Entry
from ray_lite.exceptions import RaySystemError
from ray_lite.node import attach_link
from ray_lite.store.kept_labels import label_of

EACH = 250_000 if os.environ.get("RAY_LITE_FULL") else 5_000
PLAIN = [None, 5, 2.5, "text", b"bytes", [1, "a", None], (True, b"x", 1.5), {"a": 1, "b": "c"}]
LABELS = ["a_function", ("Class", "name", 3), ("/a/path", "/a/directory"), ["a", {"b": 1}], 2**70, b"x" * 300]
MESSAGES = [
    attach_link.hello(7, "/tmp/x", "0" * 64)._asdict(), attach_link.Stop(0.3)._asdict(), attach_link.Challenge("n")._asdict(),
    {"entries": [{"type": "task", "message": "text", "data": {"function_name": "f"}, "timestamp": 1.5}] * 2},
]


def changed(rng, data):
    """The bytes with some of them changed, added or left out."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(data)) if data else 0
        kind = rng.randrange(4)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 8)))
        else:
            del data[at:at + rng.choice((1, 4, 100))]
    return bytes(data)


@pytest.mark.watchdog(300)
def test_values():
    rng, plain, refused = random.Random(1), [_core.encode(value) for value in PLAIN], 0
    for _ in range(EACH):
        try:
            _core.decode(changed(rng, rng.choice(plain)))
        except (RaySystemError, UnicodeDecodeError):
            refused += 1
    assert 0.1 * EACH < refused < 0.9 * EACH


@pytest.mark.watchdog(300)
def test_buffers(make_region):
    """The head of an object says where its parts are."""
    rng, region, refused = random.Random(2), make_region(), 0
    arena = make_region.files_of(region).files[1]
    x = _core.create_object(region, _core.next_put_id(), 4_000, False)
    _core.fill_object(region, _core.object_index(x), 0, (b"stream", [b"a" * 3000, b"b" * 100], [3000, 100], []))
    _core.seal_object(region, x)
    at = os.pread(arena, 1 << 20, 0).index(struct.pack("QQ", 2, 6))
    head = os.pread(arena, 48, at)
    for _ in range(EACH):
        os.pwrite(arena, changed(rng, head)[:48].ljust(48, b"\xff"), at)
        try:
            _, stream, buffers = _core.payload(region, x)
            assert all(len(one) <= 4_096 for one in (stream, *buffers))
        except RaySystemError:
            refused += 1
        stream, buffers = None, ()
    os.pwrite(arena, head, at)
    assert 0.1 * EACH < refused < EACH


@pytest.mark.watchdog(300)
def test_labels():
    """Names of functions and facts of actors, which the command line and the control store show."""
    rng, labels, found = random.Random(3), [pickle.dumps(label) for label in LABELS], 0
    for _ in range(EACH):
        found += label_of(changed(rng, rng.choice(labels))) is not None
    assert 0.1 * EACH < found < 0.9 * EACH


@pytest.mark.watchdog(300)
def test_messages():
    """To the host's sockets: from a driver that attaches, and with its errors."""
    rng, messages, taken = random.Random(4), [json.dumps(message).encode() for message in MESSAGES], 0
    for _ in range(EACH):
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(changed(rng, rng.choice(messages)))
            if isinstance(message, dict):
                taken += any(take(message) for take in (attach_link.said, attach_link.stop_in, attach_link.challenge_in))
                errors(message.get("entries"))
    assert 0.02 * EACH < taken < 0.5 * EACH


def errors(entries):
    for facts in entries if isinstance(entries, list) else ():
        with contextlib.suppress(TypeError, ValueError):
            entry = Entry.of(facts, 5)
            assert pickle.loads(pickle.dumps(entry)) == entry or entry.timestamp != entry.timestamp
            json.dumps(entry._asdict())
