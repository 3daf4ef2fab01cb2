"""What a job is told of examples when it is handed out: those that its asker may use then, as turns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from core.errors import UserError
from core.job import Job
from core.requests import AskRequest, TryRequest
from core.requests.chat import WHAT
from storage import collections, conversations, job_queries
from storage.conversations import Example, ExampleSet
from storage.database import Database
from studio.actor import Actor
from studio.authority import Action, Authority, Belonging
from studio.moderation.moderator import Moderator
from studio.places.sight import Sight
from vision.protocol import Turn

LONGEST_CHAIN = 200  # turns back to the first question of a conversation
GONE = "That set of examples is gone, or isn't shared here any more."
FORBIDDEN = "A rule of this place doesn't allow a label of that set."
NOT_SEEN = "Examples from jobs that you can't look at here were left out."


class Lessons:
    """Reads sets from the rows each time: nothing of them is kept in requests."""

    def __init__(self, database: Database, sight: Sight, moderator: Moderator) -> None:
        self._database, self._sight, self._moderator = database, sight, moderator

    async def seen(self, found: ExampleSet, actor: Actor) -> list[Example]:
        """Return the examples of a set without those from jobs of others that the actor can't look at."""
        return (await self._looked(found, actor))[0]

    async def _looked(self, found: ExampleSet, actor: Actor) -> tuple[list[Example], list[str]]:
        """Return what ``seen`` does, and what is to be said of those that are left out."""
        examples = await self._database.read(partial(conversations.of_set, set_id=found.id))
        left = await self.shown(found, examples, actor)
        return left, [NOT_SEEN] if len(left) < len(examples) else []

    async def shown(self, found: ExampleSet, examples: Sequence[Example], actor: Actor) -> list[Example]:
        """Return those of a set's examples that hang on no job which the actor can't look at, and which isn't
        its owner's, and on no picture that another has put into the trash."""
        named = {job_id for example in examples for job_id in example.jobs}
        hidden = set[str]()
        for job_id in named:
            job = await self._database.read(partial(job_queries.get, job_id=job_id))
            own = job is not None and job.origin.user_id == found.user_id
            if job is None or not (own or await self._sight.sees(actor, job)):
                hidden.add(job_id)
        away = await self._database.read(partial(collections.files, job_ids=named, reader=actor.user_id))
        return [
            example
            for example in examples
            if not example.jobs & hidden
            and not any((job_id, name) in away for name, job_id in example.pictures)
        ]

    async def of_try(self, job: Job) -> tuple[list[Turn], list[str]]:
        """Return the examples of the set that a job tries, and what is to be said of those that are left out.

        Raises UserError when the set is gone, its asker may not use it there any more, or a label breaks a
        rule there.
        """
        request, actor = job.request, asker(job)
        assert isinstance(request, TryRequest)
        found = await self._usable(request.set_id, actor)
        examples, notes = await self._looked(found, actor)
        labels = list({example.label for example in examples})
        if None in await self._moderator.captions(labels, actor.place):
            raise UserError(FORBIDDEN)
        return _turns(examples), notes

    async def of_question(
        self, job: Job, before: Sequence[Job]
    ) -> tuple[list[Turn], dict[str, str], list[str]]:
        """Return what a question is told: examples from elsewhere, the right answers to turns ``before`` it
        by the ids of their jobs, and what is to be said of what is left out. Raises UserError when a set that
        it names is gone, or its asker may not use it there any more."""
        request, actor = job.request, asker(job)
        assert isinstance(request, AskRequest)
        told, right, notes = list[Example](), dict[str, str](), list[str]()
        if request.examples is not None:
            found = await self._usable(request.examples, actor)
            told, notes = await self._looked(found, actor)
        if request.follows:
            turns = {one.id for one in before}
            for taught in await self._taught(job, actor):
                right |= {one.job_id: one.label for one in taught if one.job_id in turns}
                told += [one for one in taught if one.job_id not in turns]
        return _turns(told), right, notes

    async def _taught(self, job: Job, actor: Actor) -> list[list[Example]]:
        """Return the examples of each set that was taught in a job's conversation and that its asker may
        use."""
        chain = await self._database.read(
            partial(conversations.ancestors, job_id=job.id, limit=LONGEST_CHAIN)
        )
        ids = [asked.job.id for asked in chain]
        sets = await self._database.read(partial(conversations.taught_in, job_ids=ids)) if ids else []
        usable = [one for one in sets if self._may_use(one, actor)]
        return [await self.seen(one, actor) for one in usable]

    async def chain(self, actor: Actor, job: Job) -> list[Job]:
        """Return the questions before a job that the actor can look at, the latest first."""
        chain = await self._database.read(
            partial(conversations.ancestors, job_id=job.id, limit=LONGEST_CHAIN)
        )
        found = list[Job]()
        for asked in chain:
            if not await self._sight.sees(actor, asked.job):
                break
            found.append(asked.job)
        return found

    async def _usable(self, set_id: str, actor: Actor) -> ExampleSet:
        found = await self._database.read(partial(conversations.one_set, set_id=set_id))
        if found is None or not self._may_use(found, actor):
            raise UserError(GONE)
        return found

    def _may_use(self, found: ExampleSet, actor: Actor) -> bool:
        authority: Authority = self._sight.authority
        return authority.allows_to(actor, Action.USE, Belonging(found.user_id, found.guild_id))


def asker(job: Job) -> Actor:
    """Return who asked for a job, and where."""
    origin = job.origin
    return Actor(origin.user_id, origin.guild_id, origin.channel_id, surface=origin.surface)


def _turns(examples: Sequence[Example]) -> list[Turn]:
    """Return examples as turns. A turn of what was sent is known by its picture, so that what a model keeps
    of it can be given up."""
    turns = list[Turn]()
    for one in examples:
        pictures = tuple(sha256 for sha256, _ in one.pictures)
        name = one.job_id or next(iter(pictures), "")
        turns += [Turn("user", one.question or WHAT, pictures, name), Turn("assistant", one.label, (), name)]
    return turns
