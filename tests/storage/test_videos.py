"""Rows of videos: beside their posters, known to whoever asks which files are needed, gone with their job."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.requests.video import VideoRequest
from storage import collections, conversations, gallery, job_queries, privacy
from storage.database import Database
from storage.job_queries import StoredOutput, StoredPicture
from storage.jobs import finish
from storage.schema import videos
from storage.videos import StoredVideo
from tests.jobs import video_worker
from tests.storage.conftest import NOW, a_job, added, running

video_worker.register()

ANN, BEN = 1, 2


def _name(job_id: str, index: int, what: str) -> str:
    return f"{abs(hash((job_id, index, what))):064x}"


def _made(job_id: str, count: int) -> StoredOutput:
    """What a job with so many videos has made. Files are named by whose they are."""
    posters, clips = [], []
    for index in range(count):
        poster = _name(job_id, index, "poster")
        posters.append(StoredPicture(poster, "image/png", 64, 32, 7 + index, index, 100))
        names = _name(job_id, index, "video"), _name(job_id, index, "ends")
        clips.append(
            StoredVideo(names[0], "video/mp4", 64, 32, 24, 16.0, False, 7 + index, index, 3000, names[1])
        )
    return StoredOutput(tuple(posters), videos=tuple(clips))


async def made(database: Database, count: int = 2, *, user: int = ANN) -> tuple[str, StoredOutput]:
    job = await running(database, user=user)
    output = _made(job.id, count)
    await database.write(lambda c: finish(c, job.id, output, token="t", now=NOW, run_seconds=1.0))
    return job.id, output


def files_of(output: StoredOutput) -> set[str]:
    return {p.sha256 for p in output.pictures} | {n for f in output.videos for n in (f.sha256, f.ends) if n}


async def test_videos_are_found_with_their_job(database: Database) -> None:
    job_id, output = await made(database)
    other, _ = await made(database, 1)
    _, found = await database.read(lambda c: job_queries.read_output(c, job_id))
    assert found.videos == output.videos and found.pictures == output.pictures
    assert [video.seconds for video in found.videos] == [1.5, 1.5]
    assert (await database.read(lambda c: gallery.read_made(c, ANN, job_id))).output.videos == output.videos
    newest = await database.read(lambda c: gallery.newest_jobs(c, ANN, 5))
    assert {(m.job.id, len(m.output.videos)) for m in newest} == {(job_id, 2), (other, 1)}


async def test_a_run_without_its_lease_writes_no_video(database: Database) -> None:
    job = await running(database)
    output = _made(job.id, 1)
    assert not await database.write(lambda c: finish(c, job.id, output, token="x", now=NOW, run_seconds=1.0))
    assert await database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(videos))) == 0


@pytest.mark.parametrize("wrong", [{"index": 5}, {"frames": 0}, {"fps": 0.0}])
async def test_a_video_that_can_t_be_rolls_the_whole_result_back(database: Database, wrong) -> None:
    job = await running(database)
    output = _made(job.id, 1)
    output = replace(output, videos=(replace(output.videos[0], **wrong),))
    with pytest.raises(sa.exc.IntegrityError):
        await database.write(lambda c: finish(c, job.id, output, token="t", now=NOW, run_seconds=1.0))
    assert await database.read(lambda c: job_queries.read_output(c, job.id)) is None


async def test_rows_know_which_files_videos_need(database: Database) -> None:
    _, output = await made(database)
    names = files_of(output)
    assert len(names) == 6
    assert await database.read(lambda c: privacy.known_files(c, {*names, "0" * 64})) == names
    assert await database.read(lambda c: privacy.unneeded(c, {*names, "0" * 64})) == {"0" * 64}


async def test_a_deleted_job_takes_videos_posters_and_ends(database: Database) -> None:
    (job_id, output), (_, other) = await made(database), await made(database)
    removed = await database.write(lambda c: privacy.delete_jobs(c, [job_id], now=NOW))
    assert set(removed.files) == files_of(output)
    assert await database.read(lambda c: privacy.known_files(c, files_of(output))) == set()
    assert await database.read(lambda c: privacy.known_files(c, files_of(other))) == files_of(other)


async def test_a_person_s_videos_are_counted_exported_and_deleted(database: Database) -> None:
    (_, output), (_, other) = await made(database), await made(database, user=BEN)
    held = await database.read(lambda c: privacy.holdings(c, ANN))
    assert (held.videos, held.pictures, held.bytes) == (2, 2, 6200)
    rows, _ = await database.read(lambda c: privacy.export(c, ANN, "films"))
    assert {row["sha256"] for row in rows} == {video.sha256 for video in output.videos}
    assert {row["ends_sha256"] for row in rows} == {video.ends for video in output.videos}
    removed = await database.write(lambda c: privacy.delete_person(c, ANN, now=NOW))
    assert set(removed.files) == files_of(output)
    assert await database.read(lambda c: privacy.known_files(c, files_of(other))) == files_of(other)


async def test_a_video_goes_into_the_trash_and_for_good_with_its_poster(database: Database) -> None:
    job_id, output = await made(database, 4)
    await database.write(lambda c: collections.put_in_trash(c, ANN, [(job_id, 1)], now=NOW))
    one = await database.read(lambda c: gallery.read_made(c, ANN, job_id))
    assert [f.index for f in one.output.videos] == [0, 2, 3] == [p.index for p in one.output.pictures]
    removed = await database.write(lambda c: collections.delete_pictures(c, [(job_id, 1)], now=NOW))
    gone = replace(output, pictures=output.pictures[1:2], videos=output.videos[1:2])
    assert set(removed.files) == files_of(gone) and not removed.jobs
    _, left = await database.read(lambda c: job_queries.read_output(c, job_id))
    assert [f.index for f in left.videos] == [0, 2, 3] == [p.index for p in left.pictures]


async def test_a_clip_and_its_ends_stay_while_a_job_that_starts_from_them_is_there(
    database: Database,
) -> None:
    job_id, output = await made(database, 1)
    (video,) = output.videos
    request = VideoRequest(prompt="", operation="extend", clip=video.sha256, clip_ends=video.ends)
    later = await added(database, replace(a_job(user=BEN), request=request))
    removed = await database.write(lambda c: privacy.delete_jobs(c, [job_id], now=NOW))
    assert set(removed.files) == {output.pictures[0].sha256}
    removed = await database.write(lambda c: privacy.delete_jobs(c, [later.id], now=NOW))
    assert set(removed.files) == {video.sha256, video.ends}


async def test_seconds_of_video_are_counted_by_day_and_outlive_a_deletion(database: Database) -> None:
    for count in (2, 1):
        job = await running(database, job=replace(a_job(), request=VideoRequest(prompt="a boat")))
        output = _made(job.id, count)
        await database.write(
            lambda c, id_=job.id, out=output: finish(c, id_, out, token="t", now=NOW, run_seconds=1.0)
        )
    await database.write(lambda c: privacy.delete_person(c, ANN, now=NOW))
    tomorrow = NOW + timedelta(days=1)
    assert await database.read(lambda c: conversations.seconds_used(c, ANN, now=NOW)) == 4.5
    assert await database.read(lambda c: conversations.seconds_used(c, ANN, now=tomorrow)) == 0.0
    await database.write(lambda c: conversations.drop_seconds_used(c, now=tomorrow))
    assert await database.read(lambda c: conversations.seconds_used(c, ANN, now=NOW)) == 4.5
    await database.write(lambda c: conversations.drop_seconds_used(c, now=tomorrow + timedelta(days=1)))
    assert await database.read(lambda c: conversations.seconds_used(c, ANN, now=NOW)) == 0.0


async def test_videos_that_are_coming_are_those_that_wait_or_run(database: Database) -> None:
    request = VideoRequest(prompt="a boat", seconds=3.0)
    await added(database, replace(a_job(), request=request))
    await running(database, job=replace(a_job(), request=request))
    await made(database)
    await added(database, replace(a_job(user=BEN), request=request))
    assert await database.read(lambda c: conversations.list_coming(c, ANN)) == [request, request]
