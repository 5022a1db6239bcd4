"""Actors of several drivers in one session: names that don't mix, and those that all drivers share."""

import pytest

import ray_lite as ray

ACTOR = """
    @ray.remote
    class Counter:
        def __init__(self):
            self.n = 0
        def add(self, by=1):
            self.n += by
            return self.n
        def pid(self):
            return os.getpid()
"""


def test_names_of_actors_do_not_mix_but_for_shared_ones(attached, wait_until, tmp_path):
    script = attached(ACTOR + """
    own, shared = Counter.options(name="own").remote(), Counter.options(name="both", shared=True).remote()
    print(ray.get([own.add.remote(), shared.add.remote(10)]), flush=True)
    while not os.path.exists(args[0]):
        time.sleep(0.01)
    print(ray.get(shared.add.remote(0)), flush=True)
    time.sleep(100)
    """, args=[tmp_path / "go"])
    assert script.stdout.readline() == "[1, 10]\n"
    with pytest.raises(ValueError, match="there is no actor named 'own'; the names are 'both'"):
        ray.get_actor("own")
    shared = ray.get_actor("both")
    assert ray.get([shared.add.remote() for _ in range(5)]) == [11, 12, 13, 14, 15]
    assert [row["Name"] for row in ray.global_state.actors()] == ["both"]

    @ray.remote
    class Counter:
        pass

    mine = Counter.options(name="own").remote()
    with pytest.raises(ValueError, match="there is an actor named 'both' already"):
        Counter.options(name="both", shared=True).remote()
    with pytest.raises(ValueError, match="shared=True needs a name"):
        Counter.options(shared=True).remote()
    (tmp_path / "go").touch()
    assert script.stdout.readline() == "15\n"
    script.kill()
    with pytest.raises(ray.exceptions.RayActorError):
        while True:
            ray.get(shared.add.remote(), timeout=5)
    wait_until(lambda: [row["Name"] for row in ray.global_state.actors()] == ["own"], what="the name is free")
    del mine, shared
