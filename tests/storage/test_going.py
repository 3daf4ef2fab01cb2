"""Rows of files that are to be deleted, on a file and on a server alike."""

from datetime import timedelta
from functools import partial

from storage import privacy
from storage.blobs import removal
from storage.database import Database
from tests.storage.conftest import NOW

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
DAY, NONE = timedelta(days=1), timedelta()


async def taken(database: Database, after: timedelta = NONE, **asked: object) -> list[str]:
    work = partial(removal.take_due, now=NOW + after, limit=2, **asked)
    return sorted(one.sha256 for one in await database.write(work))


async def note(database: Database, *sha256s: str, wait: timedelta) -> None:
    await database.write(partial(removal.note_going, sha256s=sha256s, now=NOW, wait=wait))


async def test_a_file_goes_at_the_sooner_of_two_times(database: Database) -> None:
    await note(database, A, B, wait=DAY)
    assert not await database.read(partial(removal.is_due, now=NOW))
    await note(database, A, wait=NONE)
    await note(database, B, wait=2 * DAY)
    assert await taken(database) == [A] and await taken(database, DAY) == [A, B]


async def test_what_is_named_again_is_passed_over_however_much_there_is(database: Database) -> None:
    await note(database, A, B, C, wait=NONE)
    for sha256 in (A, B):
        await database.write(partial(privacy.note_upload, user_id=1, sha256=sha256, now=NOW))
    assert await taken(database, among=[A, B]) == [] and await taken(database) == [C]
    await database.write(partial(removal.forget_going, sha256s=[C]))
    assert not await database.read(partial(removal.is_due, now=NOW + DAY))


async def test_what_could_not_go_is_tried_again_then_and_never_years_later(database: Database) -> None:
    await note(database, A, wait=NONE)
    await database.write(partial(removal.put_off, sha256s=[A], until=NOW + 9000 * DAY))
    assert await taken(database, DAY) == []
    await database.write(partial(removal.hasten, until=NOW + DAY))
    assert await taken(database, DAY) == [A]


async def test_only_what_no_row_names_is_an_orphan_and_once(database: Database) -> None:
    await database.write(partial(privacy.note_upload, user_id=1, sha256=A, now=NOW))
    assert await database.write(partial(removal.note_orphans, sha256s=[A, B], now=NOW, wait=DAY)) == 1
    assert await database.read(partial(removal.find_orphans, sha256s=[A, B, C])) == [C]
