"""One way to see a picture: a network from pixels to a map and a vector, with the name and hash of what it
was made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional as F

BATCH = 8  # pictures in a call
BOTH = "+"  # between the names of a pair


@dataclass(frozen=True)
class Extractor:
    """name: of the recipe with a hash of its weights, so that features of another model are never mixed with
    these. side: of the square that a picture is resized to. module: (B, 3, side, side) in 0..1 to maps
    (B, D, h, w) and pooled features (B, P). licence: of its weights."""

    name: str
    side: int
    module: nn.Module
    licence: str

    @torch.no_grad()
    def read(self, images: Sequence[Image.Image]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the map (D, h, w) and the vector (P,) of each picture, BATCH of them at a time. A picture's
        features don't depend on those it is read with, up to rounding; call it with one for equal bits."""
        for start in range(0, len(images), BATCH):
            some = torch.stack([pixels(image, self.side) for image in images[start : start + BATCH]])
            maps, pooled = self.module(some)
            yield from zip(maps, pooled, strict=True)


class Pair(nn.Module):
    """What two networks see at once: see ``joined``; vectors of both."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps (B, s² D + E, h, w) and pooled features (B, P + Q)."""
        (first, pooled), (second, also) = self.first(pixels), self.second(pixels)
        return joined(first, second), torch.cat([pooled, also], 1)

    def vectors(self, pixels: Tensor) -> Tensor:
        """Return pooled features alone, (B, P + Q), whichever has the finer cells."""
        return torch.cat([vectors(self.first, pixels), vectors(self.second, pixels)], 1)


def joined(first: Tensor, second: Tensor) -> Tensor:
    """Return maps (B, D, s h, s w), whose s × s cells become one, and (B, E, h, w) as one map."""
    return torch.cat([F.pixel_unshuffle(first, first.shape[-1] // second.shape[-1]), second], 1)


def pair(first: Extractor, second: Extractor) -> Extractor:
    """Return what sees as both do; the first has as fine cells as the second or finer."""
    module = Pair(first.module, second.module).eval().requires_grad_(False)
    name, licence = f"{first.name}{BOTH}{second.name}", f"{first.licence}, {second.licence}"
    return Extractor(name, first.side, module, licence)


def named(name: str, find: Callable[[str], Extractor | None]) -> Extractor:
    """Return the extractor of a name, or the ``pair`` of two. find: of one alone, None where it isn't known.
    Raises KeyError with the name that isn't."""
    first, _, second = name.partition(BOTH)
    if second:
        return pair(named(first, find), named(second, find))
    found = find(name)
    if found is None:
        raise KeyError(name)
    return found


def vectors(module: nn.Module, pixels: Tensor) -> Tensor:
    """Return what an extractor's network pools, (B, P), of pixels (B, 3, side, side), without its maps where
    these would be work of their own."""
    alone = getattr(module, "vectors", None)
    found: Tensor = module(pixels)[1] if alone is None else alone(pixels)
    return found


def pixels(image: Image.Image, side: int) -> Tensor:
    """Return a picture, turned as its EXIF says and squeezed into a square: (3, side, side) in 0..1.

    ``predict.py`` of a bundle does the same with the same calls of Pillow: others' resizing differs.
    """
    upright = ImageOps.exif_transpose(image).convert("RGB")
    small = upright.resize((side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(small, np.float32) / 255).permute(2, 0, 1).contiguous()


def fingerprint(module: nn.Module) -> str:
    """Return 12 hex digits of the SHA-256 of a network's tensors, by name and value."""
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(name.encode() + str(value.dtype).encode() + str(tuple(value.shape)).encode())
        found.update(
            value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if value.dim() else b""
        )
    return found.hexdigest()[:12]
