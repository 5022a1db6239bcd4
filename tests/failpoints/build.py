"""The package with failpoints compiled in: a copy of the tree, built in place."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(work):
    """Builds in the folder `work`, which then goes into PYTHONPATH."""
    for name in ("setup.py", "pyproject.toml", "README.md", "MANIFEST.in"):
        shutil.copy(ROOT / name, work / name)
    shutil.copytree(ROOT / "ray_lite", work / "ray_lite", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=work, env={**os.environ, "CFLAGS": "-DRL_FAILPOINTS"}, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
