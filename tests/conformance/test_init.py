"""`init`: its signature, what it returns, checks before it starts anything, and what each argument of a
private session does.
"""

import inspect
import os
import signal
import socket
import stat
import threading

import numpy as np
import psutil
import pytest

import ray_lite as ray

POSITIONAL = dict(
    redis_address=None,
    node_ip_address=None,
    object_id_seed=None,
    num_workers=None,
    driver_mode=0,
    redirect_worker_output=False,
    redirect_output=True,
    num_cpus=None,
    num_gpus=None,
    resources=None,
    num_custom_resource=None,
    num_redis_shards=None,
    redis_max_clients=None,
    plasma_directory=None,
    huge_pages=False,
    include_webui=True,
    object_store_memory=None,
    use_raylet=False,
)
KEYWORD = dict(
    spill_directory=None, redis_password=None, max_workers=None, pin=False, shutdown_grace=5.0, verbose=False, preload=()
)


def test_signature_is_the_documented_one():
    parameters = inspect.signature(ray.init).parameters
    kinds = {
        kind: {name: p.default for name, p in parameters.items() if p.kind is kind}
        for kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    }
    assert list(kinds[inspect.Parameter.POSITIONAL_OR_KEYWORD].items()) == list(POSITIONAL.items())
    assert kinds[inspect.Parameter.KEYWORD_ONLY] == KEYWORD


def test_names_and_constants():
    assert (ray.SCRIPT_MODE, ray.WORKER_MODE, ray.PYTHON_MODE, ray.SILENT_MODE) == (0, 1, 2, 3)
    assert isinstance(ray.__version__, str) and ray.__version__
    for name in ("init", "shutdown", "is_initialized", "remote", "get", "put", "wait", "ObjectID"):
        assert callable(getattr(ray, name)), name
    assert issubclass(ray.exceptions.RayError, Exception)


def test_import_is_silent_and_light(output_of):
    heavy = output_of("""
        import sys
        import ray_lite
        print([name for name in ("numpy", "redis", "psutil", "pandas") if name in sys.modules])
        import threading
        print(threading.active_count(), ray_lite.is_initialized())
    """)
    assert heavy.splitlines() == ["[]", "1 False"]


def test_a_run_that_succeeds_says_nothing(run_script):
    done = run_script(
        """
        import ray_lite as ray
        ray.init(num_cpus=2)

        @ray.remote
        def f(x):
            return [x] * 1000

        ids = [f.remote(i) for i in range(100)]
        assert sum(map(len, ray.get(ids))) == 100_000
        ray.wait(ids, num_returns=50)
        assert ray.get(ray.put("x")) == "x"
    """,
        flags=("-X", "dev", "-W", "error"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_returned_addresses(fresh):
    info = fresh.init(num_cpus=1)
    assert set(info) == {
        "node_ip_address",
        "redis_address",
        "object_store_address",
        "webui_url",
        "session_dir",
        "node_pid",
    }
    assert info["node_ip_address"] == "127.0.0.1"
    assert info["webui_url"] is None
    assert psutil.pid_exists(info["node_pid"]) and info["node_pid"] != os.getpid()
    state = os.stat(info["session_dir"])
    assert (
        stat.S_ISDIR(state.st_mode) and stat.S_IMODE(state.st_mode) == 0o700 and state.st_uid == os.getuid()
    )


def test_node_ip_address_is_recorded(fresh):
    assert fresh.init(num_cpus=1, node_ip_address="127.0.0.2")["node_ip_address"] == "127.0.0.2"


def test_second_init_is_refused_before_anything_starts(ray_session):
    children = psutil.Process().children(recursive=True)
    with pytest.raises(RuntimeError):
        ray.init(num_cpus=2)
    with pytest.raises(RuntimeError):
        ray.init(driver_mode=ray.PYTHON_MODE)
    assert {c.pid for c in psutil.Process().children(recursive=True)} == {c.pid for c in children}
    assert ray.get(ray.put(1)) == 1


def test_refused_init_leaves_the_module_usable(fresh):
    with pytest.raises(ValueError):
        ray.init(num_cpus=-1)
    assert not ray.is_initialized()
    assert psutil.Process().children(recursive=True) == []
    ray.init(num_cpus=1)
    assert ray.get(ray.put("after")) == "after"


def test_is_initialized(fresh):
    assert ray.is_initialized() is False
    ray.init(num_cpus=1)
    assert ray.is_initialized() is True
    ray.shutdown()
    assert ray.is_initialized() is False


def test_init_after_shutdown_with_functions_defined_before(fresh):
    @ray.remote
    def before_any_session(x):
        return x + 1

    for round_ in range(4):
        ray.init(num_cpus=1)
        assert ray.get(before_any_session.remote(round_)) == round_ + 1
        ray.shutdown()


def test_any_thread_may_init_and_end(fresh, wait_until):
    # The node must not die with the thread that started it.
    starter = threading.Thread(target=ray.init, kwargs=dict(num_cpus=1))
    starter.start()
    starter.join()
    assert ray.get(ray.remote(lambda: 7).remote()) == 7
    ender = threading.Thread(target=ray.shutdown)
    ender.start()
    ender.join()
    assert not ray.is_initialized()


@pytest.mark.parametrize("mode", [ray.WORKER_MODE, 17, -1, "SCRIPT_MODE", None])
def test_wrong_driver_mode(fresh, mode):
    with pytest.raises(ValueError):
        ray.init(driver_mode=mode)
    assert not ray.is_initialized()


@pytest.mark.parametrize("mode", [ray.SCRIPT_MODE, ray.SILENT_MODE])
def test_worker_modes_run_tasks_elsewhere(fresh, mode):
    ray.init(driver_mode=mode, num_cpus=1)
    assert ray.get(ray.remote(os.getpid).remote()) != os.getpid()


@pytest.mark.parametrize(
    "wrong, error",
    [
        (dict(num_cpus=-1), ValueError),
        (dict(num_cpus="2"), TypeError),
        (dict(num_cpus=float("nan")), ValueError),
        (dict(num_workers=-1), ValueError),
        (dict(num_workers="1"), TypeError),
        (dict(max_workers=0), ValueError),
        (dict(max_workers="1"), TypeError),
        (dict(object_store_memory=-1), ValueError),
        (dict(object_store_memory=0), ValueError),
        (dict(object_store_memory=float("nan")), ValueError),
        (dict(object_store_memory=1 << 47), ValueError),
        (dict(num_gpus=0.5), ValueError),
        (dict(num_gpus=257), ValueError),
        (dict(num_gpus="1"), TypeError),
        (dict(object_store_memory="1G"), TypeError),
        (dict(shutdown_grace=-1), ValueError),
        (dict(shutdown_grace="1"), TypeError),
        (dict(object_id_seed="one"), TypeError),
        (dict(no_such_argument=1), TypeError),
    ],
    ids=str,
)
def test_wrong_arguments(fresh, wrong, error):
    (name,) = wrong
    with pytest.raises(error, match=name):
        ray.init(**wrong)
    assert not ray.is_initialized()


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "0.00001"])
def test_wrong_cpus_of_the_environment(fresh, monkeypatch, text):
    """The variable has the range of the argument."""
    monkeypatch.setenv("RAY_LITE_NUM_CPUS", text)
    with pytest.raises(ValueError, match=f"RAY_LITE_NUM_CPUS must be .*, got {text.replace('0.00001', '1e-05')}"):
        ray.init()
    assert not ray.is_initialized()


def test_no_cpus_is_legal(fresh):
    ray.init(num_cpus=0)
    assert ray.get(ray.put(3)) == 3
    with pytest.raises(ValueError):  # a demand that can never be met
        ray.remote(lambda: 1).remote()


def test_any_number_of_cpus_may_be_claimed(fresh, gate, wait_until):
    ray.init(num_cpus=12)
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held(i):
        arrive("in")
        wait()
        return i

    ids = [held.remote(i) for i in range(12)]
    wait_until(lambda: len(gate.arrived()) == 12, what="12 tasks at once")
    gate.open()
    assert ray.get(ids) == list(range(12))


def test_num_workers_start_at_once(fresh, worker_pids, wait_until):
    ray.init(num_cpus=1, num_workers=3)
    wait_until(lambda: len(worker_pids()) == 3, what="three workers")
    assert all(psutil.pid_exists(pid) for pid in worker_pids())
    assert ray.get(ray.remote(lambda: 1).remote()) == 1


def test_no_workers_at_first_is_legal(fresh):
    ray.init(num_cpus=1, num_workers=0)
    assert ray.get(ray.remote(lambda: 1).remote()) == 1


def test_max_workers_bounds_the_pool(fresh):
    ray.init(num_cpus=8, max_workers=2)

    @ray.remote
    def slow():
        import time

        time.sleep(0.02)
        return os.getpid()

    assert len(set(ray.get([slow.remote() for _ in range(24)]))) <= 2


def test_plasma_directory_holds_the_arena_without_a_name(fresh, tmp_path):
    import numpy as np

    place = tmp_path / "arena"
    place.mkdir()
    ray.init(num_cpus=1, plasma_directory=str(place), object_store_memory=64 << 20)
    array = np.arange(1_000_000)
    assert (ray.get(ray.put(array)) == array).all()
    with open("/proc/self/maps") as maps:
        assert str(place) in maps.read(), "the arena lies in the directory that was asked for"
    assert list(place.iterdir()) == [], "but nobody else can open it, and nothing can be left behind"


@pytest.mark.parametrize("place", ["missing", "a-file"])
def test_plasma_directory_must_be_a_writable_directory(fresh, tmp_path, place):
    (tmp_path / "a-file").write_text("")
    with pytest.raises((ValueError, OSError), match=place):
        ray.init(num_cpus=1, plasma_directory=str(tmp_path / place))
    assert not ray.is_initialized()


def test_include_webui_starts_nothing(fresh):
    info = ray.init(num_cpus=1, include_webui=True)
    assert info["webui_url"] is None
    tree = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [c for p in tree for c in p.net_connections("inet")]
    assert listening == []
    ray.shutdown()
    assert ray.init(num_cpus=1, include_webui=False)["webui_url"] is None


def test_verbose_prints_what_was_detected(run_script):
    done = run_script("""
        import ray_lite as ray
        ray.init(verbose=True, num_cpus=3, object_store_memory=64 << 20)
    """)
    assert done.returncode == 0, done.stderr
    assert "3 CPUs (num_cpus)" in done.stderr
    assert "67,108,864 bytes of object store (object_store_memory) on pages of" in done.stderr


def test_verbose_says_what_was_rounded_up(run_script):
    script = """
        import sys, ray_lite as ray
        ray.init(verbose=True, num_cpus=1, object_store_memory=int(sys.argv[1]))
    """
    least = "4,194,304 bytes of object store (object_store_memory: 1,000,000, rounded up to the least that works) on pages of"
    assert least in run_script(script, args=[10**6]).stderr
    assert "(object_store_memory: 5,000,001, rounded up to whole pages)" in run_script(script, args=[5_000_001]).stderr


def test_numbers_of_every_type(fresh):
    counts = dict(num_workers=np.int64(1), max_workers=np.uint8(3), object_id_seed=np.int32(7))
    ray.init(**counts, num_cpus=np.float32(2), num_gpus=2.0, object_store_memory=np.float64(5e6),
             resources={"a": np.int16(2)}, num_custom_resource=np.int64(1))
    assert ray.global_state.cluster_resources() == {"CPU": 2, "GPU": 2, "a": 2}
    assert 0 <= fresh.session.current().view.statistics().arena_bytes - 5_000_000 < os.sysconf("SC_PAGESIZE")


def test_numbers_are_checked_before_they_are_compared(fresh):
    with pytest.raises(TypeError, match="num_workers must be a whole number"):
        ray.init(num_workers="3", max_workers=2)


def test_init_inside_a_task_is_refused(ray_session):
    @ray.remote
    def start_another():
        ray.init(num_cpus=1)

    with pytest.raises(RuntimeError):
        ray.get(start_another.remote())


def test_two_sessions_of_one_user_do_not_meet(ray_session, output_of):
    assert (
        output_of("""
        import ray_lite as ray
        ray.init(num_cpus=1)
        print(ray.get(ray.remote(lambda: 5).remote()))
    """)
        == "5\n"
    )
    assert ray.get(ray.remote(lambda: 6).remote()) == 6


def test_no_more_workers_than_slots(output_of):
    """Neither those asked for at the start nor those that blocked ones call for."""
    output = output_of("""
        import os, signal
        import ray_lite as ray
        ray.init(num_cpus=2, num_workers=20, shutdown_grace=0, driver_mode=ray.SILENT_MODE)
        f = ray.remote(lambda x: x)
        nest = ray.remote(inline=False)(lambda me, n: n and ray.get(me.remote(me, n - 1)))
        print(ray.get([f.remote(i) for i in range(50)])[-1])
        try:
            ray.get(nest.remote(nest, 20))
        except ray.exceptions.DeadlockError as error:
            print("can have at most 5 (RAY_LITE_SLOTS=8)" in str(error))
        ray.session.current().view.check()
    """, env={"RAY_LITE_SLOTS": "8"})
    assert output == "49\nTrue\n"


def test_a_node_that_was_killed_before_it_led_a_group_is_given_up():
    from ray_lite.driver.launch import abandon

    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        signal.pause()
    abandon((pid, ours))
    theirs.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
