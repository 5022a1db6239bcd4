"""Asking a running session: the other end of questions.py."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from ray_lite.control.listener import END, SOCKET, peer, reached
from ray_lite.exceptions import RaySystemError

CHUNK = 1 << 16  # bytes of a read
AGAIN = 0.005  # seconds before a question is asked again that nobody has answered


def ask(directory: str, name: str, timeout: float, **fields: Any) -> Any:
    """The answer of the session in a directory.

    Args:
        name: the question, such as "errors".
        timeout: seconds that the session may take to send more.
        fields: further facts of the question.

    Raises:
        RaySystemError: there is no such session, it ends, it does not answer in time, or it has no answer; the message says so.
    """
    import json  # not on the way to a session's start

    end = time.monotonic() + timeout
    data = b""
    while not data:  # a control process that was killed had not answered: the next one does
        try:
            data = _exchange(directory, json.dumps({"ask": name, **fields}).encode() + b"\n", timeout)
        except TimeoutError:
            raise RaySystemError(f"the session in {directory} did not answer within {timeout:g} s") from None
        except (ConnectionResetError, BrokenPipeError, BlockingIOError):  # the last: very many ask
            time.sleep(AGAIN)
        except OSError as error:
            raise RaySystemError(f"there is no session in {directory}: {error.strerror or error}") from None
        if not data and time.monotonic() > end:
            raise RaySystemError(f"the session in {directory} ended each time before it answered")
    found = json.loads(data)
    if "error" in found:
        raise RaySystemError(f"the session in {directory} has no answer: {found['error']}")
    return found["answer"]


def _exchange(directory: str, question: bytes, timeout: float) -> bytes:
    """What comes back on a new connection; nothing if the process that accepted it has ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        with reached(directory) as place:
            connection.connect(f"{place}/{SOCKET}")
            owner = os.stat(place).st_uid
        if peer(connection)[1] not in (0, owner):
            raise RaySystemError(f"the session in {directory} is another user's")
        connection.sendall(question)
        data = b"".join(iter(lambda: connection.recv(CHUNK), b""))
    return data if data.endswith(END) else b""
