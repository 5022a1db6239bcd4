"""Cycles of waits through actors that run several calls at a time, in threads."""

import pytest
from waiting_nodes import SOON, Box, Early, Node, get_boxed, why

import ray_lite as ray
from ray_lite.exceptions import DeadlockError


@pytest.fixture
def session(fresh):
    fresh.init(num_cpus=2)
    return fresh


@ray.remote(num_cpus=0)
class Several(Node.__wrapped__):
    """The same, in threads."""

    def meet_and_ask(self, arrive, wait, other):
        """The calls of one actor wait until all of them run."""
        arrive("in")
        wait()
        return ray.get(other.name.remote())


def test_all_calls_of_an_actor_wait_for_its_next_one(session, gate, wait_until):
    """As soon as one of them has got the error, the others' calls run."""
    actor = Several.options(max_concurrency=3).remote()
    held = [actor.meet_and_ask.remote(gate.arrive, gate.wait, actor) for _ in range(3)]
    wait_until(lambda: len(gate.arrived("in")) == 3)
    gate.open()
    assert len(ray.wait(held, num_returns=3, timeout=SOON * 1000)[0]) == 3
    outcomes = [result(x) for x in held]
    assert outcomes.count("node") == 2, outcomes
    [text] = [one for one in outcomes if one != "node"]
    assert "Several.meet_and_ask waits for Several.name, which can't begin before Several.meet_and_ask has ended" in text


def result(x):
    """The value, or the text of the DeadlockError."""
    try:
        return ray.get(x)
    except DeadlockError as error:
        return str(error)


def test_a_call_among_several_that_waits_for_itself(session):
    """Another one has room to run."""
    @ray.remote(num_cpus=0, max_concurrency=2)
    class Own:
        def own(self, box):
            return get_boxed(box)

        def name(self):
            return "own"

    box = Box.remote()
    actor = Own.remote()
    x = actor.own.remote(box)
    box.keep.remote([x])
    assert why(x).rstrip().endswith("Own.own waits for Own.own")
    assert ray.get(actor.name.remote()) == "own"


@pytest.mark.slow
def test_a_cycle_of_a_plain_actor_and_one_that_runs_two_calls(session, gate, wait_until):
    """A third of its calls is needed, which can begin since one of the two only waits for a gate."""
    plain, two = Node.remote(), Several.options(max_concurrency=2).remote()
    held = two.hold.remote(gate.wait)
    asked = two.ask.remote(plain, two)
    assert ray.wait([asked], timeout=2500)[0] == [], "one of its calls may go on"
    gate.open()
    assert ray.get([held, asked], timeout=SOON) == ["held", "node"]


def test_both_calls_of_an_actor_wait_for_another_one(session):
    plain, two = Node.remote(), Several.options(max_concurrency=2).remote()
    ray.get([plain.name.remote(), two.name.remote()])
    asked = [two.ask.remote(plain, two), two.ask.remote(plain, two)]
    outcomes = [result(x) for x in asked]
    assert any("wait for each other for ever" in one for one in outcomes), outcomes
    assert ray.get([plain.name.remote(), two.name.remote()], timeout=SOON) == ["node", "node"]


def test_a_constructor_that_waits_for_a_call_of_its_own_among_several(session):
    early = ray.remote(num_cpus=0, max_concurrency=3)(Early).remote()
    assert "Early.__init__ waits for Early.name, which can't begin before Early.__init__ has ended" in why(early.name.remote())
