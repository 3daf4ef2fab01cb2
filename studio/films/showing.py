"""The bytes of a film as they leave the studio: with the mark that the host wants, within a size limit.

Alone, several as a mosaic, or as a GIF. What was made for that is kept beside the film.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from core.errors import ImageError
from core.job import Job
from core.requests.video import CutRequest, VideoRequest
from storage.files import Files
from storage.films.rows import StoredFilm
from studio.films.clips import Clip, Clips
from studio.marking import marks
from studio.marking.marker import Marker
from studio.pictures.showing import Shown

MEDIA_TYPE = "video/mp4"
TOO_LARGE = "The film is too large to be sent here, even small. `/show` it where larger files fit."
log = logging.getLogger(__name__)


class FilmShowing:
    """Reads stored films for people to see. marker: marks them."""

    def __init__(self, files: Files, clips: Clips, marker: Marker) -> None:
        self._files, self._clips, self._marker = files, clips, marker

    async def film(self, stored: StoredFilm, job: Job, limit: int) -> Shown:
        """Return a film of ``job`` in at most ``limit`` bytes, encoded anew if it is larger; without data
        where it doesn't fit, however it is made. Raises StorageError when its file is gone."""
        return await self._within(await self._files.get(stored.sha256), stored.sha256, "", job, limit)

    async def mosaic(self, films: Sequence[StoredFilm], job: Job, limit: int) -> Shown:
        """Return films of ``job`` side by side as one, in at most ``limit`` bytes; without data where that
        can't be. Raises StorageError when a file is gone."""
        first, others = films[0].sha256, "-".join(film.sha256[:12] for film in films[1:])
        data = await self._files.get_derived(first, f"{others}.mp4")
        if data is None:
            paths = [await self._files.local(film.sha256) for film in films]
            try:
                data = await _taken(await self._clips.mosaic(paths))
            except ImageError as error:
                log.warning("job %s: its films can't be shown side by side: %s", job.id, error)
                return Shown(None, MEDIA_TYPE, (str(error),))
            await self._files.put_derived(first, f"{others}.mp4", data)
        return await self._within(data, first, f"{others}.", job, limit)

    async def gif(self, stored: StoredFilm, job: Job, limit: int) -> Shown:
        """Return a film of ``job`` as a GIF in at most ``limit`` bytes. Raises ImageError when it doesn't
        fit, StorageError when its file is gone."""
        name = f"{limit}.gif"
        data = await self._files.get_derived(stored.sha256, name)
        if data is None:
            path = await self._files.local(stored.sha256)
            data = await _taken(await self._clips.gif(path, limit - self._marker.room))
            await self._files.put_derived(stored.sha256, name, data)
        return Shown(await self._marked(data, "image/gif", job), "image/gif")

    async def whole(self, stored: StoredFilm, job: Job) -> Path:
        """Return where a film of ``job`` lies as anybody may have it. Raises StorageError when its file is
        gone."""
        path, source = await self._files.local(stored.sha256), self._source(job)
        if source is None:
            return path
        name = f"{self._marker.name(source)}.mp4"
        found = await self._files.find_derived(stored.sha256, name)
        if found is None:
            data = await self._marked(await self._files.get(stored.sha256), MEDIA_TYPE, job)
            await self._files.put_derived(stored.sha256, name, data)
            found = await self._files.find_derived(stored.sha256, name)
        return found or path

    async def _within(self, data: bytes, sha256: str, name: str, job: Job, limit: int) -> Shown:
        """Return a film, or what is kept beside film ``sha256`` as ``name``, in at most ``limit`` bytes."""
        marked = await self._marked(data, MEDIA_TYPE, job)
        if len(marked) <= limit:
            return Shown(marked, MEDIA_TYPE)
        path = await self._files.local(sha256)
        if name:
            path = await self._files.find_derived(sha256, f"{name}mp4") or path
        try:
            fitted = await self._clips.fit(path, limit - self._marker.room)
        except ImageError:
            return Shown(None, MEDIA_TYPE, (TOO_LARGE,))
        return Shown(await self._marked(await _taken(fitted), MEDIA_TYPE, job), MEDIA_TYPE, fitted.notes)

    async def _marked(self, data: bytes, media_type: str, job: Job) -> bytes:
        return await self._marker.mark(data, media_type, source=self._source(job))

    def _source(self, job: Job) -> str | None:
        """Return IPTC's word for how the job's films came to be, None where none is wanted."""
        request = job.request
        if not self._marker.ai_mark:
            return None
        if isinstance(request, CutRequest):
            return marks.EXTENDED if job.parent_id else None  # a part of what somebody sent
        kept = isinstance(request, VideoRequest) and (request.clip or request.image or request.end_image)
        return marks.EXTENDED if kept else marks.MADE


async def _taken(clip: Clip) -> bytes:
    """Return the bytes of a film that was made, and delete its file."""

    def take() -> bytes:
        try:
            return clip.path.read_bytes()
        finally:
            clip.path.unlink(missing_ok=True)

    return await asyncio.to_thread(take)
