"""What the studio has learned of somebody's taste: told in plain words, kept as codes, shared by will, taken
back, and asked for by ``--p``; and pages of nine to rate. Nothing is learned of who doesn't want it, or where
the operator doesn't."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from core.errors import UserError
from core.job import NOBODY
from core.language import _
from core.limits import Weighted
from core.prompt.values import OWN, stored_lora
from core.requests import GenerateRequest, ImagineRequest, Request
from core.styles import Triple, triple_of_code
from core.taste_words import KINDS, MOST, SURE, amount_of, open_kinds, told_as
from jobs.tastes import FEWEST_HEARTS, Unlearned, is_board, known_grids, learn, read_lessons, seen_rows
from storage import collections, taste_loras, wall
from storage import tastes as rows
from storage.members import Members
from storage.server_tastes import SERVER, read_noted
from storage.tastes import MOST_CODES, Code, Row, Told, typed_name
from storage.wall import WallTile
from studio.authority import Action, Actor, Belonging
from studio.embeddings import Blind
from studio.moderation.rules import Visibility
from studio.rights import Rights
from studio.services import Services
from vision.protocol import Known
from vision.weights import files
from vision.weights.card import taste_words_of

CANDIDATES = ((750, 24), (250, 12), (1, 8))  # from so much --stylize on, so many drawings
STYLIZE = 100  # where nobody says
OFF = "Tastes are off here: the operator has turned them off, or you have, in your settings."
NO_SUCH = "There is no such taste. It is `me`, or a folder of yours by its name; smart folders have none."
EMPTY = "Nothing is liked there yet. Press ❤️ under pictures, or put some into the folder."
NOT_YOURS = "Only the owner of that code, or somebody with Manage Server where it is shared, can do this."
GONE = "There is no such code, or it isn't yours."
NINE = 9  # pictures of a page
CHANGED = "Those pictures aren't there any more. Load the page again."
NO_PAGE = "There is no page before this one."
ONLY_THERE = "A code is shared with a server. Ask in one."
NO_WORD = "That is no word of your taste."
FEWEST_USUAL, MOST_USUAL = 60, 320  # tiles of the wall that words of liked pictures alone are compared with
WAIT = 5.0  # seconds that a job waits for words
STYLED = ("colour", "medium", "light")  # kinds of which a style says all
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Card:
    """What is known of a taste. name: "me", or a folder's as it is typed. liked: pictures. pages: grids in
    which others were passed over. known: how rightly grids are ranked; None while that can't be told. words:
    that are added to prompts. passed: words of what is passed over. struck: words that aren't added since
    somebody doesn't want them."""

    name: str
    liked: int
    pages: int
    known: Known | None
    words: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    struck: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether it chooses."""
        return self.pages >= FEWEST_HEARTS


@dataclass(frozen=True)
class Made:
    """A code that was made. left_out: pictures that only their author sees, of a code for a server."""

    code: str
    left_out: int


@dataclass(frozen=True)
class RatedPage:
    """Pictures to rate together. styles: their numbers on the wall of styles, and their words. liked: places
    of those that were liked when they were rated before."""

    page: str
    styles: Mapping[int, Triple]
    liked: tuple[int, ...] = ()


class Tastes:
    """What people do with tastes. Every method checks its right itself. Nobody is shown another's pictures,
    or what their code was made of."""

    def __init__(self, rights: Rights, services: Services, members: Members) -> None:
        self._rights, self._members, self._settings = rights, members, services.settings
        self._database, self._indexing = services.database, services.indexing
        self._moderator, self._eyes = services.moderator, services.eyes
        self._executor = services.queue.executor

    async def is_on(self, user_id: int) -> bool:
        """Return whether anything is learned of somebody."""
        return self._settings.taste and (await self._members.preferences(user_id)).taste

    async def ready(self, actor: Actor, request: Request) -> Request:
        """Return a request as it is queued: with the tastes that there are, and so many candidates as its
        ``--stylize`` and the operator say, and the LoRAs that the actor wants for theirs; what has no effect
        is noted as such. Nobody draws with another's LoRA of a taste."""
        if isinstance(request, GenerateRequest) and request.taste_loras:
            mine = await self._database.read(partial(taste_loras.own_artefacts, user_id=actor.user_id))
            named = ((stored_lora(lora), lora, weight) for lora, weight in request.taste_loras)
            kept = tuple((lora, weight) for one, lora, weight in named if one and one.sha256 in mine)
            request = replace(request, taste_loras=kept)
        if not isinstance(request, ImagineRequest) or not request.taste:
            return request
        if not await self.is_on(actor.user_id):
            off = replace(request, taste=(), candidates=0, taste_loras=())
            return replace(off, unsupported=(*request.unsupported, "--p"))
        known, untried = dict[str, bool](), False
        for name, _weight in request.taste:
            if name == SERVER:
                noted = await self._database.read(partial(read_noted, guild_id=actor.guild_id or 0))
                known[name] = actor.guild_id is not None and noted.is_on
                untried = not noted.in_use and actor.user_id != NOBODY  # whose are trials
            else:
                known[name] = name == OWN or await self._rows(actor, name) is not None
        there = tuple(pair for pair in request.taste if known[pair[0]])
        unknown = tuple(f"--p {name}" for name, found in known.items() if not found)
        stylize = STYLIZE if request.stylize is None else request.stylize
        used = tuple(pair for pair in there if not (untried and pair[0] == SERVER))
        count = next((count for least, count in CANDIDATES if stylize >= least), 0) if used else 0
        most = min(count, self._settings.taste_candidates)
        words = await self.added(actor, request, used) if stylize and used else ()
        loras = await self._acting(actor, request, there)
        ready = replace(request, taste=there, candidates=most, taste_words=words, taste_loras=loras)
        return replace(ready, unsupported=(*request.unsupported, *unknown))

    async def _acting(self, actor: Actor, request: ImagineRequest, tastes: Weighted) -> Weighted:
        """Return the LoRAs of tastes that act in a request, each as much as its taste counts. Codes have
        none: a code that is shared must not hand out pictures, and one that is kept stays what it was."""
        if request.raw or not (amount := amount_of(request.stylize)):
            return ()
        acting = await self._database.read(partial(taste_loras.acting, user_id=actor.user_id))
        spec = self._settings.image_models.get(request.model or "") or self._settings.models["image"]
        model, whole = files.parse(spec).name, sum(weight for _name, weight in tastes if weight > 0)
        return tuple(
            (acting[name].lora, round(amount * weight / whole, 3))
            for name, weight in tastes
            if weight > 0 and name in acting and acting[name].model in ("", model)
        )

    async def added(self, actor: Actor, request: ImagineRequest, tastes: Weighted) -> tuple[str, ...]:
        """Return the words that tastes add to the actor's request: of what it leaves open, the surest."""
        await self._rights.check(actor, Action.MINE)
        if request.raw or request.image or request.image_prompts or request.loras:
            return ()
        parts = (text for text, _ in request.prompt_parts)
        kinds = open_kinds((request.prompt, *parts, *request.choices, request.negative_prompt))
        if request.style_references or request.style_codes or request.sheet_styles:
            kinds = [kind for kind in kinds if kind not in STYLED]
        words = await self._vocabulary(request.model, kinds)
        if not any(words.values()):
            return ()
        try:
            async with asyncio.timeout(WAIT):
                sees, guild_id = self._rights.sight.readable, actor.guild_id
                model, told = await read_lessons(self._database, tastes, actor.user_id, guild_id, sees)
                sure, _passed = await self._truest(model, told, words)
        except (TimeoutError, Blind, Unlearned):
            log.info("no words of a taste: nothing can tell them now")
            return ()
        struck = (await self._members.preferences(actor.user_id)).not_so
        likely = sorted(
            ((sureness, word) for word, sureness in sure.items() if word not in struck), reverse=True
        )
        kept = {word for _, word in likely[:MOST]}
        return tuple(word for some in words.values() for word in some if word in kept)

    async def _vocabulary(self, model: str | None, kinds: Collection[str]) -> dict[str, list[str]]:
        """Return the words of some kinds that an image model of the host's draws, as people are told them."""
        spec = self._settings.image_models.get(model or "") or self._settings.models["image"]
        found = await asyncio.to_thread(taste_words_of, spec, self._settings.data_dir / "cache")
        return {
            kind: [told_as(word) for word in words]
            for kind, words in found.items()
            if kind in kinds and words
        }

    async def _truest(
        self, model: str, told: Sequence[Told], words: Mapping[str, Sequence[str]]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return of each kind the word that is truest of what is liked, with how sure that is, where it is;
        and the same of what is passed over. Raises Blind, Unlearned."""
        liked, passed = dict[str, tuple[float, str]](), dict[str, tuple[float, str]]()
        known = [one for one in told if known_grids(one) >= FEWEST_HEARTS or is_board(one)]
        enough = [one for one in known if one.weight > 0]
        if not model or not enough or not any(words.values()):
            return {}, {}
        vectors = await self._eyes.read_all(model, [word for some in words.values() for word in some])
        each = iter(vectors)
        kinds = [tuple(next(each) for _word in some) for some in words.values()]
        image = self._settings.models["image"]
        tiles = partial(wall.list_vectors, model=image, vectors=model, limit=MOST_USUAL)
        usual = await self._database.read(tiles) if any(map(is_board, enough)) else ()
        reference = usual if len(usual) >= FEWEST_USUAL else ()
        answer = await learn(enough, self._executor, kinds=kinds, reference=reference)
        for one, found in zip(enough, answer.words, strict=True):
            for (kind, some), deviations in zip(words.items(), found, strict=bool(found)):
                for best, sign in ((liked, 1),) if is_board(one) else ((liked, 1), (passed, -1)):
                    most, word = max(zip((sign * value for value in deviations), some, strict=True))
                    if most > SURE:
                        best[kind] = max(best.get(kind, (0.0, "")), (one.weight * most, word))
        first, second = ({word: sure for sure, word in best.values()} for best in (liked, passed))
        return first, second

    async def names(self, actor: Actor) -> list[str]:
        """Return what a taste can be made of: the actor's hearts, and their folders by name."""
        await self._rights.check(actor, Action.MINE)
        own = await self._database.read(partial(collections.list_folders, user_id=actor.user_id))
        return [OWN, *(typed_name(folder.name) for folder in own if folder.query is None)]

    async def card(self, actor: Actor, name: str = OWN) -> Card:
        """Return what is known of a taste of the actor's. Raises UserError where there is none, or nothing is
        learned."""
        await self._rights.check(actor, Action.MINE)
        wanted, found = await self.own(actor, name)
        read = partial(rows.read_lesson, rows=found, model=self._indexing.model)
        told, known = await self._database.read(read), None
        if (grids := known_grids(told)) >= FEWEST_HEARTS:
            with suppress(Unlearned):
                known = (await learn([told], self._executor, how_well=True)).known
        return Card(wanted, told.likes, grids, known, *await self._words(actor, told))

    async def _words(self, actor: Actor, told: Told) -> tuple[tuple[str, ...], ...]:
        """Return which words a card has: added, of what is passed over, and struck out."""
        words = await self._vocabulary(None, KINDS)
        with suppress(Blind, Unlearned):
            liked, passed = await self._truest(self._indexing.model, [told], words)
            struck = (await self._members.preferences(actor.user_id)).not_so
            return tuple(one for one in liked if one not in struck), tuple(passed), struck
        return (), (), ()

    async def strike(self, actor: Actor, word: str, *, struck: bool = True) -> None:
        """Strike a word out of the actor's taste, for every prompt, or let it count again. Raises UserError
        for no word, or where nothing is learned."""
        await self._rights.check(actor, Action.SETTINGS)
        if not await self.is_on(actor.user_id):
            raise UserError(OFF)
        known = await self._vocabulary(None, KINDS)
        now = (await self._members.preferences(actor.user_id)).not_so
        if word not in now and not any(word in some for some in known.values()):
            raise UserError(NO_WORD)
        if struck != (word in now):
            others = tuple(one for one in now if one != word)
            await self._members.change(actor.user_id, not_so=(*others, word) if struck else others)

    async def direction(self, actor: Actor) -> bytes:
        """Return what the actor's hearts go by among the vectors that are used, as ``Learned`` has it; b""
        while that isn't known. Raises UserError where nothing is learned, Unlearned where nothing can be."""
        await self._rights.check(actor, Action.MINE)
        _name, found = await self.own(actor, OWN)
        read = partial(rows.read_lesson, rows=found, model=self._indexing.model)
        told = await self._database.read(read)
        ready = known_grids(told) >= FEWEST_HEARTS
        return (await learn([told], self._executor)).direction if ready else b""

    async def codes(self, actor: Actor) -> list[Code]:
        """Return the codes that the actor may use here, their own first."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.list_codes, user_id=actor.user_id, guild_id=actor.guild_id)
        return await self._database.read(work)

    async def keep(self, actor: Actor, name: str = OWN, *, shared: bool = False) -> Made:
        """Keep a taste of the actor's as it is now, as a code. shared: with the server that they ask in, and
        without pictures that only they see. Raises UserError where there is none, or too many codes."""
        await self._rights.check(actor, Action.ASK)
        if shared and actor.guild_id is None:
            raise UserError(ONLY_THERE)
        wanted, found = await self.own(actor, name)
        hidden = await self._database.read(partial(rows.private_jobs, rows=found)) if shared else set[str]()
        kept = [row for row in found if row.job_id not in hidden]
        if not any(one.liked for one in kept):
            raise UserError(EMPTY)
        work = partial(rows.add_code, user_id=actor.user_id, name=wanted, rows=kept, now=datetime.now(UTC))
        code = await self._database.write(partial(work, guild_id=actor.guild_id if shared else None))
        if code is None:
            raise UserError(f"You have {MOST_CODES} codes, which is the limit. Take one back first.")
        return Made(code, sum(one.liked for one in found if one.job_id in hidden))

    async def take_back(self, actor: Actor, code: str) -> None:
        """Delete a code for good: nobody can use it any more. Raises UserError where there is none,
        NotAllowedError for who may not."""
        found = await self._database.read(partial(rows.find_code, code=code.strip().lower()))
        if found is None:
            raise UserError(GONE)
        whose = Belonging(found.user_id, found.guild_id)
        seen = actor.user_id == found.user_id or actor.guild_id == found.guild_id is not None
        if not seen and not self._rights.authority.is_host(actor.user_id):
            raise UserError(GONE)  # whether there is such a code is nobody's business
        await self._rights.check_to(actor, Action.DELETE, whose, NOT_YOURS)
        await self._database.write(partial(rows.delete_code, code=found.code))

    async def next_page(self, actor: Actor, without: Collection[int] = ()) -> RatedPage | None:
        """Return pictures to rate: tiles of the wall of styles that the actor hasn't rated and may see, with
        media, palettes, lights and subjects as unlike as they come. without: styles that they look at now.
        None where fewer than a page are left. Raises UserError where nothing is learned of them."""
        await self._rights.check(actor, Action.MINE)
        if not await self.is_on(actor.user_id):
            raise UserError(OFF)
        done = await self._database.read(partial(rows.rated_jobs, user_id=actor.user_id))
        left = [
            tile
            for tile in (await self._tiles(actor)).values()
            if tile.job_id not in done and tile.style not in without
        ]
        if len(left) < NINE:
            return None
        chosen = unlike(random.sample(left, len(left)), NINE)
        return RatedPage(secrets.token_hex(8), {one.style: triple_of_code(one.style) for one in chosen})

    async def rate(self, actor: Actor, page: str, liked: Collection[int], passed: Collection[int]) -> None:
        """Keep which styles of a page the actor likes, and which they passed over. Said again of the same
        page, it counts once: the last holds. Raises UserError where nothing is learned of them, or a picture
        has gone."""
        await self._rights.check(actor, Action.SETTINGS)
        if not await self.is_on(actor.user_id):
            raise UserError(OFF)
        tiles = await self._tiles(actor)
        if not tiles.keys() >= {*liked, *passed}:
            raise UserError(CHANGED)
        said = {tiles[style].job_id: style in liked for style in (*passed, *liked)}
        work = partial(rows.rate, user_id=actor.user_id, page=page, said=said, now=datetime.now(UTC))
        await self._database.write(work)

    async def last_page(self, actor: Actor) -> RatedPage:
        """Take back what the actor said of the page that they rated last, and return it as it was. Raises
        UserError where there is none, its pictures aren't shown any more, or nothing is learned of them."""
        await self._rights.check(actor, Action.SETTINGS)
        if not await self.is_on(actor.user_id):
            raise UserError(OFF)
        tiles = {tile.job_id: style for style, tile in (await self._tiles(actor)).items()}
        page, said = await self._database.read(partial(rows.last_rated, user_id=actor.user_id))
        there = [(tiles[job_id], liked) for job_id, liked in said if job_id in tiles]
        if len(there) < NINE:
            raise UserError(CHANGED if page else NO_PAGE)
        gone = partial(rows.rate, user_id=actor.user_id, page=page, said={}, now=datetime.now(UTC))
        await self._database.write(gone)
        liked = tuple(place for place, (_style, is_liked) in enumerate(there) if is_liked)
        return RatedPage(page, {style: triple_of_code(style) for style, _liked in there}, liked)

    async def _tiles(self, actor: Actor) -> dict[int, WallTile]:
        """Return the newest tile of each style that may be shown where the actor is."""
        model = self._settings.models["image"]
        drawn = await self._database.read(partial(wall.list_tiles, model=model))
        tiles = list({one.style: one for one in drawn}.values())
        seen = await self._moderator.visibilities([one.sha256 for one in tiles], actor.place)
        return {one.style: one for one, how in zip(tiles, seen, strict=True) if how is Visibility.SHOW}

    async def own(self, actor: Actor, name: str) -> tuple[str, list[Row]]:
        """Return a taste of the actor's own by its name, how it is typed, and those of its pictures that
        they may see. Raises UserError where there is none, or nothing is learned."""
        await self._rights.check(actor, Action.MINE)
        if not await self.is_on(actor.user_id):
            raise UserError(OFF)
        wanted = typed_name(name) or OWN
        found = await self._rows(actor, wanted) if wanted in await self.names(actor) else None
        if found is None:
            raise UserError(NO_SUCH)
        return wanted, await seen_rows(self._database, actor.user_id, found, self._rights.sight.readable)

    async def _rows(self, actor: Actor, name: str) -> list[Row] | None:
        work = partial(rows.find_rows, user_id=actor.user_id, name=name, guild_id=actor.guild_id)
        return await self._database.read(work)


def unlike(tiles: Sequence[WallTile], count: int) -> list[WallTile]:
    """Return ``count`` tiles in which media, palettes, lights and subjects come up alike, where it goes."""
    left, chosen, seen = list(tiles), list[WallTile](), Counter[str | int]()
    while left and len(chosen) < count:
        one = min(left, key=lambda tile: sum(seen[part] for part in _parts(tile)))
        left.remove(one)
        chosen.append(one)
        seen.update(_parts(one))
    return chosen


def _parts(tile: WallTile) -> tuple[str | int, ...]:
    return (*triple_of_code(tile.style), tile.subject)


def told(card: Card) -> Sequence[str]:
    """Return sentences that say how well a taste is known, and what it can't see."""
    like = (_("You like: {words}.", words=", ".join(card.words)),) if card.words else ()
    if not card.is_ready:
        few = _(
            "Grids with a ♥ of yours: {pages} of {fewest}. Press ♥ on the picture of a grid that you like"
            " best; then I begin to choose.",
            pages=card.pages,
            fewest=FEWEST_HEARTS,
        )
        return (few, *like)
    count = _("I learned from {liked} liked pictures in {pages} grids.", liked=card.liked, pages=card.pages)
    said = [count, *like]
    if card.passed:
        said.append(_("You pass over: {words}.", words=", ".join(card.passed)))
    if card.known is None:
        return (*said, _("After a few more I can say how well I know you."))
    low, high = (round(100 * share) for share in (card.known.low, card.known.high))
    guess = _(
        "Of two pictures in a new grid I guess your choice {share} times of 100 (between {low} and {high}).",
        share=round(100 * card.known.share),
        low=low,
        high=high,
    )
    blind = _(
        "I can't see what you go by: it may be something that pictures don't show me, such as symmetry."
    )
    return (*said, guess) if card.known.is_seen else (*said, guess, blind)
