"""What the judge sees in the frames of a film, and what follows about motion, light and seams.

The judge has been shown things of 0.24 to 0.72 of a side that stand upright. So that it can read larger and
smaller ones, it looks at each frame from several distances, and the reading whose names it is surest of
counts. What was asked to turn is turned back first, by as much as it should have turned by then.

The thresholds are those that drawn clips pass after the demo autoencoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from demo.drawing import PAINT
from demo.judge import GRID, SIZE, Judge
from demo.training.vision import pixels
from demo.world import Scene

WENT, STOOD = 0.08, 0.05  # of a side: least way of a thing that moves, most of one that stands still
GREW, SHRANK = 1.35, 0.74  # of the area in the thing's colour, last frame against first
ALIKE = 70  # RGB distance within which a pixel has the asked colour
SEEN_SIDE = 128  # px at which pixels are compared
TURNED = 30  # degrees
FARTHER, NEARER = (0.2, 0.35), 0.7  # of a side, added around a frame; of a side, left of it around its thing
ROUND = ("ball", "star", "flower")  # whose turn can't be seen
REACH = 34  # px of SEEN_SIDE around a thing's middle
BACK = 0.36  # of a side around a thing: what is turned back with it
FAR = 0.36  # of a side away from a thing: there lies only the background


@dataclass(frozen=True)
class Frame:
    """What is seen in one frame: the surest thing, where its middle is (shares of the sides), and the
    background."""

    object: str
    colour: str
    background: str
    x: float
    y: float


@torch.no_grad()
def look(judge: Judge, frames: list[Image.Image], turns: Sequence[float] | None = None) -> list[Frame]:
    """What the judge sees in each frame; middles to a fraction of its cells. turns: by how many degrees
    clockwise each frame's thing leans."""
    small = [np.asarray(f.convert("RGB").resize((SIZE, SIZE), Image.BOX)) for f in frames]
    grids, _ = judge.network(pixels(small))
    seen = []
    leaning = turns or [0.0] * len(frames)
    for image, verdict, grid, degrees in zip(frames, judge(frames), grids.cpu(), leaning, strict=True):
        found, heat = verdict.found[0], grid[0].sigmoid().numpy()
        column, row = int(found.x * GRID), int(found.y * GRID)
        ys, xs = np.mgrid[max(0, row - 2) : min(GRID, row + 3), max(0, column - 2) : min(GRID, column + 3)]
        weight = heat[ys, xs] ** 2
        x, y = (float((weight * (at + 0.5)).sum() / weight.sum() / GRID) for at in (xs, ys))
        views = judge(_views(upright(image, x, y, degrees) if degrees else image, x, y))
        best = max((view.found[0] for view in views), key=lambda one: one.named)
        seen.append(Frame(best.object, best.colour, verdict.background, x, y))
    return seen


def _views(frame: Image.Image, x: float, y: float) -> list[Image.Image]:
    """The frame as it is, from farther away, and nearer to its thing at a place (shares of the sides)."""
    small = frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BOX)
    views = [frame]
    for share in FARTHER:
        rim = round(share * SEEN_SIDE)
        wide = np.pad(np.asarray(small), ((rim, rim), (rim, rim), (0, 0)), mode="edge")
        views.append(Image.fromarray(wide))
    left, top = (min(max(at - NEARER / 2, 0), 1 - NEARER) for at in (x, y))
    width, height = frame.size
    part = (left * width, top * height, (left + NEARER) * width, (top + NEARER) * height)
    return [*views, frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BICUBIC, part)]


def right(seen: list[Frame], scene: Scene) -> list[bool]:
    """For each frame, whether thing and colour are the scene's."""
    group = scene.groups[0]
    return [(f.object, f.colour) == (group.object, group.colour) for f in seen]


def moved(kind: str, frames: list[Image.Image], seen: list[Frame], scene: Scene) -> bool | None:
    """Whether the film moves as asked; None where it can't be seen."""
    across, down = seen[-1].x - seen[0].x, seen[-1].y - seen[0].y
    if kind in ("left", "right", "up", "down"):
        along, beside = (across, down) if kind in ("left", "right") else (down, across)
        forward = along if kind in ("right", "down") else -along
        return forward > WENT and forward > abs(beside)
    if kind == "still":
        return max(abs(across), abs(down)) < STOOD
    if kind == "turn":
        return None if scene.groups[0].object in ROUND else abs(_angle(frames, seen)) >= TURNED
    before, after = (_share(frame, scene.groups[0].colour) for frame in (frames[0], frames[-1]))
    if max(before, after) > 0.6 or min(before, after) < 0.002:
        return None  # the background has the thing's colour, or the thing has none of it
    return after / before > GREW if kind == "grow" else after / before < SHRANK


def flicker(frames: list[Image.Image], seen: list[Frame]) -> float | None:
    """Mean change from frame to frame where only the background is, 0..255; None where nothing is free."""
    ys, xs = (np.mgrid[0:SEEN_SIDE, 0:SEEN_SIDE] + 0.5) / SEEN_SIDE
    changes = []
    for before, after, one, other in zip(frames, frames[1:], seen, seen[1:], strict=False):
        far = np.ones(xs.shape, bool)
        for at in (one, other):
            far &= (np.abs(xs - at.x) > FAR) | (np.abs(ys - at.y) > FAR)
        if far.mean() > 0.1:
            changes.append(float(np.abs(_small(before) - _small(after)).mean(-1)[far].mean()))
    return float(np.mean(changes)) if changes else None


def unsteadiness(seen: list[Frame]) -> float:
    """Mean second difference of the thing's middle, share of a side."""
    return float(np.abs(np.diff([(f.x, f.y) for f in seen], 2, axis=0)).mean())


def seam(frames: list[Image.Image], at: int) -> float:
    """The change into frame ``at`` (0: from the last frame to the first) against the median change around:
    1 can't be noticed, over 2 jumps."""
    changes = [_change(before, after) for before, after in zip(frames, frames[1:], strict=False)]
    usual = float(np.median([c for i, c in enumerate(changes) if i != at - 1]))
    return _change(frames[at - 1], frames[at]) / max(usual, 1e-3)


def upright(frame: Image.Image, x: float, y: float, degrees: float) -> Image.Image:
    """The frame with its thing, which is turned by so much clockwise, turned back around its middle (shares
    of the sides)."""
    small = frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BOX)
    centre = (x * SEEN_SIDE, y * SEEN_SIDE)
    ys, xs = np.mgrid[0:SEEN_SIDE, 0:SEEN_SIDE] + 0.5
    disc = np.hypot(xs - centre[0], ys - centre[1]) < BACK * SEEN_SIDE
    back = small.rotate(degrees, resample=Image.BICUBIC, center=centre)
    small.paste(back, mask=Image.fromarray(disc.astype(np.uint8) * 255))
    return small


def psnr(picture: Image.Image, other: Image.Image) -> float:
    """Peak signal-to-noise ratio of two pictures of one size, dB."""
    apart = np.asarray(picture, np.float64) - np.asarray(other, np.float64)
    return float(10 * np.log10(255**2 / max(1e-9, np.square(apart).mean())))


def shift(before: Image.Image, after: Image.Image) -> float:
    """By how much colours have drifted: of the channels' median differences, pixel by pixel, the largest,
    0..255. A mean would count the thing that has moved, too."""
    return float(np.abs(np.median(_small(after) - _small(before), axis=(0, 1))).max())


def _small(frame: Image.Image) -> np.ndarray:
    return np.asarray(frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BOX), np.float64)


def _change(before: Image.Image, after: Image.Image) -> float:
    return float(np.abs(_small(before) - _small(after)).mean())


def _share(frame: Image.Image, colour: str) -> float:
    return float((np.linalg.norm(_small(frame) - np.array(PAINT[colour]), axis=-1) < ALIKE).mean())


def _angle(frames: list[Image.Image], seen: list[Frame]) -> int:
    """By how many degrees clockwise the first frame's thing is most like the last one's."""
    first, last = (_around(frames[at], seen[at]) for at in (0, -1))
    ys, xs = np.mgrid[-REACH:REACH, -REACH:REACH]
    disc = xs**2 + ys**2 < (REACH - 4) ** 2
    wanted = np.asarray(last, np.float64)

    def apart(angle: int) -> float:
        turned = np.asarray(first.rotate(-angle, resample=Image.BICUBIC), np.float64)
        return float(np.abs(turned - wanted)[disc].mean())

    return min(range(-150, 151, 10), key=apart)


def _around(frame: Image.Image, at: Frame) -> Image.Image:
    small = frame.convert("RGB").resize((SEEN_SIDE, SEEN_SIDE), Image.BOX)
    x, y = round(at.x * SEEN_SIDE), round(at.y * SEEN_SIDE)
    return small.crop((x - REACH, y - REACH, x + REACH, y + REACH))
