"""What a server's members like together, asked for by ``--p server``: told to them, forgotten of one of them,
reset, turned off and put to a blind vote by its managers; and the count of each night, which says whose
hearts count."""

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core.errors import UserError
from core.job import NOBODY, Lane, Origin, Surface
from core.language import N_, _, shared_language, speaking
from core.limits import MAX_SEED
from core.requests import ImagineRequest
from core.settings import Settings
from jobs.tastes import FEWEST_HEARTS, Unlearned, known_grids, learn
from storage import server_tastes as rows
from storage.database import Database
from storage.duels import delete_votes
from storage.people import AuditRow, audited, guilds_there
from storage.server_tastes import FEWEST_VOTERS, SERVER, Noted, Verdict
from studio.authority import Action, Actor, Directory, Place, Unanswered
from studio.library.wall import SUBJECTS
from studio.rights import Rights
from studio.services import Services
from studio.tastes import OFF, Tastes
from vision.protocol import Known

ONLY_THERE = "That is the taste of a server. Ask in one."
OFF_HERE = N_("A manager has turned this server's taste off.")
RUNNING = "A blind vote on this server's taste runs already."
NO_TRIAL = "No blind vote runs in this server."
NOT_READY = (
    "Too little is known of this server's taste for a vote on it: `/taste server` says what is missing."
)
SILENT = "Discord doesn't answer at the moment. Try again in a minute."
BEGUN = N_(
    "Does this server's taste fit? I draw {pairs} pairs of pictures, one of each by what members like"
    " here, and"
    " show them in this channel when they are ready. Vote then for the one of each pair that you like more."
)
EVERY, DAY = 600.0, timedelta(days=1)  # seconds until it is looked again whether a night is over
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerCard:
    """What is known of a server's taste. members, liked, pages: what counts; 0 while too few members do.
    known: how rightly members are guessed who weren't asked. forgotten: whether the actor is, here. noted:
    what came of blind votes, and whether one runs. manages: the actor may reset it and the like."""

    guild_id: int
    server: str
    is_on: bool
    members: int = 0
    liked: int = 0
    pages: int = 0
    known: Known | None = None
    forgotten: bool = False
    noted: Noted = field(default_factory=Noted)
    manages: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it chooses."""
        return self.pages >= FEWEST_HEARTS


class ServerTastes:
    """What members and managers do with a server's taste. Every method checks its right itself. Nobody is
    told who counts, or what a member likes."""

    def __init__(self, rights: Rights, services: Services, tastes: Tastes) -> None:
        self._rights, self._tastes, self._is_on = rights, tastes, tastes.is_on
        self._database, self._indexing = services.database, services.indexing
        self._queue, self._directory = services.queue, services.directory

    async def card(self, actor: Actor) -> ServerCard:
        """Return what is known of the taste of the server that the actor asks in. Raises UserError."""
        await self._rights.check(actor, Action.MINE)
        if actor.guild_id is None:
            raise UserError(ONLY_THERE)
        if not await self._is_on(actor.user_id):
            raise UserError(OFF)
        return await self._card(actor, actor.guild_id, "")

    async def cards(self, actor: Actor) -> list[ServerCard]:
        """Return the same of each server that somebody shares with the bot who came by none."""
        await self._rights.check(actor, Action.MINE)
        if not await self._is_on(actor.user_id):
            return []
        servers = await self._rights.in_servers(actor)
        return [await self._card(one, member.guild_id, member.server) for member, one in servers]

    async def _card(self, actor: Actor, guild_id: int, server: str) -> ServerCard:
        forgotten = partial(rows.is_forgotten, guild_id=guild_id, user_id=actor.user_id)
        mine = await self._database.read(forgotten)
        noted = await self._database.read(partial(rows.read_noted, guild_id=guild_id))
        read = partial(rows.read_server_lesson, guild_id=guild_id, model=self._indexing.model)
        told, known = await self._database.read(read), None
        manages = actor.manages and not actor.barred
        card = ServerCard(guild_id, server, noted.is_on, forgotten=mine, noted=noted, manages=manages)
        if told is None:
            return card
        if (grids := known_grids(told)) >= FEWEST_HEARTS:
            with suppress(Unlearned):
                known = (await learn([told], self._queue.executor, how_well=True)).known
        return replace(card, members=len(set(told.voters)), liked=told.likes, pages=grids, known=known)

    async def count_me(self, actor: Actor, *, counts: bool = True, guild_id: int | None = None) -> None:
        """Forget the actor in a server's taste at once, or let them count from the next night on. guild_id:
        of the server, for who came by none. Raises UserError, NotAllowedError."""
        await self._rights.check(actor, Action.PRIVACY)
        here = (await self._rights.there(actor, guild_id)).guild_id
        if here is None:
            raise UserError(ONLY_THERE)
        await self._database.write(
            partial(rows.set_counts, guild_id=here, user_id=actor.user_id, counts=counts)
        )

    # What managers do. guild_id: of the server, for who came by none

    async def reset(self, actor: Actor, guild_id: int | None = None) -> None:
        """Let no heart count that was given until now, and nothing be drawn by the taste before another vote
        says that it fits. Raises UserError, NotAllowedError."""
        now = datetime.now(UTC).timestamp()
        await self._change(actor, "taste reset", guild_id, since=now, in_use=False, verdict=None, trial=None)

    async def set_on(self, actor: Actor, *, on: bool, guild_id: int | None = None) -> None:
        """Let the server have a taste, or none. Raises UserError, NotAllowedError."""
        await self._change(actor, "taste on" if on else "taste off", guild_id, is_on=on)

    async def use(self, actor: Actor, *, on: bool, guild_id: int | None = None) -> None:
        """Let ``--p server`` draw by the taste, or not, whatever a vote said. Raises UserError,
        NotAllowedError."""
        await self._change(actor, "taste used" if on else "taste unused", guild_id, in_use=on)

    async def begin_trial(self, actor: Actor, channel_id: int, guild_id: int | None = None) -> None:
        """Begin a blind vote on whether the taste fits, in a channel, which is told so. What is voted on is
        drawn when nothing else waits. Raises UserError where that isn't possible, NotAllowedError."""
        guild_id, noted = await self._managed(actor, guild_id)
        if not noted.is_on or not await self._is_on(actor.user_id):
            raise UserError(OFF if noted.is_on else OFF_HERE)
        if noted.trial is not None:
            raise UserError(RUNNING)
        if not (await self._card(actor, guild_id, "")).is_ready:
            raise UserError(NOT_READY)
        with speaking(shared_language()):
            text = _(BEGUN, pairs=len(SUBJECTS))
        try:
            await self._directory.tell(Place(guild_id, channel_id), text)
        except Unanswered as error:
            raise UserError(SILENT) from error
        begun, pairs, nobody = (
            datetime.now(UTC).timestamp(),
            list[tuple[str, str]](),
            Actor(NOBODY, guild_id, 0),
        )
        for subject in SUBJECTS:
            plain = ImagineRequest(prompt=subject, num_images=1, seed=random.randrange(MAX_SEED))
            by_taste = await self._tastes.ready(nobody, replace(plain, taste=((SERVER, 1.0),)))
            pair = list[str]()
            for request in (by_taste, plain):
                key = f"trial {guild_id} {begun} {subject} {len(pair)}"
                origin = Origin(NOBODY, 0, guild_id, private=True, surface=Surface.WEB, request_key=key)
                pair.append((await self._queue.submit(request, origin, lane=Lane.RELAX)).job.id)
            pairs.append((pair[0], pair[1]))
        await self._change(actor, "taste trial", guild_id, trial=rows.Trial(channel_id, begun, pairs))

    async def end_trial(self, actor: Actor, guild_id: int | None = None) -> None:
        """End the blind vote that runs: within minutes it is told what it said. Raises UserError where none
        runs, NotAllowedError."""
        guild_id, noted = await self._managed(actor, guild_id)
        if noted.trial is None:
            raise UserError(NO_TRIAL)
        await self._change(actor, "end taste trial", guild_id, trial=replace(noted.trial, is_over=True))

    async def _managed(self, actor: Actor, guild_id: int | None) -> tuple[int, Noted]:
        """Return the server that the actor may manage, and what is noted of its taste. Raises UserError,
        NotAllowedError."""
        one = await self._rights.there(actor, guild_id)
        await self._rights.check(one, Action.RULES)
        if one.guild_id is None:
            raise UserError(ONLY_THERE)
        return one.guild_id, await self._database.read(partial(rows.read_noted, guild_id=one.guild_id))

    async def _change(self, actor: Actor, action: str, guild_id: int | None, **changed: Any) -> None:
        here, _noted = await self._managed(actor, guild_id)
        row = AuditRow(datetime.now(UTC), actor.user_id, action, here)
        work = partial(rows.note, guild_id=here, **changed)
        await self._database.write(audited(row, work))


def told_of_server(card: ServerCard) -> Sequence[str]:
    """Return sentences that say what teaches a server's taste, how well it is known, and whether one
    counts."""
    if not card.is_on:
        return (_(OFF_HERE),)
    what = _(
        "It learns from members' hearts on pictures drawn in this server's channels, and from votes on pairs."
        " All members count alike. Pictures drawn with --stealth never count. Nor do members who have left or"
        " turned learning off."
    )
    mine = (
        _("Your hearts don't count here.")
        if card.forgotten
        else _("Your hearts here count from the night after you give them.")
    )
    if not card.members:
        few = _("It begins when hearts of {fewest} members count.", fewest=FEWEST_VOTERS)
        return (what, few, mine)
    count = _(
        "I learned from {members} members, who liked {liked} pictures.",
        members=card.members,
        liked=card.liked,
    )
    if not card.is_ready:
        few = _(
            "Grids with a ♥ of their author: {pages} of {fewest}. Then I begin to choose.",
            pages=card.pages,
            fewest=FEWEST_HEARTS,
        )
        return (what, count, few, mine)
    said = [what, count]
    if card.known is not None:
        low, high = (round(100 * share) for share in (card.known.low, card.known.high))
        guess = _(
            "Of two pictures in a new grid I guess the choice of a member I haven't asked {share} times of"
            " 100 (between {low} and {high}).",
            share=round(100 * card.known.share),
            low=low,
            high=high,
        )
        said.append(guess)
    return (*said, *_told_of_use(card.noted), mine)


def _told_of_use(noted: Noted) -> list[str]:
    """Return sentences that say whether ``--p server`` draws by a taste, and what blind votes say of it."""
    said, trial = list[str](), noted.trial
    if noted.verdict is not None:
        said.append(told_of_vote(noted.verdict))
    if noted.in_use:
        said.append(_("--p server draws by it."))
        if noted.verdict is None or not noted.verdict.fits:
            said.append(_("A manager decided that: no vote has said that it fits."))
    elif trial is None and noted.verdict is None:
        first = _("--p server doesn't draw by it yet: first a blind vote of members has to say that it fits.")
        said += [first, _("Managers begin one with /taste trial.")]
    else:
        said.append(_("--p server doesn't draw by it."))
    if trial is not None and trial.duels:
        said.append(_("A blind vote runs."))
    elif trial is not None:
        said.append(_("Pictures for a blind vote are being drawn."))
    return said


def told_of_vote(verdict: Verdict) -> str:
    """Return what a blind vote said, and how sure that is."""
    figures = {
        "voters": verdict.voters,
        "share": round(100 * verdict.share),
        "low": round(100 * verdict.low),
        "high": round(100 * verdict.high),
    }
    if verdict.voters < FEWEST_VOTERS:
        said = N_("Too few members voted in the last blind vote to tell whether it fits: {voters}.")
    elif verdict.fits:
        said = N_(
            "It fits: in a blind vote {voters} members liked its pictures more {share} times of 100 (between"
            " {low} and {high})."
        )
    elif verdict.high < 0.5:
        said = N_(
            "It doesn't fit: in a blind vote {voters} members liked its pictures more only {share} times"
            " of 100 (between {low} and {high})."
        )
    else:
        said = N_(
            "Nobody can say yet whether it fits: in a blind vote {voters} members liked its pictures more"
            " {share} times of 100. So few pairs can do that by chance (between {low} and {high})."
        )
    return _(said, **figures)


class Counting:
    """Counts once a day, in each server, whose hearts teach its taste: those of members who are still there
    and want it, on others' pictures in channels that they can read. A member who has left is forgotten by
    that; while the chat service doesn't answer, nothing changes."""

    def __init__(self, database: Database, directory: Directory, settings: Settings) -> None:
        self._database, self._directory, self._is_on = database, directory, settings.taste

    async def run_for_ever(self) -> None:
        """Look now and then which servers' day is over."""
        while self._is_on:
            await asyncio.sleep(EVERY)
            await self.look()

    async def look(self) -> None:
        """Count in those servers whose day is over."""
        there = await self._database.read(guilds_there)
        await self._database.write(partial(rows.forget_others, there=there))
        for guild_id in sorted(there & self._directory.server_ids):
            noted = await self._database.read(partial(rows.read_noted, guild_id=guild_id))
            if noted.is_on and datetime.now(UTC).timestamp() - noted.until >= DAY.total_seconds():
                await self.count(guild_id)

    async def count(self, guild_id: int) -> bool:
        """Count in one server; return whether that could be done."""
        until, there, left = datetime.now(UTC).timestamp(), dict[int, list[int]](), list[int]()
        for user_id in await self._database.read(partial(rows.list_hearted, guild_id=guild_id)):
            try:
                member = await self._directory.member(user_id, guild_id)
            except Unanswered:
                log.info("server %d: nobody can say now who is in it", guild_id)
                return False
            if member is None:
                left.append(user_id)
                continue
            liked = partial(rows.channels_liked, guild_id=guild_id, user_id=user_id)
            seen = await self._database.read(liked)
            there[user_id] = [channel_id for channel_id in seen if not member.reads(channel_id)]
        await self._database.write(partial(rows.put_voters, guild_id=guild_id, there=there, until=until))
        for user_id in left:
            await self._database.write(partial(delete_votes, user_id=user_id, guild_id=guild_id))
        return True
