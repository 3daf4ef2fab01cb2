"""What a server's members like together, asked for by ``--p server``: told to them, forgotten of one of them,
reset and turned off by its managers; and the count of each night, which says whose hearts count."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core.errors import NotAllowedError, UserError
from core.language import N_, _
from core.settings import Settings
from jobs.tastes import FEWEST_HEARTS, Unlearned, known_grids, learn
from storage import server_tastes as rows
from storage.database import Database
from storage.duels import delete_votes
from storage.people import AuditRow, audited, guilds_there
from storage.server_tastes import FEWEST_VOTERS
from studio.authority import Action, Actor, Directory, Unanswered
from studio.rights import Rights
from studio.services import Services
from studio.tastes import OFF
from vision.protocol import Known

ONLY_THERE = "That is the taste of a server. Ask in one."
NO_SERVER = "You share no such server with this studio's bot."
OFF_HERE = N_("A manager has turned this server's taste off.")
EVERY, DAY = 600.0, timedelta(days=1)  # seconds until it is looked again whether a night is over
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerCard:
    """What is known of a server's taste. members, liked, pages: what counts; 0 while too few members do.
    known: how rightly members are guessed who weren't asked. forgotten: whether the actor is, here."""

    guild_id: int
    server: str
    is_on: bool
    members: int = 0
    liked: int = 0
    pages: int = 0
    known: Known | None = None
    forgotten: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it chooses."""
        return self.pages >= FEWEST_HEARTS


class ServerTastes:
    """What members and managers do with a server's taste. Every method checks its right itself. Nobody is
    told who counts, or what a member likes. is_on: whether anything is learned of a person."""

    def __init__(self, rights: Rights, services: Services, is_on: Callable[[int], Awaitable[bool]]) -> None:
        self._rights, self._is_on = rights, is_on
        self._database, self._indexing = services.database, services.indexing
        self._executor = services.queue.executor

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
        return [await self._card(actor, member.guild_id, member.server) for member, _one in servers]

    async def _card(self, actor: Actor, guild_id: int, server: str) -> ServerCard:
        forgotten = partial(rows.is_forgotten, guild_id=guild_id, user_id=actor.user_id)
        mine = await self._database.read(forgotten)
        read = partial(rows.read_server_lesson, guild_id=guild_id, model=self._indexing.model)
        told, known = await self._database.read(read), None
        if told is None:
            return ServerCard(guild_id, server, is_on=False, forgotten=mine)
        if (grids := known_grids(told)) >= FEWEST_HEARTS:
            with suppress(Unlearned):
                known = (await learn([told], self._executor, how_well=True)).known
        members = len(set(told.voters))
        return ServerCard(guild_id, server, True, members, told.likes, grids, known, mine)

    async def count_me(self, actor: Actor, *, counts: bool = True, guild_id: int | None = None) -> None:
        """Forget the actor in a server's taste at once, or let them count from the next night on. guild_id:
        of the server, for who came by none. Raises UserError, NotAllowedError."""
        await self._rights.check(actor, Action.PRIVACY)
        here = actor.guild_id
        if here is None and guild_id is not None:
            known = {member.guild_id for member, _one in await self._rights.in_servers(actor)}
            if guild_id not in known:
                raise NotAllowedError(NO_SERVER)
            here = guild_id
        if here is None:
            raise UserError(ONLY_THERE)
        await self._database.write(
            partial(rows.set_counts, guild_id=here, user_id=actor.user_id, counts=counts)
        )

    async def reset(self, actor: Actor) -> None:
        """Let no heart count that was given until now. Raises UserError, NotAllowedError."""
        await self._change(actor, "taste reset", since=datetime.now(UTC).timestamp())

    async def set_on(self, actor: Actor, *, on: bool) -> None:
        """Let the server have a taste, or none. Raises UserError, NotAllowedError."""
        await self._change(actor, "taste on" if on else "taste off", is_on=on)

    async def _change(self, actor: Actor, action: str, **changed: Any) -> None:
        await self._rights.check(actor, Action.RULES)
        if actor.guild_id is None:
            raise UserError(ONLY_THERE)
        row = AuditRow(datetime.now(UTC), actor.user_id, action, actor.guild_id)
        work = partial(rows.note, guild_id=actor.guild_id, **changed)
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
    if card.known is None:
        return (what, count, mine)
    low, high = (round(100 * share) for share in (card.known.low, card.known.high))
    guess = _(
        "Of two pictures in a new grid I guess the choice of a member I haven't asked {share} times of 100"
        " (between {low} and {high}).",
        share=round(100 * card.known.share),
        low=low,
        high=high,
    )
    return (what, count, guess, mine)


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
