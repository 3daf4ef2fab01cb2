"""Two ways to see a picture as one: what one network pools, and behind it what the other does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vision.own_models.features.extractor import Extractor, vectors

BETWEEN = " + "  # names


class Joined(nn.Module):
    """(B, 3, side, side) in 0..1 to the maps of the first and pooled features (B, P + Q) of both."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps and pooled features."""
        maps, pooled = self.first(pixels)
        return maps, torch.cat([pooled, vectors(self.second, pixels)], 1)

    def vectors(self, pixels: Tensor) -> Tensor:
        """Return pooled features alone."""
        return torch.cat([vectors(self.first, pixels), vectors(self.second, pixels)], 1)


def joined(first: Extractor, second: Extractor) -> Extractor:
    """Return both as one. Raises ValueError unless they take pictures of the same side."""
    if first.side != second.side:
        raise ValueError(f"{first.name} sees {first.side} px and {second.name} {second.side}: not together")
    licences = dict.fromkeys(one.licence for one in (first, second) if one.licence)
    module = Joined(first.module, second.module).eval()
    return Extractor(f"{first.name}{BETWEEN}{second.name}", first.side, module, ", ".join(licences))


def among(name: str, extractors: Sequence[Extractor]) -> Extractor:
    """Return the extractor of a name, joined where it names two. Raises KeyError where one isn't there."""
    known = {one.name: one for one in extractors}
    if name in known or BETWEEN not in name:
        return known[name]
    return joined(*(known[part] for part in name.split(BETWEEN)))
