"""EfficientNet-Lite0: which of ImageNet's thousand classes a photograph shows, and features of any picture.

EfficientNet (arXiv:1905.11946) without squeeze-and-excitation and with ReLU6, as TensorFlow's
``efficientnet/lite`` has it. TensorFlow pads a stride of two at the bottom and the right only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from vision.engine.side_work import BeforeSlice

STAGES = (  # blocks, side of the kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, FEATURES, CLASSES = 32, 1280, 1000
SHORT, SIDE = 256, 224  # px: of the shorter side, and of the middle that the network sees
EPSILON = 1e-3  # of its batch normalisation


class Convolution(nn.Conv2d):
    """A convolution that pads as TensorFlow does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        around: list[int] = []
        for length, side, stride in zip(
            x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            missing = max((-(-length // stride) - 1) * stride + side - length, 0)
            around += (missing // 2, missing - missing // 2)
        return super().forward(F.pad(x, around))


class Block(nn.Module):
    """An inverted residual (arXiv:1801.04381)."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = before * expansion
        self.expand = Convolution(before, inside, 1) if expansion > 1 else None
        self.depthwise = Convolution(inside, inside, kernel, stride, groups=inside)
        self.project = Convolution(inside, after, 1)
        self.adds = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, after, ⌈H / stride⌉, ⌈W / stride⌉)."""
        inside = x if self.expand is None else F.relu6(self.expand(x))
        found = self.project(F.relu6(self.depthwise(inside)))
        return x + found if self.adds else found


class EfficientNetLite0(nn.Module):
    """(B, 3, 224, 224) in -1..1 to logits and features; batch normalisation is part of its convolutions."""

    def __init__(self) -> None:
        super().__init__()
        blocks, channels = [], STEM
        for count, kernel, stride, expansion, after in STAGES:
            for number in range(count):
                blocks.append(Block(channels, after, kernel, stride if number == 0 else 1, expansion))
                channels = after
        self.stem = Convolution(3, STEM, 3, 2)
        self.blocks = nn.Sequential(*blocks)
        self.head = Convolution(channels, FEATURES, 1)
        self.classes = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, 1000) and features (B, 1280)."""
        x = self.blocks(F.relu6(self.stem(x)))
        features = F.relu6(self.head(x)).mean((2, 3))
        return self.classes(features), features


class Reader:
    """An EfficientNet-Lite0 in memory. It stays on the processor, where it takes milliseconds."""

    name = "efficientnet-lite0"

    def __init__(self, model: EfficientNetLite0) -> None:
        self.model = model

    @torch.no_grad()
    def read_each(
        self, images: Sequence[Image.Image], before_slice: BeforeSlice
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return for each picture the probabilities of the classes (1000,) and its features (1280,). See
        vision.engine.side_work."""
        logits, features = self.model(torch.stack([pixels(image) for image in images]))
        chances = logits.softmax(-1).numpy()
        return list(zip(chances, features.numpy(), strict=True))


def pixels(image: Image.Image) -> torch.Tensor:
    """Return the middle of a picture, (3, SIDE, SIDE) in -1..1: better here than ImageNet's usual mean and
    deviation."""
    scale = SHORT / min(image.size)
    size = (max(SHORT, round(image.width * scale)), max(SHORT, round(image.height * scale)))
    small = image.convert("RGB").resize(size, Image.Resampling.BICUBIC, reducing_gap=3)
    left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    middle = np.asarray(small.crop((left, top, left + SIDE, top + SIDE)), np.float32)
    return torch.from_numpy(middle / 127.5 - 1).permute(2, 0, 1)


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: torch.dtype) -> Reader:
    """Load the converted weights, in float32."""
    model = EfficientNetLite0()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return Reader(model.eval().requires_grad_(False))
