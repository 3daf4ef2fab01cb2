"""Pictures as they leave the studio: with the marks that the host wants, within a size limit, and never
where moderation forbids it; and small copies of them, made once and kept beside the originals' cache.

The image process makes the copies: decoding a large picture takes more memory than the studio's own process
may have. It is started when it is needed and let go when it is idle."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from core.errors import ImageError, StorageError
from core.job import Job
from core.limits import SHEET, SHEET_ACROSS
from core.requests import ComposeRequest, CutOutRequest, EditRequest, OutpaintRequest, RegionRequest
from core.requests.base import Answer
from storage.blobs.base import Files
from storage.job_queries import StoredPicture
from studio.authority import Place
from studio.media import provenance
from studio.media.child import Child, exchange
from studio.media.provenance import Marker
from studio.media.uploads import PROCESS, Intake
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility
from studio.new_job import FIELDS

SIZES = (256, 512)  # px of the longer side
ANSWER, IDLE = 30.0, 120.0  # seconds for one picture; without a picture until the process is let go


class Thumbnails:
    """Makes and keeps small WebP copies of stored pictures."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.child = Child(sys.executable, "-m", PROCESS, "thumbnail")

    async def get(self, sha256: str, side: int, *, veiled: bool = False) -> bytes:
        """Return a picture as WebP with its longer side of at most ``side`` px, one of ``SIZES``.

        veiled: so blurred that nothing can be recognised. Raises ImageError when it can't be read,
        StorageError when its file is gone.
        """
        name = f"{side}{'.veiled' if veiled else ''}.webp"
        kept = await self.files.get_derived(sha256, name)
        if kept is not None:
            return kept
        original = await self.files.get(sha256)
        talk = partial(exchange, data=original, side=side, veiled=veiled)
        async with self.child.turn:
            try:
                _, made = await self.child.ask(talk, ANSWER, IDLE)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                log.warning("the process that makes thumbnails ended (%s)", type(error).__name__)
                raise ImageError("No small copy of this picture could be made.") from error
        if not made:
            raise ImageError("This picture can't be read any more.")
        await self.files.put_derived(sha256, name, made)
        return made

    async def close(self) -> None:
        """End the process."""
        await self.child.close()


log = logging.getLogger(__name__)
_STRICTER = tuple(Visibility)  # each hides more than those before it


@dataclass(frozen=True)
class Shown:
    """A picture to hand out. ``data`` is None when it can't be made small enough, or may not be shown;
    ``notes`` are sentences that say what was done to it."""

    data: bytes | None
    media_type: str
    notes: tuple[str, ...] = ()
    visibility: Visibility = Visibility.SHOW


class Showing:
    """Reads stored pictures for people to see. ``marker``: marks them. ``parameters``: they keep the prompt
    and settings that the worker wrote into them."""

    def __init__(
        self,
        files: Files,
        intake: Intake,
        moderator: Moderator,
        thumbnails: Thumbnails,
        *,
        marker: Marker,
        parameters: bool,
    ) -> None:
        self._files, self._intake, self._moderator = files, intake, moderator
        self._thumbnails, self._marker, self._parameters = thumbnails, marker, parameters

    async def picture(self, stored: StoredPicture, job: Job, limit: int) -> Shown:
        """Return a picture of ``job`` in at most ``limit`` bytes, encoded anew if the original is larger.
        Raises StorageError when its file is gone."""
        data = await self._marked(await self._files.get(stored.sha256), stored.media_type, job)
        if len(data) <= limit:
            return Shown(data, stored.media_type)
        try:
            data, media_type, name = await self._intake.shrink(data, limit - self._marker.room)
        except ImageError as error:
            return Shown(None, stored.media_type, (str(error),))
        note = (
            f"Sent as {name}: the original is larger than the {round(limit / 2**20, 1):g} MB that fit here."
        )
        return Shown(await self._marked(data, media_type, job), media_type, (note,))

    async def sheet(self, pictures: Sequence[StoredPicture], job: Job) -> Shown:
        """Return the drafts of a sheet as one picture, each with its number; behind them there are empty
        places for those that are gone. Raises ImageError when it can't be drawn, StorageError when a file is
        gone."""
        small = [await self._thumbnails.get(one.sha256, SIZES[0]) for one in pictures]
        gone = {*range(SHEET)} - {one.index for one in pictures}
        numbers = [one.index + 1 for one in pictures] + [place + 1 for place in sorted(gone)]
        drawn = await self._intake.sheet(small + [b""] * len(gone), numbers, SHEET_ACROSS)
        return Shown(await self._marked(drawn, "image/webp", job), "image/webp")

    async def mosaic(
        self, place: Place, pictures: Sequence[tuple[StoredPicture, Job] | None], first: int = 1
    ) -> bytes | None:
        """Return pictures of jobs as one WebP, three in a row, each with its number from ``first`` on: those
        that are to be hidden in ``place`` are blurred; what may not be shown, or isn't there (None), is an
        empty place. None where all are empty. Raises ImageError when it can't be drawn."""
        there = [one for one in pictures if one is not None]
        seen = iter(await self.visibilities(place, there))
        small = list[bytes]()
        for one in pictures:
            try:
                shown = one and await self.thumbnail(*one, SIZES[0], next(seen), veiled=True)
            except (ImageError, StorageError):
                shown = None
            small.append(shown.data or b"" if shown else b"")
        if not any(small):
            return None
        drawn = await self._intake.sheet(small, range(first, first + len(small)))
        return await self._marked(drawn, "image/webp", there[0][1], sign=False)

    async def picture_in(self, place: Place, stored: StoredPicture, job: Job, limit: int) -> Shown:
        """Return a picture of ``job`` as it may be shown in ``place``: without data where that is forbidden.
        Raises StorageError when its file is gone."""
        visibility = await self._moderator.visibility(_seen_in(stored, job), place)
        if visibility is Visibility.BLOCK:
            return Shown(None, stored.media_type, visibility=visibility)
        return replace(await self.picture(stored, job, limit), visibility=visibility)

    async def numbered_in(self, place: Place, stored: StoredPicture, job: Job) -> Shown:
        """Return a picture of ``job`` with its numbered fields drawn over it, as it may be shown in
        ``place``. Raises ImageError when it can't be read, StorageError when its file is gone."""
        visibility = await self._moderator.visibility((stored.sha256,), place)
        if visibility is Visibility.BLOCK:
            return Shown(None, "image/webp", visibility=visibility)
        drawn = await self._intake.numbered(await self._files.get(stored.sha256), FIELDS)
        return Shown(await self._marked(drawn, "image/webp", job), "image/webp", visibility=visibility)

    async def visibilities(
        self, place: Place, pictures: Sequence[tuple[StoredPicture, Job]]
    ) -> list[Visibility]:
        """Return how each of many pictures of jobs may be shown in ``place``."""
        seen = [_seen_in(picture, job) for picture, job in pictures]
        found = iter(await self._moderator.visibilities([one for each in seen for one in each], place))
        return [max((next(found) for _ in each), key=_STRICTER.index) for each in seen]

    async def thumbnail(
        self, stored: StoredPicture, job: Job, side: int, visibility: Visibility, *, veiled: bool
    ) -> Shown:
        """Return a picture of ``job`` as WebP with a longer side of at most ``side`` px: without data where
        it may not be shown. veiled: blur a spoiler. Raises ImageError when it can't be read, StorageError
        when its file is gone."""
        if visibility is Visibility.BLOCK:
            return Shown(None, "image/webp", visibility=visibility)
        hidden = veiled and visibility is Visibility.SPOILER
        data = await self._thumbnails.get(stored.sha256, side, veiled=hidden)
        marked = await self._marked(data, "image/webp", job, sign=False)
        return Shown(marked, "image/webp", visibility=visibility)

    async def small_in(self, place: Place, pictures: Sequence[tuple[StoredPicture, Job]]) -> list[Shown]:
        """Return small copies of pictures of jobs, as they may be shown in ``place``: without data where that
        is forbidden or the picture is gone. Those that are to be hidden aren't blurred."""
        copies = []
        for (stored, job), said in zip(pictures, await self.visibilities(place, pictures), strict=True):
            try:
                copies.append(await self.thumbnail(stored, job, SIZES[1], said, veiled=False))
            except (ImageError, StorageError):
                copies.append(Shown(None, "image/webp"))
        return copies

    async def shared(self, stored: StoredPicture, job: Job, side: int | None) -> Shown:
        """Return a picture of ``job`` for somebody who isn't known: whole, or as WebP of at most ``side`` px.
        Raises ImageError when it can't be read, StorageError when its file is gone."""
        whole = side is None
        if side is None:
            data, media_type = await self._files.get(stored.sha256), stored.media_type
        else:
            data, media_type = await self._thumbnails.get(stored.sha256, side), "image/webp"
        return Shown(await self._marked(data, media_type, job, sign=whole), media_type)

    async def small(self, sha256: str, side: int = SIZES[0]) -> bytes:
        """Return a picture that somebody sent as WebP of at most ``side`` px, one of ``SIZES``, for those who
        may look at it. Raises ImageError when it can't be read, StorageError when its file is gone."""
        return await self._thumbnails.get(sha256, side)

    async def whole(self, sha256: str) -> bytes:
        """Return the same picture as it is kept. Raises StorageError when its file is gone."""
        return await self._files.get(sha256)

    async def preview(self, preview: bytes, job: Job, place: Place) -> bytes | None:
        """Return the JPEG of a job that still runs, or None where it may not be shown."""
        if not await self._moderator.shows_preview(preview, job, place):
            return None
        try:
            return await self._marked(preview, "image/jpeg", job, sign=False)
        except ValueError:
            log.warning("job %s: its preview is no JPEG", job.id)
            return None

    async def _marked(self, data: bytes, media_type: str, job: Job, *, sign: bool = True) -> bytes:
        """Mark a picture. sign: with credentials too, which small copies and previews aren't worth."""
        source, parameters = self._digital_source(job), self._parameters and job.worded
        return await self._marker.mark(data, media_type, source=source, parameters=parameters, sign=sign)

    def _digital_source(self, job: Job) -> str | None:
        """IPTC's word for how the job's pictures came to be; None for what no model made: charts, and
        described, read or cut-out pictures that come from no job."""
        request = job.request
        read = request.answer in (Answer.CAPTIONS, Answer.LINES, Answer.MAP, Answer.VERDICTS)
        described = read and job.parent_id is not None
        uploaded = isinstance(request, CutOutRequest) and job.parent_id is None
        if not self._marker.ai_mark or uploaded or not (described or request.answer is Answer.PICTURES):
            return None
        kept = (ComposeRequest, EditRequest, OutpaintRequest, RegionRequest)
        return provenance.EXTENDED if isinstance(request, kept) else provenance.MADE


def _seen_in(stored: StoredPicture, job: Job) -> tuple[str, ...]:
    """Return the pictures (SHA-256) that can be seen in one: boxes and maps lie over what they were made
    of."""
    laid = (Answer.LINES, Answer.MAP, Answer.TEXT, Answer.VERDICTS)
    is_laid = stored.index < 0 and job.request.answer in laid
    return (stored.sha256, *(job.request.pictures if is_laid else ()))
