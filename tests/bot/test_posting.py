"""A result that is posted from the web to a channel, in the simulated Discord."""

import discord
import pytest

from core.errors import NotAllowedError, UserError
from core.job import Surface
from studio.authority import Actor, Place
from tests.bot.conftest import Studio
from tests.support.messages import text_of


def alone(user_id: int) -> Actor:
    return Actor(user_id, None, surface=Surface.WEB)


async def _deny(studio: Studio, channel_id: int, whom: discord.Role | discord.Member) -> None:
    overwrite = discord.PermissionOverwrite(send_messages=False)
    await studio.bot.get_channel(channel_id).set_permissions(whom, overwrite=overwrite)


async def test_a_result_is_posted_with_its_buttons_where_its_owner_writes(studio: Studio) -> None:
    gallery = studio.guild.create_text_channel("gallery")
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    [job] = await studio.members.recent(studio.alice.id)
    posting = studio.bot.studio.posting
    names = [one.name for one in await posting.channels(alone(studio.alice.id))]
    assert "gallery" in names
    with pytest.raises(NotAllowedError, match="share no server"):
        await posting.channels(alone(5))
    await posting.post(alone(studio.alice.id), job.id, 1, Place(studio.guild.id, gallery.id))
    message = studio.last(gallery)
    assert len(message.attachments) == 1 and f"<@{studio.alice.id}>" in text_of(message)
    await studio.bob.click(message, label="Subtle")
    assert (await studio.members.recent(studio.bob.id))[0].parent_id == job.id


async def test_where_either_of_them_cannot_write_nothing_is_posted(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    [job] = await studio.members.recent(studio.alice.id)
    posting = studio.bot.studio.posting
    for name in ("closed", "without-bot"):
        channel = studio.guild.create_text_channel(name)
        guild = studio.bot.get_channel(channel.id).guild
        await _deny(studio, channel.id, guild.default_role if name == "closed" else guild.me)
        assert name not in [one.name for one in await posting.channels(alone(studio.alice.id))]
        with pytest.raises(NotAllowedError, match="You can't write there"):
            await posting.post(alone(studio.alice.id), job.id, 0, Place(studio.guild.id, channel.id))
        assert channel.history() == []


async def test_a_channel_that_is_gone_is_told(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    [job] = await studio.members.recent(studio.alice.id)
    result = await studio.built.queue.result(job.id)
    with pytest.raises(UserError, match="That channel is gone"):
        await studio.built.directory.post(Place(studio.guild.id, 5), result, 0, studio.alice.id)
