"""Asking a running session: the other end of questions.py."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from ray_lite.control.listener import END, SOCKET, peer, reached
from ray_lite.exceptions import RaySystemError

CHUNK = 1 << 16  # bytes of a read
FILES_MOST = 8  # descriptors that an answer may come with
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
    answer, fds = ask_files(directory, name, timeout, **fields)
    for fd in fds:
        os.close(fd)
    return answer


def ask_files(directory: str, name: str, timeout: float, **fields: Any) -> tuple[Any, list[int]]:
    """As `ask`, and the descriptors that came with the answer, which the caller closes."""
    import json  # not on the way to a session's start

    end = time.monotonic() + timeout
    data, fds = b"", list[int]()
    while not data:  # a control process that was killed had not answered: the next one does
        try:
            data, fds = _exchange(directory, json.dumps({"ask": name, **fields}).encode() + b"\n", timeout)
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
    return found["answer"], fds


def _exchange(directory: str, question: bytes, timeout: float) -> tuple[bytes, list[int]]:
    """What comes back on a new connection, and descriptors; nothing if the process that accepted it has ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        with reached(directory) as place:
            connection.connect(f"{place}/{SOCKET}")
            owner = os.stat(place).st_uid
        if peer(connection)[1] not in (0, owner):
            raise RaySystemError(f"the session in {directory} is another user's")
        connection.sendall(question)
        data, fds, _, _ = socket.recv_fds(connection, CHUNK, FILES_MOST, socket.MSG_CMSG_CLOEXEC)
        if data:
            data += b"".join(iter(lambda: connection.recv(CHUNK), b""))
    if data.endswith(END):
        return data, fds
    for fd in fds:
        os.close(fd)
    return b"", []
