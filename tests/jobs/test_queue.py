import asyncio
import errno
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import ImageError, LimitError, NotAllowedError, NotYet, PromptError, StorageError, UserError
from core.events import Cancelled, Failed, Loading, Paused, Progress, Queued, Rendered, Started
from core.job import Job, Lane, Origin, Status
from core.requests import DescribeRequest, ImagineRequest, VariationRequest
from jobs import eta, runs, waitlist
from jobs.admission import Limits
from jobs.dispatcher import INPUT_GONE, UNREADABLE
from jobs.executors.base import Lost
from jobs.feed import Wait
from jobs.queue import Queue
from jobs.runs import CUT_OFF, GAVE_UP, NOT_BEGUN
from storage import privacy
from storage.blobs.local import Folder
from storage.database import open_database
from storage.jobs import MAX_ATTEMPTS, MAX_CUT_OFF, claim, recover
from storage.people import RoleLimit
from tests.jobs.conftest import LIMITS, ask, ask_held, done, eventually, held, is_at, open_queue, until
from tests.jobs.fake_worker import picture_of
from tests.jobs.hand_executor import HandExecutor
from tests.support.fresh import address_in
from vision.protocol import Broke, Fault, LoadingModel, Step, Stopped

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def ends(queue: Queue, job_id: str, wait: Wait | None = None) -> Any:
    """The last event of a job."""
    last = None
    async with asyncio.timeout(20):
        async for event in queue.watch(job_id, wait):
            last = event
    return last


# One job's life


async def test_a_job_goes_from_asked_to_delivered(queue: Queue, executor: HandExecutor) -> None:
    submitted = await ask(queue, seed=7)
    job_id = submitted.job.id
    assert (submitted.position, submitted.eta, submitted.duplicate) == (1, None, False)
    await held(executor, job_id)
    assert (await queue.job(job_id)).status is Status.RUNNING
    watch = queue.watch(job_id)
    assert await anext(watch) == Started()
    executor.report(LoadingModel(job_id, "a model", 0.5))
    assert await anext(watch) == Loading("a model", 0.5)
    executor.report(Step(job_id, 1, 3, b"preview"))
    assert await anext(watch) == Progress(1, 3, b"preview")
    executor.end(done(executor, job_id))
    assert await anext(watch) == Rendered()
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
    result = await queue.result(job_id)
    assert [p.seed for p in result.pictures] == [7, 8, 9, 10] and result.grid.index == -1
    assert result.parameters == {"model": "fake", "seed": 7, "notes": []}
    assert await queue.files.get(result.pictures[0].sha256) == picture_of(7).data
    assert [job.id for job in await queue.undelivered()] == [job_id]
    assert await queue.delivered(job_id, message_id=5, channel_id=2, rung="edit")
    assert await queue.undelivered() == []
    assert await queue.last_picture(1) == (await queue.job(job_id), 0)
    assert (await queue.job_of_message(5))[0].status is Status.DELIVERED


async def test_a_watcher_sees_the_newest_never_a_backlog(queue: Queue, executor: HandExecutor) -> None:
    job_id = (await ask(queue)).job.id
    watch = queue.watch(job_id)
    assert isinstance(await anext(watch), Queued)
    await held(executor, job_id)
    for step in range(1, 50):
        executor.report(Step(job_id, step, 50, b"early" if step == 10 else None))
    assert [await anext(watch), await anext(watch)] == [Started(), Progress(49, 50, b"early")]
    executor.report(Step(job_id, 50, 50))
    executor.end(done(executor, job_id))
    await until(lambda: job_id not in queue.dispatcher.feeds)
    assert await anext(watch) == Rendered()


async def test_several_may_watch_and_latecomers_get_the_end_at_once(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = (await ask(queue)).job.id
    watchers = [asyncio.create_task(ends(queue, job_id)) for _ in range(5)]
    await held(executor, job_id)
    executor.end(done(executor, job_id))
    assert await asyncio.gather(*watchers) == [Rendered()] * 5
    assert await ends(queue, job_id) == Rendered()


async def test_a_watcher_that_goes_away_disturbs_nobody(queue: Queue, executor: HandExecutor) -> None:
    job_id = (await ask(queue)).job.id
    gone = asyncio.create_task(ends(queue, job_id))
    stays = asyncio.create_task(ends(queue, job_id))
    await held(executor, job_id)
    gone.cancel()
    executor.end(done(executor, job_id))
    assert await stays == Rendered()


async def test_every_wait_of_a_watcher_goes_through_the_hook(queue: Queue, executor: HandExecutor) -> None:
    waits = []

    async def outside(awaitable: Any) -> Any:
        waits.append(1)
        return await awaitable

    job_id = (await ask(queue)).job.id
    task = asyncio.create_task(ends(queue, job_id, outside))
    await held(executor, job_id)
    executor.end(done(executor, job_id))
    assert await task == Rendered()
    assert len(waits) >= 2


async def test_a_job_that_never_was_is_said(queue: Queue) -> None:
    with pytest.raises(UserError, match="no such job"):
        await anext(queue.watch("nobody"))
    assert await queue.job("nobody") is None and await queue.result("nobody") is None
    assert not await queue.cancel("nobody")


# Asking


async def test_a_replayed_interaction_is_the_same_job(queue: Queue) -> None:
    results = await asyncio.gather(*(ask(queue, origin={"interaction_id": 5}) for _ in range(10)))
    assert len({r.job.id for r in results}) == 1
    assert sorted(r.duplicate for r in results) == [False] + [True] * 9


async def test_a_double_click_is_one_job_until_it_is_delivered(queue: Queue, executor: HandExecutor) -> None:
    press = {"press_key": "5:v1:1"}
    first = (await ask(queue, origin=press)).job.id
    assert (await ask(queue, origin=press)).job.id == first
    await held(executor, first)
    executor.end(done(executor, first))
    await until(lambda: first not in queue.dispatcher.feeds)
    assert (await ask(queue, origin=press)).duplicate
    await queue.delivered(first, message_id=1, channel_id=2, rung="edit")
    assert not (await ask(queue, origin=press)).duplicate


async def test_limits_are_told_at_once(tmp_path: Path, executor: HandExecutor) -> None:
    async with open_queue(tmp_path, executor, Limits(user_waiting=2, guild_waiting=3, disk_floor=0)) as queue:
        await queue.pause(9)
        await ask(queue), await ask(queue)
        with pytest.raises(LimitError, match="You have 2 jobs waiting; the limit is 2"):
            await ask(queue)
        await ask(queue, user=2)
        with pytest.raises(LimitError, match="This server has 3 jobs waiting; the limit is 3"):
            await ask(queue, user=3)
        assert (await ask(queue, user=3, origin={"guild_id": None})).position == 3
        await queue.admin.set_role_rule(9, 3, RoleLimit(77, 5, 50))
        with pytest.raises(LimitError, match="This server"):
            await ask(queue, origin={"roles": (77,)})


async def test_asking_all_at_once_gets_nobody_over_the_limit(queue: Queue) -> None:
    await queue.pause(9)
    results = await asyncio.gather(*(ask(queue) for _ in range(30)), return_exceptions=True)
    assert sum(isinstance(r, LimitError) for r in results) == 20
    assert (await queue.mine(1)).total_waiting == 10


async def test_a_nearly_full_disk_refuses_cleanly_and_starts_nothing(
    tmp_path: Path, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.admission.DISK_KNOWN", 0.0)
    async with open_queue(tmp_path, executor) as queue:
        await queue.pause(9)
        job_id = (await ask(queue)).job.id
        real = queue.files.free_bytes
        queue.dispatcher.limits = queue.admission.limits = replace(LIMITS, disk_floor=10**6)
        queue.files.free_bytes = lambda: 10**5
        with pytest.raises(LimitError, match="less than 1 MB free"):
            await ask(queue)
        await queue.resume(9)
        await until(lambda: queue.health().problem == "the disk is nearly full")
        assert job_id in queue.dispatcher.waitlist
        queue.files.free_bytes = real
        queue.dispatcher.wake()
        await held(executor, job_id)
        assert queue.health().ok


async def test_a_picture_that_is_gone_is_told_on_asking_and_on_running(
    queue: Queue, executor: HandExecutor
) -> None:
    with pytest.raises(ImageError, match="gone"):
        await queue.submit(DescribeRequest(image="a" * 64), Origin(1, 2))
    await queue.pause(9)
    sha = await queue.files.put(picture_of(1).data, "image/png")
    job_id = (await queue.submit(VariationRequest(prompt="", image=sha), Origin(1, 2))).job.id
    await queue.files.remove(sha)
    await queue.resume(9)
    assert await ends(queue, job_id) == Failed(INPUT_GONE)


async def test_input_pictures_reach_the_worker_as_paths(queue: Queue, executor: HandExecutor) -> None:
    sha = await queue.files.put(picture_of(1).data, "image/png")
    job_id = (await queue.submit(DescribeRequest(image=sha), Origin(1, 2))).job.id
    await held(executor, job_id)
    assert executor.held[job_id].run.paths == {sha: str(queue.files.path(sha))}


async def test_lineage_is_kept_and_a_parent_must_be_there(queue: Queue) -> None:
    parent = (await ask(queue)).job.id
    child = (await ask(queue, parent=(parent, 2))).job
    assert ((await queue.job(child.id)).parent_id, child.parent_index) == (parent, 2)
    assert await queue.children(parent, 2) == 1
    with pytest.raises(UserError, match="gone"):
        await ask(queue, parent=("nobody", 0))


async def test_a_caller_that_gives_up_leaves_a_whole_job_or_none(
    queue: Queue, executor: HandExecutor
) -> None:
    for pause in range(12):
        task = asyncio.create_task(ask(queue, user=pause))
        await asyncio.sleep(pause * 0.0006)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.gather(*queue.tasks, return_exceptions=True)
    rows = await queue.undelivered()
    await until(lambda: not queue.dispatcher.claims)
    taken = {w.job_id for w in queue.dispatcher.waitlist} | set(queue.dispatcher.running)
    assert {job.id for job in rows} == taken


async def test_a_job_is_listed_while_it_is_claimed_and_when_it_starts_during_the_reading(
    queue: Queue, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, go_on = queue.dispatcher, threading.Event()
    claim, read = dispatcher.claims.claim_row, queue.database.read

    def held(*args):
        go_on.wait(10)
        return claim(*args)

    async def read_and_start(*args, **options):
        found = await read(*args, **options)
        go_on.set()
        await until(lambda: job.id in dispatcher.running)
        return found

    monkeypatch.setattr(dispatcher.claims, "claim_row", held)
    job = (await ask(queue)).job
    await until(lambda: len(dispatcher.claims) == 1)
    for listed in (await queue.mine(1), await queue.snapshot()):
        assert [view.job.id for view in listed.jobs] == [job.id] and listed.total_waiting == 1
    monkeypatch.setattr(queue.database, "read", read_and_start)
    assert [view.job.id for view in (await queue.mine(1)).running] == [job.id]


# Faults


@pytest.mark.parametrize("fault", [Fault.USER, Fault.MODEL, Fault.MEMORY])
async def test_what_would_end_the_same_is_not_tried_again(
    queue: Queue, executor: HandExecutor, fault: Fault
) -> None:
    job_id = await ask_held(executor, queue)
    executor.end(Broke(job_id, fault, "It can't be done."))
    assert await ends(queue, job_id) == Failed("It can't be done.")
    assert (await queue.job(job_id)).attempts == 1


@pytest.mark.parametrize(
    "outcome",
    [
        lambda i: Broke(i, Fault.ERROR, "It broke."),
        lambda i: Broke(i, Fault.PROCESS, "It broke."),
        lambda i: Lost(i, "killed"),
        Stopped,
    ],
)
async def test_a_poison_job_is_tried_three_times(queue: Queue, executor: HandExecutor, outcome: Any) -> None:
    job_id = (await ask(queue)).job.id
    for attempt in range(1, 4):
        await until(lambda n=attempt: len(executor.started) == n)
        executor.end(outcome(job_id))
    assert await ends(queue, job_id) in (Failed("It broke."), Failed(GAVE_UP))
    assert executor.started == [job_id] * 3


async def test_a_watcher_sees_a_retry_as_waiting_and_starting_again(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = await ask_held(executor, queue)
    watch = queue.watch(job_id)
    async with asyncio.timeout(10):
        assert await anext(watch) == Started()
        await queue.pause(9)
        executor.end(Lost(job_id, "killed"))
        assert isinstance(await anext(watch), Queued)
        await queue.resume(9)
        while isinstance(event := await anext(watch), Queued):
            pass
    assert event == Started()
    await until(lambda: executor.started == [job_id, job_id])


async def test_a_database_that_refuses_for_a_while_loses_no_result(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = await ask_held(executor, queue)
    write, refused = queue.database.write, []

    async def refuse(work: Any, **options: Any) -> Any:
        if len(refused) < 3:
            refused.append(1)
            raise StorageError("disk I/O error")
        return await write(work, **options)

    queue.database.write = refuse
    executor.end(done(executor, job_id))
    assert await ends(queue, job_id) == Rendered()
    assert len(refused) == 3


async def test_a_disk_that_fills_up_is_helped_by_the_ballast(queue: Queue, executor: HandExecutor) -> None:
    job_id = await ask_held(executor, queue)
    put = queue.files.put

    async def full_while_there_is_ballast(data: bytes, media_type: str) -> str:
        if queue.files.ballast.exists():
            raise no_space()
        return await put(data, media_type)

    queue.files.put = full_while_there_is_ballast
    executor.end(done(executor, job_id))
    assert await ends(queue, job_id) == Rendered()


async def test_what_a_full_disk_does_not_take_waits_until_there_is_room(
    queue: Queue, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "AWAY_PAUSES", (0.01,))
    job_id = await ask_held(executor, queue)
    put, tries = queue.files.put, 0

    async def full(data: bytes, media_type: str) -> str:
        nonlocal tries
        tries += 1
        if tries < 5:
            raise no_space()
        return await put(data, media_type)

    queue.files.put = full
    executor.end(done(executor, job_id))
    await until(lambda: queue.dispatcher.saving.waits)
    another = (await ask(queue)).job.id
    assert another not in executor.held and not queue.health().ok
    assert await ends(queue, job_id) == Rendered()
    await held(executor, another)


async def test_what_can_not_be_written_is_an_honest_failure(queue: Queue, executor: HandExecutor) -> None:
    job_id = await ask_held(executor, queue)

    async def broken(data: bytes, media_type: str) -> str:
        raise StorageError("Input/output error") from OSError(errno.EIO, "Input/output error")

    queue.files.put = broken
    executor.end(done(executor, job_id))
    assert "couldn't be saved" in (await ends(queue, job_id)).message


def no_space() -> StorageError:
    error = StorageError("a file of 9 bytes can't be written: No space left on device")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


async def test_a_row_of_another_version_fails_and_blocks_nobody(queue: Queue, executor: HandExecutor) -> None:
    await queue.pause(9)
    odd, good = (await ask(queue)).job.id, (await ask(queue, user=2)).job.id
    sculpt = sa.text("UPDATE jobs SET kind = 'sculpt' WHERE id = :i")
    await queue.database.write(lambda c: c.execute(sculpt, {"i": odd}))
    task = asyncio.create_task(ends(queue, odd))
    await asyncio.sleep(0)
    await queue.resume(9)
    assert await task == Failed(UNREADABLE)
    await held(executor, good)


async def test_a_job_from_before_a_limit_was_lowered_is_shown_and_ends_with_the_limit(queue: Queue) -> None:
    await queue.pause(9)
    job_id = (await ask(queue)).job.id
    wide = {"i": job_id, "r": '{"prompt": "a red house", "width": 100000, "height": 64}'}
    change = sa.text("UPDATE jobs SET request = :r WHERE id = :i")
    await queue.database.write(lambda c: c.execute(change, wide) and None)
    job = await queue.job(job_id)
    assert job is not None and job.request.width == 100_000
    await queue.resume(9)
    assert "`width` is 100000 px" in (await ends(queue, job_id)).message


async def test_a_worker_that_died_before_it_had_the_job_costs_no_attempt(
    queue: Queue, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waitlist, "REFUSAL_PAUSES", (0.0,) * 4)
    monkeypatch.setattr(waitlist, "BROKEN_PAUSES", (0.0,))
    job_id = (await ask(queue)).job.id
    for attempt in range(1, 4):
        await until(lambda n=attempt: len(executor.started) == n)
        executor.end(Lost(job_id, "gone", untouched=True))
    await until(lambda: len(executor.started) == 4)
    executor.end(done(executor, job_id))
    assert await ends(queue, job_id) == Rendered()
    assert (await queue.job(job_id)).attempts == 1


# Several jobs in one worker


async def _together(queue: Queue, executor: HandExecutor, count: int) -> list[str]:
    """Jobs of ``count`` members, all in one worker's hands."""
    ids = [(await ask(queue, user=user)).job.id for user in range(1, count + 1)]
    await until(lambda: set(ids) <= set(executor.held))
    return ids


async def _lose_all(queue: Queue, executor: HandExecutor) -> None:
    """The worker dies with everything it has."""
    ids = list(executor.held)
    for job_id in ids:
        executor.end(Lost(job_id, "killed", shared=len(ids) > 1), cool=True)
    await until(lambda: not set(ids) & set(queue.dispatcher.running))
    executor.cooled()


async def test_a_job_that_kills_its_worker_costs_those_beside_it_no_attempt(tmp_path: Path) -> None:
    executor = HandExecutor({"cuda:0": 4})
    async with open_queue(tmp_path, executor) as queue:
        poison, *others = await _together(queue, executor, 4)
        await _lose_all(queue, executor)
        tries = 1
        while {poison, *others} & set(queue.dispatcher.feeds):
            await until(lambda: executor.held)
            (job_id,) = executor.held  # one suspect at a time
            if job_id == poison:
                tries += 1
                await _lose_all(queue, executor)
            else:
                executor.end(done(executor, job_id))
                await until(lambda i=job_id: i not in queue.dispatcher.running)
        assert tries == 3 and await ends(queue, poison) == Failed(GAVE_UP)
        for job_id in others:
            assert await ends(queue, job_id) == Rendered()
            assert (await queue.job(job_id)).attempts == 1


async def test_what_ran_at_one_crash_of_ours_runs_beside_others_and_what_ran_at_two_alone(tmp_path) -> None:
    for life in range(2):
        executor = HandExecutor({"cuda:0": 4})
        async with open_queue(tmp_path, executor) as queue:
            if not life:
                await _together(queue, executor, 2)
            await until(lambda held=executor.held: len(held) == 2)
            queue.database._closed = True  # no note of anything any more, as in a crash
            await queue.dispatcher.executor.stop()
    executor = HandExecutor({"cuda:0": 4})
    async with open_queue(tmp_path, executor) as queue:
        fresh = (await ask(queue, user=9)).job.id
        for _ in range(3):
            await until(lambda: executor.held)
            (job_id,) = executor.held
            executor.end(done(executor, job_id))
            await until(lambda i=job_id: i not in queue.dispatcher.running)
        assert fresh in executor.started and not queue.dispatcher.feeds


async def test_a_newcomer_gets_a_free_slot_at_once(tmp_path: Path) -> None:
    executor = HandExecutor({"cuda:0": 4})
    async with open_queue(tmp_path, executor) as queue:
        for _ in range(8):
            await ask(queue, user=1)
        await until(lambda: len(executor.held) == 3)  # the member's limit
        newcomer = await ask(queue, user=2)
        assert newcomer.position == 1
        await held(executor, newcomer.job.id)


async def test_the_time_told_counts_a_shared_device_once(tmp_path: Path) -> None:
    executor = HandExecutor({"cuda:0": 2})
    async with open_queue(tmp_path, executor) as queue:
        # of the device, not of the clock
        queue.dispatcher.positions.estimate.add("imagine|0x0x4s0|image", 10.0)
        running = await _together(queue, executor, 2)
        waiting = [(await ask(queue, user=user)).job.id for user in (3, 4, 5)]
        times = [view.eta for view in (await queue.snapshot()).waiting]
        assert [round(seconds) for seconds in times] == [20, 20, 30]
        executor.end(done(executor, running[0]))
        await held(executor, waiting[0])


async def test_the_time_told_heeds_how_many_a_member_may_run(tmp_path: Path) -> None:
    executor = HandExecutor({"cuda:0": 8})
    async with open_queue(tmp_path, executor) as queue:
        queue.dispatcher.positions.estimate.add("imagine|0x0x4s0|image", 10.0)
        for _ in range(3):
            await ask(queue)
        await until(lambda: len(executor.held) == 3)
        mine = [await ask(queue) for _ in range(4)]
        # three beside each other take 10 s each of the one device; then the first of those that waited
        expected = [30, 30, 30, 40]
        assert [round(submitted.eta) for submitted in mine] == expected
        assert [round(view.eta) for view in (await queue.snapshot()).waiting] == expected
        queue.dispatcher.positions.told = {}
        await queue.dispatcher.positions.announce_all()
        told = queue.dispatcher.positions.told
        assert [round(told[submitted.job.id].eta) for submitted in mine] == expected


async def test_the_time_told_runs_down_while_nothing_moves(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(eta, "COUNT_DOWN", 0.1)
    executor = HandExecutor({"cuda:0": 1})
    async with open_queue(tmp_path, executor) as queue:
        queue.dispatcher.positions.estimate.add("imagine|0x0x4s0|image", 5.0)
        await held(executor, (await ask(queue)).job.id)
        watch, times = queue.watch((await ask(queue)).job.id), []
        async with asyncio.timeout(20):
            while len(times) < 3:
                told = (await anext(watch)).eta
                times += [told] if told else []  # a look from before the first job ran is kept for a moment
        assert times == sorted(times, reverse=True) and times[2] <= 5.0 * 0.8**2 + 0.1


async def test_a_waiting_job_of_a_member_who_may_run_none_holds_nobody_up(tmp_path: Path) -> None:
    """Earlier versions took such jobs in."""
    executor = HandExecutor({"cuda:0": 1})
    async with open_queue(tmp_path, executor) as queue:
        queue.dispatcher.positions.estimate.add("imagine|0x0x4s0|image", 10.0)
        await queue.pause(9)
        stuck = (await ask(queue, user=2)).job.id
        queue.dispatcher.waitlist.get(stuck).max_running = 0
        await queue.resume(9)
        submitted = await ask(queue)
        await until(lambda: submitted.job.id in executor.held)
        assert queue.dispatcher.positions.position(stuck).eta is not None
        queue.dispatcher.positions.told = {}
        await queue.dispatcher.positions.announce_all()
        assert stuck in queue.dispatcher.positions.told


# Cancelling


async def test_a_waiting_job_is_cancelled_and_never_runs(queue: Queue, executor: HandExecutor) -> None:
    first, second = (await ask(queue)).job.id, (await ask(queue)).job.id
    await held(executor, first)
    assert await queue.cancel(second)
    assert await ends(queue, second) == Cancelled()
    assert not await queue.cancel(second)
    executor.end(done(executor, first))
    await ends(queue, first)
    assert executor.started == [first]


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancelled_running_job_ends_at_once_and_frees_its_worker_when_that_stops(
    queue: Queue, executor: HandExecutor, late: bool
) -> None:
    first, second = (await ask(queue)).job.id, (await ask(queue)).job.id
    await held(executor, first)
    assert await queue.cancel(first)
    assert await ends(queue, first) == Cancelled()
    assert executor.asked_to_stop == {first}
    assert (await queue.snapshot()).running == ()
    executor.end(done(executor, first) if late else Stopped(first))
    await held(executor, second)
    assert (await queue.job(first)).status is Status.CANCELLED and await queue.result(first) is None


async def test_finish_and_cancel_at_the_same_moment_agree(tmp_path: Path) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor) as queue:
        for number in range(25):
            job_id = await ask_held(executor, queue, user=number)
            task = asyncio.create_task(ends(queue, job_id))
            await asyncio.sleep(0)
            executor.end(done(executor, job_id))
            for _ in range(number % 5):
                await asyncio.sleep(0.001)
            cancelled = await queue.cancel(job_id)
            assert await task == (Cancelled() if cancelled else Rendered())
            assert (await queue.job(job_id)).status is (Status.CANCELLED if cancelled else Status.RENDERED)
            await until(lambda: not queue.dispatcher.running)


async def test_a_cancel_that_shares_the_claims_commit_leaves_nothing_behind(
    tmp_path: Path, executor: HandExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_queue(tmp_path, executor) as queue:
        await queue.pause(9)
        job_id = (await ask(queue)).job.id
        async with queue.database._writing:  # the writer waits with this first one in hand
            holding = asyncio.create_task(queue.database.write(lambda connection: None))
            await asyncio.sleep(0)
            await until(lambda: not queue.database.waiting)
            queue.dispatcher.waitlist.paused = False
            queue.dispatcher.wake()
            await until(lambda: queue.database.waiting == 1)  # the claim
            cancelling = asyncio.create_task(queue.cancel(job_id))
            await until(lambda: queue.database.waiting == 2)
        assert await cancelling
        await holding
        await until(lambda: not queue.dispatcher.running)
        assert await ends(queue, job_id) == Cancelled()
        assert executor.started == []
        assert queue.dispatcher.positions.shares.beside("cpu") == 0
        assert not len(queue.dispatcher.feeds)
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_job_of_which_nobody_can_tell_whether_it_may_run_waits_for_that(
    tmp_path: Path, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "LATER", 0.02)
    known, asked = asyncio.Event(), []

    async def gate(job: Job, running: bool) -> None:
        if running and job.request.prompt == "who knows":
            asked.append(job.id)
            if not known.is_set():
                raise NotYet("Discord doesn't tell")

    async with open_queue(tmp_path, executor, gate=gate) as queue:
        waits = (await ask(queue, "who knows")).job.id
        gone = (await ask(queue, "who knows", user=2)).job.id
        await until(lambda: {waits, gone} <= set(asked))
        other = (await ask(queue, user=3)).job.id
        await held(executor, other)  # it stands in nobody's way
        await eventually(lambda: is_at(queue, gone, Status.QUEUED))
        assert await queue.cancel(gone)
        known.set()
        executor.end(done(executor, other))
        await held(executor, waits)
        assert (await queue.job(waits)).attempts == 1 and gone not in executor.held
        executor.end(done(executor, waits))
        await eventually(lambda: is_at(queue, waits, Status.RENDERED))


NO_NETWORK = "owner/name can't be downloaded: no route. The operator needs to check this machine's network."


async def test_a_job_whose_model_cannot_be_fetched_keeps_its_place_and_no_attempt_is_spent(
    queue: Queue, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "FETCH_PAUSES", (0.01,))
    first, second = [(await ask(queue)).job.id for _ in range(2)]
    watch = queue.watch(first)
    for _ in range(5):  # more often than a job may break
        await held(executor, first)
        executor.end(Broke(first, Fault.MODEL, NO_NETWORK, later=True))
        async for event in watch:
            if event == Queued(0, 0.01, why=runs.NOT_FETCHED):
                break
        assert (await queue.job(first)).attempts == 0
        await held(executor, second)  # it stands in nobody's way
        await until(lambda: first in queue.dispatcher.waitlist)
        third = (await ask(queue)).job.id
        executor.end(done(executor, second))
        await held(executor, first)  # before whoever came later
        second = third
        assert executor.started[-1] == first
    executor.end(done(executor, first))
    await eventually(lambda: is_at(queue, first, Status.RENDERED))
    assert (await queue.job(first)).attempts == 1


async def test_whoever_looks_sees_what_is_fetched_and_what_is_waited_for(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = await ask_held(executor, queue)
    executor.report(LoadingModel(job_id, "owner/name", 0.34, fetching=True, left=360.0))
    (view,) = (await queue.mine(1)).running
    assert view.loading == Loading("owner/name", 0.34, fetching=True, left=360.0)
    executor.end(Broke(job_id, Fault.MODEL, NO_NETWORK, later=True))
    await until(lambda: job_id in queue.dispatcher.held)
    (view,) = (await queue.mine(1)).waiting
    assert (view.why, view.eta) == (runs.NOT_FETCHED, runs.FETCH_PAUSES[0])
    assert [one.job.id for one in (await queue.snapshot()).waiting] == [job_id]
    assert await queue.cancel(job_id)
    assert (await queue.mine(1)).jobs == ()


@pytest.mark.parametrize("lost", ["lost", "broke"])
async def test_a_worker_that_ends_while_it_fetches_costs_no_attempt(
    queue: Queue, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(runs, "FETCH_PAUSES", (0.1,))
    job_id = (await ask(queue)).job.id
    for _ in range(5):
        await held(executor, job_id)
        executor.report(LoadingModel(job_id, "owner/name", 0.34, fetching=True, left=360.0))
        executor.end(Lost(job_id, "killed"))
        await eventually(lambda: is_at(queue, job_id, Status.QUEUED))
        assert (await queue.job(job_id)).attempts == 0
    for count in (7, 8):  # once it is here, whoever loads it may be to blame
        await held(executor, job_id)
        executor.report(LoadingModel(job_id, "owner/name", 0.5, fetching=True))
        executor.report(LoadingModel(job_id, "owner/name", 0.5))
        executor.end(Lost(job_id, "killed") if lost == "lost" else Broke(job_id, Fault.ERROR, "odd"))
        await until(lambda count=count: executor.started.count(job_id) == count)
    assert (await queue.job(job_id)).attempts == 3


async def test_a_model_that_can_never_be_fetched_ends_the_job_with_the_reason(
    queue: Queue, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "FETCH_PAUSES", (0.0,))
    monkeypatch.setattr(runs, "MOST_UNFETCHED", 2)
    job_id = (await ask(queue)).job.id
    for count in range(3):
        await until(lambda count=count: executor.started.count(job_id) > count)
        executor.end(Broke(job_id, Fault.MODEL, NO_NETWORK, later=True))
    assert await ends(queue, job_id) == Failed(runs.NOT_FETCHED)


async def test_a_job_cancelled_while_its_gate_is_asked_never_reaches_the_device(
    tmp_path: Path, executor: HandExecutor
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def gate(job: Job, running: bool) -> None:
        if running:
            asked.set()
            await answer.wait()

    async with open_database(address_in(tmp_path), None) as database:
        files = Folder(tmp_path / "pictures", ballast_bytes=4096)
        queue = Queue(database, files, executor, LIMITS, gate=gate)
        await queue.start()
        job_id = (await ask(queue)).job.id
        await asked.wait()
        assert await queue.cancel(job_id)
        answer.set()
        await until(lambda: not queue.dispatcher.running or executor.started)
        await queue.stop(0)
    assert executor.started == []


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("told", [False, True])
async def test_a_job_whose_row_is_deleted_ends_for_its_watchers(
    queue: Queue, executor: HandExecutor, runs: bool, told: bool
) -> None:
    if not runs:
        await queue.pause(9)
    job_id = (await ask(queue)).job.id
    if runs:
        await held(executor, job_id)
    watching = asyncio.create_task(ends(queue, job_id))
    await until(lambda: queue.dispatcher.feeds[job_id]._waiters)
    now = datetime.now(UTC)
    removed = await queue.database.write(partial(privacy.delete_person, user_id=1, now=now))
    if told:
        queue.note_deleted(1, removed.jobs)
        assert await watching == Cancelled(), "at once"
        assert executor.asked_to_stop == ({job_id} if runs else set())
    if runs:
        executor.end(done(executor, job_id))
    else:
        await queue.resume(9)
    assert await watching == Cancelled()
    assert not len(queue.dispatcher.feeds) and not len(queue.dispatcher.waitlist)


# Administering


async def test_pause_holds_what_waits_also_over_a_restart(tmp_path: Path, executor: HandExecutor) -> None:
    async with open_queue(tmp_path, executor) as queue:
        await queue.pause(9)
        job_id = (await ask(queue)).job.id
        await asyncio.sleep(0.05)
        assert executor.started == []
    async with open_queue(tmp_path, executor) as queue:
        assert (await queue.snapshot()).paused
        await asyncio.sleep(0.05)
        assert executor.started == []
        await queue.resume(9)
        await held(executor, job_id)


async def test_drain_finishes_what_is_there_and_takes_nothing_more(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = (await ask(queue, origin={"interaction_id": 77})).job.id
    await queue.drain(9)
    with pytest.raises(LimitError, match="no new jobs"):
        await ask(queue)
    assert (await ask(queue, origin={"interaction_id": 77})).duplicate, "what is there is still found"
    await held(executor, job_id)
    executor.end(done(executor, job_id))
    assert await ends(queue, job_id) == Rendered()
    await queue.resume(9)
    await ask(queue)


async def test_clear_cancels_waiting_jobs_of_one_or_of_all(queue: Queue, executor: HandExecutor) -> None:
    ran = await ask_held(executor, queue)
    mine, other = [(await ask(queue)).job.id for _ in range(3)], (await ask(queue, user=2)).job.id
    tasks = [asyncio.create_task(ends(queue, i)) for i in mine]
    await asyncio.sleep(0)
    assert await queue.clear(9, 1) == 3
    assert await asyncio.gather(*tasks) == [Cancelled()] * 3
    assert await queue.clear(9, guild_id=4) == 0
    assert await queue.clear(9) == 1
    assert (await queue.job(other)).status is Status.CANCELLED
    assert (await queue.job(ran)).status is Status.RUNNING


async def test_a_clear_of_many_lets_others_write_in_between(
    queue: Queue, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.queue.CLEARED_AT_ONCE", 2)
    await held(executor, (await ask(queue)).job.id)
    ids = [(await ask(queue, user=2 + number)).job.id for number in range(5)]
    writes = list[int]()
    before = queue.database.write

    async def counted(*arguments: Any, **named: Any) -> Any:
        found = await before(*arguments, **named)
        writes.append(len(found) if isinstance(found, list) else 0)
        return found

    monkeypatch.setattr(queue.database, "write", counted)
    assert await queue.clear(9) == 5
    assert writes == [2, 2, 1]
    for job_id in ids:
        job = await queue.job(job_id)
        assert job is not None and job.status is Status.CANCELLED


async def test_a_job_moved_to_the_front_runs_next(queue: Queue, executor: HandExecutor) -> None:
    first = await ask_held(executor, queue)
    waiting = [(await ask(queue, user=user)).job.id for user in (2, 3, 4)]
    assert await queue.move_to_front(9, waiting[2])
    assert not await queue.move_to_front(9, first)
    assert [view.job.id for view in (await queue.snapshot()).waiting] == [waiting[2], *waiting[:2]]
    executor.end(done(executor, first))
    await held(executor, waiting[2])


async def test_a_banned_member_is_refused_and_loses_what_waits(queue: Queue) -> None:
    await queue.pause(9)
    await ask(queue)
    assert await queue.admin.ban(9, 1, 3) == 1
    with pytest.raises(NotAllowedError, match="blocked you"):
        await ask(queue)
    await ask(queue, origin={"guild_id": 4})
    assert await queue.admin.banned(3) == [1]
    assert await queue.admin.unban(9, 1, 3)
    await ask(queue)


async def test_only_listed_channels_and_roles_may_be_used(queue: Queue) -> None:
    await queue.admin.allow(9, 3, "channel", 20)
    await queue.admin.allow(9, 3, "role", 70)
    with pytest.raises(NotAllowedError, match="<#20>"):
        await ask(queue)
    with pytest.raises(NotAllowedError, match="<@&70>"):
        await ask(queue, origin={"channel_id": 20})
    await ask(queue, origin={"channel_id": 20, "roles": (70,)})
    assert await queue.admin.allowed(3) == (frozenset({20}), frozenset({70}))
    await queue.admin.disallow(9, 3, "channel", 20)
    await queue.admin.disallow(9, 3, "role", 70)
    await ask(queue)


async def test_everything_an_admin_does_leaves_an_audit_row(queue: Queue) -> None:
    job_id = (await ask(queue)).job.id
    for act in (queue.pause, queue.resume, queue.drain, partial(queue.clear, user_id=1)):
        await act(9)
    await queue.move_to_front(9, job_id)
    for act in (queue.admin.ban, queue.admin.unban):
        await act(9, 1, 3)
    for act in (queue.admin.allow, queue.admin.disallow):
        await act(9, 3, "role", 7)
    await queue.admin.set_role_rule(9, 3, RoleLimit(7, 1, 2))
    await queue.admin.remove_role_rule(9, 3, 7, RoleLimit)
    rows = await queue.admin.audit()
    of_jobs = ["pause", "resume", "drain", "clear", "move to front"]
    of_members = ["ban", "unban", "allow role", "disallow role", "set role limit", "remove role limit"]
    assert [row.action for row in rows][::-1] == of_jobs + of_members
    assert {row.actor_id for row in rows} == {9}
    assert rows[1].detail == {"user_running": 1, "user_waiting": 2}


# Looking


async def test_the_snapshot_shows_who_waits_and_for_how_long(queue: Queue, executor: HandExecutor) -> None:
    for _ in range(3):
        queue.dispatcher.positions.estimate.add("imagine|0x0x4s0|image", 10.0)
    ran = await ask_held(executor, queue)
    waiting = [(await ask(queue, user=user)).job.id for user in (2, 3)]
    executor.report(Step(ran, 1, 4))
    snapshot = await queue.snapshot()
    (running,) = snapshot.running
    assert (running.job.id, running.device, running.progress.step) == (ran, "cpu", 1)
    assert [(v.job.id, v.position) for v in snapshot.waiting] == [(waiting[0], 1), (waiting[1], 2)]
    assert [round(v.eta) for v in snapshot.waiting] == [10, 20]
    mine = await queue.mine(3)
    assert [(v.job.id, v.position) for v in mine.waiting] == [(waiting[1], 2)] and mine.running == ()
    assert mine.total_waiting == 1
    assert (await queue.snapshot(limit=1)).total_waiting == 2


async def test_a_waiting_member_is_told_when_they_move(queue: Queue, executor: HandExecutor) -> None:
    jobs = [(await ask(queue, user=user)).job.id for user in (1, 2, 3)]
    watch = queue.watch(jobs[2])
    places = [(await anext(watch)).position]
    for job_id in jobs[:2]:
        await held(executor, job_id)
        executor.end(done(executor, job_id))
        await until(lambda i=job_id: i not in queue.dispatcher.running)
    async with asyncio.timeout(10):
        while isinstance(event := await anext(watch), Queued):
            places.append(event.position)
    assert places == sorted(places, reverse=True) and len(set(places)) == len(places)
    assert isinstance(event, Started)


async def test_small_settings_and_names_are_kept(queue: Queue) -> None:
    await queue.people.user_seen(1, "alice")
    await queue.people.guild_seen(3, "Atelier")
    await queue.people.set_user_flag(1, "hint", {"seen": 2})
    assert await queue.people.user_flag(1, "hint") == {"seen": 2}


# Stop and start


async def test_stop_lets_running_jobs_finish_within_the_grace_time(tmp_path, executor: HandExecutor) -> None:
    async with open_queue(tmp_path, executor) as queue:
        first, second = (await ask(queue)).job.id, (await ask(queue)).job.id
        await held(executor, first)
        watchers = [asyncio.create_task(ends(queue, i)) for i in (first, second)]
        await asyncio.sleep(0)
        stop = asyncio.create_task(queue.stop(10))
        await asyncio.sleep(0.02)
        executor.end(done(executor, first))
        await stop
        assert await asyncio.gather(*watchers) == [Rendered(), Paused()]
        assert executor.started == [first]
        assert await ends(queue, second) == Paused()
        with pytest.raises(LimitError, match="closing"):
            await ask(queue)


async def test_what_does_not_finish_goes_back_without_an_attempt_and_runs_after_the_restart(
    tmp_path: Path, executor: HandExecutor
) -> None:
    async with open_queue(tmp_path, executor) as queue:
        job_id = await ask_held(executor, queue)
        watcher = asyncio.create_task(ends(queue, job_id))
        await asyncio.sleep(0)
        await queue.stop(0.05)
        assert await watcher == Paused()
        job = await queue.job(job_id)
        assert (job.status, job.attempts) == (Status.QUEUED, 0)
    executor = HandExecutor()
    async with open_queue(tmp_path, executor) as queue:
        assert [j.id for j in await queue.undelivered()] == [job_id]
        await held(executor, job_id)
        executor.end(done(executor, job_id))
        assert await ends(queue, job_id) == Rendered()


async def test_a_second_stop_cuts_the_grace_time_short(tmp_path: Path, executor: HandExecutor) -> None:
    async with open_queue(tmp_path, executor) as queue:
        job_id = await ask_held(executor, queue)
        began = time.monotonic()
        first = asyncio.create_task(queue.stop(60))
        await asyncio.sleep(0.02)
        await queue.stop(0)
        await first
        assert time.monotonic() - began < 5
        assert (await queue.job(job_id)).status is Status.QUEUED


async def test_turns_survive_a_restart(tmp_path: Path, executor: HandExecutor) -> None:
    async with open_queue(tmp_path, executor) as queue:
        first = await ask_held(executor, queue, user=1)
        executor.end(done(executor, first))
        await ends(queue, first)
        await queue.pause(9)
        mine, theirs = (await ask(queue, user=1)).job.id, (await ask(queue, user=2)).job.id
    async with open_queue(tmp_path, HandExecutor()) as queue:
        assert [v.job.id for v in (await queue.snapshot()).waiting] == [theirs, mine]


async def test_lanes_and_users_decide_over_many_devices(tmp_path: Path) -> None:
    executor = HandExecutor({"cpu": 1, "cuda:0": 2})
    async with open_queue(tmp_path, executor) as queue:
        await queue.pause(9)
        relax = (await ask(queue, user=1, lane=Lane.RELAX)).job.id
        fast = [(await ask(queue, user=2)).job.id for _ in range(5)]
        turbo = (await ask(queue, user=3, lane=Lane.TURBO)).job.id
        await queue.resume(9)
        await until(lambda: len(executor.held) == 3)
        assert executor.started == [turbo, *fast[:2]]
        for job_id in (turbo, fast[0], fast[1]):
            executor.end(done(executor, job_id))
        await until(lambda: len(executor.started) == 6)
        assert relax not in executor.started
        executor.end(done(executor, fast[2]))
        await held(executor, relax)


async def test_a_member_runs_no_more_at_once_than_allowed(tmp_path: Path) -> None:
    executor = HandExecutor({"cuda:0": 5})
    async with open_queue(tmp_path, executor) as queue:
        for _ in range(5):
            await ask(queue, user=1)
        await ask_held(executor, queue, user=2)
        await until(lambda: len(executor.held) == 4)
        await asyncio.sleep(0.05)
        assert len(executor.held) == 4


async def test_a_device_that_has_the_model_is_preferred(tmp_path: Path) -> None:
    executor = HandExecutor({"cuda:0": 1, "cuda:1": 1})
    async with open_queue(tmp_path, executor) as queue:
        sha = await queue.files.put(picture_of(1).data, "image/png")

        async def go(request: Any, user: int) -> str:
            job_id = (await queue.submit(request, Origin(user, 2))).job.id
            await held(executor, job_id)
            return job_id

        image, caption = await go(ImagineRequest(prompt="x"), 1), await go(DescribeRequest(image=sha), 2)
        assert [executor.held[i].device for i in (image, caption)] == ["cuda:0", "cuda:1"]
        for job_id in (image, caption):
            executor.end(done(executor, job_id))
        await until(lambda: not queue.dispatcher.running)
        again = await go(DescribeRequest(image=sha), 1)
        assert executor.held[again].device == "cuda:1"


@pytest.mark.parametrize("wrong", ["a house\0", "a \ud800 house"], ids=["NUL", "surrogate"])
async def test_words_that_no_database_keeps_are_refused_before_it_is_asked(queue: Queue, wrong: str) -> None:
    with pytest.raises(PromptError, match=r"U\+(0000|D800)"):
        await ask(queue, wrong)
    assert queue.unfinished == 0


async def test_a_job_that_no_machine_begins_ends_with_a_sentence(
    queue: Queue, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waitlist, "REFUSAL_PAUSES", (0.0, 0.0, 0.01, 0.01))
    monkeypatch.setattr(waitlist, "BROKEN_PAUSES", (0.0,))
    job_id = (await ask(queue)).job.id
    for count in range(1, len(waitlist.REFUSAL_PAUSES) + MAX_ATTEMPTS):
        await until(lambda count=count: executor.started.count(job_id) == count and job_id in executor.held)
        assert (await queue.job(job_id)).attempts == max(1, count - len(waitlist.REFUSAL_PAUSES) + 1)
        executor.end(Lost(job_id, "its files can't be loaded", untouched=True))
    await until(lambda: job_id not in queue.dispatcher.feeds)
    assert (await queue.job(job_id)).error == NOT_BEGUN


async def test_a_job_that_has_begun_is_given_back_as_often_as_its_machines_go(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = (await ask(queue)).job.id
    for count in range(1, 12):
        await until(lambda count=count: executor.started.count(job_id) == count and job_id in executor.held)
        executor.report(Step(job_id, 1, 4))
        executor.end(Lost(job_id, "its machine stops", untouched=True))
    await until(lambda: job_id in executor.held)
    assert (await queue.job(job_id)).attempts == 1


async def test_a_retried_job_shares_the_only_device_when_a_long_one_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waitlist, "CLEARED_WITHIN", 0.02)
    monkeypatch.setattr("jobs.dispatcher.CLEARED_WITHIN", 0.02)
    executor = HandExecutor({"cuda:0": 4})
    async with open_queue(tmp_path, executor) as queue:
        long, again = [(await ask(queue, user=user)).job.id for user in (1, 2)]
        await until(lambda: len(executor.held) == 2)
        executor.end(Broke(again, Fault.ERROR, "It broke."))
        await until(lambda: again in queue.dispatcher.waitlist or again in executor.held)
        await until(lambda: again in executor.held)  # though nothing happens meanwhile
        assert long in executor.held


async def test_power_cuts_cost_a_job_no_attempt_and_ten_of_them_end_it(tmp_path: Path) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor) as queue:
        job_id = await ask_held(executor, queue)
        token = executor.held[job_id].run.token
        for cut in range(1, MAX_CUT_OFF):
            [(found, status)] = await queue.database.write(lambda c: recover(c, CUT_OFF, now=NOW))
            assert (found, status) == (job_id, Status.QUEUED), cut
            again = await queue.database.write(lambda c: claim(c, job_id, token=token, device="cpu", now=NOW))
            assert again is not None and again.attempts == 1
        assert await queue.database.write(lambda c: recover(c, CUT_OFF, now=NOW)) == [(job_id, Status.FAILED)]
        assert (await queue.job(job_id)).error == CUT_OFF


async def test_what_waits_in_a_lane_is_counted_as_jobs_come_move_and_go(queue: Queue) -> None:
    await queue.pause(9)
    fast, turbo = (await ask(queue)).job.id, (await ask(queue, user=2, lane=Lane.TURBO)).job.id
    await ask(queue, user=3)
    lanes = queue.dispatcher.waitlist.by_lane
    assert lanes == {Lane.TURBO: 1, Lane.FAST: 2}
    await queue.move_to_front(9, fast)
    await queue.cancel(turbo)
    assert lanes == {Lane.TURBO: 0, Lane.FAST: 2}
    await queue.clear(9)
    assert not lanes.total()
