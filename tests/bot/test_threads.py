"""The button Thread under answers, what goes on in the thread, and Ask under a single picture."""

from dataclasses import replace
from pathlib import Path

import discord

from bot.chat import ALREADY, HERE, NOT_ME, NOT_YOU
from bot.ui import markdown
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_ask import MODEL, asked, labels
from tests.bot.test_mentions import CAT, last_dm, me
from tests.bot.test_presses import job_of, single
from tests.support.messages import text_of

SETTINGS = MODEL


def told_by(result) -> str:
    return "\n".join(text_of(m) for m in (result.response, *result.followups) if m)


async def allow(studio: Studio, whom, may: bool | None) -> None:
    """Let somebody open threads in the channel, or not."""
    channel = studio.bot.get_channel(studio.channel.id)
    await channel.set_permissions(whom, overwrite=discord.PermissionOverwrite(create_public_threads=may))


async def opened(studio: Studio, question: str = "What is it?"):
    """An answer, and the thread that was opened under it."""
    answer = await asked(studio, question)
    told = await studio.bob.click(answer, label="Thread")
    return answer, next(thread for thread in studio.channel.threads if thread.id == answer.id), told


async def test_a_conversation_goes_on_in_the_thread_under_its_answer(studio: Studio) -> None:
    answer, thread, _ = await opened(studio, "What\nis it?")
    assert studio.bot.get_channel(thread.id).name == "What is it?"
    assert [text_of(message) for message in thread.history()] == [HERE]
    await studio.bob.send(thread, f"{me(studio)} and what else?")
    last = thread.history()[-1]
    assert "This is turn 2" in text_of(last)
    job = await job_of(studio, last)
    assert job.parent_id == (await job_of(studio, answer)).id and job.origin.channel_id == thread.id
    await studio.alice.send(thread, f"and then? {me(studio)}")
    last = thread.history()[-1]
    assert "This is turn 3" in text_of(last)


async def test_a_question_that_a_rule_hides_names_no_thread(studio: Studio) -> None:
    answer = await asked(studio, "A clown?")
    await studio.mira.slash(studio.channel, "moderation add", word="clown")
    await studio.bob.click(answer, label="Thread")
    [thread] = [thread for thread in studio.channel.threads if thread.id == answer.id]
    assert studio.bot.get_channel(thread.id).name == "Conversation"


async def test_the_button_leads_to_the_thread_that_there_is(studio: Studio) -> None:
    answer, thread, told = await opened(studio)
    again = await studio.alice.click(answer, label="Thread")
    for shown in (told, again):
        assert f"<#{thread.id}>" in told_by(shown)
    assert len(studio.bot.get_channel(studio.channel.id).threads) == 1


async def test_a_long_question_names_its_thread_in_short(studio: Studio) -> None:
    _, thread, _ = await opened(studio, "What is it? " * 30)
    name = studio.bot.get_channel(thread.id).name
    assert len(name) == 90 and name.endswith("…")


async def test_in_a_thread_there_is_no_other(studio: Studio) -> None:
    _, thread, _ = await opened(studio)
    await studio.bob.send(thread, f"{me(studio)} and what else?")
    last = thread.history()[-1]
    assert ALREADY in told_by(await studio.bob.click(last, label="Thread"))


async def test_who_may_not_open_threads_is_told(studio: Studio) -> None:
    answer = await asked(studio)
    guild = studio.bot.get_channel(studio.channel.id).guild
    await allow(studio, guild.default_role, False)
    assert NOT_YOU in told_by(await studio.bob.click(answer, label="Thread"))
    await allow(studio, guild.default_role, True)
    await allow(studio, guild.me, False)
    assert NOT_ME in told_by(await studio.alice.click(answer, label="Thread"))


async def test_no_thread_is_opened_where_the_bot_could_not_write_in_it(studio: Studio) -> None:
    answer = await asked(studio)
    channel = studio.bot.get_channel(studio.channel.id)
    mine = discord.PermissionOverwrite(send_messages_in_threads=False)
    await channel.set_permissions(channel.guild.me, overwrite=mine)
    assert NOT_ME in told_by(await studio.alice.click(answer, label="Thread"))
    assert not studio.channel.threads


async def test_where_there_are_no_threads_there_is_no_button(studio: Studio) -> None:
    await studio.send_dm(studio.alice.user, "What is it?", CAT)
    assert "Thread" not in labels(last_dm(studio, studio.alice))
    job = await job_of(studio, await asked(studio))
    private = replace(job, origin=replace(job.origin, private=True))
    for one, has in ((job, True), (private, False)):
        shown = [item.item.custom_id for row in markdown.rows_of_answer(one, "a red house") for item in row]
        assert (f"at:{job.id}:thread:0" in shown) is has


async def test_without_a_model_it_is_not_offered(tmp_path: Path) -> None:
    async with open_studio(tmp_path, ASK_MODEL="none") as studio:
        assert "Ask" not in labels(await single(studio))
