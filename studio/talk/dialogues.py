"""Conversations with the studio: from a sentence to a turn, and from a turn to an ordinary job; undo, choices
and corrections, which are turns without a job; and turns that wait for the picture of an earlier one.

    turn = await studio.dialogues.say(actor, "make it blue")
    job = await studio.dialogues.submit(actor, turn)  # where ``turn.asks``: queues it, once
    turn.reply  # else: a sentence

The row of a turn is written before its job, whose request key is the turn's id: whatever breaks between them,
``resume`` goes on from the rows, and nothing is asked for twice."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context, copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

from sqlalchemy.exc import IntegrityError

from core.errors import AtelierError, ImageError, NotAllowedError, UserError
from core.events import Paused
from core.job import Job, Origin, Reply, Surface, new_job_id
from core.talk import MAX_SAID, NEEDS_PICTURE, Decision, Kind, State
from jobs.feed import Wait
from jobs.queue import Submitted
from storage import job_queries
from storage import turns as rows
from storage.members import Members
from storage.turns import Sent, StoredTurn
from studio.authority import Action, Actor
from studio.inputs import Given, Sources
from studio.moderation.rules import Blocked
from studio.new_job import NewJob
from studio.rights import Rights
from studio.services import Services
from studio.talk import as_kind, decide
from studio.talk.changes import MOST_OTHERS, Change, Changes
from studio.talk.history import Heard, Numbered, Standing, Turn, offer_text, understood_text, view_turn
from studio.talk.plans import NOT_UNDERSTOOD, Plan, Plans

NEWEST = "newest"  # in the place of a turn's id: where the actor stands in their channel
A_TALK, A_THREAD = timedelta(days=1), timedelta(days=7)  # for which a conversation goes on by itself
FRESH = ("new", "start over")  # words that begin another conversation
RESUMED = timedelta(hours=1)  # how old a turn without its job may be to go on after a start
SHOWN_CONVERSATIONS = 30

NOTHING_SAID = "Say what to draw, or what to change."
BEGUN = "A new conversation. What shall I draw?"
NOTHING_TO_UNDO, NOTHING_TO_REDO = "There is nothing to undo.", "There is nothing to redo."
CORRECTED = "You meant something else."
TOO_OLD = "The studio was away when this was to be done. Say it again."
GONE = "That part of the conversation is gone."
NOT_YOURS = "Somebody else said that. Say it yourself to continue from there."
_ASKS_LIST = re.compile(
    r"\bwhat (?:all )?(?:did|have|has) (?:we|i|you|been) (?:all )?(?:chang|edit|alter)"
    r"|\b(?:list|show)\b.{0,12}\bchanges\b|\bwhat (?:were|are|was) the changes\b",
    re.IGNORECASE,
)
log = logging.getLogger(__name__)


class Submit(Protocol):
    """``Studio.submit``."""

    async def __call__(
        self, actor: Actor, new: NewJob, reply: Reply | None = None, *, once: str | None = None
    ) -> Submitted: ...


Decide = Callable[[Actor, str, State], Awaitable[Decision]]


class Dialogues:
    """What people say to the studio. Every method takes an actor and checks their right: ImageError for a
    turn that isn't there, NotAllowedError for who is barred and for what is somebody else's, UserError for
    what makes no sense. decide: tells what sentences mean. submit: the studio's own."""

    def __init__(
        self,
        rights: Rights,
        services: Services,
        sources: Sources,
        plans: Plans,
        *,
        decide: Decide,
        submit: Submit,
    ) -> None:
        self._rights, self._sources, self._plans = rights, sources, plans
        self._database, self._queue, self._moderator = services.database, services.queue, services.moderator
        self._members = Members(services.database)
        self._changes = Changes(rights, services.queue)
        self.decide, self._submit = decide, submit
        self._speaking = WeakValueDictionary[int, asyncio.Lock]()
        self._replies = dict[str, Reply]()  # of turns that wait
        self._listeners: list[Callable[[Turn], object]] = []
        self._waiting = dict[str, asyncio.Task[None]]()
        self._wait: Wait | None = None
        self._show: Callable[[Actor, Turn], Awaitable[None]] | None = None
        self._context: Context | None = None
        self._moved = asyncio.Event()

    # Saying

    async def say(
        self,
        actor: Actor,
        said: str,
        *,
        after: str | None = NEWEST,
        given: Sequence[Given] = (),
        once: str = "",
        offer: int | None = None,
    ) -> Turn:
        """Write the turn of a sentence and return it; nothing is queued yet.

        after: the turn that it follows, None = it begins a conversation, NEWEST = where the actor stands in
        this channel. given: pictures that come with it, as ``Sources.meant`` takes them, or as all those of a
        job by its id. once: the same key is the same turn. offer: which of a ``preview``'s (from 0) it means.
        Raises UserError for nothing said or too much, ImageError for a picture or turn that
        isn't there, NotAllowedError for who is barred and for what a rule stops; what else is wrong with the
        words is the turn's ``reply``.
        """
        await self._rights.check(actor, Action.ASK)
        said = said.strip()
        if not said:
            raise UserError(NOTHING_SAID)
        if len(said) > MAX_SAID:
            raise UserError(f"That has {len(said):,} characters; up to {MAX_SAID:,} fit.")
        async with self._speaking.setdefault(actor.user_id, asyncio.Lock()):
            if once and (same := await self._of_once(actor, once)) is not None:
                return same
            await self._moderator.check_said(_origin(actor), said)
            before = None if said.lower() in FRESH else await self._before(actor, after)
            standing = await self._standing(actor, before)
            sent, known = await self._sent(actor, given, standing)
            new = self._row(actor, said, before, once=once, sent=sent)
            if said.lower() in FRESH:
                return await self._write(actor, new, standing, [Plan(Decision(kind="talk"), reply=BEGUN)])
            if known is not None:
                standing = standing.showing(*known)
            standing = standing.with_sent(new)
            if (listed := await self._listed(actor, said, standing)) is not None:
                return await self._write(actor, new, standing, [listed])
            numbers = [one.number for one in sent]
            state = standing.state(actor.user_id, numbers)
            if offer is not None:
                plans = await self._offered(actor, decide(said, state), offer, standing, numbers)
            else:
                decision = standing.resolved(await self._decided(actor, said, state), numbers)
                plans = await self._plans.plans(actor, decision, standing, said=said)
            return await self._write(actor, new, standing, plans)

    async def preview(
        self,
        actor: Actor,
        said: str,
        *,
        after: str | None = NEWEST,
        given: Sequence[Given] = (),
        sent: int = 0,
    ) -> Heard:
        """Return what a sentence would be taken for by rules; no model is asked, and nothing is kept. given:
        names of our pictures that would come with it. sent: how many others would. Raises as ``say`` does for
        what is given."""
        await self._rights.check(actor, Action.ASK)
        if said.strip().lower() in FRESH:
            return Heard(Decision(kind="talk"), reply=BEGUN)
        standing = await self._standing(actor, await self._before(actor, after))
        own, known = await self._sent(actor, given, standing)
        if known is not None:
            standing = standing.showing(*known)
        number = max(standing.pictures, default=0) + len(own)
        came = (*own, *(Sent(number + n + 1, "") for n in range(min(sent, 4 - len(own)))))
        new = self._row(actor, said, None, sent=came)
        standing, numbers = standing.with_sent(new), [one.number for one in came]
        if (listed := await self._listed(actor, said, standing)) is not None:
            return Heard(listed.decision, "the list of changes")
        decision = decide(said, standing.state(actor.user_id, numbers))
        decision = standing.resolved(decision, numbers)
        if decision.kind == "unclear":
            plan = await self._plans.plan(actor, decision, standing, said=said)
            offers = tuple(offer_text(one, standing, actor.user_id) for one in decision.offers)
            return Heard(decision, reply=plan.reply, offers=offers)
        return Heard(decision, understood_text(decision, standing, actor.user_id))

    async def submit(self, actor: Actor, turn: Turn, reply: Reply | None = None) -> Job | None:
        """Queue the job of a turn, once however often it is called; None while it waits for a picture: then
        it is queued by itself, and ``telling`` tells. reply: where Discord's answer goes. Raises as
        ``Studio.submit`` does; the turn then says why."""
        row = await self._own(actor, turn.id)
        if row.job_id is not None:
            return await self._queue.job(row.job_id)
        if not row.is_open:
            raise UserError(row.reply or NOT_UNDERSTOOD)
        if row.waits_for is not None:
            if reply is not None:
                self._replies[row.id] = reply
            self._follow(row.id)
            return None
        return await self._queued(actor, row, turn.new, reply)

    async def _queued(
        self, actor: Actor, row: StoredTurn, new: NewJob | None, reply: Reply | None = None
    ) -> Job:
        """Queue the job of a turn and note it. Raises as ``submit`` does."""
        key = f"turn:{row.id}"
        try:
            if new is None:
                new = await self._rebuilt(actor, row)
            job = (await self._submit(actor, new, reply, once=key)).job
        except UserError as error:
            if isinstance(error, Blocked):
                await self._database.write(partial(rows.forget_said, turn_id=row.id))
            await self._database.write(partial(rows.end_turn, turn_id=row.id, reply=str(error)))
            self._note_moved()
            raise
        await self._database.write(partial(rows.note_job, turn_id=row.id, job_id=job.id))
        self._note_moved()
        return job

    async def _rebuilt(self, actor: Actor, row: StoredTurn) -> NewJob:
        """Return the job of a turn by its row. Raises UserError where there is none."""
        standing = await self._standing_of(actor, row)
        plan = await self._plans.plan(actor, row.decision, standing, confirmed=True)
        if not plan.news:
            raise UserError(plan.reply or NOT_UNDERSTOOD)
        return plan.news[0]

    async def _of_once(self, actor: Actor, once: str) -> Turn | None:
        work = partial(rows.of_once, user_id=actor.user_id, once=once)
        row = await self._database.read(work)
        return None if row is None else await self._turn(actor, row)

    # Corrections, and what buttons do

    async def meant(self, actor: Actor, turn_id: str, kind: Kind, about: int | None = None) -> Turn:
        """Take a sentence of the actor's for another kind, or as about another picture (its number): what
        waits or runs of the turn is stopped, what is done stays. Raises as ``say`` does."""
        await self._rights.check(actor, Action.ASK)
        row = await self._own(actor, turn_id)
        await self._stop(actor, row, CORRECTED)
        once = f"meant:{turn_id}:{kind}:{about or ''}"
        if (same := await self._of_once(actor, once)) is not None:
            return same
        before = None if row.before_id is None else await self._read(row.before_id)
        standing = await self._standing(actor, before)
        new = self._row(actor, row.said, before, once=once)
        new = replace(new, root_id=row.root_id)
        brought = {one.number: Numbered(one.number, row, one) for one in row.sent}
        standing = replace(standing, pictures=dict(standing.pictures) | brought)
        numbers = [one.number for one in row.sent]
        state = standing.state(actor.user_id, numbers)
        decision = as_kind(kind, row.said, state)
        if about is not None:
            decision = replace(decision, about=(about,), index=None)
        decision = replace(decision, by="person")
        plans = await self._plans.plans(actor, standing.resolved(decision, numbers), standing, confirmed=True)
        return await self._write(actor, new, standing, plans)

    async def offer(self, actor: Actor, turn_id: str, number: int) -> Turn:
        """Do what offer ``number`` (from 0) of an ``unclear`` turn of the actor's says; several steps are
        done one after the other. Raises UserError where there is no such offer."""
        await self._rights.check(actor, Action.ASK)
        row = await self._own(actor, turn_id)
        once = f"offer:{turn_id}:{number}"
        if (same := await self._of_once(actor, once)) is not None:
            return same
        standing = await self._standing(actor, row)
        new = self._row(actor, row.said, row, once=once)
        sent = [one.number for one in row.sent]
        plans = await self._offered(actor, row.decision, number, standing, sent)
        return await self._write(actor, new, standing, plans)

    async def _offered(
        self, actor: Actor, asked: Decision, number: int, standing: Standing, sent: Sequence[int]
    ) -> list[Plan]:
        """Return what offer ``number`` (from 0) of an ``unclear`` decision takes. Raises UserError where
        there is no such offer."""
        if not 0 <= number < len(asked.offers):
            raise UserError(GONE)
        plans = list[Plan]()
        for step in asked.offers[number]:
            if plans and step.kind in NEEDS_PICTURE and not step.about:  # of the step before
                plans.append(Plan(replace(step, by="person"), waits_for=NEWEST))
                continue
            decision = standing.resolved(replace(step, by="person"), sent)
            plans += await self._plans.plans(actor, decision, standing, confirmed=True)
        return plans

    async def show(self, actor: Actor, turn_id: str, job_id: str, index: int) -> Turn:
        """Go back to picture ``index`` (from 0) of a job of the conversation, or choose it of a grid."""
        await self._rights.check(actor, Action.ASK)
        before = await self._seen(actor, turn_id)
        standing = await self._standing(actor, before)
        found = next((n for n, one in standing.pictures.items() if one.job_id == job_id), None)
        if found is None:
            raise ImageError(GONE)
        one, now = standing.pictures[found], standing.shown
        choice = index + 1 if one.count > 1 else None
        kind: Kind = "pick" if choice and now is not None and now[0] == found else "back"
        return await self._shown(actor, before, standing, Decision(kind=kind, about=(found,), index=choice))

    async def step(self, actor: Actor, turn_id: str, steps: int) -> Turn:
        """Undo (-1) or redo (1) so many steps. Raises UserError where there is nothing to."""
        await self._rights.check(actor, Action.ASK)
        before = await self._seen(actor, turn_id)
        standing = await self._standing(actor, before)
        to = standing.step(steps) if steps else None
        if to is None:
            raise UserError(NOTHING_TO_REDO if steps > 0 else NOTHING_TO_UNDO)
        decision = Decision(kind="back", about=(to[0],), index=to[1], steps=steps)
        return await self._shown(actor, before, standing, decision)

    async def _shown(self, actor: Actor, before: StoredTurn, standing: Standing, decision: Decision) -> Turn:
        plan = await self._plans.plan(actor, replace(decision, by="person"), standing, confirmed=True)
        return await self._write(actor, self._row(actor, "", before), standing, [plan])

    # The list of changes

    async def changes(self, actor: Actor, job_id: str, index: int) -> list[Change]:
        """Return the list behind picture ``index`` (from 0) of a job, its drawing first. Raises ImageError or
        NotAllowedError."""
        return await self._changes.lines(actor, job_id, index)

    async def without(
        self, actor: Actor, job_id: str, index: int, number: int, *, words: str = "", once: str = ""
    ) -> Turn:
        """Take line ``number`` (from 1) out of the list behind a picture, or put other words in its place:
        the turn that goes back to the one before it, and makes the rest again in one job.

        once: the same key is the same turn. Raises UserError where that can't be taken out, ImageError or
        NotAllowedError.
        """
        await self._rights.check(actor, Action.ASK)
        if once and (same := await self._of_once(actor, once)) is not None:
            return same
        lines = await self._changes.lines(actor, job_id, index)
        line = lines[number - 1].words if 1 <= number <= len(lines) else ""
        remade = await self._changes.without(actor, job_id, number, words)
        before = await self._database.read(partial(rows.of_job, job_id=job_id))
        before = before if before is not None and await self._sees(actor, before) else None
        standing = await self._standing(actor, before)
        found = (n for n, one in standing.pictures.items() if one.is_of(remade.job_id, remade.sha256))
        number_ = next(found, None)
        sent = tuple[Sent, ...]()
        if number_ is None:
            number_ = max(standing.pictures, default=0) + 1
            await self._sources.meant(actor, remade.name)
            at = remade.index if remade.job_id else None
            sent = (Sent(number_, remade.sha256, remade.job_id, at),)
        said = f"{words}, in place of: {line}" if words else f"Without: {line}"
        await self._moderator.check_said(_origin(actor), said)
        row = self._row(actor, said, before, once=once, sent=sent)
        standing = standing.with_sent(row)
        grid = standing.pictures[number_].count > 1
        about: dict[str, Any] = {"about": (number_,), "index": remade.index + 1 if grid else None}
        kind: Kind = "change" if remade.changes else "back"
        decision = Decision(kind=kind, changes=remade.changes, by="person", **about)
        plan = await self._plans.plan(actor, decision, standing, confirmed=True)
        news = tuple(new.seeded(remade.seed) for new in plan.news)
        reply = plan.reply or (remade.told if news else "")
        return await self._write(actor, row, standing, [replace(plan, news=news, reply=reply)])

    async def replay(
        self, actor: Actor, job_id: str, index: int, others: Sequence[str], *, most: int = MOST_OTHERS
    ) -> list[NewJob]:
        """Return the jobs that do the list behind a picture on ``others``, at most so many, as
        ``Sources.meant`` takes them. Raises UserError for none, too many, or a list that doesn't fit into one
        job, ImageError or NotAllowedError for a picture."""
        changes = await self._changes.instructions(actor, job_id)
        if not 1 <= len(others) <= most:
            raise UserError(f"There are {len(others)} pictures; it takes 1 to {most}.")
        sources = [await self._sources.meant(actor, name) for name in others]
        return [await self._plans.changed(actor, [source], changes) for source in sources]

    def cost(self, news: Sequence[NewJob]) -> str:
        """Return the question whether so many jobs are meant."""
        return self._plans.cost(len(news), [self._queue.seconds(new.request) for new in news])

    # Looking

    async def turn(self, actor: Actor, turn_id: str) -> Turn:
        """Return a turn. Raises ImageError where there is none, NotAllowedError unless the actor may see
        it."""
        return await self._turn(actor, await self._seen(actor, turn_id))

    async def tree(self, actor: Actor, turn_id: str) -> list[Turn]:
        """Return the conversation of a turn, oldest first, as far as the actor may see it."""
        row = await self._seen(actor, turn_id)
        work = partial(rows.read_tree, root_id=row.root_id)
        found = [one for one in await self._database.read(work) if await self._sees(actor, one)]
        making = await self._making(actor, row.root_id)
        places, turns = dict[str, Standing](), list[Turn]()
        texts = await self._moderator.captions([one.said for one in found], actor.place)
        ids = [one.job_id for one in found if one.job_id]
        jobs = await self._database.read(partial(job_queries.read_jobs, ids=ids), once=True)
        for one, said in zip(found, texts, strict=True):
            before = places.get(one.before_id or "") or Standing.of((), making)
            places[one.id] = before.after(one)
            job = jobs.get(one.job_id or "")
            turns.append(view_turn(actor, replace(one, said=said or ""), places[one.id], job))
        return turns

    async def conversations(self, actor: Actor) -> list[Turn]:
        """Return where each of the actor's conversations stands, the newest first."""
        await self._rights.check(actor, Action.MINE)
        work = partial(rows.conversations_of, user_id=actor.user_id, limit=SHOWN_CONVERSATIONS)
        return [await self._turn(actor, one) for one in await self._database.read(work)]

    async def of_message(self, actor: Actor, message_id: int) -> Turn | None:
        """Return the turn that a message shows, None where it shows none or none that the actor may see."""
        row = await self._database.read(partial(rows.of_message, message_id=message_id))
        if row is None or not await self._sees(actor, row):
            return None
        return await self._turn(actor, row)

    async def said_with(self, actor: Actor, turn_id: str, message_id: int) -> None:
        """Note which message shows a turn of the actor's."""
        row = await self._own(actor, turn_id)
        await self._database.write(partial(rows.note_message, turn_id=row.id, message_id=message_id))

    async def unsaid(self, once: Collection[str]) -> None:
        """Forget the words that were said with these keys, as their authors have deleted their messages."""
        for turn_id in await self._database.read(partial(rows.said_as, once=once)):
            await self._database.write(partial(rows.forget_said, turn_id=turn_id))

    async def newest(self, actor: Actor) -> Turn | None:
        """Return where the actor stands in their channel, None at the beginning."""
        row = await self._before(actor, NEWEST)
        return None if row is None else await self._turn(actor, row)

    async def unshown(self, begins: str) -> list[tuple[Actor, str, Turn]]:
        """Return who said, with which key, the turns of the last hour that no known message shows, oldest
        first. begins: how those keys begin."""
        work = partial(rows.newest_without_message, begins=begins, since=datetime.now(UTC) - RESUMED)
        found = [(_actor_of(row), row) for row in await self._database.read(work)]
        return [(actor, row.once or "", await self._turn(actor, row)) for actor, row in found]

    # Going on

    @contextmanager
    def telling(
        self,
        work: Callable[[Turn], object],
        wait: Wait | None = None,
        show: Callable[[Actor, Turn], Awaitable[None]] | None = None,
    ) -> Iterator[None]:
        """Call ``work`` with each turn that had waited, when its job is queued or nothing comes of it, until
        the block ends. wait: every wait for a picture goes through it meanwhile, in the context of now. show:
        called with who asks and a later step of a plan before its job is queued, so that there is a message
        that tells of it."""
        self._listeners.append(work)
        before = self._wait, self._show, self._context
        self._wait, self._show, self._context = wait, show, copy_context()
        try:
            yield
        finally:
            self._listeners.remove(work)
            self._wait, self._show, self._context = before

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Go on with turns of before a restart that have no job yet, and stop waiting when the block ends."""
        await self.resume()
        try:
            yield
        finally:
            tasks = list(self._waiting.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def resume(self) -> None:
        """Go on with every turn without its job; one that is too old ends. What was said in Discord goes on
        once the bot is there to show it, which then calls this."""
        for row in await self._database.read(rows.list_open):
            if row.created_at < datetime.now(UTC) - RESUMED:
                await self._database.write(partial(rows.end_turn, turn_id=row.id, reply=TOO_OLD))
            elif row.surface != Surface.DISCORD or self._show is not None:
                self._follow(row.id)

    def _note_moved(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _follow(self, turn_id: str) -> None:
        """Queue a turn's job by itself, as soon as that can be."""
        if turn_id in self._waiting:
            return
        own = self._context.copy() if self._context else copy_context()
        task = own.run(lambda: asyncio.create_task(self._go_on(turn_id), name=f"turn {turn_id}"))
        self._waiting[turn_id] = task
        task.add_done_callback(lambda _: self._waiting.pop(turn_id, None))

    async def _go_on(self, turn_id: str) -> None:
        try:
            row = await self._read(turn_id)
            while row.is_open and row.waits_for is not None:
                moved, first = (
                    self._moved,
                    await self._database.read(partial(rows.read_turn, turn_id=row.waits_for)),
                )
                if first is None or first.is_ready or first.is_lost:
                    break
                if first.job_id is not None:
                    async for event in self._queue.watch(first.job_id, self._wait):
                        if isinstance(event, Paused):
                            return  # the next start goes on
                elif first.is_open:
                    await (self._wait(moved.wait()) if self._wait else moved.wait())
                else:
                    break
                row = await self._read(turn_id)
            if not row.is_open:
                return
            actor, told = _actor_of(row), await self._queued_before(row)
            if told is None:
                with suppress(UserError):  # the turn says why
                    await self._queued_now(actor, row)
            row = await self._read(turn_id)
            turn = await self._turn(actor, row)
            for work in tuple(self._listeners):
                work(turn)
        except ImageError:
            return  # it was deleted meanwhile
        except AtelierError:
            log.exception("a turn's job couldn't be queued; the next start tries again")
        finally:
            self._replies.pop(turn_id, None)

    async def _queued_before(self, row: StoredTurn) -> str | None:
        """Note and return the job that a turn has become before a crash, None where there is none."""
        key = f"turn:{row.id}"
        work = partial(rows.queued_as, user_id=row.user_id, request_key=key)
        job_id = await self._database.read(work, once=True)
        if job_id is not None:
            await self._database.write(partial(rows.note_job, turn_id=row.id, job_id=job_id))
            self._note_moved()
        return job_id

    async def _queued_now(self, actor: Actor, row: StoredTurn) -> None:
        if row.waits_for is not None and row.kind in NEEDS_PICTURE and not row.decision.about:
            standing = await self._standing_of(actor, row)  # a step of a plan: about the one before it
            decision = standing.resolved(row.decision)
            work = partial(rows.set_decision, turn_id=row.id, decision=decision)
            await self._database.write(work)
            row = replace(row, decision=decision)
        if self._show is not None and row.once is None and row.message_id is None:
            await self._show(actor, await self._turn(actor, row))
            row = await self._read(row.id)
        reply = self._replies.get(row.id)
        if reply is None and row.message_id is not None:
            reply = Reply(message_id=row.message_id)
        await self._queued(actor, row, None, reply)

    async def _stop(self, actor: Actor, row: StoredTurn, why: str) -> None:
        """Stop what waits or runs of a turn."""
        if row.is_open:
            await self._database.write(partial(rows.end_turn, turn_id=row.id, reply=why))
            self._note_moved()
        elif row.job_id is not None and not row.is_ready:
            job = await self._rights.job(actor, row.job_id, Action.CANCEL)
            await self._queue.cancel(job.id)

    # Where somebody stands

    async def _before(self, actor: Actor, after: str | None) -> StoredTurn | None:
        if after is None:
            return None
        if after != NEWEST:
            return await self._seen(actor, after)
        now = datetime.now(UTC)
        where: dict[str, Any] = {"channel_id": actor.channel_id, "user_id": actor.user_id}
        if actor.guild_id is not None and actor.parent_channel_id is not None:  # a thread is everybody's
            work = partial(rows.newest_turns, **where, since=now - A_THREAD)
            for row in await self._database.read(work):
                if await self._sees(actor, row):
                    return row
            return None
        mine = partial(rows.newest_turn, **where, surface=actor.surface.value, since=now - A_TALK)
        return await self._database.read(mine)

    async def _standing(self, actor: Actor, before: StoredTurn | None) -> Standing:
        """Return where a turn leads, None = the beginning."""
        if before is None:
            return Standing()
        path = await self._database.read(partial(rows.read_path, turn_id=before.id))
        return Standing.of(path, await self._making(actor, before.root_id))

    async def _standing_of(self, actor: Actor, row: StoredTurn) -> Standing:
        """Return where a turn was said, with the pictures that came with it."""
        before = None
        if row.before_id is not None:
            before = await self._database.read(partial(rows.read_turn, turn_id=row.before_id))
        standing = await self._standing(actor, before)
        if before is None:
            standing = Standing.of((), await self._making(actor, row.root_id))
        return standing.with_sent(row)

    async def _making(self, actor: Actor, root_id: str) -> list[StoredTurn]:
        """Return the turns of a conversation with pictures that the actor may see; what others have sent they
        may not use."""
        work = partial(rows.read_making, root_id=root_id, limit=rows.MAX_PATH)
        found = []
        for row in await self._database.read(work):
            if row.user_id == actor.user_id:
                found.append(row)
            elif await self._sees(actor, row):
                found.append(replace(row, sent=()))
        return found

    async def _sees(self, actor: Actor, row: StoredTurn) -> bool:
        """Return whether the actor may see a turn: their own, one whose job they may look at, and of turns
        without one those of a place that they read."""
        if row.user_id == actor.user_id:
            return True
        if row.job_id is not None:
            job = await self._queue.job(row.job_id)
            return job is not None and await self._rights.sees(actor, job)
        return not row.private and row.guild_id is not None and actor.sees(_actor_of(row).place)

    async def _read(self, turn_id: str) -> StoredTurn:
        row = await self._database.read(partial(rows.read_turn, turn_id=turn_id))
        if row is None:
            raise ImageError(GONE)
        return row

    async def _seen(self, actor: Actor, turn_id: str) -> StoredTurn:
        row = await self._read(turn_id)
        if not await self._sees(actor, row):
            raise NotAllowedError("This conversation is private and belongs to somebody else.")
        return row

    async def _own(self, actor: Actor, turn_id: str) -> StoredTurn:
        row = await self._seen(actor, turn_id)
        if row.user_id != actor.user_id:
            raise NotAllowedError(NOT_YOURS)
        return row

    async def _turn(self, actor: Actor, row: StoredTurn) -> Turn:
        """Return a row as the actor sees it, with its job to be queued if that is so."""
        standing = (await self._standing_of(actor, row)).after(row)
        job = await self._queue.job(row.job_id) if row.job_id is not None else None
        new = None
        if row.is_open and row.waits_for is None and row.user_id == actor.user_id:
            with suppress(UserError):
                new = await self._rebuilt(actor, row)
        return replace(view_turn(actor, row, standing, job), new=new)

    # From sentences to plans

    async def _decided(self, actor: Actor, said: str, state: State) -> Decision:
        try:
            decision = await self.decide(actor, said, state)
            decision.check(state)
        except ValueError as error:
            log.warning("a decision wasn't one: %s", type(error).__name__)
            return Decision(kind="unclear")
        return decision

    async def _listed(self, actor: Actor, said: str, standing: Standing) -> Plan | None:
        """Return the list of changes behind what is shown, where that is asked for."""
        shown = standing.pictures.get(standing.shown[0]) if standing.shown else None
        if shown is None or shown.job_id is None or not shown.is_ready or not _ASKS_LIST.search(said[:200]):
            return None
        lines = await self._changes.lines(actor, shown.job_id, shown.position(standing.chosen(shown.number)))
        text = "\n".join(f"{line.number}. {line.words}" for line in lines)
        return Plan(Decision(kind="talk"), reply=text)

    async def _sent(
        self, actor: Actor, given: Sequence[Given], standing: Standing
    ) -> tuple[tuple[Sent, ...], tuple[int, int | None] | None]:
        """Return the pictures that come with a turn; those of the conversation itself are its own: the first
        of them is returned as number and index (from 1) of what is shown."""
        if len(given) > 4:
            raise UserError(f"There are {len(given)} pictures; up to 4 fit.")
        sent, known = list[Sent](), None
        number = max(standing.pictures, default=0)
        for one in given:
            named, whole = await self._sources.named(actor, one)
            source = await self._sources.meant(actor, named)
            job_id = source.job.id if source.job else None
            same = (n for n, own in standing.pictures.items() if job_id and own.job_id == job_id)
            if (own := next(same, None)) is not None:
                grid = standing.pictures[own].count > 1 and not whole
                known = known or (own, source.index + 1 if grid else None)
                continue
            at = source.index if source.job and not whole else None
            sha256 = "" if job_id else source.sha256
            sent.append(Sent(number + len(sent) + 1, sha256, job_id, at, made=max(whole, 1)))
        return tuple(sent), known

    # Rows

    def _row(
        self,
        actor: Actor,
        said: str,
        before: StoredTurn | None,
        *,
        once: str = "",
        sent: tuple[Sent, ...] = (),
    ) -> StoredTurn:
        """Return a turn that isn't decided and written yet."""
        turn_id = new_job_id()
        return StoredTurn(
            id=turn_id,
            root_id=before.root_id if before else turn_id,
            user_id=actor.user_id,
            channel_id=actor.channel_id,
            said=said,
            kind="unclear",
            by="rules",
            decision=Decision(kind="unclear"),
            created_at=datetime.now(UTC),
            before_id=before.id if before else None,
            guild_id=actor.guild_id,
            parent_channel_id=actor.parent_channel_id,
            surface=actor.surface.value,
            roles=tuple(actor.roles),
            once=once or None,
            sent=sent,
        )

    async def _write(self, actor: Actor, new: StoredTurn, standing: Standing, plans: Sequence[Plan]) -> Turn:
        """Write the turn of each plan, one after the other, and return the first; the others go on by
        themselves."""
        private = (await self._members.preferences(actor.user_id)).private
        turns = list[StoredTurn]()
        for plan in plans:
            row, decision = self._row(actor, "", turns[-1]) if turns else new, plan.decision
            waits_for = turns[-1].id if plan.waits_for == NEWEST else plan.waits_for
            private = private or any(one.private for one in plan.news)
            taken: dict[str, Any] = {
                "kind": decision.kind,
                "by": decision.by,
                "decision": decision,
                "reply": plan.reply,
            }
            row = replace(row, is_open=plan.is_open, waits_for=waits_for, private=private, **taken)
            turns.append(row)
        try:
            written = await self._database.write(partial(rows.add_turns, new=turns))
        except IntegrityError:  # the same was said twice at once
            same = await self._of_once(actor, new.once) if new.once else None
            if same is None:
                raise
            return same
        for row in written[1:]:
            if row.is_open:
                self._follow(row.id)
        first = written[0]
        if len(written) == 1 and not first.sent:
            turn = view_turn(actor, first, standing.making(first).after(first), None)
            return replace(turn, new=plans[0].news[0] if plans[0].news else None)
        found = await self._turn(actor, first)
        return replace(found, new=plans[0].news[0] if plans[0].news else found.new)


def _origin(actor: Actor) -> Origin:
    return Origin(
        actor.user_id,
        actor.channel_id,
        actor.guild_id,
        actor.parent_channel_id,
        tuple(actor.roles),
        surface=actor.surface,
    )


def _actor_of(row: StoredTurn) -> Actor:
    """Return who said a turn, where."""
    return Actor(
        row.user_id,
        row.guild_id,
        row.channel_id,
        roles=row.roles,
        parent_channel_id=row.parent_channel_id,
        surface=Surface(row.surface),
    )
