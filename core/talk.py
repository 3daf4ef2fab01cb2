"""What somebody means by a sentence to the studio: one of ``KINDS``, and what it is about.

None of the kinds deletes, shares, sends, pays or sets anything. A decider chooses a kind and pictures; the
words that are drawn are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal[
    "draw",  # a new picture
    "change",  # alter one: ``changes`` are the instructions
    "again",  # the same wish once more
    "back",  # show an earlier picture, undo or redo
    "pick",  # choose one of a grid
    "video",
    "upscale",
    "cutout",
    "extend",  # more around the picture
    "ask",  # a question about a picture or an answer
    "find",  # among one's own pictures
    "talk",  # nothing to do, such as thanks
    "unclear",  # ask back, or name the command that does it
]
By = Literal["rules", "model", "server", "person"]  # who decided
Side = Literal["left", "right", "up", "down", "all"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES: tuple[Side, ...] = get_args(Side)
MAKES: tuple[Kind, ...] = (
    "draw",
    "change",
    "again",
    "video",
    "upscale",
    "cutout",
    "extend",
)  # a job's pictures
NEEDS_PICTURE: tuple[Kind, ...] = (
    "change",
    "again",
    "back",
    "pick",
    "video",
    "upscale",
    "cutout",
    "extend",
    "ask",
)
MAX_SAID = 2000  # characters of a turn
MAX_CHANGES = 4  # instructions in one sentence
MAX_REMADE = 9  # of a list of changes that is made again without one
MAX_STEPS = 4  # of a plan
MAX_PICTURES = 4  # that one change is about
MAX_STATE = 24  # pictures that a decider is told of


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture, video or grid of a conversation, by its number (from 1, in the order of making).

    words: the speaker's own that made it, "" of somebody else's. kind: of the turn that made it, "sent" of a
    picture that came with a message. count: pictures of its job. index: the chosen one of them, from 1.
    before: the number of the picture that it was made from. things: what is known to be in it.
    """

    number: int
    words: str = ""
    kind: Kind | Literal["sent"] = "draw"
    count: int = 1
    index: int | None = None
    before: int | None = None
    things: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class State:
    """What a decider knows of a conversation.

    pictures: at most ``MAX_STATE``, oldest first. shown: the number of what "it" means, None before the
    first.
    undo, redo: numbers that those words lead to. asked: whether the turn before was a question about what is
    shown. sent: the numbers of pictures that came with this very sentence.
    """

    pictures: tuple[Picture, ...] = ()
    shown: int | None = None
    undo: int | None = None
    redo: int | None = None
    asked: bool = False
    sent: tuple[int, ...] = ()

    def picture(self, number: int) -> Picture | None:
        """Return the picture of a number, None where there is none."""
        return next((one for one in self.pictures if one.number == number), None)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a sentence means. Its fields but ``words`` and ``changes`` are closed choices.

    about: numbers of pictures, the one that is worked on first; none = what is shown then. index: which of
    that one's grid, from 1. words: what is drawn, asked or looked for, or moves in a video.
    changes: instructions, each of the person's own words. steps: of ``back``, -1 undoes one, 1 redoes one,
    0 shows ``about``. factor: of ``upscale``. sides: of ``extend``. motion: of ``video``. thing: what is cut
    out, "" = what stands out. closely: look closely (``--think``). sure: 0 to 1. offers: of ``unclear``, up
    to two, each of 1 to ``MAX_STEPS`` decisions done one after the other. command: of ``unclear``, the
    command that does what was asked.
    """

    kind: Kind
    about: tuple[int, ...] = ()
    index: int | None = None
    words: str = ""
    changes: tuple[str, ...] = ()
    steps: int = 0
    factor: Literal[2, 4] = 2
    sides: tuple[Side, ...] = ()
    motion: Literal["low", "high"] = "low"
    thing: str = ""
    closely: bool = False
    sure: float = 1.0
    by: By = "rules"
    offers: tuple[tuple[Decision, ...], ...] = field(default=())
    command: str = ""

    def __post_init__(self) -> None:
        wrong = (
            self.kind not in KINDS,
            len(self.about) > MAX_PICTURES or len(set(self.about)) < len(self.about),
            self.index is not None and not 1 <= self.index <= 4,
            len(self.words) > MAX_SAID,
            (self.kind == "change") != bool(self.changes),
            len(self.changes) > (MAX_REMADE if self.by == "person" else MAX_CHANGES),
            self.kind != "back" and self.steps != 0,
            self.factor not in (2, 4),
            (self.kind == "extend") != bool(self.sides) or not set(self.sides) <= set(SIDES),
            self.motion not in ("low", "high"),
            not 0 <= self.sure <= 1,
            self.by not in get_args(By),
            len(self.offers) > 2 or (self.kind != "unclear" and bool(self.offers)),
            any(not 1 <= len(plan) <= MAX_STEPS for plan in self.offers),
        )
        if any(wrong):
            raise ValueError(f"not a decision: {self!r}")

    def check(self, state: State) -> None:
        """Raise ValueError for a picture that isn't in the state, or for none where one is needed."""
        known = {one.number for one in state.pictures}
        if not known.issuperset(self.about):
            raise ValueError(f"pictures {self.about} aren't all among {sorted(known)}")
        if self.kind in NEEDS_PICTURE and state.shown is None and not self.about and not state.sent:
            raise ValueError(f"{self.kind} without a picture")
