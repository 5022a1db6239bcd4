"""Deaths in every named window outside the lock, of every kind of process that passes it.

A run of scenario.py counts who passes where; then each window is armed for each kind, at its first passage and at a later
one, and the process that comes is killed, or held up while the others go on and killed then.
"""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parent
NODE_GONE = 3
SLOWEST = 60
GONE_WITHIN = 2.0  # seconds after a driver's death
TOLD_WITHIN = 1.0  # seconds after the node's
# Little steps, so that all that grows or spills does so often.
STEPS = {"COMMIT_STEP": "65536", "SPILL_LEAST": "4096", "SPILL_BATCH": "1048576", "TRIM": "1048576", "TRIM_AFTER": "0.02"}
STEPS |= {"RETIRE_AFTER": "0.02", "AGING": "0.001"}
STEPS = {f"RAY_LITE_{name}": value for name, value in STEPS.items()}
# Sleeps so long, and looks so rare, that nothing but a wake-up that really comes gets anybody any further: the bounds that
# would hide a lost one in a second are out of the way. Only the node's death is noticed by them alone.
UNBOUNDED = {f"RAY_LITE_{name}": "300" for name in ("PARK", "IDLE_PARK", "NODE_LOOK")} | {"RAY_LITE_TIDY": "0.001"}


def beside(name):
    spec = importlib.util.spec_from_file_location(f"failpoints_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


table = beside("table")
NAMES = table.names()
IF_FULL = pytest.mark.skipif(not os.environ.get("RAY_LITE_FULL"), reason="runs in .ci/full: RAY_LITE_FULL=1")
SAMPLE = 8  # one window in so many is always tried
SCENARIO = (HERE / "scenario.py").read_text()
INSIDE_THE_LOCK = {"commit.publish", "publish.unlock"}  # who is held there holds everybody

pytestmark = pytest.mark.watchdog(600)


def sampled(names):
    """The names as parameters; all but a sample only when everything is asked for."""
    return [pytest.param(name, marks=[] if number % SAMPLE == 0 else IF_FULL) for number, name in enumerate(names)]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder of a ray_lite with failpoints."""
    work = tmp_path_factory.mktemp("package")
    beside("build").build(work)
    return work


@pytest.fixture
def play(package, tmp_path, start_script):
    """`play()` starts the scenario, or another driver; `play.table`: its failpoints, to be armed before."""
    runs = []

    def start(arm=None, source=SCENARIO, more=()):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        start.table = table.Table(folder / "failpoints")
        runs.append(start.table)
        if arm:
            start.table.arm(*arm)
        env = {"PYTHONPATH": str(package), "RAY_LITE_FAILPOINTS": str(start.table.path)} | STEPS
        env |= UNBOUNDED if not arm or arm[1] in (table.WORKER, table.ACTOR) else {}
        start.folder = folder
        return start_script(source, env=env, args=[folder, HERE.parent / "core", *more])

    yield start
    for one in runs:
        one.close()


@pytest.fixture(scope="module")
def census():
    """{name: passages by kind} of an undisturbed run; filled by the first test that asks."""
    return {}


@pytest.fixture(scope="module")
def caught():
    """Counts who was caught; shown at the end (pytest -s)."""
    counts = Counter()
    yield counts
    print(f"\n{counts.total()} processes were caught in {len(NAMES)} windows: {dict(counts)}")


@pytest.fixture
def passed(census, play):
    """The census, taken once."""
    if not census:
        with telling(play()) as process:
            wait_for_end(process)
            assert process.returncode == 0
        census.update(play.table.hits())
    return census


@contextlib.contextmanager
def telling(process):
    """What fails in the block tells the exit status of the scenario and all that it wrote."""
    try:
        yield process
    except AssertionError as error:
        out, err = wait_for_end(process, 1)
        story = f"exit status: {process.returncode} (None: it runs)\n--- stdout:\n{out}\n--- stderr:\n{err}"
        raise AssertionError(f"{error}\nThe scenario's {story}") from error


def wait_for_end(process, seconds=SLOWEST):
    """What the scenario has written, at its end or when so many seconds are over."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        return [(part or b"").decode(errors="replace") for part in (late.stdout, late.stderr)]


def test_every_failpoint_is_passed(passed):
    assert sorted(passed) == NAMES and len(NAMES) > 30
    assert [name for name, hits in passed.items() if not sum(hits)] == []


def end_of(process, kind, since):
    """The scenario's end after a process of this kind died at time `since`."""
    wait_for_end(process)
    late = time.monotonic() - since
    if kind in (table.UNSLOTTED, table.DRIVER):
        assert process.returncode == -signal.SIGKILL
        return
    if kind == table.NODE:
        assert process.returncode in (0, NODE_GONE)
        assert process.returncode == 0 or late < TOLD_WITHIN + 0.5, f"the driver learned of it after {late:.2f} s"
        return
    assert process.returncode == 0


def alive(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def catch(play, process, name, wait_until):
    """(pid of whoever is caught there, or 0 at the end of the scenario; when)."""
    wait_until(lambda: play.table.caught(name) or process.poll() is not None, deadline=SLOWEST, what=f"somebody at {name}")
    return play.table.caught(name), time.monotonic()


@pytest.mark.parametrize("name", sampled(NAMES))
def test_a_death_in_the_window(name, passed, play, wait_until, caught):
    for kind, hits in enumerate(passed[name]):
        for passage in sorted({*range(1, min(hits, 4) + 1), hits // 4, hits // 2} - {0}):
            with telling(play((name, kind, table.KILL, passage))) as process:
                pid, when = catch(play, process, name, wait_until)
                assert pid or passage > 1, f"no {table.KINDS[kind]} came to {name}"
                caught[table.KINDS[kind]] += bool(pid)
                end_of(process, kind if pid else table.WORKER, when)
                session_is_gone(play, wait_until)


def session_is_gone(play, wait_until):
    """Nobody who maps the table is left."""
    path = str(play.table.path)

    def users():
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and any(path == place.path for place in process.memory_maps()):
                    found.append(process.pid)
        return found

    wait_until(lambda: not users(), deadline=GONE_WITHIN, what="the end of every process")


@pytest.mark.parametrize("name", sampled(name for name in NAMES if name not in INSIDE_THE_LOCK))
def test_others_go_on_while_one_is_held_and_then_killed(name, passed, play, wait_until, caught):
    for kind in (table.WORKER, table.NODE, table.ACTOR):
        if not passed[name][kind]:
            continue
        with telling(play((name, kind, table.HOLD, 1))) as process:
            pid, _ = catch(play, process, name, wait_until)
            assert pid, f"no {table.KINDS[kind]} came to {name}"
            caught[f"{table.KINDS[kind]} held"] += 1
            let_others_go_on(play, process)
            if kind == table.NODE:
                play.table.release(name)
            else:
                os.kill(pid, signal.SIGKILL)
            end_of(process, table.WORKER, time.monotonic())
            session_is_gone(play, wait_until)


def let_others_go_on(play, process):
    """Until no task begins any more, or the driver has come to its end."""
    before = -1
    while process.poll() is None and before != (before := play.table.tasks_begun()):
        time.sleep(0.1)  # a rhythm, not a wait: that nothing changes takes two looks to see


# A driver that needs room which another process has in its hands; it notes that it waits.
REFILL = """
    import os, sys, time
    from types import SimpleNamespace

    import numpy as np

    import ray_lite as ray
    from ray_lite.store import backpressure

    folder, _, whose, spills = sys.argv[1:]
    array = np.ones(6 << 20, "u1")

    def note(seconds):
        open(os.path.join(folder, "waits"), "w").close()
        time.sleep(seconds)

    ray.init(num_cpus=1, object_store_memory=1 << 23, spill_directory=folder if spills else None)
    x = ray.put(array) if whose == "node" else ray.remote(lambda: np.ones(6 << 20, "u1")).remote()
    if whose == "node":
        del x  # so there is a run to trim
    while not os.path.exists(os.path.join(folder, "caught")):
        time.sleep(0.002)
    backpressure.time = SimpleNamespace(monotonic=time.monotonic, sleep=note)
    assert ray.get(ray.put(array))[-1] == 1
    ray.shutdown()
"""


@pytest.mark.parametrize("name, kind, spills", [
    pytest.param("trim.punch", table.NODE, "", id="trim"),
    pytest.param("trim.punch", table.NODE, "spills", id="trim beside a spill file"),
    pytest.param("room.size", table.WORKER, "spills", id="result"),
])
def test_a_put_waits_for_bytes_in_the_hands_of_another(name, kind, spills, play, wait_until):
    """Of a run that the node trims, and of a result that can be spilled once it is sealed."""
    with telling(play((name, kind, table.HOLD, 1), REFILL, (table.KINDS[kind], spills))) as process:
        assert catch(play, process, name, wait_until)[0]
        (play.folder / "caught").touch()
        waits = play.folder / "waits"
        wait_until(lambda: waits.exists() or process.poll() is not None, deadline=SLOWEST, what="the wait for room")
        play.table.release(name)
        end_of(process, table.WORKER, time.monotonic())
        session_is_gone(play, wait_until)


# --- a guest beside a host ---

GUESTS = (HERE / "guest_scenario.py").read_text()
PAIRS = 12  # one pair of window and kind in so many is always tried


@pytest.fixture
def guest(play, wait_until):
    """`guest(more, ...)`: what the host prints in whose session a guest works, which dies at a window, a kind, a passage."""

    def run(*more):
        with telling(play(None, GUESTS, more)) as process:
            out, _ = wait_for_end(process)
            assert process.returncode == 0, f"beside a guest that died at {more}"
        session_is_gone(play, wait_until)
        return out.splitlines()

    return run


def guest_deaths(guest, every, start):
    """Kills at every so-manyth pair of window and kind that a guest passes; how many of each kind were caught."""
    hits = json.loads(guest()[0])
    pairs = [(name, kind, max(1, counts[kind] // 2)) for name, counts in sorted(hits.items())
             for kind in (table.DRIVER, table.NODE, table.WORKER, table.ACTOR) if counts[kind]]
    assert len(pairs) > 40
    found = Counter()
    for name, kind, passage in pairs[start::every]:
        *_, pid = guest(name, kind, passage)
        found[table.KINDS[kind]] += pid != "0"
    print(f"{dict(found)} of {len(pairs[start::every])}")
    return found


@pytest.mark.watchdog(1_500)
def test_a_guests_death_is_nobody_elses_matter(guest):
    assert guest_deaths(guest, PAIRS, os.getpid() % PAIRS).total() > 2


@IF_FULL
@pytest.mark.watchdog(3_000)
def test_a_guests_death_in_each_window(guest):
    assert min(guest_deaths(guest, 1, 0).values()) > 3
