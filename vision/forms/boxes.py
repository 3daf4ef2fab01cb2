"""Reads boxes from what models write, each family in its own form, and says them in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

from core.results import Box
from vision.forms import lenient
from vision.forms.cells import clean
from vision.forms.tables import NotInForm

Family = Literal["qwen3", "pixels", "loc", "florence", "thousandths"]
FAMILIES: tuple[Family, ...] = get_args(Family)
MOST = 20
SMALLEST = 0.001  # of the picture's area
LOC_BINS, FLORENCE_BINS = 1024, 1000
# Beginning of a model's type or name → its form: Qwen2.5-VL tells pixels of the picture as it got it
_KNOWN: tuple[tuple[str, Family], ...] = (
    ("qwen2_5", "pixels"),
    ("qwen2.5", "pixels"),
    ("paligemma", "loc"),
    ("florence", "florence"),
)
_NAMES = ("bbox_2d", "bbox", "box_2d", "box", "bounding_box", "coordinates")
_LABELS = ("label", "name", "object", "class", "category", "text_content")
_LOC = re.compile(r"((?:<loc\d{4}>\s*){4})([^<;\n]*)")
_FLORENCE = re.compile(r"([^<>]*)((?:<loc_\d+>){4,})")
_FOUR = re.compile(r"[\[(]\s*" + r"\s*[,;]\s*".join([r"(-?\d+(?:\.\d+)?)"] * 4) + r"\s*[\])]")
_PAIRS = re.compile(r"\((\d+)\s*,\s*(\d+)\)\s*,?\s*\((\d+)\s*,\s*(\d+)\)")
_NONE = re.compile(r"\b(?:no|none|not|nothing|isn't|aren't|without)\b", re.IGNORECASE)


class Read(NamedTuple):
    """The boxes that can be drawn, and how many can't: outside of the picture, too small, or over MOST."""

    boxes: tuple[Box, ...]
    dropped: int


class _Raw(NamedTuple):
    """A box as it was written: two corners (x, y), and what divides them, across and down."""

    label: str
    corners: tuple[float, float, float, float]
    scale: tuple[float, float]


def family_of(name: str) -> Family:
    """Return the form in which a model of this type or name tells boxes, as far as that is known."""
    name = name.lower().replace("-", "_")
    return next((form for known, form in _KNOWN if known.replace("-", "_") in name), "qwen3")


def read(text: str, family: Family, size: tuple[int, int], thing: str = "") -> Read:
    """Return the boxes that ``text`` holds. size: of the picture as the model got it, px. thing: what a box
    without a label shows. Raises NotInForm; a text that says that there is none has none."""
    found = list(_raw(text, family, size))
    if not found and not _says_none(text):
        raise NotInForm("no box is in it")
    boxes = [box for raw in found if (box := _box(raw, thing)) is not None]
    kept = list(dict.fromkeys(boxes))  # models repeat themselves
    return Read(tuple(kept[:MOST]), len(found) - len(boxes) + max(0, len(kept) - MOST))


def words(boxes: Sequence[Box]) -> str:
    """Return where things are, a line each: what later questions know of them, and rules are asked about."""
    return "\n".join(f"{number}. {box.label}: {_where(box)}" for number, box in enumerate(boxes, 1))


def _where(box: Box) -> str:
    across, down = f"{box.left:.0%} to {box.right:.0%}", f"{box.top:.0%} to {box.bottom:.0%}"
    return f"{across} from the left, {down} from the top"


def _says_none(text: str) -> bool:
    return (
        any(found.value == [] and found.whole for found in lenient.values(text))
        or bool(_NONE.search(text))
        and not re.search(r"\d", text)
    )


def _raw(text: str, family: Family, size: tuple[int, int]) -> Iterator[_Raw]:
    """Yield each box as it is written; places in words are told by the words themselves."""
    if marks := _LOC.findall(text):
        for places, label in marks:
            top, left, bottom, right = map(int, re.findall(r"\d{4}", places))
            yield _Raw(clean(label), (left, top, right, bottom), (LOC_BINS, LOC_BINS))
        return
    if groups := _FLORENCE.findall(text):
        for label, places in groups:
            numbers = [int(number) for number in re.findall(r"\d+", places)]
            for place in range(0, len(numbers) - 3, 4):
                left, top, right, bottom = numbers[place : place + 4]
                yield _Raw(clean(label), (left, top, right, bottom), (FLORENCE_BINS, FLORENCE_BINS))
        return
    yield from _in_numbers(text, size if family == "pixels" else (1000, 1000))


def _in_numbers(text: str, scale: tuple[int, int]) -> Iterator[_Raw]:
    named = [box for found in lenient.values(text) for box in _named(found.value)]
    if not named:
        named = [("", four) for four in _FOUR.findall(text) or _PAIRS.findall(text)]
    corners = [(label, four) for label, raw in named if (four := _numbers(raw)) is not None]
    if corners and all(0 <= side <= 1 for _, four in corners for side in four):
        scale = (1, 1)  # shares, whatever was asked for
    for label, (left, top, right, bottom) in corners:
        yield _Raw(clean(label), (left, top, right, bottom), scale)


def _named(value: Any) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield label and numbers of every box in a value that was read from JSON."""
    if isinstance(value, dict):
        numbers = next((value[name] for name in _NAMES if isinstance(value.get(name), list)), None)
        if numbers is not None and len(numbers) == 4 and not any(isinstance(n, list | dict) for n in numbers):
            label = next((value[name] for name in _LABELS if isinstance(value.get(name), str)), "")
            yield label, numbers
            return
        for name, held in value.items():
            for label, four in _named(held) if isinstance(held, list | dict) else ():
                yield label or (name if name not in _NAMES else ""), four
    elif isinstance(value, list):
        if len(value) == 4 and _numbers(value) is not None:
            yield "", value
            return
        for held in value:
            yield from _named(held) if isinstance(held, list | dict) else ()


def _numbers(raw: Sequence[Any]) -> tuple[float, float, float, float] | None:
    try:
        left, top, right, bottom = (float(number) for number in raw)
    except (TypeError, ValueError):
        return None
    return left, top, right, bottom


def _box(raw: _Raw, thing: str) -> Box | None:
    """Return the part of a box that is in the picture, None where that is nothing, or too little to see."""
    across, down = raw.scale
    x = sorted((raw.corners[0] / across, raw.corners[2] / across))
    y = sorted((raw.corners[1] / down, raw.corners[3] / down))
    left, right = (min(max(side, 0.0), 1.0) for side in x)
    top, bottom = (min(max(side, 0.0), 1.0) for side in y)
    if not (right - left) * (bottom - top) >= SMALLEST:
        return None
    return Box(raw.label or thing, *(round(side, 4) for side in (left, top, right, bottom)))
