"""What every host can see of a picture without weights: energies of log-Gabor filters with the light divided
out, brightness beside its surroundings, and opponent colours.

Filters: Field, 1987 (log-Gabor). They are convolutions, so that the same network is trained with, asked and
exported.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vision.own_models.features.extractor import Extractor, fingerprint

SIDE = 256  # of a picture, pixels
CELL = 4  # pixels a side of the finest cells
ORIENTATIONS, LEVELS = 6, 3
KERNEL = 15  # a side
WAVELENGTH = 4.0  # pixels of a level, each half as fine as the one before
BANDWIDTH = 0.55  # of a log-Gabor: σ of the logarithm of the frequency is -ln of it
DARK = 0.1  # added to brightness before its logarithm: noise of dark places is no pattern
LIGHT = 16.0  # pixels, the deviation of the blur that light is taken for
TRACE = 1e-4  # below a root, so that it has a slope


class Filters(nn.Module):
    """(B, 3, 256, 256) in 0..1 to maps (B, 27, 256 / cell, 256 / cell) and pooled features (B, 81). cell:
    pixels a side of what is told apart, 4 or 8."""

    kernels: Tensor
    blur: Tensor

    def __init__(self, cell: int = CELL) -> None:
        super().__init__()
        self.cell = cell
        self.register_buffer("kernels", _log_gabor())
        self.register_buffer("blur", gaussian(LIGHT / CELL, 12))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps and pooled features: mean, deviation and largest of each channel."""
        maps = self.maps(pixels)
        flat = maps.flatten(2)
        spread = (flat - flat.mean(2, keepdim=True)).square().mean(2).add(TRACE).sqrt()
        return maps, torch.cat([flat.mean(2), spread, flat.amax(2)], 1)

    def maps(self, pixels: Tensor) -> Tensor:
        """Return (B, 27, h, w)."""
        grey = pixels.mean(1, keepdim=True)
        bright = (grey + DARK).log()
        small = F.avg_pool2d(bright, CELL)
        light = blurred(small, self.blur)
        level = bright - F.interpolate(light, scale_factor=CELL, mode="bilinear", align_corners=False)
        found = [F.avg_pool2d(level, self.cell)]
        for number in range(LEVELS):
            step = 2 if number == 0 else 1  # the envelope of the finest level is smooth at two pixels
            pad = KERNEL // 2
            waves = F.conv2d(F.pad(level, (pad,) * 4, "reflect"), self.kernels, stride=step)
            even, odd = waves.chunk(2, 1)
            energy = (even.square() + odd.square() + TRACE).sqrt()
            cells = self.cell // (2**number * step)
            if number == 0:
                found.append(F.max_pool2d(energy, cells))
            if cells > 1:
                energy = F.avg_pool2d(energy, cells)
            found.append(energy)
            level = F.avg_pool2d(level, 2)
        total = pixels.sum(1) + 3 * DARK
        red, green, blue = pixels.unbind(1)
        opponent = torch.stack([(red - green) / total, (red + green - 2 * blue) / total], 1)
        found.append(F.avg_pool2d(opponent, self.cell))
        return torch.cat(found, 1)


def filters(cell: int = CELL) -> Extractor:
    """Return what reads pictures without any weights."""
    module = Filters(cell).eval()
    return Extractor(f"filters-{cell}-{fingerprint(module)}", SIDE, module, "MIT")


def gaussian(deviation: float, radius: int) -> Tensor:
    """Return a kernel (2 radius + 1,) with sum 1."""
    at = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-(at**2) / (2 * deviation**2))
    return (kernel / kernel.sum()).float()


def blurred(maps: Tensor, kernel: Tensor) -> Tensor:
    """Blur (B, C, H, W) along both sides by a kernel (K,); edges are repeated."""
    radius, channels = len(kernel) // 2, maps.shape[1]
    rows = kernel[None, None, :, None].expand(channels, 1, -1, 1)
    padded = F.pad(maps, (radius,) * 4, "replicate")
    return F.conv2d(F.conv2d(padded, rows, groups=channels), rows.transpose(2, 3), groups=channels)


def _log_gabor() -> Tensor:
    """Return even and odd kernels, (2 × ORIENTATIONS, 1, KERNEL, KERNEL), each without a mean."""
    side = 64
    frequency = torch.fft.fftfreq(side, dtype=torch.float64)
    y, x = torch.meshgrid(frequency, frequency, indexing="ij")
    radius = (x**2 + y**2).sqrt().clamp(min=1e-9)
    angle = torch.atan2(y, x)
    radial = torch.exp(-((radius * WAVELENGTH).log() ** 2) / (2 * math.log(BANDWIDTH) ** 2))
    radial[0, 0] = 0
    even, odd = [], []
    for number in range(ORIENTATIONS):
        way = number * math.pi / ORIENTATIONS
        far = torch.atan2(torch.sin(angle - way), torch.cos(angle - way))
        spread = torch.exp(-(far**2) / (2 * (math.pi / ORIENTATIONS / 1.2) ** 2))
        wave = torch.fft.fftshift(torch.fft.ifft2(radial * spread))
        middle, half = side // 2, KERNEL // 2
        cut = wave[middle - half : middle + half + 1, middle - half : middle + half + 1]
        window = gaussian(KERNEL / 4, half).double()
        cut = cut * (window[:, None] * window[None, :]) / window.max() ** 2
        even.append(cut.real - cut.real.mean())
        odd.append(cut.imag)
    kernels = torch.stack([*even, *odd])
    return (kernels / kernels.flatten(1).norm(dim=1)[:, None, None])[:, None].float()
