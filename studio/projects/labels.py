"""What people call pictures of a project: one after the other, several at once, and by files of other
programs."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath

import sqlalchemy as sa

from core.errors import ImageError, StorageError, UserError
from core.job import Lane
from core.requests import DescribeRequest
from core.requests.custom_models import DETECT, MARKED, STYLE
from core.results import TRAIN
from storage import collections
from storage.projects import dataset, versions
from storage.projects.dataset import LEFT_OUT, Box, Item, Mark
from studio.authority import Action, Actor
from studio.media import masks
from studio.media.uploads import MASK_GONE, Readable
from studio.media.zip_stream import Archive
from studio.new_job import NewJob
from studio.projects import label_formats
from studio.projects.dataset import WRITTEN, read_confined
from studio.projects.label_formats import FORMS, Labelled
from studio.projects.projects import Access, ProjectLimits
from studio.services import Services
from vision.lora_training.config import without_common

AT_ONCE = 16  # pictures whose sizes are asked of the store together
MAX_BOXES = 100  # on a picture
MOST_TAKEN = 100 * 2**20  # bytes of pictures that go out with their labels
EPOCH = datetime(1980, 1, 1)  # of every file: the same labels are the same zip
OUTSIDE = "A box is left, top, right, bottom, each from 0 to 1 of the picture's side."
GONE = "That picture isn't in this project any more."


@dataclass(frozen=True)
class Imported:
    """What a label file did. labelled: pictures. boxes: on them. unknown: rows of pictures that the project
    doesn't have."""

    labelled: int = 0
    boxes: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Doubted:
    """A labelled picture that the version in use, without having seen it, takes for something else. rather:
    for what. version: its number."""

    item: Item
    rather: str
    version: int


@dataclass(frozen=True)
class Caption:
    """What a picture of a style is said to show. is_written: by the studio, before or in the latest training,
    and not by people, whose words count from the next one on."""

    item: Item
    text: str
    is_written: bool


class Labelling:
    """What people do with labels."""

    def __init__(self, access: Access, services: Services, limits: ProjectLimits) -> None:
        self._access, self._limits = access, limits
        self._database, self._intake = services.database, services.intake
        self._files, self._people = services.files, services.queue.people

    async def next(
        self, actor: Actor, name: str, skipped: Collection[str] = (), *, after: str = ""
    ) -> Item | None:
        """Return the picture that a label of the actor's is wanted for next, None when there is none: what
        people disagree about comes first, then what the model that is used, where it was asked, is least sure
        of, then what isn't like anything that it knows.

        skipped: SHA-256 of those that the actor left for later. after: SHA-256 of the one that they had last;
        behind the last one the first comes again. Raises UserError or NotAllowedError.
        """
        found, _ = await self._access.find(actor, name, Action.LABEL)
        work = partial(dataset.next_item, skipped=list(skipped)[-dataset.PAGE :], sha256=after)
        return await self._database.read(partial(work, project_id=found.id, user_id=actor.user_id))

    async def doubted(
        self, actor: Actor, name: str, skipped: Collection[str] = (), *, after: str = ""
    ) -> Doubted | None:
        """Return the next picture whose label is probably wrong, by what the version in use said of it
        without having seen it, the likeliest first; None when there is none. Whatever was called something
        since needs no second look. skipped, after: as of ``next``, but the first doesn't come again. Raises
        UserError or NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.LABEL)
        version = await self._database.read(partial(versions.read_version, project_id=found.id))
        if version is None or not (told := version.metrics.get("doubtful")):
            return None
        work = partial(versions.learned_from, project_id=found.id, number=version.number)
        taught = [one for one in await self._database.read(work) if one.part == TRAIN and one.label]
        since = partial(dataset.said_since, project_id=found.id, since=version.asked_at)
        passed = {*skipped, *await self._database.read(since)}
        doubts = [(taught[one["place"]].sha256, one) for one in told if one["place"] < len(taught)]
        names = [sha256 for sha256, _ in doubts]
        for sha256, one in doubts[names.index(after) + 1 if after in names else 0 :]:
            item = await self._database.read(partial(dataset.read_item, project_id=found.id, sha256=sha256))
            if item is None or sha256 in passed or item.state != dataset.LABELLED:
                continue
            if item.label == one["label"]:
                return Doubted(item, str(one["rather"]), version.number)
        return None

    async def one(self, actor: Actor, name: str, sha256: str) -> Item:
        """Return a picture of a project, to be labelled anew. Raises ImageError where it has none such,
        UserError or NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.LABEL)
        item = await self._database.read(partial(dataset.read_item, project_id=found.id, sha256=sha256))
        if item is None:
            raise ImageError(GONE)
        return item

    async def captions(self, actor: Actor, name: str) -> list[Caption]:
        """Return what the pictures of a style are said to show, the oldest first. Raises UserError or
        NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.LABEL)

        def work(connection: sa.Connection) -> list[Caption]:
            written = dict[str, str]()
            if every := versions.list_versions(connection, found.id):
                learned = versions.learned_from(connection, found.id, every[0].number)
                written = {one.sha256: one.label for one in learned}
            shown = [one for one in dataset.read_items(connection, found.id) if one.state != LEFT_OUT]
            lacking = [one.sha256 for one in shown if not one.label and one.sha256 not in written]
            said = dataset.described(connection, found.id, lacking)
            written |= zip(said, without_common(list(said.values())), strict=True)
            return [Caption(one, one.label or written.get(one.sha256, ""), not one.label) for one in shown]

        return await self._database.read(work)

    async def to_describe(self, actor: Actor, name: str) -> dict[str, NewJob]:
        """Return the jobs that write captions of the actor's own pictures in a style which have none, by what
        asks for each once. Raises UserError or NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.LABEL)
        lacking = [one.item for one in await self.captions(actor, found.id) if not one.text]
        own = [one.sha256 for one in lacking if one.user_id == actor.user_id and found.task == STYLE]
        return {
            dataset.caption_key(found.id, sha256): NewJob(
                DescribeRequest(image=sha256, num_captions=1), Lane.RELAX, private=True
            )
            for sha256 in own
        }

    async def marks(self, actor: Actor, name: str, sha256: str) -> list[Mark]:
        """Return what people call a picture, in the order of their words. Raises UserError or
        NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.LABEL)
        work = partial(dataset.marks_of, project_id=found.id, sha256s=[sha256])
        return (await self._database.read(work)).get(sha256, [])

    async def mark(
        self, actor: Actor, name: str, sha256: str, label: str, boxes: Sequence[Box] = (), mask: str = ""
    ) -> Item:
        """Say what a picture is called, in place of what the actor called it before; "" takes that back.

        boxes: (label, left, top, right, bottom) in 0..1 of the sides; in a project that finds objects they
        are all that counts, whatever ``label`` is, and none of them says that there is nothing. mask: SHA-256
        of one that the actor has sent, which has the picture's size: white is what they mean. Raises
        UserError for a label or a box that isn't taken, ImageError for a picture that isn't there, or a mask
        that isn't theirs or doesn't fit, NotAllowedError unless the actor may.
        """
        found, one = await self._access.find(actor, name, Action.LABEL)
        if await self._database.read(partial(dataset.read_item, project_id=found.id, sha256=sha256)) is None:
            raise ImageError(GONE)
        if len(boxes) > MAX_BOXES:
            raise UserError(f"A picture takes {MAX_BOXES} boxes; these are {len(boxes)}.")
        for _, left, top, right, bottom in boxes:
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise UserError(OUTSIDE)
        label = MARKED if label and found.task == DETECT else label
        wanted = [label, *(box[0] for box in boxes)]
        known = await self._access.read_labels(one, found, wanted)
        stored = await self._mask(actor, mask, sha256) if mask and label else None
        called = tuple((known.get(box[0], box[0]), *box[1:]) for box in boxes)
        vote = Mark(actor.user_id, known.get(label, label), called, stored)

        def work(connection: sa.Connection) -> Item | None:
            if dataset.read_item(connection, found.id, sha256) is None:
                return None
            dataset.mark_item(connection, found.id, sha256, vote, now=datetime.now(UTC))
            return dataset.read_item(connection, found.id, sha256)

        marked = await self._database.write(work)
        if marked is None:  # taken out meanwhile
            raise ImageError(GONE)
        return marked

    async def _mask(self, actor: Actor, mask: str, sha256: str) -> str:
        """Return a mask that the actor has sent. Raises ImageError for any other, or of another size."""
        if not await self._people.has_sent(actor.user_id, mask):
            raise ImageError(MASK_GONE)
        _, painted = await self._intake.read_mask(mask)
        width, height = await self._intake.size(sha256)
        if (painted.width, painted.height) != (width, height):
            raise ImageError(
                f"The mask has {painted.width}×{painted.height} px; its picture has {width}×{height} px."
            )
        if not painted.painted:
            raise ImageError("The mask is empty. Paint the object white.")
        return mask

    async def mask(self, actor: Actor, name: str, sha256: str, mask: str) -> bytes:
        """Return a mask that a word on a picture has, as PNG. Raises ImageError where there is none such,
        UserError or NotAllowedError."""
        if mask not in {one.mask for one in await self.marks(actor, name, sha256)}:
            raise ImageError("That picture has no such mask.")
        return await self._files.get(mask)

    async def leave_out(self, actor: Actor, name: str, sha256s: Collection[str], *, out: bool = True) -> None:
        """Leave pictures out of what is learned from, or take them in again. Raises UserError or
        NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.LABEL)
        work = partial(dataset.leave_out, project_id=found.id, out=out, now=datetime.now(UTC))
        await self._database.write(partial(work, sha256s=list(sha256s)))

    # With other programs

    async def export(self, actor: Actor, name: str, form: str) -> bytes:
        """Return a zip file with the labels of a project, as CSV, COCO or YOLO; pictures are called by their
        SHA-256, and aren't in it. Raises UserError for another form, NotAllowedError unless the actor may."""
        rows = await self._exported(actor, name, form)

        def packed() -> bytes:
            archive, written = Archive(), sorted(label_formats.write_labels(form, rows).items())
            parts = [archive.add(path, data, EPOCH, squeeze=True) for path, data in written]
            return b"".join((*parts, archive.end()))

        return await asyncio.to_thread(packed)

    async def pack(self, actor: Actor, name: str, form: str) -> AsyncGenerator[bytes, None]:
        """Yield the same zip file in parts, with the labelled pictures in it, below ``images``.

        Before the first part it raises what ``export`` does, StorageError for a picture that is lost, and
        UserError for pictures of more than MOST_TAKEN bytes.
        """
        rows = await self._exported(actor, name, form)
        names = [PurePosixPath(row.file).stem for row in rows]
        size = 0
        for some in (names[i : i + AT_ONCE] for i in range(0, len(names), AT_ONCE)):
            size += sum(entry.size for entry in await asyncio.gather(*map(self._files.entry, some)))
        if size > MOST_TAKEN:
            raise UserError(
                f"Its pictures have more than the {MOST_TAKEN // 2**20} MB that one export may hold. Export"
                " the labels alone: they name each picture by its SHA-256."
            )
        archive = Archive()
        written = await asyncio.to_thread(label_formats.write_labels, form, rows)
        for path, data in sorted(written.items()):
            yield archive.add(path, data, EPOCH)
        for row, sha256 in zip(rows, names, strict=True):
            file = await self._files.local(sha256)
            pieces = archive.add_file(f"images/{row.file}", file, EPOCH)
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece
        yield archive.end()

    async def _exported(self, actor: Actor, name: str, form: str) -> list[Labelled]:
        found, _ = await self._access.find(actor, name, Action.EXPORT)
        if form not in FORMS:
            raise UserError(f"`as` is {form[:40]!r}; labels are written as {', '.join(FORMS)}.")
        there, items = list[Item](), partial(dataset.read_items, project_id=found.id)
        while page := await self._database.read(partial(items, after=there[-1].sha256 if there else None)):
            there += page
        marks = await self._database.read(partial(dataset.marks_of, project_id=found.id))
        jobs = {one.job_id for one in there if one.job_id}
        work = partial(collections.trashed_files, job_ids=jobs, reader=actor.user_id)
        away = await self._database.read(work)
        rows = []
        for one in there:
            if not one.label or (one.job_id, one.sha256) in away:
                continue
            agreed = [mark for mark in marks.get(one.sha256, []) if mark.label == one.label]
            boxes = tuple(box for mark in agreed[-1:] for box in mark.boxes)
            try:
                width, height = await self._intake.size(one.sha256)
            except ImageError:
                continue
            label = "" if found.task == DETECT else one.label
            mask = await self._runs(next((mark.mask for mark in agreed[-1:]), None), width, height)
            rows.append(Labelled(f"{one.sha256}.png", label, boxes, width, height, mask))
        return rows

    async def _runs(self, mask: str | None, width: int, height: int) -> tuple[int, ...]:
        if mask is None:
            return ()
        try:
            _, drawn = await self._intake.read_mask(mask)
            return await asyncio.to_thread(masks.runs_of, drawn, width, height)
        except (StorageError, ImageError):
            return ()

    async def import_(self, actor: Actor, name: str, file: Readable) -> Imported:
        """Take labels that another program wrote, as CSV, COCO's JSON, or a zip file of these or of YOLO's,
        for pictures that the project has: they are known by the SHA-256 that ``export`` calls them by. Raises
        ImageError for a file that can't be read, UserError for labels that aren't taken, NotAllowedError
        unless the actor may."""
        found, one = await self._access.find(actor, name, Action.LABEL)
        header, _ = await read_confined(file, "labels")
        rows = [Labelled(**row) for row in header["rows"]]
        for place, row in enumerate(rows):
            if found.task == DETECT:  # what is called something as a whole shows nothing else
                whole = ((row.label, *label_formats.WHOLE),) if row.label else ()
                rows[place] = replace(row, label=MARKED, boxes=(*row.boxes, *row.outlined) or whole)
        wanted = [row.label for row in rows] + [box[0] for row in rows for box in row.boxes]
        known = await self._access.read_labels(one, found, wanted)

        masks = {row.file: await self._drawn(actor, row) for row in rows if row.mask and found.task != DETECT}

        def work(connection: sa.Connection, some: Sequence[Labelled]) -> Imported:
            labelled = boxes = unknown = 0
            for row in some:
                sha256 = PurePosixPath(row.file).stem.lower()
                if dataset.read_item(connection, found.id, sha256) is None:
                    unknown += 1
                    continue
                mask = masks.get(row.file)
                drawn = row.boxes if mask or not row.mask else (*row.boxes, *row.outlined)
                called = tuple((known.get(box[0], box[0]), *box[1:]) for box in drawn[:MAX_BOXES])
                vote = Mark(actor.user_id, known.get(row.label, row.label), called, mask)
                dataset.mark_item(connection, found.id, sha256, vote, now=datetime.now(UTC))
                labelled, boxes = labelled + 1, boxes + len(called)
            return Imported(labelled, boxes, unknown)

        parts = [
            await self._database.write(partial(work, some=rows[start : start + WRITTEN]))
            for start in range(0, len(rows), WRITTEN)
        ]
        return Imported(*(sum(numbers) for numbers in zip(*map(astuple, parts), strict=True)))

    async def _drawn(self, actor: Actor, row: Labelled) -> str | None:
        """Return the stored mask of a row, None where that has another size than its picture."""
        try:
            size = await self._intake.size(PurePosixPath(row.file).stem.lower())
        except ImageError:
            return None
        if size != (row.width, row.height):
            return None
        return await self._intake.keep_runs(row.mask, size, actor.user_id)
