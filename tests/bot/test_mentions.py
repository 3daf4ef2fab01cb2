"""Questions as messages: mentions, replies, words in a direct message."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import discord
import pytest

from bot.client import wanted_intents
from bot.talk import BY_BUTTON, STEALTH
from studio.talk.dialogues import BEGUN
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.test_ask import MODEL, asked
from tests.bot.test_presses import job_of
from tests.support.messages import text_of

CAT = ("cat.png", png())
SETTINGS = MODEL


def me(studio: Studio) -> str:
    return f"<@{studio.bot.user.id}>"


def last_dm(studio: Studio, user):
    return user.user.dm_channel.history()[-1]


def test_no_privileged_intent_is_wanted_and_messages_of_servers_only_for_mentions() -> None:
    for mentions in (False, True):
        intents = wanted_intents(mentions=mentions)
        assert not (intents.message_content or intents.members or intents.presences)
        assert intents.guild_messages is mentions


async def test_a_mention_with_a_picture_is_a_question(studio: Studio) -> None:
    sent = await studio.alice.send(studio.channel, f"{me(studio)} What is it?", attachments=[CAT])
    answer = studio.last()
    assert "turn 1 with 1 pictures. You asked: What is it?" in text_of(answer)
    assert answer.reference.message_id == sent.id
    job = await job_of(studio, answer)
    assert job.request.question == "What is it?" and job.reply.message_id == answer.id


async def test_a_reply_that_mentions_the_bot_goes_on(studio: Studio) -> None:
    first = await asked(studio)
    await studio.bob.send(studio.channel, f"and now? {me(studio)}", reply_to=first)
    assert "This is turn 2" in text_of(studio.last())
    job = await job_of(studio, studio.last())
    assert job.origin.user_id == studio.bob.id and job.parent_id == (await job_of(studio, first)).id


async def test_a_reply_to_pictures_asks_about_them(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    await studio.bob.send(studio.channel, f"{me(studio)} which is best?", reply_to=studio.last())
    assert "turn 1 with 4 pictures" in text_of(studio.last())


@pytest.mark.parametrize("pings", [True, False])
async def test_a_reply_whose_words_do_not_arrive_is_answered_once(studio: Studio, pings: bool) -> None:
    """As replies to answers of commands do, with or without a ping, for a bot that may not read messages."""
    answer = await studio.bot.get_channel(studio.channel.id).fetch_message((await asked(studio)).id)
    for _ in range(2):
        reply = SimpleNamespace(
            author=SimpleNamespace(id=studio.bob.id, bot=False, name="bob", roles=[]),
            guild=answer.guild,
            channel=answer.channel,
            content="",
            attachments=[],
            mentions=[studio.bot.user] if pings else [],
            reference=SimpleNamespace(message_id=answer.id),
            to_reference=answer.to_reference,
        )
        await studio.bot.turns.in_server(reply, studio.bot.user)
    assert [text_of(m) for m in studio.channel.history()[1:]] == [BY_BUTTON]


async def _sent(studio: Studio, text: str, *files: tuple[str, bytes]):
    """A message of alice's as the bot may read it, which it hasn't heard of."""
    sent = await studio.alice.send(studio.channel, text, attachments=files)
    message = await studio.bot.get_channel(studio.channel.id).fetch_message(sent.id)
    message.mentions.append(studio.bot.user)
    return message


async def _answered(studio: Studio, message) -> None:
    await studio.bot.turns.in_server(message, studio.bot.user)
    await asyncio.gather(*studio.bot.delivery.tasks.values())


@pytest.fixture
def refused_replies(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discord takes no reply to a message that is gone, unless that is allowed; the simulator takes it."""
    backend, normalize = studio.env.backend, studio.env.backend.normalize_message_reference

    def checked(channel_id: int, reference: dict[str, Any] | None) -> dict[str, Any] | None:
        if reference is not None and reference.get("fail_if_not_exists", True):
            backend.get_message(channel_id, int(reference["message_id"]))  # raises
        return normalize(channel_id, reference)

    monkeypatch.setattr(backend, "normalize_message_reference", checked)


async def test_a_question_whose_message_is_gone_is_answered_anyway(studio: Studio, refused_replies) -> None:
    message = await _sent(studio, "What is it?", CAT)
    await message.delete()
    await _answered(studio, message)
    assert "turn 1 with 1 pictures" in text_of(studio.last())


async def test_where_the_bot_may_not_write_the_answer_comes_by_direct_message(studio: Studio) -> None:
    message = await _sent(studio, "What is it?", CAT)
    channel = studio.bot.get_channel(studio.channel.id)
    await channel.set_permissions(
        channel.guild.me, overwrite=discord.PermissionOverwrite(send_messages=False)
    )
    await _answered(studio, message)
    assert studio.last().id == message.id
    assert "turn 1 with 1 pictures" in text_of(last_dm(studio, studio.alice))


async def test_what_is_gone_from_a_direct_message_makes_no_error(studio: Studio, refused_replies) -> None:
    sent = await studio.send_dm(studio.alice.user, "hello")
    channel = await studio.bot.fetch_channel(sent.channel.id)
    message = await channel.fetch_message(sent.id)
    studio.env.backend.delete_message(channel.id, sent.id)
    before = len(studio.alice.user.dm_channel.history())
    await studio.bot.get_cog("Sent").on_message(message)
    assert len(studio.alice.user.dm_channel.history()) == before  # the answer is there already


async def test_stealth_gives_nothing_away(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "stealth")
    await studio.alice.send(studio.channel, f"{me(studio)} What is it?", attachments=[CAT])
    assert STEALTH in text_of(studio.last()) and len(studio.channel.history()) == 2


async def test_what_is_refused_is_said_in_a_reply(studio: Studio) -> None:
    await studio.alice.send(studio.channel, f"{me(studio)} who is this man?", attachments=[CAT])
    assert "Atelier doesn't say who somebody is" in text_of(studio.last())


async def test_a_direct_message_with_a_question_goes_on_by_itself(studio: Studio) -> None:
    await studio.send_dm(studio.alice.user, "What is it?", CAT)
    assert "turn 1 with 1 pictures" in text_of(last_dm(studio, studio.alice))
    await studio.send_dm(studio.alice.user, "And what colour is it?")
    assert "turn 2" in text_of(last_dm(studio, studio.alice))
    await studio.send_dm(studio.alice.user, "new")
    assert BEGUN in text_of(last_dm(studio, studio.alice))


async def test_a_picture_without_words_has_its_buttons(studio: Studio) -> None:
    await studio.send_dm(studio.alice.user, "", CAT)
    assert "What would you like to do with it?" in text_of(last_dm(studio, studio.alice))


async def test_where_nobody_may_talk_messages_are_as_before(tmp_path: Path) -> None:
    async with open_studio(tmp_path, ASK_MODEL="none", TALK="off") as studio:
        await studio.send_dm(studio.alice.user, "a red house", CAT)
        assert "What would you like to do with it?" in text_of(last_dm(studio, studio.alice))
        await studio.send_dm(studio.alice.user, "a red house")
        assert "Send me a picture" in text_of(last_dm(studio, studio.alice))
        assert not studio.bot.intents.guild_messages
