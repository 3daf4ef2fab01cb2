"""Operations on pictures as numbers: what of them is set and hangs together, by sides, not by corners, and
where in the picture that is in words; edges as thin white lines, by Canny's method (IEEE TPAMI 8(6), 1986),
which a ControlNet for edges was trained on; and where old pixels and new ones, or tiles of a picture, meet:
how much of each a pixel is, what stands in the gaps before they are painted, the drift of colours that is
taken back at their edge, and how a large picture is cut into overlapping tiles of a model's own size and
joined again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vision.images import encode

Flags = NDArray[np.bool_]  # (height, width)
Real = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom


def pieces(some: Flags, inside: Flags) -> Iterator[Flags]:
    """Yield each connected part of ``inside`` that has a pixel of ``some``."""
    left = some & inside
    while left.any():
        start = np.zeros_like(left)
        start[np.unravel_index(left.argmax(), left.shape)] = True
        piece = connected(start, inside)
        left &= ~piece
        yield piece


def connected(start: Flags, inside: Flags) -> Flags:
    """Return the part of ``inside`` that is connected with ``start``, in runs of whole rows and columns."""
    part = start & inside
    while True:
        grown = part
        for axis in (1, 0):
            grown = _along(grown, inside, axis)
        if (grown == part).all():
            return part
        part = grown


def _along(part: Flags, inside: Flags, axis: int) -> Flags:
    """Return ``part`` with all of ``inside`` that is next to it in its rows (axis 1) or columns (0)."""
    if axis == 0:
        return _along(part.T, inside.T, 1).T
    edges = np.diff(inside, axis=1, prepend=False)
    runs = np.cumsum(edges, axis=1)  # each run of a row has a number of its own
    numbers = runs + np.arange(len(part))[:, None] * (part.shape[1] + 2)
    touched = np.zeros(int(numbers.max()) + 1, bool)
    touched[numbers[part & inside]] = True
    return touched[numbers] & inside


def place(x: float, y: float) -> str:
    """Return "upper left", "middle", "right" … for a point, 0..1 from the left and from the top."""
    across, down = ("left", "", "right")[_third(x)], ("upper", "", "lower")[_third(y)]
    if down and not across:
        return "top" if down == "upper" else "bottom"
    return " ".join(word for word in (down, across) if word) or "middle"


def place_of(mask: Image.Image) -> str:
    """Return where the middle of a mask (255 = the object) is, and how much it takes. It isn't empty."""
    inside = np.asarray(mask) > 127
    rows, columns = np.nonzero(inside)
    x, y = (columns.mean() + 0.5) / mask.width, (rows.mean() + 0.5) / mask.height
    return f"in the {place(x, y)}, {max(1, round(100 * inside.mean()))} % of the picture"


def _third(value: float) -> int:
    return min(2, max(0, int(value * 3)))


WEAK, STRONG = 100, 200  # of the gradient; those of OpenCV in diffusers' guide to ControlNet
BLUR = 1.0  # px, against noise
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # (rows, columns) across an edge, in steps of 45 degrees


def edges(image: Image.Image) -> Image.Image:
    """Return the edges of ``image`` as an RGB picture of its size, white on black."""
    grey = np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(BLUR)), np.float32)
    # Sobel's gradients to the right and downwards; the border is continued outwards
    wide = np.pad(grey, 1, mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    columns = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    across, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    size = np.abs(across) + np.abs(down)
    thin = _thinned(size, across, down)
    strong, weak = thin & (size > STRONG), thin & (size > WEAK)
    # weak edges stay that hang together with strong ones, by corners too
    joined = weak.copy()
    joined[:-1, 1:] |= weak[:-1, :-1] & weak[1:, 1:]  # a pixel that joins two that only touch by a corner
    joined[:-1, :-1] |= weak[:-1, 1:] & weak[1:, :-1]
    found = connected(strong, joined) & weak
    return Image.fromarray(found.astype(np.uint8) * 255).convert("RGB")


def _thinned(size: Real, across: Real, down: Real) -> Flags:
    """Return where the gradient is largest across its edge."""
    turn = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    wide, best = np.pad(size, 1), np.zeros(size.shape, bool)
    height, width = size.shape
    for number, (y, x) in enumerate(DIRECTIONS):
        ahead = wide[1 + y : 1 + y + height, 1 + x : 1 + x + width]
        behind = wide[1 - y : 1 - y + height, 1 - x : 1 - x + width]
        best |= (turn == number) & (size > behind) & (size >= ahead)
    return best


NOISE = 40  # standard deviation of the noise in the gaps, of 255
MAX_TONE = 40  # of 255: larger differences are other things, not another tone of the ground
MAX_CORRECTION = 16  # of 255: larger differences are other things, not a drift of colour


def distance(flags: Flags, most: int) -> NDArray[np.int16]:
    """Return how far each pixel is from the nearest set one, steps down and across added up; ``most`` + 1 for
    more, and where nothing is set."""
    far = np.int16(most + 1)
    found = np.where(flags, np.int16(0), far)
    for axis in (0, 1):
        steps = np.arange(found.shape[axis], dtype=np.int16).reshape((-1, 1) if axis == 0 else (1, -1))
        before = np.minimum.accumulate(found - steps, axis=axis) + steps
        turned = np.flip(found, axis)
        after = np.flip(np.minimum.accumulate(turned - steps, axis=axis) + steps, axis)
        found = np.minimum(np.minimum(before, after), far)
    return found


def alpha(marked: Flags, uncovered: Flags, seam: int, edge: int) -> Real:
    """Return (h, w): how much of a pixel is new, 0..1, and 0 exactly where nothing may change. 1 where
    nothing lay. Into what is ``marked`` it rises over about ``edge`` px, inside of it only. From uncovered
    parts it falls to 0 within ``seam`` px of the old picture."""
    new = marked | uncovered
    core = eroded(new, edge)
    blurred = Image.fromarray(core.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(edge))
    soft = np.asarray(blurred, np.float32) / 255
    # parts of it that are thinner than the edge are wholly new
    weight = np.where(new, np.where(dilated(core, 2 * edge), soft, np.float32(1)), np.float32(0))
    if seam:
        away = distance(uncovered, seam)
        share = np.clip(1 - (away - 0.5) / seam, 0, 1)
        fading = np.where(away <= seam, share * share * (3 - 2 * share), 0).astype(np.float32)
        weight = np.maximum(weight, fading)
    weight[uncovered] = 1
    return weight


def dilated(flags: Flags, reach: int) -> Flags:
    """Return ``flags`` with every pixel that has a set one at most ``reach`` px away, down and across. Takes
    the same time for any reach, which a rank filter doesn't."""
    for axis in (0, 1):
        length = flags.shape[axis]
        begun = np.zeros((1, flags.shape[1]) if axis == 0 else (flags.shape[0], 1), np.int16)
        counts = np.concatenate([begun, np.cumsum(flags, axis=axis, dtype=np.int16)], axis=axis)
        places = np.arange(length)
        ends = np.minimum(places + reach + 1, length), np.maximum(places - reach, 0)
        flags = np.take(counts, ends[0], axis=axis) > np.take(counts, ends[1], axis=axis)
    return flags


def eroded(flags: Flags, reach: int) -> Flags:
    """Return ``flags`` without every pixel that has an unset one at most ``reach`` px away, down and across;
    beyond the edges there is none."""
    return ~dilated(~flags, reach)


def part(values: np.ndarray, box: Box) -> np.ndarray:
    """Return what ``box`` shows of (h, w, ...); beyond the edges that is its mirror image."""
    left, top, right, bottom = box
    height, width = values.shape[:2]
    beyond = (max(0, -top), max(0, bottom - height)), (max(0, -left), max(0, right - width))
    wide = np.pad(values, (*beyond, *((0, 0),) * (values.ndim - 2)), mode="symmetric")
    y, x = top + beyond[0][0], left + beyond[1][0]
    return wide[y : y + bottom - top, x : x + right - left]


def filled(colour: Image.Image, known: Image.Image) -> Image.Image:
    """Return the picture with its gaps filled from around them, and noise there that is always the same.
    known: "L", how much of each pixel is known, 0 to 255; ``colour`` is as dark as it is unknown."""
    share = np.asarray(known, np.float32)[..., None] / 255
    around = _spread(np.asarray(colour, np.float32), share)
    noise = np.random.default_rng(0).normal(0, NOISE, around.shape)
    return Image.fromarray((around + noise * (1 - share)).clip(0, 255).round().astype(np.uint8))


def _spread(colour: Any, share: Any) -> Any:
    """Return colours where ``share`` is over 0, elsewhere those of a picture half as large."""
    there = share > 1 / 512
    own = colour / np.where(there, share, 1)
    if there.all() or max(share.shape[:2]) == 1:
        return own
    height, width = share.shape[:2]
    small = _spread(_halved(colour), _halved(share))
    planes = [
        np.asarray(Image.fromarray(small[..., i]).resize((width, height), Image.Resampling.BILINEAR))
        for i in range(3)
    ]
    return np.where(there, own, np.stack(planes, axis=-1))


def _halved(values: Any) -> Any:
    """Return the means of 2 × 2 pixels; the last row and column stand twice where they have no partner."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def drift(old: Image.Image, painted: Image.Image, known: Flags, blur: float) -> Image.Image:
    """Return what has to be added to ``painted``, 128 = nothing: the soft difference of known pixels, fading
    to nothing away from them. All of one size. Models and decoders shift flat colours by a few levels, and a
    flat sky shows the edge of any shift."""
    apart = np.asarray(old, np.int16) - np.asarray(painted, np.int16)
    kept = np.where(known[..., None], apart.clip(-MAX_CORRECTION, MAX_CORRECTION), 0) + 128
    filter_ = ImageFilter.GaussianBlur(blur)
    soft = np.asarray(Image.fromarray(kept.astype(np.uint8)).filter(filter_), np.float32) - 128
    near = Image.fromarray(known.astype(np.uint8) * 255).filter(filter_)
    share = np.asarray(near, np.float32)[..., None] / 255  # about 1/2 at an edge, 0 far away
    return Image.fromarray((soft / np.maximum(share, 0.5) + 128).clip(0, 255).round().astype(np.uint8))


def tone(old: Image.Image, painted: Image.Image, inside: Flags) -> Image.Image:
    """Return what has to be added to ``painted``, 128 = nothing, so that its ground has the tone of ``old``:
    by what they differ along the rim of ``inside``, spread over all of it like a membrane (Pérez, Gangnet and
    Blake, "Poisson image editing", SIGGRAPH 2003). Where they differ by more than MAX_TONE, a thing was drawn
    or taken away, and that says nothing of the ground. Of the size of ``painted``."""
    size = painted.size
    wide = max(2, min(size) // 32)
    marked = (
        np.asarray(Image.fromarray(inside.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)) == 255
    )
    apart = np.asarray(encode.resize(old, size), np.float32) - np.asarray(painted, np.float32)
    rim = marked & ~eroded(marked, wide) & (np.abs(apart).max(-1) <= MAX_TONE)
    if not rim.any():
        return Image.new("RGB", size, (128, 128, 128))
    share = rim[..., None].astype(np.float32)
    added = Image.fromarray((_spread(apart * share, share) + 128).clip(0, 255).round().astype(np.uint8))
    return added.filter(ImageFilter.GaussianBlur(wide / 2))


OVERLAP = 0.2  # the least, as a share of a tile's side


@dataclass(frozen=True)
class Tiles:
    """How a canvas is cut, in px. size: (w, h) of the canvas. tile: (w, h) of each tile. places: the tiles'
    upper left corners."""

    size: tuple[int, int]
    tile: tuple[int, int]
    places: tuple[tuple[int, int], ...]

    def cut(self, image: Image.Image) -> tuple[Image.Image, ...]:
        """Return the tiles of ``image``, which has the canvas's size."""
        return tuple(image.crop((x, y, x + self.tile[0], y + self.tile[1])) for x, y in self.places)

    def join(self, tiles: Sequence[Image.Image]) -> Image.Image:
        """Return the canvas made of ``tiles``. Where they overlap, one fades into the other."""
        total = np.zeros((self.size[1], self.size[0], 3), np.float32)
        weight = np.zeros((self.size[1], self.size[0], 1), np.float32)
        for (x, y), tile in zip(self.places, tiles, strict=True):
            share = np.outer(self._ramp(1, y), self._ramp(0, x))[..., None]  # (h, w, 1)
            box = slice(y, y + self.tile[1]), slice(x, x + self.tile[0])
            total[box] += np.asarray(tile, np.float32) * share
            weight[box] += share
        return Image.fromarray((total / weight).round().clip(0, 255).astype(np.uint8))

    def _ramp(self, axis: int, place: int) -> np.ndarray:
        """Return a tile's weight along an axis: 1 in its middle, falling towards edges inside of the canvas
        over the least overlap."""
        side, width = self.tile[axis], max(1, round(self.tile[axis] * OVERLAP))
        line = np.ones(side, np.float32)
        rise = (np.arange(width, dtype=np.float32) + 0.5) / width
        if place > 0:
            line[:width] = rise
        if place + side < self.size[axis]:
            line[-width:] = rise[::-1]
        return line


def plan_tiles(size: tuple[int, int], side: int, multiple: int) -> Tiles:
    """Return tiles of about ``side`` px for a picture of ``size``; sides are multiples of ``multiple``."""
    most = max(multiple, side // multiple * multiple)
    tile = min(size[0], most), min(size[1], most)

    def places(length: int, part: int) -> list[int]:
        if length == part:
            return [0]
        count = 1 + -(-(length - part) // max(1, int(part * (1 - OVERLAP))))
        return [round(i * (length - part) / (count - 1)) for i in range(count)]

    xs, ys = (places(length, part) for length, part in zip(size, tile, strict=True))
    return Tiles(size, tile, tuple((x, y) for y in ys for x in xs))


def padded(image: Image.Image, multiple: int) -> Image.Image:
    """Return ``image`` with its last rows and columns repeated up to multiples of ``multiple``."""
    right, below = (-image.width % multiple, -image.height % multiple)
    if not right and not below:
        return image
    return Image.fromarray(np.pad(np.asarray(image), ((0, below), (0, right), (0, 0)), mode="edge"))


def recoloured(image: Image.Image, like: Image.Image, radius: float) -> Image.Image:
    """Return ``image`` with the soft colours of ``like``: models shift flat ones by a few levels."""
    soft = ImageFilter.GaussianBlur(radius)
    small = encode.resize(like, image.size)
    difference = np.asarray(small.filter(soft), np.float32) - np.asarray(image.filter(soft), np.float32)
    return Image.fromarray((np.asarray(image, np.float32) + difference).round().clip(0, 255).astype(np.uint8))
