"""The core under sanitizers: threads play processes in one region, with no Python; then nothing may be left of them.

A short run under each is always tried; with RAY_LITE_FULL=1 the mutants too, and everything must have happened.
RAY_LITE_SANITIZE_S sets the seconds of each run.
No race is suppressed: a word that is read without the lock is atomic in the code, and each sanitizer has to find a
mutant of the code.
"""

import importlib.util
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FULL = bool(os.environ.get("RAY_LITE_FULL"))
IF_FULL = pytest.mark.skipif(not FULL, reason="runs in .ci/full: RAY_LITE_FULL=1")
SECONDS = int(os.environ.get("RAY_LITE_SANITIZE_S", "5" if FULL else "2"))
SEEDS = (1, 2)
FOUND = 66  # exit status of a sanitizer that has something to say
DEEDS = """put create room contain seal abandon hold gone release expose find missed submit take read inline finish wait
    satisfied late lend block idle rung leave full death requeue complete failed bell check spilled moved back stays
    trim cancel mark nothing ended again recheck retire retired make mail refused call rest kill start drain
    restart replay save lose""".split()
OPTIONS = {
    "TSAN_OPTIONS": f"halt_on_error=1 exitcode={FOUND} history_size=7",
    "ASAN_OPTIONS": f"exitcode={FOUND} detect_leaks=0",  # the core allocates nothing, and LSAN needs ptrace
    "UBSAN_OPTIONS": f"print_stacktrace=1 halt_on_error=1 exitcode={FOUND}",
}

pytestmark = pytest.mark.watchdog(900 + 4 * SECONDS)


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("sanitize_build", HERE / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def harness(build, tmp_path_factory):
    """`harness(sanitizer, seed, switch=None, late=())`: the finished run of a program that is built when it is first asked."""
    work = tmp_path_factory.mktemp("sanitize")
    prefix, sources, programs, lacks = build.in_place(), [], {}, {}

    def run(sanitizer, seed, switch=None, late=()):
        if sanitizer not in lacks:
            lacks[sanitizer] = build.lacks(work, sanitizer)
        if lacks[sanitizer]:
            pytest.skip(lacks[sanitizer])
        if not sources:
            sources.append(build.source(work))
        if (sanitizer, switch) not in programs:
            programs[sanitizer, switch] = build.program(sources[0], sanitizer, switch)
        command = [*prefix, programs[sanitizer, switch], str(SECONDS), str(seed), *late]
        env = {**os.environ, **OPTIONS}
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300 + SECONDS)

    return run


def counts(done):
    """What the processes did, by name; the run must be clean."""
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return Counter({name: int(number) for name, number in (pair.split("=") for pair in done.stdout.split())})


@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_processes_meet_in_one_region(harness, sanitizer):
    total = Counter()
    for seed in SEEDS:
        run = counts(harness(sanitizer, seed))
        assert run.pop("longest") <= 64
        total += run
    print(f"{sanitizer}: {total.total():,} deeds: {dict(total)}")
    missing = [name for name in DEEDS if not total[name]]
    assert total and not (FULL and missing), "what never happened is not tested"


@IF_FULL
@pytest.mark.parametrize(
    "switch, function", [("RL_MUTANT_PLAIN_PUBLISH", "rl_publish"), ("RL_MUTANT_LATE_CLEAR", "rl_commit")]
)
def test_tsan_finds_the_race_of_a_mutant(harness, switch, function):
    """A state that is published by a plain store; a word of the lock that is stored after the unlock."""
    done = harness("thread", 1, switch)
    assert done.returncode == FOUND, done.stdout
    assert "data race" in done.stderr and f" {function} " in done.stderr, done.stderr


@IF_FULL
def test_asan_finds_the_read_out_of_bounds_of_a_mutant(harness):
    done = harness("address", 1, "RL_MUTANT_OVERREAD")
    assert done.returncode == FOUND, done.stdout
    assert "heap-buffer-overflow" in done.stderr and "object_put_small" in done.stderr, done.stderr


@IF_FULL
def test_asan_knows_which_bytes_belong_to_objects(harness):
    """The harness reads objects that it has released: what is not theirs any more is out of bounds."""
    done = harness("address", 1, late=["late"])
    assert done.returncode == FOUND, done.stdout
    assert "use-after-poison" in done.stderr, done.stderr
