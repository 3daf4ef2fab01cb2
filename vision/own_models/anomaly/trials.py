"""Defects drawn onto good pictures, to choose between two ways of looking and to tell what is out of reach.

They say which of two is better and what is certainly too fine to be found; never how many real defects will
be found: they aren't real ones. As in CutPaste (arXiv:2104.04015), with lines, spots and faded places.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

COUNT = 30  # in a training
Drawn = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def drawn(pixels: Tensor, other: Tensor, kind: str, seed: int) -> Tensor:
    """Return a picture (3, S, S) in 0..1 with a defect of a ``kind`` of KINDS. other: a picture that a patch
    may be taken of."""
    lots = torch.Generator().manual_seed(seed)
    return KINDS[kind](pixels, other, lots).clamp(0, 1)


def _line(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A fine straight line, a pixel and a half wide, a tenth to a quarter of the side long."""
    side = pixels.shape[-1]
    middle, angle = _middle(side, lots), _between(lots, 0, math.pi)
    x, y = _from(side, middle)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = -x * math.sin(angle) + y * math.cos(angle)
    half = side * _between(lots, 0.05, 0.125)
    cover = (1.25 - across.abs()).clamp(0, 1) * (half - along.abs()).clamp(0, 1)
    return pixels + cover * _way(lots) * _between(lots, 0.2, 0.4)


def _spot(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A soft spot, darker or brighter by an eighth to a quarter, and a little coloured."""
    side = pixels.shape[-1]
    x, y = _from(side, _middle(side, lots))
    wide, high = (side * _between(lots, 0.02, 0.05) for _ in range(2))
    cover = torch.exp(-0.5 * ((x / wide) ** 2 + (y / high) ** 2))
    tone = torch.tensor([_between(lots, 0.8, 1.2) for _ in range(3)])[:, None, None]
    return pixels + cover * tone * _way(lots) * _between(lots, 0.125, 0.25)


def _patch(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A piece of another good picture, turned by a quarter."""
    side = pixels.shape[-1]
    size = round(side * _between(lots, 0.05, 0.1))
    (x, y), (left, top) = (_corner(side, size, lots) for _ in range(2))
    found = pixels.clone()
    found[:, y : y + size, x : x + size] = other[:, top : top + size, left : left + size].rot90(1, (1, 2))
    return found


def _faded(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A place whose pattern is gone."""
    side = pixels.shape[-1]
    size = round(side * _between(lots, 0.05, 0.1))
    x, y = _corner(side, size, lots)
    coarse = F.avg_pool2d(F.pad(pixels[None], (6,) * 4, "replicate"), 13, 1)[0]
    found = pixels.clone()
    found[:, y : y + size, x : x + size] = coarse[:, y : y + size, x : x + size]
    return found


def _tint(pixels: Tensor, other: Tensor, lots: torch.Generator) -> Tensor:
    """A place of another colour, equally bright."""
    side = pixels.shape[-1]
    size = round(side * _between(lots, 0.05, 0.1))
    x, y = _corner(side, size, lots)
    gain = torch.tensor([1.0, 1.0, 1.0])
    first = int(torch.randint(3, (1,), generator=lots))
    gain[first], gain[(first + 1) % 3] = 1.4, 0.7
    found = pixels.clone()
    found[:, y : y + size, x : x + size] *= gain[:, None, None]
    return found


KINDS: dict[str, Drawn] = {"line": _line, "spot": _spot, "patch": _patch, "faded": _faded, "tint": _tint}


def _between(lots: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=lots))


def _way(lots: torch.Generator) -> float:
    return 1.0 if _between(lots, 0, 1) < 0.5 else -1.0


def _middle(side: int, lots: torch.Generator) -> tuple[float, float]:
    return _between(lots, 0.2, 0.8) * side, _between(lots, 0.2, 0.8) * side


def _from(side: int, middle: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Return how far each pixel is from the middle along x, (1, side), and y, (side, 1)."""
    at = torch.arange(side, dtype=torch.float32)
    return (at - middle[0])[None, :], (at - middle[1])[:, None]


def _corner(side: int, size: int, lots: torch.Generator) -> tuple[int, int]:
    x, y = (int(_between(lots, 0.15, 0.85) * (side - size)) for _ in range(2))
    return x, y
