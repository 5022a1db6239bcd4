"""The snippets of README and docs/: Python runs and gives what the page shows; commands and their flags exist."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import pytest
import snippets
from snippets import NOT_RUN, Shown, blocks, is_as_shown

from ray_lite.cli.main import parser
from ray_lite.system import machine

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]
WITH_COMMANDS = [page for page in PAGES if page.name not in ("files.md", "reference.md")]  # those are made
LANGUAGES = {"", "python", "sh"}  # a block with another name would be checked by nothing
NOT_RUN_MOST = 2
GPUS = (*machine.GPU_VARIABLES, *machine.SLURM_GPUS, *machine.SLURM_GPU_COUNTS)
ENVIRONMENT = {"RAY_LITE_NUM_CPUS": "2", **dict.fromkeys(GPUS)}  # two CPUs where `init` names none, and no word of GPUs


@pytest.fixture
def shown_by(run_script, tmp_path):
    """`shown_by(page)`: what a page shows, from a process that ran it."""

    def run(page):
        done = run_script(Path(snippets.__file__).read_text(), args=[page], env=ENVIRONMENT, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return [Shown(*one) for one in json.loads(done.stdout.splitlines()[-1])]

    return run


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_a_page_runs_and_shows_what_is_so(shown_by, page):
    assert not [one for one in shown_by(page) if not is_as_shown(one)]


PAGE = """# Page

```python
import ray_lite as ray
ray.init()                              # any words
double = ray.remote(lambda x: 2 * x)
address = "here"
ray.get(double.remote(2))               # 5
for x in range(2):
    print("x", x)                       # x ...
```

<!-- another program: address -->
```python
address                                 # 'there'
```

<!-- not run: it is wrong -->
```python
1 / 0
```

```python
try:
    ray.get(double.remote(None))        # raises TypeError and RayTaskError
finally:
    1 / 0                               # raises ArithmeticError
```
"""


def test_what_is_not_so_is_found(shown_by, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    shown = shown_by(page)
    assert [(one.line, one.found) for one in shown if not is_as_shown(one)] == [(8, "4"), (15, "'here'")]
    assert len(shown) == 6


@pytest.mark.parametrize(("was", "becomes", "says"), [
    ("raises Arithmetic", "raises Value", 'page.md", line 27, in <module>.*ZeroDivisionError: division by zero'),
    ("program: address", "program: text", "KeyError: 'text'"),
])
def test_a_page_that_fails_says_why(shown_by, tmp_path, was, becomes, says):
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace(was, becomes))
    with pytest.raises(AssertionError, match=f"(?s){says}"):
        shown_by(page)


def test_few_snippets_are_not_run():
    marked = [block for page in PAGES for block in blocks(page) if block.mark == NOT_RUN]
    assert len(marked) <= NOT_RUN_MOST, "each of them is a snippet that may be wrong"


def test_every_block_has_a_language_that_is_checked():
    assert not [(page.name, block.line) for page in PAGES for block in blocks(page) if block.language not in LANGUAGES]
    for page in PAGES:
        assert len(re.findall(r"^ *(?:```|~~~)", page.read_text(), re.M)) == 2 * len(blocks(page)), page


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_commands_exist(page):
    wrong = [command for command in commands(page) if not is_taken(command)]
    assert not wrong, wrong


def test_wrong_commands_are_found():
    assert is_taken("ray-lite logs PID --follow") and is_taken("ray-lite stop --help")
    assert not is_taken("ray-lite top") and not is_taken("ray-lite logs --folow") and not is_taken("ray-lite stop 7")


def commands(page):
    """Each `ray-lite ...` of a page, in its blocks and between backquotes."""
    text = page.read_text()
    code = [block.text for block in blocks(page)] + spans(text)
    for one in code:
        yield from (" ".join(found.split()) for found in re.findall(r"^(?:\$ |.*\$\()?(ray-lite [^|)#\n]+)", one, re.M))


def spans(text):
    """What stands between backquotes outside of blocks, each on one line."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", outside)]


def is_taken(command):
    """Whether the command line takes a command; a word in capitals stands for a number."""
    words = shlex.split(re.sub(r"\b[A-Z]+\b", "1", command))[1:]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser().parse_args(words)
        except SystemExit as end:
            return end.code == 0
    return True
