"""The list of changes behind a picture: the words that it was drawn from, then each instruction of the edits
that led to it; the list without one of them, and the list on other pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from core.errors import UserError
from core.job import Job
from core.requests import EditRequest, GenerateRequest
from core.requests.images import MAX_THEN, CutOutRequest
from jobs.queue import Queue
from storage.turns import lineage
from studio.authority import Action, Actor
from studio.rights import Rights
from studio.texts import counted, duration, job_name

MOST_OTHERS = 10  # pictures that a list is replayed on at once
MOST_OF_FOLDER = 50  # the same, of a folder
BROUGHT = "an earlier picture"
NO_SUCH = "There is no change {} in this list that can be taken out."
BEFORE_GONE = "The picture before that change was deleted, so the change can't be taken out."
TOO_MANY = f"There are {{}} changes to make again; up to {MAX_THEN + 1} fit in one job."
NO_CHANGES = "Nothing was changed by words in that picture."


@dataclass(frozen=True)
class Change:
    """A line of the list. number: from 1. job_id, index (from 0): the picture after it, None where that was
    made on the way only. can_go: it can be taken out; again: what that takes, such as "2 changes again, about
    5 s"."""

    number: int
    words: str
    job_id: str | None = None
    index: int | None = None
    can_go: bool = False
    again: str = ""


@dataclass(frozen=True)
class Remade:
    """A list without one line. job_id, index (from 0): the picture to begin with; sha256: what was sent, in
    their place. changes: the rest, none where that picture is all. seed: of the first of them. told: what is
    to be said of it."""

    changes: tuple[str, ...]
    job_id: str | None = None
    index: int = 0
    sha256: str = ""
    seed: int = 0
    told: str = ""

    @property
    def name(self) -> str:
        """What ``Sources.meant`` knows the picture by that it begins with."""
        return f"{self.job_id} {self.index + 1}" if self.job_id else self.sha256


def instructions_of(job: Job) -> tuple[str, ...]:
    """Return what an edit was told to do, one after the other; none of any other job."""
    return job.request.instructions if isinstance(job.request, EditRequest) else ()


class Changes:
    """Reads lists of changes, as far as an actor may see the pictures behind one."""

    def __init__(self, rights: Rights, queue: Queue) -> None:
        self._rights, self._queue = rights, queue

    async def lines(self, actor: Actor, job_id: str, index: int) -> list[Change]:
        """Return the list behind picture ``index`` (from 0) of a job, its drawing first. Raises ImageError
        or NotAllowedError."""
        chain, found = await self._chain(actor, job_id), list[Change]()
        for number, (at, place) in enumerate(_lines(chain), 1):
            job, told = chain[at], instructions_of(chain[at])
            drawn = getattr(job.request, "prompt", "") if not at and not told else ""
            begun = BROUGHT if told else drawn or _done(job)
            words = begun if place is None else told[place]
            last = at + 1 == len(chain)
            after: tuple[str | None, int | None]
            after = (job.id, index if last else chain[at + 1].parent_index or 0)
            if number == 1 and told or place is not None and place + 1 < len(told):
                after = (None, None)  # it was made on the way, or isn't this job's
            again = await self._again(chain, number) if place is not None else ""
            found.append(Change(number, words, after[0], after[1], bool(again), again))
        return found

    async def without(self, actor: Actor, job_id: str, number: int, words: str = "") -> Remade:
        """Return the list behind a picture without line ``number``, or with other words in its place. Raises
        UserError where that can't go, ImageError or NotAllowedError for a picture that the actor may not
        change."""
        chain = await self._chain(actor, job_id)
        return await self._without(chain, number, words)

    async def instructions(self, actor: Actor, job_id: str) -> tuple[str, ...]:
        """Return all instructions of a list. Raises UserError for none, or too many for one job."""
        found = tuple(words for job in await self._chain(actor, job_id) for words in instructions_of(job))
        if not found:
            raise UserError(NO_CHANGES)
        if len(found) > MAX_THEN + 1:
            raise UserError(TOO_MANY.format(len(found)))
        return found

    async def _chain(self, actor: Actor, job_id: str) -> list[Job]:
        """Return the jobs that led to a picture, the first one first, from where on the actor may see them
        all."""
        await self._rights.job(actor, job_id, Action.SHOW)
        found = list[Job]()
        [led] = await self._queue.database.look_up(partial(lineage, job_id=job_id))
        for job in reversed(led):
            if not isinstance(job.request, GenerateRequest) or not await self._rights.sees(actor, job):
                break
            found.append(job)
        return found[::-1]

    async def _without(self, chain: Sequence[Job], number: int, words: str = "") -> Remade:
        # 1. Which instruction of which job
        lines = _lines(chain)
        at, place = lines[number - 1] if 1 <= number <= len(lines) else (0, None)
        if place is None:
            raise UserError(NO_SUCH.format(number))
        # 2. What is made again, and with the seed of its first
        told = instructions_of(chain[at])
        rest = [*told[:place], *([words] if words else ()), *told[place + 1 :]]
        later = [job for job in chain[at + 1 :] if instructions_of(job)]
        left_out = [_done(job) for job in chain[at + 1 :] if not instructions_of(job)]
        first = chain[at] if rest else next(iter(later), chain[at])
        changes = [*rest, *(words for job in later for words in instructions_of(job))]
        # 3. From which picture: the one before, or the first before that which is left
        notes = [f"Not made again: {', '.join(left_out)}."] if left_out else []
        while (base := await self._base(chain, at)) is None:
            at -= 1
            if at < 0 or not instructions_of(chain[at]):
                raise UserError(BEFORE_GONE)
            changes = [*instructions_of(chain[at]), *changes]
            first = chain[at]
            notes[:0] = ["The picture before was deleted, so more is made again."]
        if len(changes) > MAX_THEN + 1:
            raise UserError(TOO_MANY.format(len(changes)))
        assert isinstance(first.request, GenerateRequest)
        said = " ".join(notes)
        return replace(base, changes=tuple(changes), seed=first.request.seed, told=said)

    async def _base(self, chain: Sequence[Job], at: int) -> Remade | None:
        """Return the picture that a job of a chain began with, None where that is gone."""
        job = chain[at]
        if at:
            index = job.parent_index or 0
            result = await self._queue.result(chain[at - 1].id)
            there = result is not None and any(one.index == index for one in result.pictures)
            return Remade((), chain[at - 1].id, index) if there else None
        request = job.request
        if job.parent_id is not None or not isinstance(request, EditRequest) or request.image is None:
            return None
        sent = await self._queue.people.has_sent(job.origin.user_id, request.image)
        return Remade((), sha256=request.image) if sent else None

    async def _again(self, chain: Sequence[Job], number: int) -> str:
        """Return what taking a line out takes, "" where it can't be."""
        try:
            remade = await self._without(chain, number)
        except UserError:
            return ""
        edits = [job.request for job in chain if isinstance(job.request, EditRequest)]
        if not remade.changes:
            return "nothing to make again"
        prompt, *then = remade.changes
        seconds = self._queue.seconds(replace(edits[-1], prompt=prompt, then=tuple(then)))
        about = f", about {duration(seconds)}" if seconds else ""
        return f"{counted(len(remade.changes), 'change')} again{about}"


def _done(job: Job) -> str:
    """Return what a job without words has done, with what it cut out."""
    named = job.request.named if isinstance(job.request, CutOutRequest) else ""
    return f"{job_name(job.request)}: {named}" if named else job_name(job.request)


def _lines(chain: Sequence[Job]) -> list[tuple[int, int | None]]:
    """Return which job of a chain each line of its list is of, and which of its instructions, None where it
    isn't one."""
    lines: list[tuple[int, int | None]] = [(0, None)]
    for at, job in enumerate(chain):
        told = instructions_of(job)
        lines += [(at, place) for place in range(len(told))] or ([(at, None)] if at else [])
    return lines
