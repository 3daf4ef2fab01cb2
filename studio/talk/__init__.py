"""What a sentence to the studio means: patterns (`rules`) and what was learned (`classifier`), weighed.

Pure: it knows neither rows nor requests nor any door.
"""

from __future__ import annotations

from dataclasses import replace

from core.talk import KINDS, MAKES, MAX_SAID, MAX_STEPS, NEEDS_PICTURE, Decision, Kind, Picture, State
from studio.talk import rules
from studio.talk.classifier import Weights, chances, features, situation, stored_weights
from studio.talk.cuts import cut_changes
from studio.talk.words import plain, read_words

# What a mistake costs, a question back that need not be being 1: a job that wasn't meant, and anything else.
WRONG_JOB, WRONG = 5.0, 1.25
_STARTED = (*MAKES, "ask")
_OFFERED = tuple(kind for kind in KINDS if kind not in ("unclear", "talk"))


def decide(said: str, state: State, weights: Weights | None = None, wrong_job: float = WRONG_JOB) -> Decision:
    """Return what ``said`` means in a conversation that is at ``state``. weights: others than those that come
    with the program. wrong_job: what a job costs that wasn't meant."""
    weights = weights or stored_weights("kinds")
    said = " ".join(said.split())[:MAX_SAID].strip()
    steps = _plan(said, state, weights, wrong_job)
    if len(steps) > 1:
        return Decision(kind="unclear", sure=1.0, offers=(steps,))
    return _decide(said, state, weights, wrong_job)


def _decide(said: str, state: State, weights: Weights, wrong_job: float) -> Decision:
    text = plain(said)
    if not any(letter.isalnum() for letter in text) or rules.is_other_script(text):
        return Decision(kind="unclear")
    if rules.takes_from_another(text, state):
        return as_kind("change", said, state)
    if rules.is_redo(text, state):
        return as_kind("back", said, state)
    if rules.shown(state) is not None and (meant := rules.kind_of_whole(text)):
        return as_kind(meant, said, state)
    found = features(read_words(text), situation(text, state))
    likely = dict(zip(KINDS, chances(found, weights), strict=True))
    here, grid = rules.shown(state), rules.grid_of(state)
    cant = NEEDS_PICTURE if here is None else ("pick",) if grid is None else ()
    likely = {kind: 0.0 if kind in cant else chance for kind, chance in likely.items()}
    whole = sum(likely.values())
    likely = {kind: chance / whole for kind, chance in likely.items()}
    costs = {
        kind: (1 - chance) * (1.0 if kind == "unclear" else wrong_job if kind in _STARTED else WRONG)
        for kind, chance in likely.items()
    }
    kind: Kind = min(KINDS, key=costs.__getitem__)
    sure = round(likely[kind], 3)
    if kind == "unclear":
        asked = _unclear(said, state, sure)
        near = sorted((one for one in _OFFERED if likely[one] > 0.03), key=lambda one: -likely[one])[:2]
        return asked if asked.offers else replace(asked, offers=_offers(said, state, *near))
    return as_kind(kind, said, state, sure)


def as_kind(kind: Kind, said: str, state: State, sure: float = 1.0) -> Decision:
    """Return the decision of a kind that is known, with all that the words say about it."""
    said = " ".join(said.split())[:MAX_SAID].strip()
    text, here = plain(said), rules.shown(state)
    rest, closely = rules.without_closely(said)
    if kind == "draw":
        return Decision(kind=kind, words=rules.drawn_words(rest), closely=closely, sure=sure)
    if kind == "find":
        return Decision(kind=kind, words=rules.sought_words(said), sure=sure)
    if kind == "talk":
        return Decision(kind=kind, sure=sure)
    if kind == "unclear" or here is None or not said:
        return _unclear(said, state, sure)
    if kind == "back":
        number, steps = rules.back_to(text, state)
        if number is None:
            return _unclear(said, state, sure)
        return Decision(kind=kind, about=(number,), steps=steps, sure=sure)
    index = rules.grid_index(text) if rules.is_open_grid(here) or kind == "pick" else None
    if kind == "pick":
        index, grid = rules.corner_of_four(text) or index or rules.only_number(text), rules.grid_of(state)
        if index is None or grid is None or index > grid.count:
            return _unclear(said, state, sure)
        return Decision(kind=kind, about=(grid.number,), index=index, sure=sure)
    if index is not None and (index > here.count or here.number != state.pictures[-1].number):
        index = None
    about = rules.pictures_of(text, state, here) if index is None else (here.number,)
    base = Decision(kind="ask", about=about, index=index, sure=sure)
    if kind == "change":
        if len(state.sent) > 1 and not rules.joins(text):
            base = replace(base, about=about[:1])
        return replace(base, kind=kind, changes=cut_changes(rest) or (said,), closely=closely)
    if kind == "upscale":
        return replace(base, kind=kind, factor=rules.factor_of(text))
    if kind == "extend":
        return replace(base, kind=kind, sides=rules.sides_of(text))
    if kind == "video":
        return replace(base, kind=kind, words=rules.moving_words(said), motion=rules.motion_of(text))
    if kind == "cutout":
        return replace(base, kind=kind, thing=rules.thing_of(text))
    return replace(base, kind=kind, words=said if kind == "ask" else "")


def _unclear(said: str, state: State, sure: float) -> Decision:
    """Ask back: with the command that does it, or with what a bare thing can mean."""
    text = plain(said)
    if command := rules.command_of(text):
        return Decision(kind="unclear", sure=sure, command=command)
    if rules.is_bare_thing(text):
        return Decision(kind="unclear", sure=sure, offers=_offers(said, state, "draw", "change"))
    return Decision(kind="unclear", sure=sure)


def _offers(said: str, state: State, *kinds: Kind) -> tuple[tuple[Decision, ...], ...]:
    """Return what two kinds would do with a sentence."""
    found = []
    for kind in kinds:
        if kind not in ("unclear", "talk") and (rules.shown(state) is not None or kind not in NEEDS_PICTURE):
            decision = as_kind(kind, said, state)
            if kind == "change" and rules.is_bare_thing(plain(said)):
                decision = replace(decision, changes=(f"add {said}",))
            if decision.kind != "unclear":
                found.append((decision,))
    return tuple(found)


def _plan(said: str, state: State, weights: Weights, wrong_job: float) -> tuple[Decision, ...]:
    """Return the steps of a sentence that asks for several jobs, one after the other, none of any other."""
    parts = rules.steps_of(said)
    if not 1 < len(parts) <= MAX_STEPS:
        return ()
    steps: list[Decision] = []
    for part in parts:
        step = _decide(part, state, weights, wrong_job)
        if step.kind not in MAKES:
            return ()
        steps.append(step if not steps else replace(step, about=(), index=None))
        number = max((one.number for one in state.pictures), default=0) + 1
        before = rules.shown(state) if step.kind != "draw" else None
        made = Picture(number=number, words=part, kind=step.kind, before=before.number if before else None)
        state = replace(state, pictures=(*state.pictures, made), shown=number, undo=None, redo=None, sent=())
    kinds = [step.kind for step in steps]
    if all(kind == "change" for kind in kinds) or kinds[1:].count("draw"):
        return ()
    return tuple(steps)
