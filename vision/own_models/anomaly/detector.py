"""The whole way from a picture to a score and a heat map, as one network: what is trained with is what is
asked and what is exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vision.own_models.anomaly.align import Aligner, backwards, moved
from vision.own_models.features.filters import blurred, gaussian

SHARE = 400  # one cell in so many counts for the score: the strongest of them, 10 of 64 × 64
LEAST = 5  # cells that count at least: their mean is steadier than the strongest alone
SMOOTH = 1.0  # cells


class Detector(nn.Module):
    """(B, 3, side, side) in 0..1 to scores, heat maps and, with a ``naming``, logits of its labels.

    extractor: pixels to maps. judge: ``Cells``, ``Bank`` or ``Banks``. region: (h, w), how much each
    cell counts. taught: ``Taught``, what was learned of defects that had been missed.
    """

    kernel: Tensor
    region: Tensor

    def __init__(
        self,
        aligner: Aligner | None,
        extractor: nn.Module,
        judge: nn.Module,
        region: Tensor,
        naming: nn.Module | None = None,
        taught: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.aligner, self.extractor, self.judge = aligner, extractor, judge
        self.naming, self.taught = naming, taught
        self.register_buffer("kernel", gaussian(SMOOTH, 3))
        self.register_buffer("region", region)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores (B,), heat maps (B, 1, h, w) in the picture's own places, logits (B, L)."""
        seen = pixels
        if self.aligner is not None:
            seen, motion, _ = self.aligner(pixels)
        maps, _ = self.extractor(seen)
        strange, apart = self.judge(maps)
        told = None if self.taught is None else self.taught(apart) * self.region
        scores, heat = joint(smoothed(strange, self.kernel, self.region), told)
        logits = heat.new_zeros(heat.shape[0], 0) if self.naming is None else self.naming(heat, apart, maps)
        placed = heat if self.aligner is None else moved(heat, backwards(motion))
        return scores, placed, logits


def smoothed(strange: Tensor, kernel: Tensor, region: Tensor) -> Tensor:
    """Return heat (B, C, h, w) of how strange cells are; what two ways of looking say is smooth already."""
    return (blurred(strange, kernel) if strange.shape[1] == 1 else strange) * region


def joint(heat: Tensor, told: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return scores (B,) and one heat map, (B, 1, h, w), of all ways of looking, (B, C, h, w), and of what
    was ``taught``, (B, 1, h, w), where it is more."""
    scores, whole = score(heat), heat.sum(1, keepdim=True)
    if told is None:
        return scores, whole
    whole = torch.maximum(whole, told)
    return torch.maximum(scores, score(whole)), whole


def score(heat: Tensor) -> Tensor:
    """Return the mean of the strongest cells, (B,), of several ways of looking their sum: a defect need not
    be in the same cell to all."""
    flat = heat.flatten(2)  # (B, C, h w)
    count = max(LEAST, heat.shape[-2] * heat.shape[-1] // SHARE)
    return torch.topk(flat, count, dim=2).values.mean(2).sum(1)
