"""What a document of the editor holds, read strictly from JSON as ``document.schema.json`` has it.

docs/editor.md says what each field means. What the schema can't tell is checked here too: ids that are
unique, strokes that stay within bounds, as many radii as points.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from core.errors import UserError
from core.limits import MAX_PROMPT, MAX_SEED, MAX_UPSCALED, MIN_SIDE
from core.requests.compose import FARTHEST, LARGEST, MAX_LAYERS, SMALLEST

VERSION = 1
MOST_STROKES, MOST_RADII, MOST_REFERENCES = 2000, 20_000, 10
LOWEST, HIGHEST = -32_768, 65_535  # 1/8 px, of a stroke's points
SHA256, JOB, ID = r"[0-9a-f]{64}", r"[a-z2-9]{12}", r"[a-z0-9]{1,12}"
Read = Callable[[Any, str], Any]
Stroke = Mapping[str, Any]


@dataclass(frozen=True)
class OfJob:
    """Picture ``index`` (from 0) of a job."""

    job_id: str
    index: int


@dataclass(frozen=True)
class Uploaded:
    """A picture that the person has sent."""

    sha256: str


Source = OfJob | Uploaded


@dataclass(frozen=True)
class Layer:
    """A picture on the canvas. x, y: px of its upper left corner. clip: SHA-256 of a mask of its own size."""

    id: str
    source: Source
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    opacity: float = 1.0
    visible: bool = True
    name: str = ""
    clip: str | None = None

    @property
    def is_shown(self) -> bool:
        """Whether it can be seen at all."""
        return self.visible and self.opacity > 0

    @property
    def is_plain(self) -> bool:
        """Whether it lies on the canvas as it is: whole px, not scaled, opaque, nothing cut off it."""
        whole = self.x == int(self.x) and self.y == int(self.y)
        return whole and self.scale == 1 and self.opacity == 1 and self.clip is None


@dataclass(frozen=True)
class Mask:
    """What is painted: strokes over ``base``, the SHA-256 of a mask of the canvas' size."""

    base: str | None = None
    strokes: tuple[Stroke, ...] = field(default=(), repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever painted; whether pixels are left, only painting tells."""
        return self.base is None and not self.strokes


@dataclass(frozen=True)
class Reference:
    """A picture beside the words. role: "style", "character" or "thing"."""

    source: Source
    role: str


@dataclass(frozen=True)
class Document:
    """Layers, the lowest first, a mask and words."""

    width: int
    height: int
    layers: tuple[Layer, ...]
    mask: Mask = Mask()
    words: str = ""
    references: tuple[Reference, ...] = ()
    amount: float | None = None
    seed: int | None = None
    images: int = 4
    keep_seam: bool = False
    keep_structure: bool = False

    @property
    def shown(self) -> tuple[Layer, ...]:
        """The layers that can be seen, the lowest first."""
        return tuple(layer for layer in self.layers if layer.is_shown)

    @property
    def files(self) -> frozenset[str]:
        """SHA-256 of every file that it names by that: sent pictures, and masks."""
        given = (*(layer.source for layer in self.layers), *(one.source for one in self.references))
        sent = {source.sha256 for source in given if isinstance(source, Uploaded)}
        masks = (self.mask.base, *(layer.clip for layer in self.layers))
        return frozenset(sent | {mask for mask in masks if mask is not None})


def read(data: Any) -> Document:
    """Return the document that JSON has brought. Raises UserError, which names the field and its range."""
    found = _DOCUMENT(data, "document")
    del found["v"]
    document = Document(**found)
    ids = [layer.id for layer in document.layers]
    if len(set(ids)) < len(ids):
        raise UserError("`layers`: every layer takes an `id` of its own.")
    return document


def read_source(data: Any) -> Source:
    """Return the picture that JSON names. Raises UserError."""
    return _source(data, "source")


# Kinds of values. Each returns a function of a value and its path.


def _wrong(path: str, takes: str) -> UserError:
    return UserError(f"`{path.removeprefix('document.')}` takes {takes}.")


def _object(make: Callable[..., Any], **fields: tuple[Read, bool]) -> Read:
    """An object with these fields and no others; True = it has to be there."""

    def read_one(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(path, "an object")
        for name in value:
            if name not in fields:
                raise UserError(f"`{path}` has a field `{name[:40]}` that isn't known here.")
        for name, (_, needed) in fields.items():
            if needed and name not in value:
                raise _wrong(f"{path}.{name}", "a value; it is missing")
        return make(**{name: fields[name][0](one, f"{path}.{name}") for name, one in value.items()})

    return read_one


def _listed(kind: Read, least: int, most: int) -> Read:
    def read_one(value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise _wrong(path, f"a list of {least} to {most:,}")
        return tuple(kind(one, f"{path}[{at}]") for at, one in enumerate(value))

    return read_one


def _whole(low: int, high: int) -> Read:
    def read_one(value: Any, path: str) -> int:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high or value != int(value):
            raise _wrong(path, f"a whole number from {low:,} to {high:,}")
        return int(value)

    return read_one


def _real(low: float, high: float) -> Read:
    def read_one(value: Any, path: str) -> float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high or not math.isfinite(value):
            raise _wrong(path, f"a number from {low:g} to {high:g}")
        return value

    return read_one


def _text(most: int) -> Read:
    def read_one(value: Any, path: str) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise _wrong(path, f"a text of up to {most:,} characters")
        return value

    return read_one


def _matching(pattern: str, takes: str) -> Read:
    form = re.compile(pattern, re.ASCII)

    def read_one(value: Any, path: str) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise _wrong(path, takes)
        return value

    return read_one


def _one_of(*values: Any) -> Read:
    def read_one(value: Any, path: str) -> Any:
        if not any(value == one and type(value) is type(one) for one in values):
            raise _wrong(path, " or ".join(map(str, values)))
        return value

    return read_one


def _switch(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, "true or false")
    return value


def _or_null(kind: Read) -> Read:
    return lambda value, path: None if value is None else kind(value, path)


# What they are put together to


def _source(value: Any, path: str) -> Source:
    if isinstance(value, dict) and "upload" in value:
        return _UPLOAD(value, path)
    return _PICTURE(value, path)


def _stroke(value: Any, path: str) -> Stroke:
    tool = value.get("tool") if isinstance(value, dict) else None
    if not isinstance(tool, str) or tool not in _STROKES:
        raise _wrong(f"{path}.tool", "one of " + ", ".join(_STROKES))
    stroke = _STROKES[tool](value, path)
    if "xy" in stroke:
        count = _check_points(stroke, path)
        if "r" in stroke and len(stroke["r"]) not in (1, count):
            raise _wrong(f"{path}.r", f"one radius, or one for each of its {count:,} points")
    return stroke


def _deltas(value: Any, path: str) -> str:
    try:
        if isinstance(value, str) and len(base64.b64decode(value, validate=True)) % 4 == 0:
            return value
    except ValueError:
        pass
    raise _wrong(path, "base64 of pairs of 16-bit numbers")


def _check_points(stroke: Stroke, path: str) -> int:
    """Return how many points a stroke has. Raises UserError for one that is out of all bounds."""
    deltas = base64.b64decode(stroke["xy"])
    numbers = struct.unpack(f"<{len(deltas) // 2}h", deltas)
    if stroke["tool"] == "lasso" and len(numbers) < 4:
        raise _wrong(f"{path}.xy", "at least three points")
    for axis in (0, 1):
        places = list(accumulate(numbers[axis::2], initial=stroke["at"][axis]))
        if min(places) < LOWEST or max(places) > HIGHEST:
            raise _wrong(f"{path}.xy", f"points within {LOWEST:,} to {HIGHEST:,}")
    return len(numbers) // 2 + 1


def _strokes() -> Iterator[tuple[str, Read]]:
    value, point = (_whole(0, 1), True), (_listed(_whole(LOWEST, HIGHEST), 2, 2), True)
    line = {"value": value, "at": point, "xy": (_deltas, True)}
    radii = (_listed(_whole(6, 32_768), 1, MOST_RADII), True)
    reach = {"px": (_whole(1, 128), True)}
    box = (_listed(_whole(-4096, 8192), 4, 4), True)
    shapes = {
        "brush": {**line, "r": radii},
        "lasso": line,
        "rect": {"value": value, "box": box},
        "invert": {},
        "grow": reach,
        "shrink": reach,
    }
    for tool, fields in shapes.items():
        yield tool, _object(dict, tool=(_one_of(tool), True), **fields)


_SHA = _matching(SHA256, "a SHA-256 in hex")
_PICTURE = _object(
    lambda job, n: OfJob(job, n - 1),
    job=(_matching(JOB, "a job's id"), True),
    n=(_whole(1, 64), True),
)
_UPLOAD = _object(lambda upload: Uploaded(upload), upload=(_SHA, True))
_STROKES = dict(_strokes())
_FAR = _real(-FARTHEST, FARTHEST)
_LAYER = _object(
    Layer,
    id=(_matching(ID, "1 to 12 of a-z and 0-9"), True),
    source=(_source, True),
    x=(_FAR, False),
    y=(_FAR, False),
    scale=(_real(SMALLEST, LARGEST), False),
    opacity=(_real(0, 1), False),
    visible=(_switch, False),
    name=(_text(80), False),
    clip=(_or_null(_SHA), False),
)
_DOCUMENT = _object(
    dict,
    v=(_one_of(VERSION), True),
    width=(_whole(MIN_SIDE, MAX_UPSCALED), True),
    height=(_whole(MIN_SIDE, MAX_UPSCALED), True),
    layers=(_listed(_LAYER, 1, MAX_LAYERS), True),
    mask=(
        _object(Mask, base=(_or_null(_SHA), False), strokes=(_listed(_stroke, 0, MOST_STROKES), False)),
        False,
    ),
    words=(_text(MAX_PROMPT), False),
    references=(
        _listed(
            _object(
                lambda source, **role: Reference(source, role["as"]),
                source=(_source, True),
                **{"as": (_one_of("style", "character", "thing"), True)},
            ),
            0,
            MOST_REFERENCES,
        ),
        False,
    ),
    amount=(_or_null(_real(0, 1)), False),
    seed=(_or_null(_whole(0, MAX_SEED)), False),
    images=(_whole(1, 4), False),
    keep_seam=(_switch, False),
    keep_structure=(_switch, False),
)
