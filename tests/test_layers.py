"""Imports point down: a module imports from lower layers, or from its own without a cycle.

Every import counts, those inside functions and under TYPE_CHECKING too: a cycle is removed, not dodged.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ray_lite"

# One line a layer, lowest first; exactly the modules that exist.
LAYERS = [
    ["exceptions", "config", "abc", "session"],  # facts
    ["_core"],  # mechanism
    ["serialization", "culprit", "failures", "options", "demands", "reports", "scheduler"],  # pure logic
    ["cgroups", "files", "store", "room", "spill", "settings", "sites", "surroundings", "forkserver", "machine",
     "descriptors", "output", "outfit", "reporter", "usage", "deaths", "termination", "watchdog"],  # resources
    ["local", "serial"],  # backends
    ["worker", "control_process", "pool", "node", "launch"],  # processes
    ["remote_function", "api", "state", "__init__"],  # face
]
LAYER = {module: number for number, modules in enumerate(LAYERS) for module in modules}

PURE = LAYERS[2]
IMPURE = {"mmap", "multiprocessing", "os", "select", "signal", "socket", "subprocess", "threading", "time"}

THIRD_PARTY = {"cloudpickle": {"serialization", "culprit"}, "numpy": {"serialization"}, "psutil": {"machine"},
               "threadpoolctl": {"outfit"}}
LAZY = {"numpy", "psutil", "threadpoolctl"}  # imported when first needed: `import ray_lite` is quick, the node stays small


def test_the_table_lists_exactly_the_modules_that_exist():
    assert sorted(LAYER) == sorted(modules())


def modules() -> list[str]:
    return [path.stem for path in PACKAGE.iterdir() if path.suffix in (".py", ".pyx")]


def python_modules() -> list[str]:
    return sorted(path.stem for path in PACKAGE.glob("*.py"))


@pytest.mark.parametrize("module", python_modules())
def test_imports_point_down(module: str):
    upwards = {name for name in ours(module) if LAYER[name] > LAYER[module]}
    assert not upwards, f"{module} (layer {LAYER[module]}) imports from above: {upwards}"


def test_no_cycles():
    TopologicalSorter({module: ours(module) for module in python_modules()}).prepare()  # raises CycleError


@pytest.mark.parametrize("module", PURE)
def test_pure_logic_touches_no_system(module: str):
    assert not IMPURE.intersection(name.partition(".")[0] for name, _ in imports(module))


@pytest.mark.parametrize("module", python_modules())
def test_third_party_imports_stay_where_they_belong(module: str):
    for name, at_import in imports(module):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == "ray_lite":
            continue
        assert module in THIRD_PARTY.get(top, ()), f"{module} imports {top}"
        assert not (at_import and top in LAZY), f"{module} imports {top} before it is needed"


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"multiprocessing", "numpy", "psutil", "redis"}
    program = f"import sys, ray_lite; print(*{heavy}.intersection(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_the_core_imports_only_the_exceptions():
    for path in [*PACKAGE.glob("_core.p*"), *PACKAGE.glob("_core.src/*.pyx")]:
        lines = re.findall(r"^\s*(?:from|import)\s+(?:\.|ray_lite\b).*", path.read_text(), re.M)
        found = [line for line in lines if not re.search(r"\bcimport\b|\sray_lite\.exceptions\s", line)]
        assert not found, path.name


def ours(module: str) -> set[str]:
    """The modules of ray_lite that a module imports."""
    names = {name.split(".")[1] for name, _ in imports(module) if name.startswith("ray_lite.")}
    return names - {module}


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """Absolute names of what a module imports, and whether importing the module imports them."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    later = {id(node) for block in ast.walk(tree) if deferred(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield own_name(alias.name), id(node) not in later
        elif isinstance(node, ast.ImportFrom):
            source = f"ray_lite.{node.module or ''}".rstrip(".") if node.level else str(node.module)
            for alias in node.names:
                yield own_name(source, alias.name), id(node) not in later


def deferred(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def own_name(source: str, name: str = "") -> str:
    """`from ray_lite import x` is the module x if there is one, else a name of the package's `__init__`."""
    if source != "ray_lite":
        return source
    return f"ray_lite.{name}" if name in LAYER else "ray_lite.__init__"
