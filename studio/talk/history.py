"""Where somebody is in a conversation: what they are shown, what undo and redo lead to, and what a decider is
told of it. It follows from the turns up to the root, so nothing of it is kept. And a turn as somebody sees
it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.job import Job
from core.requests import VideoRequest
from core.talk import MAX_PICTURES, MAX_STATE, NEEDS_PICTURE, By, Decision, Kind, Picture, State
from storage.turns import Sent, StoredTurn
from studio.authority import Actor
from studio.new_job import NewJob

_STYLE = re.compile(r"\bstyle of (?:the )?(?:(?:picture|number|no\.?|image) |#)?([1-9]\d?)\b", re.IGNORECASE)
GRIDS: tuple[Kind, ...] = ("draw", "again")  # kinds that make four where nothing says otherwise
MADE_OF_STILLS: tuple[Kind, ...] = ("change", "upscale", "cutout", "extend", "video", "ask")


@dataclass(frozen=True)
class Numbered:
    """A picture, video or grid of a conversation. turn: that makes it or brought it. sent: as it came."""

    number: int
    turn: StoredTurn
    sent: Sent | None = None

    @property
    def job_id(self) -> str | None:
        """The job whose it is, None of one that isn't queued yet, and of what somebody sent."""
        return self.sent.job_id if self.sent else self.turn.job_id

    @property
    def is_ready(self) -> bool:
        """Whether it is there."""
        return self.sent is not None or self.turn.is_ready

    @property
    def is_video(self) -> bool:
        """Whether it moves."""
        made = self.turn.job_kind == VideoRequest.kind or self.turn.kind == "video"
        return self.sent is None and made

    @property
    def count(self) -> int:
        """How many pictures it has, as far as that is known."""
        if self.sent is not None:
            return self.sent.made
        return self.turn.made or (4 if self.turn.kind in GRIDS else 1)

    @property
    def is_whole(self) -> bool:
        """Whether it is all that its job made, not one picture of it or an upload."""
        return self.sent is None or (self.sent.job_id is not None and self.sent.position is None)

    def position(self, index: int | None) -> int:
        """Return which picture (from 0) of its job is meant. index: from 1, None = the first."""
        if self.sent is not None and self.sent.position is not None:
            return self.sent.position
        return (index or 1) - 1

    def is_of(self, job_id: str | None, sha256: str) -> bool:
        """Return whether it is a job's, or (None) what somebody has sent."""
        return self.job_id == job_id if job_id else self.sent is not None and self.sent.sha256 == sha256

    def name(self, index: int | None) -> str:
        """Return what ``Sources.meant`` knows a picture of it by."""
        if self.sent is not None and self.job_id is None:
            return self.sent.sha256
        return f"{self.job_id} {self.position(index) + 1}"

    def names(self, index: int | None) -> list[str]:
        """Return the same of all its pictures where it came as a whole and none of them is chosen."""
        whole = self.sent is not None and self.is_whole and index is None
        return [self.name(one + 1) for one in range(self.count)] if whole else [self.name(index)]

    @property
    def before(self) -> int | None:
        """The number of what it was made from."""
        about = self.turn.decision.about if self.sent is None and self.turn.kind != "draw" else ()
        return about[0] if about else None


Step = tuple[int, int | None]  # the number that is shown, and which of its pictures (from 1), None = all


@dataclass(frozen=True)
class Standing:
    """path: the turns from the root on. pictures: by number, all that the person may see. steps: what was
    shown one after another, without what a branch has left behind; at: which of them is shown now, -1 =
    nothing."""

    path: tuple[StoredTurn, ...] = ()
    pictures: Mapping[int, Numbered] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    at: int = -1

    @classmethod
    def of(cls, path: Sequence[StoredTurn], making: Iterable[StoredTurn]) -> Standing:
        """Return where a path ends. making: turns of the conversation with pictures that may be seen."""
        pictures = dict[int, Numbered]()
        for turn in making:
            pictures |= {one.number: Numbered(one.number, turn, one) for one in turn.sent}
            if turn.number is not None and not turn.is_lost:
                pictures[turn.number] = Numbered(turn.number, turn)
        found = cls(tuple(path), dict(sorted(pictures.items())))
        for turn in path:
            found = found.after(turn)
        return found

    def after(self, turn: StoredTurn) -> Standing:
        """Return where a turn leads."""
        decision, found = turn.decision, self
        if turn.sent:
            found = found.showing(turn.sent[0].number, None)
        if turn.kind in ("back", "pick") and decision.about and not turn.reply:
            return found.moved(decision)
        return found.showing(turn.number, None) if turn.number is not None else found

    def moved(self, decision: Decision) -> Standing:
        """Return where going back, undo, redo or a choice leads."""
        number = decision.about[0]
        if decision.steps:
            behind, wanted = decision.steps < 0, (number, decision.index)
            there = range(self.at - 1, -1, -1) if behind else range(self.at + 1, len(self.steps))
            likely = (at for at in (self.at + decision.steps, *there) if at in there)
            same = next((at for at in likely if self.steps[at] == wanted), None)
            if same is not None:
                return replace(self, at=same)
        return self.showing(number, decision.index)

    def showing(self, number: int, index: int | None) -> Standing:
        """Return the same with one more step, if that is there."""
        if number not in self.pictures:
            return self
        steps = (*self.steps[: self.at + 1], (number, index))
        return replace(self, steps=steps, at=len(steps) - 1)

    @property
    def last(self) -> StoredTurn | None:
        """The turn that it is."""
        return self.path[-1] if self.path else None

    @property
    def shown(self) -> Step | None:
        """What is shown."""
        return self.steps[self.at] if self.at >= 0 else None

    def step(self, count: int) -> Step | None:
        """Return what so many steps lead to, -1 = what was shown before; None where there is nothing."""
        at = self.at + count
        return self.steps[at] if 0 <= at < len(self.steps) else None

    def chosen(self, number: int) -> int | None:
        """Return which picture of a grid (from 1) was chosen last."""
        return next((index for one, index in reversed(self.steps[: self.at + 1]) if one == number), None)

    def still(self, number: int, kind: Kind) -> int:
        """Return the number of the picture that something is done to: of a video, what it was made from."""
        seen = set[int]()
        while kind in MADE_OF_STILLS and number not in seen and number in self.pictures:
            seen.add(number)
            one = self.pictures[number]
            if not one.is_video or one.before is None:
                break
            number = one.before
        return number

    def resolved(self, decision: Decision, sent: Sequence[int] = ()) -> Decision:
        """Return a decision that names its pictures, and which of a grid: those that were sent, or what is
        shown."""
        about = decision.about
        if not about and decision.kind in NEEDS_PICTURE:
            about = tuple(sent) or ((self.shown[0],) if self.shown else ())
        elif not about and decision.kind in ("draw", "ask"):
            about = tuple(sent)
        if about and decision.kind == "change":  # "in the style of 2"
            named = (int(number) for words in decision.changes for number in _STYLE.findall(words))
            about = (*about, *(number for number in named if number in self.pictures))
        about = tuple(dict.fromkeys(self.still(number, decision.kind) for number in about))[:MAX_PICTURES]
        index, to = decision.index, self.step(decision.steps) if decision.steps else None
        if index is None and about and decision.kind != "pick":
            index = to[1] if to is not None and to[0] == about[0] else self.chosen(about[0])
        return replace(decision, about=about, index=index)

    def making(self, turn: StoredTurn) -> Standing:
        """Return the same with the picture that a turn makes."""
        made = {} if turn.number is None else {turn.number: Numbered(turn.number, turn)}
        return replace(self, pictures=dict(self.pictures) | made)

    def with_sent(self, turn: StoredTurn) -> Standing:
        """Return the same with the pictures that come with a turn, the first of which is what it is about."""
        came = {one.number: Numbered(one.number, turn, one) for one in turn.sent}
        return replace(self, pictures=dict(self.pictures) | came)

    def state(self, user_id: int, sent: Sequence[int] = ()) -> State:
        """Return what a decider is told: of others nothing but numbers and kinds. sent: that come now."""
        shown, undo, redo = (one[0] if one else None for one in (self.shown, self.step(-1), self.step(1)))
        first = next(iter(self.pictures), None)
        wanted = dict.fromkeys(n for n in (shown, undo, redo, first, *sent) if n is not None)
        wanted |= dict.fromkeys(sorted(self.pictures, reverse=True))
        kept = sorted([number for number in wanted if number in self.pictures][:MAX_STATE])
        known = frozenset(kept)
        pictures = tuple(self._told(self.pictures[number], user_id, known) for number in kept)
        last = self.last
        seen = None if shown is None else self.still(shown, "ask")
        asked = last is not None and last.kind == "ask" and last.decision.about[:1] == (seen,)
        return State(
            pictures=pictures,
            shown=shown,
            undo=undo if undo in known else None,
            redo=redo if redo in known else None,
            asked=asked,
            sent=tuple(sent),
        )

    def _told(self, one: Numbered, user_id: int, known: frozenset[int]) -> Picture:
        own = one.turn.user_id == user_id and one.sent is None
        return Picture(
            number=one.number,
            words=words_of(one.turn) if own else "",
            kind="sent" if one.sent else one.turn.kind,
            count=one.count,
            index=self.chosen(one.number),
            before=one.before if one.before in known else None,
        )


def words_of(turn: StoredTurn) -> str:
    """Return the words that made a picture."""
    return turn.decision.words or ", ".join(turn.decision.changes)


DONE: dict[Kind, str] = {
    "draw": "a new picture",
    "change": "changing {}",
    "again": "drawing {} again",
    "back": "back to {}",
    "pick": "the {} of {}",
    "video": "a video of {}",
    "upscale": "{} at {} times the size",
    "cutout": "cutting out what stands out in {}",
    "extend": "more around {}",
    "ask": "a question about {}",
    "find": "a search among your pictures",
    "talk": "",
    "unclear": "",
}
PLACES = ("first", "second", "third", "fourth")


def understood_text(decision: Decision, standing: Standing, user_id: int) -> str:
    """Return in one line what will be done, and with which picture, "" where nothing is."""
    if decision.kind == "ask" and not decision.about:
        return "a question"
    names = [_name(number, standing, user_id) for number in decision.about]
    about = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
    match decision.kind:
        case "pick" if decision.index:
            return DONE["pick"].format(PLACES[decision.index - 1], about)
        case "back" if decision.steps:
            return f"{'undo' if decision.steps < 0 else 'redo'}: {DONE['back'].format(about)}"
        case "cutout" if decision.thing:
            return f"cutting “{decision.thing}” out of {about}"
        case "upscale":
            return DONE["upscale"].format(about, decision.factor)
        case "extend" if decision.sides and decision.sides != ("all",):
            return f"{DONE['extend'].format(about)}: {', '.join(decision.sides)}"
    return DONE[decision.kind].format(about)


def _name(number: int, standing: Standing, user_id: int) -> str:
    one = standing.pictures.get(number)
    own = one is not None and one.turn.user_id == user_id and one.sent is None
    words = " ".join(words_of(one.turn).split()) if one is not None and own else ""
    if len(words) > 40:
        words = f"{words[:39].rstrip()}…"
    return f"{number} ({words})" if words else str(number)


@dataclass(frozen=True)
class Turn:
    """A turn as somebody sees it.

    understood: one line on what is done, with which picture. reply: a sentence, where no job answers. asks:
    ``Dialogues.submit`` is to be called, which queues its job: ``new``, or one that waits. shows: job and
    index (from 0) of what "it" means after the turn; shows_sent: SHA-256, where somebody sent that;
    shows_number: its number, also before it is there. number: of the picture that it makes or shows.
    waits_for: the turn whose picture it waits for. offers: what buttons of an ``unclear`` turn say. sent:
    pictures that came with it. can_undo, can_redo: whether these lead anywhere.
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
    shows_number: int | None = None
    number: int | None = None
    waits_for: str | None = None
    asks: bool = False
    offers: tuple[str, ...] = ()
    message_id: int | None = None
    channel_id: int = 0
    guild_id: int | None = None
    private: bool = False
    sent: tuple[Sent, ...] = ()
    can_undo: bool = False
    can_redo: bool = False


@dataclass(frozen=True)
class Heard:
    """What a sentence would be taken for: in one line, or, where it is unclear, what would be asked back,
    with what the buttons there would say."""

    decision: Decision = field(repr=False)
    understood: str = field(default="", repr=False)
    reply: str = ""
    offers: tuple[str, ...] = field(default=(), repr=False)


def view_turn(actor: Actor, row: StoredTurn, standing: Standing, job: Job | None) -> Turn:
    """Return a row as the actor sees it. standing: where it leads. job: that it has become."""
    decision, shown = row.decision, standing.shown
    one = standing.pictures.get(shown[0]) if shown else None
    shows = None if one is None or one.job_id is None else (one.job_id, one.position(shown and shown[1]))
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
        shows_number=shown[0] if shown else None,
        waits_for=row.waits_for,
        asks=row.is_open,
        offers=tuple(offer_text(plan, standing, actor.user_id) for plan in decision.offers),
        message_id=row.message_id,
        channel_id=row.channel_id,
        guild_id=row.guild_id,
        private=row.private,
        sent=row.sent,
        can_undo=standing.step(-1) is not None,
        can_redo=standing.step(1) is not None,
    )


def offer_text(plan: Sequence[Decision], standing: Standing, user_id: int) -> str:
    """Return what the button of an offer says."""
    if len(plan) > 1:
        return f"Do all {len(plan)} steps"
    [step] = plan
    if step.kind == "draw":
        return "Draw it"
    step = standing.resolved(step)
    text = understood_text(step, standing, user_id)
    if step.kind == "change":
        adds = len(step.changes) == 1 and step.changes[0].startswith("add ")
        text = text.replace("changing", "add it to" if adds else "change", 1)
    return text[:1].upper() + text[1:]
