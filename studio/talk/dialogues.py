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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

from sqlalchemy.exc import IntegrityError

from core.convert import Preferences
from core.errors import AtelierError, ImageError, NotAllowedError, UserError
from core.events import Paused
from core.job import Job, Origin, Reply, Surface, new_job_id
from core.limits import MAX_PROMPT
from core.prompt.parser import Prompt, format_prompt
from core.requests import EditRequest
from core.talk import MAKES, MAX_SAID, NEEDS_PICTURE, By, Decision, Kind, State
from jobs.queue import Submitted
from storage import job_queries
from storage import turns as rows
from storage.members import Members
from storage.turns import Sent, StoredTurn
from studio.authority import Action, Actor
from studio.inputs import Given, Sources
from studio.moderation.rules import Blocked
from studio.new_job import NewJob, PromptWithPictures, Source, direction_sides
from studio.requests import actions
from studio.requests.prompts import Requests, attached
from studio.requests.video import Asked, Material
from studio.rights import Rights
from studio.services import Services
from studio.talk import as_kind
from studio.talk.history import Numbered, Standing, understood_text
from studio.texts import counted, duration

NEWEST = "newest"  # in the place of a turn's id: where the actor stands in their channel
A_TALK, A_THREAD = timedelta(days=1), timedelta(days=7)  # for which a conversation goes on by itself
FRESH = ("new", "start over")  # words that begin another conversation
MOST_WAITING = 4  # turns of one person that wait for a picture
RESUMED = timedelta(hours=1)  # how old a turn without its job may be to go on after a start
CONFIRM_JOBS, CONFIRM_SECONDS = 3, 120.0  # of one sentence, above which it is asked whether that is meant
PICTURES = 1  # of a change
SHOWN_CONVERSATIONS = 30

NOTHING_SAID = "Say what to draw, or what to change."
NOT_UNDERSTOOD = "I'm not sure what you mean. Say what to draw, or what to change in the picture."
WELCOME = "You're welcome. Say what to draw or to change next."
BEGUN = "A new conversation. What shall I draw?"
NOTHING_TO_UNDO, NOTHING_TO_REDO = "There is nothing to undo.", "There is nothing to redo."
WHICH = "What do you mean?"
CORRECTED = "You meant something else."
TOO_OLD = "The studio was away when this was to be done. Say it again."
GONE = "That part of the conversation is gone."
NOT_YOURS = "Somebody else said that. Say it yourself to go on from there."
COMMAND = "That can't be done by talking. Use `{}`."
FOUND = "Your pictures are in the search: `/search {}`."
TOO_MANY = f"{MOST_WAITING} things wait for their picture already. Say this again when one is done."
NOTHING_CAME = "Nothing came of {}, so this wasn't done."
log = logging.getLogger(__name__)


class Press(Protocol):
    """``Studio.from_button``."""

    async def __call__(
        self,
        actor: Actor,
        job_id: str,
        action: str,
        index: int,
        words: PromptWithPictures | None = None,
    ) -> NewJob: ...


class Submit(Protocol):
    """``Studio.submit``."""

    async def __call__(
        self, actor: Actor, new: NewJob, reply: Reply | None = None, *, once: str | None = None
    ) -> Submitted: ...


Decide = Callable[[Actor, str, State], Awaitable[Decision]]


@dataclass(frozen=True)
class Turn:
    """A turn as somebody sees it.

    understood: one line on what is done, with which picture. reply: a sentence, where no job answers. new:
    the job to queue by ``Dialogues.submit``, None where there is none or it is queued. shows: job and index
    (from 0) of what "it" means after the turn; shows_sent: SHA-256, where somebody sent that. number: of the
    picture that it makes or shows. waits_for: the turn whose picture it waits for. offers: what buttons of an
    ``unclear`` turn say. sent: pictures that came with it. can_undo, can_redo: whether these lead anywhere.
    """

    id: str
    before_id: str | None
    root_id: str
    user_id: int
    said: str = field(repr=False)
    kind: Kind
    by: By
    decision: Decision = field(repr=False)
    created_at: datetime
    understood: str = field(default="", repr=False)
    reply: str = ""
    new: NewJob | None = None
    job: Job | None = None
    shows: tuple[str, int] | None = None
    shows_sent: str | None = None
    number: int | None = None
    waits_for: str | None = None
    is_open: bool = False
    offers: tuple[str, ...] = ()
    message_id: int | None = None
    private: bool = False
    sent: tuple[Sent, ...] = ()
    can_undo: bool = False
    can_redo: bool = False

    @property
    def asks(self) -> bool:
        """Whether ``submit`` is to be called: its job is to be queued, now or when its picture is there."""
        return self.is_open


@dataclass(frozen=True)
class _Plan:
    """What is to be done: a decision, with the jobs that it takes, a sentence in their place, or the turn
    that has to be done before."""

    decision: Decision
    news: tuple[NewJob, ...] = ()
    reply: str = ""
    waits_for: str | None = None

    @property
    def asks(self) -> bool:
        return bool(self.news) or self.waits_for is not None


class Dialogues:
    """What people say to the studio. Every method takes an actor and checks their right. press, submit,
    check: the studio's own ways from buttons to jobs. decide: what sentences mean."""

    def __init__(
        self,
        rights: Rights,
        services: Services,
        sources: Sources,
        requests: Requests,
        *,
        press: Press,
        submit: Submit,
        check: Callable[[NewJob], None],
        decide: Decide,
    ) -> None:
        self._rights, self._sources, self._requests = rights, sources, requests
        self._database, self._queue = services.database, services.queue
        self._moderator, self._intake = services.moderator, services.intake
        self._members = Members(services.database)
        self._press, self._submit, self._check, self._decide = press, submit, check, decide
        self._speaking = WeakValueDictionary[int, asyncio.Lock]()
        self._replies = dict[str, Reply]()  # of turns that wait
        self._listeners: list[Callable[[Turn], object]] = []
        self._waiting = dict[str, asyncio.Task[None]]()
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
    ) -> Turn:
        """Write the turn of a sentence and return it; nothing is queued yet.

        after: the turn that it follows, None = it begins a conversation, NEWEST = where the actor stands in
        this channel. given: pictures that come with it, as ``Sources.meant`` takes them. once: the same key
        is the same turn. Raises UserError for nothing said or too much, ImageError for a picture or turn that
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
                return await self._write(actor, new, standing, [_Plan(Decision(kind="talk"), reply=BEGUN)])
            if known is not None:
                standing = standing.showing(*known)
            standing = standing.with_sent(new)
            numbers = [one.number for one in sent]
            state = standing.state(actor.user_id, numbers)
            decision = await self._decided(actor, said, state)
            plans = await self._plans(actor, _resolved(decision, standing, numbers), standing)
            return await self._write(actor, new, standing, plans)

    async def preview(
        self, actor: Actor, said: str, *, after: str | None = NEWEST, sent: int = 0
    ) -> tuple[Decision, str]:
        """Return what a sentence would be taken for, and that in one line; nothing is kept. sent: how many
        pictures would come with it."""
        await self._rights.check(actor, Action.ASK)
        standing = await self._standing(actor, await self._before(actor, after))
        number = max(standing.pictures, default=0)
        came = tuple(Sent(number + n + 1, "") for n in range(min(sent, 4)))
        new = self._row(actor, said, None, sent=came)
        standing, numbers = standing.with_sent(new), [one.number for one in came]
        decision = await self._decided(actor, said.strip()[:MAX_SAID], standing.state(actor.user_id, numbers))
        decision = _resolved(decision, standing, numbers)
        return decision, understood_text(decision, standing, actor.user_id)

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
        plan = await self._plan(actor, row.decision, standing, confirmed=True)
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
        row = await self._own(actor, turn_id)
        await self._rights.check(actor, Action.ASK)
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
        plans = await self._plans(actor, _resolved(decision, standing, numbers), standing, confirmed=True)
        return await self._write(actor, new, standing, plans)

    async def offer(self, actor: Actor, turn_id: str, number: int) -> Turn:
        """Do what offer ``number`` (from 0) of an ``unclear`` turn of the actor's says; several steps are
        done one after the other. Raises UserError where there is no such offer."""
        row = await self._own(actor, turn_id)
        await self._rights.check(actor, Action.ASK)
        if not 0 <= number < len(row.decision.offers):
            raise UserError(GONE)
        once = f"offer:{turn_id}:{number}"
        if (same := await self._of_once(actor, once)) is not None:
            return same
        standing = await self._standing(actor, row)
        new = self._row(actor, row.said, row, once=once)
        sent = [one.number for one in row.sent]
        plans, steps = list[_Plan](), standing
        for step in row.decision.offers[number]:
            if plans and step.kind in NEEDS_PICTURE and not step.about:  # of the step before
                plans.append(_Plan(replace(step, by="person"), waits_for=NEWEST))
                continue
            decision = _resolved(replace(step, by="person"), steps, sent)
            plans += await self._plans(actor, decision, steps, confirmed=True)
        return await self._write(actor, new, standing, plans)

    async def show(self, actor: Actor, turn_id: str, job_id: str, index: int) -> Turn:
        """Go back to picture ``index`` (from 0) of a job of the conversation, or choose it of a grid."""
        before = await self._seen(actor, turn_id)
        standing = await self._standing(actor, before)
        found = next((n for n, one in standing.pictures.items() if one.job_id == job_id), None)
        if found is None:
            raise ImageError(GONE)
        one, now = standing.pictures[found], standing.shown
        choice = index + 1 if one.sent is None and one.count > 1 else None
        kind: Kind = "pick" if choice and now is not None and now[0] == found else "back"
        return await self._shown(actor, before, standing, Decision(kind=kind, about=(found,), index=choice))

    async def step(self, actor: Actor, turn_id: str, steps: int) -> Turn:
        """Undo (-1) or redo (1) so many steps. Raises UserError where there is nothing to."""
        before = await self._seen(actor, turn_id)
        standing = await self._standing(actor, before)
        to = standing.step(steps) if steps else None
        if to is None:
            raise UserError(NOTHING_TO_REDO if steps > 0 else NOTHING_TO_UNDO)
        decision = Decision(kind="back", about=(to[0],), index=to[1], steps=1 if steps > 0 else -1)
        return await self._shown(actor, before, standing, decision)

    async def _shown(self, actor: Actor, before: StoredTurn, standing: Standing, decision: Decision) -> Turn:
        await self._rights.check(actor, Action.ASK)
        plan = await self._plan(actor, replace(decision, by="person"), standing, confirmed=True)
        return await self._write(actor, self._row(actor, "", before), standing, [plan])

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
        jobs = await self._jobs([one.job_id for one in found if one.job_id])
        for one, said in zip(found, texts, strict=True):
            before = places.get(one.before_id or "") or Standing.of((), making)
            places[one.id] = before.after(one)
            job = jobs.get(one.job_id or "")
            turns.append(_view(actor, replace(one, said=said or ""), places[one.id], job))
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

    async def unsaid(self, user_id: int, once: str) -> None:
        """Forget the words that somebody has said with this key, as they have deleted their message."""
        row = await self._database.read(partial(rows.of_once, user_id=user_id, once=once))
        if row is not None:
            await self._database.write(partial(rows.forget_said, turn_id=row.id))

    # Going on

    @contextmanager
    def telling(self, work: Callable[[Turn], object]) -> Iterator[None]:
        """Call ``work`` with each turn that had waited, when its job is queued or nothing comes of it, until
        the block ends."""
        self._listeners.append(work)
        try:
            yield
        finally:
            self._listeners.remove(work)

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
        """Go on with every turn without its job; one that is too old ends."""
        for row in await self._database.read(rows.list_open):
            if row.created_at < datetime.now(UTC) - RESUMED:
                await self._database.write(partial(rows.end_turn, turn_id=row.id, reply=TOO_OLD))
            else:
                self._follow(row.id)

    def _note_moved(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _follow(self, turn_id: str) -> None:
        """Queue a turn's job by itself, as soon as that can be."""
        if turn_id in self._waiting:
            return
        task = asyncio.create_task(self._go_on(turn_id), name=f"turn {turn_id}")
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
                    async for event in self._queue.watch(first.job_id):
                        if isinstance(event, Paused):
                            return  # the next start goes on
                elif first.is_open:
                    await moved.wait()
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
            decision = _resolved(row.decision, standing, [])
            work = partial(rows.set_decision, turn_id=row.id, decision=decision)
            await self._database.write(work)
            row = replace(row, decision=decision)
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

    async def _jobs(self, ids: Sequence[str]) -> Mapping[str, Job]:
        return await self._database.read(partial(job_queries.read_jobs, ids=ids), once=True) if ids else {}

    async def _turn(self, actor: Actor, row: StoredTurn) -> Turn:
        """Return a row as the actor sees it, with its job to be queued if that is so."""
        standing = (await self._standing_of(actor, row)).after(row)
        job = await self._queue.job(row.job_id) if row.job_id is not None else None
        new = None
        if row.is_open and row.waits_for is None and row.user_id == actor.user_id:
            with suppress(UserError):
                new = await self._rebuilt(actor, row)
        return replace(_view(actor, row, standing, job), new=new)

    # From sentences to plans

    async def _decided(self, actor: Actor, said: str, state: State) -> Decision:
        try:
            decision = await self._decide(actor, said, state)
            decision.check(state)
        except ValueError as error:
            log.warning("a decision wasn't one: %s", type(error).__name__)
            return Decision(kind="unclear")
        return decision

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
            source = await self._sources.meant(actor, one)
            job_id = source.job.id if source.job else None
            same = (n for n, own in standing.pictures.items() if job_id and own.job_id == job_id)
            if (own := next(same, None)) is not None:
                grid = standing.pictures[own].count > 1
                known = known or (own, source.index + 1 if grid else None)
                continue
            at = source.index if source.job else None
            sent.append(Sent(number + len(sent) + 1, source.sha256, job_id, at))
        return tuple(sent), known

    async def _plans(
        self, actor: Actor, decision: Decision, standing: Standing, *, confirmed: bool = False
    ) -> list[_Plan]:
        """Return what a decision takes: one plan, or one for each of several jobs."""
        plan = await self._plan(actor, decision, standing, confirmed=confirmed)
        if len(plan.news) < 2:
            return [plan]
        each = await self._each(actor, decision)
        return [replace(plan, decision=one, news=(new,)) for one, new in zip(each, plan.news, strict=True)]

    async def _each(self, actor: Actor, decision: Decision) -> list[Decision]:
        """Return the drawings that one with sets in braces or ``--repeat`` stands for."""
        chosen = await self._members.preferences(actor.user_id)
        typed = await self._requests.imagine(actor, decision.words, chosen, attached=len(decision.about))
        texts = [
            format_prompt(replace(prompt, repeat=None))
            for prompt in typed.prompts
            for _ in range(prompt.repeat or 1)
        ]
        return [replace(decision, words=text) for text in texts]

    async def _plan(
        self, actor: Actor, decision: Decision, standing: Standing, *, confirmed: bool = False
    ) -> _Plan:
        """Return what a decision takes. confirmed: that it takes much is meant."""
        match decision.kind:
            case "talk":
                last = standing.last
                return _Plan(decision, reply="" if last is not None and last.kind == "talk" else WELCOME)
            case "find":
                return _Plan(decision, reply=FOUND.format(decision.words))
            case "unclear":
                if decision.command:
                    return _Plan(decision, reply=COMMAND.format(decision.command))
                return _Plan(decision, reply=WHICH if decision.offers else NOT_UNDERSTOOD)
        try:
            targets = self._targets(decision, standing)
            if decision.kind in ("back", "pick"):
                await self._check_shown(actor, decision, targets[0])
                return _Plan(decision)
            if (first := self._first(decision, standing, targets)) is not None:
                waiting = await self._database.read(partial(rows.count_open, user_id=actor.user_id))
                if waiting >= MOST_WAITING and not confirmed:
                    return _Plan(decision, reply=TOO_MANY)
                return _Plan(decision, waits_for=first)
            news = tuple(await self._news(actor, decision, targets, standing))
            for new in news:
                self._check(new)
        except UserError as error:
            return _Plan(decision, reply=str(error))
        return _Plan(decision, news) if confirmed else self._confirmed(decision, news)

    def _targets(self, decision: Decision, standing: Standing) -> list[Numbered]:
        targets = [standing.pictures.get(number) for number in decision.about]
        if decision.kind in NEEDS_PICTURE and (not targets or None in targets):
            raise ImageError("That picture isn't in this conversation any more.")
        return [one for one in targets if one is not None]

    def _first(self, decision: Decision, standing: Standing, targets: Sequence[Numbered]) -> str | None:
        """Return the turn that has to be done before, None where all is there."""
        last = standing.last
        if decision.kind == "ask" and last is not None and _asked(last, decision):
            if not last.is_ready and not last.is_lost:
                return last.id
        late = [one.turn for one in targets if not one.is_ready]
        return max(late, key=lambda turn: turn.seq).id if late else None

    def _confirmed(self, decision: Decision, news: tuple[NewJob, ...]) -> _Plan:
        """Return the plan, or a question whether so much is meant."""
        known = [self._queue.seconds(new.request) for new in news]
        seconds = sum(one for one in known if one is not None)
        if len(news) <= CONFIRM_JOBS and seconds <= CONFIRM_SECONDS:
            return _Plan(decision, news)
        about = f", about {duration(seconds)}" if seconds else ""
        asked = Decision(kind="unclear", by=decision.by, about=decision.about, offers=((decision,),))
        return _Plan(asked, reply=f"That is {counted(len(news), 'job')}{about}. Do you mean that?")

    async def _check_shown(self, actor: Actor, decision: Decision, one: Numbered) -> None:
        if one.job_id is not None:
            await self._rights.job(actor, one.job_id, Action.SHOW)
        if decision.index is not None and decision.index > one.count:
            raise ImageError(f"Picture {one.number} has {counted(one.count, 'picture')}.")

    # From plans to jobs

    async def _news(
        self, actor: Actor, decision: Decision, targets: Sequence[Numbered], standing: Standing
    ) -> list[NewJob]:
        """Return the jobs of a decision. Raises UserError, which says what is wrong."""
        chosen = await self._members.preferences(actor.user_id)
        if decision.kind == "draw":
            names = [_picture_name(one, decision.index) for one in targets]
            words = f"{decision.words} --think" if decision.closely else decision.words
            typed = await self._requests.imagine(actor, words, chosen, attached=len(names))
            return await typed.jobs(attached(names))
        if decision.kind == "ask":
            new = await self._question(actor, decision, targets, standing, chosen)
        elif decision.kind == "change":
            new = await self._change(actor, decision, targets, chosen)
        else:
            new = await self._of_picture(actor, decision, targets[0], standing, chosen)
        return [new.chosen(chosen.lane, private=chosen.private)]

    async def _question(
        self,
        actor: Actor,
        decision: Decision,
        targets: Sequence[Numbered],
        standing: Standing,
        chosen: Preferences,
    ) -> NewJob:
        last = standing.last
        ask = partial(self._requests.ask, actor, decision.words, chosen=chosen)
        if last is not None and last.is_ready and _asked(last, decision):
            return await ask([], follows=last.job_id)
        return await ask([_picture_name(one, decision.index) for one in targets])

    async def _change(
        self, actor: Actor, decision: Decision, targets: Sequence[Numbered], chosen: Preferences
    ) -> NewJob:
        first, *others = [
            await self._source(
                actor, one, decision.index if n == 0 else None, Action.VARY if n == 0 else Action.USE
            )
            for n, one in enumerate(targets)
        ]
        words, *then = decision.changes
        typed = await self._requests.edit(actor, words, chosen, job=first.job)

        async def build(source: Source, found: PromptWithPictures | None) -> NewJob:
            return actions.edit_picture(source, found)

        new = await typed.job(first, build)
        assert isinstance(new.request, EditRequest)
        more = [(await self._requests.read_prompt(actor, text)).text for text in then]
        images = tuple(source.sha256 for source in others)
        request = replace(new.request, then=tuple(more), images=images, num_images=PICTURES)
        private = typed.private or any(source.private for source in others)
        return replace(new, request=request).chosen(None, private=private)

    async def _of_picture(
        self,
        actor: Actor,
        decision: Decision,
        one: Numbered,
        standing: Standing,
        chosen: Preferences,
    ) -> NewJob:
        """Return the job of a decision about one picture that has no words, or moves it."""
        kind, index = decision.kind, decision.index
        if kind == "again":
            if one.sent is None and (index is None or one.count == 1):
                assert one.job_id is not None
                return await self._press(actor, one.job_id, "again", 0)
            source = await self._source(actor, one, index, Action.VARY)
            words = None if source.request else PromptWithPictures(Prompt(), {})
            return actions.variation(source, "strong", words)
        if kind == "video":
            source = await self._source(actor, one, index, Action.ANIMATE)
            own = source.request.prompt if source.request else ""
            text = ", ".join(filter(None, (own, decision.words)))[:MAX_PROMPT]
            asked, material = Asked(text, "new", {"motion": decision.motion}), Material(_name_of(source))
            new = await (await self._requests.video(actor, asked, material, chosen)).job()
            return replace(new, parent=source.parent, private=new.private or source.private)
        if kind == "upscale":
            source = await self._source(actor, one, index, Action.UPSCALE)
            new = actions.upscale(source, decision.factor, "subtle")
        elif kind == "cutout":
            new = actions.cut_out(await self._source(actor, one, index, Action.CUT_OUT))
        else:
            whole = decision.sides == ("all",)
            source = await self._source(actor, one, index, Action.ZOOM if whole else Action.PAN)
            words = None if source.request else PromptWithPictures(Prompt(), {})
            sides = {
                side: px for name in decision.sides for side, px in direction_sides(source, name).items()
            }
            new = actions.outpaint(source, sides, words)
        return new

    async def _source(self, actor: Actor, one: Numbered, index: int | None, action: Action) -> Source:
        """Return a picture of a conversation to work on. index: from 1, of a grid."""
        if one.job_id is None:
            assert one.sent is not None
            return await self._sources.uploaded(actor, one.sent.sha256)
        job = await self._rights.job(actor, one.job_id, action)
        return await self._sources.of_job(actor, job, _index(one, index), action)

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

    async def _write(self, actor: Actor, new: StoredTurn, standing: Standing, plans: Sequence[_Plan]) -> Turn:
        """Write the turn of each plan, one after the other, and return the first; the others go on by
        themselves."""
        private = (await self._members.preferences(actor.user_id)).private
        written, follows = list[StoredTurn](), new
        for plan in plans:
            if written:
                follows = self._row(actor, "", written[-1])
            waits_for = written[-1].id if plan.waits_for == NEWEST else plan.waits_for
            decision = plan.decision
            row = replace(
                follows,
                kind=decision.kind,
                by=decision.by,
                decision=decision,
                reply=plan.reply,
                is_open=plan.asks,
                waits_for=waits_for,
                private=private or any(one.private for one in plan.news),
            )
            makes = row.is_open and decision.kind in MAKES
            try:
                row = await self._database.write(partial(rows.add_turn, new=row, makes=makes))
            except IntegrityError:  # the same was said twice at once
                same = await self._of_once(actor, new.once) if new.once else None
                if same is None:
                    raise
                return same
            written.append(row)
        for row in written[1:]:
            if row.is_open:
                self._follow(row.id)
        first = written[0]
        if len(written) == 1 and not first.sent:
            shown = replace(standing, pictures=_with_new(standing, first)).after(first)
            turn = _view(actor, first, shown, None)
            return replace(turn, new=plans[0].news[0] if plans[0].news else None)
        found = await self._turn(actor, first)
        return replace(found, new=plans[0].news[0] if plans[0].news else found.new)


def _with_new(standing: Standing, row: StoredTurn) -> dict[int, Numbered]:
    made = {} if row.number is None else {row.number: Numbered(row.number, row)}
    return dict(standing.pictures) | made


def _resolved(decision: Decision, standing: Standing, sent: Sequence[int]) -> Decision:
    """Return a decision that names its pictures, and which of a grid: those that came, or what is shown."""
    about = decision.about
    if not about and decision.kind in NEEDS_PICTURE:
        shown = standing.shown
        about = tuple(sent) or ((shown[0],) if shown else ())
    elif not about and sent and decision.kind in ("draw", "ask"):
        about = tuple(sent)
    about = tuple(dict.fromkeys(standing.still(number, decision.kind) for number in about))
    index = decision.index
    if index is None and about and decision.kind not in ("back", "pick"):
        index = standing.chosen(about[0])
    return replace(decision, about=about, index=index)


def _asked(last: StoredTurn, decision: Decision) -> bool:
    """Whether a question goes on from the one before it."""
    return last.kind == "ask" and last.job_id is not None and last.decision.about == decision.about


def _index(one: Numbered, index: int | None) -> int:
    """Return which picture (from 0) of its job is meant."""
    if one.sent is not None:
        return one.sent.position or 0
    return (index or 1) - 1


def _picture_name(one: Numbered, index: int | None) -> str:
    """Return what ``Sources.meant`` knows a picture by."""
    if one.job_id is not None:
        return f"{one.job_id} {_index(one, index) + 1}"
    assert one.sent is not None
    return one.sent.sha256


def _name_of(source: Source) -> str:
    return f"{source.job.id} {source.index + 1}" if source.job else source.sha256


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


def _view(actor: Actor, row: StoredTurn, standing: Standing, job: Job | None) -> Turn:
    decision, shown = row.decision, standing.shown
    one = standing.pictures.get(shown[0]) if shown else None
    shows = None if one is None or one.job_id is None else (one.job_id, _index(one, shown and shown[1]))
    sent = one.sent.sha256 if one is not None and one.sent is not None and one.job_id is None else None
    return Turn(
        id=row.id,
        before_id=row.before_id,
        root_id=row.root_id,
        user_id=row.user_id,
        said=row.said,
        kind=row.kind,
        by=row.by,
        decision=decision,
        created_at=row.created_at,
        understood=understood_text(decision, standing, actor.user_id),
        reply=row.reply,
        job=job,
        shows=shows,
        shows_sent=sent,
        number=row.number if row.number is not None else shown[0] if shown else None,
        waits_for=row.waits_for,
        is_open=row.is_open,
        offers=tuple(_offer_text(plan, standing, actor.user_id) for plan in decision.offers),
        message_id=row.message_id,
        private=row.private,
        sent=row.sent,
        can_undo=standing.step(-1) is not None,
        can_redo=standing.step(1) is not None,
    )


def _offer_text(plan: Sequence[Decision], standing: Standing, user_id: int) -> str:
    """Return what the button of an offer says."""
    if len(plan) > 1:
        return f"Do all {len(plan)} steps"
    [step] = plan
    if step.kind == "draw":
        return "Draw it new"
    text = understood_text(_resolved(step, standing, ()), standing, user_id)
    return text[:1].upper() + text[1:]
