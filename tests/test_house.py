"""House rules a machine can check: sizes, who may raise and store what, tests beside files, docstrings, the file map."""

import ast
import builtins
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from covered_by import COVERED_BY
from sources import CORE, OTHERS, PACKAGE, ROOT, Function, blanked, file_map, functions, functions_of_cython

REGION = CORE / "region"

FILE_LINES = {"_core.pyx": 79, "sync.h": 200}
FILE_LINES_ELSE = 400
FUNCTION_LINES = 40  # without the docstring
LONG_FUNCTION = 40  # at most one function in twenty may be longer
PARAMETERS = 6
METHODS = 15  # of a class, those of its bases not counted
FIXED_BY_THE_USER = {"init", "register_custom_serializer"}  # signatures that programs of 2018 rely on

# Functions that may store to shared structs without the setters of sync.h, and why.
RAW_STORES: dict[str, str] = {
    "object_take": "fields of an entry that no other process can reach yet",
    "object_put_small": "the payload of an object that is not sealed and is ours",
    "handle_make": "the value of a handle that no other process can reach yet",
    "actor_fields": "fields of an actor that no other process can reach yet",
    "name_give": "the name of an actor that no other process can reach yet",
    "slot_begin": "fields of a slot that no other process can reach yet",
    "job_begin": "fields of a job that no process has yet",
    "queue_begin": "fields of a queue that no task has yet",
    "submit_record": "the id, fields and arguments of a record that no other process can reach yet",
    "lay_table": "a new region, before it has a second user",
    "lay_out": "the same",
    "_format": "the same",
    "resources_begin": "the same",
    "resource_begin": "the same",
    "fill_split": "a stamp in a handle, a Python object of this process",
}
PAYLOAD_FINDERS = {"block_at", "object_data"}  # give a pointer to an object's bytes, which no log has

# Which functions may look for EOWNERDEAD: the lock, and the self-test of the kernel, whose mutex guards nothing.
OWNER_DIED = {"rl_lock", "rl_robust_works"}


# --- sizes ---


def sources() -> list[Path]:
    folders = ["ray_lite", "tests", "bench", "examples"]
    files = [ROOT / "setup.py", *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return sorted(path for path in files if path.suffix in (".py", ".pyx", ".pxd", ".h"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_files_are_short():
    lines = {path: len(path.read_text().splitlines()) for path in sources()}
    assert not [named(path) for path, count in lines.items() if count > FILE_LINES.get(path.name, FILE_LINES_ELSE)]


def test_functions_are_small():
    every = [(f"{named(path)}: {function.name}", function) for path in sources() for function in functions(path)]
    assert not [name for name, function in every if function.lines > FUNCTION_LINES]
    assert not [name for name, function in every
                if len(function.parameters) > PARAMETERS and function.name not in FIXED_BY_THE_USER]


def test_long_functions_are_rare():
    every = [(path.name, function) for path in sources() for function in functions(path)]
    long = [(name, function.name) for name, function in every if function.lines > LONG_FUNCTION]
    assert len(long) <= len(every) / 20, long


def test_classes_are_small():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                methods = [one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
                assert len(methods) <= METHODS, f"{named(path)}: {node.name} has {len(methods)} methods"


def test_umbrellas_hold_no_function():
    assert not [path for path in [PACKAGE / "_core.pyx", *CORE.glob("*.pyx")] if list(functions(path))]


# --- what the core may do ---


def core_sources() -> list[Path]:
    return sorted(CORE.glob("*/*.pyx"))


def core_headers() -> list[Path]:
    return sorted(CORE.rglob("*.h"))


def test_os_errors_are_raised_in_one_file():
    classes = [(name, kind) for name, kind in vars(builtins).items() if inspect.isclass(kind)]
    family = "|".join(name for name, kind in classes if issubclass(kind, OSError))
    raising = re.compile(rf"\braise\s+(?:{family})\b|\bPyErr_SetFromErrno")
    assert [path.name for path in core_sources() if raising.search(blanked(path))] in ([], ["errors.pyx"])


def test_the_death_of_a_lock_owner_is_handled_in_one_function():
    files = [*core_sources(), *core_headers()]
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


def layout() -> str:
    return (REGION / "entries.h").read_text() + (REGION / "layout.h").read_text()


def shared_fields() -> Iterator[str]:
    """The lines of entries.h and layout.h that declare a field of a struct."""
    for struct in re.findall(r"struct\s*\w*\s*\{\n(.*?)^\}", layout(), re.S | re.M):
        yield from (line.strip() for line in struct.splitlines() if re.match(r"[^/*]*\w.*;", line))


@functools.cache
def shared_structs() -> set[str]:
    return set(re.findall(r"^\}\s*(rl_\w+)\s*;", layout(), re.M))


def pointers(text: str) -> set[str]:
    """Names declared as a pointer to a shared struct: variables, parameters, fields."""
    return set(re.findall(rf"\b(?:{'|'.join(shared_structs())})\s*\*\s*(?:const\s+)?(\w+)", text))


@functools.cache
def pointer_fields() -> set[str]:
    """Fields that point to a shared struct, in process-private structs and classes."""
    return set.union(*(pointers(path.read_text()) for path in [*core_headers(), PACKAGE / "_core.pxd"]))


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
    """It fails with descriptors from 1,024 on: system/polling.py has what takes any."""
    calls = re.compile(r"\bselect\.select\b|\bfrom select import\b")
    assert [path.name for path in PACKAGE.rglob("*.py") if calls.search(blanked(path))] == []


# --- what stands beside a file ---


def test_every_file_has_its_test():
    files = [*PACKAGE.rglob("*.py"), *core_sources()]
    wanted = {str(path.relative_to(PACKAGE)): path for path in files if path.parent == PACKAGE or path.name != "__init__.py"}
    tests = {name: COVERED_BY.get(name, mirrored(name)) for name in wanted}
    assert not [test for test in tests.values() if not (ROOT / "tests" / test).exists()]
    assert set(COVERED_BY) <= set(wanted)


def mirrored(name: str) -> str:
    """Where a file's test is expected: `_core.src/memory/arena.pyx` -> `core/memory/test_arena.py`."""
    folder, _, file = name.replace("_core.src", "core").rpartition("/")
    return f"{folder}/test_{file.partition('.')[0]}.py".lstrip("/")


def test_public_names_have_docstrings():
    assert not [f"{path.name}: {name}" for path in PACKAGE.rglob("*.py") for name in undocumented(path)]


def undocumented(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    public = public_definitions(tree)
    members = [node for kind in public if isinstance(kind, ast.ClassDef) for node in public_definitions(kind)]
    if not ast.get_docstring(tree):
        yield "the module"
    yield from (node.name for node in public + members if not ast.get_docstring(node) and node.name not in contract())


@functools.cache
def contract() -> set[str]:
    """Methods of the protocols Backend and SessionView: documented there, once for all implementations."""
    return {node.name for node in ast.walk(ast.parse((PACKAGE / "abc.py").read_text()))
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)}


def public_definitions(scope: ast.Module | ast.ClassDef) -> list[ast.ClassDef | ast.FunctionDef]:
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in scope.body if isinstance(node, kinds) and not node.name.startswith("_")]


def test_core_files_begin_by_saying_what_they_are():
    head = re.compile(r'#\s*\w|"""\w|/\*\s*\w')
    assert not [named(path) for path in [*core_sources(), *core_headers()] if not head.match(path.read_text())]


def test_no_file_names_a_place_on_somebodys_machine():
    place = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w")
    files = [*sources(), *ROOT.glob(".ci/*"), *ROOT.glob("*.toml"), *ROOT.rglob("*.md")]
    files = [path for path in files if ".venv" not in path.parts]
    assert not [named(path) for path in files if place.search(path.read_text())]


def test_the_file_map_is_complete_and_true():
    assert not [name for name in OTHERS if not (ROOT / name).exists()]
    assert (ROOT / "docs/files.md").read_text() == file_map(), "python tests/sources.py writes it anew"


def test_files_that_docstrings_name_exist():
    folders = ("ray_lite", "tests", "bench", "docs", "examples")
    names = {path.name for paths in (ROOT.glob("*"), *((ROOT / one).rglob("*") for one in folders)) for path in paths}
    for path in [*PACKAGE.rglob("*.py"), *CORE.rglob("*.pyx"), *core_headers(), PACKAGE / "_core.pyi", PACKAGE / "_core.pxd"]:
        found = re.findall(r"(?<![\w./-])((?:[\w.]+/)*\w+\.(?:pyx|pxd|pyi|py|pml|md))\b", path.read_text())
        missing = [name for name in found if name.rpartition("/")[2] not in names | {"analysis.py", "random.py"}
                   or "/" in name and not there(name)]
        assert not missing, f"{named(path)} names {missing}"


def there(name: str) -> bool:
    """Whether a path is right, from the repository, the package or the core."""
    return any((root / name).exists() for root in (ROOT, PACKAGE, CORE, CORE / "region"))
