"""What an English instruction asks for: another colour, an object that comes, goes or becomes another, or a
change of the whole picture. Words alone; whatever isn't understood counts as the whole."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import ImageColor

Kind = Literal["colour", "add", "remove", "replace", "alter", "ground", "whole"]

_SHADE = r"(?:light|dark|bright|pale|pure|snow|deep|hot|neon|pastel|very|more|all|completely)[\s-]+"
_OTHERS = {  # colours that CSS doesn't have, or has in other shades than paint
    "blue": "#1e5ad2",
    "brown": "#784824",
    "orange": "#f68a1e",
    "pink": "#ff78b4",
    "scarlet": "#ff2400",
    "amber": "#ffbf00",
    "emerald": "#2ea060",
    "rosy": "#ff8c96",
    "ruby": "#b41432",
    "lilac": "#c8a2c8",
    "golden": "#ffd700",
    "ebony": "#282420",
    "jet": "#141414",
    "chestnut": "#954535",
    "sky blue": "#87ceeb",
    "snow white": "#ffffff",
}
_PAINTS = {name: ImageColor.getrgb(_OTHERS.get(name, name)) for name in ImageColor.colormap | _OTHERS}
COLOUR = (
    rf"(?:an?\s+)?(?:{_SHADE})*(?P<colour>{'|'.join(sorted(_PAINTS, key=len, reverse=True))})"
    r"(?:ish|[\s-]colou?red)?(?:\s+(?:colou?r|one))?"
)
_COLOURED = re.compile(rf"\b(?:{'|'.join(_PAINTS)})(?:ish)?\b")
APART = 110  # of 255: a colour that is nearer to the ground's can't be seen before it
STYLE = re.compile(
    r"\b(?:styled?|water ?colou?r|aquarelle|paint(?:ing|ed)|oil|ink|pencil|crayon|charcoal|pastels?|sketch"
    r"|drawing|drawn|cartoon|comic|anime|manga|pixel(?:ated)?|line art|outlines?|photo(?:graph|realistic)?"
    r"|realistic|render|3d|\d+ bit|coloring book|clip ?art|poster|vintage|black and white|monochrome|sepia"
    r"|retro|sprite|flat|lines?)\b"
)
GROUND = re.compile(
    r"\b(?:background|ground|sky|scene|night|day|daytime|noon|morning|evening|dusk|dawn|sunset|sunrise|winter"
    r"|summer|autumn|spring|snow|rain|fog|storm|beach|desert|sea|ocean|meadow|grass|forest|fields?|city|street"
    r"|space|weather|under the stars|hill|sand|water|clouds?)\b"
)
WHOLE = frozenset("it this that everything all picture image photo drawing style".split())
_POLITE = re.compile(
    r"^(?:(?:please|now|then|and|also|just|ok|okay|hey|could you|can you|would you|will you|i want you to"
    r"|i would like you to|i'd like you to|i want to|i would like to|let's|let us)\b[ ,]*)+"
    r"|[ ,]*\b(?:please|thanks|thank you|for me|now|in (?:this|the) (?:picture|image|photo))\b"
    r"|[ ,]*\b(?:and |but )?(?:keep|leave) (?:the rest|everything else)\b.*|[.!?]+$"
)
# "in the sky"
_BEHIND = re.compile(r" (?:in|on|at|above|over|below|under|behind|beside|near|next|with|to) .*")
_ARTICLE = re.compile(r"^(?:the|a|an|another|one|some|this|that|my|its|their|his|her)\s+")
_NEW = r"(?:an?|another|one|two|three|four|some|\d)\b.*"
# without a place behind it, but with a side
_OLD = (
    r"(?P<named>(?:(?! (?:on|in|at|into|to|with|of) ).)+?"
    r"(?: (?:on|at|to) the (?:far )?(?:left|right|top|bottom)(?: side)?)?)"
)
_FORMS: dict[Kind, tuple[str, ...]] = {
    "remove": (
        r"(?:remove|delete|erase|drop|hide|get rid of|take (?:away|out|off))\s+(?P<named>.+?)"
        r"(?:\s+(?:from|in|out of)\s+(?:the|this)\s+(?:picture|image|photo|scene|drawing))?",
        r"take\s+(?P<named>.+?)\s+(?:away|out|off)",
        r"(?:without|no)\s+(?P<named>.+)",
    ),
    "colour": (
        rf"(?:make|paint|turn|colou?r|recolou?r|dye|change|set|give)\s+{_OLD}\s+(?:to |into |in )?{COLOUR}",
        rf"(?:change|set|make) the colou?r of\s+{_OLD}\s+(?:to |into )?{COLOUR}",
        rf"(?:i want )?{_OLD}\s+(?:should be|to be|in)\s+{COLOUR}",
    ),
    "replace": (
        r"(?:replace|swap|switch|exchange)\s+(?P<named>.+?)\s+(?:with|by|for|to)\s+(?P<new>.+)",
        r"(?:put |draw |place |use )?(?P<new>.+?)\s+(?:instead of|in place of)\s+(?P<named>.+)",
        rf"(?:change|turn|transform|convert|make)\s+{_OLD}\s+(?:into |to )?(?P<new>{_NEW})",
        rf"(?:change|turn|transform|convert)\s+{_OLD}\s+(?:into|to)\s+(?P<new>.+)",
        rf"(?:i want )?{_OLD}\s+should be\s+(?P<new>.+)",
    ),
    "add": (
        rf"(?:(?:add|insert|put|place|draw|with|give (?:it|him|her)|have|include)\s+)?(?P<new>{_NEW})",
        r"(?:add|insert)\s+(?P<new>.+)",
    ),
    "alter": (rf"(?:make|give|let|change)\s+{_OLD}\s+\w+",),
}
_THERE = re.compile(rf"^there (?:should|must|has to) be (?P<new>{_NEW})$")  # before what becomes another
_PATTERNS = [(kind, re.compile(rf"^{form}$")) for kind, forms in _FORMS.items() for form in forms]
_PATTERNS.insert(len(_FORMS["remove"] + _FORMS["colour"]), ("add", _THERE))


@dataclass(frozen=True)
class Instruction:
    """What is asked. named: the object, "" = the one that stands out. new: what comes. colour: 0..255."""

    kind: Kind
    named: str = ""
    new: str = ""
    colour: tuple[int, ...] = ()


def read_instruction(words: str) -> Instruction:
    """Return what an instruction asks for."""
    text = _POLITE.sub("", re.sub(r"\s+", " ", words.lower()).strip()).strip(" .!?,")
    text = _POLITE.sub("", text).strip(" .!?,")
    for kind, pattern in _PATTERNS:
        if (found := pattern.match(text)) is None:
            continue
        parts = found.groupdict()
        named, new = _bare(parts.get("named") or ""), _bare(parts.get("new") or "")
        if GROUND.search(named) or named in ("style", "to", "it look like"):
            break
        is_ground = GROUND.search(_BEHIND.sub("", new)) and (kind != "add" or "background" in new)
        if (named in WHOLE or kind == "add") and (STYLE.search(new) or is_ground):
            break
        if kind == "alter" and (named in WHOLE or named.startswith(("it ", "the ")) or STYLE.search(text)):
            break
        paint = parts.get("colour")
        colour = _PAINTS[paint] if paint else ()
        return Instruction(kind, "" if named in WHOLE else named, new, colour)
    if STYLE.search(text):
        return Instruction("whole")
    return Instruction("ground" if GROUND.search(text) else "whole")


def with_colour(words: str, usual: Mapping[str, str], ground: Sequence[int]) -> tuple[str, str]:
    """Return an instruction that adds an object, with a colour where it names none, and that colour, "" = as
    it was. usual: objects and the colours of each, with spaces between them. ground: 0..255, of the picture:
    the first that can be seen before it is taken."""
    head = words[: len(_BEHIND.sub("", words.lower()))]
    if _COLOURED.search(head.lower()):
        return words, ""
    for names, colours in usual.items():
        found = re.search(rf"\b(?:{names.replace(' ', '|')})(?:s|es)?\b", head, re.IGNORECASE)
        if found is not None:
            *others, last = colours.split()
            shown = (one for one in others if one in _PAINTS)
            seen = (one for one in shown if math.dist(_PAINTS[one], ground) > APART)
            colour = next(seen, last)
            return f"{words[: found.start()]}{colour} {words[found.start() :]}", colour
    return words, ""


def with_own_colour(words: str, new: str, colour: str) -> str:
    """Return an instruction that replaces an object, with the colour of the old one where what comes, ``new``
    of its ``Instruction``, names none."""
    at = words.lower().rfind(new)
    if not colour or at < 0 or _COLOURED.search(new):
        return words
    return f"{words[:at]}{colour} {words[at:]}"


def _bare(words: str) -> str:
    return _ARTICLE.sub("", words.strip())
