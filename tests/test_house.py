"""House rules a machine can check: sizes, who may raise and store what, tests beside files, the file map.

Cython and C are read by indentation and by pattern. That can be fooled on purpose, which doesn't matter:
these tests guard against habit, not malice.
"""

import ast
import builtins
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ray_lite"
CORE = PACKAGE / "_core.src"
LAYOUT = CORE / "layout.h"

FILE_LINES = {"_core.pyx": 79, "sync.h": 200}
FILE_LINES_ELSE = 400
FUNCTION_LINES = 60  # without the docstring
LONG_FUNCTION = 40  # at most one function in twenty may be longer
PARAMETERS = 6
FIXED_BY_THE_USER = {"init"}  # signatures that programs of 2018 rely on

# Functions that may store to shared structs without the setters of sync.h, and why.
RAW_STORES: dict[str, str] = {
    "object_take": "the id of an entry that nobody else can reach yet",
    "object_put_inline": "the payload of an object that is not sealed and is ours",
    "lay_table": "a new region, before it has a second user",
    "lay_out": "the same",
    "_format": "the same",
    "kinds_begin": "the same",
    "kind_begin": "the same",
    "fill_split": "a stamp in a handle, a Python object of this process",
    "submit_record": "the id and the arguments of a record that nobody else can reach yet",
}
PAYLOAD_FINDERS = {"block_at", "object_data"}  # give a pointer to an object's bytes, which nobody logs

# Who may look for EOWNERDEAD: the lock, and the self-test of the kernel, whose mutex guards nothing.
OWNER_DIED = {"rl_lock", "rl_robust_works"}

# Modules whose tests have another name, under tests/.
COVERED_BY: dict[str, str] = {
    "__init__": "test_layers.py",
    "abc": "test_session.py",
    "api": "conformance/test_init.py",
    "control_process": "conformance/test_output.py",
    "culprit": "conformance/test_serialization_errors.py",
    "failures": "conformance/test_errors.py",
    "launch": "conformance/test_shutdown.py",
    "local": "conformance/test_get.py",
    "node": "conformance/test_node_death.py",
    "pool": "conformance/test_pool.py",
    "options": "conformance/test_options.py",
    "remote_function": "conformance/test_remote.py",
    "serial": "conformance/test_python_mode.py",
    "serialization": "conformance/test_values.py",
    "settings": "conformance/test_environment.py",
    "store": "conformance/test_full_store.py",
    "termination": "conformance/test_termination.py",
    "worker": "conformance/test_nested.py",
}


class Function(NamedTuple):
    """A function of a Python, Cython or C file."""

    name: str
    parameters: list[str]
    text: str  # from `def` to the last line, docstring and comments blanked (Cython, C) or left out (Python)

    @property
    def lines(self) -> int:
        return len([line for line in self.text.splitlines() if line.strip()])


# --- sizes ---


def sources() -> list[Path]:
    folders = ["ray_lite", "tests", "bench", "examples"]
    files = [ROOT / "setup.py", *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return sorted(path for path in files if path.suffix in (".py", ".pyx", ".pxd", ".h"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(), ids=named)
def test_files_are_short(path: Path):
    assert len(path.read_text().splitlines()) <= FILE_LINES.get(path.name, FILE_LINES_ELSE)


@pytest.mark.parametrize("path", sources(), ids=named)
def test_functions_are_small(path: Path):
    for function in functions(path):
        assert function.lines <= FUNCTION_LINES, function.name
        if function.name not in FIXED_BY_THE_USER:
            assert len(function.parameters) <= PARAMETERS, function.name


def test_long_functions_are_rare():
    every = [(path.name, function) for path in sources() for function in functions(path)]
    long = [(name, function.name) for name, function in every if function.lines > LONG_FUNCTION]
    assert len(long) <= len(every) / 20, long


def test_the_umbrella_holds_no_function():
    assert not list(functions(PACKAGE / "_core.pyx"))


# --- what the core may do ---


def core_sources() -> list[Path]:
    return sorted(CORE.glob("*.pyx"))


def test_os_errors_are_raised_in_one_file():
    classes = [(name, kind) for name, kind in vars(builtins).items() if inspect.isclass(kind)]
    family = "|".join(name for name, kind in classes if issubclass(kind, OSError))
    raising = re.compile(rf"\braise\s+(?:{family})\b|\bPyErr_SetFromErrno")
    assert [path.name for path in core_sources() if raising.search(blanked(path))] in ([], ["check.pyx"])


def test_the_death_of_a_lock_owner_is_handled_in_one_function():
    files = [*core_sources(), *CORE.glob("*.h")]
    aliases = {name for path in files for name in re.findall(r"#define (\w+) EOWNERDEAD", path.read_text())}
    looks = re.compile(rf"\b(?:{names({'EOWNERDEAD', *aliases})})\b")
    assert {f.name for path in files for f in functions(path) if looks.search(f.text)} == OWNER_DIED


@pytest.mark.parametrize("path", core_sources(), ids=named)
def test_shared_words_are_stored_through_the_setters(path: Path):
    guarded = [function for function in functions(path) if function.name not in RAW_STORES]
    found = [f"{function.name}: {line}" for function in guarded for line in raw_stores(function)]
    assert not found, found


def test_the_list_of_raw_stores_names_functions_that_store_raw():
    every = [function for path in core_sources() for function in functions(path)]
    storing = {function.name for function in every if any(raw_stores(function))}
    assert set(RAW_STORES) <= storing


def test_the_guard_against_raw_stores_sees_them():
    for line in CAUGHT:
        assert list(raw_stores(example(line))), line
    for line in LET_PASS:
        assert not list(raw_stores(example(line))), line


CAUGHT = [
    "o.state = 1",
    "o.data[i] = 1",
    "o[0].pins += 1",
    "if x: o.state = 1",
    "o.extent, e = 1, 2",
    "h.objects.live -= 1",
    "R.h.ready = 1",
    "self.region.h.ready = 1",
    "(<rl_object*>p).state = 1",
    "object_at(R, i).state = 1",
    "(&o.state)[0] = 1",
    "word[0] = 1",
    "memcpy(o.id, source, 20)",
    "memset(&o.data[0], 0, 4)",
]
LET_PASS = [
    "o = object_at(R, 1)",
    "x = o.state",
    "x.state = o.state",
    "if o.state == 1 and o.pins >= 2: x = 3",
    "rl_set32(R, &o.state, 1)",
    "memcpy(target, &o.data[0], 4)",
    "R.slot = 3",
    "return {: o.state, : o.pins != 0}",
    "# o.state = 1",
]


def example(line: str) -> Function:
    head = "cdef int f(rl_region* R, rl_object *o, char* p) noexcept nogil:\n"
    body = f"    cdef rl_header* h = R.h\n    cdef uint32_t* word = &o.state\n    {line}\n"
    return next(functions_of_cython(head + body))


def test_every_shared_field_names_its_writer():
    fields = list(shared_fields())
    assert len(fields) > 20
    assert [line for line in fields if "writer:" not in line] == []


def shared_fields() -> Iterator[str]:
    """The lines of layout.h that declare a field of a struct."""
    for struct in re.findall(r"struct\s*\w*\s*\{\n(.*?)^\}", LAYOUT.read_text(), re.S | re.M):
        yield from (line.strip() for line in struct.splitlines() if re.match(r"[^/*]*\w.*;", line))


@functools.cache
def shared_structs() -> set[str]:
    return set(re.findall(r"^\}\s*(rl_\w+)\s*;", LAYOUT.read_text(), re.M))


def pointers(text: str) -> set[str]:
    """Names declared as a pointer to a shared struct: variables, parameters, fields."""
    return set(re.findall(rf"\b(?:{'|'.join(shared_structs())})\s*\*\s*(?:const\s+)?(\w+)", text))


@functools.cache
def pointer_fields() -> set[str]:
    """Fields that point to a shared struct, in process-private structs and classes."""
    return set.union(*(pointers(path.read_text()) for path in [*CORE.glob("*.h"), PACKAGE / "_core.pxd"]))


ACCESS = r"(?:\.\w+|\[[^\]]*\])"  # of a field, of an element
STORE = r"\s*(?:,[^=()!<>:]*)?(?://|<<|>>|[-+*/&|^%])?=(?!=)"


def raw_stores(function: Function) -> Iterator[str]:
    """Lines that store through a pointer into the shared tables: of a variable, field, call or cast."""
    local = pointers(function.text)
    found = rf"&\s*(?:{names(local)})\b|(?:<[^<>]*>\s*)?(?:{names(finders())})\("
    local |= set(re.findall(rf"(\w+)\s*=\s*(?:{found})", function.text))  # word = &o.state, word = find(R, i)
    via = rf"(?<![\w.])(?:{names(local)})|(?<=\.)(?:{names(pointer_fields())})|\)"
    store = re.compile(
        rf"(?:{via}){ACCESS}+{STORE}|\bmem(?:set|cpy|move)\(\s*(?:{found}|(?:{names(local)})\b)"
    )
    yield from (line.strip() for line in function.text.splitlines()[1:] if store.search(line))


@functools.cache
def finders() -> set[str]:
    """Functions of the core that give a pointer into the shared tables; those of payloads are not meant."""
    head = re.compile(r"^cdef (?:inline )?[\w ]+\*\s*(\w+)\(rl_region\b", re.M)
    return {name for path in core_sources() for name in head.findall(path.read_text())} - PAYLOAD_FINDERS


def names(of: set[str]) -> str:
    return "|".join(sorted(of)) or "(?!)"


# --- what the modules may do ---


def test_no_module_uses_select_select():
    """It fails with descriptors from 1,024 on: descriptors.py has what takes any."""
    calls = re.compile(r"\bselect\.select\b|\bfrom select import\b")
    assert [path.name for path in PACKAGE.glob("*.py") if calls.search(blanked(path))] == []


# --- what stands beside a file ---


def test_every_core_file_has_its_test():
    wanted = [ROOT / f"tests/core/test_{path.stem}.py" for path in core_sources()]
    assert not [named(path) for path in wanted if not path.exists()]


def test_every_module_has_its_test():
    wanted = {path.stem: COVERED_BY.get(path.stem, f"test_{path.stem}.py") for path in PACKAGE.glob("*.py")}
    assert not [name for name in wanted.values() if not (ROOT / "tests" / name).exists()]
    assert set(COVERED_BY) <= set(wanted)


def test_public_names_have_docstrings():
    assert not [f"{path.name}: {name}" for path in PACKAGE.glob("*.py") for name in undocumented(path)]


def undocumented(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    public = public_definitions(tree)
    members = [node for kind in public if isinstance(kind, ast.ClassDef) for node in public_definitions(kind)]
    if not ast.get_docstring(tree):
        yield "the module"
    yield from (node.name for node in public + members if not ast.get_docstring(node) and node.name not in contract())


@functools.cache
def contract() -> set[str]:
    """Methods of the Backend protocol: documented there, once for all backends."""
    return {node.name for node in ast.walk(ast.parse((PACKAGE / "abc.py").read_text()))
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)}


def public_definitions(scope: ast.Module | ast.ClassDef) -> list[ast.ClassDef | ast.FunctionDef]:
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in scope.body if isinstance(node, kinds) and not node.name.startswith("_")]


@pytest.mark.parametrize("path", [*core_sources(), *sorted(CORE.glob("*.h"))], ids=named)
def test_core_files_begin_by_saying_what_they_are(path: Path):
    assert re.match(r'#\s*\w|"""\w|/\*\s*\w', path.read_text())


def test_no_file_names_a_place_on_somebodys_machine():
    place = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w")
    files = [*sources(), *ROOT.glob(".ci/*"), *ROOT.glob("*.toml"), *ROOT.rglob("*.md")]
    files = [path for path in files if ".venv" not in path.parts]
    assert not [named(path) for path in files if place.search(path.read_text())]


def test_the_file_map_is_complete_and_true():
    readme = (ROOT / "README.md").read_text()
    folders = [(PACKAGE, r"\.(pyx?|pxd|pyi|h)$"), (ROOT / "tests", r"\.(py|c)$")]
    files = [path for folder, kind in folders for path in folder.rglob("*") if re.search(kind, path.name)]
    missing = [named(path) for path in files if not re.search(rf"(?<![\w.]){re.escape(path.name)}\b", readme)]
    assert missing == []
    paths = re.findall(r"\b(?:ray_lite|tests|bench|examples)/[\w./]*\.(?:pyx|pxd|pyi|py|h|c)\b", readme)
    assert [path for path in paths if not (ROOT / path).exists()] == []


# --- reading functions ---


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
            yield Function(node.name, parameters, "\n".join(lines[number - 1] for number in numbers))


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
            yield Function(head[2], parameters_of(body[head.end() :]), body)


def functions_of_c(text: str) -> Iterator[Function]:
    head, body = r"^\w[^;{}()=]*?(\w+)\(([^;{}]*)\)\s*", r"\{(?:[^\n]*\}$|.*?^\})"
    for found in re.finditer(head + body, blank_c(text), re.S | re.M):
        yield Function(found[1], parameters_of(found[2] + ")"), found[0])


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
