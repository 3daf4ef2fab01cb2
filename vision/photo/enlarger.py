"""Compact Real-ESRGAN (SRVGGNetCompact, arXiv:2107.10833): a photograph at four times its side, tile by
tile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn

CHANNELS, LAYERS, SCALE = 64, 18, 4
TILE, MARGIN = 128, 16  # px of the small picture: a tile's side, and what it sees around itself
SHARE = 0.5  # of the network's in the result; the rest is Lanczos': measured, see docs/decisions/pictures.md


class Compact(nn.Module):
    """(B, 3, H, W) in 0..1 to (B, 3, 4·H, 4·W), not clamped."""

    def __init__(self) -> None:
        super().__init__()
        wide = [CHANNELS] * (LAYERS - 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1)
            for before, after in zip([3, *wide], [*wide, 3 * SCALE**2], strict=True)
        )
        self.slopes = nn.ModuleList(nn.PReLU(CHANNELS) for _ in wide)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the picture at SCALE times its side."""
        x = picture
        for convolution, slope in zip(self.convolutions, self.slopes, strict=False):
            x = slope(convolution(x))
        x = F.pixel_shuffle(self.convolutions[-1](x), SCALE)
        return x + F.interpolate(picture, scale_factor=SCALE, mode="nearest")


class Parts(NamedTuple):
    """Work in parts: each of the tiles, then what is finished."""

    tiles: tuple[Callable[[], None], ...]
    finished: Callable[[], Image.Image]


class Enlarger:
    """A compact Real-ESRGAN in memory, on the processor."""

    name = "real-esrgan-compact"

    def __init__(self, model: Compact) -> None:
        self.model = model

    def parts(self, image: Image.Image, factor: int) -> Parts:
        """Return the work of enlarging an RGB picture ``factor`` (2 or 4) times, tile by tile."""
        made = Image.new("RGB", (image.width * factor, image.height * factor))
        corners = [(x, y) for y in range(0, image.height, TILE) for x in range(0, image.width, TILE)]
        tiles = tuple(partial(self._paste, made, image, corner, factor) for corner in corners)
        return Parts(tiles, partial(_blended, image, made))

    def enlarge(self, image: Image.Image, factor: int) -> Image.Image:
        """Return an RGB picture at ``factor`` (2 or 4) times its side."""
        parts = self.parts(image, factor)
        for draw in parts.tiles:
            draw()
        return parts.finished()

    @torch.no_grad()
    def _paste(self, made: Image.Image, image: Image.Image, corner: tuple[int, int], factor: int) -> None:
        """Draw one tile, with what is around it, and paste its own part."""
        left, top = (max(0, at - MARGIN) for at in corner)
        right, bottom = (min(side, at + TILE + MARGIN) for at, side in zip(corner, image.size, strict=True))
        part = np.asarray(image.crop((left, top, right, bottom)))
        given = torch.from_numpy(part.astype(np.float32) / 255).permute(2, 0, 1)[None]
        drawn = self.model(given.contiguous(memory_format=torch.channels_last))[0]
        large = drawn.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        sized = Image.fromarray(large)
        if factor != SCALE:
            sized = sized.resize((part.shape[1] * factor, part.shape[0] * factor), Image.Resampling.BOX)
        own = ((corner[0] - left) * factor, (corner[1] - top) * factor)
        sized = sized.crop((*own, own[0] + TILE * factor, own[1] + TILE * factor))
        made.paste(sized, (corner[0] * factor, corner[1] * factor))


def _blended(image: Image.Image, made: Image.Image) -> Image.Image:
    """What the network made, in part: alone it paints over textures."""
    return Image.blend(image.resize(made.size, Image.Resampling.LANCZOS), made, SHARE)


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype) -> Enlarger:
    """Load the converted weights, in float32."""
    model = Compact()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return Enlarger(model.eval().requires_grad_(False))
