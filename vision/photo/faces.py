"""CenterFace (arXiv:1911.03599): how many faces a photograph shows, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vision.photo.onnx_session import open_session

MOST = 640  # px of the longer side that it looks at
MULTIPLE, CELL = 32, 4  # px: sides are multiples; of a cell of its maps
SURE = 0.5  # score
SAME = 0.3  # IoU from which two boxes are one face's
Run = Callable[[Any], Sequence[np.ndarray]]  # (1, 3, H, W) → heat, scale, offset, landmarks


@dataclass(frozen=True)
class Face:
    """A face. score: 0..1. box: left, top, right, bottom, px of the picture."""

    score: float
    box: tuple[float, float, float, float]


class FaceFinder:
    """A CenterFace in memory."""

    name = "centerface"

    def __init__(self, run: Run) -> None:
        self._run = run

    def find(self, image: Image.Image) -> list[Face]:
        """Return the faces of a picture, the surest first."""
        scale = min(1.0, MOST / max(image.size))
        size = [max(1, -(-round(side * scale) // MULTIPLE)) * MULTIPLE for side in image.size]
        seen = image.convert("RGB").resize((size[0], size[1]), Image.Resampling.BILINEAR)
        heat, sides, offset, *_ = self._run(np.asarray(seen, np.float32).transpose(2, 0, 1)[None])
        across, down = image.width / size[0], image.height / size[1]
        faces = []
        for y, x in zip(*np.where(heat[0, 0] > SURE), strict=True):
            high, wide = np.exp(sides[0, :, y, x]) * CELL
            top = (y + offset[0, 0, y, x] + 0.5) * CELL - high / 2
            left = (x + offset[0, 1, y, x] + 0.5) * CELL - wide / 2
            right, bottom = (left + wide) * across, (top + high) * down
            box = float(left * across), float(top * down), float(right), float(bottom)
            faces.append(Face(float(heat[0, 0, y, x]), box))
        kept: list[Face] = []
        for face in sorted(faces, key=lambda face: -face.score):
            if all(_overlap(face.box, other.box) < SAME for other in kept):
                kept.append(face)
        return kept


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """The IoU of two boxes."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / max(areas - shared, 1e-9)


def load(folder: Path, name: str, card: Mapping[str, Any], device: str, dtype: Any) -> FaceFinder:
    """Load the network with free sizes."""
    session = open_session(folder / "model.onnx")
    given = session.get_inputs()[0].name
    return FaceFinder(lambda pixels: session.run(None, {given: pixels}))
