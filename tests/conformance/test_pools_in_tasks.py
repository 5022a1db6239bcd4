"""Pools of processes inside tasks: they take the script's own functions and classes, as they do in the script."""

import os
import sys

import psutil
import pytest

HEAD = """
    import concurrent.futures
    import multiprocessing
    import os
    import pickle
    import sys

    import ray_lite as ray

    class Point:
        def __init__(self, x):
            self.x = x

    def helper(x):
        return x * x

    def square(x):
        return helper(x)

    def point(x):
        return Point(x)

    def begin(value):
        global model
        model = value

    def add(x):
        return model + x

    def raise_it(x):
        raise ValueError(Point(x).x)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_pools_take_functions_and_classes_of_the_script(output_of, method):
    assert output_of(HEAD + """
    @ray.remote
    def in_pool(method):
        context = multiprocessing.get_context(method)
        with context.Pool(2, initializer=begin, initargs=(10,)) as pool:
            points = pool.map(point, range(3))
            assert all(type(one) is Point for one in points)
            try:
                pool.map(raise_it, [7])
            except ValueError as error:
                problem = str(error)
            return pool.map(square, range(4)), pool.map(add, range(3)), [one.x for one in points], problem

    @ray.remote
    def in_executor(method):
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
            return list(executor.map(square, range(3))), executor.submit(point, 5).result()

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(in_pool.remote(sys.argv[1])))
        values, result = ray.get(in_executor.remote(sys.argv[1]))
        print(values, type(result) is Point, result.x)
    """, args=[method]) == "([0, 1, 4, 9], [10, 11, 12], [0, 1, 2], '7')\n[0, 1, 4] True 5\n"


def test_functions_that_several_tasks_bring(output_of):
    """Each task's pickle has its own copy of `scaled`; plain pickle, by name, takes the one that the task uses."""
    assert output_of(HEAD + """
    factor = 1

    def scaled(x):
        return factor * x

    def use(x):
        with multiprocessing.get_context("fork").Pool(1) as pool:
            by_name = pickle.loads(pickle.dumps(scaled)) is scaled and sys.modules["__main__"].scaled is scaled
            return by_name, pool.map(scaled, [x]), pickle.loads(pickle.dumps(Point)) is Point

    def use_again(x):
        return use(x)

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        first = ray.remote(use)
        print(ray.get(first.remote(1)))
        factor = 2
        print(ray.get(ray.remote(use_again).remote(1)), ray.get(first.remote(1)))
    """) == "(True, [1], True)\n(True, [2], True) (True, [1], True)\n"


def test_main_in_a_worker(output_of):
    """It holds functions and classes as long as they are used, and has no file that a spawned process would run."""
    assert output_of(HEAD + """
    @ray.remote
    def look(function):
        main = sys.modules["__main__"]
        try:
            main.nothing
        except AttributeError as error:
            assert "functions and classes of the script" in str(error)
        return main.square is square, "square" in dir(main), main.point is function, main.__name__, hasattr(main, "__file__")

    @ray.remote
    def later():
        return hasattr(sys.modules["__main__"], "point"), hasattr(sys.modules["__main__"], "square")

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(look.remote(point)), ray.get(later.remote()))
    """) == "(True, True, True, '__main__', False) (False, True)\n"


def test_what_comes_back_leaves_the_script_as_it_is(output_of):
    assert output_of(HEAD + """
    if __name__ == "__main__":
        ray.init(num_cpus=1)
        mine = square, Point
        function, kind = ray.get(ray.remote(lambda: (square, Point)).remote())
        print(function(3), kind is Point, mine == (square, Point) and sys.modules["__main__"].square is square)
    """) == "9 True True\n"


def test_a_large_capture_goes_to_forked_children_by_number_only(output_of):
    assert output_of(HEAD + """
    data = bytes(20_000_000)

    def length(x):
        return len(data) + x

    @ray.remote
    def sizes():
        from multiprocessing.reduction import ForkingPickler
        with multiprocessing.get_context("fork").Pool(1) as pool:
            return pool.map(length, [1]), len(ForkingPickler.dumps(length)) < 1000

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(sizes.remote()))
    """) == "([20000001], True)\n"


def test_what_a_spawned_process_cannot_make(run_script):
    """What captures a lock can be sent by its number only: the spawned process says a sentence."""
    done = run_script(HEAD + """
    @ray.remote
    def f():
        import threading
        square.lock = threading.Lock()
        with multiprocessing.get_context("fork").Pool(1) as pool:
            forked = pool.map(square, [2])
        process = multiprocessing.get_context("spawn").Process(target=square, args=(1,))
        process.start()
        process.join()
        return forked, process.exitcode

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(f.remote()))
    """)
    assert done.stdout == "([4], 1)\n"
    assert "square of the script can't be made in this process" in done.stderr and "get_context('fork')" in done.stderr


def test_a_semaphore_that_a_task_leaves_open_is_removed(output_of):
    name = output_of(HEAD + """
    @ray.remote
    def leave_open():
        global lock
        lock = multiprocessing.get_context("spawn").Lock()
        return lock._semlock.name

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(leave_open.remote()))
    """)
    assert name.startswith("/") and not os.path.exists(f"/dev/shm/sem.{name[1:].strip()}")


def test_an_executor_that_is_left_open_ends_with_the_session(output_of, wait_until):
    pid = int(output_of(HEAD + """
    @ray.remote
    def leave_open():
        global executor
        executor = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
        return executor.submit(os.getpid).result()

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(leave_open.remote()))
    """))
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_joblib(output_of, backend, tmp_path):
    pytest.importorskip("joblib")
    if backend == "multiprocessing" and sys.version_info >= (3, 14):
        pytest.skip("joblib's pickler sends what __main__ holds by name, and a process of the fork server has another __main__")
    assert output_of(HEAD + """
    import joblib

    @ray.remote
    def in_joblib(backend):
        results = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(square)(x) for x in range(4))
        points = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(point)(x) for x in range(2))
        return results, [type(one) is Point and one.x for one in points]

    if __name__ == "__main__":
        ray.init(num_cpus=2)
        print(ray.get(in_joblib.remote(sys.argv[1])))
    """, args=[backend], env={"JOBLIB_TEMP_FOLDER": str(tmp_path)}) == "([0, 1, 4, 9], [0, 1])\n"
