"""Objects: who keeps one alive, and that it ends with the last of them, whatever it contains."""

import gc
import os
import random
import signal

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectLostError


def make(region, data=b"", contained=(), for_job=False):
    x = _core.create_object(region, _core.next_put_id(), len(data), for_job)
    _core.fill_object(region, _core.object_index(x), 0, (data, [], [], list(contained)))
    _core.seal_object(region, x)
    return x


def live(region):
    statistics = region.statistics()
    return statistics["objects"], statistics["refs"], statistics["bytes_used"]


def bare(x):
    """The bytes of the id, which hold nothing."""
    return x.binary()


def exists(region, x):
    try:
        _core.resolve_all(region, [_core.ObjectID(x) if isinstance(x, bytes) else x])
    except ObjectLostError:
        return False
    return True


@pytest.mark.parametrize("size", [0, 1, 40, 41, 5000, 100_000])
def test_an_object_lives_as_long_as_its_handle(region, size):
    before = live(region)
    x = make(region, b"a" * size)
    again = bare(x)
    assert bytes(_core.payload(region, x)[1]) == b"a" * size
    del x
    assert live(region) == before
    assert not exists(region, again)


def test_a_container_keeps_what_it_contains(region):
    before = live(region)
    inner = make(region, b"inner" * 100)
    outer = make(region, b"", [inner])
    again = bare(inner)
    del inner
    region.check()
    assert exists(region, again)
    del again, outer
    assert live(region) == before


def test_a_chain_of_containers_ends_to_the_last(region):
    before = live(region)
    x = make(region, b"end" * 100)
    for _ in range(500):
        x = make(region, b"", [x])
    assert region.statistics()["objects"] == before[0] + 501
    del x
    assert live(region) == before
    region.check()


def test_a_wide_container_ends_in_small_sections(region):
    before = live(region)
    inner = [make(region, b"x" * 300) for _ in range(700)]
    outer = make(region, b"", inner + inner[:300])
    inner.clear()
    region.check()
    del outer
    assert live(region) == before
    assert region.statistics()["longest_section"] <= 64


def test_an_object_kept_for_the_job_outlives_its_handles(region):
    x = make(region, b"function" * 20, for_job=True)
    again = bare(x)
    del x
    gc.collect()
    assert exists(region, again)
    region.check()


@pytest.mark.parametrize("for_job", [False, True])
def test_an_object_that_was_never_sealed_ends_with_its_handle(region, for_job):
    before = live(region)
    inner = make(region, b"i" * 100)
    x = _core.create_object(region, _core.next_put_id(), 1000, for_job)
    _core.fill_object(region, _core.object_index(x), 0, (b"half" * 200, [], [], [inner]))
    del x, inner
    assert live(region) == before
    region.check()


def test_room_changes_until_the_seal(region):
    before = live(region)
    x = _core.create_object(region, _core.next_put_id(), 100_000, False)
    for size in (10, 50_000, 41, 40, 300, 33_000, 0, 64):
        _core.fill_object(region, _core.object_index(x), 0, (b"f" * size, [], [], []))
        region.check()
    _core.seal_object(region, x)
    assert bytes(_core.payload(region, x)[1]) == b"f" * 64
    del x
    assert live(region) == before


def test_handles_of_other_processes_count(region, worker, bury):
    """The child's bit keeps the object when ours goes, and its death is noticed."""
    before = live(region)
    x = make(region, b"shared" * 50)
    token, again = _core.id_token(x), bare(x)
    read, write = os.pipe()

    def hold(region):
        mine = _core.id_from_token(*token)
        os.write(write, b"!")
        signal.pause()
        return mine

    child, slot = worker(region, hold)
    assert os.read(read, 1) == b"!"
    del x
    gc.collect()
    assert exists(region, again)
    del again
    gc.collect()
    assert live(region) != before
    child.kill()
    bury(region, slot)
    assert live(region) == before
    os.close(read), os.close(write)


def test_a_token_of_a_dead_object_holds_nothing(region):
    x = make(region, b"a")
    token = _core.id_token(x)
    del x
    gc.collect()
    y = _core.id_from_token(*token)
    assert not exists(region, y)
    z = make(region, b"b")  # takes the same entry
    assert _core.object_index(z) == token[0]
    assert not exists(region, _core.id_from_token(*token))


class Model:
    """Objects by number: their bytes, what they contain, and whether we hold them."""

    def __init__(self):
        self.contents, self.data, self.held = {}, {}, {}

    def alive(self):
        """Everything reachable from what is held."""
        found, open_ends = set(), list(self.held)
        while open_ends:
            number = open_ends.pop()
            if number not in found:
                found.add(number)
                open_ends += self.contents[number]
        return found


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs_agree_with_reachability(region, seed):
    rng, model, base = random.Random(seed), Model(), live(region)
    for number in range(1500):
        if model.held and rng.random() < 0.5:
            del model.held[rng.choice(list(model.held))]
        else:
            add(region, rng, model, number)
        if number % 50 == 0:
            region.check()
            assert live(region)[0] - base[0] == len(model.alive())
            assert live(region)[1] == sum(len(model.contents[k]) for k in model.alive())
    assert all(bytes(_core.payload(region, x)[1]) == model.data[k] for k, x in model.held.items())
    model.held.clear()
    assert live(region) == base


def add(region, rng, model, number):
    inside = rng.sample(list(model.held), min(len(model.held), rng.choice((0, 0, 1, 3, 20))))
    model.data[number] = number.to_bytes(4, "little") * rng.choice((1, 10, 11, 100, 10_000))
    model.contents[number] = inside
    model.held[number] = make(region, model.data[number], [model.held[k] for k in inside])
