"""What a person looks at without asking for a certain job: their own pictures, page by page, what became of
each and their newest jobs, and the public pictures of the channels that they read."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import chain, islice
from time import monotonic
from typing import Any

from cachetools import LRUCache, TTLCache

from core.errors import ImageError
from core.events import Progress
from core.job import Job, Status
from core.requests.base import Answer
from core.results import text_of_lines
from jobs.queue import Queue, Result
from storage import gallery as rows
from storage import people
from storage.database import Database
from storage.gallery import Cursor, Day, Filter, Made, Tile
from storage.job_queries import StoredOutput, StoredPicture
from storage.schema import GRID
from storage.turns import lineage
from storage.videos import StoredVideo, videos_of_jobs
from studio.authority import Action, Actor, Member, Place
from studio.library.rendition import Showing, Shown
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility
from studio.rights import Rights

KEPT, KEPT_FOR = 5000, 60.0  # judgements on pictures, and seconds until each is asked for again
HIDDEN = "A rule here hides what was found in the picture."
COUNTED = 1000  # people whose days are known
CHILDREN = 60  # newest jobs that were made from a picture
ANY = Filter()


@dataclass(frozen=True)
class Page:
    """Pictures of one page, and how each may be shown. older: where the next page begins, None at the
    end."""

    tiles: tuple[Tile, ...]
    visible: tuple[Visibility, ...]
    older: Cursor | None


@dataclass(frozen=True)
class Looked:
    """A job as somebody sees it. result: what it made, None while that is nothing. visible: how each of its
    pictures may be shown, or its chart where it has no others. kept: which of them (from 0) they keep.
    trashed: which of the job's pictures are in the trash; they aren't in the result."""

    job: Job
    result: Result | None = None
    visible: tuple[Visibility, ...] = ()
    kept: frozenset[int] = frozenset()
    trashed: frozenset[int] = frozenset()

    @property
    def is_away(self) -> bool:
        """Return whether all that there is to see of the job is in the trash."""
        return bool(self.trashed) and (self.result is None or not self.result.pictures)


@dataclass(frozen=True)
class Lineage:
    """What a picture was made from, a job and the picture's index, and what was made from it or said of it,
    the newest first. Only what the person may see, and nothing in the trash."""

    parent: tuple[Job, int] | None
    children: tuple[Looked, ...]


class Gallery:
    """Looks at pictures for an actor, whose right every method checks."""

    def __init__(
        self, rights: Rights, database: Database, queue: Queue, showing: Showing, moderator: Moderator
    ) -> None:
        self._rights, self._database, self._queue, self._showing = rights, database, queue, showing
        self._moderator = moderator
        self._judged = TTLCache[tuple[str, str, Place], Visibility](KEPT, KEPT_FOR, monotonic)
        self._days = LRUCache[tuple[int, str], tuple[int, tuple[Day, ...]]](COUNTED)

    async def pictures(
        self, actor: Actor, wanted: Filter, *, before: Cursor | None = None, skip: int = 0, limit: int = 60
    ) -> Page:
        """Return the actor's own pictures after ``before``, or the newest. skip: leave so many out first."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.tiles, user_id=actor.user_id, wanted=wanted, before=before, skip=skip)
        found = await self._database.read(partial(work, limit=limit + 1), once=not wanted.words)
        return await self.page(actor, found, limit)

    async def page(self, actor: Actor, tiles: Sequence[Tile], limit: int) -> Page:
        """Return the first ``limit`` of some pictures that the actor may see as a page."""
        shown = tiles[:limit]
        visible = await self.visible(actor, shown)
        return Page(tuple(shown), tuple(visible), shown[-1].cursor if len(tiles) > limit else None)

    async def visible(self, actor: Actor, tiles: Sequence[Tile]) -> list[Visibility]:
        """Return how each picture that the actor may see may be shown where they are."""
        return await self._visible(actor.place, [(tile.picture, tile.job) for tile in tiles])

    async def videos(self, tiles: Sequence[Tile]) -> dict[tuple[str, int], StoredVideo]:
        """Return the videos whose posters are among pictures that somebody was given, by job and index."""
        jobs = {tile.job.id for tile in tiles if tile.job.request.answer is Answer.VIDEOS}
        found = await self._database.read(partial(videos_of_jobs, job_ids=jobs), once=True) if jobs else {}
        return {(job_id, video.index): video for job_id, several in found.items() for video in several}

    async def days(self, actor: Actor, wanted: Filter = ANY, zone: tzinfo = UTC) -> tuple[Day, ...]:
        """Return the days of the actor's pictures that a filter lets through, the newest first. zone: whose
        days. Those of all pictures are read again only after something has changed."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.days, user_id=actor.user_id, wanted=wanted, zone=zone)
        if wanted != ANY:
            return await self._database.read(work, once=True)
        known = self._days.get((actor.user_id, str(zone)))
        news = self._queue.news(actor.user_id, known[0] if known else 0)
        if known is not None and news.complete and not news.changed:
            return known[1]
        found = await self._database.read(work, once=True)
        self._days[actor.user_id, str(zone)] = news.at, found
        return found

    async def months(self, actor: Actor, zone: tzinfo = UTC) -> list[tuple[str, int]]:
        """Return ("2026-11", number of the actor's pictures) of each month that has any, newest first. zone:
        whose months."""
        counted = Counter[str]()
        for day in await self.days(actor, zone=zone):
            counted[day.day[:7]] += day.pictures
        return list(counted.items())

    async def newest(
        self,
        actor: Actor,
        limit: int = 20,
        before: str | None = None,
        kinds: Collection[str] | None = None,
    ) -> list[Looked]:
        """Return the actor's newest jobs that are over, whatever came of them; a conversation is its last
        question. before: only older ones than this job. kinds: only these, None = all."""
        await self._rights.check(actor, Action.MINE)
        newest = partial(rows.newest_jobs, user_id=actor.user_id, limit=limit, before=before, kinds=kinds)
        made = await self._database.read(newest)
        return await self._looked(actor, made)

    async def look(self, actor: Actor, job_id: str, index: int | None = None) -> Looked:
        """Return a job with what it made. index: what the page of that picture (from 0) asks is read with it.
        Raises ImageError when there is none, NotAllowedError unless the actor may see it."""
        if index is not None:
            await self._prepare(actor, job_id, index, page=True)
        await self._rights.job(actor, job_id, Action.SHOW)
        [made] = await self._database.look_up(partial(rows.read_made, reader=actor.user_id, job_id=job_id))
        if made is None:
            raise ImageError("That job was deleted just now.")
        return (await self._looked(actor, [made]))[0]

    async def _prepare(self, actor: Actor, job_id: str, index: int, *, page: bool = False) -> None:
        """Read in one snapshot what ``thumbnail`` of picture ``index`` asks for an actor, or (``page``) what
        the page of that picture does; it decides nothing."""
        result = await self._queue.result(job_id)
        if result is None:
            return
        works = list[partial[Any]]()
        if page:
            works = [
                partial(rows.read_made, reader=actor.user_id, job_id=job_id),
                partial(rows.made_from, reader=actor.user_id, limit=CHILDREN, job_ids=(job_id,), index=index),
                partial(rows.read_message_place, job_id=job_id),
                partial(lineage, job_id=job_id),
                partial(people.read_names, user_ids=(result.job.origin.user_id,)),
            ]
        names = [picture.sha256 for picture in result.pictures if page or picture.index == index]
        if any((name, job_id, actor.place) not in self._judged for name in names):
            works += self._moderator.rows_of(names, actor.place)
        await self._rights.prepare(actor, works)

    async def _looked(self, actor: Actor, made: Sequence[Made]) -> list[Looked]:
        # 1. Results without what was described, read or answered where that breaks a rule
        results = [None if one.output is None else Result.of(one.job, one.output) for one in made]
        said = [_said(result) for result in results]
        texts = [text for some in said for text in some]
        judged = iter(await self._moderator.captions(texts, actor.place) if any(texts) else texts)
        told = [_without(one, [next(judged) for _ in some]) for one, some in zip(results, said, strict=True)]
        # 2. How their pictures may be shown, or the chart of a job that has no others
        shown = [_shown(one.output) for one in made]
        pairs = [(picture, one.job) for one, some in zip(made, shown, strict=True) for picture in some]
        visible = iter(await self._visible(actor.place, pairs))
        return [
            Looked(one.job, result, tuple(islice(visible, len(some))), one.kept, one.trashed)
            for one, result, some in zip(made, told, shown, strict=True)
        ]

    async def lineage(self, actor: Actor, job_id: str, index: int) -> Lineage:
        """Return where picture ``index`` (from 0) of a job comes from and what became of it, the reasons of
        labels that were said of it included. Raises ImageError or NotAllowedError."""
        job = await self._rights.job(actor, job_id, Action.SHOW)
        work = partial(rows.made_from, reader=actor.user_id, limit=CHILDREN)
        [found] = await self._database.look_up(partial(work, job_ids=(job.id,), index=index))
        made = list(found)
        if labelled := [one.job.id for one in made if one.job.request.answer is Answer.LABELS]:
            made += await self._database.read(partial(work, job_ids=labelled, index=None), once=True)
        drawn = (Answer.PICTURES, Answer.VIDEOS)
        made.sort(key=lambda one: one.job.created_at, reverse=True)
        children = []
        for one in await self._looked(actor, made):
            child, is_own = one.job, one.job.origin.user_id == actor.user_id
            shows = one.result is not None and (one.result.pictures or child.request.answer not in drawn)
            waits = is_own and (not child.status.over or child.status is Status.FAILED)
            if (shows or waits) and await self._rights.sees(actor, child):
                children.append(one)
        parent, at = await self._queue.job(job.parent_id) if job.parent_id else None, job.parent_index or 0
        if parent is None or at in await self._queue.trashed(parent.id):
            return Lineage(None, tuple(children))
        return Lineage((parent, at) if await self._rights.sees(actor, parent) else None, tuple(children))

    async def _visible(self, place: Place, pictures: Sequence[tuple[StoredPicture, Job]]) -> list[Visibility]:
        """Return what moderation says of each picture, as it was within the last minute."""
        keys = [(picture.sha256, job.id, place) for picture, job in pictures]
        said = {key: known for key in keys if (known := self._judged.get(key)) is not None}
        asked = {key: pair for key, pair in zip(keys, pictures, strict=True) if key not in said}
        found = await self._showing.visibilities(place, list(asked.values())) if asked else []
        new = dict(zip(asked, found, strict=True))
        self._judged.update(new)
        return [(said | new)[key] for key in keys]

    async def thumbnail(
        self, actor: Actor, job_id: str, index: int, side: int, *, veiled: bool = True
    ) -> Shown:
        """Return picture ``index`` (from 0; -1 = the chart) of a job as WebP of at most ``side`` px, as it
        may be shown where the actor is. veiled: blur a spoiler. Raises ImageError or NotAllowedError."""
        await self._prepare(actor, job_id, index)
        result, picture = await self._rights.picture(actor, job_id, index, Action.SHOW)
        visibility = await self._drawn_visibility(actor.place, result, picture)
        return await self._showing.thumbnail(picture, result.job, side, visibility, veiled=veiled)

    async def chart(self, actor: Actor, job_id: str, limit: int) -> Shown:
        """Return the chart of a job, or what else was drawn of its answer, in at most ``limit`` bytes and as
        it may be shown where the actor is. Raises ImageError or NotAllowedError."""
        result, picture = await self._rights.picture(actor, job_id, GRID, Action.SHOW)
        visibility = await self._drawn_visibility(actor.place, result, picture)
        if visibility is Visibility.BLOCK:
            return Shown(None, picture.media_type, visibility=visibility)
        return replace(await self._showing.picture(picture, result.job, limit), visibility=visibility)

    async def drawing(self, actor: Actor, job_id: str) -> tuple[StoredPicture, Visibility] | None:
        """Return what was drawn of a job's answer, and how it may be shown where the actor is; None where
        there is nothing. Raises ImageError or NotAllowedError."""
        try:
            result, picture = await self._rights.picture(actor, job_id, GRID, Action.SHOW)
        except ImageError:
            return None
        return picture, await self._drawn_visibility(actor.place, result, picture)

    async def _drawn_visibility(self, place: Place, result: Result, picture: StoredPicture) -> Visibility:
        """Return how a picture may be shown: one with words in it that a rule hides, not at all."""
        [visibility] = await self._visible(place, [(picture, result.job)])
        words = result.answer.text if result.answer else text_of_lines(result.lines)
        if picture.index != GRID or not words or visibility is Visibility.BLOCK:
            return visibility
        [judged] = await self._moderator.captions([words], place)
        return Visibility.BLOCK if judged is None else visibility

    async def is_own(self, actor: Actor, job_id: str) -> bool:
        """Return whether the actor has asked for a job. Whether it is there is told to nobody else."""
        job = await self._queue.job(job_id)
        return job is not None and job.origin.user_id == actor.user_id

    async def sent(self, actor: Actor, sha256: str, *, whole: bool = False) -> bytes:
        """Return a picture that the actor has sent, ``whole`` or as WebP of at most 256 px. Raises ImageError
        for any other."""
        await self._rights.check(actor, Action.MINE)
        if not await self._queue.people.has_sent(actor.user_id, sha256):
            raise ImageError("That picture is gone; send it again.")
        return await (self._showing.whole(sha256) if whole else self._showing.small(sha256))

    async def preview(self, actor: Actor, job_id: str) -> bytes | None:
        """Return the newest preview of a job that runs, as JPEG; None when there is none, or none that may
        be shown where the actor is. Raises ImageError or NotAllowedError."""
        job = await self._rights.job(actor, job_id, Action.SHOW)
        latest = self._queue.news(job.origin.user_id).live.get(job_id)
        if not isinstance(latest, Progress) or latest.preview is None:
            return None
        return await self._showing.preview(latest.preview, job, actor.place)


def _shown(output: StoredOutput | None) -> tuple[StoredPicture, ...]:
    """Return the pictures of a job, or the chart of one that has no others."""
    if output is None:
        return ()
    return output.pictures or ((output.grid,) if output.grid else ())


def _said(result: Result | None) -> list[str]:
    """Return what a job says of its pictures: captions, then the text in them, then its answer."""
    if result is None:
        return []
    return [*result.captions, text_of_lines(result.lines), result.answer.text if result.answer else ""]


def _without(result: Result | None, judged: list[str | None]) -> Result | None:
    """Return a result as it may be read. judged: what ``_said`` returns, None for what breaks a rule."""
    if result is None or None not in judged:
        return result
    *captions, lines, answer = judged
    if answer is None and result.answer:
        result = replace(result, answer=replace(result.answer, text=HIDDEN, table=None, boxes=()))
    return replace(
        result,
        captions=tuple(caption for caption in captions if caption is not None),
        lines=() if lines is None else result.lines,
        parameters={**result.parameters, "notes": [HIDDEN]},
    )


AT_ONCE = 50  # channels whose rules are read in one turn of the event loop


@dataclass(frozen=True)
class Server:
    """A server that somebody is in."""

    id: int
    name: str


@dataclass(frozen=True)
class Message:
    """Where a message stands. guild_id: None in a direct message."""

    guild_id: int | None
    channel_id: int
    id: int


class Explore:
    """Looks around for somebody who came by no channel. What they may not read there isn't here either:
    private jobs, direct messages, other channels and servers; age-restricted ones unless they are of age.
    Their own pictures are here as far as others can see them."""

    def __init__(self, rights: Rights, database: Database, gallery: Gallery) -> None:
        self._rights, self._database, self._gallery = rights, database, gallery

    async def servers(self, actor: Actor) -> list[Server]:
        """Return the servers whose pictures the actor can look at, by name."""
        found = await self._rights.in_servers(actor)
        return [Server(member.guild_id, member.server) for member, one in found if not one.barred]

    async def pictures(
        self,
        actor: Actor,
        wanted: Filter,
        *,
        server_id: int | None = None,
        before: Cursor | None = None,
        limit: int = 60,
    ) -> Page:
        """Return pictures after ``before``, or the newest: of channels, and the actor's own that others can
        see. server_id: of that server alone. What a filter says of folders and the trash means nothing here:
        others' are theirs alone."""
        wanted = replace(wanted, trash=False, folder=None)
        places = await self.channels(actor, server_id)
        work = partial(rows.shown_tiles, reader=actor.user_id, wanted=wanted, before=before, limit=limit + 1)
        once = not wanted.words
        asked = (
            self._database.read(partial(work, guild_id=guild_id, channel_ids=channels), once=once)
            for guild_id, channels in places.items()
            if channels
        )
        mine = partial(
            rows.public_tiles, user_id=actor.user_id, wanted=wanted, before=before, limit=limit + 1
        )
        own = [self._database.read(partial(mine, now=datetime.now(UTC)), once=once)] if not server_id else []
        found = await asyncio.gather(*asked, *own)
        seen = {(tile.cursor.seq, tile.cursor.position): tile for tile in chain(*found)}
        newest = [seen[place] for place in sorted(seen, key=lambda place: (-place[0], place[1]))]
        return await self._gallery.page(actor, newest, limit)

    async def asker(self, actor: Actor, job: Job) -> str:
        """Return the name of whoever asked for a job, "" where it isn't known. Raises NotAllowedError unless
        the actor may see the job."""
        await self._rights.check(actor, Action.SHOW, job)
        work = partial(people.read_names, user_ids=(job.origin.user_id,))
        [names] = await self._database.look_up(work, once=True)
        return names.get(job.origin.user_id, "")

    async def channels(self, actor: Actor, server_id: int | None = None) -> dict[int, list[int]]:
        """Return the channels whose pictures the actor can look at, by server. server_id: of that alone."""
        return {
            member.guild_id: await readable_channels(member, one)
            for member, one in await self._rights.in_servers(actor)
            if server_id in (None, member.guild_id) and not one.barred
        }

    async def message(self, actor: Actor, job: Job) -> Message | None:
        """Return the message that shows a job where it was asked for; None where there is none, or one that
        only its asker was ever shown. Raises NotAllowedError unless the actor may see the job."""
        await self._rights.check(actor, Action.SHOW, job)
        if job.origin.private and job.origin.guild_id is not None:
            return None
        [found] = await self._database.look_up(partial(rows.read_message_place, job_id=job.id), once=True)
        return None if found is None else Message(job.origin.guild_id, *found)


async def readable_channels(member: Member, actor: Actor) -> list[int]:
    """Return the channels of a server that an actor in it reads."""
    found = []
    for number, channel_id in enumerate(member.channels(), 1):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)  # each of some hundred channels has rules of its own
        if actor.reads(channel_id):
            found.append(channel_id)
    return found
