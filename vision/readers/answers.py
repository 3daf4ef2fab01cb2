"""Answers to questions about drawings, in words, from what ``vision.readers.scene`` has measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vision.images.ops import place
from vision.readers.photo.describe import with_article
from vision.readers.questions import NUMBERS, Meant, Measurer, Question
from vision.readers.scene import PERHAPS, STILL, Scene, Thing

SURE = 0.93  # chance of a name from which on it is told flatly


@dataclass(frozen=True)
class Answerer:
    """Says what was measured. words: what the pack calls it."""

    words: Measurer

    def answer(
        self, asked: Question, scene: Scene, before: Question | None = None, *, short: bool = False
    ) -> str | None:
        """Return the answer, None where nothing here measures it."""
        if asked.unknown:
            names = " or ".join(f"“{word}”" for word in asked.unknown[:3])
            return f"I don't know {names}, so I can't tell. {self.limits(scene)}"
        meant = asked.things
        if not meant and asked.its and before is not None:  # what that found beside something, or named
            found = self._besides(before, scene) if before.kind == "beside" and not before.yes_no else None
            meant = before.things[-1:]
            if found is not None:
                meant = tuple(Meant(one.name, one.colour) for one in found)
        if not asked.kind:
            return None
        if asked.kind == "where" and len(asked.part) > 1 and scene.moves:  # "to the left or to the right?"
            asked = replace(asked, kind="direction")
        if asked.kind == "direction" and asked.is_where and not scene.moves:  # "where did it go?"
            asked = replace(asked, kind="where")
        said: str | None = getattr(self, f"_{asked.kind}")(replace(asked, things=meant), scene)
        return said if not short or said is None else shortened(said)

    def limits(self, scene: Scene | None = None) -> str:
        """Return a sentence that says what this pack knows, and what it sees."""
        names = sorted(self.words.vocabulary.names)
        count = {11: "eleven", 12: "twelve"}.get(len(names)) or _number(len(names))
        knows = f"I only know drawings of {count} objects: {', '.join(names[:-1])} and {names[-1]}."
        return knows if scene is None or not scene.things else f"{knows} What I see: {self.shown(scene)}."

    def called(self, thing: Thing, count: int = 1) -> str:
        """Return what a thing is called: "a red house", "something red, perhaps a house"."""
        if thing.sure >= SURE:
            if count == 1:
                return with_article(f"{thing.colour} {thing.name}")
            return f"{_number(count)} {thing.colour} {self._plural(thing.name, count)}"
        what = f"something {thing.colour}" if count == 1 else f"{_number(count)} {thing.colour} objects"
        if thing.sure < PERHAPS:
            return f"{what} that I can't name"
        name = self._plural(thing.name, count)
        return f"{what}, perhaps {with_article(name) if count == 1 else name}"

    def listed(self, things: Sequence[Thing]) -> str:
        """Return several things, those of one kind together."""
        return _and([self.called(of[0], len(of)) for of in _alike(things)])

    def shown(self, scene: Scene) -> str:
        """Return all that is in a picture, in a line: "a red house in the snow"."""
        if not scene.things:
            return f"nothing that I know, {self.words.says[scene.ground]}"
        of = _alike(scene.things)
        if len(of) == 2 and all(len(one) == 1 for one in of):
            first, second = (one[0] for one in of)
            if _side(first, second) in ("below", "right"):
                first, second = second, first
            said = f"{self.called(first)} {_RELATION[_side(first, second)]} {self.called(second)}"
            return f"{said}, {self.words.says[scene.ground]}"
        return f"{self.listed(scene.things)} {self.words.says[scene.ground]}"

    def is_doubtful(self, scene: Scene) -> bool:
        """Return whether anything in a picture can't be named for sure."""
        return not scene.things or any(thing.sure < SURE for thing in scene.things)

    def _what(self, asked: Question, scene: Scene) -> str | None:
        if asked.grounds and not asked.things:
            return self._there(asked, scene)
        some = [*asked.things, *(Meant("", colour) for colour in asked.colours)]
        if some and all(one.colour and not one.name for one in some):  # "what is the red thing?"
            found = [thing for thing in scene.things if any(one.fits(thing) for one in some)]
            return _capital(f"{self.listed(found)}.") if found else self._none(some[0], scene)
        said = self.shown(scene)
        if scene.moves:
            said += f". {self._direction(replace(asked, things=()), scene)}".rstrip(".")
        doubt = f" I'm not sure: {_lower(self.limits())}" if self.is_doubtful(scene) else ""
        return _capital(f"{said}.{doubt}")

    def _colour(self, asked: Question, scene: Scene) -> str | None:
        found = self._found(asked, scene)
        if isinstance(found, str):
            return found
        of = _alike(found)
        if len(of) == 1:
            return _capital(f"{self._the(of[0])} {'is' if len(of[0]) == 1 else 'are'} {of[0][0].colour}.")
        parts = [f"{self._the(one)} {'is' if len(one) == 1 else 'are'} {one[0].colour}" for one in of]
        if len({one[0].name for one in of}) == 1:
            parts = [f"{_number(len(one))} {'is' if len(one) == 1 else 'are'} {one[0].colour}" for one in of]
        return _capital(f"{_and(parts)}.")

    def _count(self, asked: Question, scene: Scene) -> str | None:
        wanted = asked.things[:1] if not asked.side else asked.things[:-1][:1]
        if not wanted:
            if asked.grounds:
                return None
            count = len(scene.things)
            return f"I count {_number(count)} {'object' if count == 1 else 'objects'}" + (
                f": {self.listed(scene.things)}." if count else "."
            )
        found = [thing for thing in scene.things if wanted[0].fits(thing)]
        if not found:
            return self._none(wanted[0], scene)
        count, doubt = len(found), min(thing.sure for thing in found) < SURE
        name = " ".join(filter(None, (wanted[0].colour, self._plural(wanted[0].name or "object", count))))
        return f"I count {_number(count)} {name}" + (
            ", but I'm not sure that it is one." if doubt and count == 1 else "."
        )

    def _where(self, asked: Question, scene: Scene) -> str | None:
        found = self._found(asked, scene)
        if isinstance(found, str):
            return found
        parts = [f"{self._the([thing])} is {at_place(thing)}" for thing in found]
        if len(found) > 1 and len({thing.name for thing in found}) == 1:
            parts = [f"{'another' if n else 'one'} is {at_place(thing)}" for n, thing in enumerate(found)]
        return _capital(f"{_and(parts)}.")

    def _there(self, asked: Question, scene: Scene) -> str | None:
        fitting = [[thing for thing in scene.things if meant.fits(thing)] for meant in asked.things]
        if asked.things and not any(fitting):
            return self._none(asked.things[0], scene, no="No")
        if asked.grounds:  # "is it night?", "is the house in the snow?"
            return f"{_yes(scene.ground in asked.grounds)}: {_lower(self._ground(asked, scene))}"
        if asked.colours and (asked.things or asked.its or len(scene.things) == 1):  # "is the house red?"
            of = [thing for some in fitting for thing in some] or list(scene.things)
            said = self._colour(replace(asked, colours=()), scene) or ""
            right = bool(of) and all(thing.colour in asked.colours for thing in of)
            return said if len(asked.colours) > 1 else f"{_yes(right)}: {_lower(said)}"
        if asked.colours:  # "is there anything red?"
            return self._there(replace(asked, colours=(), things=(Meant("", asked.colours[0]),)), scene)
        if not asked.things:
            return None if asked.yes_no else self._what(asked, scene)
        there = [bool(some) and asked.count in (None, len(some)) for some in fitting]
        seen = [some for some in fitting if some]
        told = [self.listed(some) + (f", {at_place(some[0])}" if len(some) == 1 else "") for some in seen]
        return f"{_yes(any(there))}, I see {_and(told)}."

    def _besides(self, asked: Question, scene: Scene) -> list[Thing] | None:
        """Return what is on a side of something, or in a part of the picture; None where that isn't clear."""
        if not asked.side:
            some = list[Thing]()
            for thing in scene.things:
                x, y = thing.middle
                fits = {"left": x < 0.42, "right": x > 0.58, "upper": y < 0.42, "lower": y > 0.58}
                fits["middle"] = 0.3 < x < 0.7 and 0.3 < y < 0.7
                some += [thing] if all(fits.get(part, True) for part in asked.part) else []
            return some
        if not asked.things and len(scene.things) != 1:
            return None
        of = asked.things[-1] if asked.things else Meant(scene.things[0].name)
        ends = sorted((thing for thing in scene.things if of.fits(thing)), key=_area)
        if not ends:
            return None
        sides = ("left", "right") if asked.side == "beside" else (asked.side,)
        return [one for one in scene.things if one is not ends[-1] and _side(one, ends[-1]) in sides]

    def _beside(self, asked: Question, scene: Scene) -> str | None:
        for meant in asked.things:
            if not any(meant.fits(thing) for thing in scene.things):
                return self._none(meant, scene, no="No" if asked.yes_no else "None")
        found = self._besides(asked, scene)
        if found is None:
            return None
        if not asked.side and asked.things and asked.yes_no:  # "is the house on the left?"
            yes = any(asked.things[0].fits(thing) for thing in found)
            return f"{_yes(yes)}: {_lower(self._where(asked, scene) or '')}"
        said = self.listed(found) if found else "nothing"
        if len(asked.things) > 1:  # "is the house left of the tree?"
            yes = any(asked.things[0].fits(thing) for thing in found)
            return f"{_yes(yes)}: {_RELATION[asked.side]} the {asked.things[-1].name} is {said}."
        if not found:
            return f"{'No' if asked.yes_no else 'Nothing'}: I see only {self.shown(scene)}."
        return f"Yes, {said}." if asked.yes_no else _capital(f"{said}.")

    def _ground(self, asked: Question, scene: Scene) -> str:
        if scene.ground in self.words.vocabulary.colours:
            return f"The background is {scene.ground}."
        return f"It is {self.words.says[scene.ground]}."

    def _direction(self, asked: Question, scene: Scene) -> str | None:
        if not scene.moves:
            return "This is a single picture, so I can't see anything move."
        if not scene.things:
            return f"I see nothing that I know move. {self.limits()}"
        every = list(zip(scene.things, scene.moves, strict=True))
        pairs = [one for one in every if any(meant.fits(one[0]) for meant in asked.things)] or every
        said = _and([f"{self._the([thing])} {_moves(move)}" for thing, move in pairs])
        return _capital(f"{said}.")

    def _size(self, asked: Question, scene: Scene) -> str | None:
        if not scene.things:
            return None
        found = sorted(scene.things, key=_area, reverse=True)
        parts = [f"{self._the([thing])} takes {max(1, round(100 * _area(thing)))} %" for thing in found]
        return _capital(f"{_and(parts)} of the picture.")

    def _sure(self, asked: Question, scene: Scene) -> str | None:
        parts = [f"{thing.colour} {thing.name}, {thing.sure:.0%} sure" for thing in scene.things]
        seen = "; ".join(parts) or "nothing that I know"
        return f"I looked again and see: {seen}. {self.limits()}"

    def _found(self, asked: Question, scene: Scene) -> list[Thing] | str:
        """Return the things that are meant: those named, else all of a picture; or that there is none."""
        found = [one for one in scene.things if any(meant.fits(one) for meant in asked.things or (Meant(),))]
        if not found and not asked.things:
            return f"I see nothing that I know. {self.limits()}"
        return found or self._none(asked.things[0], scene)

    def _none(self, meant: Meant, scene: Scene, no: str = "None") -> str:
        """Return that something isn't there, or may be."""
        doubtful = [thing for thing in scene.things if thing.sure < SURE]
        name = " ".join(filter(None, (meant.colour, meant.name or "object")))
        if doubtful and not meant.colour:
            return f"{no}, I see no {name}; but I can't name all that I see: {self.shown(scene)}."
        return f"{no}, I see no {name}, only {self.shown(scene)}."

    def _the(self, things: Sequence[Thing]) -> str:
        thing = things[0]
        if thing.sure < PERHAPS:
            return f"the {thing.colour} object" if len(things) == 1 else f"the {thing.colour} objects"
        return f"the {self._plural(thing.name, len(things))}"

    def _plural(self, name: str, count: int) -> str:
        return name if count == 1 else self.words.plurals.get(name, name + "s")


_RELATION = {"left": "to the left of", "right": "to the right of"}
_RELATION |= {side: side for side in ("above", "below", "beside")}


def shortened(said: str) -> str:
    """Return an answer in a few words: its first sentence, without what begins every such sentence."""
    first = re.split(r"(?<=[a-z])[.;:,] ", said, maxsplit=1)[0].rstrip(".")
    return re.sub(r"^(?:I count |The background is |[Tt]he [\w ]+? (?:is|are) )", "", first)


def at_place(thing: Thing) -> str:
    """Return where a thing is: "on the left", "in the upper left", "in the middle"."""
    where = place(*thing.middle)
    before = {"left": "on", "right": "on", "top": "at", "bottom": "at"}.get(where, "in")
    return f"{before} the {where}"


def _alike(things: Sequence[Thing]) -> list[list[Thing]]:
    """Return things in groups of one name and colour, of which the surest tells how sure the name is."""
    groups = dict[tuple[str, str], list[Thing]]()
    for thing in sorted(things, key=lambda thing: -thing.sure):
        name = thing.name if thing.sure >= PERHAPS else ""
        groups.setdefault((name, thing.colour), []).append(thing)
    return sorted(groups.values(), key=lambda group: things.index(group[0]))


def _side(one: Thing, other: Thing) -> str:
    """Return on which side of another thing one is."""
    (x0, y0), (x1, y1) = one.middle, other.middle
    if abs(x0 - x1) >= abs(y0 - y1):
        return "left" if x0 < x1 else "right"
    return "above" if y0 < y1 else "below"


def _area(thing: Thing) -> float:
    left, top, right, bottom = thing.box
    return (right - left) * (bottom - top)


def _moves(move: tuple[float, float]) -> str:
    x, y = move
    if max(abs(x), abs(y)) < STILL:
        return "stands still"
    words = list[str]()
    if abs(y) > abs(x) / 2:
        words.append("down" if y > 0 else "up")
    if abs(x) > abs(y) / 2:
        words.append("to the right" if x > 0 else "to the left")
    return f"moves {' and '.join(words)}"


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""


def _number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def _yes(right: bool) -> str:
    return "Yes" if right else "No"


def _capital(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}"


def _lower(said: str) -> str:
    return said if said.startswith("I ") or said.startswith("I'") else f"{said[:1].lower()}{said[1:]}"
