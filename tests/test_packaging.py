"""What is shipped, and the sentence that meets whoever cannot install it."""

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import ray_lite

ROOT = Path(__file__).parents[1]


def load_setup():
    spec = importlib.util.spec_from_file_location("ray_lite_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SETUP = load_setup()
FINE = SETUP.Facts(
    system="Linux",
    kernel=(5, 4),
    libc="glibc 2.30",
    machine="aarch64",
    bits=64,
    implementation="CPython",
    free_threaded=False,
    compiler="/usr/bin/cc",
    headers=True,
)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"system": "Darwin"}, "this is Darwin"),
        ({"system": "Windows"}, "this is Windows"),
        ({"machine": "riscv64"}, "this is a 64-bit Python on riscv64"),
        ({"machine": "x86_64", "bits": 32}, "this is a 32-bit Python on x86_64"),
        ({"implementation": "PyPy"}, "needs CPython"),
        ({"free_threaded": True}, "free-threaded"),
        ({"kernel": (4, 18)}, "Linux 5.4 or later, and this kernel is 4.18"),
        ({"libc": "glibc 2.28"}, "glibc 2.30 or later, and this system has glibc 2.28"),
        ({"libc": ""}, "another one (musl?)"),
        ({"compiler": None}, "apt install gcc libc6-dev` (Debian, Ubuntu) or `dnf install gcc`"),
        ({"headers": False}, "apt install python3-dev` (Debian, Ubuntu) or `dnf install python3-devel`"),
    ],
)
def test_refusals_are_one_sentence_with_the_reason(change: dict, says: str):
    sentence = SETUP.refusal(FINE._replace(**change))
    assert says in sentence
    assert sentence.startswith("ray_lite ") and sentence.endswith(".") and "\n" not in sentence


def test_no_refusal_where_it_runs():
    assert SETUP.refusal(FINE) is None
    assert SETUP.refusal(FINE._replace(kernel=(6, 1), libc="glibc 2.41", machine="x86_64")) is None
    assert SETUP.refusal(SETUP.facts()) is None


def test_what_cannot_be_mended_is_said_first():
    assert "Darwin" in SETUP.refusal(FINE._replace(system="Darwin", libc="", compiler=None, headers=False))


def test_installing_without_a_compiler_says_only_that(tmp_path: Path):
    result = setup_py(copy_of_the_tree(tmp_path), "--version", env={"CC": "no-such-compiler"})
    assert result.returncode == 1
    assert result.stderr.strip() == SETUP.refusal(FINE._replace(compiler=None))


def test_the_version_is_the_same_everywhere(tmp_path: Path):
    result = setup_py(copy_of_the_tree(tmp_path), "--version")
    assert result.stdout.strip() == ray_lite.__version__ == importlib.metadata.version("ray_lite")


def test_the_source_archive_holds_all_and_builds_the_package(tmp_path: Path):
    tree = copy_of_the_tree(tmp_path)
    result = setup_py(tree, "sdist")
    assert result.returncode == 0, result.stderr
    (archive,) = (tree / "dist").iterdir()
    with tarfile.open(archive) as tar:
        extract(tar, tmp_path)
    unpacked = tmp_path / archive.name.removesuffix(".tar.gz")
    package = files_of(tree, "ray_lite")
    wanted = package | files_of(tree, "tests", "examples", "bench", ".ci")
    assert wanted | {"setup.py", "pyproject.toml", "README.md"} <= files_of(unpacked, ".")

    # What goes into a wheel beside the compiled extension.
    result = setup_py(unpacked, "build_py", "--build-lib", "lib")
    assert result.returncode == 0, result.stderr
    assert files_of(unpacked / "lib", ".") == package
    assert {"ray_lite/py.typed", "ray_lite/_core.pyi", "ray_lite/_core.src/region/layout.h", "ray_lite/node/pool.py"} <= package


def copy_of_the_tree(tmp_path: Path) -> Path:
    """The tree without what was built in it: building must not touch the tree under test."""
    by_git_and_tools = [".git", ".venv", ".hypothesis", ".*_cache"]
    by_building = ["build", "dist", "*.egg-info", "*.so", "*.html", "_core.c", "__pycache__"]
    ignore = shutil.ignore_patterns(*by_git_and_tools, *by_building)
    return shutil.copytree(ROOT, tmp_path / "tree", ignore=ignore)


def setup_py(tree: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "setup.py", "--quiet", *arguments]
    everything = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    return subprocess.run(command, cwd=tree, env=everything, capture_output=True, text=True)


def extract(tar: tarfile.TarFile, target: Path) -> None:
    if hasattr(tarfile, "data_filter"):  # else an early 3.10 or 3.11
        tar.extractall(target, filter="data")
    else:
        tar.extractall(target)


def files_of(root: Path, *folders: str) -> set[str]:
    paths = [path for folder in folders for path in (root / folder).rglob("*")]
    return {str(path.relative_to(root)) for path in paths if path.is_file()}
