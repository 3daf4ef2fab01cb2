"""Results reach Discord once, over a network that fails: the real delivery and the real HTTP client on the
wire."""

import asyncio
import io
import random
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import discord
import pytest
from PIL import Image

import bot.delivery
from bot.delivery import Postponed, Ration, Rations
from core.events import Event, Failed, Progress, Queued, Rendered
from core.job import Job, Status, Surface
from proofs.wire.delivery import Bench, Forgetful, Hasty, Impatient, open_bench, run
from tests.support.messages import COMPONENTS, text_of, veils_of
from tests.wire.discord import COMMITTED, FAULTS, Call


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as opened:
        yield opened


class Script:
    """A job's events, told one by one."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    def tell(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def watch(self) -> AsyncIterator[Event]:
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, (Rendered, Failed)):
                return


async def _waiting(bench: Bench, rung: str = "edit") -> tuple[Job, Script]:
    """A followed job whose message says that it waits."""
    script = Script()
    job = bench.queue.add(bench.origin(rung, 1), script.watch)
    bench.delivery.follow(job)
    script.tell(Queued(1))
    await bench.discord.until(lambda: any("Waiting" in text_of(m) for m in bench.discord.messages.values()))
    return job, script


async def _end(bench: Bench, job: Job) -> None:
    async with asyncio.timeout(60):
        await bench.delivery.tasks[job.id]


def _texts(bench: Bench) -> list[str]:
    return [text_of(m) for m in bench.discord.messages.values() if m.shown]


# Many at once


async def test_every_result_stands_once_although_every_second_request_is_hit(tmp_path: Path) -> None:
    report = await run(tmp_path, 150)
    assert (report.messages, report.lost, report.doubled, report.worst) == (150, 0, 0, [])
    assert set(report.faults) == set(FAULTS) and set(report.rungs) == {"edit", "channel", "dm"}


async def test_the_count_sees_a_send_without_a_nonce(tmp_path: Path) -> None:
    report = await run(tmp_path, 84, ladder=Forgetful)
    assert report.doubled > 0 and report.lost == 0


async def test_the_count_sees_a_delivery_that_never_tries_again(tmp_path: Path) -> None:
    report = await run(tmp_path, 84, kind=Hasty, transport=Impatient())
    assert report.lost > 0


async def test_a_progress_edit_that_is_hit_costs_no_result(bench: Bench) -> None:
    jobs = {}
    for number, fault in enumerate(FAULTS):
        script = Script()
        script.tell(Queued(1))
        job = bench.queue.add(bench.origin("edit", number), script.watch)
        jobs[job.reply.interaction_token] = (job, script, fault)

    def hit(call: Call) -> str | None:
        token = call.path.split("/")[3] if call.path.startswith("/webhooks") else ""
        if "Waiting" not in call.text or token not in unhit:
            return None
        _, script, fault = unhit.pop(token)
        script.tell(Rendered())
        return fault

    unhit, bench.discord.fault = dict(jobs), hit
    deliveries = [bench.another() for _ in jobs]  # one each: progress is rationed
    for delivery, (job, _, _) in zip(deliveries, jobs.values(), strict=True):
        delivery.follow(job)
    await asyncio.gather(*(delivery.close(grace=60) for delivery in deliveries))
    assert set(bench.discord.faults_done) == set(FAULTS)
    assert {fault: len(bench.discord.finals(job.id)) for job, _, fault in jobs.values()} == dict.fromkeys(
        FAULTS, 1
    )


async def test_a_long_queue_does_not_starve_the_progress_of_what_runs(bench: Bench, monkeypatch) -> None:
    for name, value in (("EDIT_EVERY", 0.0), ("NEWS_AFTER", 0.0)):
        monkeypatch.setattr(bot.delivery, name, value)
    bench.delivery = bench.another(Rations(Ration(1e9), Ration(1e9), place_in_queue=Ration(1e-3)))
    _, waiting = await _waiting(bench)
    waiting.tell(Queued(9))
    await bench.discord.until(lambda: any("9th" in text for text in _texts(bench)))
    waiting.tell(Queued(8))
    _, running = await _waiting(bench)
    for step in (1, 2):
        running.tell(Progress(step, 4))
        await bench.discord.until(lambda step=step: any(f"{25 * step}%" in text for text in _texts(bench)))
    assert not any("8th" in text for text in _texts(bench))


async def test_everybody_in_a_long_queue_that_stands_still_gets_first_words(bench: Bench) -> None:
    """They are rationed, and there is no second event to say them with."""
    scripts = {}
    for number in range(36):
        script = Script()
        script.tell(Queued(number + 1))
        job = bench.queue.add(bench.origin("edit", number), script.watch)
        scripts[job.id] = script
    bench.queue.repeat = lambda job_id: scripts[job_id].tell(Queued(99))
    bench.delivery = bench.another()
    for job_id in scripts:
        bench.delivery.follow(bench.queue.jobs[job_id])
    await bench.discord.until(lambda: sum("Waiting" in text for text in _texts(bench)) == len(scripts))


async def test_everybody_in_a_queue_that_has_moved_learns_the_new_place(bench: Bench) -> None:
    """All places move at one moment, and the ration lets one message be edited then."""
    scripts, latest = {}, {}
    bench.queue.repeat = lambda job_id: scripts[job_id].tell(latest[job_id])
    bench.delivery = bench.another(Rations(Ration(1e9), Ration(1e9), place_in_queue=Ration(10.0)))
    for number in range(6):
        script = Script()
        job = bench.queue.add(bench.origin("edit", number), script.watch)
        scripts[job.id], latest[job.id] = script, Queued(number + 11)
        bench.delivery.follow(job)
        script.tell(latest[job.id])
    await bench.discord.until(lambda: sum("Waiting" in text for text in _texts(bench)) == len(scripts))
    for number, (job_id, script) in enumerate(scripts.items()):
        latest[job_id] = Queued(number + 1)
        script.tell(latest[job_id])
    places = {"1st", "2nd", "3rd", "4th", "5th", "6th"}
    await bench.discord.until(
        lambda: {place for place in places if any(f", {place}" in text for text in _texts(bench))} == places
    )


async def test_a_preview_says_that_a_model_makes_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.delivery, "NEWS_AFTER", 0.0)
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 60, 60)).save(out, "JPEG", comment=b"somebody's own")
    _, script = await _waiting(bench)
    script.tell(Progress(1, 4, out.getvalue()))
    (name, data), *_ = await bench.discord.until(
        lambda: next((m.files for m in bench.discord.messages.values() if m.files), None)
    )
    assert name == "preview.jpg" and b"trainedAlgorithmicMedia" in data and b"somebody" not in data
    assert Image.open(io.BytesIO(data)).size == (16, 16)


# The ladder


async def test_a_dead_token_sends_the_result_to_the_channel_and_removes_the_old_message(bench: Bench) -> None:
    job, script = await _waiting(bench)
    bench.discord.token_life = 0
    script.tell(Rendered())
    await _end(bench, job)
    assert bench.queue.delivered_by[job.id] == "channel"
    assert len(bench.discord.finals(job.id)) == 1
    assert not [text for text in _texts(bench) if "Waiting" in text]


@pytest.mark.parametrize(
    "fault", ["closed before commit", "closed after commit", "503", "wrong content type"]
)
async def test_the_old_message_goes_even_if_its_removal_is_hit(bench: Bench, fault: str) -> None:
    job, script = await _waiting(bench)
    bench.discord.token_life = 0
    hits = iter([fault])
    bench.discord.fault = lambda call: next(hits, None) if call.method == "DELETE" else None
    script.tell(Rendered())
    await _end(bench, job)
    assert bench.queue.delivered_by[job.id] == "channel" and bench.discord.faults_done == {fault: 1}
    assert len(_texts(bench)) == 1


async def test_a_channel_that_forbids_it_sends_the_result_to_a_dm(bench: Bench) -> None:
    job, script = await _waiting(bench)
    bench.discord.token_life = 0
    bench.discord.forbidden.add(job.origin.channel_id)
    script.tell(Rendered())
    await _end(bench, job)
    (final,) = bench.discord.finals(job.id)
    assert bench.queue.delivered_by[job.id] == "dm"
    assert final.channel_id == bench.discord.dms[job.origin.user_id]
    assert not [text for text in _texts(bench) if "Waiting" in text]


@pytest.mark.parametrize("in_channel", [True, False])
async def test_a_dm_shows_what_the_rules_of_direct_messages_let_it(bench: Bench, in_channel: bool) -> None:
    bench.moderator.veils_dms = True
    job, script = await _waiting(bench)
    bench.discord.token_life = 0
    if not in_channel:
        bench.discord.forbidden.add(job.origin.channel_id)
    script.tell(Rendered())
    await _end(bench, job)
    [final] = bench.discord.finals(job.id)
    assert veils_of(final) == [not in_channel]


async def test_closed_dms_keep_the_result(bench: Bench) -> None:
    job, script = await _waiting(bench)
    bench.discord.token_life = 0
    bench.discord.forbidden.add(job.origin.channel_id)
    bench.discord.closed_dms.add(job.origin.user_id)
    script.tell(Rendered())
    await _end(bench, job)
    assert bench.queue.delivered_by[job.id] == "kept" and not bench.discord.finals(job.id)
    assert [text for text in _texts(bench) if f"`/show job:{job.id}`" in text] == _texts(bench)


# Results that Discord refuses as too large


def _noise(side: int) -> bytes:
    """A PNG that no lossless encoding makes smaller."""
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(1).randbytes(3 * side * side)).save(out, "PNG")
    return out.getvalue()


async def _draw(bench: Bench, data: bytes) -> None:
    """Let the result of every job be this picture."""
    sha256 = await bench.files.put(data, "image/png")
    bench.queue.picture = replace(bench.queue.picture, sha256=sha256, size=len(data))


@pytest.mark.parametrize("rung", ["edit", "dm"])
async def test_a_result_that_is_too_large_is_made_smaller_and_says_so(bench: Bench, rung: str) -> None:
    await _draw(bench, _noise(460))  # 620 kB, which lossy WebP makes 280 kB
    bench.discord.file_limit = 600_000
    job = bench.queue.add(bench.origin(rung, 1))
    bench.delivery.follow(job)
    await _end(bench, job)
    (final,) = bench.discord.finals(job.id)
    assert bench.queue.delivered_by[job.id] == rung
    ((name, data),) = final.files
    assert name.endswith(".webp") and len(data) < 600_000
    assert "Sent as WebP: the original is larger than the 0.5 MB that fit here." in text_of(final)


async def test_a_result_of_which_no_file_is_taken_comes_without_and_says_how_to_get_it(bench: Bench) -> None:
    bench.discord.file_limit = 0
    job, script = await _waiting(bench)
    script.tell(Rendered())
    await _end(bench, job)
    (final,) = bench.discord.finals(job.id)
    assert bench.queue.delivered_by[job.id] == "edit" and not final.files
    assert "Discord refused the files" in text_of(final) and "/show" in text_of(final)


async def test_a_message_says_how_to_get_what_discord_refuses_at_any_size(bench: Bench, monkeypatch) -> None:
    """It doesn't stand at the last progress for ever."""
    monkeypatch.setattr(bot.delivery, "NEWS_AFTER", 0.0)

    def refuse(call: Call) -> str | None:
        return "413" if f"job {job.id}" in call.text else None

    job, script = await _waiting(bench)
    bench.discord.fault = refuse
    script.tell(Progress(3, 4))
    await bench.discord.until(lambda: any("75%" in text for text in _texts(bench)))
    script.tell(Rendered())
    await _end(bench, job)
    assert bench.queue.delivered_by[job.id] == "channel"
    (text,) = _texts(bench)
    assert f"`/show job:{job.id}`" in text and "75%" not in text


async def test_a_message_that_somebody_deleted_is_replaced_by_one_in_the_channel(bench: Bench) -> None:
    job, script = await _waiting(bench)
    for message in bench.discord.messages.values():
        message.deleted = True
    script.tell(Rendered())
    await _end(bench, job)
    assert bench.queue.delivered_by[job.id] == "channel" and len(bench.discord.finals(job.id)) == 1


async def test_a_failure_is_told_once_although_the_answer_is_lost(bench: Bench) -> None:
    job, script = await _waiting(bench, "edit")
    bench.discord.token_life = 0
    hits = iter(["reset after commit", "truncated"])
    bench.discord.fault = lambda call: next(hits, None) if call.method == "POST" else None
    script.tell(Failed("The model can't draw that."))
    await _end(bench, job)
    (final,) = bench.discord.finals(job.id)
    assert "The model can't draw that." in text_of(final)


async def test_an_end_whose_answers_are_lost_stands_once(bench: Bench) -> None:
    """Both requests of each are done, but the bot doesn't hear of it."""
    jobs = [bench.queue.add(bench.origin("channel", number)) for number in range(50)]
    hits = {(job.id, method): COMMITTED[n % 5] for n, job in enumerate(jobs) for method in ("POST", "PATCH")}

    def hit(call: Call) -> str | None:
        found = re.search("job[ :]([a-z2-9]{12})", call.text)
        return hits.pop((found[1], call.method), None) if found else None

    bench.discord.fault = hit
    for job in jobs:
        bench.delivery.follow(job)
    await asyncio.gather(*(_end(bench, job) for job in jobs))
    assert not hits and [len(bench.discord.finals(job.id)) for job in jobs] == [1] * 50
    assert all(message.files for job in jobs for message in bench.discord.finals(job.id))
    assert not [text for text in _texts(bench) if "/show" in text or "Waiting" in text]


async def test_plain_words_come_before_the_layout_where_nobody_pressed(bench: Bench) -> None:
    job = bench.queue.add(bench.origin("channel", 1))
    bench.delivery.follow(job)
    await _end(bench, job)
    (final,) = bench.discord.finals(job.id)
    first, last = [text for _, text in final.versions]
    assert first.startswith("**a red house** - <@10001> (fast)\n") and f"/show job:{job.id}" in first
    assert last == text_of(final) and final.flags & COMPONENTS and final.files


async def test_plain_words_that_a_crash_left_alone_are_completed(bench: Bench) -> None:
    job = bench.queue.add(bench.origin("channel", 1), finished_at=datetime.now(UTC))
    post = await bench.posts.result(await bench.queue.result(job.id), 2**20)
    alone = bench.discord.post(job.origin.channel_id, post.notice(job))
    bench.discord.forgets_nonces = True
    bench.delivery.follow(job, resumed=True)
    await _end(bench, job)
    assert bench.discord.finals(job.id) == [alone] and alone.files and "/show" not in text_of(alone)


async def test_a_message_of_an_earlier_version_becomes_one_of_components(bench: Bench) -> None:
    job, script = await _waiting(bench, "own message")
    (own,) = bench.discord.messages.values()
    own.content, own.flags, own.components = "**a red house** (Waiting to start)", 0, []
    script.tell(Rendered())
    await _end(bench, job)
    assert own.flags & COMPONENTS and not own.content and own.files and f"job {job.id}" in text_of(own)


# Where a nonce does not reach


@pytest.mark.parametrize("rung", ["channel", "dm"])
async def test_a_result_posted_before_a_crash_is_found_again_when_discord_has_forgotten_its_nonce(
    bench: Bench, rung: str
) -> None:
    job = bench.queue.add(bench.origin(rung, 1), finished_at=datetime.now(UTC))
    bench.delivery.follow(job)
    await _end(bench, job)
    bench.discord.forgets_nonces = True
    await asyncio.sleep(0)  # the follower is taken off the list
    bench.delivery.follow(job, resumed=True)
    await _end(bench, job)
    assert bench.queue.delivered_by[job.id] == rung and len(bench.discord.finals(job.id)) == 1


async def test_a_member_who_quotes_a_jobs_id_has_not_posted_its_result(bench: Bench) -> None:
    job = bench.queue.add(bench.origin("channel", 1), finished_at=datetime.now(UTC))
    words = bench.discord.post(job.origin.channel_id, f"where is job {job.id}?", author=job.origin.user_id)
    bench.delivery.follow(job, resumed=True)
    await _end(bench, job)
    assert bench.queue.delivered_by[job.id] == "channel"
    assert len([one for one in bench.discord.finals(job.id) if one is not words]) == 1


async def test_a_channel_that_cannot_be_read_for_a_moment_is_no_reason_to_post_twice(bench: Bench) -> None:
    job = bench.queue.add(bench.origin("channel", 1), finished_at=datetime.now(UTC))
    bench.delivery.follow(job)
    await _end(bench, job)
    bench.discord.forgets_nonces = True
    hits = iter(["503", "closed before commit", "truncated"])
    bench.discord.fault = lambda call: next(hits, None) if call.method == "GET" else None
    await asyncio.sleep(0)
    bench.delivery.follow(job, resumed=True)
    await _end(bench, job)
    assert len(bench.discord.faults_done) == 3 and len(bench.discord.finals(job.id)) == 1


async def test_after_an_outage_longer_than_a_nonce_lives_it_looks_before_it_sends_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.delivery, "NONCE_TRUST", 0.0)
    bench.discord.forgets_nonces = True
    hits = iter(["reset after commit"])
    bench.discord.fault = lambda call: next(hits, None) if call.method == "POST" else None
    job = bench.queue.add(bench.origin("channel", 1))
    bench.delivery.follow(job)
    await _end(bench, job)
    assert bench.discord.faults_done == {"reset after commit": 1} and len(bench.discord.finals(job.id)) == 1


async def test_a_delivery_that_broke_down_is_taken_up_again(bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr(bot.delivery, "FOLLOW_AGAIN", (0.0, 0.0))
    plain, troubles = bench.queue.result, iter([OSError("the disk is away")])

    async def result(job_id: str):
        for trouble in troubles:
            raise trouble
        return await plain(job_id)

    monkeypatch.setattr(bench.queue, "result", result)
    job = bench.queue.add(bench.origin("edit", 1), finished_at=datetime.now(UTC))
    assert job.status is Status.RENDERED
    bench.delivery.follow(job)
    await _end(bench, job)
    assert bench.queue.delivered_by[job.id] == "edit" and len(bench.discord.finals(job.id)) == 1


def test_an_interaction_can_be_answered_for_fourteen_minutes_after_it_was_made() -> None:
    def made(ago: float) -> int:
        return discord.utils.time_snowflake(discord.utils.utcnow() - timedelta(seconds=ago))

    assert bot.delivery.token_lives(made(13 * 60 + 50)) and not bot.delivery.token_lives(made(14 * 60 + 1))


def test_a_burst_of_edits_runs_out_and_comes_back_with_time() -> None:
    ration, now = Ration(rate=6.0, burst=12), 1000.0

    def edits_within(seconds: float) -> int:
        nonlocal now
        end, count = now + seconds, 0
        while (now := max(now, ration.free_at())) <= end and count < 99:
            ration.take(now)
            count += 1
        now = end
        return count

    assert edits_within(1.01) == 12 + 6
    assert edits_within(1.0) == 6
    now += 60.0
    assert edits_within(1.01) == 12 + 6


async def test_first_words_of_jobs_that_end_before_their_turn_are_left_out() -> None:
    ration, repeated = Ration(rate=4.0), []
    ration.take(monotonic())
    words = Postponed(ration, repeated.append, newest_first=True)
    words.add("ended")
    saying = asyncio.create_task(words.run())
    await asyncio.sleep(0.05)
    words.discard("ended")
    await asyncio.wait_for(saying, 5)
    assert "ended" not in words and repeated == []


# Of other surfaces than Discord


async def test_a_job_that_was_asked_for_elsewhere_is_never_told_of(bench: Bench) -> None:
    """Neither after asking nor after a start, even if the queue should name it."""
    calls: list[Call] = []
    bench.discord.fault = lambda call: calls.append(call)
    origin, reply = bench.origin("channel", 1)
    job = bench.queue.add((replace(origin, surface=Surface.WEB), reply))
    mine = bench.queue.add(bench.origin("edit", 2))
    bench.delivery.follow(job)
    await bench.delivery.resume()
    await _end(bench, mine)
    assert set(bench.queue.delivered_by) == {mine.id}
    assert not [call for call in calls if job.id in call.text or str(origin.channel_id) in call.path]
