"""attempt_error.py: which end an error is, what follows it, and the failure that is stored."""

import pytest

from ray_lite.exceptions import TaskCancelledError
from ray_lite.policy.attempt_ends import End, Follows
from ray_lite.values.failures import ArgumentFailed, Failure, SystemFailure
from ray_lite.workers.attempt_error import AttemptError
from ray_lite.workers.task_facts import TaskFacts

FACTS = TaskFacts(function=1, site=0, attempts=2, retries_left=1, nreturns=1, id=b"", serial=1, cancelled=False)
ARGUMENT = ArgumentFailed(Failure("other", "its text", None))


class Reporter:
    """Notes what is reported."""

    def __init__(self):
        self.names = []

    def report(self, name, failure, kind="task", data=None):
        self.names.append(name)
        return failure._replace(report=7)


class Awkward(type):
    def __instancecheck__(cls, instance):
        raise RuntimeError("asked")


class Asked(Exception, metaclass=Awkward):
    pass


@pytest.mark.parametrize("error, facts, retried, end, after", [
    (KeyError(1), FACTS, (), End.ERROR, Follows.OUTCOME),
    (KeyError(1), FACTS, (LookupError,), End.RETRIED_ERROR, Follows.ATTEMPT),
    (KeyError(1), FACTS._replace(retries_left=0), (LookupError,), End.ERROR, Follows.OUTCOME),
    (KeyError(1), FACTS._replace(cancelled=True), (LookupError,), End.RETRIED_ERROR, Follows.CANCELLED),
    (KeyError(1), FACTS._replace(cancelled=True), (), End.ERROR, Follows.OUTCOME),
    (TaskCancelledError("c"), FACTS._replace(cancelled=True), (), End.CANCELLATION, Follows.CANCELLED),
    (TaskCancelledError("c"), FACTS, (), End.ERROR, Follows.OUTCOME),
    (ARGUMENT, FACTS._replace(cancelled=True), (Exception,), End.ARGUMENT, Follows.OUTCOME),
    (KeyError(1), FACTS, (Asked,), End.ERROR, Follows.OUTCOME),
])
def test_the_end_and_what_follows(error, facts, retried, end, after):
    attempt = AttemptError(error, facts, retried)
    assert (attempt.end, attempt.follows) == (end, after)


def test_the_failure_that_is_stored():
    reporter = Reporter()
    failure = AttemptError(KeyError(1), FACTS._replace(retries_left=0), (KeyError,)).failure("f", reporter)
    assert (failure.report, failure.attempts, reporter.names) == (7, 2, ["f"])
    assert AttemptError(KeyError(1), FACTS, ()).failure("f", reporter).attempts == 1, "it was not to be repeated"
    assert AttemptError(ARGUMENT, FACTS, ()).failure("g", reporter) is ARGUMENT.failure
    cancelled = FACTS._replace(cancelled=True)
    for error, words in ((TaskCancelledError("c"), ""), (KeyError("why"), "why")):
        failure = AttemptError(error, cancelled, (KeyError,)).failure("h", reporter)
        assert isinstance(failure, SystemFailure) and failure.error == "TaskCancelledError" and words in failure.text
    assert reporter.names == ["f", "f"]
