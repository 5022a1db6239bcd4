"""What a task finds around it: the driver's path, directory, mask and variables; threads limited; random
numbers of its own.
"""

import os
import sys

import pytest

import ray_lite as ray

THREAD_VARIABLES = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TBB_NUM_THREADS",
]


def variables(*names):
    return {name: os.environ.get(name) for name in names}


@pytest.fixture
def clean_threads(monkeypatch):
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_directory_mask_and_variables(fresh, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_VARIABLE", "väl\nue")
    monkeypatch.delenv("LANGUAGE", raising=False)
    before = os.umask(0o027)
    try:
        ray.init(num_cpus=1)
        mine = dict(os.environ)
    finally:
        os.umask(before)

    def look():
        mask = os.umask(0)
        os.umask(mask)
        return os.getcwd(), mask, dict(os.environ)

    cwd, mask, environ = ray.get(ray.remote(look).remote())
    assert (cwd, mask) == (str(tmp_path), 0o027)
    assert {k: v for k, v in environ.items() if k not in THREAD_VARIABLES} == {
        k: v for k, v in mine.items() if k not in THREAD_VARIABLES
    }


def test_a_later_directory_travels_with_the_task(ray_session, monkeypatch, tmp_path):
    here = ray.remote(os.getcwd)
    start = os.getcwd()
    assert ray.get(here.remote()) == start
    monkeypatch.chdir(tmp_path)
    assert ray.get([here.remote() for _ in range(5)]) == [str(tmp_path)] * 5
    monkeypatch.chdir(start)
    assert ray.get(here.remote()) == start


def test_a_later_path_travels_with_the_task(ray_session, monkeypatch, tmp_path):
    f = ray.remote(lambda: __import__("late_module").VALUE)
    with pytest.raises(ImportError):
        ray.get(f.remote())
    (tmp_path / "late_module.py").write_text("VALUE = 'found'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert ray.get([f.remote() for _ in range(4)]) == ["found"] * 4
    assert ray.get(ray.remote(lambda: sys.path).remote()) == sys.path
    sys.modules.pop("late_module", None)


def test_threads_of_libraries_are_limited(fresh, clean_threads):
    ray.init(num_cpus=2)
    look = ray.remote(lambda names: {name: os.environ.get(name) for name in names})
    assert ray.get(look.remote(THREAD_VARIABLES)) == dict.fromkeys(THREAD_VARIABLES, "1")
    assert ray.get(look.options(num_cpus=2).remote(THREAD_VARIABLES)) == dict.fromkeys(THREAD_VARIABLES, "2")
    assert ray.get(look.options(num_cpus=0.5).remote(["OMP_NUM_THREADS"])) == {"OMP_NUM_THREADS": "1"}
    assert ray.get(look.options(num_cpus=1.5).remote(["OMP_NUM_THREADS"])) == {"OMP_NUM_THREADS": "2"}
    assert variables("OMP_NUM_THREADS") == {"OMP_NUM_THREADS": None}, "the driver's own are left alone"


def test_what_the_user_set_is_kept(fresh, clean_threads):
    clean_threads.setenv("OMP_NUM_THREADS", "7")
    ray.init(num_cpus=2)
    look = ray.remote(lambda names: {name: os.environ.get(name) for name in names})
    for cpus in (1, 2):
        got = ray.get(look.options(num_cpus=cpus).remote(["OMP_NUM_THREADS", "MKL_NUM_THREADS"]))
        assert got == {"OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": str(cpus)}


def test_random_numbers_of_each_worker(fresh, gate, wait_until):
    """Both generators are seeded before the fork; a plain fork would repeat them in every worker."""
    import random

    import numpy as np

    random.seed(0)
    np.random.seed(0)
    mine = random.random(), np.random.random()
    random.seed(0)
    np.random.seed(0)
    ray.init(num_cpus=3, num_workers=3)
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def draw():
        import random

        import numpy as np

        arrive("in")
        wait()  # so that three processes take part
        return os.getpid(), random.random(), np.random.random()

    ids = [draw.remote() for _ in range(3)]
    wait_until(lambda: len(gate.arrived()) == 3, what="three workers")
    gate.open()
    pids, plain, numeric = zip(*ray.get(ids), strict=True)
    assert len(set(pids)) == len({*plain, mine[0]}) - 1 == len({*numeric, mine[1]}) - 1 == 3
    assert (random.random(), np.random.random()) == mine, "the driver's own state is left alone"


def test_standard_input_is_empty(ray_session):
    def look():
        return sys.stdin.read(), os.readlink("/proc/self/fd/0")

    assert ray.get(ray.remote(look).remote()) == ("", "/dev/null")


def test_prints_reach_the_drivers_terminal(run_script):
    done = run_script(
        """
        import sys
        import ray_lite as ray
        ray.init(num_cpus=2)

        @ray.remote
        def talk(i):
            print("out", i, "ü")
            print("err", i, file=sys.stderr)

        ray.get([talk.remote(i) for i in range(10)])
    """,
        env={"PYTHONUTF8": "1", "PYTHONUNBUFFERED": None},
    )
    assert done.returncode == 0
    everything = done.stdout + done.stderr
    for i in range(10):
        assert f"out {i} ü\n" in everything and f"err {i}\n" in everything


def test_flags_of_the_interpreter(output_of):
    assert (
        output_of(
            """
        import sys
        import ray_lite as ray
        ray.init(num_cpus=1)

        def look():
            return sys.flags.optimize, tuple(sys.flags), sys.executable, sys._xoptions

        here, there = look(), ray.get(ray.remote(look).remote())
        print(here == there, there[0])
        assert here == there, (here, there)
    """,
            flags=["-O", "-X", "utf8", "-B"],
        )
        == "True 1\n"
    )


MODULE = """
import ray_lite as ray
from {package}helper import CONSTANT, Shape

class Local:
    def __init__(self, x):
        self.x = x

@ray.remote
def f(x):
    return Local(x.side + CONSTANT)

def main():
    ray.init(num_cpus=1)
    print(ray.get(f.remote(Shape(1))).x, __name__)

if __name__ == "__main__":
    main()
"""
HELPER = "CONSTANT = 41\n\nclass Shape:\n    def __init__(self, side):\n        self.side = side\n"


@pytest.fixture
def project(tmp_path):
    package = tmp_path / "project" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text(HELPER)
    (package / "main.py").write_text(MODULE.format(package="."))
    (package / "script.py").write_text(MODULE.format(package=""))
    return tmp_path / "project"


RUN = "import runpy, sys, os\nos.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"


@pytest.mark.parametrize(
    "arguments",
    [["-m", "package.main"], ["package/script.py"], ["-c", "import package.main as m; m.main()"]],
    ids=["-m", "script", "-c"],
)
def test_ways_to_run_a_program(output_of, project, arguments):
    name = "package.main" if arguments[0] == "-c" else "__main__"
    assert output_of(RUN, args=arguments, cwd=project) == f"42 {name}\n"


def test_a_program_from_standard_input(output_of):
    assert (
        output_of("""
        import os, subprocess, sys
        program = '''
        import ray_lite as ray
        class Thing:
            x = 5
        @ray.remote
        def f():
            return Thing()
        ray.init(num_cpus=1)
        print(ray.get(f.remote()).x)
        '''
        import textwrap
        command = [sys.executable, "-"]
        done = subprocess.run(command, input=textwrap.dedent(program), capture_output=True, text=True)
        print(done.stdout, done.stderr, sep="|", end="")
    """)
        == "5\n|"
    )


def test_a_package_found_by_an_import_hook(output_of, project, tmp_path):
    """As with editable installs, whose finder the interpreter's own start-up installs."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(f"""
import importlib.machinery, importlib.util, sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "edited":
            return importlib.util.spec_from_file_location(name, {str(project / "package" / "helper.py")!r})

sys.meta_path.append(Finder)
""")
    import ray_lite

    root = os.path.dirname(os.path.dirname(ray_lite.__file__))
    assert (
        output_of(
            """
        import edited
        import ray_lite as ray
        ray.init(num_cpus=1)
        f = ray.remote(lambda shape: shape.side + __import__("edited").CONSTANT)
        print(ray.get(f.remote(edited.Shape(1))))
    """,
            env={"PYTHONPATH": os.pathsep.join([str(site), root])},
        )
        == "42\n"
    )


def test_modules_of_the_working_directory_do_not_break_us(output_of, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    for name in ("random", "struct", "selectors", "numpy", "signal", "types"):
        (place / f"{name}.py").write_text(f"raise RuntimeError('the {name} of the working directory')\n")
    assert (
        output_of(
            """
        import ray_lite as ray
        ray.init(num_cpus=1)
        print(ray.get(ray.remote(lambda: __import__("random").randrange(5, 6)).remote()))
    """,
            cwd=place,
        )
        == "5\n"
    )


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(run_script, tmp_path, closed):
    result = tmp_path / "result"
    run_script(
        """
        import sys
        import ray_lite as ray
        ray.init(num_cpus=2)
        value = ray.get([ray.remote(lambda i=i: (print("lost"), i)[1]).remote() for i in range(4)])
        with open(sys.argv[1], "w") as file:
            file.write(str(value))
    """,
        args=[result],
        command=["sh", "-c", f'exec "$@" {closed}', "sh"],
    )
    assert result.read_text() == "[0, 1, 2, 3]"


def test_tasks_run_in_the_main_thread(ray_session):
    def look():
        import threading

        return threading.current_thread() is threading.main_thread(), threading.active_count()

    assert ray.get(ray.remote(look).remote()) == (True, 1)


@pytest.mark.parametrize("stray", ["chdir", "path"])
def test_a_task_that_goes_elsewhere_takes_nobody_along(ray_session, tmp_path, stray):
    """The next task of its worker runs where the driver is, as does one that a later runtime environment led elsewhere."""
    def wander():
        if stray == "chdir":
            os.chdir(tmp_path)
        else:
            sys.path.insert(0, str(tmp_path))

    def look():
        return os.getcwd(), str(tmp_path) in sys.path

    def parent(inline):
        wander()
        return ray.get(ray.remote(inline=inline)(look).remote())

    here = ray.remote(look)
    for _ in range(3):
        ray.get([ray.remote(wander).remote() for _ in range(4)])
        assert ray.get([here.remote() for _ in range(4)]) == [(os.getcwd(), False)] * 4
        for inline in (True, False):
            elsewhere = (str(tmp_path), False) if stray == "chdir" else (os.getcwd(), True)
            assert ray.get(ray.remote(parent).remote(inline)) == elsewhere
            assert ray.get([here.remote() for _ in range(4)]) == [(os.getcwd(), False)] * 4


def test_a_directory_that_is_gone(ray_session, tmp_path):
    """Of the worker, under a waiting task; and of a task that was run inline."""
    def vanish():
        os.mkdir(tmp_path / str(os.getpid()))
        os.chdir(tmp_path / str(os.getpid()))
        os.rmdir(tmp_path / str(os.getpid()))
        return 1

    def parent(first):
        got = vanish() if first else 0
        return got + ray.get(ray.remote(vanish if not first else lambda: 1).remote())

    assert ray.get([ray.remote(parent).remote(first) for first in (True, False, True, False)]) == [2, 1, 2, 1]
    assert ray.get(ray.remote(os.getcwd).remote()) == os.getcwd()


def test_the_out_of_memory_killer_takes_workers_first(ray_session):
    def score(pid="self"):
        with open(f"/proc/{pid}/oom_score_adj") as file:
            return int(file.read())

    node = ray.session.current().address["node_pid"]
    assert ray.get(ray.remote(score).remote()) == min(score(node) + 200, 1000) > score(node) == score()
