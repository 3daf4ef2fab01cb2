"""What networks of a detector are made of."""

from __future__ import annotations

from torch import Tensor, nn


def block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution with what follows it."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


class Twice(nn.Module):
    """Two convolutions beside a way round them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = block(width, width), block(width, width)

    def forward(self, seen: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        found: Tensor = seen + self.second(self.first(seen))
        return found
