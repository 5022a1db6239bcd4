"""stack_dumps.py: where processes are in their Python code, without stopping them."""

import faulthandler
import os
import signal
import subprocess
import sys
import time

import pytest

from ray_lite.control.stack_dumps import STACK_SIGNAL, StackDumps


@pytest.fixture
def dumps():
    one = StackDumps()
    yield one
    os.close(one.read_end)
    os.close(one.write_end)


def test_the_stack_of_a_process_that_goes_on(dumps, forked, wait_until):
    ready = os.pipe()

    def work():
        faulthandler.register(STACK_SIGNAL, dumps.write_end, all_threads=True)
        deep(3)

    def deep(level):
        if level:
            return deep(level - 1)
        end = time.monotonic() + 100
        os.write(ready[1], b"x")
        while time.monotonic() < end:
            sum(range(1000))
        return None

    child = forked(work)
    os.read(ready[0], 1)
    texts = [dumps.take(child.pid) for _ in range(3)]
    assert all(text.count(" in deep") == 4 and text.count("Current thread") == 1 for text in texts)
    child.kill()
    for fd in ready:
        os.close(fd)


def test_one_that_is_stopped_one_of_another_program_and_one_that_has_ended(dumps, wait_until):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: dumps.take(child.pid) == "(it is stopped)")
    child.send_signal(signal.SIGCONT)
    wait_until(lambda: dumps.take(child.pid) == "(it runs another program, or has only just begun)")
    assert child.poll() is None, "a signal that it has no handler for would end it"
    child.kill()
    child.wait()
    assert dumps.take(child.pid) == "(it has ended)"
