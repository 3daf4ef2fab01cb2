"""How many statements an interaction costs, and how many trips to the database's thread: on busy cores each
waits for one of them, there and back, while somebody waits for an acknowledgement."""

import gc
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import aiosqlite
import pytest
import sqlalchemy as sa

from storage.engines.base import ONCE
from tests.bot.conftest import Studio, open_studio

MOST = 12  # from the press to acknowledged and queued, BEGIN and COMMIT included
MOST_TRIPS = 4
TRIP = "a trip to a connection's thread"
EMPTYING = "_execute_fetchall"  # how the sweep that a start makes empties the log: nobody's press
OPENING = "a trip that opens a connection"  # as where another read still has the one there is


@contextmanager
def _statements(studio: Studio):
    """What is sent to the database, in order, and each ``TRIP`` that takes it there."""
    sent: list[str] = []
    new: dict[int, list[int]] = {}  # connection that was opened meanwhile → its places in ``sent`` until used
    known = {id(one) for one in gc.get_objects() if issubclass(type(one), aiosqlite.Connection)}
    execute = aiosqlite.Connection._execute

    async def travel(connection: aiosqlite.Connection, *arguments: Any, **named: Any) -> Any:
        if arguments[0].__name__ == EMPTYING:
            return await execute(connection, *arguments, **named)
        if id(connection) not in known:
            new.setdefault(id(connection), []).append(len(sent))
        sent.append(TRIP)
        return await execute(connection, *arguments, **named)

    def used(dbapi_connection, record, proxy) -> None:
        place = id(dbapi_connection.driver_connection)
        for at in new.pop(place, ()):
            sent[at] = OPENING
        known.add(place)

    def note(connection, cursor, statement, parameters, context, many) -> None:
        sent.append(" ".join(statement.split()))

    def end(connection) -> None:
        if connection.get_execution_options() != ONCE:  # where nothing was begun, nothing is sent
            sent.append("COMMIT")

    engine = studio.built.database.engine.sync_engine
    hooks = (("before_cursor_execute", note), ("commit", end))
    for name, hook in hooks:
        sa.event.listen(engine, name, hook)
    sa.event.listen(engine, "checkout", used)
    with mock.patch.object(aiosqlite.Connection, "_execute", travel):
        yield sent
    for name, hook in hooks:
        sa.event.remove(engine, name, hook)
    sa.event.remove(engine, "checkout", used)


@pytest.mark.parametrize("moderation", ["off", "strict"])
async def test_an_imagine_is_queued_within_a_dozen_statements(tmp_path: Path, moderation: str) -> None:
    # without the background look at pictures, whose statements are nobody's press
    async with open_studio(tmp_path, MODERATION=moderation, SEARCH_PICTURES="off") as studio:
        queue = studio.built.queue
        studio.hooks.wait = studio.outside
        await queue.pause(studio.mira.id)  # what follows is the delivery's and the dispatcher's
        await queue.people.user_seen(studio.alice.id, "alice")  # written once an hour
        with _statements(studio) as sent:
            result = await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
            assert result.acknowledged
        written = next(i for i, text in enumerate(sent) if text.startswith("INSERT INTO jobs"))
        until_queued = [one for one in sent[: sent.index("COMMIT", written) + 1] if one != OPENING]
        trips = until_queued.count(TRIP)
        assert 0 < trips <= MOST_TRIPS, "\n".join(until_queued)
        assert len(until_queued) - trips <= MOST, "\n".join(until_queued)
        await queue.clear(studio.mira.id)
