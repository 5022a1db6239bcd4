"""The eleven code samples of the user's own document, as written there, each run as a program of its own.

A line of a sample that ends in a comment with a value, such as `ray.get(x_id)  # 1`, is a claim, and checked.  In PYTHON_MODE
the one sample whose task fails raises at the call, since calls run there; all others run as they are.
"""

import inspect
import re
import time

import psutil
import pytest

import ray_lite as ray

START = "import ray_lite as ray\nray.init()\n"

START_ALL = "ray.init()\n"
CPUS_AND_GPUS = "ray.init(num_cpus=20, num_gpus=2)\n"
ATTACH = 'ray.init(redis_address="12.345.67.89:6379")\n'
SIGNATURE = (
    "init(redis_address=None, node_ip_address=None, object_id_seed=None, num_workers=None, driver_mode=0, "
    "redirect_worker_output=False, redirect_output=True, num_cpus=None, num_gpus=None, resources=None, "
    "num_custom_resource=None, num_redis_shards=None, redis_max_clients=None, plasma_directory=None, "
    "huge_pages=False, include_webui=True, object_store_memory=None, use_raylet=False)"
)
ARGUMENTS = """\
@ray.remote
def f(x):
    return x + 1

x_id = f.remote(0)
ray.get(x_id)  # 1

y_id = f.remote(x_id)
ray.get(y_id)  # 2
"""
SEVERAL_RESULTS = """\
@ray.remote(num_return_vals=2)
def f():
    return 1, 2

x_id, y_id = f.remote()
ray.get(x_id)  # 1
ray.get(y_id)  # 2
"""
GET = """\
@ray.remote
def f():
    return {'key1': ['value']}

# Get one object ID.
ray.get(f.remote())  # {'key1': ['value']}

# Get a list of object IDs.
ray.get([f.remote() for _ in range(2)])  # [{'key1': ['value']}, {'key1': ['value']}]
"""
PUT = """\
x_id = ray.put(1)
ray.get(x_id)  # 1
"""
PUT_ONCE = """\
import numpy as np

@ray.remote
def f(x):
    pass

x = np.zeros(10 ** 6)

# Alternative 1: Here, x is copied into the object store 10 times.
[f.remote(x) for _ in range(10)]

# Alternative 2: Here, x is copied into the object store once.
x_id = ray.put(x)
[f.remote(x_id) for _ in range(10)]
"""
WAIT = """\
import time
import numpy as np

@ray.remote
def f(n):
    time.sleep(n)
    return n

# Start 3 tasks with different durations.
results = [f.remote(i) for i in range(3)]
# Block until 2 of them have finished.
ready_ids, remaining_ids = ray.wait(results, num_returns=2)

# Start 5 tasks with different durations.
results = [f.remote(i) for i in range(3)]
# Block until 4 of them have finished or 2.5 seconds pass.
ready_ids, remaining_ids = ray.wait(results, num_returns=4, timeout=2500)
"""
WAIT_LOOP = """\
@ray.remote
def f():
    return 1

# Start 5 tasks.
remaining_ids = [f.remote() for i in range(5)]
# Whenever one task finishes, start a new one.
for _ in range(100):
    ready_ids, remaining_ids = ray.wait(remaining_ids)
    # Get the available object and do something with it.
    print(ray.get(ready_ids))
    # Start a new task.
    remaining_ids.append(f.remote())
"""
ERRORS = """\
@ray.remote
def f():
    raise Exception("This task failed!!")

f.remote()  # An error message will be printed in the background.

# Wait for the error to propagate to Redis.
import time
time.sleep(1)

ray.error_info()  # This returns a list containing the error message.
"""
SAMPLES = [START_ALL, CPUS_AND_GPUS, ATTACH, ARGUMENTS, SEVERAL_RESULTS, GET, PUT, PUT_ONCE, WAIT, WAIT_LOOP, ERRORS]
CLAIM = re.compile(r"^(ray\.get\(.*\))  # (.*)$", re.MULTILINE)


def program(sample, more=""):
    """The sample as it stands, then its claims as assertions, then `more`."""
    claims = [f"assert {call} == {value}\n" for call, value in CLAIM.findall(sample)]
    return START + sample + "".join(claims) + more


@pytest.mark.parametrize(
    "sample, claims",
    [(ARGUMENTS, 2), (SEVERAL_RESULTS, 2), (GET, 2), (PUT, 1)],
    ids=["arguments", "several results", "get", "put"],
)
def test_samples_that_make_claims(output_of, sample, claims):
    assert len(CLAIM.findall(sample)) == claims
    assert output_of(program(sample)) == ""


def test_there_are_eleven():
    assert len(set(SAMPLES)) == 11


def test_init_starts_and_the_end_of_the_script_ends_everything(output_of):
    import_it = "import ray_lite as ray\n"
    pid = int(output_of(f"{import_it}{START_ALL}print(ray.session.current().address['node_pid'])"))
    assert not psutil.pid_exists(pid)


def test_init_with_claimed_cpus_and_gpus(output_of):
    assert output_of(f"""
import ray_lite as ray
{CPUS_AND_GPUS}
print(ray.get(ray.remote(num_cpus=20, num_gpus=2)(ray.get_gpu_ids).remote()))
""", env={"CUDA_VISIBLE_DEVICES": None}) == "[0, 1]\n"


def test_the_address_of_another_machine_is_one_clear_error_at_once(run_script):
    before = time.monotonic()
    done = run_script(f"""
import socket
import ray_lite as ray

def looked_up(*_):
    raise AssertionError("a DNS was asked")

socket.getaddrinfo = socket.gethostbyname = socket.create_connection = looked_up
{ATTACH}""")
    assert time.monotonic() - before < 2
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.startswith('ValueError: redis_address=\'12.345.67.89:6379\'')
    assert "is not this machine" in last and "Ray cluster" in last


def test_the_address_of_a_session_attaches_to_it(ray_session, output_of):
    address = ray_session.session.current().address["redis_address"]
    if address is None:
        pytest.skip("there is no control store, whose address it is")
    sample = ATTACH.replace("12.345.67.89:6379", address)
    x = ray_session.put("shared")
    assert output_of(f"import ray_lite as ray\n{sample}print(ray.get(ray.ObjectID.from_hex('{x.hex()}')))") == "shared\n"


@pytest.mark.parametrize("sample", [ARGUMENTS, SEVERAL_RESULTS, GET, PUT, PUT_ONCE, WAIT, WAIT_LOOP, ERRORS])
def test_samples_in_python_mode(python_mode, sample, monkeypatch, capsys):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # they sleep for several seconds
    lines = {"ray": ray, "__name__": "sample"}
    run = compile(sample, "sample", "exec")
    if sample is ERRORS:
        with pytest.raises(Exception, match=r"^This task failed!!$"):
            exec(run, lines)
        assert "time" not in lines, "it is raised at the call, before anything else"
        return
    exec(run, lines)
    for call, value in CLAIM.findall(sample):
        assert eval(call, lines) == eval(value, lines)


def test_in_python_mode_the_other_arguments_of_init_are_ignored(fresh):
    for sample in (CPUS_AND_GPUS, ATTACH):
        exec(sample.replace(")", ", driver_mode=ray.PYTHON_MODE)"), {"ray": ray})
        fresh.shutdown()


def test_errors_are_printed_and_listed(run_script):
    done = run_script(START + ERRORS + """
[entry] = ray.error_info()
print(entry["type"], entry["message"].splitlines()[-1])
""")
    assert (done.returncode, done.stdout) == (0, "task Exception: This task failed!!\n")
    assert "Exception: This task failed!!" in done.stderr, "in the background"


def test_init_with_every_argument_as_documented(output_of):
    assert (
        output_of(f"""
        import ray_lite as ray
        ray.{SIGNATURE}
        print(ray.get(ray.put("as documented")))
    """)
        == "as documented\n"
    )


def test_put_once_and_pass_the_id(output_of):
    assert (
        output_of(
            program(
                PUT_ONCE,
                """
assert ray.get([f.remote(x_id) for _ in range(3)]) == [None] * 3
""",
            )
        )
        == ""
    )


def test_arrays_must_be_copied_before_they_are_changed(output_of):
    assert (
        output_of(
            START
            + """
import numpy as np

@ray.remote
def f():
    return np.zeros(1000)

array = ray.get(f.remote())
try:
    array[0] = 1
except ValueError:
    array = array.copy()
    array[0] = 1
    print(array[0])
"""
        )
        == "1.0\n"
    )


def test_waiting_for_a_subset(output_of):
    more = """
assert len(ready_ids) + len(remaining_ids) == 3 and set(ready_ids) | set(remaining_ids) == set(results)
assert ready_ids and ray.get(ready_ids) == [results.index(one) for one in ready_ids]
"""
    first = """
assert len(ready_ids) == 2 and len(remaining_ids) == 1
"""
    head, tail = WAIT.split("\n# Start 5 tasks")
    assert output_of(program(f"{head}\n{first}\n# Start 5 tasks{tail}", more), timeout=40) == ""


def test_the_loop_that_never_ends(output_of):
    assert output_of(program(WAIT_LOOP)) == "[1]\n" * 100


@pytest.mark.parametrize(
    "function, names",
    [
        (ray.get, ["object_ids", "worker"]),
        (ray.put, ["value", "worker"]),
        (ray.wait, ["object_ids", "num_returns", "timeout", "worker"]),
        (ray.error_info, ["worker"]),
    ],
    ids=["get", "put", "wait", "error_info"],
)
def test_documented_signatures(function, names):
    parameters = inspect.signature(function).parameters
    assert list(parameters)[: len(names)] == names
    if function is ray.wait:
        assert (parameters["num_returns"].default, parameters["timeout"].default) == (1, None)


def test_documented_modes():
    assert [ray.SCRIPT_MODE, ray.PYTHON_MODE, ray.SILENT_MODE] == [0, 2, 3]
