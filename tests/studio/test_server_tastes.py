"""A server's taste: whose hearts teach it, who is forgotten, and what managers may do."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from core.errors import NotAllowedError, UserError
from core.settings import load_settings
from storage import people, server_tastes
from storage.schema import taste_voters
from studio.authority import Actor, Unanswered
from studio.server_tastes import Counting, told_of_server
from tests.studio.conftest import ALICE, BOB, MIRA
from tests.studio.test_tastes import STRANGER, Wall, likes, wall
from vision.protocol import Taste

__all__ = ["wall"]
CAROL = Actor(4, 10, 100)


async def night(wall: Wall) -> bool:
    """Count whose hearts teach the server's taste."""
    settings = load_settings({}, wall.opened.services.settings.data_dir / "none.env")
    counting = Counting(wall.database, wall.opened.services.directory, settings)
    return await counting.count(ALICE.place.guild_id)


async def learned(wall: Wall, actors: Sequence[Actor] = (ALICE, BOB, CAROL), count: int = 3) -> None:
    """Members with hearts in grids of their own, which count."""
    for actor in actors:
        await wall.liked(actor, count)
    assert await night(wall)
    await wall.opened.studio.server_tastes.use(MIRA, on=True)


async def other(wall: Wall, actor: Actor, text: str = "a red house") -> None:
    """A heart on a picture that the others passed over."""
    await wall.own.keep(actor, (await wall.grid(actor, text)).job.id, 0)


async def taste_of(wall: Wall, actor: Actor = ALICE) -> Taste:
    run = (await wall.asked(actor, "a boat --p server"))[1]
    assert run.taste is not None
    return run.taste


async def test_what_members_like_together_chooses_for_each_of_them(wall: Wall) -> None:
    await learned(wall)
    request, run = await wall.asked(MIRA, "a boat --p server")
    assert request.taste == (("server", 1.0),) and request.candidates == 8
    assert likes(run) == [True] * 3
    card = await wall.opened.studio.server_tastes.card(MIRA)
    assert (card.members, card.liked, card.pages, card.is_ready) == (3, 9, 9, True)
    said = " ".join(told_of_server(card))
    assert "3 members, who liked 9 pictures" in said and "--stealth never count" in said
    assert "a member I haven't asked" in said


async def test_nothing_is_shown_or_used_of_two_members(wall: Wall) -> None:
    await learned(wall, (ALICE, BOB), 6)
    taste = await taste_of(wall)
    assert taste.direction == b"" and "hearts of 3 members" in taste.note
    card = await wall.opened.studio.server_tastes.card(ALICE)
    assert (card.members, card.liked, card.pages, card.known) == (0, 0, 0, None)


async def test_hearts_count_from_the_night_after(wall: Wall) -> None:
    await learned(wall)
    before = await taste_of(wall)
    await other(wall, ALICE)
    assert await taste_of(wall) == before
    await night(wall)
    assert await taste_of(wall) != before


@pytest.mark.parametrize("how", ["forget me here", "leave", "learn nothing", "delete all"])
async def test_who_goes_leaves_the_bytes_as_if_never_there(wall: Wall, how: str) -> None:
    await learned(wall)
    never = await taste_of(wall)
    await other(wall, MIRA)
    await night(wall)
    assert await taste_of(wall) != never
    if how == "forget me here":
        await wall.opened.studio.server_tastes.count_me(MIRA, counts=False)
        assert await taste_of(wall) == never
        await night(wall)
    elif how == "leave":
        wall.servers.left.add(MIRA.user_id)
        await night(wall)
    elif how == "learn nothing":
        await wall.own.change(MIRA, taste=False)
    else:
        await wall.own.delete(MIRA)
    assert await taste_of(wall) == never


async def test_who_was_forgotten_counts_again_when_they_want(wall: Wall) -> None:
    await learned(wall)
    tastes = wall.opened.studio.server_tastes
    await tastes.count_me(ALICE, counts=False)
    assert (await tastes.card(ALICE)).forgotten and not (await tastes.card(BOB)).forgotten
    await tastes.count_me(ALICE, counts=True)
    await night(wall)
    card = await tastes.card(ALICE)
    assert (card.members, card.forgotten) == (3, False)


async def test_stealth_pictures_and_other_servers_teach_nothing(wall: Wall) -> None:
    await learned(wall)
    before = await taste_of(wall)
    await other(wall, ALICE, "a red house --stealth")
    await other(wall, Actor(ALICE.user_id, 20, 200))
    await other(wall, Actor(ALICE.user_id, None, 5))
    await night(wall)
    assert await taste_of(wall) == before


async def test_others_pictures_count_in_channels_that_one_reads(wall: Wall) -> None:
    await learned(wall)
    before = await taste_of(wall)
    closed = Actor(ALICE.user_id, ALICE.place.guild_id, 101)
    grid = await wall.grid(closed)
    await wall.own.keep(replace(closed, user_id=BOB.user_id), grid.job.id, 0)
    await night(wall)
    both = await taste_of(wall)
    assert both != before
    wall.servers.shut.add(101)
    assert await taste_of(wall) == both, "from the next night on"
    await night(wall)
    assert await taste_of(wall) == before
    await wall.own.keep(closed, grid.job.id, 1)
    await night(wall)
    assert await taste_of(wall) != before, "one's own counts"


async def test_a_server_s_taste_is_of_use_there_alone(wall: Wall) -> None:
    await learned(wall)
    taste = await taste_of(wall, STRANGER)
    assert taste.direction == b""
    request, run = await wall.asked(Actor(ALICE.user_id, None, 5), "a boat --p server")
    assert run.taste is None and request.unsupported == ("--p server",)
    with pytest.raises(UserError, match="Ask in one"):
        await wall.opened.studio.server_tastes.card(Actor(ALICE.user_id, None, 5))


async def test_managers_reset_it_and_turn_it_off(wall: Wall) -> None:
    await learned(wall)
    tastes = wall.opened.studio.server_tastes
    changes = (
        tastes.reset,
        partial(tastes.set_on, on=False),
        partial(tastes.use, on=False),
        tastes.end_trial,
    )
    for change in (*changes, partial(tastes.begin_trial, channel_id=100)):
        with pytest.raises(NotAllowedError):
            await change(ALICE)
    await tastes.set_on(MIRA, on=False)
    request, _ = await wall.asked(ALICE, "a boat --p server")
    assert request.unsupported == ("--p server",)
    assert "turned this server's taste off" in told_of_server(await tastes.card(ALICE))[0]
    await tastes.set_on(MIRA, on=True)
    assert (await tastes.card(ALICE)).members == 3
    await tastes.reset(MIRA)
    assert (await tastes.card(ALICE)).members == 0
    audit = await wall.opened.studio.server.audit(MIRA)
    assert [row.action for row in audit] == ["taste reset", "taste on", "taste off", "taste used"]


async def test_nothing_changes_while_nobody_can_say_who_is_there(
    wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await learned(wall)

    async def silent(user_id: int, guild_id: int) -> None:
        raise Unanswered

    monkeypatch.setattr(wall.servers, "member", silent)
    assert not await night(wall)
    assert await wall.count(taste_voters) == 3


async def test_a_server_that_the_bot_has_left_is_forgotten(wall: Wall) -> None:
    await learned(wall)
    await wall.opened.studio.server_tastes.count_me(MIRA, counts=False)
    await wall.database.write(partial(server_tastes.forget_others, there=frozenset()))
    rows = await wall.database.read(lambda c: c.execute(sa.select(taste_voters)).all())
    assert [(row.user_id, row.counts) for row in rows] == [(MIRA.user_id, 0)], "a wish is kept"


async def test_servers_are_counted_once_a_day(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    guild_id, now = ALICE.place.guild_id, datetime.now(UTC)
    await wall.database.write(partial(people.guild_seen, guild_id=guild_id, name="Here", now=now))
    settings = load_settings({}, wall.opened.services.settings.data_dir / "none.env")
    counting, counted = Counting(wall.database, wall.opened.services.directory, settings), []

    async def count(guild_id: int) -> bool:
        counted.append(guild_id)
        return True

    monkeypatch.setattr(counting, "count", count)
    for hours, expected in ((1, []), (25, [guild_id])):
        until = (now - timedelta(hours=hours)).timestamp()
        await wall.database.write(partial(server_tastes.note, guild_id=guild_id, until=until))
        await counting.look()
        assert counted == expected
