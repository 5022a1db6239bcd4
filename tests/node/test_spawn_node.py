"""spawn_node.py: the interpreter's flags, and what is said when there is no interpreter."""

import subprocess
import sys

import pytest

from ray_lite.exceptions import RaySystemError
from ray_lite.node import spawn_node


@pytest.mark.parametrize("flags", [[], ["-O"], ["-W", "error"], ["-X", "dev"], ["-s", "-B"]])
def test_flags_of_the_interpreter_are_found(flags):
    code = (
        "import subprocess; from ray_lite.node import spawn_node;"
        "assert spawn_node._interpreter_flags() == subprocess._args_from_interpreter_flags()"
    )
    subprocess.run([sys.executable, *flags, "-c", code], check=True)


@pytest.mark.parametrize("executable", ["", None, "/nonexistent/python"])
def test_no_interpreter_is_one_clear_error(monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(RaySystemError, match="sys.executable"):
        spawn_node.spawn_node()
