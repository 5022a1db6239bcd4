"""report_channel.py: failures get numbers, a receiver that doesn't read stops nobody, and what was lost is said."""

import os
import pickle
import time

import pytest

import ray_lite as ray
from ray_lite import _core
from ray_lite.control.failure_reports import Report
from ray_lite.control.report_channel import TEXT_MOST, Reporter, channel
from ray_lite.exceptions import WorkerCrashedError
from ray_lite.values.failures import SystemFailure


@pytest.fixture
def ends():
    receiver, sender = channel(0.05)
    with receiver, sender:
        yield receiver, sender


@pytest.fixture
def region(ray_session):
    return ray_session.session.current().region


def received(receiver):
    out = []
    while True:
        try:
            out.append(pickle.loads(receiver.recv(1 << 18)))
        except BlockingIOError:
            return out


def test_a_failure_gets_a_number_and_is_sent(region, ends):
    failure = Reporter(region, ends[1]).report("f", SystemFailure("WorkerCrashedError", "dead"))
    assert failure.report > 0 and not _core.was_raised(region, failure.report)
    [report] = received(ends[0])
    assert Report(*report) == Report(failure.report, "f", "dead", "task", None, True)


def test_numbers_differ(region, ends):
    reporter = Reporter(region, ends[1])
    failures = [reporter.report("f", SystemFailure("RayError", "x")) for _ in range(3)]
    assert len({failure.report for failure in failures}) == 3


def test_without_a_sender_nothing_is_numbered(region):
    failure = SystemFailure("RayError", "x")
    assert Reporter(region, None).report("f", failure) is failure


def test_long_texts_and_odd_characters_fit_into_a_message(region, ends):
    Reporter(region, ends[1]).send(Report(1, "f", "\N{SNOWMAN}" * 10 * TEXT_MOST))
    ((_, _, text, *_),) = received(ends[0])
    assert TEXT_MOST <= len(text) < TEXT_MOST + 100 and "left out" in text


def test_notes_and_what_is_only_kept(region, ends):
    reporter = Reporter(region, ends[1])
    reporter.note("no room", "waiting")
    reporter.keep("worker_died", "f", "killed", {"pid": 7})
    assert [Report(*one) for one in received(ends[0])] == [
        Report(0, "", "no room", "waiting"), Report(0, "f", "killed", "worker_died", {"pid": 7}, is_shown=False)]


def test_a_receiver_that_does_not_read_stops_nobody(region, ends):
    reporter = Reporter(region, ends[1])
    while not reporter.lost:
        reporter.send(Report(1, "f", "x" * 10_000))
    reporter.send(Report(1, "f", "y"))
    assert reporter.lost == 2
    received(ends[0])
    reporter.send(Report(2, "f", "z"))
    ((serial, _, text, *_),) = received(ends[0])
    assert serial == 2 and "2 reports" in text and reporter.lost == 0


def test_only_the_first_report_waits_for_a_receiver_that_does_not_read(region):
    receiver, sender = channel(0.5)
    with receiver, sender:
        reporter, begun = Reporter(region, sender), time.monotonic()
        while reporter.lost < 50:
            reporter.send(Report(1, "f", "x" * 10_000))
        assert 0.5 <= time.monotonic() - begun < 10, "one wait of 0.5 s, not fifty"
        received(receiver)
        reporter.send(Report(2, "f", "z"))
        assert reporter.lost == 0
        begun = time.monotonic()
        while not reporter.lost:
            reporter.send(Report(1, "f", "x" * 10_000))
        assert time.monotonic() - begun >= 0.5, "there was room meanwhile, so the receiver may read on"


def test_a_new_worker_has_lost_nothing_yet(ray_session, control_process, worker_pids):
    """Though the node that forks it has lost a report."""

    def fill():
        reporter = ray.session.current().runner.reporter
        while not reporter.lost:
            reporter.send(Report(0, "", "x" * 10_000))

    ray.get(ray.remote(len).remote(""))
    control = control_process()
    control.suspend()
    try:
        ray.get(ray.remote(fill).remote())
        with pytest.raises(WorkerCrashedError):
            ray.get(ray.remote(max_retries=0)(lambda: os._exit(1)).remote())
        lost = ray.remote(max_calls=1)(lambda: (os.getpid(), ray.session.current().runner.reporter.lost))
        before = worker_pids()
        new = [count for pid, count in [ray.get(lost.remote()) for _ in range(6)] if pid not in before]
        assert new and not any(new)
    finally:
        control.resume()
