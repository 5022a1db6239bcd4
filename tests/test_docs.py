"""docs/ and README: the job script runs under Slurm's variables, what a page names exists, and links lead somewhere.

Neighbour: test_snippets.py runs the Python blocks of all pages.
"""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ray_lite.config import Config
from ray_lite.node.spawn_node import PASSWORD
from ray_lite.system import machine, session_dir

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "hpc.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "bench/README.md", *sorted((ROOT / "docs").glob("*.md"))]
README_LINES = 150
GLOSSARY_ENTRIES = 40
several_cpus = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="Slurm can't give less than what is here")
OF_THE_TESTS = {"RAY_LITE_FULL", "RAY_LITE_CRASH_OPS", "RAY_LITE_MACHINE_EXAMPLES", "RAY_LITE_SANITIZE_S", "RAY_LITE_SOAK_S"}
OF_NO_SESSION = {session_dir.SHARED, PASSWORD}  # variables that are no limits of a session


def blocks(language):
    return [text for its, text in re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.S | re.M) if its == language]


@pytest.fixture
def job(tmp_path):
    """A directory with the job script, the analysis, and a .venv whose python is this one."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "analysis.py").write_text(blocks("python")[0])
    script = next(block for block in blocks("sh") if block.startswith("#!/bin/bash"))
    (tmp_path / "job.sh").write_text(script)
    return tmp_path


def slurm(**variables):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "CUDA_"))}
    return {**clean, "PYTHONPATH": str(ROOT), **variables}


@several_cpus
def test_the_job_script_under_slurms_variables(job):
    variables = slurm(SLURM_CPUS_PER_TASK="1", SLURM_MEM_PER_NODE="1000", SLURM_JOB_GPUS="2-3")
    done = subprocess.run(["bash", "job.sh"], cwd=job, env=variables, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0 and re.fullmatch(r"-?0\.\d+ \+- 0\.\d+\n", done.stdout), done.stderr
    assert "1 CPUs (SLURM_CPUS_PER_TASK), 2 GPUs (SLURM_JOB_GPUS), at most" in done.stderr
    store = int(1000 * 2**20 * 0.3) >> 21 << 21
    assert f"{store:,} bytes of object store (30 % of {1000 * 2**20:,}: SLURM_MEM_PER_NODE)" in done.stderr


@several_cpus
def test_the_example_of_what_verbose_prints(job):
    """The line on the page has the form of the real one."""
    line = next(block for block in blocks("") if block.startswith("ray_lite: "))
    form = re.sub(r"\d[\d,]*", "N", line.split(", ...")[0]).replace("(SLURM_CPUS_PER_TASK)", "(S)")
    variables = slurm(SLURM_CPUS_PER_TASK="1", CUDA_VISIBLE_DEVICES="0", SLURM_MEM_PER_NODE="1000")
    done = subprocess.run(["bash", "job.sh"], cwd=job, env=variables, capture_output=True, text=True, timeout=50)
    assert re.sub(r"\d[\d,]*", "N", done.stderr).replace("(SLURM_CPUS_PER_TASK)", "(S)").startswith(form)


def test_the_page_names_all_variables_that_are_read():
    variables = {*machine.SLURM_CPUS, *machine.SLURM_GPUS, *machine.SLURM_GPU_COUNTS, *machine.GPU_VARIABLES}
    assert variables <= set(re.findall(r"[A-Z]+_[A-Z_]+", PAGE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page):
    text = page.read_text()
    fields = {f"RAY_LITE_{name.upper()}" for name in Config._fields}
    assert set(re.findall(r"\bRAY_LITE_[A-Z_]+\b", text)) <= fields | OF_THE_TESTS | OF_NO_SESSION
    assert set(re.findall(r"\bConfig\.(\w+)", text)) <= set(Config._fields)
    paths = re.findall(r"`((?:[\w.]+/)+[\w.]*|\w+\.(?:pyx|pxd|pyi|py|md|h))`", text)
    assert not [path for path in paths if not there(page, path)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_site_and_the_index_have_every_page():
    names = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r"\b(\w+\.md)\b", (ROOT / "mkdocs.yml").read_text())) == names
    assert set(re.findall(r"\]\((\w+\.md)\)", (ROOT / "docs/index.md").read_text())) == names - {"index.md"}


def there(page, path):
    """Whether a path is right, seen from the repository, the package, the core, or the page's own folder."""
    roots = (ROOT, ROOT / "ray_lite", ROOT / "ray_lite/_core.src", page.parent)
    if page.name == "files.md":  # the file's folder is the heading above it
        return True
    return any((root / path).exists() for root in roots)


def test_readme_is_short_and_the_glossary_too():
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES
    assert len(re.findall(r"^\| (?!word)", (ROOT / "docs/glossary.md").read_text(), re.M)) <= GLOSSARY_ENTRIES


def test_page_tables_are_what_the_page_says(fresh, statistics):
    """8 bytes for each 4 KiB page that a worker has touched."""
    import numpy as np

    size = 256 << 20
    fresh.init(num_cpus=1, object_store_memory=size + (64 << 20))

    def tables():
        with open("/proc/self/status") as file:
            return int(re.search(r"VmPTE:\s+(\d+) kB", file.read())[1]) * 1024

    @fresh.remote
    def touch(array):
        before = tables()
        int(array[::4096].sum())
        return tables() - before

    x = fresh.put(np.ones(size, np.uint8))
    grown = fresh.get(touch.remote(x))
    pages = size // 4096
    with open("/sys/kernel/mm/transparent_hugepage/shmem_enabled") as file:
        if "[never]" in file.read():
            assert pages * 8 * 0.9 <= grown <= pages * 8 * 1.2
