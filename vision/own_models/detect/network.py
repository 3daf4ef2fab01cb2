"""The network that finds things: each is a point in a heat map of its label, with how far its sides are from
there. CenterNet (arXiv:1904.07850), taught as TTFNet (arXiv:1909.00700) does."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from vision.own_models.detect.blocks import Twice, block
from vision.own_models.detect.names import Namer, agreed, closer, square

STRIDE = 4  # pixels of a cell
MOST = 100  # things in a picture
NAMED = 40  # of them, the surest, that are looked at more closely where they could be told
FAINTEST = 0.05  # score below which nothing is told at all
SAME = 0.6  # overlap from which on two boxes are the same thing
SMALLEST = 1e-3  # cells, of a distance to a side
MIRRORED = (((3,), (2, 1, 0, 3)), ((2,), (0, 3, 2, 1)), ((2, 3), (2, 3, 0, 1)))  # axes, then what sides are
RARE = -4.0  # logit of a cell before anything is learned: things are rare


class Network(nn.Module):
    """From pixels (B, 3, S, S) in 0..1 to logits (B, labels, S / STRIDE, S / STRIDE), and distances to left,
    top, right and bottom (B, 4, …) in cells. named: beside them learns what looks at each thing more closely,
    where there is more than one label; ``forward`` leaves it to a ``Finder``."""

    def __init__(self, labels: int, *, named: bool = True) -> None:
        super().__init__()
        self.fine = nn.Sequential(block(3, 16, 2), block(16, 32, 2), Twice(32))
        self.middle = nn.Sequential(block(32, 64, 2), Twice(64))
        self.coarse = nn.Sequential(block(64, 96, 2), Twice(96), Twice(96))
        self.from_coarse, self.from_middle = nn.Conv2d(96, 64, 1), nn.Conv2d(64, 48, 1)
        self.from_fine = nn.Conv2d(32, 48, 1)
        self.joined, self.last = block(64, 64), block(48, 48)
        self.heat, self.sides = nn.Conv2d(48, labels, 1), nn.Conv2d(48, 4, 1)
        nn.init.constant_(self.heat.bias, RARE)  # type: ignore[arg-type]
        nn.init.constant_(self.sides.bias, 1.0)  # type: ignore[arg-type]
        self.namer = Namer(labels) if named and labels > 1 else None

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and distances."""
        fine = self.fine((pixels - 0.5) / 0.25)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        joined = self.joined(middle + _larger(self.from_coarse(coarse)))
        seen = self.last(self.from_fine(fine) + _larger(self.from_middle(joined)))
        return self.heat(seen), self.sides(seen).clamp(-3.0, 4.5).exp()


def _larger(seen: Tensor) -> Tensor:
    return nn.functional.interpolate(seen, scale_factor=2.0, mode="nearest")


class Finder(nn.Module):
    """From pixels of one picture (1, 3, S, S) to boxes (MOST, 4) in 0..1, their scores (MOST,), and the
    numbers of their labels (MOST,), the surest first. What is the same thing as a surer one, or no box,
    scores 0. mirrored: the picture, and each thing, is also looked at mirrored along one axis, the other and
    both, and what is said of it is the mean. Where the network has a namer, it says of the surest things, at
    most NAMED, what they are, and a thing's score is what was seen there, times the chance of its label. That
    is never more than it was, so what is fainter than FAINTEST isn't looked at again."""

    def __init__(self, network: Network, *, mirrored: bool = False) -> None:
        super().__init__()
        self.network, self.mirrored = network, mirrored

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, scores and labels."""
        heat, sides = self._seen(pixels)
        peaks = heat * (heat == nn.functional.max_pool2d(heat, 3, 1, 1))
        cells = heat.shape[2] * heat.shape[3]
        scores, at = peaks.reshape(-1).topk(MOST)
        labels, cell = at // cells, at % cells
        y, x = cell // heat.shape[3], cell % heat.shape[3]
        left, top, right, bottom = sides.reshape(4, cells)[:, cell]
        x, y = x + 0.5, y + 0.5
        edges = torch.stack([x - left, y - top, x + right, y + bottom], 1)
        boxes = (edges / heat.shape[3]).clamp(0, 1)
        surer = torch.ones(MOST, MOST, device=pixels.device).triu(1)
        same = (overlaps(boxes, boxes) > SAME).to(pixels.dtype) * surer
        alone = (same.amax(0) == 0) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        scores = scores * alone.to(pixels.dtype)
        if (namer := self.network.namer) is None:
            return boxes, scores, labels
        scores, order = scores.topk(MOST)  # the surest first, those that are no box last
        boxes, labels, heat = boxes[order], labels[order], heat.reshape(-1, cells)[:, cell[order]].T
        count = cast(int, (scores[:NAMED] >= FAINTEST).sum().clamp(min=1).item())
        torch._check(count >= 1)  # which the exporter, to whom it is a symbol, can't know
        torch._check(count <= NAMED)
        things = closer(pixels, *square(boxes[:count]), torch.eye(2, device=pixels.device))
        views = [things, *(things.flip(axes) for axes, _ in MIRRORED)] if self.mirrored else [things]
        near = namer(torch.cat(views)).softmax(1).reshape(len(views), count, -1).mean(0)
        named, chances = agreed(heat[:count], near)
        scores, order = torch.cat([scores[:count] * chances, scores[count:]]).topk(MOST)
        return boxes[order], scores, torch.cat([named, labels[count:]])[order]

    def _seen(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the heat (1, L, g, g) and distances to sides (1, 4, g, g)."""
        if not self.mirrored:
            logits, sides = self.network(pixels)
            return logits.sigmoid(), sides
        logits, sides = self.network(torch.cat([pixels, *(pixels.flip(axes) for axes, _ in MIRRORED)]))
        heat, distances = list(logits.sigmoid().split(1)), list(sides.split(1))
        for at, (axes, order) in enumerate(MIRRORED, 1):
            heat[at], distances[at] = heat[at].flip(axes), distances[at].flip(axes)[:, list(order)]
        return torch.stack(heat).mean(0), torch.stack(distances).mean(0)


def overlaps(some: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union of boxes (n, 4) with others (m, 4): (n, m)."""
    low = torch.maximum(some[:, None, :2], others[None, :, :2])
    high = torch.minimum(some[:, None, 2:], others[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(-1) for each in (some, others)]
    return both / (areas[0][:, None] + areas[1][None] - both).clamp(min=1e-9)
