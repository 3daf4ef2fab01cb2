"""What kind of defect it is: a linear head that looks only at what the detector points at.

Where the whole picture is looked at, ten examples a kind say little (docs/inspect.md); and a kind that nobody
labelled is still found, because the detector doesn't ask the head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

STRONGEST, FORM = 5, 20  # cells that are looked at: for what they show, and for the form they lie in
RANKS = (0, 4, 19, 79, 319)  # of cells by how strange they are
STRENGTH = 0.1  # C of the logistic regression


class Naming(nn.Module):
    """A standardised linear layer on ``seen``. weight: (P, L)."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("scale", scale), ("weight", weight), ("bias", bias)):
            self.register_buffer(name, value)

    def forward(self, heat: Tensor, apart: Tensor, maps: Tensor) -> Tensor:
        """Return logits (B, L)."""
        return (seen(heat, apart, maps) - self.mean) / self.scale @ self.weight + self.bias


def seen(heat: Tensor, apart: Tensor, maps: Tensor) -> Tensor:
    """Return what the strangest cells show, (B, P), of heat (B, 1, h, w), differences from the usual
    (B, K, h, w) and features (B, D, h, w)."""
    flat, width = heat.flatten(1), heat.shape[-1]
    values, places = torch.topk(flat, max(RANKS) + 1, dim=1)
    first = places[:, None, :STRONGEST]
    strange = apart.flatten(2)
    there = strange.gather(2, first.expand(-1, apart.shape[1], -1))
    form = strange.gather(2, places[:, None, :FORM].expand(-1, apart.shape[1], -1))
    shown = maps.flatten(2).gather(2, first.expand(-1, maps.shape[1], -1))
    y = torch.div(places[:, :FORM], width, rounding_mode="floor").float()
    x = places[:, :FORM].float() - y * width
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    xx, yy, xy = x.square().mean(1), y.square().mean(1), (x * y).mean(1)
    wide, long = xx + yy, ((xx - yy).square() + 4 * xy.square() + 1e-6).sqrt()
    ranks = values[:, list(RANKS)].clamp(min=1e-3).log()
    shape = torch.stack([(wide + 1).log(), long / (wide + 1)], 1)
    return torch.cat([there.mean(2), form.abs().mean(2), shown.mean(2), ranks, shape], 1)


def fit(rows: Tensor, labels: Sequence[str]) -> tuple[Naming, list[str]]:
    """Learn names from what is ``seen`` of labelled pictures, (n, P), and return them in the order of the
    logits. Each name counts the same, however many pictures it has."""
    from sklearn.linear_model import LogisticRegression

    mean = rows.mean(0)
    scale = rows.std(0, correction=0).clamp(min=1e-4)
    names = sorted(set(labels))
    head = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=2000)
    head.fit(((rows - mean) / scale).double().numpy(), [names.index(label) for label in labels])
    weight, bias = torch.from_numpy(head.coef_.T).float(), torch.from_numpy(head.intercept_).float()
    if len(names) == 2:  # one row of coefficients, for the second name
        weight, bias = torch.cat([-weight / 2, weight / 2], 1), torch.cat([-bias / 2, bias / 2])
    return Naming(mean, scale, weight.contiguous(), bias), names
