"""Builds the extension; refuses in one sentence where ray_lite cannot run.

All else about the package is in pyproject.toml.
"""

import os
import platform
import re
import shlex
import shutil
import sys
import sysconfig
from glob import glob
from typing import NamedTuple

from setuptools import Extension, setup

LINUX = (5, 4)
GLIBC = (2, 30)
MACHINES = ("x86_64", "aarch64")


class Facts(NamedTuple):
    """What decides whether ray_lite can be built here and run."""

    system: str
    kernel: tuple[int, ...]
    libc: str  # "glibc 2.36"; of another C library its name, or nothing
    machine: str
    bits: int
    implementation: str
    free_threaded: bool
    compiler: str | None  # the command; None when it is not on PATH
    headers: bool  # Python.h is there


def facts() -> Facts:
    include = sysconfig.get_path("include") or ""
    return Facts(
        system=platform.system(),
        kernel=version(platform.release()),
        libc=libc(),
        machine=platform.machine(),
        bits=64 if sys.maxsize > 2**32 else 32,
        implementation=platform.python_implementation(),
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        compiler=compiler(),
        headers=os.path.exists(os.path.join(include, "Python.h")),
    )


def version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version, as a tuple that compares."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""  # only glibc knows this name
    except (AttributeError, OSError, ValueError):
        return ""


def compiler() -> str | None:
    """The command that setuptools will call, if there is one."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(shlex.split(command)[0])


def refusal(facts: Facts) -> str | None:
    """One sentence on why ray_lite cannot be installed here, or None. What can't be mended comes first."""
    if facts.system != "Linux":
        return f"ray_lite runs on Linux only, and this is {facts.system or 'an unknown system'}."
    if facts.machine not in MACHINES or facts.bits != 64:
        here = f"{facts.bits}-bit Python on {facts.machine}"
        return f"ray_lite needs a 64-bit Python on {' or '.join(MACHINES)}, and this is a {here}."
    if facts.implementation != "CPython":
        return f"ray_lite needs CPython, and this is {facts.implementation}."
    if facts.free_threaded:
        return "ray_lite does not support free-threaded builds of Python yet: use the build with the GIL."
    if facts.kernel < LINUX:
        return f"ray_lite needs Linux {dotted(LINUX)} or later, and this kernel is {dotted(facts.kernel)}."
    if not facts.libc.startswith("glibc ") or version(facts.libc) < GLIBC:
        here = facts.libc or "another one (musl?)"
        return f"ray_lite needs the C library glibc {dotted(GLIBC)} or later, and this system has {here}."
    if not facts.compiler:
        return missing("a C compiler", "gcc libc6-dev", "gcc")
    if not facts.headers:
        return missing("Python's C headers (Python.h)", "python3-dev", "python3-devel")
    return None


def dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def missing(what: str, debian: str, fedora: str) -> str:
    return (
        f"ray_lite is compiled while it is installed, and {what} is missing: "
        f"run `apt install {debian}` (Debian, Ubuntu) or `dnf install {fedora}` (Fedora, RHEL) and try again."
    )


def core() -> Extension:
    """ray_lite._core. setuptools calls Cython for it, with the cython_* attributes, since Cython is there."""
    extension = Extension(
        "ray_lite._core",
        sources=["ray_lite/_core.pyx"],
        include_dirs=["ray_lite/_core.src"],
        depends=["ray_lite/_core.pxd", *sorted(glob("ray_lite/_core.src/**/*.*", recursive=True))],
        extra_compile_args=[
            *["-std=gnu11", "-O2", "-g0", "-pthread"],
            "-fno-strict-aliasing",  # the region is one run of bytes seen through many structs
            "-Wall",
            "-Wno-unused-function",  # Cython emits helpers that it then doesn't need
            "-Wno-sign-compare",  # and loops over unsigned numbers; only some Pythons ask for this warning
        ],
        extra_link_args=["-pthread"],
    )
    extension.cython_c_in_temp = True  # no generated file in the source tree
    extension.cython_line_directives = True  # the C compiler then names the line of the .pyx
    extension.cython_directives = {
        "language_level": 3,
        "boundscheck": False,
        "wraparound": False,
        "initializedcheck": False,
        "cdivision": True,
        "embedsignature": False,
    }
    return extension


if __name__ == "__main__":
    sentence = refusal(facts())
    if sentence:
        raise SystemExit(sentence)
    setup(ext_modules=[core()])
