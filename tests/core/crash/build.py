"""Builds the stepped core: the core's own files, then those of this folder, as one extension; once, compiled with switches.

The umbrella is `_core.pyx` itself with our includes behind it, so the list of included files cannot drift, and the
flags are those of setup.py.
"""

import importlib.util
import os
import shlex
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PACKAGE = ROOT / "ray_lite"
CORE = PACKAGE / "_core.src"
NAME = "stepping"
OURS = [HERE / f"{name}.pyx" for name in ("stepping", "orders", "judge", "same", "stepper")]  # in this order


def setup_flags():
    """The compiler flags and directives of setup.py."""
    spec = importlib.util.spec_from_file_location("ray_lite_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.core()


def umbrella(work, name, ours):
    includes = "".join(f'include "{path}"\n' for path in ours)
    (work / f"{name}.pyx").write_text((PACKAGE / "_core.pyx").read_text() + "\n" + includes)
    (work / f"{name}.pxd").write_text((PACKAGE / "_core.pxd").read_text())


def cythonized(work, extension, name=NAME, ours=OURS):
    """The C file: the core with the files `ours` behind it (tests/sanitize has others)."""
    from Cython.Compiler.Main import CompilationOptions, compile_single

    umbrella(work, name, ours)
    options = CompilationOptions(
        include_path=[str(PACKAGE), str(work)],
        compiler_directives=extension.cython_directives,
        output_file=str(work / f"{name}.c"),
        emit_linenums=True,
    )
    result = compile_single(str(work / f"{name}.pyx"), options, name)
    assert result.num_errors == 0, f"Cython refuses {name}.pyx"
    return work / f"{name}.c"


def compiled(work, source, extension, switch):
    """The shared object, in a folder of its own; `switch`: a -D, or nothing."""
    place = work / (switch or "plain")
    place.mkdir()
    target = place / (NAME + sysconfig.get_config_var("EXT_SUFFIX"))
    command = [
        *shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC")),
        *shlex.split(sysconfig.get_config_var("CFLAGS")),
        *["-fPIC", "-shared", f"-I{CORE}", f"-I{HERE}", f"-I{sysconfig.get_path('include')}"],
        *extension.extra_compile_args,
        *([f"-D{switch}"] if switch else []),
        *[str(source), "-o", str(target)],
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def build(work, switches):
    """{switch: path of the extension} for each switch, None among them for the code as it is."""
    extension = setup_flags()
    source = cythonized(work, extension)
    sysconfig.get_config_vars()  # made at the first call, and other threads may see it half made
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = pool.map(lambda switch: compiled(work, source, extension, switch), switches)
    return dict(zip(switches, paths, strict=True))


def load(path):
    """A module of its own: each variant has its own statics, and none goes into sys.modules."""
    spec = importlib.util.spec_from_file_location(NAME, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
