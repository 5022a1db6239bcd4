"""Builds the harness: the core's own files, then those of this folder, as a program without Python, once a sanitizer.

The module's initialisation is static and nobody calls it, so the compiler drops it, and with it everything that touches
Python: what is left are the `nogil` algorithms, and the linker proves that they need nothing of it.
"""

import importlib.util
import os
import shlex
import subprocess
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
CRASH = HERE.parent / "core" / "crash" / "build.py"
NAME = "harness"
FILES = ("process", "payload", "moving", "operations", "lives", "acting", "harness")  # in this order
OURS = [HERE / f"{name}.pyx" for name in FILES]
SANITIZERS = {
    "thread": ["-O1", "-fsanitize=thread"],
    "address": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}
FLAGS = ["-std=gnu11", "-g", "-pthread", "-fno-omit-frame-pointer", "-fno-strict-aliasing", "-Wno-unused-function"]
STATIC = "-DPyMODINIT_FUNC=static __attribute__((unused)) PyObject *"


def stepped():
    """The builder of the stepped core, which is built the same way."""
    spec = importlib.util.spec_from_file_location("crash_build", CRASH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiler():
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))


def lacks(work, sanitizer):
    """Why this machine cannot build with a sanitizer and run what it built, or nothing."""
    (work / "empty.c").write_text("int main(void) { return 0; }\n")
    target = work / f"empty-{sanitizer}"
    done = subprocess.run(
        [*compiler(), *SANITIZERS[sanitizer], str(work / "empty.c"), "-o", str(target)], capture_output=True, text=True
    )
    if done.returncode == 0:
        done = subprocess.run([*in_place(), str(target)], capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return done.returncode and f"no -fsanitize={sanitizer} here: {lines[-1]}"


def in_place():
    """Runs a program without address randomisation where that is allowed: TSAN of older compilers fails with much of it."""
    prefix = ["setarch", "--addr-no-randomize"]
    try:
        return prefix if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0 else []
    except OSError:
        return []


def source(work):
    """The C file, the same for all programs."""
    crash = stepped()
    return crash.cythonized(work, crash.setup_flags(), NAME, OURS)


def program(source, sanitizer, switch=None):
    """The executable; `switch`: a -D that makes a mutant of the core."""
    target = source.parent / "-".join(filter(None, [NAME, sanitizer, switch]))
    includes = [stepped().CORE, HERE, sysconfig.get_path("include")]
    command = [
        *compiler(), *FLAGS, *SANITIZERS[sanitizer], STATIC, *(f"-I{path}" for path in includes),
        *["-include", "sanitizers.h"], *([f"-D{switch}"] if switch else []), str(source), "-o", str(target),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target
