"""What a network is shown in one step of its training: pictures turned, moved and in other light, and what it
should say of each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vision.own_models.detect.names import closer, square
from vision.own_models.detect.network import STRIDE

SPREAD = 0.54  # of the heat around a middle, in boxes (TTFNet's alpha)
LEAST_SPREAD = 1.2  # cells: a middle that lies between two of them is in both
SEEN = 0.4  # share of a thing that has to be in the picture
ZOOM, SHIFT, STRETCH = math.log(1.25), 0.2, 0.03
ASKEW = 0.5  # of the pictures that may be turned are turned by any angle
LIGHT, TONE, NOISE = 0.25, 0.08, 0.02
THINGS = 12  # of a step, that are looked at from nearby
BESIDE, NEARER = 0.08, 0.15  # how far beside a thing a box that was found may lie, in halves; log of its size
KNOTS, TONES = 4, 0.5  # of the line from levels to others; how far a knot is moved
SMOOTHED = 0.05  # share of its chance that a label leaves to all: none is ever quite sure (arXiv:1512.00567)
FOCUS, AWAY, BOXES = 2.0, 4.0, 4.0  # powers of the focal loss; weight of the boxes


@dataclass(frozen=True)
class Marked:
    """A picture (3, S, S) in 0..1 with boxes (n, 4) in 0..1 and the numbers of their labels (n,). upright:
    False where it was turned by other than right angles, so that sizes of boxes are guesses."""

    pixels: Tensor
    boxes: Tensor
    labels: Tensor
    upright: bool = True


def varied(marked: Marked, lots: torch.Generator, *, turned: bool) -> Marked:
    """Return a picture as it could have been as well. turned: also mirrored and turned by right angles."""

    def lot(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=lots))

    pixels, boxes = marked.pixels, marked.boxes
    if turned:
        quarters = int(torch.randint(4, (), generator=lots))
        pixels = pixels.rot90(quarters, (1, 2))
        for _ in range(quarters):  # to the left: a new row was a column, from the right
            boxes = torch.stack([boxes[:, 1], 1 - boxes[:, 2], boxes[:, 3], 1 - boxes[:, 0]], 1)
        if lot(0, 1) < 0.5:
            pixels = pixels.flip(2)
            boxes = torch.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], 1)
    zoom = math.exp(lot(-ZOOM, ZOOM))
    wide, high = (zoom * math.exp(lot(-STRETCH, STRETCH)) for _ in range(2))
    x, y = lot(-SHIFT, SHIFT), lot(-SHIFT, SHIFT)
    askew = lot(-math.pi / 4, math.pi / 4) if turned and lot(0, 1) < ASKEW else 0.0
    c, s = math.cos(askew), math.sin(askew)
    # a place p of the new picture, from -1 to 1, shows the old one's place turned(p / zoom) + shift
    matrix = torch.tensor([[c / wide, -s / high, x], [s / wide, c / high, y]])
    grid = nn.functional.affine_grid(matrix[None], [1, 3, *pixels.shape[1:]], align_corners=False)
    pixels = nn.functional.grid_sample(
        pixels[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0]
    middles, halves = boxes[:, :2] + boxes[:, 2:] - 1 - torch.tensor([x, y]), boxes[:, 2:] - boxes[:, :2]
    back = torch.tensor([[c, s], [-s, c]])
    scale = torch.tensor([wide, high])
    middles = middles @ back.T * scale
    halves = (halves.square() @ back.square().T).sqrt() * scale  # of the ellipse in a box
    moved = (torch.cat([middles - halves, middles + halves], 1) + 1) / 2
    pixels = _in_other_light(pixels, lots)
    return replace(_cut(pixels, moved, marked.labels), upright=not askew)


def nearby(
    lesson: Sequence[Marked], labels: int, lots: torch.Generator, *, turned: bool
) -> tuple[Tensor, Tensor]:
    """Return THINGS that are marked in pictures as they look from nearby (n, 3, CLOSE, CLOSE), any label as
    often as another, and the numbers of their labels (n,). turned: also mirrored and turned by any angle."""

    def lot(reach: float) -> float:
        return reach * (2 * float(torch.rand((), generator=lots)) - 1)

    seen, names = [], torch.randint(labels, (THINGS,), generator=lots)
    for name in names.tolist():
        places = [(one, at) for one in lesson for at in (one.labels == name).nonzero()[:, 0].tolist()]
        one, at = places[int(torch.randint(len(places), (), generator=lots))]
        middles, halves = square(one.boxes[at][None])
        middles = middles + halves * torch.tensor([lot(BESIDE), lot(BESIDE)])
        angle, mirror = (lot(math.pi), math.copysign(1.0, lot(1.0))) if turned else (0.0, 1.0)
        c, s = math.cos(angle), math.sin(angle)
        turn = torch.tensor([[c * mirror, -s], [s * mirror, c]])
        thing = closer(one.pixels[None], middles, halves * math.exp(lot(NEARER)), turn)[0]
        seen.append(_in_other_light(_in_other_tones(thing, lots), lots))
    return torch.stack(seen), names


def _in_other_light(pixels: Tensor, lots: torch.Generator) -> Tensor:
    few = torch.rand(5, generator=lots) * 2 - 1
    gain = torch.exp(LIGHT * few[0]) * torch.exp(TONE * few[1:4])[:, None, None]
    noise = torch.randn(pixels.shape, generator=lots) * NOISE * few[4].abs()
    return (pixels * gain + noise).clamp(0, 1)


def _in_other_tones(pixels: Tensor, lots: torch.Generator) -> Tensor:
    """Return pixels (3, h, w) with each level as another one, by a line with KNOTS that differs a little by
    colour: what was brighter than its ground may be darker."""
    moved = TONES * (2 * torch.rand(1, KNOTS, generator=lots) - 1)
    moved = moved + 0.15 * TONES * (2 * torch.rand(3, KNOTS, generator=lots) - 1)
    levels = (torch.linspace(0, 1, KNOTS) + moved).clamp(0, 1)  # (3, KNOTS)
    place = pixels.flatten(1) * (KNOTS - 1)  # (3, h w)
    below = place.floor().clamp(0, KNOTS - 2).long()
    share = place - below
    found = levels.gather(1, below) * (1 - share) + levels.gather(1, below + 1) * share
    return found.reshape(pixels.shape)


def _cut(pixels: Tensor, boxes: Tensor, labels: Tensor) -> Marked:
    """Return what is left of boxes inside the picture; what is hardly seen any more is painted over."""
    inside = boxes.clamp(0, 1)
    areas = [(each[:, 2:] - each[:, :2]).clamp(min=0).prod(-1) for each in (boxes, inside)]
    share = areas[1] / areas[0].clamp(min=1e-9)
    kept = share >= SEEN
    for left, top, right, bottom in (inside[~kept & (share > 0)] * pixels.shape[1]).tolist():
        rows, columns = slice(int(top), math.ceil(bottom)), slice(int(left), math.ceil(right))
        pixels[:, rows, columns] = pixels.mean((1, 2))[:, None, None]
    return Marked(pixels, inside[kept], labels[kept])


@dataclass(frozen=True)
class Wanted:
    """What is right of each cell. heat: (L, g, g) in 0..1, 1 in middles. weights: (g, g), how much a cell's
    box counts. boxes: (4, g, g), in cells."""

    heat: Tensor
    weights: Tensor
    boxes: Tensor


def wanted(marked: Marked, labels: int) -> Wanted:
    """Return what a network should say of a picture."""
    cells = marked.pixels.shape[1] // STRIDE
    heat, weights = torch.zeros(labels, cells, cells), torch.zeros(cells, cells)
    boxes, places = torch.zeros(4, cells, cells), torch.arange(cells).float()
    boxes[2:] = 1
    sizes = (marked.boxes[:, 2:] - marked.boxes[:, :2]).prod(-1)
    for at in sizes.argsort(descending=True, stable=True).tolist():  # smaller ones last: they are on top
        box = marked.boxes[at] * cells
        left, top, right, bottom = box.tolist()
        x, y = min(cells - 1, int((left + right) / 2)), min(cells - 1, int((top + bottom) / 2))
        across = max(SPREAD * (right - left) / 6, LEAST_SPREAD)
        down = max(SPREAD * (bottom - top) / 6, LEAST_SPREAD)
        one = torch.exp(
            -((places[None] - x) ** 2) / (2 * across**2) - (places[:, None] - y) ** 2 / (2 * down**2)
        )
        label = int(marked.labels[at])
        heat[label] = torch.maximum(heat[label], one)
        if not marked.upright:
            continue
        near = one > 0.3
        weights[near] = one[near] / one[near].sum()
        boxes[:, near] = box[:, None]
    return Wanted(heat, weights, boxes)


def loss(logits: Tensor, sides: Tensor, right: Sequence[Wanted]) -> Tensor:
    """Return how wrong logits (B, L, g, g) and distances (B, 4, g, g) are: a focal loss of the heat, and one
    minus the generalised overlap (arXiv:1902.09630) of the boxes."""
    heat = torch.stack([one.heat for one in right])
    weights = torch.stack([one.weights for one in right])
    boxes = torch.stack([one.boxes for one in right])
    chance = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    middle = (heat == 1).float()
    missed = middle * (1 - chance) ** FOCUS * chance.log()
    wrong = (1 - middle) * (1 - heat) ** AWAY * chance**FOCUS * (1 - chance).log()
    things = middle.sum().clamp(min=1)
    places = torch.arange(logits.shape[-1]) + 0.5
    x, y = places[None, None].expand_as(weights), places[None, :, None].expand_as(weights)
    left, top, right_, bottom = sides.unbind(1)
    found = torch.stack([x - left, y - top, x + right_, y + bottom], 1)
    apart = 1 - _generalised(found, boxes)
    return -(missed + wrong).sum() / things + BOXES * (apart * weights).sum() / weights.sum().clamp(min=1)


def misnamed(logits: Tensor, names: Tensor) -> Tensor:
    """Return how wrong logits (n, L) of things are."""
    return nn.functional.cross_entropy(logits, names, label_smoothing=SMOOTHED)


def _generalised(some: Tensor, others: Tensor) -> Tensor:
    """The generalised overlap of boxes (B, 4, …) and others."""
    low, high = torch.maximum(some[:, :2], others[:, :2]), torch.minimum(some[:, 2:], others[:, 2:])
    both = (high - low).clamp(min=0).prod(1)
    either = sum((each[:, 2:] - each[:, :2]).prod(1) for each in (some, others)) - both
    low, high = torch.minimum(some[:, :2], others[:, :2]), torch.maximum(some[:, 2:], others[:, 2:])
    around = (high - low).prod(1).clamp(min=1e-6)
    return both / either.clamp(min=1e-6) - (around - either) / around
