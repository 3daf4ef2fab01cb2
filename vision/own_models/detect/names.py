"""What a thing is called, told once more from a closer look: whatever was found is brought to one size, so
that a small nut and a large one look alike. What is found, and where, is left to ``network``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vision.own_models.detect.blocks import Twice, block

CLOSE = 48  # px of the square that a thing is brought to
FINER = 2  # samples along a pixel of it, whose mean it is, so that a large thing's fine pattern stays grey
AROUND = 1.25  # side of the square that is looked at, in longer sides of a box
FLAT = 1e-3  # variance of a thing that shows nothing


class Namer(nn.Module):
    """From things (n, 3, CLOSE, CLOSE) in 0..1 to logits of their labels (n, labels). Each is brought to the
    same mean and contrast of all its colours together: few pictures show few lights and few grounds."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.seen = nn.Sequential(
            block(3, 16, 2), block(16, 32), block(32, 48, 2), Twice(48), block(48, 64, 2), Twice(64)
        )
        self.names = nn.Linear(64, labels)

    def forward(self, things: Tensor) -> Tensor:
        """Return logits."""
        even = things - things.mean((1, 2, 3), keepdim=True)
        even = even / (even.square().mean((1, 2, 3), keepdim=True) + FLAT).sqrt()
        logits: Tensor = self.names(self.seen(even).mean((2, 3)))
        return logits


def square(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return middles (n, 2), from -1 to 1 across the picture, and half the sides (n,) of what is looked at
    around boxes (n, 4)."""
    return boxes[:, :2] + boxes[:, 2:] - 1, (boxes[:, 2:] - boxes[:, :2]).amax(1) * AROUND


def closer(pixels: Tensor, middles: Tensor, halves: Tensor, turn: Tensor) -> Tensor:
    """Return squares of one picture (1, 3, S, S) as things (n, 3, CLOSE, CLOSE). middles, halves: see
    ``square``. turn: (2, 2), from a direction in a thing to one in the picture."""
    fine = CLOSE * FINER
    steps = (torch.arange(fine, device=pixels.device) + 0.5) * (2 / fine) - 1
    inside = torch.stack([steps[None].expand(fine, fine), steps[:, None].expand(fine, fine)], 2) @ turn.T
    places = middles[:, None, None] + halves[:, None, None, None] * inside  # (n, fine, fine, 2)
    found = F.grid_sample(
        pixels, places.reshape(1, -1, fine, 2), mode="bilinear", padding_mode="border", align_corners=False
    )
    return F.avg_pool2d(found.reshape(3, -1, fine, fine).transpose(0, 1), FINER)


def agreed(heat: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Return the likeliest label of each thing and its chance, (n,) both, by what is said of it from afar,
    heat (n, labels) in 0..1, with half its weight, and from nearby, chances (n, labels): multiplied."""
    both = heat.clamp(min=1e-6).sqrt() * near
    chances, labels = (both / both.sum(1, keepdim=True)).max(1)
    return labels, chances
