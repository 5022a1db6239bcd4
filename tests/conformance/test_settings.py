"""The table in docs/processes.md: what of the driver's settings a task finds, and what of a task's the next one finds."""

import re
from pathlib import Path

import pytest

TABLE = re.findall(r"^\| ([^|]+) \| (at init|at each call|no) \| (stays|ends) \|$",
                   (Path(__file__).parents[2] / "docs/processes.md").read_text(), re.M)

# setting -> (statement that changes it, expression that shows whether it is changed)
PROBES = {
    "environment variables": ("os.environ['A_SETTING'] = '1'", "'A_SETTING' in os.environ"),
    "umask": ("os.umask(0o027)", "(lambda mask: (os.umask(mask), mask)[1])(os.umask(0)) == 0o027"),
    "working directory": ("os.chdir('/')", "os.getcwd() == '/'"),
    "sys.path": ("sys.path.append('/nowhere')", "'/nowhere' in sys.path"),
    "sys.argv": ("sys.argv.append('more')", "'more' in sys.argv"),
    "sys.stdout": ("sys.stdout = io.StringIO()", "isinstance(sys.stdout, io.StringIO)"),
    "recursion limit": ("sys.setrecursionlimit(2345)", "sys.getrecursionlimit() == 2345"),
    "warnings filters": ("warnings.filterwarnings('error', 'a setting')",
                         "any('a setting' in str(one) for one in warnings.filters)"),
    "np.seterr": ("np.seterr(all='raise')", "np.geterr()['over'] == 'raise'"),
    "decimal context": ("decimal.getcontext().prec = 11", "decimal.getcontext().prec == 11"),
    "logging level": ("logging.getLogger().setLevel(7)", "logging.getLogger().level == 7"),
    "locale": ("locale.setlocale(locale.LC_ALL, 'C.UTF-8')", "locale.setlocale(locale.LC_ALL) == 'C.UTF-8'"),
    "signal handlers": ("signal.signal(signal.SIGUSR1, print)", "signal.getsignal(signal.SIGUSR1) is print"),
    "signal mask": ("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
                    "signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, ())"),
    "interval timers and alarms": ("signal.alarm(100)", "signal.getitimer(signal.ITIMER_REAL)[0] > 0"),
}
HASH_SEED = "hash seed without PYTHONHASHSEED"
IMPORTS = "import decimal, io, locale, logging, os, signal, sys, warnings\nimport numpy as np\nimport ray_lite as ray\n"
SCRIPT = IMPORTS + """
def change():
    {change}

def show():
    {imports}
    return {show}

terminal = sys.stdout
if {when!r} == "before":
    change()
ray.init(num_cpus=1)
if {when!r} == "after":
    change()
if {when!r} == "task":
    ray.get(ray.remote(change).remote())
print(ray.get(ray.remote(show).remote()), file=terminal)
"""


def seen(output_of, setting, when):
    """Whether a task sees the change that the driver made before or after `init`, or that another task made."""
    change, show = PROBES[setting]
    imports = IMPORTS.splitlines()
    source = SCRIPT.format(change=change, show=show, when=when, imports="; ".join(imports[:2]))
    return output_of(source, env={"LC_ALL": "C"}).strip() == "True"


def test_the_table_has_exactly_these_settings():
    assert [setting for setting, _, _ in TABLE if setting != HASH_SEED] == list(PROBES)


@pytest.mark.parametrize("setting, travels, stays", [row for row in TABLE if row[0] != HASH_SEED],
                         ids=[row[0] for row in TABLE if row[0] != HASH_SEED])
def test_a_row(output_of, setting, travels, stays):
    found = seen(output_of, setting, "before"), seen(output_of, setting, "after"), seen(output_of, setting, "task")
    assert found == (travels != "no", travels == "at each call", stays == "stays")


@pytest.mark.parametrize("seed", [None, "5"])
def test_the_hash_seed(output_of, seed):
    """That of the node is random, and the same in all its workers."""
    assert (HASH_SEED, "no", "stays") in TABLE
    assert output_of("""
        import ray_lite as ray
        ray.init(num_cpus=1)
        here = ray.remote(max_calls=1)(lambda: hash("a word"))
        first, second = ray.get([here.remote(), here.remote()])
        print(first == second, first == hash("a word"))
    """, env={"PYTHONHASHSEED": seed}) == f"True {seed is not None}\n"
