"""Duels: once a week a channel that a server's managers chose shows pairs of its own pictures, without names.
Which of each pair members like more teaches the server's taste; how many did is shown at the end. And blind
votes, which ask the same of pairs that were drawn with and without the server's taste."""

import asyncio
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core.errors import NotAllowedError, UserError
from core.intervals import wilson
from core.job import new_job_id
from core.language import N_, _, shared_language, speaking
from core.settings import Settings
from jobs.queue import Queue
from storage import duels as rows
from storage import server_tastes
from storage.database import Database
from storage.duels import Duel
from storage.people import AuditRow, audited, guilds_there
from storage.server_tastes import FEWEST_VOTERS, Noted, Trial, Verdict
from studio.authority import Action, Actor, Directory, Place, ShownDuel, Unanswered
from studio.library.rendition import Showing
from studio.moderation.rules import Visibility
from studio.new_job import picture_of
from studio.rights import Rights
from studio.server_tastes import OFF_HERE, ONLY_THERE, SILENT
from studio.services import Services
from studio.tastes import OFF

FEWEST, MOST = 2, 4  # pairs of a duel
WEEK, RECENT = timedelta(days=7), timedelta(days=28)  # a duel lasts; pictures of these days are shown
FEWEST_TRIED, LONGEST_DRAWN = 4, timedelta(days=1)  # pairs of a blind vote; until those that are there do
EVERY = 600.0  # seconds until it is looked again whether a week is over
ELSEWHERE = "There is no such vote in this server."
OVER = "This vote has ended. The next one comes here within a week."
GONE = "One of these two pictures was deleted, so nobody can vote on them."
FORGOTTEN = (
    "You are forgotten in this server's taste, so your votes don't count. `/taste server` changes that."
)
BEGUN = N_(
    "Once a week I show pairs of pictures of this channel here. Vote for the one of each pair that you like"
    " more: that teaches `--p server`."
)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Held:
    """Where a server's duels are, None = nowhere. grids: that its channel has for the next one."""

    channel_id: int | None
    grids: int


def told_of_lack(held: Held) -> str:
    """Return why the next duel can't begin, "" where it can."""
    if held.channel_id is None or held.grids >= FEWEST:
        return ""
    return _(
        "Grids there of the last four weeks that weren't shown yet: {grids}. The next vote needs {fewest},"
        " drawn in that channel for everybody to see.",
        grids=held.grids,
        fewest=FEWEST,
    )


class Duels:
    """What members and managers do with duels. Every method checks its right itself. is_on: whether anything
    is learned of a person."""

    def __init__(self, rights: Rights, services: Services, is_on: Callable[[int], Awaitable[bool]]) -> None:
        self._rights, self._is_on = rights, is_on
        self._database, self._directory = services.database, services.directory

    async def held(self, actor: Actor, guild_id: int | None = None) -> Held:
        """Return where the server's duels are. guild_id: of the server, for who came by none. Raises
        UserError outside of servers, NotAllowedError."""
        here, noted = await self._noted(actor, guild_id)
        if noted.duels is None:
            return Held(None, 0)
        since = partial(rows.list_grids, since=datetime.now(UTC) - RECENT)
        grids = await self._database.read(partial(since, guild_id=here, channel_id=noted.duels))
        return Held(noted.duels, len(grids))

    async def set_channel(self, actor: Actor, channel_id: int | None, guild_id: int | None = None) -> None:
        """Choose the channel of the server's duels, None = no duels any more; the channel is told so.
        guild_id: of the server, for who came by none. Raises UserError where the bot can't write, or the
        server has no taste, NotAllowedError."""
        here, noted = await self._noted(actor, guild_id)
        if channel_id is not None:
            if not noted.is_on or not await self._is_on(actor.user_id):
                raise UserError(OFF if noted.is_on else OFF_HERE)
            with speaking(shared_language()):
                text = _(BEGUN)
            try:
                await self._directory.tell(Place(here, channel_id), text)
            except Unanswered as error:
                raise UserError(SILENT) from error
        work = partial(server_tastes.note, guild_id=here, duels=channel_id)
        row = AuditRow(datetime.now(UTC), actor.user_id, "set duels", here, None, {"channel": channel_id})
        await self._database.write(audited(row, work))

    async def _noted(self, actor: Actor, guild_id: int | None) -> tuple[int, server_tastes.Noted]:
        one = await self._rights.there(actor, guild_id)
        await self._rights.check(one, Action.RULES)
        if one.guild_id is None:
            raise UserError(ONLY_THERE)
        read = partial(server_tastes.read_noted, guild_id=one.guild_id)
        return one.guild_id, await self._database.read(read)

    async def vote(self, actor: Actor, duel_id: str, number: int, message_id: int) -> datetime:
        """Keep that the actor likes a picture more than the other of its pair; what they said before goes.
        Return when the duel ends. message_id: of the message that shows it. Raises UserError, NotAllowedError
        where that isn't possible."""
        await self._rights.check(actor, Action.SETTINGS)
        if not await self._is_on(actor.user_id):
            raise UserError(OFF)
        duel = await self._database.read(partial(rows.find_duel, duel_id=duel_id))
        if duel is None or duel.guild_id != actor.guild_id:
            raise NotAllowedError(ELSEWHERE)
        if duel.ended_at is not None:
            raise UserError(OVER)
        mine = partial(server_tastes.is_forgotten, guild_id=duel.guild_id, user_id=actor.user_id)
        if await self._database.read(mine):
            raise UserError(FORGOTTEN)
        if duel.message_id is None:  # the process ended while it was being posted
            await self._database.write(partial(rows.note_posted, duel_id=duel_id, message_id=message_id))
        put = partial(rows.put_vote, duel_id=duel_id, user_id=actor.user_id, number=number)
        if not await self._database.write(partial(put, now=datetime.now(UTC))):
            raise UserError(GONE)
        return duel.created_at + WEEK


class Duelling:
    """Begins a duel a week in each server that wants them, and tells what came of it."""

    def __init__(
        self, database: Database, queue: Queue, showing: Showing, directory: Directory, settings: Settings
    ) -> None:
        self._database, self._queue, self._showing = database, queue, showing
        self._directory, self._is_on = directory, settings.taste

    async def run_for_ever(self) -> None:
        """Look now and then whether a week is over."""
        while self._is_on:
            await asyncio.sleep(EVERY)
            await self.look()

    async def look(self) -> None:
        """End the duels whose week is over or that are wanted no more, and begin others."""
        now = datetime.now(UTC)
        here = await self._database.read(guilds_there) & self._directory.server_ids
        noted = {
            guild_id: await self._database.read(partial(server_tastes.read_noted, guild_id=guild_id))
            for guild_id in sorted(here)
        }
        wanted = {guild_id: one.duels for guild_id, one in noted.items() if one.is_on and one.duels}
        tried = set[str]()  # duels of blind votes
        for guild_id, one in noted.items():
            tried |= {*await self._go_on(guild_id, one, now)} if one.trial else set()
        for duel in await self._database.read(rows.list_open):
            if duel.id in tried:
                continue
            is_wanted = wanted.get(duel.guild_id) == duel.channel_id
            if duel.guild_id in here and (not is_wanted or now - duel.created_at >= WEEK):
                await self._end(duel, now)
        for guild_id, channel_id in wanted.items():
            last = await self._database.read(partial(rows.last_begun, guild_id=guild_id))
            if last is None or now - last >= WEEK:
                await self._begin(Place(guild_id, channel_id), now)

    async def _begin(self, place: Place, now: datetime) -> None:
        since = partial(rows.list_grids, since=now - RECENT)
        grids = await self._database.read(
            partial(since, guild_id=place.guild_id, channel_id=place.channel_id)
        )
        chosen, authors = list[tuple[str, int]](), Counter[int]()
        left = random.sample(grids, len(grids))
        while left and len(chosen) < 2 * MOST:
            left.remove(grid := min(left, key=lambda one: authors[one.user_id]))
            pair = [(grid.job_id, position) for position in random.sample(grid.positions, 2)]
            if None not in await self._shown(place, pair):
                chosen += pair
                authors[grid.user_id] += 1
        if len(chosen) < 2 * FEWEST:
            log.info("channel %d has too few pictures for a duel", place.channel_id)
            return
        await self._post(place, chosen, now)

    async def _post(
        self, place: Place, shown: Sequence[tuple[str, int]], now: datetime, by_taste: Set[str] | None = None
    ) -> str | None:
        """Show pairs in a channel; return the duel, None where that couldn't be done."""
        duel = Duel(new_job_id(), place.guild_id or 0, place.channel_id, None, now, None)
        add = partial(rows.add_duel, duel_id=duel.id, guild_id=duel.guild_id, channel_id=duel.channel_id)
        await self._database.write(partial(add, shown=shown, now=now))
        try:
            message_id = await self._show(duel, by_taste=by_taste)
        except (Unanswered, UserError) as error:
            log.info("channel %d takes no duel: %s", place.channel_id, error)
            await self._database.write(partial(rows.delete_duel, duel_id=duel.id))
            return None
        await self._database.write(partial(rows.note_posted, duel_id=duel.id, message_id=message_id))
        return duel.id

    async def _end(self, duel: Duel, now: datetime, by_taste: Set[str] | None = None) -> None:
        likes = await self._database.read(partial(rows.count_votes, duel_id=duel.id))
        await self._database.write(partial(rows.end_duel, duel_id=duel.id, now=now))
        try:
            if duel.message_id is not None:
                await self._show(duel, likes, by_taste)
        except (Unanswered, UserError) as error:
            log.info("channel %d isn't told how a duel ended: %s", duel.channel_id, error)

    # Blind votes

    async def _go_on(self, guild_id: int, noted: Noted, now: datetime) -> Sequence[str]:
        """Show the pairs of a blind vote once they are drawn, and say at its end what it said. Return the
        duels that show it."""
        trial = noted.trial or Trial(0, 0.0, ())
        age = now - datetime.fromtimestamp(trial.begun, UTC)
        if not noted.is_on or (trial.is_over and not trial.duels):
            await self._note(guild_id, trial=None)
        elif trial.duels and (trial.is_over or age >= WEEK):
            await self._judge(guild_id, trial, now)
        elif not trial.duels:
            names = [job_id for pair in trial.pairs for job_id in pair]
            jobs = [job for job_id in names if (job := await self._queue.job(job_id)) is not None]
            if all(job.status.over for job in jobs) or age >= LONGEST_DRAWN:
                return await self._ask(Place(guild_id, trial.channel_id), trial, now)
        return trial.duels

    async def _ask(self, place: Place, trial: Trial, now: datetime) -> Sequence[str]:
        """Show the pairs of a blind vote, the sides by chance, in as few messages as take them; return the
        duels."""
        by_taste, pairs, duels = {pair[0] for pair in trial.pairs}, list[list[tuple[str, int]]](), list[str]()
        for pair in trial.pairs:
            sides = [(job_id, 0) for job_id in random.sample(pair, 2)]
            if None not in await self._shown(place, sides):
                pairs.append(sides)
        if len(pairs) >= FEWEST_TRIED:
            for first in range(0, len(pairs), MOST):
                some = [one for pair in pairs[first : first + MOST] for one in pair]
                duels += [duel_id] if (duel_id := await self._post(place, some, now, by_taste)) else []
        if not duels:
            log.info("server %d: the pairs of a blind vote can't be shown", place.guild_id)
        began = replace(trial, begun=now.timestamp(), duels=duels) if duels else None
        await self._note(place.guild_id or 0, trial=began)
        return duels

    async def _judge(self, guild_id: int, trial: Trial, now: datetime) -> None:
        """End a blind vote: where it says that the taste fits, it is used, where it says anything else,
        not."""
        by_taste, likes, shares = {pair[0] for pair in trial.pairs}, dict[str, int](), list[float]()
        for duel_id in trial.duels:
            shown = await self._database.read(partial(rows.list_shown, duel_id=duel_id))
            counted = await self._database.read(partial(rows.count_votes, duel_id=duel_id))
            likes |= {job_id: counted.get(number, 0) for number, (job_id, _place) in shown.items()}
            if (duel := await self._database.read(partial(rows.find_duel, duel_id=duel_id))) is not None:
                await self._end(duel, now, by_taste)
        for first, second in trial.pairs:
            if votes := likes.get(first, 0) + likes.get(second, 0):
                shares.append(likes[first] / votes if first in likes else 0.0)
        voters = await self._database.read(partial(rows.count_voters, duel_ids=trial.duels))
        share = sum(shares) / len(shares) if shares else 0.5
        verdict = Verdict(share, *wilson(share, max(1, len(shares))), voters)
        changed = {"in_use": verdict.fits} if voters >= FEWEST_VOTERS else {}
        await self._note(guild_id, trial=None, verdict=verdict, **changed)

    async def _note(self, guild_id: int, **changed: Any) -> None:
        await self._database.write(partial(server_tastes.note, guild_id=guild_id, **changed))

    async def _show(
        self, duel: Duel, likes: Mapping[int, int] | None = None, by_taste: Set[str] | None = None
    ) -> int:
        """Show a duel in its channel, with how it ended where ``likes`` says that; return its message.
        by_taste: of a blind vote, the jobs that a taste has chosen."""
        place = Place(duel.guild_id, duel.channel_id)
        shown = await self._database.read(partial(rows.list_shown, duel_id=duel.id))
        pairs = defaultdict[int, dict[int, bytes]](dict)
        for number, data in zip(shown, await self._shown(place, list(shown.values())), strict=True):
            if data is not None:
                pairs[rows.pair_of(number)][number] = data
        whole = tuple(pairs[place] for place in sorted(pairs) if len(pairs[place]) == 2)
        chosen = {number for number, (job_id, _place) in shown.items() if job_id in (by_taste or ())}
        ends_at = duel.created_at + WEEK
        told = ShownDuel(duel.id, whole, likes, ends_at, None if by_taste is None else chosen)
        return await self._directory.show_duel(place, told, duel.message_id)

    async def _shown(self, place: Place, names: Sequence[tuple[str, int]]) -> list[bytes | None]:
        """Return pictures that everybody may see in a place, small; None in the place of others."""
        found = {job_id: await self._queue.result(job_id) for job_id in {job_id for job_id, _n in names}}
        results = [(found[job_id], position) for job_id, position in names]
        there = [(picture_of(one, position), one.job) for one, position in results if one is not None]
        if len(there) < len(names):
            return [None] * len(names)
        copies = await self._showing.small_in(place, there)
        return [one.data if one.visibility is Visibility.SHOW else None for one in copies]
