"""A judge of form that was trained on nothing: it cuts a single thing out of its background and lays its
outline over those of the drawn objects.

It is told which scene was asked for and uses the scene's background and style to tell the thing from what is
behind it, so it judges form alone: how many parts there are, which outline fits best after the best shift,
scale and turn, how many points a star has, how much of the thing is missing in its middle.
"""

import random
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from demo.drawing import LANDS, PAINT, Placed, draw
from demo.world import OBJECTS, Group, Scene

SIDE = 256  # px, at which pictures are looked at
NEAR = 30.0  # distance in RGB within which a pixel shows a colour of the background
GRID = 96  # cells a side, on which outlines are laid over each other
ROOT_AREA = 40.0  # cells: an outline is brought to the area of a square of this side
SCALES, TURNS = (0.92, 0.96, 1.0, 1.04, 1.08), (-12, -6, 0, 6, 12)  # degrees
SHIFTS = (-4, -2, 0, 2, 4)  # cells
FIT = {"flat": 0.87, "outline": 0.87, "pixel": 0.82, "watercolor": 0.82}  # least overlap (IoU), by style
CLOSE = (
    0.02  # of overlap: an outline that fits the asked object this much worse than another is still its own
)
PART = 0.12  # a second piece of this share of the largest one is a part of its own
SPECK = 0.002  # of the picture: smaller pieces are nothing
HOLE = 0.15  # of the outline's area
POINTS = {"star": 5}


@dataclass(frozen=True)
class Form:
    """What is seen. object: whose outline fits best; overlap: with the asked object's outline; best: with
    `object`'s; points: corners that stick out; holes: share of the outline's area that shows what is behind
    the thing, beyond what the asked object's drawing has of it."""

    object: str | None
    overlap: float
    best: float
    parts: int
    points: int
    holes: float

    def fits(self, scene: Scene) -> bool:
        """Whether this is one well formed object of the kind that `scene` asks for."""
        return (
            self.overlap >= max(FIT[scene.style], self.best - CLOSE)
            and self.parts == 1
            and self.holes <= HOLE
            and self.points == POINTS.get(scene.groups[0].object, self.points)
        )


NOTHING = Form(None, 0.0, 0.0, 0, 0, 0.0)


# Cutting out
# ------------------------------------------------------------------------------------------------------------


def _between(one, other, count=9):
    return np.linspace(np.array(one, float), np.array(other, float), count)


def _tint(colour, other, share):
    return tuple(a + (b - a) * share for a, b in zip(colour, other, strict=True))


def _known_colours(scene: Scene) -> np.ndarray:
    """The colours that the drawing of the scene's background may hold, (N, 3)."""
    name = scene.background
    if name in PAINT:
        paint = PAINT[name]
        shadow = _tint(paint, (20, 20, 40), 0.26)
        bright = _tint(paint, (255, 255, 255), 0.14 if name == "black" else 0.1)
        colours = [*_between(bright, _tint(paint, (0, 0, 0), 0.08)), shadow]
    elif name in LANDS:
        sky, land = LANDS[name]
        colours = [*_between(*sky), *_between(*land)]
        colours += {"sea": [(120, 182, 230), (250, 252, 255)], "grass": [(250, 252, 255)]}.get(name, [])
    elif name == "night":
        colours = [*_between((12, 14, 48), (50, 48, 116)), (255, 248, 214)]
    else:
        colours = [*_between((86, 164, 242), (196, 228, 252)), (250, 252, 255)]
    known = np.array(colours, np.float32)
    return known * 0.84 + 255 * 0.16 if scene.style == "watercolor" else known


def _near(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(H, W) bool: which pixels lie within NEAR of a colour, or of each row's (H, 1, 3)."""
    apart = pixels - colour
    return np.einsum("hwc,hwc->hw", apart, apart) < NEAR**2


def _like_row_ends(pixels: np.ndarray) -> np.ndarray:
    """(H, W) bool: which pixels show about the colour that their row has at its left or right end."""
    margin = max(2, round(0.02 * pixels.shape[1]))
    ends = (np.median(end, axis=1)[:, None] for end in (pixels[:, :margin], pixels[:, -margin:]))
    return np.logical_or.reduce([_near(pixels, end) for end in ends])


def _like_background(pixels: np.ndarray, scene: Scene) -> np.ndarray:
    """(H, W) bool: which pixels show a colour of the drawn background or of their row's ends."""
    near = _like_row_ends(pixels)
    for colour in _known_colours(scene):
        near |= _near(pixels, colour)
    return near


def pieces(mask: np.ndarray) -> np.ndarray:
    """(H, W) int: 0 outside of `mask`, else the number of the connected piece (four neighbours), from 1."""
    parents, labels = [0], np.zeros(mask.shape, int)

    def root(label):
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label

    above: list[tuple[int, int, int]] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
        runs = []
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            touched = [root(label) for a, b, label in above if a < end and b > start]
            label = min(touched, default=len(parents))
            if not touched:
                parents.append(label)
            for other in touched:
                parents[other] = label
            runs.append((start, end, label))
            labels[y, start:end] = label
        above = runs
    roots = np.array([root(label) for label in range(len(parents))])
    return np.unique(roots[labels], return_inverse=True)[1].reshape(mask.shape) if mask.any() else labels


def _outline(background: np.ndarray) -> np.ndarray:
    """The things with their insides filled: all that the background can't reach from the picture's border."""
    labels = pieces(background)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return ~(background & np.isin(labels, np.unique(border[border > 0])))


# Laying over
# ------------------------------------------------------------------------------------------------------------


def _standing(mask: np.ndarray, scale: float = 1.0, turn: float = 0.0) -> np.ndarray:
    """`mask` in the middle of a GRID x GRID field, brought to ROOT_AREA and turned: (GRID²,) float32."""
    ys, xs = np.nonzero(mask)
    size = np.sqrt(mask.sum()) / (ROOT_AREA * scale)  # px of the mask a cell
    c, s = np.cos(np.radians(turn)) * size, np.sin(np.radians(turn)) * size
    x0, y0 = xs.mean() + 0.5 - GRID / 2 * (c - s), ys.mean() + 0.5 - GRID / 2 * (s + c)
    picture = Image.fromarray((mask * 255).astype(np.uint8))
    moved = picture.transform(
        (GRID, GRID), Image.Transform.AFFINE, (c, -s, x0, s, c, y0), Image.Resampling.BILINEAR
    )
    return (np.asarray(moved) > 127).astype(np.float32).ravel()


@cache
def templates() -> tuple[tuple[str, ...], np.ndarray]:
    """The outlines of all objects at every scale and turn: their names, and (N, GRID²) float32."""
    names, fields = [], []
    for name in OBJECTS:
        scene = Scene((Group(1, "blue", name, "large"),), "center", "yellow", "flat")
        placed = [Placed(name, "blue", 0.5, 0.5, 0.4, 0)]
        picture = draw(scene, random.Random(0), (SIDE, SIDE), placed)
        mask = _outline(_like_background(np.asarray(picture, np.float32), scene))
        for scale in SCALES:
            for turn in TURNS:
                names.append(name)
                fields.append(_standing(mask, scale, turn))
    return tuple(names), np.stack(fields)


def overlaps(mask: np.ndarray) -> dict[str, float]:
    """For each object, the best intersection over union of its outline with `mask`."""
    names, fields = templates()
    field = _standing(mask).reshape(GRID, GRID)
    moved = np.stack([np.roll(field, (dy, dx), (0, 1)).ravel() for dy in SHIFTS for dx in SHIFTS])
    common = moved @ fields.T  # (shifts, N)
    union = moved.sum(1)[:, None] + fields.sum(1)[None] - common
    best: dict[str, float] = {}
    for name, value in zip(names, (common / union).max(0).tolist(), strict=True):
        best[name] = max(best.get(name, 0.0), value)
    return best


def count_points(mask: np.ndarray) -> int:
    """How many corners stick out: peaks of the outline's distance from its centre, over its mean by a
    tenth and over the valleys beside by a sixth."""
    ys, xs = np.nonzero(mask)
    y, x = ys - ys.mean(), xs - xs.mean()
    angle = ((np.arctan2(y, x) / (2 * np.pi) % 1) * 72).astype(int) % 72
    reach = np.zeros(72)
    np.maximum.at(reach, angle, np.hypot(x, y))
    reach = (np.roll(reach, 1) + 2 * reach + np.roll(reach, -1)) / 4
    mean, count, rising = reach.mean(), 0, False
    start = int(reach.argmin())
    low = high = reach[start]
    for value in np.roll(reach, -start):
        if rising:
            high = max(high, value)
            if value < high - mean / 6:
                count += high > 1.1 * mean
                rising, low = False, value
        else:
            low = min(low, value)
            if value > low + mean / 6:
                rising, high = True, value
    return count + (rising and high > 1.1 * mean)


def _holes(pixels: np.ndarray, mask: np.ndarray, scene: Scene) -> float:
    """The share of `mask` that looks like its row's ends, beyond that of the object drawn there."""
    ys, xs = np.nonzero(mask)
    reach = max(np.ptp(ys), np.ptp(xs)) / 2 / SIDE
    group = scene.groups[0]
    x, y = (v.min() + np.ptp(v) / 2 for v in (xs, ys))
    placed = [Placed(group.object, group.colour, x / SIDE, y / SIDE, reach, 0)]
    drawn = np.asarray(draw(scene, random.Random(0), (SIDE, SIDE), placed), np.float32)
    return float((_like_row_ends(pixels) & mask).sum() - (_like_row_ends(drawn) & mask).sum()) / mask.sum()


def look(picture: Image.Image, scene: Scene) -> Form:
    """The form of the one thing that `scene` asks for, in a picture of any size."""
    pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    labels = pieces(_outline(_like_background(pixels, scene)))
    areas = np.bincount(labels.ravel())[1:]
    if not areas.size or areas.max() < SPECK * SIDE * SIDE:
        return NOTHING
    largest = labels == 1 + areas.argmax()
    parts = int((areas >= max(PART * areas.max(), SPECK * SIDE * SIDE)).sum())
    found = overlaps(largest)
    name = max(found, key=found.get)
    holes = 0.0 if scene.style == "outline" else _holes(pixels, largest, scene)
    overlap = found[scene.groups[0].object]
    return Form(name, overlap, found[name], parts, count_points(largest), holes)
