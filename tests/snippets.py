"""The code blocks of README and docs/: read them, and run the Python ones of a page as one program that checks what they show.

    python tests/snippets.py docs/tasks.md

A comment behind an expression, at the end of its line and in no function, is what the expression shows: its repr, or what it
prints, on one line, or `raises Class and OtherClass`; `...` in it stands for any text.  A comment behind `ray.init(...)` may be
anything.  A block that calls `ray.init` begins a session; the one before it ends.  Marks above a block, unseen by readers:

    <!-- not run: why -->
    <!-- another program: name, name -->    runs in a process of its own, which gets these strings of the page's program

All blocks of another program run together, where the last of them stands.
"""

import ast
import contextlib
import io
import json
import multiprocessing
import re
import subprocess
import sys
import tokenize
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

NOT_RUN, ANOTHER = "not run", "another program"
FENCE = re.compile(rf"^(?:<!-- ({NOT_RUN}|{ANOTHER}): ([^\n]+) -->\n)?```(\w*)\n(.*?)^```$", re.S | re.M)
FREE = "ray.init"
SHOW = "_show"  # name by which a program reaches what compares


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str
    line: int  # of the page, where its text begins
    mark: str
    about: str  # what the mark says behind its colon


class Shown(NamedTuple):
    """A result that a page shows, and what it is."""

    line: int
    expected: str
    found: str


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text()
    return [Block(found[3], found[4], text.count("\n", 0, found.start(4)) + 1, found[1] or "", found[2] or "")
            for found in FENCE.finditer(text)]


class Page:
    """A page that runs, with the results it shows."""

    def __init__(self, path: Path, is_other: bool = False) -> None:
        self.path = path
        python = [one for one in blocks(path) if one.language == "python" and one.mark != NOT_RUN]
        self.others = [one for one in python if one.mark == ANOTHER]
        self.blocks = self.others if is_other else python
        self.is_other = is_other
        self.shown: list[Shown] = []

    def run(self, given: dict[str, str]) -> None:
        """Runs the blocks in order, as the module `__main__`."""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        main.__dict__.update(given)
        for block in self.blocks:
            if block.mark == ANOTHER and not self.is_other:
                if block is self.others[-1]:
                    self.run_another({name: main.__dict__[name] for one in self.others for name in one.about.split(", ")})
                continue
            if f"{FREE}(" in block.text:
                end_session()
            program = Checked(block).program()
            main.__dict__[SHOW] = self.show
            exec(compile(program, str(self.path), "exec"), main.__dict__)

    def run_another(self, given: dict[str, str]) -> None:
        """Runs the blocks of the other program."""
        command = [sys.executable, __file__, str(self.path), json.dumps(given)]
        self.shown += [Shown(*one) for one in json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)]

    def show(self, line: int, expected: str, expression: Callable[[], Any]) -> None:
        """Notes what an expression is that is shown as `expected`."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                value = expression()
        except Exception as error:
            wanted = expected.removeprefix("raises ").split(" and ")
            names = [kind.__name__ for kind in type(error).__mro__]
            if not expected.startswith("raises ") or not set(wanted) <= set(names):
                raise
            found = expected
        else:
            found = printed.getvalue().strip() + ("" if value is None else repr(value))
        self.shown.append(Shown(line, expected, " ".join(found.split())))


def end_session() -> None:
    """Ends the page's session, if it has one; what workers print is out then."""
    if "ray_lite" in sys.modules:
        sys.modules["ray_lite"].shutdown()


class Checked(ast.NodeTransformer):
    """A block's program, in which each expression that shows its result is compared with it."""

    def __init__(self, block: Block) -> None:
        self.block = block
        tokens = tokenize.generate_tokens(io.StringIO(block.text).readline)
        self.comments = {one.start[0]: one.string.strip("# ") for one in tokens if one.type == tokenize.COMMENT}

    def program(self) -> ast.Module:
        """The program, with the line numbers of the page."""
        tree = self.visit(ast.parse(self.block.text))
        ast.increment_lineno(ast.fix_missing_locations(tree), self.block.line - 1)
        return tree

    def leave(self, node: ast.AST) -> ast.AST:
        """What runs later, and in other processes, is not looked into."""
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = leave

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Replaces an expression that shows its result by a call."""
        comment = self.comments.get(node.end_lineno or 0)
        if comment is None or ast.unparse(node).startswith(f"{FREE}("):
            return node
        later = ast.Lambda(ast.arguments([], [], None, [], [], None, []), node.value)
        line = ast.Constant(self.block.line + node.lineno - 1)
        call = ast.Call(ast.Name(SHOW, ast.Load()), [line, ast.Constant(comment), later], [])
        return ast.copy_location(ast.Expr(call), node)


def is_as_shown(one: Shown) -> bool:
    """Whether a result is what the page shows."""
    pattern = ".*".join(map(re.escape, one.expected.split("...")))
    return re.fullmatch(pattern, one.found, re.S) is not None


def main() -> None:
    """Runs a page; prints what it shows, and what that is, as JSON."""
    path, *given = sys.argv[1:]
    multiprocessing.set_start_method("fork")  # the other ways import the program, and this one is no file
    page = Page(Path(path), is_other=bool(given))
    with contextlib.redirect_stdout(io.StringIO()):  # what a page prints without showing it
        page.run(json.loads(given[0]) if given else {})
        end_session()
    print(json.dumps(page.shown))


if __name__ == "__main__":
    main()
