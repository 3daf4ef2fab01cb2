"""Takes a picture apart into a thing and what lies behind it. Numpy and PIL only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vision.pictures.pieces import connected
from vision.pictures.seam import dilated, eroded

AROUND = 0.09  # of a side: a thing's shadow and the blur of its edge lie within
AWAY = 0.05  # of a side: beyond lies mostly the ground
ROUGH = 1.5  # times the ground's mean difference: what differs by so much is still the ground
EDGE = 0.012  # of a side: in the edge of a thing, its own colours mix with the ground's
NEAR, FAR = 10.0, 34.0  # distance in RGB at which a pixel still shows the ground, and at which none of it
BORDER = 4  # px whose mean a row goes on with
LEAST = 0.002  # of the picture: a smaller thing is none
Real = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layers:
    """A picture in two layers. thing: (h, w, 4), its colours times its alpha, and its alpha, 0..255. ground:
    (h, w, 3). box: around the thing (left, top, right, bottom), px. picture: both together."""

    thing: Real
    ground: Real
    box: tuple[int, int, int, int]
    picture: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.picture.size


def cut(image: Image.Image, mask: Image.Image) -> Layers | None:
    """Return the layers of an RGB picture; None where the mask is nearly empty, or what it covers is no other
    than what lies around it. mask: "L" at its size, 255 = the thing."""
    inside = np.asarray(mask) > 127
    if inside.mean() < LEAST:
        return None
    colours, side = np.asarray(image, np.float32), max(image.size)
    near = dilated(inside, round(AROUND * side))
    ground = filled(colours, near)
    apart = np.minimum(np.linalg.norm(colours - ground, axis=-1), _off_the_row(colours, near))
    ground, alpha = _matte(colours, ground, inside, near, apart, side)
    ys, xs = np.nonzero((alpha > 0.5) & dilated(inside, round(2 * EDGE * side)))  # without its shadow
    if not len(xs):
        return None
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    thing = np.dstack([colours * alpha[..., None], alpha * 255]).astype(np.float32)
    return Layers(thing, ground, box, image)


def _matte(
    colours: Real,
    ground: Real,
    inside: NDArray[np.bool_],
    near: NDArray[np.bool_],
    apart: NDArray[np.floating],
    side: int,
) -> tuple[Real, Real]:
    """Return the ground, with its own pixels back where nothing of the thing is, and (h, w): how much of each
    pixel is the thing's, 0..1. Its shadow is the thing's, too."""
    edge = max(1, round(EDGE * side))
    core = eroded(inside, edge)
    shows = np.clip((apart - _roughness(apart, inside, near, side) - NEAR) / (FAR - NEAR), 0, 1)
    shows = shows.astype(np.float32)
    joined = connected(inside, near & ((shows > 0.15) | inside))
    reach = dilated(joined, edge) & near
    alpha = np.where(core, 1, np.where(reach, np.maximum(shows, 0), 0)).astype(np.float32)
    soft = np.asarray(_image(alpha * 255).filter(ImageFilter.GaussianBlur(0.25 * edge)), np.float32) / 255
    alpha = np.where(core, np.float32(1), soft)
    own = ~dilated(alpha > 0.02, edge)
    ground = np.where((near & own)[..., None], colours, ground).astype(np.float32)
    return ground, alpha


def _roughness(
    apart: NDArray[np.floating], inside: NDArray[np.bool_], near: NDArray[np.bool_], side: int
) -> Real:
    """(h, w): by how much the ground differs from what it is led over to be, as where it has a grain or
    clouds: the mean of that a little away from the thing, around each pixel."""
    away = near & ~dilated(inside, round(AWAY * side))
    blur = ImageFilter.BoxBlur(AROUND * side)
    finite = np.where(away, apart, 0).clip(0, 255)
    sums, shares = (np.asarray(_image(values).filter(blur), np.float32) for values in (finite, away * 255.0))
    return np.asarray(ROUGH * 255 * sums / np.maximum(shares, 1), np.float32)


def filled(colours: Real, hole: NDArray[np.bool_]) -> Real:
    """Return (h, w, 3) with each row of a hole led over from what lies left and right of it: horizons and
    skies go on. Rows without anything beside the hole are led over from above and below."""
    known, result = ~hole, colours.copy()
    whole = ~known.any(1)
    for y in np.flatnonzero(hole.any(1) & ~whole):
        result[y] = _led_over(colours[y], known[y])
    if whole.any() and not whole.all():
        places, have = np.arange(len(result)), np.flatnonzero(~whole)
        for channel in range(3):
            for x in range(result.shape[1]):
                result[whole, x, channel] = np.interp(places[whole], have, result[have, x, channel])
    soft = _down(result, max(1, len(result) // 128))
    return np.where(hole[..., None], soft, colours).astype(np.float32)


def _off_the_row(colours: Real, hole: NDArray[np.bool_]) -> Real:
    """(h, w): how far each colour is from all mixtures of those that its row has left and right of the hole:
    what the ground has there, too, as where a horizon slopes, is none of the thing."""
    known = ~hole
    places = np.arange(hole.shape[1])
    before = np.maximum.accumulate(np.where(known, places, -1), 1)
    after = np.minimum.accumulate(np.where(known, places, hole.shape[1])[:, ::-1], 1)[:, ::-1]
    one_sided = np.where(before < 0, after, before), np.where(after >= hole.shape[1], before, after)
    left, right = (
        np.take_along_axis(colours, at.clip(0, hole.shape[1] - 1)[..., None], 1) for at in one_sided
    )
    way = right - left
    share = ((colours - left) * way).sum(-1) / np.maximum((way**2).sum(-1), 1e-6)
    apart = np.linalg.norm(colours - left - share.clip(0, 1)[..., None] * way, axis=-1)
    apart[~known.any(1)] = np.inf
    return np.asarray(apart, np.float32)


def _led_over(row: Real, known: NDArray[np.bool_]) -> Real:
    """(w, 3): a line of colours whose unknown runs go from the colour before to the one after."""
    line, ends = row.copy(), np.diff(known.astype(np.int8), prepend=1, append=1)
    for begin, end in zip(np.flatnonzero(ends == -1), np.flatnonzero(ends == 1), strict=True):
        left = row[max(0, begin - BORDER) : begin][known[max(0, begin - BORDER) : begin]]
        right = row[end : end + BORDER][known[end : end + BORDER]]
        first = left.mean(0) if len(left) else right.mean(0)
        last = right.mean(0) if len(right) else first
        share = np.linspace(0, 1, end - begin, dtype=np.float32)[:, None]
        line[begin:end] = first * (1 - share) + last * share
    return line


def _down(values: Real, reach: int) -> Real:
    """Return the mean of the rows around each row, within ``reach``."""
    padded = np.pad(values, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    return sum(padded[i : i + len(values)] for i in range(2 * reach + 1)) / np.float32(2 * reach + 1)  # type: ignore[return-value]


def _image(values: Real) -> Image.Image:
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
