"""Finds pictures for an actor: reads the search box, filters, then ranks. Only what they may see is compared
at all."""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial

from core.errors import ImageError, NotAllowedError, UserError
from core.job import Surface
from core.requests import PICTURE_KINDS
from storage import collections, embeddings
from storage import gallery as rows
from storage.gallery import Filter, Name, Scope, Tile
from storage.members import Members
from studio.authority import Action, Actor
from studio.embeddings import Blind, Busy
from studio.library.gallery import Explore, Gallery
from studio.library.rendition import Shown
from studio.moderation.rules import Visibility
from studio.rights import Rights
from studio.services import Services

MOST_WORDS = 12
LONGEST = 400  # characters of the whole
_PART = re.compile(r'([A-Za-z]+:"[^"]*")|"([^"]*)"|(\S+)')
_TOKEN = re.compile(r"([A-Za-z]+):(.*)")
_DAY = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")
_RATIO = re.compile(r"([1-9]\d{0,2})[:x/]([1-9]\d{0,2})")
_SENT = re.compile(r"(?i)\blike:\"?[0-9a-f]{64}\b\"?")
_LIKE = re.compile(r"([a-z2-9]{12})(?:/(\d{1,2}))?|([0-9a-f]{64})")


@dataclass(frozen=True)
class Like:
    """The picture that others are to be like: number ``index`` (from 0) of a job, or one that was sent."""

    job_id: str | None = None
    index: int = 0
    sha256: str | None = None


@dataclass(frozen=True)
class Query:
    """What somebody looks for. own: among their own pictures only. folder: the name of a folder of theirs.
    zone: whose days and months they name."""

    filter: Filter = Filter()
    like: Like | None = None
    own: bool = False
    folder: str | None = None
    zone: tzinfo = UTC

    @property
    def is_ranked(self) -> bool:
        """Whether some pictures fit better than others, rather than all that fit being alike."""
        return bool(self.filter.words) or self.like is not None


def read_query(text: str, zone: tzinfo = UTC) -> Query:
    """Return what ``text`` asks for. zone: whose days it names. Raises UserError for a filter that there
    isn't, or for its value."""
    if len(text) > LONGEST:
        raise UserError(f"The search has {len(text):,} characters; it takes up to {LONGEST}.")
    query, words = Query(zone=zone), list[str]()
    for named, quoted, bare in _PART.findall(text):
        token = _TOKEN.fullmatch(named or bare)
        if token is None or not (token[2] or token[1].lower() in FILTERS):
            words += (quoted or bare).split()
            continue
        name, value = token[1].lower(), token[2].strip('"')
        if name not in FILTERS:
            raise UserError(f'`{name}:` isn\'t a filter; there are {NAMES}. Words go into "quotation marks".')
        query = narrow_query(query, name, value)
    if len(words) > MOST_WORDS:
        raise UserError(f"The search has {len(words)} words; it takes up to {MOST_WORDS}.")
    return replace(query, filter=replace(query.filter, words=tuple(words)))


def query_text(text: str) -> str:
    """Return a search as its author would say it: a picture that was sent has no name of its own."""
    return _SENT.sub("like a picture of yours", text)


FILTERS = ("like", "kind", "model", "seed", "from", "to", "ar", "fav", "folder", "by")
NO_LIKE = "`like:` takes a picture: a job's id and a number, such as like:abcd2345efgh/2."
NAMES = ", ".join(f"`{name}:`" for name in FILTERS)


def narrow_query(query: Query, name: str, value: str) -> Query:
    """Return a query with filter ``name`` of ``FILTERS``. Raises UserError for a value that isn't taken."""
    match name, value.lower():
        case "kind", kind:
            if kind not in PICTURE_KINDS:
                raise UserError(f"`kind:` takes one of {', '.join(PICTURE_KINDS)}.")
            return _filtered(query, kind=kind)
        case "model", _:
            if not value:
                raise UserError("`model:` takes a part of a model's name.")
            return _filtered(query, model=value)
        case "seed", _:
            if not value.isascii() or not value.isdecimal() or int(value[:20]) >= 2**63:
                raise UserError("`seed:` takes a whole number, such as seed:42.")
            return _filtered(query, seed=int(value))
        case "from", _:
            return _filtered(query, since=days_of("from", value, query.zone)[0])
        case "to", _:
            return _filtered(query, until=days_of("to", value, query.zone)[1])
        case "ar", _:
            if (shape := _RATIO.fullmatch(value)) is None:
                raise UserError("`ar:` takes a shape, such as ar:3:2.")
            return _filtered(query, ratio=(int(shape[1]), int(shape[2])))
        case "fav", "yes":
            return _filtered(query, favourite=True)
        case "by", "me":
            return replace(query, own=True)
        case "fav" | "by", _:
            raise UserError(f"`{name}:` takes {'yes' if name == 'fav' else 'me'}.")
        case "like", wanted:
            found = _LIKE.fullmatch(wanted)
            if found is None or found[2] == "0":
                raise UserError(
                    "`like:` takes a picture: a job's id and a number, such as like:abcd2345efgh/2."
                )
            return replace(query, like=Like(found[1], int(found[2] or 1) - 1, found[3]))
    return replace(query, folder=value)


def _filtered(query: Query, **values: object) -> Query:
    return replace(query, filter=replace(query.filter, **values))  # type: ignore[arg-type]


def days_of(name: str, value: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the beginning of a time zone's day or month, and that of the next. Raises UserError."""
    found = _DAY.fullmatch(value)
    wrong = UserError(f"`{name}:` takes a day or a month, such as {name}:2026-11-26.")
    if found is None:
        raise wrong
    year, month, day = (int(part or 1) for part in found.groups())
    try:
        begin = datetime(year, month, day, tzinfo=zone)
        month_later = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
        end = begin + timedelta(days=1) if found[3] else month_later
        return begin.astimezone(UTC), end.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong from error


NAMED = 10  # folders that a refusal names
NO_FOLDER = "`folder:` takes one of your folders; you have none with pictures."
MOST = 300  # pictures that one search shows
WORDS_ONLY = "Only prompts were searched: no model here can look at pictures right now."
NONE_SHOWS = "Nothing matches; these are the closest."
BY_LOOKS = "No prompt has these words. This looks a little like it:"
WORDS_FIRST = (
    "Only prompts were searched: the model that looks at pictures is busy. Search again in a minute."
)
NOT_LIKE_NOW = "Pictures can't be compared: the model that looks at them is busy. Search again in a minute."
NOT_LIKE = "Pictures can't be compared: no model here can look at pictures right now."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """Pictures in the order in which they fit, and how each may be shown. more: there are others behind them.
    note: a sentence on what wasn't searched, "" = all was. order: a sentence on which were found by the
    words of their prompts, and which by what they show, "" = there is one kind."""

    tiles: tuple[Tile, ...] = ()
    visible: tuple[Visibility, ...] = ()
    more: bool = False
    note: str = ""
    order: str = ""


@dataclass(frozen=True)
class Ranked:
    """Names of pictures in the order in which they fit. by_words: how many come first since their prompts
    have the words. none_shows: none of the others shows what is looked for. looks: it was looked for in
    words, so that others are there for their looks."""

    names: tuple[Name, ...]
    by_words: int
    none_shows: bool = False
    looks: bool = False

    @property
    def order(self) -> str:
        """A sentence on where those begin that were found by what they show, or that none shows it."""
        if not self.names or not self.looks or self.by_words == len(self.names):
            return ""
        if not self.by_words:
            return NONE_SHOWS if self.none_shows else BY_LOOKS
        first = "The first has" if self.by_words == 1 else f"The first {self.by_words} have"
        return f"{first} these words in the prompt; the others look a little like it."


class Search:
    """Looks for pictures. Every method checks the actor's right itself."""

    def __init__(
        self, rights: Rights, services: Services, members: Members, gallery: Gallery, explore: Explore
    ) -> None:
        self._rights, self._members, self._gallery, self._explore = rights, members, gallery, explore
        self._database, self._files, self._queue = services.database, services.files, services.queue
        self._showing, self._indexing, self._eyes = services.showing, services.indexing, services.eyes

    async def find(self, actor: Actor, query: Query, *, skip: int = 0, limit: int = 60) -> Found:
        """Return the pictures that fit ``query`` best, after ``skip`` others.

        Raises ImageError for a picture to compare with that there isn't, or that the actor may not see,
        UserError for a folder that they don't have.
        """
        await self._rights.check(actor, Action.MINE)
        query = await self.within(actor, query)
        wanted, scope = query.filter, await self._scope(actor, query)
        sha256 = None if query.like is None else await self._picture(actor, query.like)
        try:
            ranked = await self._ranked(scope, query, sha256)
        except Blind as reason:
            log.info("a search goes by words alone: %s", reason)
            busy = isinstance(reason, Busy)
            if not wanted.words:
                return Found(note=NOT_LIKE_NOW if busy else NOT_LIKE)
            newest = partial(rows.newest_found, scope=scope, wanted=wanted, skip=skip, limit=limit + 1)
            found = await self._database.read(newest)
            return await self._shown(
                actor, found[:limit], len(found) > limit, WORDS_FIRST if busy else WORDS_ONLY
            )
        model, names = self._indexing.model, ranked.names[skip : skip + limit]
        work = partial(rows.found_tiles, scope=scope, wanted=wanted, model=model, names=names)
        found, more = await self._database.read(work), len(ranked.names) > skip + limit
        return replace(await self._shown(actor, found, more), order=ranked.order)

    async def within(self, actor: Actor, query: Query) -> Query:
        """Return ``query`` with the folder that it names found. Raises UserError when the actor has none of
        that name, or a smart one."""
        if query.folder is None:
            return query
        await self._rights.check(actor, Action.MINE)
        own = await self._database.read(partial(collections.list_folders, user_id=actor.user_id))
        plain = {folder.name.casefold(): folder for folder in own if folder.query is None}
        found = plain.get(query.folder.casefold())
        if found is None:
            names = ", ".join(f'"{folder.name}"' for folder in list(plain.values())[:NAMED])
            raise UserError(f"`folder:` takes one of your folders, {names}." if names else NO_FOLDER)
        return replace(query, folder=None, own=True, filter=replace(query.filter, folder=found.id))

    async def _shown(self, actor: Actor, page: Sequence[Tile], more: bool, note: str = "") -> Found:
        return Found(tuple(page), tuple(await self._gallery.visible(actor, page)), more, note)

    async def _scope(self, actor: Actor, query: Query) -> Scope:
        """Return whose pictures are searched: the actor's, and what channels that they read show; of the
        server alone where they ask in one, since only there they can open it."""
        if query.own or (actor.surface is Surface.DISCORD and actor.guild_id is None):
            return Scope(actor.user_id)
        readable = await self._explore.channels(actor, actor.guild_id)
        channels = frozenset(channel for some in readable.values() for channel in some)
        return Scope(actor.user_id, frozenset(readable), channels)

    async def copies(self, actor: Actor, found: Found) -> list[Shown]:
        """Return small copies of what was found, as they may be shown where the actor is."""
        return await self._showing.small_in(actor.place, [(tile.picture, tile.job) for tile in found.tiles])

    async def keep(self, actor: Actor, text: str) -> str:
        """Keep what the actor searched for, so that its next pages can be asked for; return its id."""
        await self._rights.check(actor, Action.MINE)
        return await self._members.add_draft(actor.user_id, {"search": text})

    async def kept(self, actor: Actor, search_id: str) -> str:
        """Return what the actor searched for. Raises UserError when it is gone, or somebody else's."""
        found = await self._members.draft(search_id)
        if found is None or found[0] != actor.user_id or "search" not in found[1]:
            raise UserError("This search has expired; type it again.")
        return found[1]["search"]

    async def _ranked(self, scope: Scope, query: Query, sha256: str | None) -> Ranked:
        """Return all that a search shows: pictures whose prompts have the words, then others; each the
        likest first. sha256: of the picture that they are to be like, which isn't among them; without one,
        others end where they clearly show something else."""
        model, wanted = self._indexing.model, query.filter
        looked = self._indexing.looked
        work = partial(
            rows.candidates, scope=scope, wanted=wanted, model=model, without=sha256, looked=looked
        )
        aims, given = await asyncio.gather(self._aims(query, sha256), self._database.read(work))
        if not given.places:
            return Ranked(given.bare, len(given.bare))
        path, by_text = self._indexing.path(model), sha256 is None
        unrelated = await self._eyes.unrelated(model) if by_text else ()
        near = await self._eyes.nearest(
            path, aims, given.places, given.first, MOST, clear=by_text, unrelated=unrelated
        )
        by_words: tuple[Name, ...] = (*near.first, *given.bare)
        others = () if by_words and near.none_shows else near.others
        return Ranked((*by_words, *others)[:MOST], len(by_words), near.none_shows, by_text)

    # What pictures are compared with

    async def _aims(self, query: Query, sha256: str | None) -> list[bytes]:
        """Return the vectors that wanted pictures are near to. Raises Blind."""
        if not self._indexing.model:
            raise Blind("the host wants no vectors")
        words = " ".join(query.filter.words)
        aims = [await self._eyes.read(self._indexing.model, words)] if words else []
        return aims if sha256 is None else [*aims, await self._vector(sha256)]

    async def _vector(self, sha256: str) -> bytes:
        model = self._indexing.model
        known = await self._database.read(
            partial(embeddings.vector_of, model=model, sha256=sha256), once=True
        )
        if known is not None:
            return known
        [seen] = await self._eyes.look(model, [await self._files.local(sha256)])
        if not seen:
            raise ImageError("That picture can't be read any more.")
        return seen

    async def _picture(self, actor: Actor, like: Like) -> str:
        """Return the SHA-256 of the picture that others are to be like."""
        if like.sha256 is not None:
            if not await self._queue.people.has_sent(actor.user_id, like.sha256):
                raise ImageError("That picture is gone; send it again.")
            return like.sha256
        try:
            _, picture = await self._rights.picture(actor, like.job_id or "", like.index, Action.SHOW)
        except (ImageError, NotAllowedError) as error:  # neither tells whether there is such a job
            raise ImageError(f"There is no picture of job `{like.job_id}` that you can see.") from error
        return picture.sha256
