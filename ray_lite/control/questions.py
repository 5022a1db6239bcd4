"""Questions to a running session: JSON over a Unix socket in the session's directory, answered by the control process.

    client --{"ask": name, ...}, a line--> control.sock --JSON, a line, then the end of the stream--> client

The node makes the socket, so that it outlives a control process; each control process answers in threads of its own, so that
nobody who asks delays the output of workers.  Neighbours: ask.py is the other end; process.py owns the server; what can be
asked is node/answers.py's.  Must not map the session's memory into the process that asks, or load anything that it sends but
JSON.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ray_lite.control.listener import END, peer

BLANK = b" "  # goes with the descriptors, before the JSON
AT_ONCE = 8  # connections that are answered at a time
MOMENT = 1e-3  # seconds; a timeout of 0 would mean not to wait
PATIENCE = 5.0  # seconds that a client may take to send its question, or to read the answer
QUESTION_MOST = 1 << 20  # bytes of a question: the longest one brings errors of an attached driver
SHORTAGE = 0.1  # seconds before the next try, when the machine refuses a thread or a descriptor

MayAsk = Callable[[int, dict[str, Any]], bool]  # takes the user and the question
Answer = Callable[..., Any]  # takes the question's other fields by name; returns what JSON can say


def of_this_user(uid: int, question: dict[str, Any]) -> bool:
    """Whether a user is this process's, or root."""
    return uid in (0, os.getuid())


class Files(NamedTuple):
    """An answer that comes with descriptors, which are closed once they are sent."""

    facts: Any
    fds: list[int]


class QuestionServer:
    """Answers questions in threads.

    Args:
        listener: from `listen`.
        answers: by name of the question.
        may_ask: whether a user may ask a question; by default only this one and root may.
    """

    def __init__(self, listener: socket.socket, answers: dict[str, Answer], may_ask: MayAsk = of_this_user) -> None:
        self._listener, self._answers, self._may_ask = listener, answers, may_ask
        self._free = threading.Semaphore(AT_ONCE)

    def start(self) -> None:
        """Begins to answer, until the process ends.

        Raises:
            RuntimeError: no thread can be started now.
        """
        threading.Thread(target=self._accept, daemon=True, name="questions").start()

    def _accept(self) -> None:
        while self._listener.fileno() >= 0:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):  # it was closed
                    return
                time.sleep(SHORTAGE)  # of descriptors, or of memory
                continue
            self._free.acquire()
            try:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
            except RuntimeError:  # no thread can be started now: whoever asks tries again
                connection.close()
                self._free.release()
                time.sleep(SHORTAGE)

    def _serve(self, connection: socket.socket) -> None:
        import json  # in the control process, once somebody asks

        try:
            with connection:
                connection.settimeout(PATIENCE)
                line = _line(connection)  # read in any case: what is left unread would reset the connection
                answer = self._answer(line, peer(connection)[1])
                files = answer.get("answer")
                if isinstance(files, Files):
                    answer["answer"] = files.facts
                    _send_files(connection, files.fds)
                connection.sendall(json.dumps(answer).encode() + END)
        except OSError:
            pass  # the client is gone, or too slow
        finally:
            self._free.release()

    def _answer(self, line: bytes, uid: int) -> dict[str, Any]:
        import json

        try:
            question = json.loads(line)
            if not self._may_ask(uid, question):
                return {"error": "it is another user's"}
            answer = self._answers[question.pop("ask")]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {"error": f"no such question: {line[:200]!r}; there are {', '.join(sorted(self._answers))}"}
        try:
            return {"answer": answer(**question)}
        except Exception as error:  # the session may change, or end, while it is looked at
            return {"error": f"{type(error).__name__}: {error}"}


def _send_files(connection: socket.socket, fds: list[int]) -> None:
    try:
        if fds:
            socket.send_fds(connection, [BLANK], fds)
    finally:
        for fd in fds:
            os.close(fd)


def _line(connection: socket.socket) -> bytes:
    data, end = b"", time.monotonic() + PATIENCE
    while not data.endswith(END) and len(data) < QUESTION_MOST:
        connection.settimeout(max(MOMENT, end - time.monotonic()))  # for the whole line: one byte a second keeps nobody waiting
        more = connection.recv(QUESTION_MOST)
        if not more:
            break
        data += more
    return data
