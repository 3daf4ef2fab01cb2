"""/queue for members and for managers, and cancelling."""

import asyncio

import pytest

from bot.ui import help
from core.job import NOBODY, Origin, Reply, Surface
from core.requests import ImagineRequest
from tests.bot.conftest import Studio
from tests.support.messages import ids_of, text_of


async def test_only_managers_and_the_owner_see_and_operate_the_queue(studio: Studio) -> None:
    for command in ("queue show", "queue pause", "queue resume", "queue drain", "queue clear"):
        refused = await studio.alice.slash(studio.channel, command)
        assert "Manage Server" in text_of(refused.followups[-1]), command
        allowed = await studio.mira.slash(studio.channel, command)
        answers = [allowed.response, *allowed.followups]
        assert not any("needs the permission" in (text_of(m) if m else "") for m in answers), command


async def test_a_paused_queue_keeps_jobs_and_goes_on_after_resume(studio: Studio) -> None:
    await studio.mira.slash(studio.channel, "queue pause")
    task = asyncio.ensure_future(_submit(studio, "a boat"))
    await asyncio.sleep(0.5)
    snapshot = await studio.built.queue.snapshot()
    assert snapshot.paused and snapshot.total_waiting == 1
    await studio.built.queue.resume(studio.mira.id)
    await task
    assert (await studio.built.queue.snapshot()).total_waiting == 0


async def _submit(studio: Studio, prompt: str) -> None:
    """A job without a member's wait: straight into the queue."""
    origin = Origin(user_id=studio.alice.id, channel_id=studio.channel.id, guild_id=studio.guild.id)
    submitted = await studio.built.queue.submit(ImagineRequest(prompt=prompt), origin)
    async for _ in studio.built.queue.watch(submitted.job.id):
        pass


async def test_a_member_cancels_their_own_job_and_nobody_elses(studio: Studio) -> None:
    await studio.built.queue.pause(studio.mira.id)
    task = asyncio.ensure_future(_submit(studio, "a slow boat"))
    await asyncio.sleep(0.3)
    (waiting,) = (await studio.built.queue.snapshot()).waiting
    result = await studio.bob.slash(studio.channel, "queue cancel", job=waiting.job.id)
    assert "Only the person who asked" in text_of(result.followups[-1])
    result = await studio.alice.slash(studio.channel, "queue mine")
    assert waiting.job.id in text_of(result.response)
    result = await studio.alice.slash(studio.channel, "queue cancel", job=waiting.job.id)
    assert "is cancelled" in text_of(result.followups[-1])
    await task
    assert (await studio.built.queue.snapshot()).total_waiting == 0


async def test_a_cancelled_job_can_be_asked_for_once_more(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    await studio.built.queue.pause(studio.mira.id)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    message = studio.last()
    await studio.alice.click(message, label="Cancel")
    await studio.env.settle()
    studio.hooks.wait = None
    await studio.built.queue.resume(studio.mira.id)
    cancelled = next(m for m in studio.channel.history() if m.id == message.id)
    assert "(Cancelled)" in text_of(cancelled)
    await studio.alice.click(cancelled, custom_id=ids_of(cancelled)[0])
    assert "**a boat**" in text_of(studio.last()) and studio.last().attachments


async def test_everybody_hears_of_a_queue_that_stands_still(studio: Studio) -> None:
    """First words are rationed, and a queue that stands still has no second event to say them with."""
    await studio.built.queue.pause(studio.mira.id)
    studio.hooks.wait = studio.outside
    for prompt in ("a boat", "a car", "a tree"):
        await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    for _ in range(100):
        if sum("(Waiting" in text_of(message) for message in studio.channel.history()) == 3:
            return
        await asyncio.sleep(0.02)
        await studio.env.settle()
    pytest.fail("somebody still looks at nothing")


async def test_a_job_that_is_gone_is_told(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "queue cancel", job="abcdefghjkmn")
    assert "exist, or was deleted" in text_of(result.followups[-1])


async def test_limits_are_told_with_their_number(studio: Studio) -> None:
    await studio.built.queue.pause(studio.mira.id)
    tasks = [asyncio.ensure_future(_submit(studio, f"boat {i}")) for i in range(10)]
    await asyncio.sleep(0.5)
    result = await studio.alice.slash(studio.channel, "imagine", prompt="one more")
    assert "10" in text_of(result.followups[-1]) and "limit" in text_of(result.followups[-1])
    result = await studio.mira.slash(studio.channel, "queue clear", user=studio.alice)
    assert "10 waiting jobs are cancelled" in text_of(result.followups[-1])
    await asyncio.gather(*tasks)


async def test_show_brings_a_job_back_with_live_buttons(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    await studio.bob.slash(studio.channel, "show", job=job.id)
    shown = studio.last()
    assert shown.attachments and shown.components
    await studio.bob.click(shown, label="U1")
    assert "Image #1" in text_of(studio.last())


def test_help_tells_where_pictures_are_found_kept_shared_and_thrown_away() -> None:
    [overview] = help.lines(None)
    for name in ("search", "folders", "shares", "trash"):
        assert name in overview and name in help.topics()
        [text] = help.lines(name)
        assert name in text.lower() and ("`/web`" in text or name == "search")
    assert len(overview) <= 2000, "one message of Discord's"


async def test_help_names_every_flag(studio: Studio) -> None:
    from core.prompt.parser import FLAGS

    result = await studio.alice.slash(studio.channel, "help", topic="flags")
    text = "\n".join([text_of(result.response), *(text_of(m) for m in result.followups)])
    assert all(f"`--{flag.name}`" in text and flag.example in text for flag in FLAGS)


async def test_a_refusal_is_said_once(studio: Studio) -> None:
    refused = await studio.alice.slash(studio.channel, "queue pause")
    assert len([m for m in refused.followups if "Manage Server" in text_of(m)]) == 1


async def _queue_of_two_servers(studio: Studio) -> None:
    """Thirty jobs of another server, then one of alice's here."""
    other = studio.env.create_guild("Busy")
    channel = other.create_text_channel("x")
    queue = studio.built.queue
    await queue.pause(studio.mira.id)
    for n in range(30):
        await queue.submit(ImagineRequest(prompt=f"p{n}"), Origin(1000 + n, channel.id, other.id))
    origin = Origin(studio.alice.id, studio.channel.id, studio.guild.id)
    await queue.submit(ImagineRequest(prompt="a red boat"), origin, Reply(message_id=77))


async def test_a_manager_sees_what_waits_in_their_server_behind_anothers(studio: Studio) -> None:
    await _queue_of_two_servers(studio)
    text = text_of((await studio.mira.slash(studio.channel, "queue show")).response)
    assert "**Waiting** 1\n" in text and "a red boat" in text and "31st" in text and "p0" not in text
    choices = await studio.mira.autocomplete(studio.channel, "queue cancel", "job", "")
    assert len(choices) == 1 and "a red boat" in choices[0]["name"]
    cleared = await studio.mira.slash(studio.channel, "queue clear")
    assert "1 waiting job is cancelled" in text_of(cleared.followups[-1])


async def test_own_jobs_can_be_told_apart_by_prompt_and_link_and_cancelled(studio: Studio) -> None:
    await _queue_of_two_servers(studio)
    queue, origin = studio.built.queue, Origin(studio.alice.id, studio.channel.id, studio.guild.id)
    for n in range(7):
        await queue.submit(ImagineRequest(prompt=f"boat {n} *bold*"), origin)
    shown = (await studio.alice.slash(studio.channel, "queue mine")).response
    assert "(paused by an admin" in text_of(shown)
    assert "**8** **boat 6 \\*bold\\*** · Imagine" in text_of(shown)
    link = f"[its message](https://discord.com/channels/{studio.guild.id}/{studio.channel.id}/77)"
    assert text_of(shown).count("[its message]") == 1 and link in text_of(shown)
    await studio.alice.click(shown, custom_id=ids_of(shown)[7])
    left = await queue.mine(studio.alice.id)
    assert "boat 6" not in str(left) and left.total_waiting == 7


async def test_a_private_jobs_words_are_not_for_managers(studio: Studio) -> None:
    await studio.built.queue.pause(studio.mira.id)
    origin = Origin(studio.alice.id, studio.channel.id, studio.guild.id, private=True)
    await studio.built.queue.submit(ImagineRequest(prompt="a secret"), origin)
    shown = text_of((await studio.mira.slash(studio.channel, "queue show")).response)
    assert "**Waiting** 1" in shown and "secret" not in shown


async def test_what_the_studio_asks_by_itself_names_nobody(studio: Studio) -> None:
    await studio.built.queue.pause(studio.mira.id)
    origin = Origin(NOBODY, 0, studio.guild.id, private=True, surface=Surface.WEB)
    await studio.built.queue.submit(ImagineRequest(prompt="a boat"), origin)
    shown = text_of((await studio.mira.slash(studio.channel, "queue show")).response)
    assert "Imagine · the studio itself" in shown and "<@0>" not in shown


async def test_members_are_told_of_a_pause_and_of_its_end(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    await studio.built.queue.pause(studio.mira.id)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    assert "(Waiting to start, 1st: an admin has paused the queue)" in text_of(studio.last())
    await studio.built.queue.resume(studio.mira.id)
    for _ in range(200):
        await studio.env.settle()
        if studio.last().attachments:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the job doesn't go on")


async def test_show_of_a_job_that_isnt_over_follows_it_to_its_end(studio: Studio) -> None:
    studio.hooks.wait = studio.outside
    await studio.built.queue.pause(studio.mira.id)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    (job,) = (view.job for view in (await studio.built.queue.mine(studio.alice.id)).waiting)
    shown = await studio.bob.slash(studio.channel, "show", job=job.id)
    assert "(Waiting to start, 1st" in text_of(studio.last())
    await studio.built.queue.resume(studio.mira.id)
    for _ in range(200):
        await studio.env.settle()
        if all(message.attachments for message in studio.channel.history()):
            break
        await asyncio.sleep(0.02)
    live = next(m for m in studio.channel.history() if m.id == shown.response.id)
    assert live.attachments and "(fast)" in text_of(live) and len(studio.channel.history()) == 2
    await studio.bob.click(live, label="U1")
    assert "Image #1" in text_of(studio.last())
