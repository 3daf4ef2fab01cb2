"""Which places a search compares: those of the rows, whatever has changed since sets were filled."""

import random
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from storage import collections, embeddings, jobs, place_sets, privacy
from storage.database import Database
from storage.embeddings import Vector
from storage.gallery import Filter, Looked, Scope, candidates
from storage.members import Members
from storage.schema import GRID, messages, picture_places, pictures, trash
from storage.schema import jobs as rows
from tests.storage.conftest import NOW
from tests.storage.test_folders import folder, put
from tests.storage.test_trash import ANN, BEN, made, stored

SCOPES = (
    Scope(ANN),
    Scope(BEN),
    Scope(ANN, frozenset({3}), frozenset({2})),
    Scope(BEN, frozenset({3}), frozenset({2, 9})),
)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
LATER = NOW + timedelta(days=2)
FILTERS = (
    Filter(),
    Filter(("red",)),
    Filter(("grey", "HOUSE")),
    Filter(seed=7),
    Filter(kind="imagine"),
    Filter(kind="blend"),
    Filter(model="Large"),
    Filter(ratio=(3, 2)),
    Filter(since=NOW + timedelta(hours=1)),
    Filter(since=MIDNIGHT, until=LATER),
    Filter(("red",), model="m-", ratio=(1, 1), until=LATER),
)


def places(bits: bytes) -> set[int]:
    return {place for place in range(8 * len(bits)) if bits[place // 8] >> place % 8 & 1}


async def seen(database: Database, job_id: str, *, apart: int = 1) -> None:
    """Note vectors of a job's pictures, ``apart`` places from each other."""

    def work(connection: sa.Connection) -> None:
        first = embeddings.next_place(connection)
        vectors = [Vector(first + apart * n, stored(job_id, n).sha256, b"\0" * 4) for n in range(4)]
        embeddings.add_vectors(connection, "m", vectors)

    await database.write(work)


async def fill(database: Database, random_: random.Random | None = None) -> None:
    """Fill all pages that aren't, or one of two."""
    for page in await database.read(partial(place_sets.missing, model="m")):
        if random_ is None or random_.random() < 0.5:
            await database.write(partial(place_sets.fill, model="m", page=page))


def there(connection: sa.Connection) -> list[tuple[int, str, int]]:
    """(user, job, index) of all pictures."""
    joined = rows.join(pictures, pictures.c.job_id == rows.c.id)
    chosen = sa.select(rows.c.user_id, rows.c.id, pictures.c.position).select_from(joined)
    return [tuple(row) for row in connection.execute(chosen.where(pictures.c.position > GRID))]


def fitting(connection: sa.Connection, scope: Scope, wanted: Filter) -> set[int]:
    """The places that a search may compare, by a plain reading of all rows."""
    posted = {tuple(row) for row in connection.execute(sa.select(messages.c.job_id, messages.c.channel_id))}
    away = {tuple(row) for row in connection.execute(sa.select(trash.c.job_id, trash.c.position))}
    same = pictures.c.job_id == rows.c.id, pictures.c.position == picture_places.c.position
    joined = picture_places.join(rows, rows.c.seq == picture_places.c.seq).join(pictures, sa.and_(*same))
    chosen = sa.select(picture_places.c.place, pictures, rows.c.id.label("job"), rows).select_from(joined)
    found = set[int]()
    for row in connection.execute(chosen):
        shown = not row.private and row.guild_id in scope.servers and row.channel_id in scope.channels
        own = row.user_id == scope.user_id or (shown and (row.job, row.channel_id) in posted)
        if own and (row.job, row.position) not in away and _fits(row, wanted):
            found.add(row.place)
    return found


def _fits(row: Any, wanted: Filter) -> bool:
    width, height = wanted.ratio or (row.width, row.height)
    return (
        all(word.lower() in row.prompt.lower() for word in wanted.words)
        and wanted.seed in (None, row.seed)
        and wanted.kind in (None, row.kind)
        and (wanted.model or "").lower() in (row.parameters or "").lower()
        and abs(row.width * height - row.height * width) * 100 <= row.height * width * 3
        and (wanted.since is None or row.created_at >= wanted.since)
        and (wanted.until is None or row.created_at < wanted.until)
    )


def changed(job_id: str, random_: random.Random) -> Any:
    """Another model, shape and time for a job's pictures."""
    at: datetime = NOW + timedelta(hours=random_.randrange(72))
    named = {"parameters": f'{{"model": "{random_.choice(("m-small", "M-large"))}"}}', "created_at": at}
    size = random_.choice(({"width": 96}, {"width": 64}))

    def work(connection: sa.Connection) -> None:
        connection.execute(sa.update(pictures).where(pictures.c.job_id == job_id).values(size))
        connection.execute(sa.update(rows).where(rows.c.id == job_id).values(named))

    return work


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
async def test_places_are_those_of_the_rows_whatever_has_changed(database: Database, seed: int) -> None:
    random_, number = random.Random(seed), 0
    ids, away = list[str](), list[tuple[str, int]]()
    for turn in range(60):
        what = random_.choice(
            ("draw", "draw", "post", "unpost", "trash", "back", "delete", "remove", "hide", "edit", "alter")
        )
        some = random_.choice(ids) if ids else None
        if what == "draw" or some is None:
            ids.append(some := await made(database, random_.choice((ANN, BEN))))
            await database.write(changed(some, random_))
            await seen(database, some, apart=random_.choice((1, 1, 700)))
        elif what == "post":
            number += 1
            await database.write(lambda c, n=number, j=some: jobs.add_message(c, j, n, 2, 3, NOW))
        elif what == "unpost":
            await database.write(
                lambda c, j=some: c.execute(sa.delete(messages).where(messages.c.job_id == j))
            )
        elif what == "trash":
            user, *name = random_.choice(await database.read(there))
            away.append((name[0], name[1]))
            await database.write(partial(collections.put_in_trash, user_id=user, names=[away[-1]], now=NOW))
        elif what == "back" and away:
            for user in (ANN, BEN):
                await database.write(partial(collections.take_back, user_id=user, names=[away[-1]]))
        elif what == "remove":
            name = some, random_.randrange(4)
            await database.write(partial(collections.delete_pictures, names=[name], now=NOW))
        elif what == "delete":
            ids.remove(some)
            await database.write(lambda c, j=some: privacy.delete_jobs(c, [j], now=NOW))
        elif what == "alter":
            await database.write(changed(some, random_))
        elif what in ("hide", "edit"):
            value = {"private": random_.randrange(2)} if what == "hide" else {"prompt": "a grey house"}
            await database.write(
                lambda c, j=some, v=value: c.execute(sa.update(rows).where(rows.c.id == j).values(v))
            )
        await fill(database, random_)
        for scope, wanted in random_.sample([(scope, wanted) for scope in SCOPES for wanted in FILTERS], 8):
            found = await database.read(partial(candidates, scope=scope, wanted=wanted, model="m"))
            plain = await database.read(partial(fitting, scope=scope, wanted=wanted))
            if wanted.words:
                assert places(found.first) == plain, (turn, what, scope, wanted)
                assert places(found.first) <= places(found.places)
            else:
                assert places(found.places) == plain, (turn, what, scope, wanted)


async def test_favourites_and_folders_are_found_by_their_own_rows(database: Database) -> None:
    job = await made(database, ANN)
    await seen(database, job)
    await fill(database)
    await Members(database).toggle_favourites(ANN, job, [2])
    boats = await folder(database)
    await put(database, boats, (job, 1), (job, 3))
    await database.write(partial(collections.put_in_trash, user_id=ANN, names=[(job, 3)], now=NOW))
    await fill(database)
    for user, wanted, right in (
        (ANN, Filter(folder=boats), {1}),
        (ANN, Filter(favourite=True), {2}),
        (ANN, Filter(favourite=True, folder=boats), set()),
        (BEN, Filter(favourite=True), set()),
    ):
        found = await database.read(partial(candidates, scope=Scope(user), wanted=wanted, model="m"))
        assert places(found.places) == right, wanted


async def test_a_place_that_is_used_again_is_its_new_owners(database: Database) -> None:
    job = await made(database, ANN)
    await seen(database, job)
    await fill(database)
    ask = partial(candidates, scope=Scope(ANN), wanted=Filter(), model="m")
    assert places((await database.read(ask)).places) == {0, 1, 2, 3}
    await database.write(lambda c: privacy.delete_jobs(c, [job], now=NOW))
    assert await database.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM place_sets"))) == 0
    await seen(database, await made(database, BEN))
    for _ in range(2):
        assert places((await database.read(ask)).places) == set()
        await fill(database)


async def test_pages_that_are_filled_are_not_read_from_rows(database: Database) -> None:
    job = await made(database, ANN)
    await seen(database, job, apart=2000)
    await fill(database)
    asked = list[str]()
    sa.event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda _, cursor, text, *more: asked.append(text),
    )
    whole_days = Filter(kind="imagine", model="m", ratio=(1, 1), until=MIDNIGHT + timedelta(days=2))
    ask = partial(candidates, scope=Scope(ANN), wanted=whole_days, model="m")
    await database.read(ask)
    assert asked and not any("FROM jobs" in text for text in asked)
    await database.write(partial(collections.put_in_trash, user_id=ANN, names=[(job, 1)], now=NOW))
    assert await database.read(partial(place_sets.missing, model="m")) == [0, 1, 3, 5], "its job's"
    asked.clear()
    assert places((await database.read(partial(ask, wanted=Filter()))).places) == {0, 4000, 6000}
    assert sum("FROM jobs" in text for text in asked) == 3, "pages beside each other are read together"


async def test_only_pictures_that_nobody_has_looked_at_are_told_by_their_words_alone(
    database: Database,
) -> None:
    job, blank, new = [await made(database, ANN) for _ in range(3)]
    await seen(database, job)
    await fill(database)
    unread = frozenset({stored(blank, 2).sha256})
    for looked, right in (
        (None, [(new, n) for n in range(4)] + [(blank, n) for n in range(4)]),
        (Looked(2, unread), [*((new, n) for n in range(4)), (blank, 2)]),
        (Looked(3, unread), [(blank, 2)]),
        (Looked(3), []),
    ):
        ask = partial(candidates, scope=Scope(ANN), wanted=Filter(("red",)), model="m", looked=looked)
        found = await database.read(ask)
        assert list(found.bare) == right and places(found.first) == {0, 1, 2, 3}
