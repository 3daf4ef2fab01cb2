"""What a sentence to the studio means: ``decide`` weighs patterns (`rules`) and what was learned (`classifier`).

Pure: it knows neither rows nor requests nor Discord.
"""

from __future__ import annotations

import re

from core.talk import KINDS, MAKES, MAX_SAID, Decision, Kind, State
from studio.talk import rules
from studio.talk.classifier import chances, stored_weights
from studio.talk.words import plain, read_words

LEAST = 0.35  # a job that is less likely is asked back


def decide(said: str, state: State) -> Decision:
    """Return what ``said`` means in a conversation that is at ``state``."""
    said = " ".join(said.split())[:MAX_SAID]
    text = plain(said)
    here = rules.shown(state)
    likely = chances(read_words(text), rules.situation(text, state), stored_weights("kinds", len(KINDS)))
    ranked = sorted(KINDS, key=lambda kind: -likely[kind])
    kind: Kind = ranked[0]
    if not text:
        return Decision(kind="unclear", sure=1.0)
    if kind in (*MAKES, "ask") and likely[kind] < LEAST:
        return unclear(said, text, state, likely[kind])
    return as_kind(kind, said, state, sure=round(likely[kind], 3))


def as_kind(kind: Kind, said: str, state: State, sure: float = 1.0) -> Decision:
    """Return the decision of a kind that is known, with all that the words say about it."""
    said = " ".join(said.split())[:MAX_SAID]
    text = plain(said)
    here = rules.shown(state)
    if kind in ("draw", "find", "talk"):
        return Decision(kind=kind, words=said if kind != "talk" else "", sure=sure)
    if kind == "unclear" or here is None:
        return unclear(said, text, state, sure)
    if kind == "back":
        number, steps = rules.back_to(text, state)
        if number is None:
            return unclear(said, text, state, sure)
        return Decision(kind="back", about=(number,), steps=max(-1, steps), sure=sure)
    grid = here.count > 1 and here.index is None
    index = rules.grid_index(text) if grid or kind == "pick" else None
    if kind == "pick":
        if index is None or index > here.count:
            return unclear(said, text, state, sure)
        return Decision(kind="pick", about=(here.number,), index=index, sure=sure)
    number = rules.numbered_picture(text, state) if not (grid and index) else None
    number = number or rules.picture_with(text, state) or here.number
    about = (number,)
    if kind == "change":
        return Decision(kind="change", about=about, changes=rules.cut_changes(said), sure=sure)
    if kind == "again":
        return Decision(kind="again", about=about, sure=sure)
    if kind == "upscale":
        factor = (
            4 if re.search(r"\b(?:4 ?x|x ?4|4k|8k|four times|quadruple|max\w*|poster|huge)\b", text) else 2
        )
        return Decision(kind="upscale", about=about, factor=factor, sure=sure)
    if kind == "extend":
        return Decision(kind="extend", about=about, sides=rules.sides_of(text), sure=sure)
    if kind == "video":
        return Decision(kind="video", about=about, words=said, sure=sure)
    if kind == "cutout":
        return Decision(kind="cutout", about=about, sure=sure)
    return Decision(kind="ask", about=about, words=said, sure=sure)


def unclear(said: str, text: str, state: State, sure: float) -> Decision:
    """Ask back."""
    if rules.shown(state) is None:
        return Decision(kind="unclear", sure=sure)
    draw = Decision(kind="draw", words=said)
    add = Decision(kind="change", changes=(f"add {said}",))
    return Decision(kind="unclear", sure=sure, offers=((draw,), (add,)) if len(text) < 60 and text else ())
