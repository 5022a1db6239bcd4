"""questions.py and ask.py: JSON over a socket; whoever asks can't harm the session, nor be harmed by it."""

import contextlib
import json
import os
import socket
import stat
import threading

import pytest

from ray_lite.control import questions
from ray_lite.control.ask import ask
from ray_lite.control.listener import SOCKET, listen, reached
from ray_lite.control.questions import AT_ONCE, QuestionServer
from ray_lite.exceptions import RaySystemError


@pytest.fixture
def answered(tmp_path):
    """`answered(answers)`: a server; its directory."""
    listeners = []

    def start(answers, directory=tmp_path):
        listeners.append(listen(str(directory)))
        QuestionServer(listeners[-1], answers).start()
        return str(directory)

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def connect(client, directory):
    """By a name that is short enough, wherever the tests have their files."""
    with reached(directory) as place:
        client.connect(os.path.join(place, SOCKET))


def fail():
    raise LookupError("gone meanwhile")


def test_a_question_with_fields_has_its_answer(answered):
    place = answered({"sum": lambda a, b=0: {"sum": a + b}, "none": lambda: None, "long": lambda: "\N{SNOWMAN}" * 100_000})
    assert ask(place, "sum", 5, a=1, b=2) == {"sum": 3} and ask(place, "none", 5) is None
    assert ask(place, "long", 5) == "\N{SNOWMAN}" * 100_000


def test_what_has_no_answer_is_an_error_that_says_so(answered):
    place = answered({"sum": sum, "fail": fail})
    with pytest.raises(RaySystemError, match="no such question: .*unknown.*; there are fail, sum"):
        ask(place, "unknown", 5)
    with pytest.raises(RaySystemError, match="LookupError: gone meanwhile"):
        ask(place, "fail", 5)
    with pytest.raises(RaySystemError, match="TypeError"):
        ask(place, "fail", 5, surplus=1)


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"\x80\x04.\n", b'{"ask": 3}\n', b'{"ask": ["x"]}\n',
                                  b"x" * questions.QUESTION_MOST])
def test_nonsense_is_answered_and_the_next_question_too(answered, line):
    place = answered({"one": lambda: 1})
    with socket.socket(socket.AF_UNIX) as client:
        connect(client, place)
        client.sendall(line)
        assert "no such question" in json.loads(client.makefile().read())["error"]
    assert ask(place, "one", 5) == 1


def test_clients_that_say_nothing_keep_nobody_waiting_for_long(answered, monkeypatch):
    monkeypatch.setattr(questions, "PATIENCE", 0.2)
    place = answered({"one": lambda: 1})
    silent = [socket.socket(socket.AF_UNIX) for _ in range(2 * AT_ONCE)]
    for client in silent:
        connect(client, place)
    assert ask(place, "one", 10) == 1
    for client in silent:
        client.close()


def test_many_at_a_time(answered):
    place, found = answered({"double": lambda x: 2 * x}), []
    threads = [threading.Thread(target=lambda x=x: found.append(ask(place, "double", 20, x=x))) for x in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(0, 100, 2))


def test_the_socket_is_this_users(answered):
    place = answered({})
    facts = os.stat(os.path.join(place, SOCKET))
    assert stat.S_IMODE(facts.st_mode) == 0o600 and facts.st_uid == os.getuid()


def test_a_path_longer_than_an_address(answered, tmp_path):
    place = tmp_path / ("x" * 200)
    place.mkdir()
    assert ask(answered({"one": lambda: 1}, place), "one", 5) == 1


@pytest.mark.parametrize("kind", ["no directory", "no socket", "nobody listens"])
def test_no_session(tmp_path, kind):
    place = tmp_path / "none" if kind == "no directory" else tmp_path
    if kind == "nobody listens":
        listen(str(tmp_path)).close()
    with pytest.raises(RaySystemError, match="there is no session in"):
        ask(str(place), "one", 5)


def test_a_session_that_does_not_answer(tmp_path):
    with listen(str(tmp_path)), pytest.raises(RaySystemError, match=r"did not answer within 0\.1 s"):
        ask(str(tmp_path), "one", 0.1)


@pytest.mark.parametrize("partly", [b"", b'{"answer": '])
def test_one_who_dies_before_the_answer_is_followed_by_one_who_answers(tmp_path, partly):
    listener = listen(str(tmp_path))

    def serve():
        for answer in (partly, b'{"answer": 5}\n'):
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(answer)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ask(str(tmp_path), "one", 5) == 5
    thread.join()
    listener.close()


def test_a_session_that_ends_each_time_before_it_answers(tmp_path):
    listener = listen(str(tmp_path))

    def hang_up():
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=hang_up, daemon=True)
    thread.start()
    with pytest.raises(RaySystemError, match="ended each time before it answered"):
        ask(str(tmp_path), "one", 0.2)
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def test_a_question_that_trickles_in_takes_nobodys_place_for_long(answered, monkeypatch):
    monkeypatch.setattr(questions, "PATIENCE", 0.3)
    place = answered({"one": lambda: 1})
    clients = [socket.socket(socket.AF_UNIX) for _ in range(AT_ONCE)]
    for client in clients:
        connect(client, place)
    asked = threading.Thread(target=ask, args=(place, "one", 5))
    asked.start()
    while asked.is_alive():
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(b"x")
        asked.join(0.05)
    for client in clients:
        client.close()
