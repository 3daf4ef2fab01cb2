"""Pictures in the trash: where they are left out, and how they are deleted for good."""

from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from storage import collections, gallery, job_queries, privacy
from storage.database import Database
from storage.gallery import Filter
from storage.job_queries import StoredOutput, StoredPicture
from storage.jobs import add_message, finish, remember_message
from storage.schema import GRID, favourites, jobs, unposted
from tests.storage.conftest import NOW, running

ANN, BEN = 1, 2


def stored(job_id: str, index: int) -> StoredPicture:
    """A picture whose hash tells whose it is."""
    return StoredPicture(f"{abs(hash((job_id, index))):064x}", "image/png", 64, 64, 7, index, 100)


async def made(database: Database, user: int = ANN, count: int = 4) -> str:
    """A finished job with pictures and their overview."""
    job = await running(database, user=user)
    output = StoredOutput(tuple(stored(job.id, n) for n in range(count)), stored(job.id, GRID))
    await database.write(lambda c: finish(c, job.id, output, token="t", now=NOW, run_seconds=1.0))
    return job.id


async def names(database: Database, user: int = ANN, **wanted) -> list[tuple[str, int]]:
    found = await database.read(lambda c: gallery.tiles(c, user, Filter(**wanted), limit=99))
    return [(tile.job.id, tile.picture.index) for tile in found]


async def put(database: Database, *pictures: tuple[str, int], user: int = ANN, at=NOW) -> None:
    await database.write(lambda c: collections.put_in_trash(c, user, pictures, now=at))


async def test_what_is_in_the_trash_is_nowhere_else(database: Database) -> None:
    first, second = await made(database), await made(database)
    await put(database, (first, 1), (second, 0))
    assert await names(database) == [*((second, n) for n in (1, 2, 3)), *((first, n) for n in (0, 2, 3))]
    assert await names(database, trash=True) == [(second, 0), (first, 1)]
    assert [day.pictures for day in await database.read(lambda c: gallery.days(c, ANN))] == [6]
    one = await database.read(lambda c: gallery.read_made(c, ANN, first))
    assert one is not None and one.output is not None and one.trashed == {1}
    assert [p.index for p in one.output.pictures] == [0, 2, 3] and one.output.grid is None
    assert await database.write(lambda c: collections.take_back(c, ANN, [(first, 1), (first, 2)])) == [
        (first, 1)
    ]
    assert await names(database, trash=True) == [(second, 0)] and len(await names(database)) == 7


async def test_days_are_those_of_a_time_zone(database: Database) -> None:
    times = (
        "2026-03-01T04:30",
        "2026-03-29T00:59",
        "2026-06-30T22:30",
        "2026-10-31T23:30",
        "2026-11-01T03:30",
    )
    for time in times:
        job = await made(database, count=1)
        at = datetime.fromisoformat(f"{time}+00:00")
        change = sa.update(jobs).where(jobs.c.id == job).values(created_at=at)
        await database.write(lambda c, change=change: c.execute(change))

    async def days(zone) -> list[tuple[str, int]]:
        found = await database.read(lambda c: gallery.days(c, ANN, zone=zone))
        return [(day.day, day.pictures) for day in found]

    def expected(zone) -> list[tuple[str, int]]:
        found = (datetime.fromisoformat(f"{time}+00:00").astimezone(zone) for time in times)
        return sorted(Counter(f"{one:%Y-%m-%d}" for one in found).items(), reverse=True)

    zones = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati")
    for zone in map(ZoneInfo, zones):
        assert await days(zone) == expected(zone), zone
    assert len({str(expected(ZoneInfo(zone))) for zone in zones}) >= 3


async def test_a_day_whose_pictures_are_all_away_has_none(database: Database) -> None:
    job = await made(database, count=2)
    await put(database, (job, 0), (job, 1))
    assert await database.read(lambda c: gallery.days(c, ANN)) == ()


async def test_putting_away_twice_keeps_the_first_end(database: Database) -> None:
    job = await made(database)
    await put(database, (job, 0))
    await put(database, (job, 0), at=NOW + timedelta(days=9))
    day = timedelta(days=1)
    assert await database.read(lambda c: collections.list_overdue(c, NOW, 9)) == {}
    assert await database.read(lambda c: collections.list_overdue(c, NOW + day, 9)) == {ANN: [(job, 0)]}


async def test_nobody_takes_anything_out_of_somebody_elses_trash(database: Database) -> None:
    job = await made(database)
    await put(database, (job, 0))
    assert await database.write(lambda c: collections.take_back(c, BEN, [(job, 0)])) == []
    assert await database.read(lambda c: collections.list_trashed(c, BEN, [(job, 0)])) == []
    assert await database.read(lambda c: collections.count_trash(c, ANN)) == 1


async def test_a_single_picture_goes_with_all_that_shows_it_alone(database: Database) -> None:
    job = await made(database)

    def shown(c: sa.Connection) -> None:
        remember_message(c, job, message_id=10, channel_id=2, guild_id=3, now=NOW)
        for message, index in ((11, 1), (12, 2)):
            add_message(c, job, message_id=message, channel_id=2, guild_id=3, index=index, now=NOW)
        for position in (1, 2):
            row = {"user_id": BEN, "job_id": job, "position": position, "created_at": NOW}
            c.execute(sa.insert(favourites).values(**row))

    await database.write(shown)
    await put(database, (job, 1))
    removed = await database.write(lambda c: collections.delete_pictures(c, [(job, 1)], now=NOW))
    assert removed.jobs == () and removed.messages == ((2, 11),)
    assert set(removed.files) == {stored(job, 1).sha256, stored(job, GRID).sha256}
    found = await database.read(lambda c: job_queries.read_output(c, job))
    assert found is not None and [p.index for p in found[1].pictures] == [0, 2, 3] and found[1].grid is None
    assert await database.read(lambda c: c.scalars(sa.select(favourites.c.position)).all()) == [2]
    assert await database.read(lambda c: c.scalars(sa.select(unposted.c.message_id)).all()) == [11]
    assert await database.read(lambda c: collections.count_trash(c, ANN)) == 0
    assert await database.read(lambda c: collections.pick_pictures(c, [(job, 1), (job, 2)])) == [
        (found[0], found[1].pictures[1])
    ]


async def test_a_job_without_another_picture_goes_as_a_whole(database: Database) -> None:
    job, other = await made(database, count=2), await made(database)
    await database.write(lambda c: remember_message(c, job, message_id=10, channel_id=2, guild_id=3, now=NOW))
    gone = [(job, 0), (job, 1), (other, 0)]
    removed = await database.write(lambda c: collections.delete_pictures(c, gone, now=NOW))
    assert removed.jobs == (job,) and removed.messages == ((2, 10),)
    assert await database.read(lambda c: job_queries.read_job(c, job)) is None
    assert await names(database) == [(other, n) for n in (1, 2, 3)]


async def test_a_file_that_another_job_needs_stays(database: Database) -> None:
    job = await made(database)
    await database.write(lambda c: privacy.note_upload(c, BEN, stored(job, 0).sha256, now=NOW))
    removed = await database.write(lambda c: collections.delete_pictures(c, [(job, 0)], now=NOW))
    assert set(removed.files) == {stored(job, GRID).sha256}


async def test_thousands_are_named_at_once(database: Database) -> None:
    jobs = [await made(database) for _ in range(3)]
    every = [(job, n) for job in jobs for n in range(4)]
    named = [*every, *((f"{n:012}", 0) for n in range(200))]
    found = await database.read(lambda c: collections.pick_pictures(c, named))
    assert [(job.id, picture.index) for job, picture in found] == every
    await put(database, *every)
    assert len(await database.write(lambda c: collections.take_back(c, ANN, named))) == 12
