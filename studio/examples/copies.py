"""Sets as people look at them and take them away: which there are, their pictures, what trying them found,
and a ZIP file of all there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.errors import ImageError, StorageError
from core.job import Job
from jobs.views import Result
from storage.asking import examples as rows
from storage.asking.examples import ExampleSet
from storage.files import Files
from studio.actor import Actor
from studio.examples.lessons import Lessons
from studio.examples.sets import Contents, Sets
from studio.organise.archive import Archive
from studio.pictures.intake import Intake
from studio.services import Services

PAGE = 12  # pictures of a sheet
COVERS = 4  # pictures that stand for a set
SHOWN_TRIES = 8  # newest ones of somebody of a set
ROOM = 400  # bytes of a ZIP file around one picture
LEFT_OUT = "left out"  # instead of a picture that may not be shown where it is asked for, or is gone


@dataclass(frozen=True)
class Summary:
    """A set in a list. examples: how many it has. labels: of them, none for a set of questions. covers: ids
    of a few examples that have a picture."""

    set: ExampleSet
    examples: int
    labels: int
    covers: tuple[int, ...]


class Copies:
    """Shows what may be shown where somebody asks; the rest is left out."""

    def __init__(self, sets: Sets, services: Services, lessons: Lessons) -> None:
        self._sets, self._moderator, self._showing = sets, services.moderator, services.showing
        self._files: Files = services.files
        self._intake: Intake = services.intake
        self._database, self._queue, self._lessons = services.database, services.queue, lessons

    async def mine(self, actor: Actor) -> list[Summary]:
        """Return the actor's own sets, by name."""
        own = [one for one in await self._sets.all(actor) if one.user_id == actor.user_id]
        return [await self._summary(one, actor) for one in own]

    async def _summary(self, found: ExampleSet, actor: Actor) -> Summary:
        examples = await self._lessons.seen(found, actor)
        labels = {one.label for one in examples if not one.question}
        by_label = [next(one for one in examples if one.label == label) for label in sorted(labels)]
        shown = [one.id for one in dict.fromkeys((*by_label, *examples)) if one.pictures]
        return Summary(found, len(examples), len(labels), tuple(shown[:COVERS]))

    async def small(self, actor: Actor, name: str, example_id: int) -> bytes:
        """Return the first picture of an example as WebP of at most 256 px.

        Raises ImageError where there is none, or it may not be shown where the actor is, UserError for a set
        that isn't there, NotAllowedError, StorageError when its file is gone.
        """
        found = await self._sets.find(actor, name)
        work = partial(rows.one_example, set_id=found.id, example_id=example_id)
        example = await self._database.read(work)
        seen = await self._lessons.shown(found, [example], actor) if example else []
        if not seen or not seen[0].pictures:
            raise ImageError("That set has no such picture.")
        [sha256, _] = seen[0].pictures[0]
        if await self._moderator.unfit((sha256,), actor.place) is not None:
            raise ImageError("A rule of this place hides that picture.")
        return await self._showing.small(sha256)

    async def tries(self, actor: Actor, name: str) -> list[tuple[Job, Result | None]]:
        """Return by which jobs the actor tried a set of labels, the newest first, and what they found, None
        where that is nothing (yet). Raises UserError for a set that isn't there, NotAllowedError."""
        found = await self._sets.find(actor, name)
        work = partial(rows.tries, user_id=actor.user_id, set_id=found.id, limit=SHOWN_TRIES)
        return [(job, await self._queue.result(job.id)) for job in await self._database.read(work)]

    async def sheet(self, actor: Actor, contents: Contents, page: int) -> bytes | None:
        """Return a page (from 0) of a set's examples as a WebP, each by its first picture and its number;
        None where there are none."""
        first = page * PAGE
        shown = contents.examples[first : first + PAGE]
        if not shown:
            return None
        cells = [await self._cell(actor, next(iter(one.pictures), None)) for one in shown]
        return await self._intake.sheet(cells, first + 1)

    async def _cell(self, actor: Actor, picture: tuple[str, str | None] | None) -> bytes:
        if picture is None or await self._moderator.unfit((picture[0],), actor.place) is not None:
            return b""
        try:
            return await self._showing.small(picture[0])
        except (ImageError, StorageError):
            return b""

    async def pack(self, actor: Actor, name: str, limit: int) -> AsyncIterator[bytes]:
        """Yield ZIP files of at most about ``limit`` bytes: labels and questions as JSON, then the pictures.

        Raises UserError for a set that isn't there, NotAllowedError.
        """
        contents = await self._sets.contents(actor, name)
        names = _names(contents)
        unfit = {
            sha256 for sha256 in names if await self._moderator.unfit((sha256,), actor.place) is not None
        }
        told = json.dumps(_told(contents, names, unfit), ensure_ascii=False, indent=1).encode()
        archive, now = Archive(), datetime.now(UTC)
        packed = bytearray(archive.add("examples.json", told, now))
        for sha256, called in names.items():
            try:
                data = b"" if sha256 in unfit else await self._files.get(sha256)
            except StorageError:
                continue
            if not data or len(data) + ROOM > limit:
                continue
            if len(packed) + len(data) + ROOM > limit:
                yield bytes(packed + archive.end())
                archive, packed = Archive(), bytearray()
            packed += await asyncio.to_thread(archive.add, called, data, now)
        yield bytes(packed + archive.end())


def _names(contents: Contents) -> dict[str, str]:
    """Return what each picture's file is called, by its SHA-256."""
    folders = {label: number for number, label in enumerate(contents.labels, 1)}
    found = dict[str, str]()
    for example in contents.examples:
        plain = "".join(c if c.isalnum() else " " for c in example.label)[:40]
        folder = " ".join(f"{folders[example.label]:02} {plain}".split())
        for sha256, _ in example.pictures:
            found.setdefault(sha256, f"pictures/{folder}/{len(found) + 1:04}.png")
    return found


def _told(contents: Contents, names: dict[str, str], unfit: set[str]) -> dict[str, Any]:
    def one(pictures: Sequence[tuple[str, str | None]]) -> list[str]:
        return [LEFT_OUT if sha256 in unfit else names[sha256] for sha256, _ in pictures]

    return {
        "name": contents.set.name,
        "examples": [
            {
                "label": example.label,
                **({"question": example.question} if example.question else {}),
                "pictures": one(example.pictures),
            }
            for example in contents.examples
        ],
    }
