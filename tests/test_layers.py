"""Imports point down: a module imports from lower layers, or from its own folder without a cycle; so do calls in the core.

Every import counts, those inside functions and under TYPE_CHECKING too: a cycle is removed, not dodged.  Modules are known by
their path in the package, so that two files of the same name in different folders are two modules.
"""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from sources import CORE, PACKAGE, functions

# Rooms, lowest first: folders with all their modules, and modules of the package itself.
ROOMS = [
    "exceptions", "config", "_core",
    "options", "system", "policy", "session_setting",
    "values", "store", "tracing", "control", "calls",
    "abc", "session", "backends", "workers", "node", "driver",
    "remote_function", "actor_handle", "actor_class", "global_state", "profiling", "decorator", "actors",
    "init_arguments", "api", "names_2018", "__init__",
    "cli", "__main__",
]
RANK = {room: number for number, room in enumerate(ROOMS)}

PURE = ["policy"]
IMPURE = {"mmap", "multiprocessing", "os", "select", "signal", "socket", "subprocess", "threading", "time"}

# Who may import what is not ours. Those in LAZY are imported when first needed: `import ray_lite` is quick, the node small.
THIRD_PARTY = {
    "cloudpickle": {"values.by_value", "values.pickle_errors"},
    "numpy": {"values.arrays"},
    "psutil": {"system.machine"},
    "redis": {"control.store_publisher"},
    "threadpoolctl": {"workers.resource_env"},
}
LAZY = {"numpy", "psutil", "redis", "threadpoolctl"}

# Names by which programs of 2018 reach attributes of the package; a module of ours of that name would be in the way.
OF_2018 = {"worker", "actor", "services", "utils", "local_scheduler", "experimental"}


@functools.cache
def modules() -> list[str]:
    """All modules by path, such as "node.pool"; a folder's own is "node.__init__"."""
    paths = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return [".".join(path.with_suffix("").parts) for path in paths]


def room(module: str) -> str:
    """The folder of a module, or the module itself."""
    return module.partition(".")[0]


def test_the_table_lists_exactly_the_rooms_that_exist():
    assert sorted(ROOMS) == sorted({room(module) for module in modules()} | {"_core"})


@pytest.mark.parametrize("module", modules())
def test_imports_point_down(module: str):
    upwards = {name for name in ours(module) if RANK[room(name)] > RANK[room(module)]}
    assert not upwards, f"{module} imports from above: {upwards}"


def test_no_cycles():
    TopologicalSorter({module: ours(module) for module in modules()}).prepare()  # raises CycleError


@pytest.mark.parametrize("module", [module for module in modules() if room(module) in PURE])
def test_pure_logic_touches_no_system(module: str):
    assert not IMPURE.intersection(name.partition(".")[0] for name, _ in imports(module))


@pytest.mark.parametrize("module", modules())
def test_third_party_imports_stay_where_they_belong(module: str):
    for name, at_import in imports(module):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == "ray_lite":
            continue
        assert module in THIRD_PARTY.get(top, ()), f"{module} imports {top}"
        assert not (at_import and top in LAZY), f"{module} imports {top} before it is needed"


def test_no_module_stands_in_the_way_of_programs_of_2018():
    assert not OF_2018.intersection({room(module) for module in modules()})


def test_each_folder_says_what_lives_there():
    """One paragraph on what it holds, and a sentence on what it must not do."""
    for path in PACKAGE.glob("*/__init__.py"):
        tree = ast.parse(path.read_text())
        assert len(tree.body) == 1, f"{path.parent.name}/__init__.py holds more than a docstring"
        assert "ust not" in (ast.get_docstring(tree) or ""), path.parent.name


def test_dir_shows_the_public_names_only():
    import ray_lite

    shown = {name for name in dir(ray_lite) if not name.startswith("__")}
    assert shown | {"__version__"} == set(ray_lite.__all__)


def test_importing_ray_lite_imports_no_lazy_module():
    code = f"import sys, ray_lite; print(sorted({LAZY | {'inspect', 'subprocess'}!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_core_imports_only_the_exceptions():
    for path in [*PACKAGE.glob("_core.p*"), *CORE.rglob("*.pyx")]:
        lines = re.findall(r"^\s*(?:from|import)\s+(?:\.|ray_lite\b).*", path.read_text(), re.M)
        found = [line for line in lines if not re.search(r"\bcimport\b|\sray_lite\.exceptions\s", line)]
        assert not found, path.name


# --- the core ---


def included(path: Path) -> Iterator[Path]:
    """The files that a Cython file includes, in order, with what these include."""
    for name in re.findall(r'^include "(.*)"', path.read_text(), re.M):
        yield path.parent / name
        yield from included(path.parent / name)


def test_every_file_of_the_core_is_included_by_its_folders_umbrella():
    order = list(included(PACKAGE / "_core.pyx"))
    assert sorted(order) == sorted(CORE.rglob("*.pyx")) and len(order) == len(set(order))
    for path in order:
        if path.parent != CORE:
            umbrella = [one for one in order[: order.index(path)] if one.parent == CORE][-1]
            assert umbrella.stem == path.parent.name, f"{path.name} is included by {umbrella.name}"


def test_each_umbrella_says_what_lives_in_its_folder():
    for path in CORE.glob("*.pyx"):
        assert re.match(r'"""\w[^"]*ust\snot', path.read_text()), path.name


def test_calls_in_the_core_point_to_files_included_before():
    order = {path: number for number, path in enumerate(included(PACKAGE / "_core.pyx"))}
    where = {function.name: path for path in order for function in functions(path) if function.free}
    upwards = [f"{path.name}: {function.name} calls {name} of {where[name].name}"
               for path in order for function in functions(path)
               for name in re.findall(r"(?<![.\w])(\w+)\(", "\n".join(function.text.splitlines()[1:]))
               if name in where and order[where[name]] > order[path]]
    assert not upwards


def test_headers_include_downwards():
    order = ["constants.h", "entries.h", "layout.h", "atomics.h", "region.h", "failpoints.h", "mutants.h", "debt.h", "traces.h",
             "sync.h", "states.h", "robust.h", "die_with_node.h"]
    assert sorted(order) == sorted(path.name for path in (CORE / "region").glob("*.h"))
    for name in order:
        below = re.findall(r'#include "(.*)"', (CORE / "region" / name).read_text())
        assert all(order.index(one) < order.index(name) for one in below), name


# --- reading imports ---


def ours(module: str) -> set[str]:
    """The modules of ray_lite that a module imports."""
    return {name.partition(".")[2] for name, _ in imports(module) if name.startswith("ray_lite.")} - {module}


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """Absolute names of what a module imports, and whether importing the module imports them."""
    tree = ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text())
    later = {id(node) for block in ast.walk(tree) if deferred(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield own_name(alias.name), id(node) not in later
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            for alias in node.names:
                yield own_name(str(node.module), alias.name), id(node) not in later


def deferred(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


@functools.cache
def known_modules() -> set[str]:
    return {f"ray_lite.{module}" for module in [*modules(), "_core"]}


def own_name(source: str, name: str = "") -> str:
    """`from ray_lite.node import pool` is the module if there is one, else a name of the folder's `__init__`."""
    if source.partition(".")[0] != "ray_lite":
        return source
    known = known_modules()
    for candidate in (f"{source}.{name}", source):
        if candidate in known:
            return candidate
    return f"{source}.__init__"
