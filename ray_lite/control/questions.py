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
from typing import Any

from ray_lite.control.listener import END, peer

AT_ONCE = 8  # connections that are answered at a time
PATIENCE = 5.0  # seconds that a client may take to send its question, or to read the answer
QUESTION_MOST = 1 << 20  # bytes of a question: the longest one brings errors of an attached driver
SHORTAGE = 0.1  # seconds before the next try, when the machine refuses a thread or a descriptor

Answer = Callable[..., Any]  # takes the question's other fields by name; returns what JSON can say


class QuestionServer:
    """Answers questions in threads.

    Args:
        listener: from `listen`.
        answers: by name of the question.
        of_group: whether members of the session's group may ask, too; nobody else can connect.
    """

    def __init__(self, listener: socket.socket, answers: dict[str, Answer], of_group: bool = False) -> None:
        self._listener, self._answers, self._of_group = listener, answers, of_group
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
                is_ours = self._of_group or peer(connection)[1] in (0, os.getuid())
                answer = self._answer(line) if is_ours else {"error": "it is another user's"}
                connection.sendall(json.dumps(answer).encode() + END)
        except OSError:
            pass  # the client is gone, or too slow
        finally:
            self._free.release()

    def _answer(self, line: bytes) -> dict[str, Any]:
        import json

        try:
            question = json.loads(line)
            answer = self._answers[question.pop("ask")]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {"error": f"no such question: {line[:200]!r}; there are {', '.join(sorted(self._answers))}"}
        try:
            return {"answer": answer(**question)}
        except Exception as error:  # the session may change, or end, while it is looked at
            return {"error": f"{type(error).__name__}: {error}"}


def _line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(END) and len(data) < QUESTION_MOST:
        more = connection.recv(QUESTION_MOST)
        if not more:
            break
        data += more
    return data
