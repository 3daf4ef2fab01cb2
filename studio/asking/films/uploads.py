"""Films that people send to go on from: read in a confined process, stored clean with their first frame."""

from __future__ import annotations

import re

from core.errors import ImageError
from storage.films.rows import StoredFilm
from storage.lookup import StoredOutput, StoredPicture
from storage.members import Members
from studio.actor import Actor
from studio.asking.films.sources import FilmSource
from studio.asking.sources import Sources
from studio.films.clips import Clip, Clips
from studio.pictures.intake import Readable
from studio.services import Services

KEPT = "clip:"  # how the name of a film begins that was sent before
_KEPT = re.compile(r"clip:([a-z2-9]{12})")
GONE = "That film is gone; send it again."


class ClipUploads:
    """Takes films in, within the host's limits."""

    def __init__(self, services: Services, sources: Sources, clips: Clips) -> None:
        self._files, self._people = services.files, services.queue.people
        self._clips, self._sources = clips, sources
        self._members = Members(services.database)

    async def take(self, actor: Actor, file: Readable) -> FilmSource:
        """Return a film that the actor sends.

        Raises ImageError, which says what is wrong with it and what is taken, NotAllowedError for who may not
        ask, LimitError after too many files or on a full disk.
        """
        clip, _ = await self._take(actor, file)
        return clip

    async def keep(self, actor: Actor, file: Readable) -> tuple[str, FilmSource, str]:
        """Keep a film that the actor sends, to be worked on later; return what ``kept`` knows it by, the film
        and the SHA-256 of its first frame. Raises as ``take`` does."""
        clip, poster = await self._take(actor, file)
        names = ("sha256", "width", "height", "frames", "fps", "sound")
        content = {"clip": {name: getattr(clip, name) for name in names}}
        return f"{KEPT}{await self._members.add_draft(actor.user_id, content)}", clip, poster

    async def kept(self, actor: Actor, name: str) -> FilmSource:
        """Return a film that was kept under a name. Raises ImageError when it is gone, or somebody else's."""
        match = _KEPT.fullmatch(name)
        found = await self._members.draft(match[1]) if match else None
        if found is None or found[0] != actor.user_id or "clip" not in found[1]:
            raise ImageError(GONE)
        clip = FilmSource(**found[1]["clip"])
        if not await self._people.has_sent(actor.user_id, clip.sha256):
            raise ImageError(GONE)
        if not await self._files.has(clip.sha256):
            raise ImageError(GONE)
        return clip

    async def _take(self, actor: Actor, file: Readable) -> tuple[FilmSource, str]:
        await self._sources.check_upload(actor)
        stored = await self.stored(await self._clips.take(file))
        [one], [poster] = stored.films, stored.pictures
        for sha256 in (one.sha256, poster.sha256):
            await self._people.note_upload(actor.user_id, sha256)
        return FilmSource(one.sha256, one.width, one.height, one.frames, one.fps, one.sound), poster.sha256

    async def stored(self, made: Clip) -> StoredOutput:
        """Take a film that was made into the store, with its first frame, and return what rows say of it."""
        film = await self._files.take(made.path, made.media_type)
        poster = await self._files.put(made.poster, "image/png")
        row = StoredFilm(
            film.sha256,
            made.media_type,
            made.width,
            made.height,
            made.frames,
            float(made.fps),
            made.sound,
            None,
            0,
            film.size,
        )
        size = (made.width, made.height)
        picture = StoredPicture(poster, "image/png", *size, None, 0, len(made.poster))
        return StoredOutput((picture,), films=(row,), parameters={"notes": list(made.notes)})
