"""/taste duel, and the pairs that a channel's members vote on."""

from datetime import UTC, datetime
from typing import Any

import discord
import pytest

from core.errors import UserError
from storage.schema import duels
from studio.authority import Place, ShownDuel
from studio.duels import WEEK, Duelling
from studio.server_tastes import ServerCard
from tests.bot.conftest import Studio
from tests.bot.test_own_models import told
from tests.jobs.conftest import until
from tests.support.messages import alts_of, items_of, text_of


async def look(studio: Studio) -> None:
    """Look whether a week is over, as the studio does by itself now and then."""
    built = studio.built
    await Duelling(built.database, built.queue, built.showing, built.directory, built.settings).look()


async def begun(studio: Studio) -> Any:
    """The message of a server's first duel."""
    for prompt in ("a red house", "a boat"):
        await studio.alice.slash(studio.channel, "imagine", prompt=prompt)
    on = await studio.mira.slash(studio.channel, "taste duel", channel=studio.channel)
    assert studio.channel.mention in told(on)
    assert "Once a week I show pairs" in text_of(studio.last())
    await look(studio)
    return studio.last()


async def test_members_vote_on_pairs_and_see_at_the_end_how_many_did(studio: Studio) -> None:
    shown = await begun(studio)
    assert "Which of each pair" in text_of(shown) and "alice" not in text_of(shown).lower()
    assert [item.name for item in items_of(shown)] == ["1", "2", "3", "4"]
    assert alts_of(shown) == [f"Picture {n}" for n in range(1, 5)]
    assert "You like 1 more" in told(await studio.bob.click(shown, label="1"))
    await studio.restart()
    assert "You like 2 more" in told(await studio.bob.click(studio.last(), label="2"))
    assert "votes" not in text_of(studio.last())
    earlier = duels.update().values(created_at=datetime.now(UTC) - WEEK)
    await studio.built.database.write(lambda connection: connection.execute(earlier))
    await look(studio)
    ended = studio.last()
    assert ended.id == shown.id and items_of(ended) == []
    assert "**1**: 0 votes · **2**: 1 vote" in text_of(ended)


async def test_members_vote_blindly_on_their_servers_taste(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = told(await studio.bob.slash(studio.channel, "taste trial", channel=studio.channel))
    assert "Manage Server" in refused
    early = told(await studio.mira.slash(studio.channel, "taste trial", channel=studio.channel))
    assert "Too little is known" in early
    assert "No blind vote runs" in told(await studio.mira.slash(studio.channel, "taste trial"))
    monkeypatch.setattr(ServerCard, "is_ready", True)
    begun = told(await studio.mira.slash(studio.channel, "taste trial", channel=studio.channel))
    assert studio.channel.mention in begun and "I draw 8 pairs" in text_of(studio.last())
    await until(lambda: not studio.built.queue.unfinished)
    await look(studio)
    first, second = studio.channel.history()[-2:]
    for shown in (first, second):
        assert "Does this server's taste fit?" in text_of(shown) and "(`--p server`)" not in text_of(shown)
        assert [item.name for item in items_of(shown)] == [str(n) for n in range(1, 9)]
        assert len(shown.attachments) == 8
    await studio.restart()
    for person in (studio.alice, studio.bob, studio.mira):
        assert "You like 1 more" in told(await person.click(first, label="1"))
    assert "The vote ends" in told(await studio.mira.slash(studio.channel, "taste trial"))
    await look(studio)
    first, second = studio.channel.history()[-2:]
    assert "So you voted on this server's taste" in text_of(first) and items_of(first) == []
    assert text_of(first).count("(`--p server`)") == 4 and "**1**: 3 votes" in text_of(first)
    said = told(await studio.bob.slash(studio.channel, "taste server", change="use"))
    assert "Manage Server" in said
    said = told(await studio.mira.slash(studio.channel, "taste server", change="use"))
    assert "`--p server`" in said


async def test_managers_alone_choose_the_channel(studio: Studio) -> None:
    refused = told(await studio.bob.slash(studio.channel, "taste duel", channel=studio.channel))
    assert "Manage Server" in refused
    assert "nowhere" in told(await studio.mira.slash(studio.channel, "studio rules"))
    lacking = told(await studio.mira.slash(studio.channel, "taste duel", channel=studio.channel))
    assert "Within minutes" in lacking and "The next vote needs 2" in lacking
    assert f"**Votes on pairs** {studio.channel.mention}" in told(
        await studio.mira.slash(studio.channel, "studio rules")
    )
    assert "No pairs" in told(await studio.mira.slash(studio.channel, "taste duel"))


async def test_where_the_bot_cannot_write_no_pairs_are_shown(studio: Studio) -> None:
    channel = studio.guild.create_text_channel("closed")
    found = studio.bot.get_channel(channel.id)
    overwrite = discord.PermissionOverwrite(send_messages=False)
    await found.set_permissions(found.guild.me, overwrite=overwrite)
    duel = ShownDuel("abcd2345efgh", (), None, datetime.now(UTC))
    with pytest.raises(UserError, match="can't write"):
        await studio.built.directory.show_duel(Place(studio.guild.id, channel.id), duel, None)
