"""`ray-lite timeline`: a trace file of a session that another process runs, with what its attached drivers do."""

import json

import pytest

SCRIPT = """
    import os, time
    import ray_lite as ray
    ray.init(redis_address={address!r})
    @ray.remote
    def {name}(x): return x
    print(ray.get([{name}.remote(k) for k in range(3)]), flush=True)
    while not os.path.exists({gate!r}): time.sleep(0.01)
"""


def names(path, category):
    found = json.loads(path.read_text())["traceEvents"]
    return sorted(one["name"] for one in found if one.get("cat") == category and one["ph"] == "X")


def test_all_drivers_of_a_shared_session_in_one_file(started, start_script, tmp_path):
    shared = started()
    assert shared.ask("timeline", "--detail", "on") == "detail is on\n"
    facts = dict(address=shared.address, gate=str(tmp_path / "gate"))
    drivers = [start_script(SCRIPT.format(name=name, **facts)) for name in ("one", "two")]
    for driver in drivers:
        assert driver.stdout.readline() == "[0, 1, 2]\n"
    path = tmp_path / "t.json"
    said = shared.ask("timeline", path)
    assert said.startswith(f"{path}: ")
    assert said.endswith(" records, 0 are lost\n")
    assert names(path, "task") == ["one"] * 3 + ["two"] * 3
    assert names(path, "submit") == ["submit one"] * 3 + ["submit two"] * 3
    assert json.loads(shared.ask("timeline", path, "--json"))["lost"] == 0
    assert json.loads(shared.ask("timeline", "--detail", "off", "--json")) == {"detail": "off"}
    (tmp_path / "gate").touch()
    for driver in drivers:
        assert driver.wait() == 0
    (tmp_path / "gate").unlink()
    later = start_script(SCRIPT.format(name="later", **facts))
    assert later.stdout.readline() == "[0, 1, 2]\n"
    shared.ask("timeline", path)
    assert names(path, "task") == ["later"] * 3  # in the slots that the others had, and their rings
    (tmp_path / "gate").touch()
    assert later.wait() == 0


@pytest.mark.parametrize(("arguments", "code", "says"), [
    ((), 1, "name a file to write, or --detail on or off"),
    (("no/such/t.json",), 1, "No such file or directory"),
    (("--detail", "maybe"), 2, "invalid choice"),
])
def test_mistakes(ray_session, command, arguments, code, says):
    directory = ray_session.session.current().address["session_dir"]
    found, out, err = command("timeline", *arguments, "--address", directory)
    assert (found, out) == (code, "")
    assert says in err
