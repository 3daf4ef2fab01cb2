"""A direct message or a reaction that two processes are told is answered by one of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from bot.cogs.ask import Ask
from bot.cogs.reactions import APART, Reactions
from bot.cogs.uploads import Uploads
from bot.shards.client import ShardedAtelier
from storage.database import Database, open_database
from storage.several.handled import KEPT, handled, take
from tests.fresh import address_in

NOW = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(address_in(tmp_path), None) as opened:
        yield opened


async def test_of_all_who_ask_at_once_one_has_it(database: Database) -> None:
    work = partial(take, event="message 5", within=KEPT, now=NOW)
    assert sorted(await asyncio.gather(*(database.write(work, keys=()) for _ in range(8)))) == [False] * 7 + [
        True
    ]
    assert await database.write(partial(take, event="message 6", within=KEPT, now=NOW))


async def test_the_same_again_later_is_another_one_and_nothing_is_kept_for_long(database: Database) -> None:
    async def taken(after: float) -> bool:
        within, now = timedelta(seconds=APART), NOW + timedelta(seconds=after)
        return await database.write(partial(take, event="reaction 5 1 ⭐", within=within, now=now))

    assert [await taken(after) for after in (0, APART - 1, APART, APART + 1)] == [True, False, True, False]
    await database.write(partial(take, event="message 6", within=KEPT, now=NOW + 2 * KEPT))
    rows = await database.read(lambda c: c.execute(sa.select(handled.c.event)).scalars().all())
    assert len(rows) == 1 and "6" != rows[0]  # a digest


class Told:
    """A process of a bot, as far as its cogs ask it."""

    handles = ShardedAtelier.handles

    def __init__(self, database: Database | None, *, several: bool = True) -> None:
        self._database, self._delivers = database, several
        self.user, self.did = SimpleNamespace(id=9), list[str]()
        self.mentions = SimpleNamespace(direct=self._direct, in_server=self._in_server)
        self.studio = SimpleNamespace(job_of_message=self._job)

    async def _direct(self, message: Any) -> bool:
        self.did.append("direct")
        return True

    async def _in_server(self, message: Any, me: Any) -> None:
        self.did.append("in server")

    async def _job(self, actor: Any, message_id: int, action: Any) -> None:
        self.did.append("reaction")


def message(number: int, *, guild: int | None = None, mentions: tuple[Any, ...] = ()) -> Any:
    return SimpleNamespace(
        id=number, guild=guild, author=SimpleNamespace(id=1, bot=False), mentions=mentions, attachments=[]
    )


def reaction(emoji: str = "⭐") -> Any:
    return SimpleNamespace(
        message_id=5, user_id=1, guild_id=None, channel_id=2, emoji=SimpleNamespace(name=emoji)
    )


async def tell(bots: list[Any]) -> None:
    """Tell each process the same: two direct messages, a mention, a star, an envelope."""
    for bot in bots:
        await Uploads(bot).on_message(message(1))
        await Uploads(bot).on_message(message(2))
        await Ask(bot).on_message(message(3, guild=7, mentions=(bot.user,)))
        await Reactions(bot).on_raw_reaction_add(reaction())
        await Reactions(bot).on_raw_reaction_add(reaction("✉"))


EVERYTHING = ["direct", "direct", "in server", "reaction", "reaction"]


async def test_two_processes_with_the_same_connection_answer_once(database: Database) -> None:
    one, other = Told(database), Told(database)
    await tell([one, other])
    assert (one.did, other.did) == (EVERYTHING, [])


async def test_a_bot_of_one_process_asks_no_row(database: Database) -> None:
    alone = Told(database, several=False)
    await tell([alone])
    assert alone.did == EVERYTHING
    assert not await database.read(lambda c: c.execute(sa.select(handled)).all())


async def test_where_the_rows_cannot_be_asked_nothing_is_answered_twice(database: Database) -> None:
    bot: Any = Told(database)
    await database.close()
    await Uploads(bot).on_message(message(1))
    assert bot.did == []
