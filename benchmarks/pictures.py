"""Pictures to encode that are neither noise nor empty: a drawing of the demo world, and something with a
photo's spectrum. Seeded."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from core.settings import ROOT


def drawing(side: int) -> np.ndarray:
    """(side, side, 3) uint8: the demo models' contact sheet, flat colours with edges."""
    with Image.open(ROOT / "docs" / "demo-contact-sheet.png") as sheet:
        return np.asarray(sheet.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))


def photo(side: int, seed: int = 0) -> np.ndarray:
    """(side, side, 3) uint8: amplitude falling as 1/f^1.6 as in photographs (Field 1987 found about 1/f²  in
    power), with sensor noise."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    shaped = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(3, side, side))) * frequency**-1.6, (side, side))
    pixels = shaped / shaped.std() * 50 + 128 + rng.normal(0, 2, shaped.shape)
    return pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def decoded(pixels: np.ndarray) -> torch.Tensor:
    """(1, 3, H, W), -1..1: what a decoder would have given for ``pixels``, a little between the 8-bit
    levels."""
    noise = torch.rand(pixels.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    levels = torch.from_numpy(pixels.copy()).float() + 0.9 * noise
    return (levels / 127.5 - 1).permute(2, 0, 1)[None].contiguous()
