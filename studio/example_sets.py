"""Sets of examples, labelled pictures or questions with their right answers: made, shown, shared, given away
and forgotten, and told to jobs that are handed out."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import ImageError, StorageError, UserError
from core.job import ID_LENGTH, Job
from core.limits import MAX_LABEL, MAX_QUESTION, MAX_SET_LABELS, MAX_SETS, MAX_SHOTS, MAX_TURNS, name_of
from core.requests import AskRequest, TryRequest
from core.requests.chat import WHAT
from jobs.queue import Result
from storage import collections, job_queries
from storage import conversations as rows
from storage.blobs.base import Files
from storage.conversations import Example, ExampleSet
from storage.database import Database
from studio.authority import Action, Actor, Authority, Belonging
from studio.inputs import Given, Sources
from studio.media.uploads import Intake
from studio.media.zip_stream import Archive
from studio.moderation.moderator import Moderator
from studio.new_job import NewJob
from studio.rights import Rights, Sight
from studio.services import Services
from studio.texts import job_name
from vision.protocol import Turn

LONGEST_CHAIN = 200  # turns back to the first question of a conversation
GONE = "That set of examples is gone, or isn't shared here any more."
FORBIDDEN = "A rule here doesn't allow a label of that set."
NOT_SEEN = "Examples from jobs that you can't see here were left out."


class Lessons:
    """Reads sets from the rows each time: nothing of them is kept in requests."""

    def __init__(self, database: Database, sight: Sight, moderator: Moderator) -> None:
        self._database, self._sight, self._moderator = database, sight, moderator

    async def seen(self, found: ExampleSet, actor: Actor) -> list[Example]:
        """Return the examples of a set without those from jobs of others that the actor can't look at."""
        return (await self._looked(found, actor))[0]

    async def _looked(self, found: ExampleSet, actor: Actor) -> tuple[list[Example], list[str]]:
        """Return what ``seen`` does, and what is to be said of those that are left out."""
        examples = await self._database.read(partial(rows.list_examples, set_id=found.id))
        left = await self.shown(found, examples, actor)
        return left, [NOT_SEEN] if len(left) < len(examples) else []

    async def shown(self, found: ExampleSet, examples: Sequence[Example], actor: Actor) -> list[Example]:
        """Return those of a set's examples that hang on no job which the actor can't look at, and which isn't
        its owner's, and on no picture that another has put into the trash."""
        named = {job_id for example in examples for job_id in example.jobs}
        hidden = set[str]()
        for job_id in named:
            job = await self._database.read(partial(job_queries.read_job, job_id=job_id))
            own = job is not None and job.origin.user_id == found.user_id
            if job is None or not (own or await self._sight.sees(actor, job)):
                hidden.add(job_id)
        away = await self._database.read(
            partial(collections.trashed_files, job_ids=named, reader=actor.user_id)
        )
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
        chain = await self._database.read(partial(rows.ancestors, job_id=job.id, limit=LONGEST_CHAIN))
        ids = [asked.job.id for asked in chain]
        sets = await self._database.read(partial(rows.taught_in, job_ids=ids)) if ids else []
        usable = [one for one in sets if self._may_use(one, actor)]
        return [await self.seen(one, actor) for one in usable]

    async def chain(self, actor: Actor, job: Job) -> list[Job]:
        """Return the questions before a job that the actor can look at, the latest first."""
        chain = await self._database.read(partial(rows.ancestors, job_id=job.id, limit=LONGEST_CHAIN))
        found = list[Job]()
        for asked in chain:
            if not await self._sight.sees(actor, asked.job):
                break
            found.append(asked.job)
        return found

    async def _usable(self, set_id: str, actor: Actor) -> ExampleSet:
        found = await self._database.read(partial(rows.one_set, set_id=set_id))
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


# The name of a set that a conversation was taught in
_TAUGHT = re.compile(rf"taught [a-z2-9]{{{ID_LENGTH}}}")
_LAST = "last_set"  # flag of a person
NOT_YOURS = "Only the owner of that set can do this."
RULE = "A rule here doesn't allow {what}. Nothing was {done}."
MIXED = "That set has {has}; {gets} need a set of their own."
HAS = ("labelled pictures", "questions with their answers")


@dataclass(frozen=True)
class Contents:
    """A set as somebody may see it. examples: those whose jobs they can look at. mine: it is their own."""

    set: ExampleSet
    examples: tuple[Example, ...]
    mine: bool

    @property
    def labels(self) -> dict[str, int]:
        """How many examples each label has, in the order in which they came."""
        return dict(Counter(example.label for example in self.examples))

    @property
    def answers(self) -> bool:
        """Whether it has questions with their answers."""
        return any(example.question for example in self.examples)


class Sets:
    """What people do with sets. Each method checks its right: a set is its owner's, and where it is shared,
    members of that server may look at it and try it there."""

    def __init__(self, rights: Rights, sources: Sources, services: Services, lessons: Lessons) -> None:
        self._rights, self._sources, self._lessons = rights, sources, lessons
        self._database, self._moderator = services.database, services.moderator
        self._privacy, self._queue = services.privacy, services.queue
        self._asks = services.settings.has_chat_model

    async def all(self, actor: Actor) -> list[ExampleSet]:
        """Return the actor's sets, then those that are shared where they are."""
        await self._rights.check(actor, Action.MINE)
        return await self._database.read(
            partial(rows.sets_for, user_id=actor.user_id, guild_id=actor.guild_id)
        )

    async def create(self, actor: Actor, name: str) -> ExampleSet:
        """Make an empty set. Raises UserError for a name that isn't taken, or too many sets."""
        await self._rights.check(actor, Action.ASK)
        wanted = name_of(name, "A set", needed=True)
        await self._check_words(actor, [wanted], "made")
        work = partial(rows.add_set, user_id=actor.user_id, name=wanted, most=MAX_SETS, now=datetime.now(UTC))
        try:
            made = await self._database.write(work)
        except IntegrityError as error:
            raise UserError(f"You have a set called {wanted} already.") from error
        if made is None:
            raise UserError(f"You have {MAX_SETS} sets, which is the limit. Forget one first.")
        return made

    async def find(self, actor: Actor, name: str, action: Action = Action.SHOW) -> ExampleSet:
        """Return the set that somebody means by its name or id: their own one before others'.

        Raises UserError where there is none, or several, NotAllowedError unless they may do ``action`` to it.
        """
        wanted = " ".join(name.split())
        sets = await self.all(actor)
        found = [one for one in sets if one.id == wanted.lower()]
        for alike in (lambda one: one.name == wanted, lambda one: one.name.casefold() == wanted.casefold()):
            own = [one for one in sets if one.user_id == actor.user_id and alike(one)]
            found = found or own[:1] or [one for one in sets if alike(one)]
        if not found:
            raise UserError("There is no such set. `/examples new` makes one, and the list offers yours.")
        if len(found) > 1:
            raise UserError("Several shared sets have that name. Choose yours from the list.")
        await self._rights.check_to(actor, action, _belonging(found[0]), NOT_YOURS)
        return found[0]

    async def contents(self, actor: Actor, name: str) -> Contents:
        """Return what is in a set. Raises as ``find`` does."""
        found = await self.find(actor, name)
        seen = await self._lessons.seen(found, actor)
        return Contents(found, tuple(seen), found.user_id == actor.user_id)

    # To put something in

    async def add(
        self,
        actor: Actor,
        name: str,
        label: str,
        pictures: Sequence[Given],
        question: str = "",
        *,
        make: bool = False,
    ) -> Contents:
        """Add pictures under a label, or, with a question, one question about all of them and its answer.

        pictures: files, names of ours, or SHA-256 of what the actor has sent. A picture that the set has
        already moves to the new label. make: make a set that isn't there. Raises UserError for what isn't
        taken, ImageError for a picture, NotAllowedError for another's set.
        """
        await self._rights.check(actor, Action.ASK)
        found = None
        if not make or await self._is_mine(actor, name):
            found = await self.find(actor, name, Action.ORGANISE)
        label, question = checked_label(label, long=bool(question.strip())), question.strip()
        if not pictures:
            raise ImageError("There is no picture. Attach one to five, or link to one made here.")
        await self._check_words(actor, [label, question], "added")
        sources = [await self._sources.meant(actor, picture) for picture in pictures]
        named = {source.sha256: source.job.id if source.job else None for source in sources}
        if await self._moderator.unfit(tuple(named), actor.place) is not None:
            raise UserError(RULE.format(what="one of these pictures", done="added"))
        shown = tuple(named.items())
        new = [Example(label, question, shown)] if question else [Example(label, "", (one,)) for one in shown]
        found = found or await self.create(actor, name)  # not before all else is right
        await self._put(found, new)
        await self._queue.people.set_user_flag(actor.user_id, _LAST, found.id)
        return await self.contents(actor, found.id)

    async def last(self, actor: Actor) -> str:
        """Return the name of the actor's set into which something came last, "" when there is none."""
        last = await self._queue.people.user_flag(actor.user_id, _LAST)
        return next((one.name for one in await self.all(actor) if one.id == last), "")

    async def _is_mine(self, actor: Actor, name: str) -> bool:
        wanted = " ".join(name.split()).casefold()
        mine = [one for one in await self.all(actor) if one.user_id == actor.user_id]
        return any(wanted in (one.id, one.name.casefold()) for one in mine)

    async def _put(self, found: ExampleSet, new: Sequence[Example]) -> None:
        """Write examples in place of those that say something else of the same. Raises UserError where there
        is no room."""

        def work(connection: sa.Connection) -> None:
            old = rows.list_examples(connection, found.id)
            gone = [one.id for one in old if any(_says_of_the_same(one, other) for other in new)]
            rows.remove_examples(connection, gone)
            kept = [one for one in old if one.id not in gone]
            _check_room(kept, new)
            rows.add_examples(connection, found.id, new, now=datetime.now(UTC))

        await self._database.write(work)

    async def teach(self, actor: Actor, job_id: str, answer: str) -> ExampleSet:
        """Keep the right answer to an answered question, in the set of its conversation and person, which is
        made with the first; later answers of that conversation to this person are told it.

        Raises UserError for words that aren't taken, ImageError where there is no such answer,
        NotAllowedError unless the actor may ask more there.
        """
        await self._rights.check(actor, Action.ASK)
        result = await self._rights.result(actor, job_id, Action.ASK_MORE)
        request = result.job.request
        if not isinstance(request, AskRequest):
            raise ImageError(f"Job `{job_id}` isn't an answer; it is “{job_name(request)}”.")
        label = checked_label(answer, long=True)
        await self._check_words(actor, [label], "taught")
        chain = await self._lessons.chain(actor, result.job)
        shown = next((one for one in (result.job, *chain) if _images(one)), result.job)
        pictures = tuple((sha256, shown.id) for sha256 in _images(shown))
        new = Example(label, request.question, pictures, result.job.id)
        found = await self._taught(actor, (chain or [result.job])[-1].id)
        await self._put(found, [new])
        return found

    async def _taught(self, actor: Actor, first: str) -> ExampleSet:
        """Return the actor's set of the conversation that begins with a job; it is made if there is none."""

        def work(connection: sa.Connection) -> ExampleSet | None:
            for one in rows.taught_in(connection, [first]):
                if one.user_id == actor.user_id:
                    return one
            name, now = f"taught {first}", datetime.now(UTC)
            return rows.add_set(connection, actor.user_id, name, most=MAX_SETS, now=now, conversation=first)

        if (made := await self._database.write(work)) is None:
            raise UserError(f"You have {MAX_SETS} sets, which is the limit. Forget one first.")
        return made

    # To use it

    async def try_on(self, actor: Actor, name: str, picture: Given, question: str = "") -> NewJob:
        """Return the job that says which label of a set fits a picture; of a set of answers, the question
        that a model answers as they do.

        question: for a set of answers, "" = its last one. Raises UserError for a set with too little in it.
        """
        await self._rights.check(actor, Action.ASK)
        contents = await self.contents(actor, name)
        await self._rights.check_to(actor, Action.USE, _belonging(contents.set), NOT_YOURS)
        if not contents.examples:
            raise UserError("That set is empty. `/examples add` puts pictures into it.")
        if not contents.answers and len(contents.labels) < 2:
            raise UserError("That set has one label; a set needs at least two.")
        if contents.answers and not self._asks:
            raise UserError(
                "That set has questions, but no model here answers them. The operator can set ASK_MODEL."
            )
        source = await self._sources.meant(actor, picture)
        request: AskRequest | TryRequest
        if contents.answers:
            asked = question.strip() or contents.examples[-1].question
            request = AskRequest(question=asked, images=(source.sha256,), examples=contents.set.id)
        else:
            request = TryRequest(set_id=contents.set.id, image=source.sha256, name=contents.set.name)
        return NewJob(request, parent=source.parent, private=source.private)

    # To give it away, or take it back

    async def share(self, actor: Actor, name: str, *, shared: bool) -> ExampleSet:
        """Let members of the server where the actor is use a set there, or nobody any more.

        Raises UserError outside of a server, or where its rules don't allow what is in it.
        """
        found = await self.find(actor, name, Action.SHARE)
        if shared and actor.guild_id is None:
            raise UserError("A set is shared with a server. Use the command there.")
        if shared:
            seen = await self._lessons.seen(found, actor)
            named_by_us = _TAUGHT.fullmatch(found.name) is not None  # letters of an id make words by chance
            words = [] if named_by_us else [found.name]
            words += [text for one in seen for text in (one.label, one.question)]
            await self._check_words(actor, words, "shared")
            named = tuple(dict.fromkeys(sha256 for one in seen for sha256, _ in one.pictures))
            if await self._moderator.unfit(named, actor.place) is not None:
                raise UserError(RULE.format(what="one of its pictures", done="shared"))
        guild_id = actor.guild_id if shared else None
        await self._database.write(partial(rows.share_set, set_id=found.id, guild_id=guild_id))
        return replace(found, guild_id=guild_id)

    async def forget(
        self,
        actor: Actor,
        name: str,
        label: str | None = None,
        number: int | None = None,
        example_id: int | None = None,
    ) -> int:
        """Delete a set, the examples of one label, or the one with a number (from 1, as it is shown) or an
        id; return how many examples that were. Raises UserError where there is nothing to delete."""
        found = await self.find(actor, name, Action.DELETE)
        have = await self._lessons.seen(found, actor)
        gone = have
        if example_id is not None:
            gone = [one for one in have if one.id == example_id]
        elif number is not None:
            gone = have[number - 1 : number] if number > 0 else []
        elif label is not None:
            gone = [one for one in have if one.label.casefold() == " ".join(label.split()).casefold()]
        some = any(given is not None for given in (label, number, example_id))
        if some and not gone:
            raise UserError("That set has no such example. `/examples show` lists what is in it.")
        if not some:
            await self._privacy.delete_examples(partial(rows.remove_set, set_id=found.id))
        else:
            ids = [one.id for one in gone]
            await self._privacy.delete_examples(partial(rows.remove_examples, ids=ids))
        return len(gone)

    async def _check_words(self, actor: Actor, words: Sequence[str], done: str) -> None:
        if None in await self._moderator.captions([text for text in words if text], actor.place):
            raise UserError(RULE.format(what="these words", done=done))


def checked_label(text: str, *, long: bool = False) -> str:
    """Return a label as it is kept; ``long``: the answer to a question. Raises UserError."""
    label = text.strip() if long else " ".join(text.split())
    most = MAX_QUESTION if long else MAX_LABEL
    if not label or len(label) > most:
        what = "The right answer" if long else "A label"
        raise UserError(f"{what} takes 1 to {most:,} characters; this one has {len(label):,}.")
    return label


def _belonging(found: ExampleSet) -> Belonging:
    return Belonging(found.user_id, found.guild_id)


def _images(job: object) -> tuple[str, ...]:
    request = getattr(job, "request", None)
    return request.images if isinstance(request, AskRequest) else ()


def _says_of_the_same(old: Example, new: Example) -> bool:
    if new.job_id is not None:
        return old.job_id == new.job_id
    return old.question == new.question and set(dict(old.pictures)) == set(dict(new.pictures))


def _check_room(old: Sequence[Example], new: Sequence[Example]) -> None:
    """Raise UserError unless ``new`` examples fit beside the ``old`` ones."""
    answers = bool(new[0].question)
    if any(bool(one.question) != answers for one in old):
        raise UserError(MIXED.format(has=HAS[not answers], gets=HAS[answers]))
    counts = Counter(one.label for one in (*old, *new))
    if answers:
        if counts.total() > MAX_TURNS:
            raise UserError(f"A set takes {MAX_TURNS} questions; this one would have {counts.total()}.")
        return
    if len(counts) > MAX_SET_LABELS:
        raise UserError(f"A set takes {MAX_SET_LABELS} labels; this would be number {len(counts)}.")
    label, count = counts.most_common(1)[0]
    if count > MAX_SHOTS:
        raise UserError(f"A label takes {MAX_SHOTS} pictures; {label} would have {count}.")


PAGE = 12  # pictures of a sheet
COVERS = 4  # pictures that stand for a set
SHOWN_TRIES = 8  # newest ones of somebody of a set
ROOM = 400  # bytes of a ZIP file around one picture
LEFT_OUT = "left out"  # instead of a picture that may not be shown where it is asked for, or is gone


@dataclass(frozen=True)
class Summary:
    """A set in a list. examples: how many it has. labels: of them, none for a set of questions. covers: ids
    of a few examples that have a picture."""

    set: ExampleSet
    examples: int
    labels: int
    covers: tuple[int, ...]


class Copies:
    """Shows what may be shown where somebody asks; the rest is left out."""

    def __init__(self, sets: Sets, services: Services, lessons: Lessons) -> None:
        self._sets, self._moderator, self._showing = sets, services.moderator, services.showing
        self._files: Files = services.files
        self._intake: Intake = services.intake
        self._database, self._queue, self._lessons = services.database, services.queue, lessons

    async def mine(self, actor: Actor) -> list[Summary]:
        """Return the actor's own sets, by name."""
        own = [one for one in await self._sets.all(actor) if one.user_id == actor.user_id]
        summaries = []
        for found in own:
            examples = await self._lessons.seen(found, actor)
            labels = {one.label for one in examples if not one.question}
            by_label = [next(one for one in examples if one.label == label) for label in sorted(labels)]
            shown = [one.id for one in dict.fromkeys((*by_label, *examples)) if one.pictures]
            summaries.append(Summary(found, len(examples), len(labels), tuple(shown[:COVERS])))
        return summaries

    async def small(self, actor: Actor, name: str, example_id: int) -> bytes:
        """Return the first picture of an example as WebP of at most 256 px.

        Raises ImageError where there is none, or it may not be shown where the actor is, UserError for a set
        that isn't there, NotAllowedError, StorageError when its file is gone.
        """
        found = await self._sets.find(actor, name)
        work = partial(rows.one_example, set_id=found.id, example_id=example_id)
        example = await self._database.read(work)
        seen = await self._lessons.shown(found, [example], actor) if example else []
        if not seen or not seen[0].pictures:
            raise ImageError("That set has no such picture.")
        [sha256, _] = seen[0].pictures[0]
        if await self._moderator.unfit((sha256,), actor.place) is not None:
            raise ImageError("A rule here hides that picture.")
        return await self._showing.small(sha256)

    async def tries(self, actor: Actor, name: str) -> list[tuple[Job, Result | None]]:
        """Return by which jobs the actor tried a set of labels, the newest first, and what they found, None
        where that is nothing (yet). Raises UserError for a set that isn't there, NotAllowedError."""
        found = await self._sets.find(actor, name)
        work = partial(rows.list_tries, user_id=actor.user_id, set_id=found.id, limit=SHOWN_TRIES)
        return [(job, await self._queue.result(job.id)) for job in await self._database.read(work)]

    async def sheet(self, actor: Actor, contents: Contents, page: int) -> bytes | None:
        """Return a page (from 0) of a set's examples as a WebP, each by its first picture and its number;
        None where there are none."""
        first = page * PAGE
        shown = contents.examples[first : first + PAGE]
        if not shown:
            return None
        cells = [await self._cell(actor, next(iter(one.pictures), None)) for one in shown]
        return await self._intake.sheet(cells, range(first + 1, first + 1 + len(cells)))

    async def _cell(self, actor: Actor, picture: tuple[str, str | None] | None) -> bytes:
        if picture is None or await self._moderator.unfit((picture[0],), actor.place) is not None:
            return b""
        try:
            return await self._showing.small(picture[0])
        except (ImageError, StorageError):
            return b""

    async def pack(self, actor: Actor, name: str, limit: int) -> AsyncIterator[bytes]:
        """Yield ZIP files of at most about ``limit`` bytes: labels and questions as JSON, then the pictures.

        Raises UserError for a set that isn't there, NotAllowedError.
        """
        contents = await self._sets.contents(actor, name)
        names = _names(contents)
        unfit = {
            sha256 for sha256 in names if await self._moderator.unfit((sha256,), actor.place) is not None
        }
        told = json.dumps(_told(contents, names, unfit), ensure_ascii=False, indent=1).encode()
        archive, now = Archive(), datetime.now(UTC)
        packed = bytearray(archive.add("examples.json", told, now))
        for sha256, called in names.items():
            try:
                data = b"" if sha256 in unfit else await self._files.get(sha256)
            except StorageError:
                continue
            if not data or len(data) + ROOM > limit:
                continue
            if len(packed) + len(data) + ROOM > limit:
                yield bytes(packed + archive.end())
                archive, packed = Archive(), bytearray()
            packed += await asyncio.to_thread(archive.add, called, data, now)
        yield bytes(packed + archive.end())


def _names(contents: Contents) -> dict[str, str]:
    """Return what each picture's file is called, by its SHA-256."""
    folders = {label: number for number, label in enumerate(contents.labels, 1)}
    found = dict[str, str]()
    for example in contents.examples:
        plain = "".join(c if c.isalnum() else " " for c in example.label)[:40]
        folder = " ".join(f"{folders[example.label]:02} {plain}".split())
        for sha256, _ in example.pictures:
            found.setdefault(sha256, f"pictures/{folder}/{len(found) + 1:04}.png")
    return found


def _told(contents: Contents, names: dict[str, str], unfit: set[str]) -> dict[str, Any]:
    def one(pictures: Sequence[tuple[str, str | None]]) -> list[str]:
        return [LEFT_OUT if sha256 in unfit else names[sha256] for sha256, _ in pictures]

    return {
        "name": contents.set.name,
        "examples": [
            {
                "label": example.label,
                **({"question": example.question} if example.question else {}),
                "pictures": one(example.pictures),
            }
            for example in contents.examples
        ],
    }
