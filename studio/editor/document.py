"""What a document of the editor holds, read strictly from JSON.

docs/reference/editor-document.md lists the fields. What a schema can't tell is checked here: ids that are
unique, strokes that stay within bounds, as many radii as points.
"""

import base64
import re
import struct
from itertools import accumulate
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, field, inspect

from core.errors import UserError
from core.limits import MAX_PROMPT, MAX_SEED, MAX_UPSCALED, MIN_SIDE
from core.requests.images import FARTHEST, LARGEST, MAX_LAYERS, SMALLEST

MOST_STROKES, MOST_RADII, MOST_REFERENCES = 2000, 20_000, 10
LOWEST, HIGHEST = -32_768, 65_535  # 1/8 px, of a stroke's points
_END = r"$(?!\n)"
Sha256 = Annotated[str, Meta(pattern=f"^[0-9a-f]{{64}}{_END}", extra={"takes": "a SHA-256 in hex"})]
Side = Annotated[int, Meta(ge=MIN_SIDE, le=MAX_UPSCALED)]
Place = Annotated[int, Meta(ge=-FARTHEST, le=FARTHEST)] | Annotated[float, Meta(ge=-FARTHEST, le=FARTHEST)]
Scale = Annotated[int, Meta(ge=1, le=int(LARGEST))] | Annotated[float, Meta(ge=SMALLEST, le=LARGEST)]
Share = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)]
Eighths = Annotated[int, Meta(ge=LOWEST, le=HIGHEST)]
Edge = Annotated[int, Meta(ge=-4096, le=8192)]
Reach = Annotated[int, Meta(ge=1, le=128)]
Point = Annotated[tuple[Eighths, ...], Meta(min_length=2, max_length=2)]
Radii = Annotated[
    tuple[Annotated[int, Meta(ge=6, le=32_768)], ...], Meta(min_length=1, max_length=MOST_RADII)
]
Deltas = Annotated[
    str,
    Meta(
        pattern=rf"^(?:[A-Za-z0-9+/]{{4}})*(?:[A-Za-z0-9+/]{{2}}==|[A-Za-z0-9+/]{{3}}=)?{_END}",
        extra={"takes": "base64 of pairs of 16-bit numbers"},
    ),
]


class _Strict(Struct, frozen=True, forbid_unknown_fields=True):
    """An object that takes no other fields."""


class Source(_Strict, frozen=True):
    """A picture: one of a job, or one that the person has sent. job: the job's id. n: the picture's number,
    from 1. upload: the SHA-256 of a picture that was sent."""

    job: Annotated[str, Meta(pattern=f"^[a-z2-9]{{12}}{_END}", extra={"takes": "a job's id"})] | UnsetType = (
        UNSET
    )
    n: Annotated[int, Meta(ge=1, le=64)] | UnsetType = UNSET
    upload: Sha256 | UnsetType = UNSET

    def __post_init__(self) -> None:
        of_job = (self.job is not UNSET, self.n is not UNSET)
        if of_job != ((True, True) if self.upload is UNSET else (False, False)):
            raise ValueError("a `job` and its picture's number `n`, or an `upload`")


EITHER = Meta(extra_json_schema={"oneOf": [{"required": ["job", "n"]}, {"required": ["upload"]}]})
Picture = Annotated[Source, EITHER]


class Layer(_Strict, frozen=True):
    """A picture on the canvas. id: unique among the layers. source: its picture. x, y: px of its upper left
    corner on the canvas. scale: factor of its size. opacity: 0 to 1. visible: false hides it. name: as the
    list of layers shows it. clip: SHA-256 of a mask of the picture's own size; where that is 0, the layer is
    cut away."""

    id: Annotated[str, Meta(pattern=f"^[a-z0-9]{{1,12}}{_END}", extra={"takes": "1 to 12 of a-z and 0-9"})]
    source: Picture
    x: Place = 0.0
    y: Place = 0.0
    scale: Scale = 1.0
    opacity: Share = 1.0
    visible: bool = True
    name: Annotated[str, Meta(max_length=80)] = ""
    clip: Sha256 | None = None

    @property
    def is_shown(self) -> bool:
        """Whether it can be seen at all."""
        return self.visible and self.opacity > 0

    @property
    def is_plain(self) -> bool:
        """Whether it lies on the canvas as it is: whole px, not scaled, opaque, nothing cut off it."""
        whole = self.x == int(self.x) and self.y == int(self.y)
        return whole and self.scale == 1 and self.opacity == 1 and self.clip is None


class Lasso(_Strict, frozen=True, tag_field="tool", tag="lasso"):
    """What lies within a line of at least three points. value: 1 paints, 0 erases. at: the first
    point, in ⅛ px. xy: base64 of pairs of little-endian int16, how far each point lies from the one
    before, in ⅛ px."""

    value: Annotated[int, Meta(ge=0, le=1)]
    at: Point
    xy: Annotated[Deltas, Meta(extra_json_schema={"minLength": 12})]

    def __post_init__(self) -> None:
        if self.count_points() < 3:
            raise ValueError("xy: at least three points")

    def count_points(self) -> int:
        """Return how many points it has. Raises ValueError for one that is out of all bounds."""
        deltas = base64.b64decode(self.xy)
        if len(deltas) % 4:
            raise ValueError("xy: base64 of pairs of 16-bit numbers")
        numbers = struct.unpack(f"<{len(deltas) // 2}h", deltas)
        for axis in (0, 1):
            places = list(accumulate(numbers[axis::2], initial=self.at[axis]))
            if min(places) < LOWEST or max(places) > HIGHEST:
                raise ValueError(f"xy: points within {LOWEST:,} to {HIGHEST:,}")
        return len(numbers) // 2 + 1


class Brush(Lasso, frozen=True, tag_field="tool", tag="brush"):
    """A line. value: 1 paints, 0 erases. at: the first point, in ⅛ px. xy: base64 of pairs of
    little-endian int16, how far each point lies from the one before, in ⅛ px. r: radii in ⅛ px, one for
    all points or one for each."""

    xy: Deltas
    r: Radii

    def __post_init__(self) -> None:
        if len(self.r) not in (1, count := self.count_points()):
            raise ValueError(f"r: one radius, or one for each of its {count:,} points")


class Rect(_Strict, frozen=True, tag_field="tool", tag="rect"):
    """A rectangle. value: 1 paints, 0 erases. box: left, top, right and bottom, px; right and bottom
    are not part of it."""

    value: Annotated[int, Meta(ge=0, le=1)]
    box: Annotated[tuple[Edge, ...], Meta(min_length=4, max_length=4)]


class Invert(_Strict, frozen=True, tag_field="tool", tag="invert"):
    """What was painted becomes what wasn't."""


class Grow(_Strict, frozen=True, tag_field="tool", tag="grow"):
    """What was painted grows. px: how far."""

    px: Reach


class Shrink(Grow, frozen=True, tag_field="tool", tag="shrink"):
    """What was painted shrinks. px: how far."""


Stroke = Brush | Lasso | Rect | Invert | Grow | Shrink


class Mask(_Strict, frozen=True):
    """What is painted. base: the SHA-256 of a mask of the canvas' size; null = nothing. strokes: painted
    over it, in their order."""

    base: Sha256 | None = None
    strokes: Annotated[tuple[Stroke, ...], Meta(max_length=MOST_STROKES)] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever painted; whether pixels are left, only painting tells."""
        return self.base is None and not self.strokes


class Reference(_Strict, frozen=True):
    """A picture beside the words. source: the picture. as: what it is a reference for."""

    source: Picture
    role: Annotated[
        Literal["style", "character", "thing"], Meta(extra={"takes": "style or character or thing"})
    ] = field(name="as")


class Document(_Strict, frozen=True):
    """A whole document. v: the version of this format. width, height: of the canvas, px. layers: pictures
    on the canvas, the lowest first. mask: what is painted, and drawn again. words: a prompt with its
    parameters; empty = the picture's own. references: pictures beside the words. amount: 0 keeps what is
    there, 1 ignores it, as ``--strength``; null = the model's own. seed: of the first picture; null =
    another each time. images: how many pictures. keep_seam: no pixel of a layer changes outside of the
    mask, not even along an edge that is extended. keep_structure: other looks for the same shapes."""

    v: Literal[1]
    width: Side
    height: Side
    layers: Annotated[tuple[Layer, ...], Meta(min_length=1, max_length=MAX_LAYERS)]
    mask: Mask = Mask()
    words: Annotated[str, Meta(max_length=MAX_PROMPT)] = ""
    references: Annotated[tuple[Reference, ...], Meta(max_length=MOST_REFERENCES)] = ()
    amount: Share | None = None
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)] | None = None
    images: Annotated[int, Meta(ge=1, le=4)] = 4
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
        masks = (self.mask.base, *(layer.clip for layer in self.layers))
        return frozenset(name for name in (*(one.upload for one in given), *masks) if isinstance(name, str))


def read_document(data: Any) -> Document:
    """Return the document that JSON has brought. Raises UserError, which names the field and its range."""
    document = _read(data, Document, "document")
    ids = [layer.id for layer in document.layers]
    if len(set(ids)) < len(ids):
        raise UserError("`layers`: every layer needs its own `id`.")
    return document


def read_source(data: Any) -> Source:
    """Return the picture that JSON names. Raises UserError."""
    return _read(data, Source, "source")


T = TypeVar("T", bound=Struct)


def _read(data: Any, kind: type[T], name: str) -> T:
    try:
        return msgspec.convert(_with_integers(data), kind)
    except ValidationError as error:
        raise UserError(_said(str(error), data, kind, name)) from error


def _with_integers(data: Any) -> Any:
    """Return data with 2 for 2.0, which is the same number in JSON."""
    if isinstance(data, dict):
        return {name: _with_integers(one) for name, one in data.items()}
    if isinstance(data, list):
        return [_with_integers(one) for one in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


# What is wrong with a value, in our words: which field it is and what that takes


def _said(message: str, data: Any, kind: type[Struct], name: str) -> str:
    text, _, path = message.partition(" - at `$")
    path = path.removesuffix("`")
    named = re.fullmatch(r"Object (missing|contains).* field `(.*?)`?", text)
    if named and named[1] == "contains":
        return f"`{name}{path}` has a field `{named[2][:40]}` that isn't known here."
    takes = "a value; it is missing"
    if named:
        path = f"{path}.{named[2]}"
    elif text.startswith(("Expected", "Invalid")):
        takes = _takes(_at(path, data, inspect.type_info(kind)))
    else:  # of a ``__post_init__``
        field_, colon, takes = text.rpartition(": ")
        path += f".{field_}" if colon else ""
    if path.endswith(".tool"):
        takes = "one of brush, lasso, rect, invert, grow, shrink"
    return f"`{f'{name}{path}'.removeprefix('document.')}` takes {takes}."


def _at(path: str, data: Any, kind: inspect.Type) -> inspect.Type:
    """Return what stands at a path such as ".layers[0].x"; of several kinds of objects, that of ``data``."""
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        kind = _plain(kind, data)
        if isinstance(kind, inspect.StructType):
            kind = next((one.type for one in kind.fields if one.encode_name == name), kind)
            data = data.get(name)
        elif isinstance(kind, inspect.VarTupleType):
            kind, data = kind.item_type, data[int(index)]
    return kind


def _plain(kind: inspect.Type, data: Any) -> inspect.Type:
    """Return a kind without what surrounds it: notes, and the kinds beside it that the value isn't."""
    while isinstance(kind, inspect.Metadata) and "takes" not in (kind.extra or {}):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        tool = data.get("tool") if isinstance(data, dict) else None
        kinds = [_plain(one, data) for one in kind.types if not isinstance(one, inspect.NoneType)]
        kinds.sort(key=lambda one: (getattr(one, "tag", None) == tool, isinstance(one, inspect.FloatType)))
        return kinds[-1]
    return kind


def _takes(kind: inspect.Type) -> str:
    match _plain(kind, None):
        case inspect.Metadata(extra={"takes": takes}):
            return str(takes)
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low:,} to {high:,}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case inspect.StrType(max_length=most):
            return f"a text of up to {most:,} characters"
        case inspect.VarTupleType(min_length=least, max_length=most):
            return f"a list of {least or 0} to {most:,}"
        case inspect.LiteralType(values=(value,)):
            return str(value)
        case inspect.BoolType():
            return "true or false"
        case _:
            return "an object"
