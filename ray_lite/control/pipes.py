"""Pipes for the stdout and stderr of a forked process."""

from __future__ import annotations

import os


def make_pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """The read ends and the write ends of two pipes, for stdout and stderr."""
    out = os.pipe()
    try:
        err = os.pipe()
    except OSError:
        for fd in out:
            os.close(fd)
        raise
    return (out[0], err[0]), (out[1], err[1])


def write_into(ends: tuple[int, int]) -> None:
    """Makes the write ends of two pipes this process's stdout and stderr."""
    for fd, end in enumerate(ends, 1):
        os.dup2(end, fd)
        os.close(end)
