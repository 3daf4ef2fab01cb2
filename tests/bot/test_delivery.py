"""Results that come late, and progress in the sandbox's kind of time."""

import asyncio

from core.job import Status
from tests.bot.conftest import Studio
from tests.support.messages import text_of


async def test_an_expired_token_sends_the_result_to_the_channel_once(studio: Studio) -> None:
    await studio.built.queue.pause(studio.mira.id)
    shown = await _start(studio, "a late boat")
    job = (await studio.built.queue.snapshot()).waiting[0].job
    await studio.env.advance_time(16 * 60)
    await studio.built.queue.resume(studio.mira.id)
    while (await studio.built.queue.job(job.id)).status is not Status.DELIVERED:
        await asyncio.sleep(0.02)
        await studio.env.settle()
    finals = [m for m in studio.channel.history() if f"job {job.id}" in text_of(m) and m.attachments]
    assert len(finals) == 1 and shown
    assert not [m for m in studio.channel.history() if "Waiting to start" in text_of(m)]


async def test_progress_shows_while_the_simulators_clock_stands_still(studio: Studio) -> None:
    """As in the sandbox, where an action does not wait for its job."""
    seen: set[str] = set()
    studio.hooks.edited.append(lambda _: seen.add(text_of(studio.last())))
    studio.hooks.wait = studio.outside
    await studio.alice.slash(studio.channel, "imagine", prompt="a slow boat")
    job, _ = await studio.built.queue.last_picture(studio.alice.id) or (None, None)
    while job is None or job.status is not Status.DELIVERED:
        await asyncio.sleep(0.02)
        await studio.env.settle()
        job, _ = await studio.built.queue.last_picture(studio.alice.id) or (None, None)
    assert any("%)" in content for content in seen)


async def _start(studio: Studio, prompt: str):
    """/imagine while the queue is paused: simcord may not wait for its end."""
    plain = studio.hooks.wait
    studio.hooks.wait = studio.outside
    try:
        return await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    finally:
        studio.hooks.wait = plain
