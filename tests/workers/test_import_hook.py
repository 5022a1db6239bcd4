"""import_hook.py: a function is called once its module has been imported."""

import sys

import pytest

from ray_lite.workers.import_hook import when_imported


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Name of a module that can be imported; finders and modules are as before after the test."""
    (tmp_path / "hooked_module.py").write_text("steps = ['imported']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    yield "hooked_module"
    sys.modules.pop("hooked_module", None)


def test_the_function_is_called_once_the_module_is_whole(module):
    when_imported(module, lambda: sys.modules[module].steps.append("called"))
    assert module not in sys.modules
    finders = len(sys.meta_path)
    import hooked_module

    assert hooked_module.steps == ["imported", "called"] and len(sys.meta_path) == finders - 1
    sys.modules.pop(module)
    import hooked_module as again

    assert again.steps == ["imported"]


def test_at_once_if_it_is_there(module):
    import hooked_module

    before = sys.meta_path.copy()
    when_imported(module, lambda: hooked_module.steps.append("called"))
    assert hooked_module.steps == ["imported", "called"] and sys.meta_path == before


def test_a_module_that_is_not_there(module):
    called = []
    when_imported("hooked_module_of_nobody", lambda: called.append(1))
    with pytest.raises(ModuleNotFoundError, match="hooked_module_of_nobody"):
        import hooked_module_of_nobody  # noqa: F401
    import hooked_module  # noqa: F401

    assert called == []
