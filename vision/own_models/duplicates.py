"""Which pictures are shots of the same thing: those whose fine structure correlates.

Perceptual hashes can't tell parts in a fixture apart (docs/inspect.md); fine structure can: shots of one part
correlate by 0.96 and more, different parts by 0.88 at most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vision.own_models.features.extractor import pixels
from vision.own_models.features.filters import blurred, gaussian

SIDE, HIGH_PASS, REACH = 128, 2.0, 2  # pixels: of a picture, of the blur taken away, of a shift either way
LINKED = 0.93  # correlation from which two pictures show the same thing
AT_ONCE = 64  # pictures that one is compared with in a call


def structure(image: Image.Image) -> Tensor:
    """Return the fine structure of a picture, (SIDE, SIDE), without a mean."""
    grey = pixels(image, SIDE).mean(0, keepdim=True)[None]
    fine = grey - blurred(grey, gaussian(HIGH_PASS, 6))
    return (fine - fine.mean())[0, 0]


def correlations(one: Tensor, others: Tensor) -> Tensor:
    """Return how well one structure (SIDE, SIDE) correlates with others (N, SIDE, SIDE) at the best shift,
    (N,)."""
    inner = slice(REACH, SIDE - REACH)
    kernel = one[inner, inner]
    kernel = kernel - kernel.mean()
    kernel = kernel / kernel.norm().clamp(min=1e-6)
    fits = F.conv2d(others[:, None], kernel[None, None])  # (N, 1, 2 REACH + 1, 2 REACH + 1)
    window = kernel.shape[-1]
    squares = F.avg_pool2d(others[:, None].square(), window, 1) * window**2
    means = F.avg_pool2d(others[:, None], window, 1) * window
    lengths = (squares - means.square()).clamp(min=1e-6).sqrt()
    return (fits / lengths).flatten(1).amax(1)


@torch.no_grad()
def groups(structures: Sequence[Tensor], known: Sequence[str] = ()) -> list[int]:
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
    together = torch.stack(list(structures)) if structures else torch.empty(0, SIDE, SIDE)
    for at in range(len(structures)):
        for start in range(at + 1, len(structures), AT_ONCE):
            found = correlations(together[at], together[start : start + AT_ONCE])
            for other in np.flatnonzero(found.numpy() >= LINKED):
                join(at, start + int(other))
    return [root(at) for at in range(len(structures))]
