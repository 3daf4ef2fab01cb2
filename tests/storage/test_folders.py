"""Folders' rows: whose they are, what they hold, and what leaves them by itself."""

import pytest
from sqlalchemy.exc import IntegrityError

from storage import collections, gallery
from storage.database import Database
from storage.gallery import Filter
from tests.storage.conftest import NOW
from tests.storage.test_trash import ANN, BEN, made


async def folder(database: Database, name: str = "boats", user: int = ANN, query: str | None = None) -> str:
    found = await database.write(lambda c: collections.add_folder(c, user, name, query, now=NOW, most=3))
    assert found is not None
    return found.id


async def put(database: Database, folder_id: str, *names: tuple[str, int], most: int = 9) -> int | None:
    return await database.write(lambda c: collections.put_in_folder(c, folder_id, names, now=NOW, most=most))


async def counts(database: Database, user: int = ANN) -> dict[str, int]:
    return {
        found.name: found.pictures
        for found in await database.read(lambda c: collections.list_folders(c, user))
    }


async def test_a_folder_shows_what_was_put_in_and_not_what_is_in_the_trash(database: Database) -> None:
    first, second = await made(database), await made(database)
    boats, other = await folder(database), await folder(database, "Apples")
    assert await put(database, boats, (first, 2), (second, 0), (first, 2)) == 2
    assert await put(database, boats, (first, 2), (first, 3)) == 1
    await put(database, other, (first, 0))
    assert list((await counts(database)).items()) == [("Apples", 1), ("boats", 3)]
    await database.write(lambda c: collections.put_in_trash(c, ANN, [(first, 3)], now=NOW))
    tiles = await database.read(lambda c: gallery.tiles(c, ANN, Filter(folder=boats), limit=9))
    assert [(tile.job.id, tile.picture.index) for tile in tiles] == [(second, 0), (first, 2)]
    assert (await counts(database))["boats"] == 2
    assert await database.write(lambda c: collections.take_out(c, boats, [(first, 2), (first, 1)])) == 1
    await database.write(lambda c: collections.delete_pictures(c, [(second, 0)], now=NOW))
    assert (await counts(database))["boats"] == 0
    await database.write(lambda c: collections.take_back(c, ANN, [(first, 3)]))
    assert (await counts(database))["boats"] == 1, "what is removed from the trash is where it was"


async def test_a_full_folder_takes_nothing_more(database: Database) -> None:
    job, boats = await made(database), await folder(database)
    assert await put(database, boats, *((job, n) for n in range(3)), most=3) == 3
    assert await put(database, boats, (job, 2), (job, 3), most=3) is None
    assert (await counts(database))["boats"] == 3
    for name in ("b", "c"):
        await folder(database, name)
    assert await database.write(lambda c: collections.add_folder(c, ANN, "d", None, now=NOW, most=3)) is None


async def test_a_name_is_given_once(database: Database) -> None:
    boats, other = await folder(database), await folder(database, "other")
    await folder(database, user=BEN)
    with pytest.raises(IntegrityError):
        await folder(database)
    with pytest.raises(IntegrityError):
        await database.write(lambda c: collections.rename_folder(c, ANN, other, "boats"))
    assert await database.write(lambda c: collections.rename_folder(c, ANN, boats, "ships"))
    assert set(await counts(database)) == {"ships", "other"}


async def test_nobody_sees_or_changes_somebody_elses_folder(database: Database) -> None:
    boats = await folder(database)
    assert await database.read(lambda c: collections.read_folder(c, BEN, boats)) is None
    assert not await database.write(lambda c: collections.rename_folder(c, BEN, boats, "mine"))
    assert not await database.write(lambda c: collections.delete_folder(c, BEN, boats))
    assert await counts(database) == {"boats": 0} and await counts(database, BEN) == {}
    assert await database.write(lambda c: collections.delete_folder(c, ANN, boats))
