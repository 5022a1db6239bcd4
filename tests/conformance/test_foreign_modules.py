"""What comes from modules that no worker can import by name: it travels by value, or the error says why it can't."""

import importlib.util

import pytest

PLUGIN = """
import enum
import threading
import typing

T = typing.TypeVar("T")
level = 1


class Colour(enum.Enum):
    RED = 1


class Thing:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x

    def double(self):
        return Thing(self.x * 2)


class Failed(Exception):
    pass


def set_level(value):
    global level
    level = value


def get_level():
    return level


def square(x):
    return helper(x)


def helper(x):
    return x * x


def fail():
    raise Failed("no")


def make_lock():
    return threading.Lock()
"""

HEAD = """
    import importlib.util
    import sys
    import types

    import ray_lite as ray

    def load(name, path):
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    plugin = load("plugin", sys.argv[1])
"""


@pytest.fixture
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("away") / "plugin.py"
    path.write_text(PLUGIN)
    return path


def test_functions_and_classes_of_a_module_loaded_by_its_path(output_of, plugin):
    assert output_of(HEAD + """
    @ray.remote
    def back(thing):
        return thing.double(), plugin.Colour.RED, plugin.T, plugin.Thing

    if __name__ == "__main__":
        ray.init(num_cpus=2)
        print(ray.get([ray.remote(plugin.square).remote(3) for _ in range(10)]) == [9] * 10)
        thing, colour, variable, kind = ray.get(back.remote(plugin.Thing(4)))
        print(type(thing) is plugin.Thing is kind, thing.x, colour is plugin.Colour.RED, variable is plugin.T)
        try:
            ray.get(ray.remote(plugin.fail).remote())
        except plugin.Failed:
            print("its exception")
    """, args=[plugin]) == "True\nTrue 8 True True\nits exception\n"


def test_the_module_itself(output_of, plugin):
    """Its functions and its attributes are one namespace in the task too, also if it names itself."""
    assert output_of(HEAD + """
    plugin.itself = plugin

    @ray.remote
    def use(x):
        plugin.set_level(x)
        return plugin.square(x), plugin.level, plugin.get_level(), plugin.itself is plugin, plugin.__file__ == sys.argv[1]

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(use.remote(5)), plugin.level)
    """, args=[plugin]) == "(25, 5, 5, True, True) 1\n"


def test_a_module_made_at_run_time(output_of, plugin):
    assert output_of(HEAD + """
    made = sys.modules["made"] = types.ModuleType("made")
    exec("def f(x): return x + k\\nk = 10\\nclass C: pass", vars(made))

    @ray.remote
    def use(x, instance):
        return made.f(x), instance

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        value, instance = ray.get(use.remote(1, made.C()))
        print(value, type(instance) is made.C)
    """, args=[plugin]) == "11 True\n"


def test_a_module_whose_entry_of_sys_path_is_gone(output_of, plugin):
    assert output_of("""
    import os
    import sys

    import ray_lite as ray

    sys.path.insert(0, os.path.dirname(sys.argv[1]))
    import plugin
    del sys.path[0]

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(ray.remote(plugin.square).remote(3)))
        sys.path.insert(0, os.path.dirname(sys.argv[1]))
        print(ray.get(ray.remote(lambda: plugin.set_level(2) or sys.modules["plugin"].level).remote()))
    """, args=[plugin]) == "9\n2\n"


def test_another_module_of_the_name_is_installed(output_of, plugin):
    """A worker that imported the name would get something else."""
    assert output_of(HEAD + """
    this = load("this", sys.argv[1])

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        print(ray.get(ray.remote(lambda: this.square(3)).remote()))
    """, args=[plugin]) == "9\n"


def test_what_cannot_travel_by_value_is_named_with_its_module_and_the_way_out(output_of, plugin):
    out = output_of(HEAD + """
    plugin.lock = plugin.make_lock()

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        try:
            ray.remote(lambda: plugin).remote()
        except ray.exceptions.SerializationError as error:
            print(error)
    """, args=[plugin])
    assert "cannot pickle '_thread.lock' object" in out
    assert f"module plugin comes from {plugin}" in out and "put its directory on sys.path, or install it" in out


def test_a_compiled_module_is_named_with_the_way_out(output_of, plugin):
    compiled = importlib.util.find_spec("_bisect")
    if not compiled.has_location:
        pytest.skip("this Python has no small compiled module in a file")
    out = output_of(HEAD + """
    compiled = load("away._bisect", sys.argv[2])

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        for what in lambda: compiled, lambda: found(1):
            found = compiled.bisect_right
            try:
                ray.remote(what).remote()
            except ray.exceptions.SerializationError as error:
                print(error)
    """, args=[plugin, compiled.origin])
    assert out.count(f"the module is compiled: module away._bisect comes from {compiled.origin}") == 2


def test_a_name_that_a_process_does_not_find(run_script, plugin):
    done = run_script(HEAD + """
    class ByName:
        def __reduce__(self):
            return "by_name"

    by_name = plugin.by_name = ByName()
    by_name.__module__ = "plugin"

    if __name__ == "__main__":
        ray.init(num_cpus=1)
        try:
            ray.get(ray.remote(lambda x: x).remote(by_name))
        except ModuleNotFoundError as error:
            print(error)
    """, args=[plugin])
    assert "No module named 'plugin'" in done.stdout and "Module 'plugin' must be importable here" in done.stdout, done
