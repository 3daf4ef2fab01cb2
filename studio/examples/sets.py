"""Sets of examples: labelled pictures, or questions with their right answers, made, shown, shared, given away
and forgotten."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import ImageError, UserError
from core.job import ID_LENGTH
from core.limits import MAX_LABEL, MAX_QUESTION, MAX_SET_LABELS, MAX_SETS, MAX_SHOTS, MAX_TURNS
from core.names import name_of
from core.requests import AskRequest, TryRequest
from storage.asking import examples as rows
from storage.asking.examples import Example, ExampleSet
from studio.actor import Actor
from studio.asking.new_job import NewJob
from studio.asking.sources import Given, Sources
from studio.authority import Action, Belonging
from studio.examples.lessons import Lessons
from studio.rights import Rights
from studio.services import Services

# The name of a set that a conversation was taught in
_TAUGHT = re.compile(rf"taught [a-z2-9]{{{ID_LENGTH}}}")
_LAST = "last_set"  # flag of a person
NOT_YOURS = "Only the owner of that set can do this."
RULE = "A rule of this place doesn't allow {what}. Nothing was {done}."
MIXED = "That set has {has}; {gets} go into a set of their own."
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
            raise UserError("Several shared sets are called so. Choose yours from the list.")
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
        label, question = label_of(label, long=bool(question.strip())), question.strip()
        if not pictures:
            raise ImageError("There is no picture. Attach one to five, or name one of ours by a link.")
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
            old = rows.of_set(connection, found.id)
            gone = [one.id for one in old if any(_says_of_the_same(one, other) for other in new)]
            rows.remove(connection, gone)
            kept = [one for one in old if one.id not in gone]
            _check_room(kept, new)
            rows.add(connection, found.id, new, now=datetime.now(UTC))

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
            raise ImageError(f"Job `{job_id}` is no answer: it was a /{request.kind}.")
        label = label_of(answer, long=True)
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
            raise UserError("That set has one label; it takes at least two to choose from.")
        if contents.answers and not self._asks:
            raise UserError("That set has questions, and nobody answers any here: the host sets ASK_MODEL.")
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
            raise UserError("A set is shared with a server; say it there.")
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
        await self._database.write(partial(rows.share, set_id=found.id, guild_id=guild_id))
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
            await self._privacy.delete_examples(partial(rows.remove, ids=ids))
        return len(gone)

    async def _check_words(self, actor: Actor, words: Sequence[str], done: str) -> None:
        if None in await self._moderator.captions([text for text in words if text], actor.place):
            raise UserError(RULE.format(what="these words", done=done))


def label_of(text: str, *, long: bool = False) -> str:
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
