"""Lays a picture onto a reference: turns and shifts it to where the two correlate best.

All turned references are kernels of one convolution, so that the normalised correlation of every turn and
shift is found at once; the place is the mean of them, weighed by a sharp softmax. It has no jumps: another
runtime's rounding moves nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vision.own_models.features.filters import DARK, blurred, gaussian

CELL = 4  # pixels a cell of the coarse search; the fine one has half
HIGH_PASS = 4.0  # cells, the deviation of the blur that is taken away before


@dataclass(frozen=True)
class Stage:
    """One search. cell: pixels a cell. turns: degrees. reach: cells of shift either way. sharp: what
    correlations are divided by before their softmax. margin: the share of the reference's side that doesn't
    count on either side, beside the reach."""

    cell: int
    turns: tuple[float, ...]
    reach: int
    sharp: float
    margin: float = 1 / 64  # much of a part lies at its edges: six of 48 valves were turned wrongly by 1/8


FIXTURE = (
    Stage(4, tuple(float(turn) for turn in range(-8, 9, 1)), 6, 0.01),
    Stage(2, (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9), 3, 0.003),
    Stage(1, (-0.2, -0.1, 0.0, 0.1, 0.2), 2, 0.01),  # so soft that it tells places between pixels
)
TURNS = (  # corners of what was turned far aren't in the picture
    Stage(4, tuple(float(turn) for turn in range(-180, 180, 6)), 4, 0.003, 1 / 8),
    *FIXTURE,
)


class Aligner(nn.Module):
    """reference: (3, S, S) in 0..1."""

    reference: Tensor

    def __init__(self, reference: Tensor, stages: tuple[Stage, ...] = FIXTURE) -> None:
        super().__init__()
        self.stages = stages
        self.register_buffer("reference", reference.clone())
        for number, stage in enumerate(stages):
            self.register_buffer(f"kernels{number}", _templates(reference, stage))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return pictures (B, 3, S, S) laid onto the reference, the turn and shift of each, (B, 3) in radians
        and shares of half a side, and how well it correlates there, (B,)."""
        motion = pixels.new_zeros(1, 3).expand(pixels.shape[0], 3)
        peak = pixels.new_zeros(pixels.shape[0])
        for number, stage in enumerate(self.stages):
            seen = high_pass(pixels if number == 0 else moved(pixels, motion), stage.cell)
            step, peak = self._search(seen, stage, getattr(self, f"kernels{number}"))
            motion = joined(motion, step)
        return moved(pixels, motion), motion, peak

    def _search(self, seen: Tensor, stage: Stage, kernels: Tensor) -> tuple[Tensor, Tensor]:
        side, window = seen.shape[-1], kernels.shape[-1]
        reach = stage.reach
        edge = (side - window) // 2
        cut = seen[:, :, edge - reach : side - edge + reach, edge - reach : side - edge + reach]
        shared = F.avg_pool2d(cut.square(), window, 1) * window**2
        mean = F.avg_pool2d(cut, window, 1) * window
        length = (shared - mean.square() + 1e-6).sqrt()
        fits = F.conv2d(cut, kernels) / length  # (B, turns, 2 reach + 1, 2 reach + 1)
        weights = (fits.flatten(1) / stage.sharp).softmax(1).reshape(fits.shape)
        turns = torch.tensor(stage.turns, dtype=fits.dtype) * (math.pi / 180)
        at = torch.arange(-reach, reach + 1, dtype=fits.dtype) * (2 / side)
        turn = (weights.sum((2, 3)) * turns).sum(1)
        x = (weights.sum((1, 2)) * at).sum(1)
        y = (weights.sum((1, 3)) * at).sum(1)
        return torch.stack([turn, x, y], 1), fits.flatten(1).amax(1)


def high_pass(pixels: Tensor, cell: int) -> Tensor:
    """Return brightness beside its surroundings, (B, 1, S / cell, S / cell)."""
    bright = F.avg_pool2d((pixels.mean(1, keepdim=True) + DARK).log(), cell)
    return bright - blurred(bright, gaussian(HIGH_PASS, 10))


def moved(pixels: Tensor, motion: Tensor) -> Tensor:
    """Sample pictures (B, C, H, W) where ``motion`` (B, 3) says that the reference's places lie in them."""
    turn, x, y = motion.unbind(1)
    cos, sin = turn.cos(), turn.sin()
    matrix = torch.stack([torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)], 1)
    return F.grid_sample(
        pixels, _grid(matrix, pixels), mode="bilinear", padding_mode="border", align_corners=False
    )


def _grid(matrix: Tensor, pixels: Tensor) -> Tensor:
    height, width = pixels.shape[-2:]
    y = (torch.arange(height, dtype=pixels.dtype) * 2 + 1) / height - 1
    x = (torch.arange(width, dtype=pixels.dtype) * 2 + 1) / width - 1
    places = torch.stack([x[None, :].expand(height, width), y[:, None].expand(height, width)], -1)
    turned = places.flatten(0, 1) @ matrix[:, :, :2].transpose(1, 2)  # (B, H·W, 2)
    return (turned + matrix[:, None, :, 2]).unflatten(1, (height, width))


def joined(first: Tensor, second: Tensor) -> Tensor:
    """Return the motion of ``second``, found in what ``first`` has moved, in the original's own places."""
    turn, x, y = first.unbind(1)
    cos, sin = turn.cos(), turn.sin()
    step, dx, dy = second.unbind(1)
    return torch.stack([turn + step, x + cos * dx - sin * dy, y + sin * dx + cos * dy], 1)


def backwards(motion: Tensor) -> Tensor:
    """Return the motion that undoes ``motion``."""
    turn, x, y = motion.unbind(1)
    cos, sin = turn.cos(), turn.sin()
    return torch.stack([-turn, -(cos * x + sin * y), -(cos * y - sin * x)], 1)


def _templates(reference: Tensor, stage: Stage) -> Tensor:
    """Return the reference turned each way, (turns, 1, K, K), without a mean and of length 1."""
    found = []
    side = reference.shape[-1] // stage.cell
    margin = int(side * stage.margin) + stage.reach
    for turn in stage.turns:
        # a picture that has to be turned by `turn` shows the reference turned back
        motion = torch.tensor([[-turn * math.pi / 180, 0.0, 0.0]])
        whole = high_pass(moved(reference[None], motion), stage.cell)[0, 0]
        cut = whole[margin : side - margin, margin : side - margin]
        cut = cut - cut.mean()
        found.append(cut / cut.norm().clamp(min=1e-6))
    return torch.stack(found)[:, None]
