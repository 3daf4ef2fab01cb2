"""What a question is about: pictures and a film that come along, named, or were sent before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import ImageError, UserError
from storage.members import Members
from studio.actor import Actor
from studio.asking.new_job import Source
from studio.asking.sources import Given, Sources
from studio.films.intake import Film, Films
from studio.pictures.intake import Readable
from studio.services import Services

ONE_FILM = "There are {} films; a question takes one."
_SHA256, _FILM = re.compile(r"[0-9a-f]{64}"), re.compile(r"film:([a-z2-9]{12})")


@dataclass
class Material:
    """Pictures, and the frames of a film, in the order of a question."""

    sources: list[Source] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)

    @property
    def private(self) -> bool:
        """Whether any picture is somebody's alone."""
        return any(source.private for source in self.sources)

    @property
    def parent(self) -> tuple[str, int] | None:
        """The first job that a picture is of."""
        return next((source.parent for source in self.sources if source.parent), None)

    def fields(self) -> dict[str, Any]:
        """Return the fields of a request: pictures, then frames with their times."""
        stills = tuple(dict.fromkeys(source.sha256 for source in self.sources))
        if not self.films:
            return {"images": stills}
        [film] = self.films
        return {
            "images": (*stills, *(sha256 for _, sha256 in film.frames)),
            "times": (*[None] * len(stills), *(seconds for seconds, _ in film.frames)),
            "film_seconds": film.seconds,
        }


class Materials:
    """Finds what a question is about, and checks that its asker may use it."""

    def __init__(self, sources: Sources, services: Services, members: Members) -> None:
        self._sources, self._members, self._settings = sources, members, services.settings
        self._films = films_of(services)

    async def found(self, actor: Actor, given: Sequence[Given]) -> Material:
        """Return what ``given`` are. Raises UserError for too many of a kind, ImageError for what isn't
        taken, NotAllowedError for somebody else's picture."""
        material = Material()
        self._check(len(given) - 1)  # one may be a film
        for one in given:
            await self._add(actor, one, material)
            if len(material.films) > 1:
                raise UserError(ONE_FILM.format(len(material.films)))
        self._check(len(material.sources))
        return material

    def _check(self, pictures: int) -> None:
        if pictures > (most := self._settings.ask_pictures):
            raise UserError(f"There are {pictures} pictures; a question takes up to {most} here.")

    async def _add(self, actor: Actor, given: Given, material: Material) -> None:
        if not isinstance(given, str):
            found = await self._taken(actor, given)
            if isinstance(found, Film):
                material.films.append(found)
            else:
                material.sources.append(found)
        elif film := _FILM.fullmatch(given):
            material.films.append(await self._kept(actor, film[1]))
        elif _SHA256.fullmatch(given):
            material.sources.append(await self._sources.uploaded(actor, given))
        else:
            material.sources.append(await self._sources.named(actor, given))

    async def _taken(self, actor: Actor, file: Readable) -> Film | Source:
        await self._sources.check_upload(actor)
        found = await self._films.take(file, actor.user_id)
        return found if isinstance(found, Film) else await self._sources.read(actor, found)

    async def keep(self, actor: Actor, file: Readable) -> tuple[str, Film]:
        """Keep a film that the actor sends until a question about it comes: what ``found`` knows it by, and
        its frames. Raises ImageError for anything else."""
        await self._sources.check_upload(actor)
        film = await self._films.take(file, actor.user_id)
        if not isinstance(film, Film):
            raise ImageError("That is no film; MP4, WebM and GIF are read.")
        content = {"film": {"frames": film.frames, "seconds": film.seconds}}
        return f"film:{await self._members.add_draft(actor.user_id, content)}", film

    async def _kept(self, actor: Actor, draft_id: str) -> Film:
        found = await self._members.draft(draft_id)
        if found is None or found[0] != actor.user_id or "film" not in found[1]:
            raise ImageError("That film is gone; send it again.")
        kept = found[1]["film"]
        frames = tuple((float(seconds), str(sha256)) for seconds, sha256 in kept["frames"])
        for _, sha256 in frames:
            await self._sources.uploaded(actor, sha256)
        return Film(frames, float(kept["seconds"]))


def films_of(services: Services) -> Films:
    """Return what takes films, within the host's limits."""
    settings = services.settings
    return Films(
        services.files,
        services.queue.people.note_upload,
        frames=settings.ask_frames,
        pixels=round(settings.ask_frame_pixels * 10**6),
        max_bytes=settings.max_film_mb * 2**20,
        max_picture_bytes=settings.max_upload_mb * 2**20,
    )
