"""Rectangles of one colour in a chart: its bars, and the patches of its legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

NEAR = 36  # largest difference of a channel between pixels of one colour
LEAST_SHARE = 0.0004  # of the pixels, for a colour
MOST_COLOURS = 24
LEAST_SIDE = 3  # px
FILLED = 0.8  # of a rectangle
OUTLINE = 4  # px; thicker is no outline
AROUND = 5  # px beside an end, in which it is blurred
FAR = 4, 7  # px from a bar's side: there, something else has to be
Pixels = np.ndarray


@dataclass(frozen=True)
class Bar:
    """A rectangle: left, top, right, bottom (px, the last two just outside), and its colour's number."""

    left: float
    top: float
    right: float
    bottom: float
    colour: int

    @property
    def width(self) -> float:
        """Across."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Down."""
        return self.bottom - self.top

    @property
    def x(self) -> float:
        """The middle across."""
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        """The middle down."""
        return (self.top + self.bottom) / 2

    def end(self, base: float) -> float:
        """Return the end of a standing bar that isn't at ``base``, the line where bars begin."""
        return self.top if abs(self.bottom - base) <= abs(self.top - base) else self.bottom


@dataclass(frozen=True)
class Coloured:
    """A picture by its main colours. colours: (n, 3). which: (H, W) number of each pixel's colour, -1 =
    none of them. pixels: (H, W, 3) of the picture itself."""

    colours: Pixels
    which: Pixels
    pixels: Pixels

    def mirrored(self) -> Coloured:
        """Return it with rows as columns."""
        return Coloured(self.colours, self.which.T, self.pixels.transpose(1, 0, 2))

    def _part(self, left: float, top: float, right: float, bottom: float) -> Pixels:
        return self.which[max(0, int(top)) : max(0, int(bottom)), max(0, int(left)) : max(0, int(right))]

    def share_in(self, colour: int, left: float, top: float, right: float, bottom: float) -> float:
        """Return how much of a part has a colour, 0..1."""
        part = self._part(left, top, right, bottom)
        return float((part == colour).mean()) if part.size else 0.0

    def most_in(self, left: float, top: float, right: float, bottom: float) -> int:
        """Return the most common colour in a part, -1 where there is none."""
        part = self._part(left, top, right, bottom)
        found = part[part >= 0]
        return int(np.bincount(found).argmax()) if found.size else -1


def colours_of(image: Image.Image) -> Coloured:
    """Return a picture (RGB) by its main colours."""
    import cv2

    pixels = cv2.medianBlur(np.ascontiguousarray(np.asarray(image)), 3)
    fine = pixels.astype(np.int32) // 8  # 32 shades of each channel: what follows is done once for each
    fine = (fine[..., 0] * 1024 + fine[..., 1] * 32 + fine[..., 2]).ravel()
    counts = np.bincount(fine, minlength=32**3)
    shades = np.stack(np.unravel_index(np.arange(32**3), (32, 32, 32)), 1) * 8 + 3.5
    coarse = (shades // 16).astype(np.int32) @ np.array([256, 16, 1], np.int32)
    together = np.bincount(coarse, counts, 4096)
    sums = np.stack([np.bincount(coarse, counts * shades[:, c], 4096) for c in range(3)], 1)
    centres: list[Pixels] = []
    for place in np.argsort(-together):
        if together[place] < LEAST_SHARE * len(fine) or len(centres) == MOST_COLOURS:
            break
        mean = sums[place] / together[place]
        if all(np.abs(mean - centre).max() > NEAR * 0.8 for centre in centres):
            centres.append(mean)
    colours = np.array(centres)
    apart = np.abs(shades[:, None] - colours[None]).max(2)  # (32768, n)
    number = np.where(apart.min(1) < NEAR, apart.argmin(1), -1).astype(np.int16)
    which = number[fine]
    return Coloured(colours, which.reshape(pixels.shape[:2]), np.asarray(image))


def rectangles(coloured: Coloured, without: Sequence[int]) -> list[Bar]:
    """Return the rectangles of every colour but those of the background."""
    import cv2

    found = []
    for number in range(len(coloured.colours)):
        if number in without:
            continue
        mask = (coloured.which == number).astype(np.uint8)
        for how in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN):  # lines across a bar, then lines from bar to bar
            mask = cv2.morphologyEx(mask, how, np.ones((3, 3), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        for part in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[part])
            if min(width, height) < LEAST_SIDE or area < FILLED * 0.8 * width * height:
                continue
            inside = labels[top : top + height, left : left + width] == part
            sides = _tight(inside)
            if sides is None:
                continue
            x0, y0, x1, y1 = sides
            if inside[y0:y1, x0:x1].mean() >= FILLED and min(x1 - x0, y1 - y0) >= LEAST_SIDE:
                found.append(Bar(left + x0, top + y0, left + x1, top + y1, number))
    return found


def _tight(inside: Pixels) -> tuple[int, int, int, int] | None:
    """Return the part of a shape in which rows and columns are mostly filled: left, top, right, bottom."""
    rows, columns = np.flatnonzero(inside.mean(1) > 0.6), np.flatnonzero(inside.mean(0) > 0.6)
    if not len(rows) or not len(columns):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def ends_there(coloured: Coloured, bar: Bar, base: float) -> bool:
    """Whether a standing bar's colour ends where it does, at its free end and on both sides: what goes on
    beyond a thin line is a background that lines cut into pieces."""
    end, (left, right) = bar.end(base), _middle(bar.left, bar.right)
    step = -1 if end == bar.top else 1
    above, below = sorted((end + step * FAR[0], end + step * FAR[1]))
    top, bottom = _middle(bar.top, bar.bottom)
    beyond = (
        coloured.share_in(bar.colour, left, above, right, below),
        coloured.share_in(bar.colour, bar.left - FAR[1], top, bar.left - FAR[0], bottom),
        coloured.share_in(bar.colour, bar.right + FAR[0], top, bar.right + FAR[1], bottom),
    )
    return max(beyond) < 0.5


def outline(coloured: Coloured, bar: Bar, base: float) -> float:
    """Return how thick the line is that is drawn around a standing bar, px."""
    end, (left, right) = bar.end(base), _middle(bar.left, bar.right)
    step = -1 if end == bar.top else 1
    above, below = sorted((end + step * FAR[0], end + step * FAR[1]))
    beyond = coloured.most_in(left, above, right, below)
    for thick in range(OUTLINE):
        row = int(end) + step * thick - (step < 0)
        if not 0 <= row < len(coloured.which):
            return 0
        line = coloured.which[row, left:right]
        if np.isin(line, (bar.colour, beyond)).mean() > 0.3:
            return thick
    return 0


def edge(coloured: Coloured, bar: Bar, end: float) -> float:
    """Return one end of a standing bar, "top" or "bottom", to a fraction of a pixel: by how much of the bar's
    colour the pixels around it have."""
    up = end == bar.top
    left, right = _middle(bar.left, bar.right)
    reach = int(min(AROUND, max(2, bar.height / 2)))
    first, last = max(0, int(end) - reach), min(len(coloured.pixels), int(end) + reach)
    rows = coloured.pixels[first:last, left:right].mean(1, dtype=np.float32)  # (rows, 3)
    if len(rows) < 4:
        return end
    inner, outer = (rows[-1], rows[0]) if up else (rows[0], rows[-1])
    apart = float(((outer - inner) ** 2).sum())
    if apart < NEAR**2:
        return end
    own = 1 - np.clip(((rows - inner) @ (outer - inner)) / apart, 0, 1)  # how much of each is the bar's
    found = last - float(own.sum()) if up else first + float(own.sum())
    return found if abs(found - end) <= 2.5 else end


def longer(bar: Bar, base: float, by: float) -> Bar:
    """Return a standing bar that ends so many px later."""
    if bar.end(base) == bar.top:
        return replace(bar, top=bar.top - by)
    return replace(bar, bottom=bar.bottom + by)


def _middle(begin: float, end: float) -> tuple[int, int]:
    room = (end - begin) * 0.2
    return int(begin + room), max(int(begin + room) + 1, int(end - room))
