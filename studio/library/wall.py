"""The wall of styles: every style that a number after ``--sref`` stands for, found by its words or by what
its tile looks like, liked, and made of one's own pictures; and the tiles, which the studio draws by itself
while nobody waits."""

import asyncio
import base64
import hashlib
import logging
import math
import re
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from math import inf
from operator import mul
from time import monotonic

from core.errors import AtelierError, UserError
from core.job import NOBODY, Job, Lane, Origin, Surface
from core.language import N_
from core.limits import MAX_SEED
from core.requests import ImagineRequest
from core.settings import Settings
from core.styles import LIGHTS, MEDIA, PALETTES, Triple, codes, triple_of_code
from jobs.queue import Queue
from jobs.tastes import Unlearned
from storage import wall as rows
from storage.database import Database
from storage.embeddings import vector_of
from storage.job_queries import StoredPicture
from storage.wall import WallTile
from studio.authority import Action, Actor
from studio.embeddings import Blind
from studio.library.rendition import Shown
from studio.moderation.rules import Visibility
from studio.new_job import picture_of
from studio.rights import Rights
from studio.services import Services
from studio.tastes import Tastes
from vision.weights.card import vocabulary_of, vocabulary_words

SUBJECTS = (
    *("a house", "a cat", "a tree", "a boat"),
    *("a flower", "a fish", "a mushroom", "a diamond"),
)
PAGE, MOST_WORDS, LONGEST = 60, 12, 200  # styles; words and characters of a search
KEPT = 3.0  # seconds until the tiles are read again
MOST_NEAR = 300  # styles that a search for looks shows
MOST_OF_CODE = 25  # pictures
NOT_YET = N_("Your taste isn't known yet. It begins at five grids of which you like a picture.")
NOT_NOW = N_("Nothing here can put styles in the order of your taste right now.")
BY_WORDS = N_("Only words were searched: no model here can look at pictures right now.")
_WORD = re.compile(r"\w+")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Style:
    """A style as somebody sees it. number: the lowest that stands for it. tile: what was drawn of it last,
    None = nothing yet. visible: how that may be shown. likes: how many people like it. liked: they do."""

    number: int
    words: Triple
    tile: WallTile | None
    visible: Visibility
    likes: int
    liked: bool


@dataclass(frozen=True)
class WallPage:
    """Styles in the order in which they fit. more: there are others behind them. drawn: how many of all have
    a tile. note: a sentence on what wasn't searched."""

    styles: tuple[Style, ...]
    more: bool
    drawn: int
    note: str = ""


class Wall:
    """Shows styles to an actor, whose right every method checks."""

    def __init__(self, rights: Rights, services: Services, tastes: Tastes) -> None:
        self._rights, self._database, self._queue = rights, services.database, services.queue
        self._tastes = tastes
        self._files, self._showing, self._moderator = services.files, services.showing, services.moderator
        self._indexing, self._eyes = services.indexing, services.eyes
        self._model = services.settings.models["image"]
        self.is_drawn = services.settings.wall_seconds > 0
        self._kept: tuple[float, dict[int, WallTile]] = (-inf, {})

    async def find(
        self,
        actor: Actor,
        words: str = "",
        like: int | None = None,
        *,
        liked: bool = False,
        order: str = "",
        skip: int = 0,
        limit: int = PAGE,
    ) -> WallPage:
        """Return styles by ``words``, or alike a style's tile (its number); else the most liked first. liked:
        only those that the actor likes. order: what was found goes by the actor's taste ("me") or by what
        came to the wall last ("new"). Raises UserError for too many words or a style that has no tile."""
        await self._rights.check(actor, Action.MINE)
        numbers, tiles = await _by_number(), await self._tiles()
        likes = await self._database.read(rows.count_likes)
        usual = sorted(numbers, key=lambda number: (number not in tiles, -likes.get(number, 0)))
        mine = await self._database.read(partial(rows.liked_by, user_id=actor.user_id)) if liked else usual
        chosen, note = mine, ""
        newest = {number: place for place, number in enumerate(reversed(tiles))}
        if words.strip() or like is not None:
            chosen, note = await self._found(mine, tiles, numbers, words, like)
        if order == "new":
            chosen = sorted(chosen, key=lambda number: newest.get(number, len(newest)))
        elif order == "me":
            chosen, note = await self._for_me(actor, chosen, tiles)
        shown = await self._shown(actor, chosen[skip : skip + limit])
        return WallPage(shown, len(chosen) > skip + limit, len(tiles), note)

    async def one(self, actor: Actor, number: int) -> Style:
        """Return the style that a number stands for. Raises UserError for what is no number of a style."""
        await self._rights.check(actor, Action.MINE)
        if not 0 <= number <= MAX_SEED:
            raise UserError(f"There is no style {number}.")
        lowest = {words: code for code, words in (await _by_number()).items()}[triple_of_code(number)]
        [found] = await self._shown(actor, [lowest])
        return found

    async def _shown(self, actor: Actor, page: Sequence[int]) -> tuple[Style, ...]:
        """Return the styles of these numbers as the actor sees them."""
        numbers, tiles = await _by_number(), await self._tiles()
        likes = await self._database.read(rows.count_likes)
        mine = {*await self._database.read(partial(rows.liked_by, user_id=actor.user_id))}
        drawn = [tiles[number].sha256 for number in page if number in tiles]
        seen = dict(zip(drawn, await self._moderator.visibilities(drawn, actor.place), strict=True))
        styles = []
        for number in page:
            tile = tiles.get(number)
            visible = Visibility.SHOW if tile is None else seen[tile.sha256]
            style = Style(number, numbers[number], tile, visible, likes.get(number, 0), number in mine)
            styles.append(style)
        return tuple(styles)

    async def _tiles(self) -> dict[int, WallTile]:
        """Return the newest tile of each style, read again after KEPT."""
        read_at, tiles = self._kept
        if monotonic() - read_at > KEPT:
            now, found = monotonic(), await self._database.read(partial(rows.list_tiles, model=self._model))
            tiles = {one.style: one for one in found}
            self._kept = now, tiles
        return tiles

    async def _found(
        self,
        chosen: Sequence[int],
        tiles: dict[int, WallTile],
        numbers: dict[int, Triple],
        words: str,
        like: int | None,
    ) -> tuple[list[int], str]:
        """Return those of ``chosen`` that fit, the best first, and a sentence on what wasn't searched."""
        if len(words) > LONGEST or len(wanted := _WORD.findall(words.casefold())) > MOST_WORDS:
            raise UserError(f"The search takes up to {MOST_WORDS} words and {LONGEST} characters.")
        if like is not None and like not in tiles:
            raise UserError(f"There is no tile of style {like} to compare with.")
        by_words = [
            number
            for number in chosen
            if wanted and all(word in ", ".join(numbers[number]) for word in wanted)
        ]
        if not (drawn := [tiles[number] for number in chosen if number in tiles]):
            return by_words, ""
        try:
            near = await self._near(drawn, words, None if like is None else tiles[like])
        except Blind as reason:
            log.info("the wall is searched by words alone: %s", reason)
            return by_words, BY_WORDS
        if by_words:  # all of them, those first that look most like it
            places = {number: place for place, number in enumerate(near)}
            return sorted(by_words, key=lambda number: places.get(number, MOST_NEAR)), ""
        return [number for number in near if number != like], ""

    async def _for_me(
        self, actor: Actor, chosen: Sequence[int], tiles: dict[int, WallTile]
    ) -> tuple[list[int], str]:
        """Return ``chosen`` by the actor's taste, those without a tile last; and a sentence where nothing is
        known of it."""
        drawn = [tiles[number] for number in chosen if number in tiles]
        try:
            direction = await self._tastes.direction(actor)
            near = await self._near(drawn, direction=direction) if direction and drawn else []
        except UserError as reason:  # nothing is to be learned
            return [*chosen], str(reason)
        except (Blind, Unlearned) as reason:
            log.info("the wall isn't put in order: %s", reason)
            return [*chosen], NOT_NOW
        places = {number: place for place, number in enumerate(near)}
        there = sorted(chosen, key=lambda number: places.get(number, len(places)))
        return there, "" if direction else NOT_YET

    async def _near(
        self,
        tiles: Sequence[WallTile],
        words: str = "",
        like: WallTile | None = None,
        direction: bytes = b"",
    ) -> list[int]:
        """Return styles by what their tiles look like, the likest first: those that lie farthest along a
        taste's direction, all of them. Raises Blind."""
        model = self._indexing.model
        if not model:
            raise Blind("the host wants no vectors")
        aims = [await self._eyes.read(model, words.strip())] if words.strip() else []
        if direction:
            values = struct.unpack(f"<{len(direction) // 4}f", direction)
            length = math.hypot(*values) or 1.0
            aims.append(struct.pack(f"<{len(values)}e", *(value / length for value in values)))
        by_sha256 = {tile.sha256: tile.style for tile in tiles}
        places = await self._database.read(partial(rows.places_of, vectors=model, sha256s=by_sha256))
        if like is not None:
            own = await self._database.read(partial(vector_of, model=model, sha256=like.sha256))
            if own is None:
                raise Blind("that tile has no vector yet")
            aims.append(own)
        asked = rows.packed(places)
        if not asked:
            return []
        most = len(tiles) if direction else MOST_NEAR
        found = await self._eyes.nearest(self._indexing.path(model), aims, asked, b"", most, clear=False)
        return list(dict.fromkeys(by_sha256[places[place]] for place in found.others))

    async def picture(self, actor: Actor, number: int, side: int) -> Shown | None:
        """Return a style's tile as WebP of at most ``side`` px, as it may be shown where the actor is, None
        where there is none. Raises ImageError when it can't be read, StorageError when its file is gone."""
        await self._rights.check(actor, Action.MINE)
        tile = (await self._tiles()).get(number)
        result = None if tile is None else await self._queue.result(tile.job_id)
        if result is None:
            return None
        stored = picture_of(result, 0)
        [visible] = await self._showing.visibilities(actor.place, [(stored, result.job)])
        return await self._showing.thumbnail(stored, result.job, side, visible, veiled=True)

    async def mosaic(self, actor: Actor, styles: Sequence[int], first: int = 1) -> bytes | None:
        """Return the tiles of styles as one WebP, each with its place from ``first`` on, as they may be shown
        where the actor is; None where nothing is drawn of any. Raises ImageError when it can't be made."""
        await self._rights.check(actor, Action.MINE)
        tiles, found = await self._tiles(), list[tuple[StoredPicture, Job] | None]()
        for number in styles:
            tile = tiles.get(number)
            result = None if tile is None else await self._queue.result(tile.job_id)
            found.append(None if result is None else (picture_of(result, 0), result.job))
        return await self._showing.mosaic(actor.place, found, first)

    async def like(self, actor: Actor, number: int, *, liked: bool = True) -> None:
        """Note that the actor likes a style, or no more. Raises UserError where there is none, or
        NotAllowedError."""
        await self._rights.check(actor, Action.SETTINGS)
        if number not in await _by_number():
            raise UserError(f"The wall has no style {number}.")
        work = partial(rows.like, user_id=actor.user_id, style=number, liked=liked, now=datetime.now(UTC))
        await self._database.write(work)

    # One's own pictures

    async def code_of(
        self, actor: Actor, sha256s: Collection[str], made: Collection[tuple[str, int]] = ()
    ) -> tuple[str, Triple]:
        """Return a code for ``--sref`` that stands for what pictures, which the actor may use, look like: the
        medium, the palette and the light that the model that sees finds in them. The same pictures have the
        same code. made: (job, index) of those that jobs have made, which a model that takes pictures is shown
        where the actor draws. Raises UserError for none or too many, or where nobody can look."""
        await self._rights.check(actor, Action.ASK)
        names = sorted(set(sha256s))
        if not 1 <= (count := len(names)) <= MOST_OF_CODE:
            raise UserError(f"A code takes 1 to {MOST_OF_CODE} pictures; there are {count}.")
        try:
            style = await self._read(names)
        except Blind as reason:
            raise UserError("No model here can look at pictures right now. Try again later.") from reason
        digest = base64.b32encode(hashlib.sha256(" ".join(names).encode()).digest()).decode().lower()
        code, number = f"s{digest[:7]}", codes()[style]
        work = partial(rows.put_code, user_id=actor.user_id, code=code, style=number, now=datetime.now(UTC))
        await self._database.write(partial(work, made=made))
        return code, style

    async def _read(self, sha256s: Sequence[str]) -> Triple:
        """Return the words of each kind that pictures look most like. Raises Blind."""
        model = self._indexing.model
        if not model:
            raise Blind("the host wants no vectors")
        async with self._files.lent(sha256s) as lent:
            seen = await self._eyes.look(model, list(lent.values()))
        own = [_vector(one) for one in seen if one]
        if not own:
            raise UserError("None of these pictures can be read.")
        middle = [math.fsum(values) for values in zip(*own, strict=True)]
        found = []
        for kinds in (MEDIA, PALETTES, LIGHTS):
            texts = [_vector(await self._eyes.read(model, words)) for words in kinds]
            alike = [sum(map(mul, middle, text)) for text in texts]
            found.append(kinds[alike.index(max(alike))])
        medium, palette, light = found
        return medium, palette, light


async def _by_number() -> dict[int, Triple]:
    """Return what each style's lowest number stands for. They are found once, beside the event loop."""
    return {code: triple for triple, code in (await asyncio.to_thread(codes)).items()}


def _vector(data: bytes) -> list[float]:
    """Return a vector of unit length as numbers."""
    values = struct.unpack(f"<{len(data) // 2}e", data)
    length = math.hypot(*values) or 1.0
    return [value / length for value in values]


EVERY, BETWEEN = 10.0, 1.0  # seconds until it is looked again whether anybody waits; while tiles are drawn
DAY = timedelta(days=1)


class WallDrawing:
    """Draws the tiles of the host's image model, each once, in the lowest lane and only while no job waits or
    runs, for at most WALL_SECONDS of the device in any 24 hours. What was asked for is in the rows."""

    def __init__(self, database: Database, queue: Queue, settings: Settings) -> None:
        self._database, self._queue = database, queue
        self._model, self._seconds = settings.models["image"], settings.wall_seconds
        self._cache_dir = settings.data_dir / "cache"

    async def run_for_ever(self) -> None:
        """Ask for one tile after the other."""
        while self._seconds:
            try:
                asked = await self.ask_for_next()
            except AtelierError as error:  # a full disk, a closing studio: tried again at the next look
                log.info("no tile is drawn now: %s", error)
                asked = False
            await asyncio.sleep(BETWEEN if asked else EVERY)

    async def ask_for_next(self) -> bool:
        """Ask for the next tile, unless somebody waits or the day's time is used up; return whether."""
        if self._queue.unfinished or self._queue.paused:
            return False
        spent = partial(rows.seconds_since, since=datetime.now(UTC) - DAY)
        if await self._database.read(spent) >= self._seconds:
            return False
        asked = await self._database.read(partial(rows.asked, model=self._model))
        if (known := vocabulary_of(self._model, self._cache_dir)) is None:
            return False  # not here yet
        wanted = await asyncio.to_thread(tiles_to_draw, known)
        if (found := next((one for one in wanted if one not in asked), None)) is None:
            return False
        number, subject = found
        request = ImagineRequest(
            prompt=SUBJECTS[subject], style_codes=((number, 1.0),), num_images=1, seed=number, raw=True
        )
        key = f"wall {self._model} {number} {subject}"
        origin = Origin(NOBODY, 0, private=True, surface=Surface.WEB, request_key=key)
        job = (await self._queue.submit(request, origin, lane=Lane.RELAX)).job
        work = partial(rows.add_tile, model=self._model, style=number, subject=subject, job_id=job.id)
        await self._database.write(work)
        return True


@cache
def tiles_to_draw(known: frozenset[str] = frozenset()) -> list[tuple[int, int]]:
    """Return (style, subject) of all tiles in the order in which they are drawn: every style once, with the
    subjects in turn, then each with the next subject. known: the words of a small model, of which others mean
    nothing to it; none = any may."""
    styles = [code for triple, code in codes().items() if _is_known(triple[:2], known)]
    subjects = [place for place, words in enumerate(SUBJECTS) if _is_known((words,), known)]
    count = len(subjects)
    return [
        (style, subjects[(place + turn) % count])
        for turn in range(count)
        for place, style in enumerate(styles)
    ]


def _is_known(texts: Collection[str], known: Collection[str]) -> bool:
    """Return whether a model knows all words of ``texts``."""
    if not known:
        return True
    plain = {word.removesuffix("s") for word in known} | set(known)
    said = [word for text in texts for word, _, _ in vocabulary_words(text)]
    return all(word in plain or word.removesuffix("s") in plain for word in said)
