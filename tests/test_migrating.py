"""docs/migrating_from_ray_2018.md: each test that it names exists, each name of 2018 has a row, each difference a reason."""

import re
from pathlib import Path

import ray_lite as ray

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/migrating_from_ray_2018.md").read_text()
HEADS = ("| sentence", "| name", "| what |")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(HEADS)]
FILES: dict[str, str] = {}  # by name: two folders may have a file of the same name
for path in TESTS.rglob("test_*.py"):
    FILES[path.name] = FILES.get(path.name, "") + path.read_text()

TOP = """
error_info init connect disconnect get put wait remote log_event log_span flush_log actor method get_gpu_ids
get_webui_url register_custom_serializer SCRIPT_MODE WORKER_MODE PYTHON_MODE SILENT_MODE global_state _config
__version__ worker services utils signature serialization local_scheduler plasma experimental cloudpickle test
""".split()
WORKER = """
global_worker global_state init _init connect disconnect cleanup get put wait remote error_info RayTaskError
RayGetError RayGetArgumentError RayConnectionError check_connected check_main_thread get_gpu_ids get_webui_url
log log_event log_span flush_log LOG_POINT LOG_SPAN_START LOG_SPAN_END register_custom_serializer NIL_ID
""".split()
STATE = """
object_table task_table function_table client_table local_schedulers cluster_resources workers actors
log_files task_profiles dump_catapult_trace
""".split()
SILENT = "not there yet"  # in a row without a test


def test_each_test_that_is_named_exists():
    for file, function in set(re.findall(r"`(test_\w+\.py)::(\w+)`", PAGE)):
        assert re.search(rf"^def {function}\(", FILES.get(file, ""), re.M), f"{file}::{function}"


def test_each_row_names_a_test_and_each_difference_says_what():
    for row in ROWS:
        assert "`test_" in row or SILENT in row, row
        assert row.count("*Differs*") == len(re.findall(r"\*Differs\*: \S", row)), row


def test_each_name_of_2018_has_a_row_that_is_true():
    names = PAGE[PAGE.index("## Names"):PAGE.index("## Behaviour")]
    firsts = {row: row.split(" | ")[0] for row in ROWS if row in names}
    places = {"ray": (ray, TOP), "ray.worker": (ray.worker, WORKER), "global_state": (ray.global_state, STATE)}
    for where, (place, wanted) in places.items():
        for name in wanted:
            rows = [row for row, first in firsts.items() if f"`{where}.{name}`" in first]
            assert len(rows) == 1, f"{where}.{name} has {len(rows)} rows"
            is_there = SILENT not in rows[0] and "left out" not in rows[0]
            assert is_there == has(place, name), f"{where}.{name}"


def has(place, name):
    try:
        return hasattr(place, name)
    except NotImplementedError:
        return False
