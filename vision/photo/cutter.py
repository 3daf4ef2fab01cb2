"""U-2-Net, the small one (arXiv:2005.09007): which pixels belong to the thing that stands out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from PIL import Image

from vision.photo.onnx_session import open_session
from vision.pictures.pieces import connected
from vision.readers.point_segmenter import Picked

SIDE = 320  # px that it sees, whatever the picture's shape
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AROUND = 0.08  # of a box's sides: what is looked at beside it
FAINT, FULL = 0.1, 0.9  # of the mask: below and above it is nothing, or all
LEAST = 0.002  # of the picture: a smaller thing is none
SEEN = 8  # pictures whose masks are kept
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (1, 3, SIDE, SIDE) → (1, 1, SIDE, SIDE)
Real = NDArray[np.float32]


class Cutter:
    """A U-2-Net in memory."""

    name = "u2netp"
    takes_words, takes_points = False, True

    def __init__(self, run: Run) -> None:
        self._run = run
        self._seen = LRUCache[str, Image.Image](SEEN)

    def alpha(self, image: Image.Image) -> Image.Image:
        """Return how much each pixel belongs to what stands out: "L" at the picture's size."""
        small = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float32)
        given = (small / max(float(small.max()), 1.0) - MEAN) / DEVIATION
        found = self._run(given.astype(np.float32).transpose(2, 0, 1)[None])[0, 0]
        spread = float(found.max() - found.min())
        likely = (found - found.min()) / spread if spread > 0 else np.zeros_like(found)
        clear = np.clip((likely - FAINT) / (FULL - FAINT), 0, 1)
        return Image.fromarray((clear * 255).round().astype(np.uint8)).resize(
            image.size, Image.Resampling.BICUBIC
        )

    def see(self, image: Image.Image, key: str = "") -> Image.Image:
        """Return ``alpha``, kept under ``key`` unless that is empty."""
        if not key:
            return self.alpha(image)
        if key not in self._seen:
            self._seen[key] = self.alpha(image)
        return self._seen[key]

    def pick(
        self,
        image: Image.Image,
        points: Sequence[tuple[float, float, int]] = (),
        box: Sequence[float] | None = None,
        *,
        key: str = "",
    ) -> Picked:
        """Return what stands out at ``points`` (x, y, 1 = belongs to it, 0 = doesn't), px, or in ``box``,
        which is looked at alone; an empty mask for nothing."""
        if box is not None:
            part = grown(box, image.size)
            likely = Image.new("L", image.size)
            likely.paste(self.alpha(image.crop(part)), part[:2])
        else:
            likely = self.see(image, key)
        values = np.asarray(likely)
        inside = values > 127
        meant = np.zeros_like(inside)
        for x, y, label in points:
            at = min(max(int(y), 0), image.height - 1), min(max(int(x), 0), image.width - 1)
            meant[at] |= bool(label) and bool(inside[at])
        if points:
            inside = connected(meant, inside) if meant.any() else meant
        for x, y, label in points:
            at = min(max(int(y), 0), image.height - 1), min(max(int(x), 0), image.width - 1)
            if not label and inside[at]:
                away = np.zeros_like(inside)
                away[at] = True
                inside = inside & ~connected(away, inside)
        score = float(values[inside].mean() / 255) if inside.any() else 0.0
        return Picked(Image.fromarray(inside.astype(np.uint8) * 255), score)


def grown(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return a box (left, top, right, bottom, px) with a rim, inside a picture of ``size``."""
    wide, high = AROUND * (box[2] - box[0]), AROUND * (box[3] - box[1])
    left, top = max(0, int(box[0] - wide)), max(0, int(box[1] - high))
    right, bottom = min(size[0], int(box[2] + wide) + 1), min(size[1], int(box[3] + high) + 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: Any) -> Cutter:
    """Load the network."""
    session = open_session(folder / "model.onnx")
    [given, made] = session.get_inputs()[0].name, session.get_outputs()[0].name
    return Cutter(lambda pixels: session.run([made], {given: pixels})[0])
