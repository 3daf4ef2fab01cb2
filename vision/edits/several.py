"""Several pictures in one change, for models that are shown one: an object of one picture is cut out and laid
into another where there is room, or in the place of another object. No pixel of it is drawn anew."""

import re
from dataclasses import dataclass

from PIL import Image

from vision.edits.layers import Found, laid_at, without
from vision.images.ops import Box

NUMBERS = ("first", "second", "third", "fourth")
_NUMBER = (
    r"(?:<(?P<n{0}>[1-4])>|(?:the )?(?:(?:picture|image|number|no\.?|photo) ?)?(?P<d{0}>[1-4])\b"
    rf"|(?:the )?(?P<w{{0}}>{'|'.join(NUMBERS)})(?: (?:picture|image|photo|one))?)"
)
_OF = rf"(?:(?P<named{{0}}>.+?) (?:of|from|in|on) )?{_NUMBER}"
_PLACES = (
    *("left", "right", "above", "below", "under", "over", "on top", "beneath", "in front", "behind", "next"),
    *("beside", "near", "by", "with", "close", "between", "into", "in", "onto", "on", "and", "to", "at"),
)
_SIDES = rf"(?:to the |on the |at the )?(?P<side>{'|'.join(_PLACES)})(?: side)?(?: of| to)?"
_PUT = "(?:put|add|place|insert|bring|lay|draw|set)"
_EDGE = r"(?:on|to|at) the (?P<edge>left|right)(?: side)?"
LEAST_ROOM = 0.35  # of the side: in a narrower strip an object is too small to be found again
ZOOM = 1.5  # by which the picture is extended where there is too little room
SIZE = (0.24, 0.38)  # of the side: an object that is laid
MARGIN = 0.01  # of the side, between an object and the picture's edge
FULL = 0.72  # of the free strip, that an object fills at most: what touches is seen as one
OUTWARD = 0.7  # of what is left of the strip lies between both


@dataclass(frozen=True)
class Joining:
    """What is laid into the first picture. number: of the picture that it comes from, from 1. named: the
    object there; anchor: one of the first picture, "" = the one that stands out. side: of the anchor, "" =
    where there is more room. instead: in its place."""

    number: int
    named: str
    anchor: str = ""
    side: str = ""
    instead: bool = False


def read_joinings(words: str, count: int) -> list[Joining]:
    """Return what an instruction about ``count`` pictures asks for; empty where it isn't understood."""
    text = re.sub(r"\s+", " ", words.lower()).strip(" .!?")
    begins = rf"{_PUT}\b|the \w+ (?:of|from) (?:<?[2-4]>?|picture|image|the)"  # of the next clause
    clauses = re.split(rf"(?:, and|,| and|;)(?: then| also)? (?={begins})", text)
    return [found for clause in clauses if (found := _read_clause(clause, count)) is not None]


def _read_clause(text: str, count: int) -> Joining | None:
    of = _OF.format("1")
    anchor = rf"(?:(?P<anchor>.+?)(?: (?:of|from|in|on) {_NUMBER.format('2')})?|{_NUMBER.format('3')})"
    patterns = (
        (True, rf"(?:replace|swap|exchange) {anchor} (?:with|by|for) {of}"),
        (True, rf"(?:{_PUT} |use )?{of} (?:instead of|in place of) {anchor}"),
        (False, rf"(?:{_PUT} )?{of}(?: {_EDGE})?"),
        (False, rf"(?:{_PUT} )?{of} {_SIDES} {anchor}"),
    )
    for instead, pattern in patterns:
        found = re.fullmatch(pattern, text)
        if found is None or "style" in (found["named1"] or ""):
            continue
        others = {_number_of(found, group) for group in "23" if f"n{group}" in found.re.groupindex}
        if 2 <= _number_of(found, "1") <= count and others <= {0, 1}:
            return _joining(found, _number_of(found, "1"), found["named1"] or "", instead=instead)
    alone = re.fullmatch(
        rf"{_PUT} (?P<named>[^\d<>]+?)(?: {_EDGE}|(?: {_SIDES} (?P<anchor>[^\d<>]+)))?", text
    )
    return _joining(alone, 2, alone["named"], instead=False) if count == 2 and alone else None


def _joining(found: re.Match[str], number: int, named: str, *, instead: bool) -> Joining:
    parts = found.groupdict()
    side = _SIDE.get(parts.get("edge") or parts.get("side") or "", "")
    return Joining(number, _bare(named), _bare(parts.get("anchor") or ""), side, instead)


_SIDE = {side: side for side in ("left", "right", "above", "below")} | {"over": "above", "on top": "above"}
_SIDE |= dict.fromkeys(("under", "beneath", "in front"), "below")
_THIS = frozenset("it this that him her them one everything picture image".split())


def _number_of(found: re.Match[str], group: str) -> int:
    parts = found.groupdict()
    number = parts.get(f"n{group}") or parts.get(f"d{group}")
    word = parts.get(f"w{group}")
    return int(number) if number else NUMBERS.index(word) + 1 if word else 0


def _bare(words: str) -> str:
    words = re.sub(r"^(?:the|a|an|this|that) ", "", words.strip())
    return "" if words in _THIS or words.strip("<>") == "1" else words


def for_lists(words: str) -> str:
    """Return an instruction as models that are shown several pictures know them: "image 2" for "<2>"."""
    words = re.sub(r"<([1-4])>", r"image \1", words)
    words = re.sub(r"\b(?:picture|number|photo) ([1-4])\b", r"image \1", words, flags=re.IGNORECASE)
    words = re.sub(r"\b(of|from|in) ([1-4])\b", r"\1 image \2", words, flags=re.IGNORECASE)
    return re.sub(
        rf"\bthe ({'|'.join(NUMBERS)}) (?:picture|image|photo|one)\b",
        lambda found: f"image {NUMBERS.index(found[1].lower()) + 1}",
        words,
        flags=re.IGNORECASE,
    )


def side_with_room(size: tuple[int, int], anchor: Box, side: str) -> tuple[str, float]:
    """Return the side of an anchor that an object is laid at, and how much of the picture is free there."""
    (width, height), (left, top, right, bottom) = size, anchor
    free = {"left": left / width, "right": 1 - right / width, "above": top / height}
    free["below"] = 1 - bottom / height
    chosen = side or max(("left", "right"), key=free.__getitem__)
    return chosen, free[chosen]


def laid_beside(picture: Image.Image, cut: Image.Image, anchor: Box, side: str) -> Image.Image:
    """Return a picture with an object ("RGBa") beside an anchor on its ground line, or above or below it."""
    (width, height), (left, top, right, bottom) = picture.size, anchor
    side, free = side_with_room(picture.size, anchor, side)
    along = width if side in ("left", "right") else height
    longest = max(SIZE[0], min(SIZE[1], free * FULL)) * along
    scale = min(longest / max(cut.size), 0.9 * width / cut.width, 0.9 * height / cut.height)
    wide, high = max(1, round(cut.width * scale)), max(1, round(cut.height * scale))
    if side in ("left", "right"):
        gap = OUTWARD * ((width - right if side == "right" else left) - wide)
        x = right + gap + wide / 2 if side == "right" else left - gap - wide / 2
        y = bottom - high / 2
    else:
        x = (left + right) / 2
        gap = OUTWARD * ((height - bottom if side == "below" else top) - high)
        y = bottom + gap + high / 2 if side == "below" else top - gap - high / 2
    margin = round(MARGIN * min(width, height))
    left = min(max(round(x - wide / 2), margin), max(0, width - wide - margin))
    top = min(max(round(y - high / 2), margin), max(0, height - high - margin))
    how = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    return laid_at(picture, cut.resize((wide, high), how), (left, top))


def laid_instead(picture: Image.Image, cut: Image.Image, gone: Found) -> Image.Image:
    """Return a picture with an object ("RGBa") where another was, as large and on the same ground."""
    picture, (left, top, right, bottom) = without(picture, [gone]), gone.box
    scale = min((right - left) / cut.width, (bottom - top) / cut.height) * 1.1
    wide, high = max(1, round(cut.width * scale)), max(1, round(cut.height * scale))
    at = (left + right - wide) // 2, bottom - high
    return laid_at(picture, cut.resize((wide, high), Image.Resampling.BICUBIC), at)
