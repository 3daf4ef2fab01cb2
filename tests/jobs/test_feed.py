"""Jobs asked on another surface than Discord, and the news that such a surface lives on. The task that tells
positions ends when it is asked to, and looks at no more than it must."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import UserError
from core.events import Cancelled, Progress, Queued, Rendered, Started
from core.job import Status, Surface
from jobs import feed
from jobs.admission import Limits
from jobs.eta import CHUNK, Estimate, Positions
from jobs.executors.base import Device
from jobs.feed import Feeds
from jobs.queue import Queue
from jobs.waitlist import Waitlist
from tests.jobs.conftest import ask, done, open_queue, until
from tests.jobs.hand_executor import HandExecutor
from tests.jobs.test_policy import job
from vision.protocol import Broke, Fault, Step

WEB = {"surface": Surface.WEB, "guild_id": None, "channel_id": 0, "interaction_id": None}


async def _ask_on_the_web(queue: Queue, **origin: object) -> str:
    return (await ask(queue, origin={**WEB, **origin})).job.id


async def _held(executor: HandExecutor, job_id: str) -> None:
    await until(lambda: job_id in executor.held)


async def _ended(queue: Queue, job_id: str) -> None:
    await until(lambda: job_id not in queue.dispatcher.feeds)


async def test_a_web_job_is_delivered_when_it_is_rendered(queue: Queue, executor: HandExecutor) -> None:
    job_id = await _ask_on_the_web(queue)
    await _held(executor, job_id)
    assert (await queue.job(job_id)).origin.surface is Surface.WEB
    executor.end(done(executor, job_id))
    await _ended(queue, job_id)
    assert (await queue.job(job_id)).status is Status.DELIVERED
    assert [p.seed for p in (await queue.result(job_id)).pictures] == [0, 1, 2, 3]
    assert await anext(queue.watch(job_id)) == Rendered()
    assert not await queue.delivered(job_id, message_id=None, channel_id=None, rung="edit")


async def _failed(queue: Queue, executor: HandExecutor, job_id: str) -> None:
    await _held(executor, job_id)
    executor.end(Broke(job_id, Fault.USER, "No."))


async def _given_up(queue: Queue, executor: HandExecutor, job_id: str) -> None:
    for _ in range(3):
        await _held(executor, job_id)
        executor.end(Broke(job_id, Fault.ERROR, "Broken."))
        await until(lambda: job_id not in executor.held)


async def _cancelled(queue: Queue, executor: HandExecutor, job_id: str) -> None:
    assert await queue.cancel(job_id)


async def _cleared(queue: Queue, executor: HandExecutor, job_id: str) -> None:
    await queue.clear(9)


@pytest.mark.parametrize("end", [_failed, _given_up, _cancelled, _cleared])
async def test_nobody_is_to_be_told_how_a_web_job_ended(
    queue: Queue, executor: HandExecutor, end: Callable[[Queue, HandExecutor, str], Awaitable[None]]
) -> None:
    if end is _cleared:
        await queue.pause(9)
    jobs = []
    for origin in (WEB, {}):
        jobs.append((await ask(queue, origin=origin)).job.id)
        await end(queue, executor, jobs[-1])
        await _ended(queue, jobs[-1])
    assert [job.id for job in await queue.undelivered()] == jobs[1:], "only Discord's"
    assert {(await queue.job(job_id)).status for job_id in jobs} <= {Status.FAILED, Status.CANCELLED}


async def test_a_web_job_that_a_crash_cut_off_is_taken_up_but_never_followed(tmp_path: Path) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor) as queue:
        job_id = await _ask_on_the_web(queue)
        await _held(executor, job_id)
    second = HandExecutor()
    async with open_queue(tmp_path, second) as queue:
        assert await queue.undelivered() == []
        await _held(second, job_id)
        second.end(done(second, job_id))
        await _ended(queue, job_id)
        assert (await queue.job(job_id)).status is Status.DELIVERED


async def test_a_request_key_gives_its_person_the_same_job_for_good(
    queue: Queue, executor: HandExecutor
) -> None:
    first = await ask(queue, origin={**WEB, "request_key": "form"})
    await _held(executor, first.job.id)
    executor.end(done(executor, first.job.id))
    await _ended(queue, first.job.id)
    again = await ask(queue, origin={**WEB, "request_key": "form"})
    assert again.duplicate and again.job.id == first.job.id, "also when the job is long over"
    assert (await ask(queue, origin={**WEB, "request_key": "another"})).job.id != first.job.id
    other = await ask(queue, user=2, origin={**WEB, "request_key": "form"})
    assert other.job.origin.user_id == 2 and not other.duplicate, "a key opens nobody else's job"


async def test_one_key_asked_many_times_at_once_is_one_job(queue: Queue) -> None:
    asked = await asyncio.gather(*(ask(queue, origin={**WEB, "request_key": "k"}) for _ in range(10)))
    assert len({one.job.id for one in asked}) == 1


async def test_news_tells_the_newest_state_of_ones_own_jobs(tmp_path: Path) -> None:
    executor = HandExecutor({"cpu": 3})
    async with open_queue(tmp_path, executor) as queue:
        start = queue.news(1).at
        mine, others = await _ask_on_the_web(queue), (await ask(queue, user=2)).job.id
        asked_in_chat = (await ask(queue)).job.id
        for job_id in (mine, others, asked_in_chat):
            await _held(executor, job_id)
        executor.report(Step(mine, 1, 4, None))
        executor.report(Step(mine, 2, 4, None))
        news = queue.news(1, start)
        assert news.complete and news.changed == {mine, asked_in_chat}
        assert news.live == {mine: Progress(2, 4, None), asked_in_chat: Started()}

        quiet = queue.news(1, news.at)
        assert (quiet.live, quiet.changed, quiet.at, quiet.complete) == ({}, frozenset(), news.at, True)
        executor.report(Step(mine, 3, 4, None))
        assert queue.news(1, news.at).live == {mine: Progress(3, 4, None)}
        executor.end(done(executor, mine))
        await _ended(queue, mine)
        ended = queue.news(1, news.at)
        assert ended.live == {} and ended.changed == {mine}


async def test_news_tells_where_a_job_waits_and_that_it_was_cancelled(queue: Queue) -> None:
    await queue.pause(9)
    job_id = await _ask_on_the_web(queue)
    news = queue.news(1, queue.news(1).at - 5)
    assert isinstance(news.live[job_id], Queued) and news.live[job_id].position == 1
    await queue.cancel(job_id)
    assert queue.news(1, news.at).changed == {job_id}


async def test_news_says_when_it_cannot_tell_all(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not queue.news(1).complete, "a point of before the start"
    now = queue.news(1).at
    assert not queue.news(1, now + 1).complete, "a point of a later process"
    queue.note_changed(1, "a", "b")
    assert queue.news(1, now).changed == {"a", "b"} and not queue.news(2, now).changed
    queue.note_changed(2)
    assert not queue.news(2, now).complete and queue.news(1, now).complete
    monkeypatch.setattr(feed, "CHANGES_KEPT", 3)
    queue.note_changed(3, "c", "d", "e", "f")
    assert not queue.news(1, now).complete and queue.news(1, queue.news(1).at).complete


async def test_a_watcher_may_wait_in_its_own_way(queue: Queue) -> None:
    waits = []

    async def own(awaitable: Awaitable[object]) -> object:
        waits.append(1)
        return await awaitable

    await queue.pause(9)
    job_id = await _ask_on_the_web(queue)
    watch = queue.watch(job_id, own)
    assert isinstance(await anext(watch), Queued) and waits
    await queue.cancel(job_id)
    assert await anext(watch) == Cancelled()
    with pytest.raises(UserError, match="no such job"):
        await anext(queue.watch("nobody", own))


def test_feeds_keep_nothing_of_jobs_that_are_over() -> None:
    feeds = Feeds()
    for number in range(20_000):
        feeds.open(str(number), number % 7, datetime.now(UTC))
        feeds.end(str(number), Rendered())
    assert len(feeds) == 0 and not feeds._jobs and len(feeds._changes) == feed.CHANGES_KEPT


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
