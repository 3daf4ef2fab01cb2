"""Which places a search compares: what was read before and brought up is what would be read anew, whatever
has changed since."""

import random
from functools import partial

import pytest
import sqlalchemy as sa

from storage import collections, embeddings, jobs, place_versions, privacy
from storage.database import Database
from storage.embeddings import Vector
from storage.gallery import Filter, Scope, candidates
from storage.schema import GRID, messages, pictures
from storage.schema import jobs as rows
from tests.storage.conftest import NOW
from tests.storage.test_trash import ANN, BEN, made, stored

SCOPES = (
    Scope(ANN),
    Scope(BEN),
    Scope(ANN, frozenset({3}), frozenset({2})),
    Scope(BEN, frozenset({3}), frozenset({2})),
)
FILTERS = (Filter(), Filter(("red",)), Filter(seed=7), Filter(("grey",)))


def places(bits: bytes) -> set[int]:
    return {place for place in range(8 * len(bits)) if bits[place // 8] >> place % 8 & 1}


async def seen(database: Database, job_id: str, *, apart: int = 1) -> None:
    """Note vectors of a job's pictures, ``apart`` places from each other."""

    def work(connection: sa.Connection) -> None:
        first = embeddings.next_place(connection)
        vectors = [Vector(first + apart * n, stored(job_id, n).sha256, b"\0" * 4) for n in range(4)]
        embeddings.add_vectors(connection, "m", vectors)

    await database.write(work)


def there(connection: sa.Connection) -> list[tuple[int, str, int]]:
    """(user, job, index) of all pictures."""
    joined = rows.join(pictures, pictures.c.job_id == rows.c.id)
    chosen = sa.select(rows.c.user_id, rows.c.id, pictures.c.position).select_from(joined)
    return [tuple(row) for row in connection.execute(chosen.where(pictures.c.position > GRID))]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
async def test_places_that_are_kept_are_those_that_are_read_anew(database: Database, seed: int) -> None:
    random_, number = random.Random(seed), 0
    ids, away, known = list[str](), list[tuple[str, int]](), dict[object, tuple]()
    for turn in range(60):
        what = random_.choice(
            ("draw", "draw", "post", "unpost", "trash", "back", "delete", "remove", "hide", "edit")
        )
        some = random_.choice(ids) if ids else None
        if what == "draw" or some is None:
            ids.append(some := await made(database, random_.choice((ANN, BEN))))
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
        elif what in ("hide", "edit"):
            value = {"private": random_.randrange(2)} if what == "hide" else {"prompt": "a grey house"}
            await database.write(
                lambda c, j=some, v=value: c.execute(sa.update(rows).where(rows.c.id == j).values(v))
            )
        for key in random_.sample([(scope, wanted) for scope in SCOPES for wanted in FILTERS], 6):
            scope, wanted = key
            ask = partial(candidates, scope=scope, wanted=wanted, model="m")
            before, first = known.get(key, (None, None))
            kept = await database.read(partial(ask, known=before, known_first=first))
            anew = await database.read(ask)
            assert places(kept.places) == places(anew.places), (turn, what, key)
            assert places(kept.first) == places(anew.first), (turn, what, key)
            known[key] = kept.known, kept.known_first


async def test_a_place_that_is_used_again_is_its_new_owners(database: Database) -> None:
    job = await made(database, ANN)
    await seen(database, job)
    before = await database.read(partial(candidates, scope=Scope(ANN), wanted=Filter(), model="m"))
    assert places(before.places) == {0, 1, 2, 3}
    await database.write(lambda c: privacy.delete_jobs(c, [job], now=NOW))
    await seen(database, await made(database, BEN))
    after = await database.read(
        partial(candidates, scope=Scope(ANN), wanted=Filter(), model="m", known=before.known)
    )
    assert places(after.places) == set()


async def test_only_pages_that_have_changed_are_read(database: Database) -> None:
    job = await made(database, ANN)
    await seen(database, job, apart=2000)
    before = await database.read(partial(candidates, scope=Scope(ANN), wanted=Filter(), model="m"))
    versions = await database.read(place_versions.read)
    assert {0, 1, 3, 5} <= set(versions)
    asked = list[str]()
    sa.event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda _, cursor, text, *more: asked.append(text),
    )
    ask = partial(candidates, scope=Scope(ANN), wanted=Filter(), model="m", known=before.known)
    await database.read(ask)
    assert not any("picture_places" in text for text in asked)
    await database.write(partial(collections.put_in_trash, user_id=ANN, names=[(job, 1)], now=NOW))
    after = await database.read(ask)
    assert places(after.places) == {0, 4000, 6000}
