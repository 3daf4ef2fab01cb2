"""Pictures and videos packed into one file that is sent while it is made: a picture, or a piece of a video,
is in memory at a time, however many there are."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa

from core.errors import ImageError, LimitError, NotAllowedError, StorageError, UserError
from core.job import Job
from core.requests import GenerateRequest
from storage import videos as video_rows
from storage.blobs.base import EXTENSIONS
from storage.collections import Named, pages, pick_pictures
from storage.job_queries import StoredPicture
from storage.videos import StoredVideo
from studio.authority import Action, Actor
from studio.library.clips import VideoShowing
from studio.library.collections import NOTHING
from studio.media.zip_stream import Archive
from studio.rights import Rights
from studio.services import Services

MOST_PICTURES, MOST_BYTES = 2000, 2 * 10**9
LONGEST_WORDS = 60  # characters of the prompt in a name
WHOLE = 2**31  # bytes of a picture: none is made smaller
LEFT_OUT = "left out.txt"
Chosen = tuple[Job, StoredPicture, StoredVideo | None]  # a video's picture is its poster


class Zips:
    """Packs pictures and videos that a person may see; whatever they may not is left out as if it weren't
    there."""

    def __init__(self, rights: Rights, services: Services, videos: VideoShowing) -> None:
        self._rights, self._database, self._queue = rights, services.database, services.queue
        self._showing, self._videos = services.showing, videos
        self._busy: set[int] = set()

    async def pack(self, actor: Actor, names: Sequence[Named]) -> AsyncGenerator[bytes, None]:
        """Yield a ZIP file of the named pictures in parts, with the videos whose posters are named in their
        place. Before the first part it raises ImageError when the actor may see none of them, NotAllowedError
        when they are barred, UserError for too many, LimitError while another is being sent."""
        chosen = await self._chosen(actor, names)
        if not chosen:
            raise ImageError(NOTHING)
        if len(chosen) > MOST_PICTURES:
            raise UserError(f"A ZIP file holds up to {MOST_PICTURES:,} pictures; these are {len(chosen):,}.")
        if (size := sum((video or picture).size for _, picture, video in chosen)) > MOST_BYTES:
            most = f"{MOST_BYTES / 10**9:.0f} GB"
            raise UserError(f"A ZIP file holds up to {most}; these pictures have {size / 10**9:.1f} GB.")
        if actor.user_id in self._busy:
            raise LimitError("Only one ZIP file at a time. Wait until the other one is finished.")
        self._busy.add(actor.user_id)
        try:
            archive, missing = Archive(), list[str]()
            for job, picture, video in chosen:
                name = file_name_of(job, video or picture)
                data = path = None  # None where it may not be shown, or has gone meanwhile
                with contextlib.suppress(StorageError):  # a poster also says whether its video may be shown
                    data = (await self._showing.picture_in(actor.place, picture, job, WHOLE)).data
                    path = (
                        await self._videos.whole(video, job)
                        if video is not None and data is not None
                        else None
                    )
                if data is None or (video is not None and path is None):
                    missing.append(name)
                elif path is not None:
                    pieces = archive.add_file(name, path, job.created_at)
                    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                        yield piece
                else:
                    yield await asyncio.to_thread(archive.add, name, data, job.created_at)
            if missing:
                lines = ["These pictures aren't allowed here, or are deleted:", *missing, ""]
                yield archive.add(LEFT_OUT, "\r\n".join(lines).encode(), datetime.now(UTC))
            yield archive.end()
        finally:
            self._busy.discard(actor.user_id)

    async def _chosen(self, actor: Actor, names: Sequence[Named]) -> list[Chosen]:
        """Return those of the named pictures that the actor may see, with the videos behind them."""
        found, videos = await self._database.read(partial(_pick, names=names))
        jobs = {job.id: job for job, _ in found}
        seen = await self._rights.owned(actor, Action.SHOW, jobs.values())
        for job_id in jobs.keys() - seen:
            with contextlib.suppress(NotAllowedError):
                await self._rights.check(actor, Action.SHOW, jobs[job_id])
                seen.add(job_id)
        own = [job for job in jobs.values() if job.origin.user_id == actor.user_id]
        if not seen and own:
            await self._rights.check(actor, Action.SHOW, own[0])  # says why one's own aren't seen
        others = {job_id for job_id in seen if jobs[job_id].origin.user_id != actor.user_id}
        away = {job_id: await self._queue.trashed(job_id) for job_id in others}
        return [
            (job, picture, videos.get((job.id, picture.index)))
            for job, picture in found
            if job.id in seen and picture.index not in away.get(job.id, ())
        ]


def _pick(
    connection: sa.Connection, names: Sequence[Named]
) -> tuple[list[tuple[Job, StoredPicture]], dict[Named, StoredVideo]]:
    """Return the named pictures with their jobs, and the videos that belong to them."""
    found, videos = pick_pictures(connection, names), dict[Named, StoredVideo]()
    for page in pages((job.id, picture.index) for job, picture in found):
        for job_id, made in video_rows.videos_of_jobs(connection, {job_id for job_id, _ in page}).items():
            videos |= {(job_id, video.index): video for video in made}
    return found, videos


def file_name_of(job: Job, picture: StoredPicture | StoredVideo) -> str:
    """Return the name of a picture's or video's file, which any system takes: day, some words,
    job and number."""
    words = job.request.prompt if isinstance(job.request, GenerateRequest) else job.request.kind
    plain = " ".join("".join(c if c.isalnum() else " " for c in words).split())
    if len(plain) > LONGEST_WORDS:
        plain = plain[:LONGEST_WORDS].rpartition(" ")[0] or plain[:LONGEST_WORDS]
    parts = (f"{job.created_at:%Y-%m-%d}", plain, f"{job.id}-{picture.index + 1}")
    return f"{' '.join(part for part in parts if part)}.{EXTENSIONS[picture.media_type]}"
