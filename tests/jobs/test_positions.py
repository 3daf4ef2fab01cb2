"""The task that tells positions ends when it is asked to, and looks at no more than it must."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.events import Queued
from core.requests import ImagineRequest
from core.requests.video import VideoRequest
from jobs.admission import Limits
from jobs.eta import CHUNK, Estimate, Positions
from jobs.executors.base import Device
from jobs.feed import Feeds
from jobs.waitlist import Waitlist, cost_key
from tests.jobs.hand_executor import HandExecutor
from tests.jobs.test_policy import job


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancel_is_heard_whatever_has_moved_just_before(turns: int) -> None:
    """Python 3.11's ``wait_for`` swallows one that comes when what it waits for has just come."""
    waitlist, feeds, waiting = Waitlist(), Feeds(), job()
    waitlist.add(waiting, 0.0)
    feeds.open(waiting.job_id, waiting.user_id, datetime.now(UTC))
    positions = Positions(waitlist, {}, feeds, HandExecutor({"cpu": 1}), Estimate(), Limits())
    telling = asyncio.create_task(positions.announce_for_ever())
    await asyncio.sleep(0.01)
    positions.note_moved()
    for _ in range(turns):
        await asyncio.sleep(0)
    telling.cancel()
    done, _ = await asyncio.wait({telling}, timeout=5)
    assert done == {telling} and telling.cancelled()


class Counted(HandExecutor):
    """Notes how often its devices are looked at, all of them each time."""

    looks = 0

    @property
    def devices(self) -> Sequence[Device]:
        self.looks += 1
        return super().devices


async def test_devices_are_looked_at_once_for_all_the_places_of_a_round() -> None:
    waitlist, feeds, executor = Waitlist(), Feeds(), Counted({f"cuda:{n}": 1 for n in range(8)})
    positions = Positions(waitlist, {}, feeds, executor, Estimate(), Limits())
    for number in range(30):
        waiting = job(user=number)
        waitlist.add(waiting, 0.0)
        feeds.open(waiting.job_id, waiting.user_id, datetime.now(UTC))
    await positions.announce_all()
    assert len(positions.told) == 30 and executor.looks == 1
    assert positions.announce(waiting.job_id) is not None and executor.looks == 2


async def test_a_look_that_takes_long_is_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    waitlist, feeds, executor = Waitlist(), Feeds(), Counted({"cuda:0": 1})
    positions = Positions(waitlist, {}, feeds, executor, Estimate(), Limits())
    waitlist.add(waiting := job(), 0.0)
    spent, now = iter((0.0, 0.002)), 50.0
    monkeypatch.setattr("jobs.eta.thread_time", lambda: next(spent))
    monkeypatch.setattr("jobs.eta.monotonic", lambda: now)
    for _ in range(3):
        assert positions.position(waiting.job_id) is not None
        now += 0.04
    assert executor.looks == 1
    monkeypatch.setattr("jobs.eta.thread_time", lambda: 0.0)
    assert positions.position(waiting.job_id) is not None and executor.looks == 2


async def test_what_moves_during_a_round_is_told_where_it_stands_by_the_next() -> None:
    """Jobs that start, come and go to the front between two lots: nobody who waits on is left without a
    place, and after another round each knows their own."""
    waitlist, feeds, executor = Waitlist(), Feeds(), HandExecutor({"cuda:0": 1})
    positions = Positions(waitlist, {}, feeds, executor, Estimate(), Limits())
    jobs = [job(user=number) for number in range(10 * CHUNK)]
    for waiting in jobs:
        waitlist.add(waiting, 0.0)
        feeds.open(waiting.job_id, waiting.user_id, datetime.now(UTC))
    telling = asyncio.create_task(positions.announce_all())
    for _ in range(5):  # lots
        await asyncio.sleep(0)
    assert CHUNK <= len(positions.told) < 5 * CHUNK
    waitlist.remove(jobs[0].job_id, 0.0)
    waitlist.remove(jobs[5 * CHUNK].job_id, 0.0)
    waitlist.move_to_front(jobs[-1].job_id, 1, 0.0)
    waitlist.add(newcomer := job(user=1000), 0.0)
    feeds.open(newcomer.job_id, newcomer.user_id, datetime.now(UTC))
    await telling
    assert jobs[5 * CHUNK].job_id not in positions.told
    await positions.announce_all()
    order = list(waitlist.order(0.0))
    assert order[0] is jobs[-1] and newcomer in order and len(order) == 10 * CHUNK - 1
    for place, waiting in enumerate(order, 1):
        told = positions.told[waiting.job_id].position
        assert told == place if place <= 20 else abs(told - place) * 10 < told
        assert feeds[waiting.job_id].latest == positions.told[waiting.job_id]


PICTURE = cost_key(ImagineRequest(prompt="a boat"))


def film(count: int = 1, seconds: float | None = None) -> str:
    """Return the cost key of so many videos of words."""
    return cost_key(VideoRequest(prompt="a boat", num_images=count, seconds=seconds))


def test_a_video_is_estimated_by_videos_and_by_its_length_and_never_by_pictures() -> None:
    estimate = Estimate()
    estimate.add(PICTURE, 1.0)
    assert estimate.seconds(film()) is None, "nobody knows"
    estimate.add(film(), 60.0)
    assert (estimate.seconds(film()), estimate.seconds(film(4))) == (60.0, 240.0)
    assert estimate.seconds(film(1, 6.0)) == 120.0
    assert estimate.seconds(PICTURE) == 1.0
    estimate.add(film(4), 200.0)
    assert estimate.seconds(film(4)) == 200.0, "what was measured itself"


async def test_times_behind_a_video_count_it_and_none_is_told_while_nobody_knows() -> None:
    waitlist, feeds, executor = Waitlist(), Feeds(), HandExecutor({"cpu": 1})
    positions = Positions(waitlist, {}, feeds, executor, Estimate(), Limits())
    positions.estimate.add(PICTURE, 1.0)
    video, picture = replace(job(user=1), cost_key=film(4)), replace(job(user=2), cost_key=PICTURE)
    for waiting in (video, picture):
        waitlist.add(waiting, 0.0)
        feeds.open(waiting.job_id, waiting.user_id, datetime.now(UTC))

    async def told() -> list[tuple[int, float | None]]:
        await positions.announce_all()
        events = [positions.told[waiting.job_id] for waiting in waitlist.order(0.0)]
        assert positions.position(picture.job_id) == events[1], "the same when one asks"
        return [(event.position, event.eta) for event in events]

    assert next(iter(waitlist.order(0.0))) is video
    assert await told() == [(1, None), (2, None)]
    positions.estimate.add(film(), 50.0)
    assert await told() == [(1, 0.0), (2, 200.0)]


class Starting(HandExecutor):
    """Its devices aren't ready until they are let."""

    state = "starting"

    @property
    def devices(self) -> Sequence[Device]:
        return [replace(device, state=self.state) for device in super().devices]


async def test_who_waits_before_a_worker_is_ready_is_told_so_and_no_time() -> None:
    waitlist, feeds, executor = Waitlist(), Feeds(), Starting({"cpu": 1})
    estimate, waiting = Estimate(), job()
    estimate.add(waiting.cost_key, 4.0)
    positions = Positions(waitlist, {}, feeds, executor, estimate, Limits())
    waitlist.add(waiting, 0.0)
    feeds.open(waiting.job_id, waiting.user_id, datetime.now(UTC))
    await positions.announce_all()
    assert feeds[waiting.job_id].latest == Queued(1, starting=True) == positions.position(waiting.job_id)
    executor.state = "ready"
    await positions.announce_all()
    assert feeds[waiting.job_id].latest == Queued(1, 0.0)
