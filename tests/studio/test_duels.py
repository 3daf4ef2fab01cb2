"""Duels: what is shown, what votes teach, and what goes with a member or a picture."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import NotAllowedError, UserError
from core.settings import load_settings
from storage import duels as rows
from storage import people
from storage.privacy import personal_rows
from storage.schema import duel_votes, duels, jobs, unposted
from studio.authority import Actor, Place, ShownDuel, Unanswered
from studio.duels import WEEK, Duelling, told_of_lack
from tests.studio.conftest import ALICE, BOB, MIRA
from tests.studio.test_server_tastes import learned, night, taste_of
from tests.studio.test_tastes import Servers, Wall, wall

__all__ = ["wall"]
HERE, CHANNEL = ALICE.place.guild_id or 0, ALICE.place.channel_id


class Channel:
    """What a server's channels show: each message by its id."""

    def __init__(self, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.messages, self.told = wall, dict[int, ShownDuel](), list[Place]()
        self.is_away = False
        monkeypatch.setattr(Servers, "show_duel", self._show)
        monkeypatch.setattr(Servers, "tell", self._tell)
        services = wall.opened.services
        settings = load_settings({}, services.settings.data_dir / "none.env")
        self.duelling = Duelling(
            services.database, services.queue, services.showing, services.directory, settings
        )

    async def _show(self, place: Place, duel: ShownDuel, message_id: int | None) -> int:
        if self.is_away:
            raise Unanswered
        number = message_id or len(self.messages) + 1
        self.messages[number] = duel
        return number

    async def _tell(self, place: Place, text: str, user_id: int | None = None) -> None:
        self.told.append(place)

    async def open(self, actor: Actor = MIRA) -> None:
        """Managers choose the channel in which ALICE draws."""
        now = datetime.now(UTC)
        await self.wall.database.write(partial(people.guild_seen, guild_id=HERE, name="Here", now=now))
        await self.wall.opened.studio.duels.set_channel(actor, CHANNEL)

    async def week(self) -> None:
        """A week goes by."""
        earlier = duels.update().values(created_at=datetime.now(UTC) - WEEK - timedelta(minutes=1))
        await self.wall.database.write(lambda c: c.execute(earlier))
        await self.duelling.look()

    async def vote(self, actor: Actor, number: int, message: int = 1) -> None:
        duel = self.messages[message]
        await self.wall.opened.studio.duels.vote(actor, duel.id, number, message)


@pytest.fixture
def channel(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> Channel:
    return Channel(wall, monkeypatch)


async def begun(channel: Channel, count: int = 2) -> list[str]:
    """Begin a duel of so many grids; their jobs."""
    drawn = [(await channel.wall.grid(ALICE)).job.id for _ in range(count)]
    await channel.open()
    await channel.duelling.look()
    return drawn


async def votes(wall: Wall) -> list[tuple[int, int, int]]:
    columns = (duel_votes.c.user_id, duel_votes.c.number, duel_votes.c.liked)
    ordered = sa.select(*columns).order_by(*columns)
    found = await wall.database.read(lambda c: c.execute(ordered).all())
    return [(row.user_id, row.number, row.liked) for row in found]


def numbers(duel: ShownDuel) -> list[list[int]]:
    return [list(pair) for pair in duel.pairs]


async def test_a_week_shows_pairs_and_then_how_they_ended(channel: Channel) -> None:
    await begun(channel)
    assert channel.told == [Place(HERE, CHANNEL)]
    [shown] = channel.messages.values()
    assert numbers(shown) == [[1, 2], [3, 4]] and shown.likes is None
    assert all(data[:4] == b"RIFF" for pair in shown.pairs for data in pair.values())
    await channel.vote(ALICE, 1)
    await channel.vote(BOB, 1)
    await channel.vote(BOB, 4)
    await channel.duelling.look()
    assert channel.messages == {1: shown}, "one a week"
    for _ in range(2):
        await channel.wall.grid(BOB)
    await channel.week()
    assert channel.messages[1].likes == {1: 2, 4: 1}
    assert channel.messages[2].likes is None and channel.messages[2].id != shown.id
    with pytest.raises(UserError, match="has ended"):
        await channel.vote(BOB, 2)


async def test_a_vote_can_be_changed_and_is_one_of_its_pair(channel: Channel) -> None:
    await begun(channel)
    for number in (1, 2, 2, 3):
        await channel.vote(BOB, number)
    assert await votes(channel.wall) == [(BOB.user_id, n, int(n in (2, 3))) for n in (1, 2, 3, 4)]
    with pytest.raises(UserError, match="nobody can vote"):
        await channel.vote(BOB, 9)
    with pytest.raises(NotAllowedError, match="no such vote"):
        await channel.vote(Actor(7, 20, 200), 1)


async def test_votes_teach_the_servers_taste_until_one_is_forgotten(channel: Channel) -> None:
    wall = channel.wall
    await learned(wall)
    before = await taste_of(wall)
    await begun(channel)
    await channel.vote(MIRA, 1)
    assert await taste_of(wall) == before, "votes count from the night after"
    assert await night(wall)
    assert await taste_of(wall) != before
    await wall.opened.studio.server_tastes.count_me(MIRA, counts=False)
    assert await taste_of(wall) == before
    with pytest.raises(UserError, match="forgotten"):
        await channel.vote(MIRA, 1)


async def test_votes_in_a_channel_that_one_reads_no_more_do_not_count(channel: Channel) -> None:
    wall = channel.wall
    await learned(wall)
    before = await taste_of(wall)
    await begun(channel)
    await channel.vote(MIRA, 1)
    await night(wall)
    assert await taste_of(wall) != before
    wall.servers.shut.add(CHANNEL)
    await night(wall)
    assert await taste_of(wall) == before


@pytest.mark.parametrize("how", ["forget me here", "leave", "learn nothing", "delete all"])
async def test_who_goes_leaves_the_rows_as_without_them(channel: Channel, how: str) -> None:
    wall = channel.wall
    await begun(channel)
    await channel.vote(ALICE, 4)
    before = await votes(wall)
    await channel.vote(BOB, 1)
    if how == "forget me here":
        await wall.opened.studio.server_tastes.count_me(BOB, counts=False)
    elif how == "leave":
        wall.servers.left.add(BOB.user_id)
        await night(wall)
    elif how == "learn nothing":
        await wall.own.change(BOB, taste=False)
        with pytest.raises(UserError, match="Tastes are off"):
            await channel.vote(BOB, 1)
    else:
        await wall.own.delete(BOB)
    assert await votes(wall) == before


async def test_a_copy_of_ones_data_has_ones_own_votes(channel: Channel) -> None:
    await begun(channel)
    await channel.vote(ALICE, 4)
    await channel.vote(BOB, 1)
    read = personal_rows(BOB.user_id)["duel_votes"]
    found = await channel.wall.database.read(lambda c: c.execute(read).all())
    assert [(row.user_id, row.number, row.liked) for row in found] == [
        (BOB.user_id, 1, 1),
        (BOB.user_id, 2, 0),
    ]


async def test_a_deleted_picture_takes_its_votes_and_the_message_along(channel: Channel) -> None:
    wall = channel.wall
    drawn = await begun(channel, 3)
    await channel.vote(BOB, 1)
    first = sa.select(rows.duel_pictures.c.job_id).where(rows.duel_pictures.c.number == 1)
    job_id = await wall.database.read(lambda c: c.scalar(first))
    assert job_id in drawn
    await wall.opened.studio.delete(ALICE, job_id)
    assert await votes(wall) == []
    noted = await wall.database.read(lambda c: c.execute(sa.select(unposted)).all())
    assert [(row.channel_id, row.message_id) for row in noted] == [(CHANNEL, 1)]
    with pytest.raises(UserError, match="nobody can vote"):
        await channel.vote(BOB, 2)


async def test_what_not_everybody_sees_is_never_shown(channel: Channel) -> None:
    wall = channel.wall
    await wall.opened.drawn(ALICE, "a secret --stealth")
    await wall.opened.drawn(Actor(ALICE.user_id, HERE, CHANNEL + 1))
    await wall.opened.drawn(Actor(ALICE.user_id, None, 5))
    trashed = (await wall.grid(ALICE)).job.id
    await wall.opened.studio.trash.put(ALICE, [(trashed, n) for n in range(4)])
    await begun(channel, 1)
    assert channel.messages == {}, "one grid is too few"
    await wall.grid(ALICE)
    await channel.duelling.look()
    assert len(channel.messages[1].pairs) == 2


async def test_pairs_are_of_different_members_where_that_goes(channel: Channel) -> None:
    for actor in (ALICE, ALICE, ALICE, ALICE, ALICE, BOB, MIRA):
        await channel.wall.grid(actor)
    await channel.open()
    await channel.duelling.look()
    authors = sa.select(jobs.c.user_id).join(rows.duel_pictures, rows.duel_pictures.c.job_id == jobs.c.id)
    found = await channel.wall.database.read(lambda c: c.scalars(authors).all())
    assert sorted(found) == sorted(2 * [ALICE.user_id, ALICE.user_id, BOB.user_id, MIRA.user_id])


async def test_a_duel_that_could_not_be_posted_is_tried_again(channel: Channel) -> None:
    channel.is_away = True
    await begun(channel)
    assert await channel.wall.count(duels) == 0
    channel.is_away = False
    await channel.duelling.look()
    assert list(channel.messages) == [1]


async def test_a_press_tells_the_message_of_a_duel_that_a_crash_left(channel: Channel) -> None:
    await begun(channel)
    await channel.wall.database.write(lambda c: c.execute(duels.update().values(message_id=None)))
    await channel.vote(BOB, 1)
    await channel.week()
    assert channel.messages[1].likes == {1: 1}


async def test_managers_alone_choose_the_channel_and_end_the_votes(channel: Channel) -> None:
    door = channel.wall.opened.studio.duels
    with pytest.raises(NotAllowedError):
        await door.set_channel(BOB, CHANNEL)
    await begun(channel)
    assert (await door.held(MIRA)).channel_id == CHANNEL
    await channel.vote(BOB, 1)
    await door.set_channel(MIRA, None)
    await channel.duelling.look()
    assert channel.messages[1].likes == {1: 1}, "an end at once"
    await channel.week()
    assert list(channel.messages) == [1]
    audit = await channel.wall.opened.studio.server.audit(MIRA)
    assert [(row.action, row.detail) for row in audit] == [
        ("set duels", {"channel": None}),
        ("set duels", {"channel": CHANNEL}),
    ]


async def test_managers_are_told_while_a_channel_has_too_few_grids(channel: Channel) -> None:
    door = channel.wall.opened.studio.duels
    assert told_of_lack(await door.held(MIRA)) == ""
    await channel.open()
    for count in range(2):
        said = told_of_lack(await door.held(MIRA))
        assert f"shown yet: {count}. The next vote needs 2" in said
        await channel.wall.grid(ALICE)
    assert told_of_lack(await door.held(MIRA)) == ""
    with pytest.raises(NotAllowedError):
        await door.held(BOB)


async def test_a_server_without_a_taste_has_no_votes(channel: Channel) -> None:
    studio = channel.wall.opened.studio
    await begun(channel)
    await studio.server_tastes.set_on(MIRA, on=False)
    await channel.duelling.look()
    likes: Mapping[int, int] | None = channel.messages[1].likes
    assert likes == {}
    with pytest.raises(UserError, match="turned this server's taste off"):
        await studio.duels.set_channel(MIRA, CHANNEL)


async def test_a_server_that_the_bot_has_left_keeps_no_votes(channel: Channel) -> None:
    await begun(channel)
    await channel.vote(BOB, 1)
    await channel.wall.database.write(partial(rows.delete_duels_elsewhere, there={HERE}))
    assert len(await votes(channel.wall)) == 2
    await channel.wall.database.write(partial(rows.delete_duels_elsewhere, there=frozenset()))
    assert await votes(channel.wall) == []


async def test_nothing_runs_where_the_operator_wants_no_tastes(channel: Channel, tmp_path: Path) -> None:
    services = channel.wall.opened.services
    off = load_settings({"TASTE": "off"}, tmp_path / "none.env")
    built = (services.database, services.queue, services.showing, services.directory)
    await Duelling(*built, off).run_for_ever()
