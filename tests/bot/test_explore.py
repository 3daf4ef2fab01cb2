"""What a person is in a server, as the simulated Discord tells it, and what the web makes of it."""

from dataclasses import replace

import pytest

from core.job import Surface
from storage.gallery import Filter
from studio.authority import Actor, Place, Unanswered
from tests.bot.conftest import Studio


async def _shown(studio: Studio, user_id: int) -> set[str]:
    alone = Actor(user_id, None, surface=Surface.WEB)
    page = await studio.bot.studio.explore.pictures(alone, Filter())
    return {tile.job.id for tile in page.tiles}


async def test_a_members_rights_are_discords(studio: Studio) -> None:
    directory, guild = studio.built.directory, studio.guild
    hidden = guild.create_text_channel("hidden")
    await _deny(studio, hidden)
    alice = await directory.member(studio.alice.id, guild.id)
    mira = await directory.member(studio.mira.id, guild.id)
    assert (alice.server, alice.manages, mira.manages) == ("Test", False, True)
    assert alice.reads(studio.channel.id) and not alice.reads(hidden.id) and not alice.reads(5)
    assert {studio.channel.id, hidden.id} <= set(alice.channels())
    assert await directory.member(studio.newcomer().id, guild.id) is None
    assert await directory.member(studio.alice.id, 5) is None
    assert guild.id in directory.server_ids
    assert directory.age_restricted(Place(guild.id, studio.channel.id)) is False


async def _deny(studio: Studio, channel) -> None:
    """Nobody but managers of the server reads the channel."""
    import discord

    everyone = discord.PermissionOverwrite(view_channel=False)
    found = studio.bot.get_channel(channel.id)
    await found.set_permissions(found.guild.default_role, overwrite=everyone)


async def test_no_connection_is_no_answer(studio: Studio) -> None:
    directory = studio.built.directory
    await studio.bot.close()
    with pytest.raises(Unanswered):
        await directory.member(studio.alice.id, studio.guild.id)


async def test_a_result_in_a_channel_shows_up_for_who_reads_it_until_they_cannot(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    await studio.alice.slash(studio.channel, "imagine", prompt="a secret boat --stealth")
    [_, public] = await studio.members.recent(studio.alice.id)
    assert await _shown(studio, studio.bob.id) == {public.id} == await _shown(studio, studio.alice.id)
    assert await _shown(studio, studio.newcomer().id) == set()
    bob = Actor(studio.bob.id, None, surface=Surface.WEB)
    gallery = studio.bot.studio.gallery
    assert (await gallery.look(bob, public.id)).result is not None
    await _deny(studio, studio.channel)
    assert await _shown(studio, studio.bob.id) == set()
    assert not await studio.bot.studio.sources.is_seen(replace(bob), public.id)
