"""The control store, with real servers: what is in it, who can reach it, and what happens when it goes away."""

import contextlib
import json
import os
import signal
import stat
import time

import psutil
import pytest
import redis
from stores import BINARIES, bad_server, client_of, only_server

import ray_lite as ray


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.skipif(path is None, reason=f"there is no {name}"))
                        for name, path in BINARIES.items()])
def served(fresh, request, tmp_path, monkeypatch):
    """`served(...)`: init with a control store that starts soon, by one server; its address."""
    only_server(tmp_path, monkeypatch, BINARIES[request.param])

    def start(**options):
        return fresh.init(**{"num_cpus": 2, "driver_mode": fresh.SILENT_MODE, **options})["redis_address"]

    return start


@pytest.fixture
def client(wait_until):
    """`client(address)`: a client, once all is published."""
    with contextlib.ExitStack() as stack:

        def connect(address, generation=1):
            one = stack.enter_context(client_of(address, stack))

            def published():
                try:
                    return int(one.get("generation") or 0) >= generation and one.hgetall("session")
                except redis.ConnectionError:
                    return False

            wait_until(published, what="a control store that is filled")
            return one

        yield connect


@ray.remote
def fail(x):
    raise ValueError(f"no {x}")


@ray.remote
class Counter:
    def add(self):
        return 1


def failed(x):
    with pytest.raises(ValueError):
        ray.get(x)


def servers():
    """The live session's servers, as processes."""
    found = []
    for child in psutil.Process(ray.session.current().address["node_pid"]).children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if child.name().startswith(("redis", "valkey")):
                found.append(child)
    return found


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_what_is_there(served, client, wait_until):
    address = served()
    assert address == os.path.join(ray.session.current().address["session_dir"], "redis.sock")
    counter = Counter.options(name="one").remote()
    assert ray.get(counter.add.remote()) == 1
    failed(fail.remote(1))
    one = client(address)
    wait_until(lambda: one.hget("names", "one") and one.llen("errors") and "fail" in str(one.hgetall("functions")))
    facts = one.hgetall("session")
    assert int(facts["driver_pid"]) == os.getpid() and facts["redis_address"] == address and facts["version"] == ray.__version__
    assert list(one.hgetall("drivers")) == [str(os.getpid())] and one.get("NumRedisShards") == "0"
    actor = json.loads(one.hget("actors", one.hget("names", "one")))
    process = json.loads(one.hget("workers", actor["Pid"]))
    assert actor["ClassName"] == "Counter" and process == {"kind": "actor", "class": "Counter"}
    assert {"fail", "Counter.add", "Counter.__init__"} <= {json.loads(x)["name"] for x in one.hvals("functions")}
    [entry] = [json.loads(x) for x in one.lrange("errors", 0, -1)]
    assert entry == ray.error_info()[0] and one.lrange(f"errors:{os.getpid()}", 0, -1) == one.lrange("errors", 0, -1)


def test_what_ends_goes(served, client, wait_until):
    one = client(served())
    counter = Counter.options(name="short").remote()
    wait_until(lambda: one.hget("names", "short") and json.loads(one.hvals("actors")[0])["Pid"])
    pid = str(json.loads(one.hvals("actors")[0])["Pid"])
    wait_until(lambda: one.hget("workers", pid))
    ray.kill(counter)
    wait_until(lambda: not one.exists("names", "actors") and not one.hget("workers", pid))


def test_new_errors_are_published_and_only_the_newest_are_kept(served, client, wait_until, monkeypatch):
    monkeypatch.setenv("RAY_LITE_ERRORS", "10")
    one = client(served())
    listener = one.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("errors")
    listener.get_message(timeout=5)
    failed(fail.remote("first"))
    message = wait_until(lambda: listener.get_message(timeout=1))
    assert "no first" in json.loads(message["data"])["message"]
    ray.wait([fail.remote(number) for number in range(300)], num_returns=300)
    failed(fail.remote("last"))
    wait_until(lambda: "no last" in one.lindex("errors", -1))
    assert one.llen("errors") == one.llen(f"errors:{os.getpid()}") == 10
    listener.close()


def test_shards(served, client, wait_until):
    address = served(num_redis_shards=2)
    functions = [ray.remote(lambda: 1) for _ in range(20)]
    ray.get([function.remote() for function in functions])
    one = client(address)
    assert one.get("NumRedisShards") == "2" and not one.exists("functions")
    with contextlib.ExitStack() as stack:
        shards = [stack.enter_context(client_of(path, stack)) for path in one.lrange("RedisShards", 0, -1)]
        wait_until(lambda: sum(shard.hlen("functions") for shard in shards) == 20)
        for number, shard in enumerate(shards):
            assert {int(id[:8], 16) % 2 for id in shard.hkeys("functions")} == {number}


def test_nobody_else_can_reach_it(served, client):
    address = served(num_redis_shards=1, redis_max_clients=20)
    one = client(address)
    directory = os.path.dirname(address)
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    for name in os.listdir(directory):
        mode = os.stat(os.path.join(directory, name)).st_mode
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), name
    found = servers()
    open_ports = [one for process in found for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
    assert len(found) == 2 and not open_ports
    assert one.config_get("maxclients") == {"maxclients": "21"} and one.config_get("port") == {"port": "0"}


def test_fewer_clients_than_were_asked_for_are_told(served, client, wait_until):
    address = served(redis_max_clients=999_999)
    allowed = int(client(address).config_get("maxclients")["maxclients"])
    if allowed == 1_000_000:
        pytest.skip("a server may open as many files as that here")
    [entry] = wait_until(ray.error_info)
    assert entry["type"] == "control_store" and f"takes {allowed - 1:,} clients" in entry["message"]


@pytest.mark.parametrize("times", [1, 2])
def test_one_that_is_killed_comes_back_with_all_that_was_there(served, client, wait_until, times):
    address = served()
    counter = Counter.options(name="one").remote()
    ray.get(counter.add.remote())
    failed(fail.remote(1))
    one = client(address)
    for number in range(times):
        generation = int(one.get("generation"))
        [server] = servers()
        server.kill()
        failed(fail.remote(2 + number))
        assert ray.get(counter.add.remote()) == 1, "no task waits for it"
        one = client(address, generation + 1)
        wait_until(lambda one=one, number=number: one.llen("errors") == 2 + number and one.hget("names", "one"))
        assert [json.loads(x) for x in one.lrange("errors", 0, -1)] == ray.error_info()


def test_an_error_is_published_once_on_the_channel(served, client, wait_until):
    """Also if a server was started again, and so was the control process."""
    address = served()
    one = client(address)
    failed(fail.remote("first"))
    wait_until(lambda: one.llen("errors") == 1)
    [server] = servers()
    generation = int(one.get("generation"))
    server.kill()
    one = client(address, generation + 1)
    listener = one.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("errors")
    listener.get_message(timeout=5)
    failed(fail.remote("second"))
    seen = [json.loads(wait_until(lambda: listener.get_message(timeout=1))["data"])["message"]]
    assert "no second" in seen[0] and listener.get_message(timeout=0.3) is None
    listener.close()


@pytest.mark.slow
def test_a_shard_that_is_away_holds_up_no_other(served, client, wait_until):
    address = served(num_redis_shards=1)
    one = client(address)
    [shard] = [process for process in servers() if "redis-1.sock" in " ".join(process.cmdline())] or [None]
    if shard is None:
        pytest.skip("this server does not show its socket")
    shard.suspend()
    try:
        failed(fail.remote(1))
        wait_until(lambda: one.llen("errors") == 1, deadline=20)
    finally:
        shard.resume()


def test_one_that_is_stopped_holds_nobody_up(served, client):
    address = served()
    client(address)
    [server] = servers()
    server.suspend()
    begun = time.monotonic()
    failed(fail.remote(1))
    assert len(ray.error_info()) == 1 and time.monotonic() - begun < 5
    server.resume()


def test_a_control_process_that_is_killed_publishes_all_again(served, client, control_process, wait_until):
    address = served()
    failed(fail.remote(1))
    one = client(address)
    wait_until(lambda: one.llen("errors") == 1)
    control_process().kill()
    failed(fail.remote(2))
    one = client(address, 2)
    wait_until(lambda: one.llen("errors") == 2)
    assert len(servers()) == 1


@pytest.mark.parametrize("who", ["driver", "node"])
def test_it_ends_with_whoever_dies(start_script, tmp_path, wait_until, who):
    script = start_script("""
        import os, sys, time
        import ray_lite as ray
        import psutil
        address = ray.init(num_cpus=1)
        while not os.path.exists(address["redis_address"]):
            time.sleep(0.01)
        print(address["node_pid"], *[p.pid for p in psutil.Process(address["node_pid"]).children()], flush=True)
        time.sleep(100)
    """, env={"RAY_LITE_STORE_DELAY": "0.01"})
    node, *children = map(int, script.stdout.readline().split())
    assert children
    os.kill(script.pid if who == "driver" else node, signal.SIGKILL)
    wait_until(lambda: all(map(is_gone, children)))
    script.terminate()  # it removes the directory, if the node can't
    script.wait()


def test_without_any_server(run_script, tmp_path):
    done = run_script("""
        import ray_lite as ray
        from ray_lite.control import store_binaries
        store_binaries.WHEEL = "no_such_package"
        for _ in range(2):
            print(ray.init(num_cpus=1, num_redis_shards=2)["redis_address"])
            ray.wait([ray.remote(lambda: 1 / 0).remote()])
            print([entry["type"] for entry in ray.error_info()])
            ray.shutdown()
    """, env={"PATH": str(tmp_path), "RAY_LITE_STORE_DELAY": "0.01"})
    assert done.stdout.splitlines() == ["None", "['task']"] * 2
    told = "ray_lite: there is no control store: neither valkey-server nor redis-server is on PATH"
    assert done.stderr.count(told) == 2, "once a session"


@pytest.mark.parametrize("text, reason", [
    ("echo 'Redis server v=5.0.1'", "has version 5.0; the least is 6.0"),
    ("echo nonsense", "which no Redis or Valkey server does"),
])  # fmt: skip
def test_a_server_that_can_not_be_used_is_told_once(fresh, tmp_path, monkeypatch, wait_until, text, reason):
    only_server(tmp_path, monkeypatch, bad_server(tmp_path, text))
    assert fresh.init(num_cpus=1, driver_mode=fresh.SILENT_MODE, num_redis_shards=2)["redis_address"]
    [entry] = wait_until(ray.error_info)
    assert entry["type"] == "control_store" and reason in entry["message"]
    assert ray.get(ray.remote(len).remote("abc")) == 3 and len(ray.error_info()) == 1


def test_one_that_can_not_be_used_costs_nothing_and_no_grace(fresh, tmp_path, monkeypatch, wait_until, gate):
    """With shards: all children end, and the node rests."""
    only_server(tmp_path, monkeypatch, bad_server(tmp_path, "echo 'Redis server v=5.0.1'"))
    address = fresh.init(num_cpus=1, driver_mode=fresh.SILENT_MODE, num_redis_shards=3, shutdown_grace=5)
    node = psutil.Process(address["node_pid"])
    arrive = gate.arrive

    @fresh.remote
    def slow():
        arrive("in")
        time.sleep(0.5)
        arrive("done")

    wait_until(lambda: fresh.error_info() and len(node.children()) == 1, what="the control process alone")
    x = slow.remote()
    wait_until(lambda: gate.arrived("in"))
    before = node.cpu_times()
    wait_until(lambda: gate.arrived("done"))
    assert node.cpu_times().user - before.user < 0.2
    y = slow.remote()
    wait_until(lambda: len(gate.arrived("in")) == 2)
    fresh.shutdown()
    assert len(gate.arrived("done")) == 2 and x != y


def test_a_program_that_hangs_ends_with_its_session(fresh, tmp_path, monkeypatch, wait_until):
    only_server(tmp_path, monkeypatch, bad_server(tmp_path, f"echo $$ > {tmp_path}/pid\n/bin/sleep 100"))
    fresh.init(num_cpus=1, driver_mode=fresh.SILENT_MODE)
    wait_until(lambda: os.path.exists(tmp_path / "pid") and (tmp_path / "pid").read_text())
    fresh.shutdown()  # the fixture sees whether anything is left


def test_a_server_that_dies_at_once_is_told_and_the_next_one_tried(fresh, tmp_path, monkeypatch, wait_until, client):
    good = next((path for path in BINARIES.values() if path), None)
    if good is None:
        pytest.skip("there is no server")
    (tmp_path / "bad").write_text("#!/bin/sh\necho 'Redis server v=7.0.1'\n")
    (tmp_path / "bad").chmod(0o755)
    only_server(tmp_path, monkeypatch, good)
    (tmp_path / "bin" / "valkey-server").symlink_to(tmp_path / "bad")  # it comes first
    address = fresh.init(num_cpus=1, driver_mode=fresh.SILENT_MODE)["redis_address"]
    client(address)
    [entry] = ray.error_info()
    assert entry["type"] == "control_store" and "ends again and again" in entry["message"] and "redis-0.log" in entry["message"]


def test_a_server_that_dies_at_once_is_tried_less_and_less_often(fresh, tmp_path, monkeypatch, wait_until):
    text = f"[ \"$1\" = - ] && /bin/date +%s.%N >> {tmp_path}/starts\necho 'Redis server v=7.0.1'"
    only_server(tmp_path, monkeypatch, bad_server(tmp_path, text))
    fresh.init(num_cpus=1, driver_mode=fresh.SILENT_MODE)

    def starts():
        with contextlib.suppress(FileNotFoundError):
            return [float(line) for line in (tmp_path / "starts").read_text().split()]
        return []

    times = wait_until(lambda: len(starts()) >= 5 and starts(), deadline=30)
    pauses = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert all(pause >= 0.05 * 2 ** k for k, pause in enumerate(pauses))
    assert ray.get(ray.remote(len).remote("abc")) == 3


def test_a_long_path(served, client, monkeypatch, tmp_path, wait_until):
    """Longer than an address of a socket: a client goes through the directory's descriptor."""
    place = tmp_path / ("x" * 200)
    place.mkdir()
    for name in ("TMPDIR", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(place))
    address = served()
    assert len(address) > 200
    failed(fail.remote(1))
    one = client(address)
    wait_until(lambda: one.llen("errors") == 1)
    assert len(ray.error_info()) == 1


@pytest.mark.parametrize("name, value", [("num_redis_shards", -1), ("num_redis_shards", 32), ("redis_max_clients", 0),
                                         ("num_redis_shards", 1.5), ("redis_max_clients", "many")])
def test_bad_arguments(fresh, name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        fresh.init(**{name: value})
    assert not fresh.is_initialized()
