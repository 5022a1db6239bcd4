"""inline.pyx: a waiting task runs its own descendants in place, and nothing else."""

import pytest

from ray_lite import _core

CPU = 10_000


class Program:
    """Tasks by name in one process that is driver and worker at once. Its methods are a `_core.Worker`'s runner."""

    def __init__(self, region):
        self.region, self.ran = region, []
        self.objects, self.bodies = {}, {}
        self.worker = _core.Worker(region, self)
        _core.mark_env()

    def define(self, name, body, cpus=CPU, flags=0):
        x = _core.create_object(self.region, _core.next_put_id(), 0, True)
        index = _core.object_index(x)
        _core.fill_object(self.region, index, 0, (name.encode(), [], [], []))
        _core.seal_object(self.region, x)
        call = _core.RemoteCall(None)
        call.arm(self.region, index, _core.demand_queue(self.region, cpus), (1, 0, flags, 0, 9))
        self.bodies[index] = (name, body)
        return call

    def function(self, index):
        name, body = self.bodies[index]

        def run(*args):
            self.ran.append(name)
            return body(*args)

        return run

    def fail(self, task, error):
        raise error

    asks = False

    def runtime_env(self, index):
        raise AssertionError("nothing moves here")

    def shape(self, cpus):
        """CPUs of the next task; nothing follows from them here."""

    def go(self):
        self.worker.run(0, 1)


@pytest.fixture
def program(region):
    return Program(region)


def test_a_parent_runs_its_child(program, region):
    child = program.define("child", lambda n: n + 1)

    def parent():
        x = child(1)
        assert program.worker.run_inline(x) and not program.worker.run_inline(x)
        return _core.get_ready(region, x)

    y = program.define("parent", parent)()
    program.go()
    assert _core.get_ready(region, y) == 2 and program.ran == ["parent", "child"]


def test_under_the_arguments_the_first_ready_one(program, region):
    step = program.define("step", lambda n: n + 1)

    def parent():
        x = step(step(step(0)))
        helped = [program.worker.run_inline(x) for _ in range(4)]
        assert helped == [True, True, True, False]
        return _core.get_ready(region, x)

    y = program.define("parent", parent)()
    program.go()
    assert _core.get_ready(region, y) == 3


def test_a_strangers_task_is_left_alone(program, region):
    other = program.define("other", lambda: 5)
    x = other()
    y = program.define("parent", lambda: program.worker.run_inline(x))()
    first = _core.lacking(region, [x, y])
    assert len(first) == 2
    program.go()
    assert _core.get_ready(region, y) is False and _core.get_ready(region, x) == 5


@pytest.mark.parametrize("options", [{"flags": _core.NO_INLINE}, {"cpus": 2 * CPU}])
def test_not_against_its_will_nor_with_more_cpus_than_held(program, region, options):
    child = program.define("child", lambda: 1, **options)
    y = program.define("parent", lambda: program.worker.run_inline(child()))()
    program.go()
    assert _core.get_ready(region, y) is False and program.ran == ["parent", "child"]


def test_recursion_nests_to_any_depth_the_stack_allows(program, region):
    def down(n):
        if n == 0:
            return 0
        x = calls["down"](n - 1)
        assert program.worker.run_inline(x)
        return _core.get_ready(region, x) + 1

    calls = {"down": program.define("down", down)}
    y = calls["down"](40)
    program.go()
    assert _core.get_ready(region, y) == 40 and len(program.ran) == 41


def test_ids_go_on_where_the_parent_stopped(program, region):
    child = program.define("child", lambda: [_core.next_put_id() for _ in range(3)] and 0)

    def parent(helps):
        before = child()
        if helps:
            assert program.worker.run_inline(before)
        ids.append((child().hex(), _core.next_put_id().hex()))

    ids = []
    call = program.define("parent", parent)
    for helps in (False, True):
        _core.set_root(b"the same root again!")
        call(helps)
        program.go()
    assert ids[0] == ids[1]
