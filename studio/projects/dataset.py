"""A project's pictures: brought one by one, in zip files, or from what the studio made; counted, looked at,
taken out; and the labels that they come with."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.errors import ImageError, LimitError, UserError
from core.job import new_job_id
from core.requests.custom_models import DETECT, MARKED
from storage import collections
from storage.projects import dataset, projects
from storage.projects.dataset import Incoming, Item
from storage.projects.projects import Gone, Project
from studio.authority import Action, Actor, Pace
from studio.inputs import Sources
from studio.library.rendition import SIZES
from studio.media import uploads
from studio.media.child import ask_once
from studio.media.uploads import InMemory, Readable, Taken, short_name
from studio.new_job import Source
from studio.projects.projects import MAX_ZIP, RULE, Access, ProjectLimits
from studio.services import Services
from studio.texts import duration

AT_ONCE, EVERY = 600, 2.0  # pictures of one person at once, and seconds for each one after these


class Bringing:
    """Projects take many pictures, so they are counted apart from those that are sent to be worked on."""

    def __init__(self, sources: Sources, services: Services) -> None:
        self._sources, self._queue, self._intake = sources, services.queue, services.intake
        self._pace = Pace[int](AT_ONCE, EVERY)

    async def take_all(self, actor: Actor, pictures: Sequence[Readable | str]) -> list[Source | ImageError]:
        """Return pictures that somebody sends, whose right has been checked, several read at once; ones of
        ours by their names, or, by their SHA-256, ones that they have sent. An ImageError stands in the place
        of each that isn't taken. Raises LimitError for too many or on a full disk, UserError for another form
        of name, NotAllowedError for somebody else's."""
        await self._queue.check_room()
        for _ in pictures:
            self.count(actor)
        files = [one for one in pictures if not isinstance(one, str)]
        taken = iter(await self._intake.take_all(files, actor.user_id))
        found = list[Source | ImageError]()
        for one in pictures:
            try:
                if isinstance(one, str):
                    found.append(await self._sources.meant(actor, one))
                elif isinstance(file := next(taken), ImageError):
                    found.append(file)
                else:
                    found.append(Source(file.sha256, file.width, file.height))
            except ImageError as error:
                found.append(error)
        return found

    async def all_of(self, actor: Actor, pictures: Sequence[Readable | str]) -> list[Source]:
        """Return the same where each has to be taken. Raises ImageError for the first that isn't, and as
        ``take_all`` does."""
        found = []
        for source in await self.take_all(actor, pictures):
            if isinstance(source, ImageError):
                raise source
            found.append(source)
        return found

    def count(self, actor: Actor) -> None:
        """Count one picture of somebody's. Raises LimitError after too many."""
        if wait := self._pace.take(actor.user_id):
            raise LimitError(
                f"You have added {AT_ONCE} pictures in a short time. Continue in {duration(wait)}."
            )


MOST_PIXELS = 300_000_000  # of a zip file's pictures together
TOO_MANY_PIXELS = f"is beyond the {MOST_PIXELS // 10**6} megapixels allowed at once."
WRITTEN = 50  # pictures in one transaction: every other write waits for it
PATIENCE = 120.0  # seconds for a zip file
BOXES_ONLY = (
    "This project labels objects in pictures, not whole pictures: leave `label` out. Draw boxes on the web,"
    " or import a COCO, YOLO or CSV file."
)
NAMED = 3  # refused files that a sentence names
KEPT_PRIVATE = "is private, and this project belongs to a server. Add it to a project of your own."


@dataclass(frozen=True)
class Brought:
    """What became of pictures that were brought. new, known: SHA-256 of those that were added, and of those
    that were there. refused: (name, why not). more: refused ones that aren't named."""

    new: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    more: int = 0

    @property
    def sentence(self) -> str:
        """What became of them, for whoever brought them."""
        parts = [f"{len(self.new)} taken"]
        parts += [f"{len(self.known)} here already"] if self.known else []
        count = len(self.refused) + self.more
        if not count:
            return f"{', '.join(parts)}."
        named = "; ".join(f"{name} {why.rstrip('.')}" for name, why in self.refused[:NAMED])
        rest = f"; {count - NAMED} more" if count > NAMED else ""
        return f"{', '.join(parts)}, {count} refused: {named}{rest}."


class Pictures:
    """What people do with a project's pictures."""

    def __init__(self, access: Access, bringing: Bringing, services: Services, limits: ProjectLimits) -> None:
        self._access, self._bringing, self._limits = access, bringing, limits
        self._database, self._moderator = services.database, services.moderator
        self._intake, self._showing = services.intake, services.showing
        self._privacy, self._queue = services.privacy, services.queue

    async def add(
        self,
        actor: Actor,
        name: str,
        pictures: Sequence[Readable | str],
        label: str = "",
        *,
        together: bool = False,
    ) -> Brought:
        """Add pictures to a project: files, pictures of ours by their names, or SHA-256 of what the actor has
        sent.

        label: what all of them are called, by somebody who may label; one that is new enters the label book
        if they may change that.
        together: they show the same thing, so that they are learned from or tested on as one. A picture that
        can't be taken is refused alone. Raises UserError for a label that isn't taken, ImageError for no
        picture at all, LimitError for too many, NotAllowedError unless the actor may.
        """
        found, one = await self._access.find(actor, name, Action.ADD_TO)
        if not pictures:
            raise ImageError("There is no picture. Attach one or more.")
        if label:
            await self._access.find(actor, found.id, Action.LABEL)
            if found.task == DETECT:
                raise UserError(BOXES_ONLY)
        labels = await self._labels(one, found, [label])
        coming: list[Incoming] = []
        refused: list[tuple[str, str]] = []
        group = new_job_id() if together and len(pictures) > 1 else ""
        taken = await self._bringing.take_all(actor, pictures)
        for picture, source in zip(pictures, taken, strict=True):
            called = picture if isinstance(picture, str) else short_name(picture.name)
            if isinstance(source, ImageError):
                refused.append((called, _why(called, source)))
            elif source.private and found.guild_id is not None:
                refused.append((called, KEPT_PRIVATE))
            else:
                job_id = source.job.id if source.job else None
                coming.append(Incoming(source.sha256, labels.get(label, ""), group, job_id))
        return await self._write(one, found, coming, refused)

    async def add_zip(self, actor: Actor, name: str, file: Readable, label: str = "") -> Brought:
        """Add the pictures in a zip file. Folders, or label files of CSV, COCO or YOLO in it, say what they
        are called; ``label`` is for those of which they say nothing. Raises ImageError for a file that isn't
        taken at all, UserError, LimitError and NotAllowedError as ``add`` does."""
        found, one = await self._access.find(actor, name, Action.ADD_TO)
        await self._queue.check_room()
        self._bringing.count(actor)
        header, body = await read_confined(file, "pictures")
        listed = header["pictures"]
        if found.task == DETECT:  # a folder says nothing about objects, files of boxes do
            label = ""
            listed = [{**row, "label": MARKED if row["boxes"] else ""} for row in listed]
        wanted = [box[0] for row in listed for box in row["boxes"]] if found.task == DETECT else []
        labels = await self._labels(one, found, [label, *(row["label"] for row in listed), *wanted])
        refused = [(short_name(called), why) for called, why in header["refused"]]
        coming: list[Incoming] = []
        for row, taken in await self._read(actor, listed, body):
            if isinstance(taken, ImageError):
                refused.append((short_name(row["name"]), _why(short_name(row["name"]), taken)))
                continue
            called = labels.get(row["label"] or label, "")
            mask, size = None, (taken.width, taken.height)
            if row.get("mask") and found.task != DETECT and tuple(row["shape"]) == size:
                mask = await self._intake.keep_runs(row["mask"], size, actor.user_id)
            drawn = row["beside"] if mask else row["boxes"]
            boxes = tuple((labels[box[0]], *box[1:]) for box in drawn if labels.get(box[0]))
            coming.append(Incoming(taken.sha256, called, boxes=boxes, mask=mask))
        brought = await self._write(one, found, coming, refused)
        return replace(brought, more=brought.more + header["more"])

    async def _read(
        self, actor: Actor, listed: Sequence[dict[str, Any]], body: bytes
    ) -> list[tuple[dict[str, Any], Taken | ImageError]]:
        """Return each picture of a zip file with what became of it, as many pages at a time as there are
        processes."""
        taken: list[Taken | ImageError] = []
        pages, pixels = _pages(listed), 0
        for first in range(0, len(pages), uploads.CHILDREN):
            some = pages[first : first + uploads.CHILDREN]
            if pixels > MOST_PIXELS:
                taken += [ImageError(TOO_MANY_PIXELS)] * sum(map(len, some))
                continue
            files = ([InMemory(name, body[start:end]) for name, start, end in page] for page in some)
            reading = (self._intake.take_several(page, actor.user_id) for page in files)
            new = [one for page in await asyncio.gather(*reading) for one in page]
            pixels += sum(one.width * one.height for one in new if isinstance(one, Taken))
            taken += new
        return list(zip(listed, taken, strict=True))

    async def _labels(self, actor: Actor, found: Project, wanted: Sequence[str]) -> dict[str, str]:
        """Return each wanted label as the project has it; one that is new enters its book. None for somebody
        who may add and not label. Raises UserError for one that isn't taken, or that they may not add."""
        if not any(wanted) or not await self._access.may(actor, Action.LABEL, found):
            return {}
        return await self._access.read_labels(actor, found, wanted)

    async def _write(
        self, actor: Actor, found: Project, coming: list[Incoming], refused: list[tuple[str, str]]
    ) -> Brought:
        """Write what is fit for where the project belongs."""
        fit = list[Incoming]()
        for start in range(0, len(coming), WRITTEN):
            some = coming[start : start + WRITTEN]
            if await self._moderator.unfit([one.sha256 for one in some], actor.place) is None:
                fit += some
                continue
            fit += [one for one in some if await self._moderator.unfit((one.sha256,), actor.place) is None]
        refused += [("A picture", RULE.format(what="it", done="added"))] * (len(coming) - len(fit))
        most, now, added = self._limits.pictures, datetime.now(UTC), dataset.Added()
        for start in range(0, len(fit), WRITTEN):
            work = partial(dataset.add_items, project_id=found.id, user_id=actor.user_id, most=most, now=now)
            added |= await self._database.write(partial(work, coming=fit[start : start + WRITTEN]))
        if added.over and not added.new:
            raise LimitError(
                f"A project takes {self._limits.pictures:,} pictures, and {found.name} is full. Remove some"
                " first."
            )
        why = f"is more than the {self._limits.pictures:,} pictures that a project takes."
        refused += [("A picture", why)] * len(added.over)
        return Brought(added.new, added.known, tuple(refused))

    async def page(
        self,
        actor: Actor,
        name: str,
        *,
        label: str | None = None,
        state: str | None = None,
        after: str | None = None,
        limit: int = 60,
    ) -> list[Item]:
        """Return pictures of a project, the oldest first; label ("" = none) and state choose among them,
        after: SHA-256 of the last one that was seen. Raises UserError or NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.SEE_PROJECT)
        limit = min(max(1, limit), dataset.PAGE)
        work = partial(dataset.read_items, label=label, state=state, after=after, limit=limit)
        return await self._database.read(partial(work, project_id=found.id))

    async def show(
        self, actor: Actor, name: str, sha256: str, side: int = SIZES[0], *, whole: bool = False
    ) -> bytes:
        """Return a picture of a project: as WebP with its longer side of at most ``side`` px, one of SIZES,
        or as it is kept (``whole``), as PNG. Raises ImageError when the project has none such or for another
        size, NotAllowedError unless the actor may look at it."""
        found, one = await self._access.find(actor, name, Action.SEE_PROJECT)
        if side not in SIZES:
            raise ImageError(f"`side` is {side}; it takes {', '.join(map(str, SIZES))}.")
        item = await self._database.read(partial(dataset.read_item, project_id=found.id, sha256=sha256))
        jobs = [item.job_id] if item is not None and item.job_id else []
        trashed = partial(collections.trashed_files, job_ids=jobs, reader=actor.user_id)
        away = await self._database.read(trashed)
        if item is None or (item.job_id, sha256) in away:
            raise ImageError("That picture isn't in this project any more.")
        if await self._moderator.unfit((sha256,), one.place) is not None:
            raise ImageError("A rule here doesn't allow that picture to be shown.")
        return await (self._showing.whole(sha256) if whole else self._showing.small(sha256, side))

    async def remove(self, actor: Actor, name: str, sha256s: Collection[str]) -> int:
        """Take pictures out of a project for good, and return how many that were; what has learned from them
        is used no more, and is trained again without them.

        One's own may always be taken out, others' by the project's owner and the server's managers: those of
        others are left where they are for anybody else. Raises UserError where there is nothing to take out,
        NotAllowedError unless the actor may look at the project.
        """
        found, _ = await self._access.find(actor, name, Action.SEE_PROJECT)
        manages = await self._access.may(actor, Action.MANAGE_PROJECT, found)
        wanted = set(sha256s)

        def work(connection: sa.Connection) -> Gone:
            there = [dataset.read_item(connection, found.id, sha256) for sha256 in sorted(wanted)]
            gone = [one.sha256 for one in there if one and (manages or one.user_id == actor.user_id)]
            taken.extend(gone)
            return projects.forget_items(connection, found.id, gone)

        taken: list[str] = []
        await self._privacy.delete_learned(work)
        if not (count := len(set(taken))):
            raise UserError(
                "None of these pictures is yours. Only the owner and managers can remove others'."
            )
        return count


async def read_confined(file: Readable, command: str) -> tuple[dict[str, Any], bytes]:
    """Return what a confined process reads in a zip or label file. Raises ImageError."""
    return await ask_once(
        "studio.projects.label_formats",
        command,
        data=await uploads.fetched_within(file, MAX_ZIP, uploads.PICTURE_LIMIT),
        patience=PATIENCE,
        called=short_name(file.name),
        too_much="takes too much time or memory to read.",
    )


def _why(called: str, error: ImageError) -> str:
    return str(error).removeprefix(called).strip()


def _pages(listed: Sequence[dict[str, Any]]) -> list[list[tuple[str, int, int]]]:
    """Return pictures in pages that one process reads: name, and from where to where its bytes are."""
    pages, start = list[list[tuple[str, int, int]]](), 0
    for row in listed:
        end = start + row["size"]
        if not pages or len(pages[-1]) >= uploads.SEVERAL or end - pages[-1][0][1] > uploads.SEVERAL_BYTES:
            pages.append([])
        pages[-1].append((row["name"], start, end))
        start = end
    return pages
