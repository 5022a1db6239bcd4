"""Cycles of calls and tasks that wait for each other, in sessions with processes: one member gets DeadlockError, and nobody
else does.
"""

import threading
import time

import pytest
from waiting_nodes import SOON, Box, Early, Node, get_boxed, why

import ray_lite as ray
from ray_lite.exceptions import GetTimeoutError, TaskCancelledError


@ray.remote(num_cpus=0)
def of(node):
    """A task that waits for an actor."""
    return ray.get(node.name.remote())


@pytest.fixture
def session(fresh):
    fresh.init(num_cpus=2)
    return fresh


def test_a_method_that_waits_for_its_own_actor(session):
    node = Node.remote()
    began = time.monotonic()
    assert "Node.own waits for Node.name, which can't begin before Node.own has ended" in why(node.own.remote())
    assert 1.0 <= time.monotonic() - began < SOON
    assert ray.get(node.name.remote()) == "node", "it goes on"


def test_a_constructor_that_waits_for_its_own_actor(session):
    early = ray.remote(num_cpus=0)(Early).remote()
    assert "Early.__init__ waits for Early.name, which can't begin before Early.__init__ has ended" in why(early.name.remote())


@pytest.mark.parametrize("members", [2, 3, 5])
def test_actors_in_a_ring(session, members):
    nodes = [Node.remote() for _ in range(members)]
    ray.get([node.name.remote() for node in nodes])
    text = why(nodes[0].ask.remote(*nodes[1:], nodes[0])).rpartition("for ever: ")[2].strip()
    others = ["Node.ask waits for Node.ask"] * (members - 1)
    last = "Node.ask waits for Node.name, which can't begin before Node.ask has ended"
    assert sorted(text.split("; ")) == sorted([last, *others])


def test_the_one_that_began_to_wait_last_gets_the_error(session):
    first, second = Node.remote(), Node.remote()
    ray.get([first.name.remote(), second.name.remote()])
    assert ray.get(first.survive.remote(second)) == "survived"


def test_a_cycle_of_an_actor_and_a_task(session):
    @ray.remote(num_cpus=0)
    def helper(node):
        return ray.get(node.name.remote())

    @ray.remote(num_cpus=0)
    class User:
        def use(self, me):
            return ray.get(helper.remote(me))

        def name(self):
            return "user"

    user = User.remote()
    text = why(user.use.remote(user))
    assert "helper waits for User.name, which can't begin before User.use has ended" in text
    assert "User.use waits for helper" in text


def test_a_task_that_waits_for_its_own_result(session):
    @ray.remote(num_cpus=0)
    def own(box):
        return get_boxed(box)

    box = Box.remote()
    x = own.remote(box)
    box.keep.remote([x])
    assert why(x).rstrip().endswith("own waits for own")


def test_through_an_argument_that_is_not_ready(session):
    """The call that is awaited waits for a task, which waits for the actor."""
    node = Node.remote()

    @ray.remote(num_cpus=0)
    class Caller:
        def call(self, me):
            late = of.remote(me)
            return ray.get(node.note.remote(late))

        def name(self):
            return "caller"

    caller = Caller.remote()
    text = why(caller.call.remote(caller))
    assert "Caller.call waits for Node.note, which can't begin before of has ended" in text
    assert "of waits for Caller.name, which can't begin before Caller.call has ended" in text


def test_through_a_lane(session):
    """The awaited call is behind a call of the same caller whose argument never comes."""
    @ray.remote(num_cpus=0)
    class Caller:
        def call(self, me, node):
            noted = node.note.remote(of.remote(me))
            return ray.get([node.name.remote(), noted])

        def name(self):
            return "caller"

    caller, node = Caller.remote(), Node.remote()
    assert "Caller.call waits for Node.name, which can't begin before of has ended" in why(caller.call.remote(caller, node))


def test_through_the_constructors_argument(session):
    @ray.remote(num_cpus=0)
    class Caller:
        def call(self, me):
            node = Node.remote(of.remote(me))
            return ray.get(node.name.remote())

        def name(self):
            return "caller"

    caller = Caller.remote()
    assert "Caller.call waits for Node.name, which can't begin before of has ended" in why(caller.call.remote(caller))


@pytest.mark.slow
def test_a_cycle_that_is_closed_while_nobody_begins_to_wait(session, gate):
    """The last need appears when an argument becomes ready: until then the awaited call waits for a task that runs."""
    first, second, wait = Node.remote(), Node.remote(), gate.wait

    @ray.remote(num_cpus=0)
    def late():
        return wait() or "late"

    slow = late.remote()
    asked = second.pass_on.remote(first, [slow])
    held = first.fetch.remote([asked])
    assert ray.wait([held], timeout=1500)[0] == [], "the argument may come"
    gate.open()
    assert "Node.pass_on waits for Node.note, which can't begin before Node.fetch has ended" in why(held)


def test_two_cycles_at_once(session):
    pairs = [(Node.remote(), Node.remote()) for _ in range(2)]
    for x in [one.ask.remote(other, one) for one, other in pairs]:
        assert "Node.ask waits for Node.ask" in why(x)


# ---------------------------------------------------------------- no cycle


@pytest.mark.slow
def test_who_computes_is_no_member(session):
    first, second = Node.remote(), Node.remote()
    slow = first.compute.remote(2.5)
    assert ray.get(second.fetch.remote([slow]), timeout=SOON) == "computed"
    queued = [second.ask.remote(first) for _ in range(3)]
    first.compute.remote(2.5)
    assert ray.get([*queued, second.ask.remote(first)], timeout=2 * SOON) == ["node"] * 4


@pytest.mark.slow
def test_a_wait_with_a_timeout_is_no_member(session):
    first, second = Node.remote(), Node.remote()

    @ray.remote(num_cpus=0)
    class Patient:
        def ask(self, me, seconds):
            try:
                return ray.get(me.name.remote(), timeout=seconds)
            except GetTimeoutError:
                return "late"

        def name(self):
            return "patient"

    patient = Patient.remote()
    held = [patient.ask.remote(patient, 2.5), first.ask.remote(patient), second.ask.remote(first)]
    assert ray.get(held, timeout=SOON) == ["late", "patient", "node"]


@pytest.mark.slow
def test_a_wait_of_another_thread_is_no_member(session):
    @ray.remote(num_cpus=0)
    class Threaded:
        def __init__(self):
            self.got = []

        def start(self, me):
            self.thread = threading.Thread(target=lambda: self.got.append(ray.get(me.name.remote())))
            self.thread.start()
            time.sleep(2.5)
            return "slept"

        def name(self):
            return "threaded"

        def result(self):
            self.thread.join()
            return self.got

    actor = Threaded.remote()
    assert ray.get(actor.start.remote(actor), timeout=SOON) == "slept"
    assert ray.get(actor.result.remote()) == ["threaded"]


@pytest.mark.slow
def test_the_drivers_wait_is_no_member(session, gate):
    node, wait = Node.remote(), gate.wait
    held = node.hold.remote(wait)
    asked = Node.remote().ask.remote(node)
    threading.Timer(2.5, gate.open).start()
    assert ray.get([held, asked]) == ["held", "node"]


def test_who_is_cancelled_leaves_the_cycle(session, wait_until):
    """The wait of the others ends then; nobody gets DeadlockError."""
    first, second = Node.remote(), Node.remote()
    outer = first.ask.remote(second, first)
    time.sleep(0.6)  # less than the patience: the cycle is there
    ray.cancel(outer)
    with pytest.raises(TaskCancelledError):
        ray.get(outer)
    assert ray.get([first.name.remote(), second.name.remote(), second.note.remote(1)], timeout=SOON) == ["node", "node", [1]]


@pytest.mark.slow
def test_workers_at_the_limit_wait_for_an_actor_that_computes(fresh):
    """All workers wait, and none can be started; but the actor goes on."""
    fresh.init(num_cpus=2, max_workers=2)
    node = Node.remote()

    @ray.remote(num_cpus=0)
    def ask(node):
        return ray.get(node.compute.remote(1.5))

    assert ray.get([ask.remote(node) for _ in range(4)], timeout=3 * SOON) == ["computed"] * 4


def test_workers_at_the_limit_wait_for_an_actor_that_waits_with_a_timeout(fresh):
    fresh.init(num_cpus=2, max_workers=2)

    @ray.remote(num_cpus=0)
    class Patient:
        def ask(self):
            return len(ray.wait([task.remote()], timeout=3000)[0])

    @ray.remote(num_cpus=0)
    def task():
        return 1

    @ray.remote(num_cpus=0)
    def use(patient):
        return ray.get(patient.ask.remote())

    patient = Patient.remote()
    assert set(ray.get([use.remote(patient) for _ in range(2)], timeout=3 * SOON)) <= {0, 1}


@pytest.mark.slow
def test_what_idle_actors_hold_is_no_deadlock(fresh, wait_until):
    """A task waits for one that needs the GPU of an idle actor: the actor may end at any time."""
    fresh.init(num_cpus=2, num_gpus=1)
    holder = ray.remote(num_gpus=1)(Node.__wrapped__).remote()
    ray.get(holder.name.remote())

    @ray.remote(num_gpus=1)
    def on_gpu():
        return "ran"

    @ray.remote
    def outer():
        return ray.get(on_gpu.remote())

    x = outer.remote()
    assert ray.wait([x], timeout=2500)[0] == []
    del holder
    assert ray.get(x, timeout=SOON) == "ran"
