"""What the queue tells of a job's time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.job import Job, Lane, Origin, Reply, Status
from core.requests import ImagineRequest
from core.traces import DISCORDS_EPOCH, Tracing
from jobs.cluster.nats import decode_message, encode_message
from jobs.cluster.protocol import Order
from jobs.cluster.registry import order_of
from jobs.dispatcher import note_asked, note_waited
from vision.protocol import Run

JOB = "abcdefghjkmn"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


class _Noted(Tracing):
    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.spans: dict[str, tuple[float, float]] = {}

    def begin(self, job_id: str, at: float) -> None:
        self.began[job_id] = at

    def note(self, job_id: str, name: str, began: float, ended: float, **attributes: Any) -> None:
        assert ended >= began
        self.spans[name] = began, ended


def _job(interaction: float | None, **more: Any) -> Job:
    """A job that was asked now, by an interaction of ``interaction`` seconds ago."""
    ago = None if interaction is None else int((NOW.timestamp() - interaction - DISCORDS_EPOCH) * 1000) << 22
    return Job(
        "abc",
        ImagineRequest(prompt="a boat", seed=1),
        Origin(1, 2),
        Status.QUEUED,
        Lane.FAST,
        NOW,
        reply=Reply(interaction_id=ago),
        **more,
    )


def test_a_trace_begins_with_discords_interaction() -> None:
    noted = _Noted()
    note_asked(noted, _job(1.5))
    assert noted.spans["interaction"] == pytest.approx((NOW.timestamp() - 1.5, NOW.timestamp()), abs=0.002)
    assert noted.began["abc"] == noted.spans["interaction"][0]
    assert noted.spans["admit"][0] == NOW.timestamp()


@pytest.mark.parametrize("interaction", [None, -2.0, 3600.0])
def test_without_an_interaction_or_with_a_clock_that_is_wrong_it_begins_with_the_asking(
    interaction: float | None,
) -> None:
    noted = _Noted()
    note_asked(noted, _job(interaction))
    assert noted.began == {"abc": NOW.timestamp()} and noted.spans.keys() == {"admit"}


def test_the_wait_is_told_once() -> None:
    noted = _Noted()
    note_waited(noted, _job(None, attempts=2, started_at=NOW + timedelta(seconds=9)))
    assert noted.spans == {}
    note_waited(noted, _job(None, attempts=1, started_at=NOW + timedelta(seconds=4)))
    assert noted.spans == {"wait": (NOW.timestamp(), NOW.timestamp() + 4)}


def test_a_worker_elsewhere_is_told_whose_part_its_run_is() -> None:
    order, _ = order_of(Run(JOB, "imagine", "{}", token="a" * 32, traceparent="00-1-2-01"), "cpu", "b" * 32)
    assert order.traceparent == "00-1-2-01"
    assert decode_message(encode_message(order), Order).traceparent == "00-1-2-01"
