"""*Check* in a message's menu: each part with its source, for moderators' eyes alone; nothing is done or
kept."""

import discord
import pytest

from bot.cogs.messages import lines_of
from studio.admin import Judged, Report
from studio.moderation.rules import Rule
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_read import attached, sign
from tests.support.messages import text_of
from vision.protocol import Checked


@pytest.fixture
async def strict(tmp_path):
    async with open_studio(tmp_path, MODERATION="standard") as opened:
        yield opened


def told(result) -> str:
    messages = [m for m in (result.response, *result.followups) if m]
    assert all(message.ephemeral for message in messages)
    return "\n".join(text_of(message) for message in messages)


async def test_a_check_tells_each_part_with_its_source(strict: Studio) -> None:
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")  # so that the worker is ready
    await strict.mira.slash(strict.channel, "moderation rules", add="No advertising")
    await strict.mira.slash(strict.channel, "moderation rules", add="No *insults* @everyone")
    posted = await strict.bob.send(
        strict.channel, "a nude", attachments=attached(sign((1, 2, 3)), sign((1, 2, 4)))
    )
    before = len(strict.channel.history())
    text = told(await strict.mira.context_menu(strict.channel, "Check", posted))
    assert "(level standard). Nothing was done, and nothing is kept." in text
    assert "**Picture 1** (`all fit`) 0.00 of 1, flagged from 0.80\n**Picture 2**" in text
    assert "**Words of the message** (word rules) **sexual content**" in text
    assert "**Words in the pictures** (pretend, word rules) **sexual content**" in text
    assert "**Own rules** (yes of pretended chat, asked in both orders)\n- 25% No advertising\n" in text
    assert "- 25% No \\*insults\\* \\@everyone" in text
    assert len(strict.channel.history()) == before and posted in strict.channel.history()
    assert (await strict.built.moderator.strikes(strict.bob.id, strict.guild.id))[0] == []
    assert (await strict.built.privacy.holdings(strict.mira.id)).uploads == 0


async def test_the_words_of_components_are_checked_also_where_they_are_forwarded(strict: Studio) -> None:
    view = discord.ui.LayoutView()
    texts = discord.ui.TextDisplay("hello"), discord.ui.TextDisplay("a nude")
    button = discord.ui.Button(url="https://example.org", label="there")
    view.add_item(discord.ui.Container(texts[0], discord.ui.Section(texts[1], accessory=button)))
    posted = await strict.bot.get_channel(strict.channel.id).send(view=view)
    await strict.bob.forward(posted, strict.channel)
    for message in (posted, strict.last()):
        text = told(await strict.mira.context_menu(strict.channel, "Check", message))
        assert "**Words of the message** (word rules) **sexual content**" in text


async def test_a_check_is_for_moderators_alone(strict: Studio) -> None:
    posted = await strict.bob.send(strict.channel, "hello")
    assert "Manage Server" in told(await strict.alice.context_menu(strict.channel, "Check", posted))
    assert "Manage Server" in told(await strict.bob.slash(strict.channel, "moderation rules", add="No cats"))


async def test_a_check_says_what_is_not_available(strict: Studio) -> None:
    await strict.alice.slash(strict.channel, "imagine", prompt="a boat")  # so that the worker is ready
    posted = await strict.bob.send(strict.channel, "hello")
    text = told(await strict.mira.context_menu(strict.channel, "Check", posted))
    assert "**Words of the message** (word rules) allowed" in text and "Picture" not in text
    assert "**Own rules** not available: this server has no rules in words" in text
    broken = await strict.bob.send(strict.channel, "", attachments=[("a.png", b"no picture")])
    text = told(await strict.mira.context_menu(strict.channel, "Check", broken))
    assert "**Picture 1** not available: `a.png`" in text


async def test_rules_in_sentences_are_shown_numbered_and_removed(strict: Studio) -> None:
    for rule in ("No cats", "No dogs", "No cats"):
        shown = told(await strict.mira.slash(strict.channel, "moderation rules", add=rule))
    assert shown == "1. No cats\n2. No dogs"
    assert told(await strict.mira.slash(strict.channel, "moderation rules", remove=1)) == "1. No dogs"
    assert "no rule number 7" in told(await strict.mira.slash(strict.channel, "moderation rules", remove=7))
    assert "**Own rules** 1" in told(await strict.mira.slash(strict.channel, "moderation show"))
    for number in range(9):
        await strict.mira.slash(strict.channel, "moderation rules", add=f"Rule {number}")
    assert ("which is the limit") in told(
        await strict.mira.slash(strict.channel, "moderation rules", add="one more")
    )
    stopped = await strict.alice.slash(strict.channel, "imagine", prompt="cats and dogs")
    assert stopped is not None and strict.last().attachments, "nothing enforces them"


def test_every_reason_for_what_is_missing_is_told() -> None:
    found = Checked(unread="nothing here reads text", unjudged="no chat model runs on this machine")
    pictures = (Judged(None), Judged(problem="`x` is too large."), Judged(0.91))
    report = Report("strict", "open_nsfw", 0.5, pictures, False, None, Rule.GORE, 2, ("No cats",), found)
    text = "\n".join(lines_of(report))
    assert "**Picture 1** (`open_nsfw`) not available: the classifier gave no answer" in text
    assert "**Picture 2** not available: `x` is too large." in text
    assert "0.91 of 1, flagged from 0.50: **flagged**" in text and "2 more pictures not checked" in text
    assert "**Words in the pictures** not available: nothing here reads text" in text
    assert "**Own rules** not available: no chat model runs on this machine" in text
    assert "Words of the message" not in text
