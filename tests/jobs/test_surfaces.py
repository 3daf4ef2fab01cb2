"""Jobs asked on another surface than Discord, and the news that such a surface lives on."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import UserError
from core.events import Cancelled, Progress, Queued, Rendered, Started
from core.job import Status, Surface
from jobs import feed
from jobs.feed import Feeds
from jobs.queue import Queue
from tests.jobs.conftest import ask, done, held, open_queue, until
from tests.jobs.hand_executor import HandExecutor
from vision.protocol import Broke, Fault, Step

WEB = {"surface": Surface.WEB, "guild_id": None, "channel_id": 0, "interaction_id": None}


async def _ask_on_the_web(queue: Queue, **origin: object) -> str:
    return (await ask(queue, origin={**WEB, **origin})).job.id


async def _ended(queue: Queue, job_id: str) -> None:
    await until(lambda: job_id not in queue.dispatcher.feeds)


async def test_a_web_job_is_delivered_when_it_is_rendered(queue: Queue, executor: HandExecutor) -> None:
    job_id = await _ask_on_the_web(queue)
    await held(executor, job_id)
    assert (await queue.job(job_id)).origin.surface is Surface.WEB
    executor.end(done(executor, job_id))
    await _ended(queue, job_id)
    assert (await queue.job(job_id)).status is Status.DELIVERED
    assert [p.seed for p in (await queue.result(job_id)).pictures] == [0, 1, 2, 3]
    assert await anext(queue.watch(job_id)) == Rendered()
    assert not await queue.delivered(job_id, message_id=None, channel_id=None, rung="edit")


async def _failed(queue: Queue, executor: HandExecutor, job_id: str) -> None:
    await held(executor, job_id)
    executor.end(Broke(job_id, Fault.USER, "No."))


async def _given_up(queue: Queue, executor: HandExecutor, job_id: str) -> None:
    for _ in range(3):
        await held(executor, job_id)
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
        await held(executor, job_id)
    second = HandExecutor()
    async with open_queue(tmp_path, second) as queue:
        assert await queue.undelivered() == []
        await held(second, job_id)
        second.end(done(second, job_id))
        await _ended(queue, job_id)
        assert (await queue.job(job_id)).status is Status.DELIVERED


async def test_a_request_key_gives_its_person_the_same_job_for_good(
    queue: Queue, executor: HandExecutor
) -> None:
    first = await ask(queue, origin={**WEB, "request_key": "form"})
    await held(executor, first.job.id)
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
            await held(executor, job_id)
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
