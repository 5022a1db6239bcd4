"""actor_deaths.py: whether an actor comes back, what becomes of its calls, and the story that they tell."""

import itertools

import pytest

from ray_lite.policy.actor_deaths import ActorState, CallState, End, Restart, actor_story, after_death, on_call_death
from ray_lite.policy.scheduler import OUTSIDE, Died, Fail, Finish, Requeue, Running

SEGV, KILL, EXIT = Died(7, "SIGSEGV", 11), Died(7, "SIGKILL", 9), Died(7, "", 3)
PLAIN = ActorState(restarts=0, max_restarts=2, keeps=False, past_lost=False, ending=False, unneeded=False)
BOTH = (False, True)
CALLS = [CallState("Counter", "Counter 'one'", *flags) for flags in itertools.product(BOTH, repeat=4)]
TASKS = [Running(5, "Counter.add", "", 1, left, True, *flags) for left in (0, 2) for flags in itertools.product(BOTH, repeat=2)]


@pytest.mark.parametrize("restarts, comes_back", [(0, True), (1, True), (2, False), (3, False)])
def test_it_comes_back_max_restarts_times(restarts, comes_back):
    after = after_death(SEGV, PLAIN._replace(restarts=restarts), "a story")
    assert isinstance(after, Restart) == comes_back
    if not comes_back:
        assert after.how == f"a story; it has lost {restarts + 1} processes, and may come back 2 times (max_restarts)"


@pytest.mark.parametrize("flag, how", [
    ("ending", "a story"), ("unneeded", "its last handle is gone"), ("past_lost", "a story; it can't come back"),
])  # fmt: skip
def test_what_stops_it_from_coming_back(flag, how):
    after = after_death(SEGV, PLAIN._replace(**{flag: True}), "a story")
    assert isinstance(after, End) and after.how.startswith(how)


def test_one_that_was_killed_for_good_and_one_without_restarts():
    assert after_death(KILL._replace(forced=True), PLAIN, "killed") == End("killed")
    assert after_death(SEGV, PLAIN._replace(max_restarts=0), "a story") == End("a story")
    told = after_death(SEGV, PLAIN._replace(restarts=2, keeps=True), "a story")
    assert "it has lost 3 processes since its last checkpoint, and" in told.how


@pytest.mark.parametrize("event", [SEGV, KILL, EXIT], ids=["crash", "kill", "exit"])
@pytest.mark.parametrize("call", CALLS)
def test_the_contract(event, call):
    """Results are given once, a call that has ended runs again if the actor keeps calls, and no call is left behind."""
    for task in TASKS:
        assert_contract(event, task, call, on_call_death(event, task, call, "so"))


def assert_contract(event, task, call, order):
    has_run = task.complete or call.constructs or call.replays
    if isinstance(order, Requeue):
        assert call.comes_back and order.front and (call.keeps or call.constructs)
        assert has_run or not task.cancelled, "a call that was cancelled midway does not run again"
        assert order.counted != has_run and (has_run or event.signal in OUTSIDE and task.retries_left)
    elif task.complete:
        assert order == Finish(5) and not (call.comes_back and (call.constructs or call.keeps)), "its results stay"
    else:
        assert isinstance(order, Fail) and order.error == ("TaskCancelledError" if task.cancelled else "RayActorError")
        assert not (call.comes_back and call.constructs)
        if not task.cancelled:
            assert order.attributes == {"class_name": "Counter", "lost": call.comes_back}
            assert ("the actor Counter 'one' is dead: so" in order.text) == (not call.comes_back)


@pytest.mark.parametrize("died, names, story", [
    (KILL._replace(forced=True), ["f"], "it was killed by ray_lite.kill"),
    (SEGV, [], "its process (pid 7) was killed by signal 11 (SIGSEGV)"),
    (EXIT, ["f", "g"], "its process (pid 7) ended itself with exit code 3 while it ran f, g"),
    (KILL._replace(out_of_memory=True, peak=2_000_000_000), [],
     "its process (pid 7) was killed by the kernel, out of memory (signal 9, SIGKILL); its memory peaked at 2,000 MB"),
    (EXIT._replace(last_words="one\ntwo"), [],
     "its process (pid 7) ended itself with exit code 3\nIts last lines on stderr:\n    one\n    two"),
])  # fmt: skip
def test_the_story(died, names, story):
    assert actor_story(died, names) == story
