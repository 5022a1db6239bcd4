"""PYTHON_MODE: everything runs inline in the driver, values stand for ids, arguments are copies, no
process is started.
"""

import math
import os

import psutil
import pytest

import ray_lite as ray


@pytest.fixture(autouse=True)
def inline(fresh):
    fresh.init(driver_mode=ray.PYTHON_MODE)


def test_addresses_are_empty(fresh):
    ray.shutdown()
    info = ray.init(driver_mode=ray.PYTHON_MODE, num_cpus=4)
    assert info.pop("node_ip_address") == "127.0.0.1"
    assert set(info) == {"redis_address", "object_store_address", "webui_url", "session_dir", "node_pid"}
    assert set(info.values()) == {None}


def test_no_process_no_file_no_mapping():
    assert ray.is_initialized()
    assert ray.remote(os.getpid).remote() == os.getpid()
    assert psutil.Process().children(recursive=True) == []
    with open("/proc/self/maps") as maps:
        assert not [line for line in maps if "memfd:" in line and "ray_lite" in line]


def test_values_stand_for_ids():
    @ray.remote
    def f(x, y=1):
        return x + y

    assert f.remote(1) == 2
    assert f.remote(f.remote(1), y=5) == 7
    assert ray.get(f.remote(1)) == 2
    value = [1]
    assert ray.put(value) == value and ray.get(value) is value
    assert ray.get([f.remote(1), f.remote(2)]) == [2, 3]


def test_it_runs_at_the_call():
    order = []
    f = ray.remote(lambda x: order.append(x))
    f.remote(1)
    order.append(2)
    f.remote(3)
    assert order == [1, 2, 3]


def test_arguments_are_copies():
    default = [0]

    @ray.remote
    def change(values, *rest, more=default):
        values.append(1)
        more.append(1)
        rest[0]["k"] = 2
        return values

    mine, mapping = [], {}
    result = change.remote(mine, mapping)
    assert result == [1] and mine == [] and mapping == {} and default == [0]


def test_wait_splits_the_list():
    assert ray.wait([1, 2, 3], num_returns=2) == ([1, 2], [3])
    assert ray.wait([1, 1]) == ([1], [1])
    assert ray.wait([1, 2], num_returns=2, timeout=5) == ([1, 2], [])
    assert ray.wait([], num_returns=3) == ([], [])
    with pytest.raises(TypeError):
        ray.wait((1, 2))


def test_several_results():
    @ray.remote(num_return_vals=2)
    def pair():
        return 1, 2

    a, b = pair.remote()
    assert (a, b) == (1, 2)
    assert ray.get(list(pair.remote())) == [1, 2]


def test_exceptions_come_at_once_and_unwrapped():
    @ray.remote
    def fails():
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        fails.remote()
    assert type(caught.value) is KeyError and caught.value.args == ("mine",)
    with pytest.raises(SystemExit):
        ray.remote(lambda: exit_with(3)).remote()


def exit_with(code):
    raise SystemExit(code)


def test_the_same_checks_as_elsewhere():
    @ray.remote
    def f(x):
        return x

    for wrong in (lambda: f.remote(), lambda: f.remote(1, 2), lambda: f.remote(y=1), lambda: f(1)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError):
        ray.remote(nonsense=1)(lambda: 1)


def test_options_and_submit():
    @ray.remote
    def f(x=0):
        return x

    assert f.options(num_cpus=2).remote(5) == 5
    assert f._submit([6]) == 6
    assert f._submit(args=[7], num_cpus=1) == 7


def test_nesting():
    @ray.remote
    def factorial(n):
        return 1 if n == 0 else n * ray.get(factorial.remote(n - 1))

    assert ray.get(factorial.remote(20)) == 2432902008176640000


def test_a_second_init_is_refused_and_another_mode_may_follow():
    with pytest.raises(RuntimeError):
        ray.init(driver_mode=ray.PYTHON_MODE)
    f = ray.remote(os.getpid)
    assert f.remote() == os.getpid()
    ray.shutdown()
    assert not ray.is_initialized()
    ray.init(num_cpus=1)
    assert ray.get(f.remote()) != os.getpid(), "functions defined before work in the other mode"


def test_modules_and_remote_functions_are_arguments():
    f = ray.remote(lambda: 5)
    assert ray.get(ray.remote(lambda g, module: module.floor(ray.get(g.remote()) + 0.5)).remote(f, math)) == 5


def test_put_takes_the_value_as_it_is_now():
    z = [1]
    x = ray.put(z)
    z.append(2)
    assert ray.get(x) == [1]
