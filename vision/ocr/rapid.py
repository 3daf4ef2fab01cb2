"""rapidocr: PaddleOCR's networks (Apache License 2.0) run by onnxruntime on one thread of the processor. The
weights lie in the package; nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.errors import ModelError
from core.results.text_lines import Point, TextLine
from vision.ocr.programs import RAPID

FILES = {"Det": "*_det_*.onnx", "Rec": "*_rec_*.onnx"}  # finds lines, and reads one
UPRIGHT = 1.5  # times as high as wide: such a line is written from the bottom to the top
Box = tuple[Point, Point, Point, Point]


class Rapid:
    """The two networks in memory. Not for several threads at once.

    folder: the package's models. Lines aren't turned by 180°: the network that tells which way is up takes
    short lines of capitals for upside down ones.
    """

    def __init__(self, folder: Path) -> None:
        files = {part: next(iter(sorted(folder.glob(like))), None) for part, like in FILES.items()}
        if None in files.values():
            raise ModelError(f"The weights of {RAPID} aren't in its package: install 'atelier[ocr]' again.")
        import cv2
        from rapidocr import RapidOCR

        cv2.setNumThreads(1)
        threads = dict.fromkeys(
            (f"EngineConfig.onnxruntime.{kind}_op_num_threads" for kind in ("intra", "inter")), 1
        )
        paths = {f"{part}.model_path": str(file) for part, file in files.items()}
        self._engine = RapidOCR(
            params={"Global.use_cls": False, "Global.log_level": "error", **threads, **paths}
        )

    def begin(self, image: Image.Image) -> RapidReading:
        """Find the lines of a picture."""
        found = self._engine(_bgr(image), use_det=True, use_cls=False, use_rec=False)
        boxes = () if found.boxes is None else found.boxes
        return RapidReading(self, image, [_box(corners) for corners in boxes])

    def line(self, image: Image.Image, box: Box) -> TextLine | None:
        """Read the line in a box; None when there is none."""
        read = self._engine(_bgr(straight(image, box)), use_det=False, use_cls=False, use_rec=True)
        if not read.txts or not read.txts[0].strip():
            return None
        return TextLine(read.txts[0], float(read.scores[0]), box)


class RapidReading:
    """The lines of a picture, each read on its own: so it reads the same whatever stands beside it."""

    def __init__(self, networks: Rapid, image: Image.Image, boxes: list[Box]) -> None:
        self._networks, self._image, self._boxes = networks, image, boxes

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self._boxes)

    def __iter__(self) -> Iterator[TextLine | None]:
        """Read box after box."""
        for box in self._boxes:
            yield self._networks.line(self._image, box)


def straight(image: Image.Image, box: Box) -> Image.Image:
    """Return what is in a box, turned so that its text runs to the right."""
    a, b, c, d = box
    width = max(1, round(max(_apart(a, b), _apart(d, c))))
    height = max(1, round(max(_apart(a, d), _apart(b, c))))
    quad = (*a, *d, *c, *b)  # Pillow's order is against the clock
    cut = image.transform((width, height), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
    return cut.transpose(Image.Transpose.ROTATE_90) if height >= UPRIGHT * width else cut


def _apart(one: Point, other: Point) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _box(corners: Any) -> Box:
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return a, b, c, d


def _bgr(image: Image.Image) -> np.ndarray:
    """Return (H, W, 3) uint8, blue first, as OpenCV has it."""
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
