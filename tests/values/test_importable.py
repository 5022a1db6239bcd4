"""Which modules another process finds by their names: compared with what a fresh interpreter with this sys.path does."""

import importlib
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import types
import zipfile

import pytest

from ray_lite.values.importable import is_importable, origin, where_from

SOURCE = "def f():\n    return 1\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty directory; modules and sys.path are as before when the test ends."""
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    yield tmp_path
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.modules.update(before)


def write(path, source=SOURCE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    importlib.invalidate_caches()
    return path


def load(name, path, **how):
    """The recipe of importlib's documentation."""
    spec = importlib.util.spec_from_file_location(name, path, **how)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def file_elsewhere(name):
    """The file that a fresh interpreter with this sys.path has for a module, or None if it doesn't find it."""
    code = (f"import sys, json; sys.path[:] = json.loads(sys.argv[1])\ntry:\n    import {name}\n"
            f"except ImportError:\n    print('null')\nelse:\n    print(json.dumps(sys.modules[{name!r}].__file__))")
    done = subprocess.run([sys.executable, "-c", code, json.dumps(sys.path)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def agrees(name):
    """Whether the module is importable; a fresh interpreter must agree."""
    module = sys.modules[name]
    answer = is_importable(name, module)
    assert answer == (file_elsewhere(name) == module.__file__)
    return answer


def test_a_module_loaded_by_its_path(place):
    load("by_path", write(place / "by_path.py"))
    assert not agrees("by_path")
    sys.path.append(str(place))
    assert agrees("by_path")
    sys.path.remove(str(place))
    assert not agrees("by_path")


def test_a_module_under_another_name_than_its_file(place):
    sys.path.append(str(place))
    load("other_name", write(place / "some_name.py"))
    assert not agrees("other_name")


def test_another_module_of_this_name_is_found(place):
    sys.path.append(str(place / "first"))
    write(place / "first" / "twin.py")
    load("twin", write(place / "second" / "twin.py"))
    assert not agrees("twin")


def test_a_link_to_the_same_file(place):
    sys.path.append(str(place / "link"))
    load("linked", write(place / "real" / "linked.py"))
    os.symlink(place / "real", place / "link")
    importlib.invalidate_caches()
    assert is_importable("linked", sys.modules["linked"])


def test_packages(place):
    package = place / "away" / "package"
    load("package", write(package / "__init__.py"), submodule_search_locations=[str(package)])
    write(package / "part.py")
    importlib.import_module("package.part")
    assert not agrees("package") and not agrees("package.part")
    sys.path.append(str(place / "away"))
    assert agrees("package") and agrees("package.part")


def test_a_file_from_elsewhere_in_an_importable_package(place):
    load("json.by_path", write(place / "by_path.py"))
    assert not agrees("json.by_path")


def test_namespace_packages(place):
    sys.path.append(str(place))
    write(place / "space" / "part.py")
    importlib.import_module("space.part")
    assert agrees("space.part") and is_importable("space", sys.modules["space"])
    sys.path.remove(str(place))
    assert not agrees("space.part")


def test_a_submodule_whose_package_was_never_imported(place):
    """As pytest's import mode "importlib" leaves them."""
    path = write(place / "unloaded" / "part.py")
    write(place / "unloaded" / "__init__.py")
    load("unloaded.part", path)
    assert not agrees("unloaded.part")
    sys.path.append(str(place))
    assert agrees("unloaded.part")


def test_a_zip_file(place):
    with zipfile.ZipFile(place / "archive.zip", "w") as archive:
        archive.writestr("zipped.py", SOURCE)
    sys.path.append(str(place / "archive.zip"))
    importlib.import_module("zipped")
    assert agrees("zipped")


def test_modules_without_a_file(place):
    made = sys.modules["made"] = types.ModuleType("made")
    assert not is_importable("made", made)
    part = sys.modules["json.made"] = types.ModuleType("json.made")
    assert is_importable("json.made", part), "as one that the import of its package makes"
    part = sys.modules["made.part"] = types.ModuleType("made.part")
    assert not is_importable("made.part", part)


@pytest.mark.parametrize("name", ["sys", "os", "json.decoder", "numpy", "ray_lite.values.importable", "ray_lite._core"])
def test_modules_of_every_process(name):
    module = importlib.import_module(name)
    assert is_importable(name, module)


def test_a_module_without_a_spec(place):
    sys.path.append(str(place))
    write(place / "without.py")
    module = importlib.import_module("without")
    module.__spec__ = None
    assert agrees("without")


class Finder:
    """Finds one module, in a file that sys.path doesn't lead to."""

    def __init__(self, name, path):
        self.name, self.path = name, path

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_file_location(name, self.path) if name == self.name else None


def test_finders(place, monkeypatch):
    """That of an installed module counts, as for an editable install; one of the script itself does not."""
    sys.meta_path.append(Finder("hooked", write(place / "away" / "hooked.py")))
    monkeypatch.setattr(Finder, "__module__", "__main__")
    importlib.import_module("hooked")
    assert not agrees("hooked")
    monkeypatch.setattr(Finder, "__module__", "json")
    del sys.modules["hooked"]
    importlib.import_module("hooked")
    assert is_importable("hooked", sys.modules["hooked"])


def test_a_finder_that_fails(place):
    class Fails:
        def find_spec(self, name, path, target=None):
            raise RuntimeError("not mine")

    sys.meta_path.insert(0, Fails())
    module = sys.modules["made"] = types.ModuleType("made")
    assert not is_importable("made", module)


def test_a_directory_that_is_left(place, monkeypatch):
    sys.path.insert(0, "")
    monkeypatch.chdir(place)
    write(place / "nearby.py")
    module = importlib.import_module("nearby")
    assert is_importable("nearby", module)
    monkeypatch.chdir("/")
    assert not is_importable("nearby", module)


def test_each_module_is_looked_for_once(place, monkeypatch):
    asked = []
    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", lambda name, *_: asked.append(name))
    module = sys.modules["made"] = types.ModuleType("made")
    sys.path.append(str(place))
    assert [is_importable("made", module) for _ in range(5)] == [False] * 5
    assert asked.count("made") == 1


def test_what_users_are_told(place):
    module = load("by_path", write(place / "by_path.py"))
    assert origin(module) == str(place / "by_path.py")
    assert f"module by_path comes from {place}/by_path.py" in where_from(module)
    assert "from no file" in where_from(types.ModuleType("made"))


def test_a_part_of_the_interpreter_under_another_name(monkeypatch):
    """As collections.abc of Python 3.15 is, whose own name leads to a file of the same contents."""
    frozen = types.ModuleType("collections.abc")
    frozen.__spec__ = importlib.machinery.ModuleSpec("_collections_abc", importlib.machinery.FrozenImporter, origin="frozen")
    monkeypatch.setitem(sys.modules, "collections.abc", frozen)
    assert is_importable("collections.abc", frozen)
