"""What WorkerCrashedError says: who died, of what, with how much memory and which last words."""

import contextlib
import ctypes
import mmap
import os
import platform
import signal
import sys
import time

import numpy as np
import pytest

import ray_lite as ray
from ray_lite.exceptions import WorkerCrashedError

pytestmark = pytest.mark.usefixtures("ray_session")


def story(function, *args):
    with pytest.raises(WorkerCrashedError) as caught:
        ray.get(ray.remote(max_retries=0)(function).remote(*args), timeout=30)
    return caught.value


CALLS_ITSELF = {
    "x86_64": b"\xe8\xfb\xff\xff\xff",  # call itself
    "aarch64": b"\xfd\x7b\xbf\xa9\xff\xff\xff\x97",  # push x29 and x30, call itself
}


def overflow():
    """Endless recursion in a C function, where no interpreter looks at the stack."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(CALLS_ITSELF[platform.machine()])
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


@pytest.mark.parametrize(
    "ending, number, name",
    [
        (lambda: ctypes.string_at(0), signal.SIGSEGV, "SIGSEGV"),
        (lambda: os.abort(), signal.SIGABRT, "SIGABRT"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), signal.SIGKILL, "SIGKILL"),
        (overflow, signal.SIGSEGV, "SIGSEGV"),
    ],
    ids=["segfault", "abort", "kill", "C stack overflow"],
)
def test_signals_are_named(ending, number, name):
    error = story(ending)
    assert name in str(error) and str(error.pid) in str(error) and ending.__name__ in str(error)
    assert (error.signal, error.exit_code, error.out_of_memory) == (number, None, False)


def test_exit_codes_are_named():
    error = story(lambda: os._exit(3))
    assert "exit code 3" in str(error) and (error.signal, error.exit_code) == (None, 3)


def test_the_fault_handlers_trace_is_part_of_it():
    def read_nothing():
        ctypes.string_at(0)

    text = str(story(read_nothing))
    assert "Segmentation fault" in text and "in read_nothing" in text


def test_the_last_twenty_lines_of_stderr_are_part_of_it():
    def talk():
        for k in range(100):
            print("line", k, file=sys.stderr)
        os._exit(1)

    error = story(talk)
    assert error.last_words.splitlines() == [f"line {k}" for k in range(80, 100)]
    assert "line 99" in str(error) and "line 79" not in str(error)


def test_peak_memory():
    def grow():
        x = np.ones(25_000_000)
        os._exit(int(x[0]))

    assert story(grow).peak_memory > 200_000_000


def test_a_stopped_control_process_delays_no_death(control_process):
    ray.get(ray.remote(lambda: 1).remote())
    control = control_process()
    control.suspend()
    try:
        before = time.monotonic()
        error = story(lambda: os._exit(5))
        assert time.monotonic() - before < 2 and error.exit_code == 5 and error.last_words == ""
    finally:
        control.resume()


@pytest.fixture
def small_cgroup():
    """A memory cgroup of 100 MB, as a file to which a pid is written."""
    name = f"ray_lite-test-{os.getpid()}"
    for base, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        directory = os.path.join(base, name)
        try:
            os.mkdir(directory)
            with open(os.path.join(directory, limit), "w") as file:
                file.write(str(100_000_000))
        except OSError:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
            continue
        yield os.path.join(directory, "cgroup.procs")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                os.rmdir(directory)
                return
            except OSError:
                time.sleep(0.02)
        return
    pytest.skip("no memory cgroup can be made here")


def test_the_out_of_memory_killer_is_named(small_cgroup, output_of):
    output = output_of("""
        import os, sys
        with open(sys.argv[1], "w") as file:
            file.write(str(os.getpid()))
        import ray_lite as ray

        @ray.remote(max_retries=0)
        def grow():
            hoard = []
            while True:
                hoard.append(bytearray(b"x") * 1_000_000)

        ray.init(num_cpus=1)
        try:
            ray.get(grow.remote())
        except ray.exceptions.WorkerCrashedError as error:
            print(error.out_of_memory, error.signal, error)
    """, args=[small_cgroup])
    assert output.startswith("True 9 ") and "out of memory" in output


def test_the_out_of_memory_killer_is_named_in_the_story_of_an_actor(small_cgroup, output_of):
    """It comes back, unless the call is the reason each time: then that one alone is lost."""
    output = output_of("""
        import os, sys
        with open(sys.argv[1], "w") as file:
            file.write(str(os.getpid()))
        import ray_lite as ray

        class Hoarder:
            def grow(self):
                hoard = []
                while True:
                    hoard.append(bytearray(b"x") * 1_000_000)

            def fine(self):
                return "fine"

        ray.init(num_cpus=1)
        once, saved = ray.remote(Hoarder).remote(), ray.remote(checkpoint_interval=10)(Hoarder).remote()
        for actor in (once, saved):
            try:
                ray.get(actor.grow.remote())
            except ray.exceptions.RayActorError as error:
                print(error.lost, error)
        print(ray.get(saved.fine.remote()))
    """, args=[small_cgroup])
    once, _, rest = output.partition("\nTrue ")
    assert once.startswith("False the actor Hoarder is dead: its process (pid ") and rest.endswith("\nfine\n")
    for text in (once, rest):
        assert "was killed by the kernel, out of memory (signal 9, SIGKILL) while it ran Hoarder.grow; its memory" in text
