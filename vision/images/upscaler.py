"""A small network that enlarges a decoded picture, for models whose folder brings one as ``upscaler/``: edges
become nearly as steep as in the pictures that it learned from.

For each finished pixel it says from where in the smoothly enlarged picture to take its colour, and what to
add. What is taken from beside an edge instead of from its middle has one of its two colours, so a soft edge
becomes steep without the dark and light seams of a mask that sharpens. Learned places, unlike those that the
edges' strength alone tells (Arad and Gotsman, *Enhancement by image-dependent warping*, 1999), keep corners.
Where pictures are softer than what it learned from, what it leaves is narrow enough for that warp to do the
rest (``narrowed``)."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from PIL import Image
from torch import nn

from core.errors import ModelError
from vision import devices
from vision.engine import layouts
from vision.images import encode, ops

FOLDER = "upscaler"  # of a model
MARGIN = 16  # px of the other side, around a picture whose opposite edges meet

# Of `narrowed`, in px of the finished picture.
BEFORE, AFTER = 1.0, 1.5  # standard deviations of the blur before edges are looked for, and of their strength
HALF = 0.03  # a step of colour in 0..1 from a pixel to the next that counts half as much as the steepest
PUSH, FURTHEST = 32.0, 3.0  # how far the slope of an edge's strength moves a pixel, and at most


class Residual(nn.Module):
    """(B, channels, H, W) plus what two convolutions find in it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, channels, H, W)."""
        return x + self.second(F.relu(self.first(F.relu(x))))


class Upscaler(ModelMixin, ConfigMixin):
    """(B, 3, H, W) in 0..1 to (B, 3, scale·H, scale·W), not clamped; H and W are whole multiples of
    ``MULTIPLE``. Untrained it enlarges by bicubic interpolation. widths: channels at the picture's
    resolution, its half and its quarter. reach: px of the finished picture that an output of one moves a
    place by. passes: of ``narrowed`` over what is enlarged."""

    MULTIPLE = 4

    @register_to_config
    def __init__(
        self, scale: int = 4, widths: tuple[int, int, int] = (32, 48, 64), reach: float = 8.0, passes: int = 0
    ) -> None:
        super().__init__()
        full, half, quarter = widths
        self.scale, self.reach, self.passes = scale, reach, passes
        self.stem = nn.Conv2d(3, full, 3, padding=1)
        self.half_size = nn.Sequential(nn.Conv2d(12, half, 3, padding=1), Residual(half))
        self.quarter_size = nn.Sequential(
            nn.Conv2d(half, quarter, 3, 2, padding=1), Residual(quarter), Residual(quarter)
        )
        self.to_half = nn.Sequential(nn.Conv2d(quarter, 4 * half, 1), nn.PixelShuffle(2))
        self.at_half = Residual(half)
        self.to_full = nn.Sequential(nn.Conv2d(half, 4 * full, 3, padding=1), nn.PixelShuffle(2))
        self.at_full = nn.Sequential(Residual(full), Residual(full))
        self.place = nn.Conv2d(full, 2 * scale * scale, 3, padding=1)
        self.rest = nn.Conv2d(full, 3 * scale * scale, 3, padding=1)
        for last in (self.place, self.rest):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the picture at ``scale`` times its side."""
        moved, rest = self.parts(picture)
        return moved + rest

    def parts(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the enlarged picture with its colours moved, and what is to be added to it."""
        half = self.half_size(F.pixel_unshuffle(picture, 2))
        quarter = self.quarter_size(F.relu(half))
        half = self.at_half(half + self.to_half(F.relu(quarter)))
        full = F.relu(self.at_full(self.stem(picture) + self.to_full(F.relu(half))))
        places = F.pixel_shuffle(self.place(full).contiguous(), self.scale).permute(0, 2, 3, 1)
        rest = F.pixel_shuffle(self.rest(full).contiguous(), self.scale)
        large = F.interpolate(picture.contiguous(), scale_factor=self.scale, mode="bicubic")
        return _taken(large, self.reach * places), rest

    @torch.no_grad()
    def enlarge(self, image: Image.Image, seamless: bool = False) -> Image.Image:
        """Return the picture ``scale`` times larger. One at a time: the same bits whoever shares the device.
        seamless: opposite edges meet, so beyond an edge lies the other side."""
        margin = min(MARGIN, *image.size) if seamless else 0
        padded = ops.padded(encode.wrapped(image, margin) if margin else image, self.MULTIPLE)
        tensor = torch.from_numpy(np.array(padded)).to(self.device, self.dtype).permute(2, 0, 1)[None] / 255
        made = self(tensor.contiguous(memory_format=torch.channels_last)).float()
        for _ in range(self.passes):
            made = narrowed(made)
        pixels = made[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        left, width, height = margin * self.scale, image.width * self.scale, image.height * self.scale
        return Image.fromarray(pixels[left : left + height, left : left + width])


def narrowed(picture: torch.Tensor) -> torch.Tensor:
    """Return (1, 3, H, W) in 0..1 with steeper edges: each pixel takes its colour from a little further away
    from the edge that it lies beside."""
    blurred = _blurred(picture, BEFORE)
    across, down = _slopes(blurred)
    strength = _blurred((across**2 + down**2).mean(1, keepdim=True).sqrt(), AFTER)
    slopes = torch.cat(_slopes(strength / (strength + HALF)), 1)
    return _taken(picture, -(PUSH * slopes).clamp(-FURTHEST, FURTHEST).permute(0, 2, 3, 1))


def _taken(picture: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return the picture (B, 3, H, W) by colours ``places`` px to the right and down, (B, H, W, 2)."""
    height, width = picture.shape[-2:]
    down, right = (
        (2 * torch.arange(side, device=picture.device, dtype=picture.dtype) + 1) / side - 1
        for side in (height, width)
    )
    own = torch.stack(torch.meshgrid(down, right, indexing="ij")[::-1], -1)[None]
    grid = own + picture.new_tensor([2 / width, 2 / height]) * places  # as grid_sample counts
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _blurred(picture: torch.Tensor, deviation: float) -> torch.Tensor:
    """Return (B, C, H, W) under a Gaussian; the border is continued outwards."""
    radius = round(3 * deviation)
    at = torch.arange(-radius, radius + 1, dtype=torch.float32)
    weights = torch.softmax(-(at**2) / (2 * deviation**2), 0).tolist()
    blurred = F.pad(picture, (radius,) * 4, mode="replicate")
    for axis in (3, 2):  # by sums of shifted pictures, in a third of a convolution's time
        parts = [blurred.narrow(axis, i, picture.shape[axis]) for i in range(len(weights))]
        blurred = parts[0] * weights[0]
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            blurred.add_(part, alpha=weight)
    return blurred


def _slopes(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how (B, C, H, W) rises per px to the right and down; the border is continued outwards."""
    wide = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    right, down = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2], wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]
    return right / 2, down / 2


def load_upscaler(model_folder: Path, scale: int, device: str) -> Upscaler | None:
    """Return the upscaler that a model's folder brings, on ``device``; None when it brings none. scale: the
    factor that the model's card asks for. Raises ModelError when it can't be loaded or has another factor."""
    folder = model_folder / FOLDER
    if not (folder / "config.json").is_file():
        return None
    with devices.refusing(f"The upscaler in {folder} doesn't load", tells=True):
        found = Upscaler.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    if found.scale != scale:
        raise ModelError(f"The upscaler in {folder} enlarges {found.scale} times, the card says {scale}.")
    layouts.pack(found, device)
    return found.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
