"""Which pictures are shots of the same thing: those whose fine structure correlates.

Perceptual hashes can't tell parts in a fixture apart (docs/inspect.md); fine structure can: shots of one part
that lies still correlate by 0.98 and more, different parts hardly ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vision.own_models.features.extractor import pixels
from vision.own_models.features.filters import blurred, gaussian

SIDE, REACH = 256, 2  # pixels: of a picture, of a shift either way; half of both for the first look
LOW_PASS, HIGH_PASS = 0.7, 2.0  # pixels: of the blur that noise is taken away by, of the blur taken away
PERHAPS, LINKED = 0.8, 0.97  # correlations from which a second look is worth it, and pictures show the same
AT_ONCE = 64  # pictures that one is compared with in a call


@dataclass(frozen=True)
class Structure:
    """The fine structure of a picture without a mean: coarse (SIDE / 2, SIDE / 2), fine (SIDE, SIDE)."""

    coarse: Tensor
    fine: Tensor


def structure(image: Image.Image) -> Structure:
    """Return what pictures are compared by."""
    whole = pixels(image, SIDE).mean(0, keepdim=True)[None]
    half = F.avg_pool2d(whole, 2)
    smooth = blurred(whole, gaussian(LOW_PASS, 3))
    return Structure(_without_blur(half, half), _without_blur(smooth, whole))


def _without_blur(grey: Tensor, blurry: Tensor) -> Tensor:
    fine = (grey - blurred(blurry, gaussian(HIGH_PASS, 6)))[0, 0]
    return fine - fine.mean()


def correlations(one: Tensor, others: Tensor, reach: int) -> Tensor:
    """Return how well one structure (S, S) correlates with others (N, S, S) at the best shift of at most
    ``reach`` pixels, (N,)."""
    inner = slice(reach, one.shape[-1] - reach)
    kernel = one[inner, inner]
    kernel = kernel - kernel.mean()
    kernel = kernel / kernel.norm().clamp(min=1e-6)
    fits = F.conv2d(others[:, None], kernel[None, None])  # (N, 1, 2 reach + 1, 2 reach + 1)
    window = kernel.shape[-1]
    squares = F.avg_pool2d(others[:, None].square(), window, 1) * window**2
    means = F.avg_pool2d(others[:, None], window, 1) * window
    lengths = (squares - means.square()).clamp(min=1e-6).sqrt()
    return (fits / lengths).flatten(1).amax(1)


@torch.no_grad()
def groups(structures: Sequence[Structure], known: Sequence[str] = ()) -> list[int]:
    """Return for each picture the place of the first that shows the same thing, its own where it is the
    first. known: names of groups that are known of each already ("" = none); equal ones belong together."""
    parents = list(range(len(structures)))

    def root(at: int) -> int:
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    def join(one: int, other: int) -> None:
        first, second = sorted((root(one), root(other)))
        parents[second] = first

    first_of: dict[str, int] = {}
    for at, name in enumerate(known):
        if name:
            join(first_of.setdefault(name, at), at)
    for at, one in enumerate(structures):
        for start in range(at + 1, len(structures), AT_ONCE):
            some = structures[start : start + AT_ONCE]
            found = correlations(one.coarse, torch.stack([other.coarse for other in some]), REACH // 2)
            for place in np.flatnonzero(found.numpy() >= PERHAPS).tolist():
                other = start + place
                if root(at) != root(other) and _same(one, structures[other]):
                    join(at, other)
    return [root(at) for at in range(len(structures))]


def _same(one: Structure, other: Structure) -> bool:
    return float(correlations(one.fine, other.fine[None], REACH)[0]) >= LINKED
