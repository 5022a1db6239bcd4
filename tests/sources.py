"""Reading sources: the functions of Python, Cython and C files, by indentation and by pattern.

That can be fooled on purpose, which doesn't matter: the tests that use it guard against habit, not malice.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ray_lite"
CORE = PACKAGE / "_core.src"


class Function(NamedTuple):
    """A function of a Python, Cython or C file."""

    name: str
    parameters: list[str]
    free: bool  # not a method, nor inside another function
    text: str  # from `def` to the last line, docstring and comments blanked (Cython, C) or left out (Python)

    @property
    def lines(self) -> int:
        return len([line for line in self.text.splitlines() if line.strip()])


def functions(path: Path) -> Iterator[Function]:
    if path.suffix == ".py":
        return functions_of_python(path.read_text())
    return functions_of_c(path.read_text()) if path.suffix == ".h" else functions_of_cython(path.read_text())


def functions_of_python(text: str) -> Iterator[Function]:
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            skipped = range(first.lineno, first.end_lineno + 1) if ast.get_docstring(node) else range(0)
            numbers = [number for number in range(node.lineno, node.end_lineno + 1) if number not in skipped]
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            parameters = [argument.arg for argument in every if argument.arg not in ("self", "cls")]
            yield Function(node.name, parameters, node.col_offset == 0, "\n".join(lines[number - 1] for number in numbers))


def functions_of_cython(text: str) -> Iterator[Function]:
    lines = blank(text).splitlines()
    for start, line in enumerate(lines):
        head = re.match(r"( *)(?:async def|def|cdef|cpdef)\s[^(=]*?(\w+)\(", line)
        if not head:
            continue
        # deeper, empty, or the closing line of the head
        below = re.compile(rf" {{{len(head[1]) + 1}}}|\s*$|{head[1]}\)")
        end = next((n for n in range(start + 1, len(lines)) if not below.match(lines[n])), len(lines))
        body = "\n".join(lines[start:end])
        if re.search(r":\s*(\S.*)?$", body, re.M):  # else a declaration
            yield Function(head[2], parameters_of(body[head.end() :]), not head[1], body)


def functions_of_c(text: str) -> Iterator[Function]:
    head, body = r"^\w[^;{}()=]*?(\w+)\(([^;{}]*)\)\s*", r"\{(?:[^\n]*\}$|.*?^\})"
    for found in re.finditer(head + body, blank_c(text), re.S | re.M):
        yield Function(found[1], parameters_of(found[2] + ")"), True, found[0])


def parameters_of(text: str) -> list[str]:
    """The parameters in a text that begins after their opening parenthesis."""
    depth, found = 1, [""]
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0:
            break
        if sign == "," and depth == 1:
            found.append("")
        else:
            found[-1] += sign
    return [name for name in map(str.strip, found) if name not in ("", "self", "cls", "*", "/", "void")]


def blanked(path: Path) -> str:
    return blank(path.read_text())


def blank(text: str) -> str:
    """Cython with strings and comments emptied; the line numbers stay."""
    strings = r'"""(?:.|\n)*?"""|\'\'\'(?:.|\n)*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*'
    return re.sub(strings, lambda found: "\n" * found[0].count("\n"), text)


def blank_c(text: str) -> str:
    """C with comments, strings and preprocessor lines emptied."""
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|^[ ]*#[^\n]*', "", text, flags=re.S | re.M)


# --- the map of the repository ---

FOLDERS = ("ray_lite", "tests", "bench", "examples")
MAPPED = {".py", ".pyx", ".pxd", ".pyi", ".h", ".c", ".pml"}


def file_map() -> str:
    """docs/files.md as it has to be: folders first, then each file with the first sentence of its head."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
             if path.suffix in MAPPED and path.name != "_core.c" and "__pycache__" not in path.parts]
    order = {folder: number for number, folder in enumerate(FOLDERS)}
    folders = sorted({path.parent.relative_to(ROOT) for path in found}, key=lambda path: (order[path.parts[0]], str(path)))
    folders = [ROOT / folder for folder in folders]
    sections = [section(folder, sorted(path for path in found if path.parent == folder)) for folder in folders]
    rows = [f"| `{folder.relative_to(ROOT)}/` | {purpose(folder)} |" for folder in folders]
    rest = [f"| `{name}` | {what} |" for name, what in OTHERS.items()]
    sections.append("\n".join(["## Other files", "", "| file | |", "|---|---|", *rest]))
    return "\n".join([MAP_HEAD, "| folder | what lives there |", "|---|---|", *rows, "", "\n\n".join(sections), ""])


MAP_HEAD = """# Files

The map of the repository; `python tests/sources.py` writes it, and a test compares. Folders first, then each file with the
first sentence of its own head. Imports point down: `tests/test_layers.py` has the order of the folders.
"""


PURPOSES = {
    "ray_lite": "What users import, and its checks of arguments.",
    "ray_lite/_core.src": "The core: an umbrella file a folder.",
    "tests": "Tests that mirror the package, and rules of the house.",
    "tests/conformance": "The public behaviour: real processes, real kills.",
    "tests/core": "Tests of the core, folder by folder; random operations against a model.",
    "tests/core/crash": "The crash enumeration: a kill after every instruction.",
    "tests/failpoints": "Deaths in each named window outside the lock.",
    "tests/models": "Spin models of the protocols without a lock.",
    "tests/samples": "Modules that tests import in workers.",
    "tests/sanitize": "The core under TSAN, ASAN and UBSAN.",
    "tests/soak": "The soak: real sessions, random kills.",
    "bench": "The benchmark suite.",
    "examples": "Programs to run.",
}


# Files without a head of their own.
OTHERS = {
    "README.md": "What it is, two lines to try it, a tour, figures and limits.",
    "setup.py": "The build of the core, with a sentence for what is missing.",
    "pyproject.toml": "The package's facts and dependencies; settings of pytest, ruff, mypy and cython-lint.",
    "MANIFEST.in": "What a source distribution holds.",
    "mkdocs.yml": "The site that the pages of docs/ make.",
    ".gitignore": "What builds and tests leave in a checkout.",
    ".ci/run": "All that must hold before a change lands.",
    ".ci/full": "The proofs at full length, before a release.",
    ".ci/stubtest.allow": "What the stub of the core may leave out.",
    "docs/internals.md": "A tour: the life of a task, processes, locks, states, deaths and their proof.",
    "docs/decisions.md": "What was decided and why; what was tried and dropped.",
    "docs/contributing.md": "How to change it: builds, rules, and which proof a change needs.",
    "docs/glossary.md": "The words.",
    "docs/figures.md": "All figures, each with its command.",
    "docs/processes.md": "What a task finds of the driver, what it leaves for the next, and how a worker ends.",
    "docs/hpc.md": "Slurm, containers, resources, huge pages, sizing, pinning.",
    "docs/index.md": "The pages for users: what to read. Each page is about one idea, and its snippets are run by a test.",
    "docs/reference.md": "Every function, class, option, limit and command, made of the docstrings.",
    "docs/files.md": "This map.",
    "bench/README.md": "What the benchmarks mean, and how to compare two runs.",
    "bench/results/": "Raw values of earlier runs.",
    "ray_lite/py.typed": "Tells type checkers that the package is typed.",
}


def section(folder: Path, files: list[Path]) -> str:
    rows = [f"| `{path.name}` | {summary(path)} |" for path in files if path.name != "__init__.py" or folder == PACKAGE]
    return "\n".join([f"## `{folder.relative_to(ROOT)}/`", "", "| file | |", "|---|---|", *rows])


def purpose(folder: Path) -> str:
    """What a folder is for: said by its `__init__.py`, by the core's umbrella, or here."""
    name = str(folder.relative_to(ROOT))
    if name in PURPOSES:
        return PURPOSES[name]
    if folder.parent == CORE:
        return first_sentence(folder.with_suffix(".pyx").read_text())
    if (folder / "__init__.py").exists():
        return first_sentence((folder / "__init__.py").read_text())
    return f"Tests of `{name.replace('tests/', 'ray_lite/').replace('/core/', '/_core.src/')}/`."


def summary(path: Path) -> str:
    text = path.read_text()
    if path.suffix in (".h", ".c"):
        text = re.sub(r"/\*\s*\S+ - ", '"""', text, count=1).replace("\n *", "\n").replace("*/", '"""')
    if path.suffix == ".pml":
        text = re.sub(r"/\*\s*", '"""', text, count=1).replace("\n *", "\n").replace("*/", '"""')
    return first_sentence(text)


def first_sentence(text: str) -> str:
    """Of the text that a file begins with, up to its first full stop, or the end of its first paragraph."""
    head = re.search(r'"""(.*?)(?:"""|\n\s*\n)', text, re.S)
    words = " ".join((head[1] if head else "").split())
    return re.split(r"(?<=[.;])\s", words + " ")[0].rstrip(" .;:") + "."


if __name__ == "__main__":
    (ROOT / "docs/files.md").write_text(file_map())
