"""From what a sentence was taken for to ordinary jobs, which others than this module admit and order: with a
person's settings, the rights that each button asks for, and a question where more is asked for than one
sentence should."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from core.convert import Preferences
from core.errors import ImageError, UserError
from core.limits import MAX_LABEL, MAX_PROMPT
from core.prompt.parser import BY_NAME, Prompt, format_prompt
from core.requests import (
    AskRequest,
    CutOutRequest,
    EditRequest,
    ImagineRequest,
    OutpaintRequest,
    Request,
    UpscaleRequest,
)
from core.requests.video import VideoRequest
from core.talk import MAX_PICTURES, NEEDS_PICTURE, Decision, Kind
from storage import turns as rows
from storage.members import Members
from storage.turns import StoredTurn
from studio.authority import Action, Actor
from studio.inputs import Sources
from studio.new_job import NewJob, PromptWithPictures, Source, direction_sides
from studio.requests import actions
from studio.requests.prompts import Requests, attached
from studio.requests.video import Asked, Material
from studio.rights import Rights
from studio.services import Services
from studio.talk.history import Numbered, Standing
from studio.talk.words import is_english
from studio.texts import counted, duration

MOST_WAITING = 4  # turns of one person that wait for a picture

REQUESTS: Mapping[Kind, type[Request]] = {
    "draw": ImagineRequest,
    "change": EditRequest,
    "again": ImagineRequest,
    "video": VideoRequest,
    "upscale": UpscaleRequest,
    "cutout": CutOutRequest,
    "extend": OutpaintRequest,
    "ask": AskRequest,
}  # of whose last ones the time of a step is told

NOT_UNDERSTOOD = "I'm not sure what you mean. Say what to draw, or what to change in the picture."
ONLY_ENGLISH = "Without a chat model I understand English only."
WELCOME = "You're welcome. Say what to draw or to change next."
WHICH = "What do you mean?"
COMMAND = "That can't be done by talking. Use `{}`."
FOUND = "Your pictures are in the search: `/search {}`."
TOO_MANY = f"{MOST_WAITING} changes wait for their picture already. Say this again when one is done."
NOT_HERE = "That picture isn't in this conversation any more."


_NUMBERS = re.compile(
    r"(\b(?:of|from|in|with|picture|pic|image|number|photo|no\.?) +#?|#)([1-9]\d?)\b", re.IGNORECASE
)


class Press(Protocol):
    """``Studio.from_button``."""

    async def __call__(
        self, actor: Actor, job_id: str, action: str, index: int, words: PromptWithPictures | None = None
    ) -> NewJob: ...


@dataclass(frozen=True)
class Plan:
    """What is to be done: a decision, with the jobs that it takes, a sentence in their place, or the turn
    that has to be done before."""

    decision: Decision
    news: tuple[NewJob, ...] = ()
    reply: str = ""
    waits_for: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether a job is to be queued for it, now or later."""
        return bool(self.news) or self.waits_for is not None


class Plans:
    """Makes plans of decisions; what is wrong, such as an ImageError, is the plan's ``reply``. press, check:
    the studio's ways from a button to a job, and to whether that can be done here."""

    def __init__(
        self,
        rights: Rights,
        services: Services,
        sources: Sources,
        requests: Requests,
        press: Press,
        check: Callable[[NewJob], None],
    ) -> None:
        self._rights, self._sources, self._requests = rights, sources, requests
        self._database, self._queue = services.database, services.queue
        self._members = Members(services.database)
        self._press, self._check = press, check
        settings = services.settings
        self._only_english = settings.talk != "model" or not settings.has_chat_model
        self._pictures = settings.talk_pictures  # of a change
        self._jobs, self._seconds = settings.talk_confirm_jobs, settings.talk_confirm_seconds

    async def plans(
        self,
        actor: Actor,
        decision: Decision,
        standing: Standing,
        *,
        confirmed: bool = False,
        said: str = "",
    ) -> list[Plan]:
        """Return what a decision takes: one plan, or one for each of several jobs. said, confirmed: as of
        ``plan``."""
        plan = await self.plan(actor, decision, standing, confirmed=confirmed, said=said)
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

    async def plan(
        self,
        actor: Actor,
        decision: Decision,
        standing: Standing,
        *,
        confirmed: bool = False,
        said: str = "",
    ) -> Plan:
        """Return what a decision takes. confirmed: that it takes much is meant. said: the sentence, for what
        is asked back."""
        match decision.kind:
            case "talk":
                last = standing.last
                thanked = last is not None and last.kind == "talk" and last.reply in ("", WELCOME)
                return Plan(decision, reply="" if thanked else WELCOME)
            case "find":
                return Plan(decision, reply=FOUND.format(decision.words))
            case "unclear":
                if decision.command:
                    return Plan(decision, reply=COMMAND.format(decision.command))
                if len(decision.offers) == 1 and len(decision.offers[0]) > 1:
                    asked = [REQUESTS[step.kind].kind for step in decision.offers[0] if step.kind in REQUESTS]
                    known = [self._queue.usual_seconds(kind) for kind in asked]
                    return Plan(decision, reply=self.cost(len(decision.offers[0]), known))
                reply = WHICH if decision.offers else NOT_UNDERSTOOD
                foreign = self._only_english and said and not is_english(said)
                return Plan(decision, reply=f"{reply} {ONLY_ENGLISH}" if foreign else reply)
        try:
            targets = [standing.pictures[number] for number in decision.about if number in standing.pictures]
            if decision.kind in NEEDS_PICTURE and (not targets or len(targets) < len(decision.about)):
                raise ImageError(NOT_HERE)
            if decision.kind in ("back", "pick"):
                one = targets[0]
                if one.job_id is not None:
                    await self._rights.job(actor, one.job_id, Action.SHOW)
                if decision.index is not None and decision.index > one.count:
                    raise ImageError(f"Picture {one.number} has {counted(one.count, 'picture')}.")
                return Plan(decision)
            if (first := self._first(decision, standing, targets)) is not None:
                waiting = await self._database.read(partial(rows.count_open, user_id=actor.user_id))
                if waiting >= MOST_WAITING and not confirmed:
                    return Plan(decision, reply=TOO_MANY)
                return Plan(decision, waits_for=first)
            news = tuple(await self._news(actor, decision, targets, standing))
            for new in news:
                self._check(new)
        except UserError as error:
            return Plan(decision, reply=str(error))
        return Plan(decision, news) if confirmed else self._confirmed(decision, news)

    def _first(self, decision: Decision, standing: Standing, targets: Sequence[Numbered]) -> str | None:
        """Return the turn that has to be done before, None where all is there."""
        last = standing.last
        if decision.kind == "ask" and last is not None and _asked(last, decision):
            if not last.is_ready and not last.is_lost:
                return last.id
        late = [one.turn for one in targets if not one.is_ready]
        return max(late, key=lambda turn: turn.seq).id if late else None

    def _confirmed(self, decision: Decision, news: tuple[NewJob, ...]) -> Plan:
        """Return the plan, or a question whether so much is meant."""
        known = [self._queue.seconds(new.request) for new in news]
        if len(news) <= self._jobs and sum(filter(None, known)) <= self._seconds:
            return Plan(decision, news)
        asked = Decision(kind="unclear", by=decision.by, about=decision.about, offers=((decision,),))
        return Plan(asked, reply=self.cost(len(news), known))

    @staticmethod
    def cost(count: int, known: Iterable[float | None]) -> str:
        """Return the question whether so many jobs are meant. known: seconds of each, None = not known."""
        seconds = sum(filter(None, known))
        about = f", about {duration(seconds)}" if seconds else ""
        return f"That is {counted(count, 'job')}{about}. Do you mean that?"

    # From plans to jobs

    async def _news(
        self, actor: Actor, decision: Decision, targets: Sequence[Numbered], standing: Standing
    ) -> list[NewJob]:
        """Return the jobs of a decision. Raises UserError, which says what is wrong."""
        chosen = await self._members.preferences(actor.user_id)
        if decision.kind == "draw":
            names = [one.name(decision.index) for one in targets]
            closely = " --think" if decision.closely and "think" in BY_NAME else ""
            words = f"{decision.words}{closely}"
            typed = await self._requests.imagine(actor, words, chosen, attached=len(names))
            if any(prompt.sheet for prompt in typed.prompts):
                raise UserError("A conversation is about a few pictures. For a sheet use `/imagine`.")
            return await typed.jobs(attached(names))
        if decision.kind == "ask":
            new = await self._question(actor, decision, targets, standing, chosen)
        elif decision.kind == "change":
            first, *others = targets
            sources = [await self._source(actor, first, decision.index, Action.VARY)]
            sources += [await self._source(actor, one, None, Action.USE) for one in others]
            changes = [with_places(words, decision.about) for words in decision.changes]
            new = await self.changed(actor, sources, changes)
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
        names = [name for one in targets for name in one.names(decision.index)]
        return await ask(names[:MAX_PICTURES])

    async def changed(self, actor: Actor, sources: Sequence[Source], changes: Sequence[str]) -> NewJob:
        """Return the edit of the first of some pictures, which the actor may change, by one instruction after
        another that may name the others. Raises UserError for words that aren't taken."""
        chosen = await self._members.preferences(actor.user_id)
        first, *others = sources
        words, *then = changes
        typed = await self._requests.edit(actor, words, chosen, job=first.job)

        async def build(source: Source, found: PromptWithPictures | None) -> NewJob:
            return actions.edit_picture(source, found)

        new = await typed.job(first, build)
        assert isinstance(new.request, EditRequest)
        more = [(await self._requests.read_prompt(actor, text)).text for text in then]
        images = tuple(source.sha256 for source in others)
        request = replace(new.request, then=tuple(more), images=images, num_images=self._pictures)
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
            if one.is_whole and (index is None or one.count == 1):
                assert one.job_id is not None
                return await self._press(actor, one.job_id, "again", 0)
            source = await self._source(actor, one, index, Action.VARY)
            words = None if source.request else PromptWithPictures(Prompt(), {})
            return actions.variation(source, "strong", words)
        if kind == "video":
            source = await self._source(actor, one, index, Action.ANIMATE)
            own = source.request.prompt if source.request else ""
            text = ", ".join(filter(None, (own, decision.words)))[:MAX_PROMPT]
            asked, material = Asked(text, "new", {"motion": decision.motion}), Material(one.name(index))
            new = await (await self._requests.video(actor, asked, material, chosen)).job()
            return replace(new, parent=source.parent, private=new.private or source.private)
        if kind == "upscale":
            source = await self._source(actor, one, index, Action.UPSCALE)
            new = actions.upscale(source, decision.factor, "subtle")
        elif kind == "cutout":
            source = await self._source(actor, one, index, Action.CUT_OUT)
            new = actions.cut_out(source, decision.thing[:MAX_LABEL])
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
        return await self._sources.of_job(actor, job, one.position(index), action)


def with_places(words: str, about: Sequence[int]) -> str:
    """Return an instruction whose numbers are those of its own pictures, from 1, in place of those of the
    conversation: "the cat of 7" is of 2 where it is about 3 and 7."""
    places = {str(number): str(place) for place, number in enumerate(about, 1)}
    return (
        _NUMBERS.sub(lambda found: found[1] + places.get(found[2], found[2]), words) if about[1:] else words
    )


def _asked(last: StoredTurn, decision: Decision) -> bool:
    """Whether a question goes on from the one before it."""
    return last.kind == "ask" and last.job_id is not None and last.decision.about == decision.about
