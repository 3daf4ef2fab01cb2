"""rapidocr: PaddleOCR's networks (Apache License 2.0) run by onnxruntime on one thread of the processor. The
weights lie in the package; nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.errors import ModelError
from core.results import Point, TextLine
from vision.weights.packaged import RAPID

FILES = {"Det": "*_det_*.onnx", "Rec": "*_rec_*.onnx"}  # finds lines, and reads one
UPRIGHT = 1.5  # times as high as wide: such a line is written from the bottom to the top
FAR, SHEET = 256, 736  # px
SURE_FROM_AFAR = 0.8  # score under which what was found from afar is no line
LINE, WHOLE = 200, 0.8  # px, and of the picture: a box that is higher and larger is around no line
RATIO = 8  # of the sides of a picture in which lines are looked for
CLEAR, HALF = 24.0, 0.4  # of 255, and of the most: how far letters stand out of what is behind them
BOARD = 0.15  # of its height: what of a board is left out, so that only its own colour is around the letters
THIN, THIN_SHARE = 3, 0.08  # px, or of the box: how thick a line of a table may be
FULL_WIDTH = 0.9  # of the box: how long it is at least
MOST_OFF = 0.3  # of a side: a tighter box is a mistake
Box = tuple[Point, Point, Point, Point]


class Rapid:
    """The two networks in memory. Not for several threads at once.

    folder: the package's models. Lines aren't turned by 180°: the network that tells which way is up takes
    short lines of capitals for upside down ones.
    """

    def __init__(self, folder: Path) -> None:
        files = {part: next(iter(sorted(folder.glob(like))), None) for part, like in FILES.items()}
        if None in files.values():
            raise ModelError(f"The weights of {RAPID} aren't in its package: `make setup EXTRAS=ocr`.")
        import cv2
        from rapidocr import RapidOCR

        cv2.setNumThreads(1)
        params: dict[str, Any] = {"Global.use_cls": False, "Global.log_level": "error"}
        params |= {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
        params |= {f"{part}.model_path": str(file) for part, file in files.items()}
        self._engine = RapidOCR(params=params)

    def begin(self, image: Image.Image) -> RapidReading:
        """Find the lines of a picture. Letters of a third of its height are too large for the network: where
        it finds nothing, it looks once more from further away."""
        if boxes := self._boxes(image):
            return RapidReading(self, image, boxes)
        return RapidReading(self, image, self._boxes_from_afar(image), SURE_FROM_AFAR)

    def _boxes(self, image: Image.Image) -> list[Box]:
        found = self._engine(_bgr(padded(image)), use_det=True, use_cls=False, use_rec=False)
        boxes = [] if found.boxes is None else [_box(corners) for corners in found.boxes]
        return [box for box in boxes if not _is_all(box, image.size)]

    def _boxes_from_afar(self, image: Image.Image) -> list[Box]:
        """Return the boxes in the picture at FAR px, on a sheet: the network would enlarge a smaller one."""
        scale = FAR / max(image.size)
        small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        sheet = Image.new("RGB", (SHEET, SHEET), image.getpixel((0, 0)))
        left, top = (SHEET - small.width) // 2, (SHEET - small.height) // 2
        sheet.paste(small, (left, top))
        boxes = [_moved(box, left, top, image.width / small.width) for box in self._boxes(sheet)]
        return [box for box in boxes if not _is_all(box, image.size)]

    def line(self, image: Image.Image, box: Box) -> TextLine | None:
        """Read the line in a box; None when there is none."""
        cut = straight(image, box)
        text, score = self._read(cut)
        if _is_upright(box):  # it runs up as often as down
            turned = self._read(cut.transpose(Image.Transpose.ROTATE_180))
            text, score = turned if turned[1] > score else (text, score)
        return TextLine(text, score, tight(cut, box)) if text.strip() else None

    def _read(self, cut: Image.Image) -> tuple[str, float]:
        read = self._engine(_bgr(cut), use_det=False, use_cls=False, use_rec=True)
        return (read.txts[0], float(read.scores[0])) if read.txts and read.txts[0].strip() else ("", 0.0)


class RapidReading:
    """The lines of a picture, each read on its own: so it reads the same whatever stands beside it."""

    def __init__(self, networks: Rapid, image: Image.Image, boxes: list[Box], least: float = 0.0) -> None:
        self._networks, self._image, self._boxes, self._least = networks, image, boxes, least

    def __len__(self) -> int:
        return len(self._boxes)

    def __iter__(self) -> Iterator[TextLine | None]:
        for box in self._boxes:
            line = self._networks.line(self._image, box)
            yield line if line is not None and line.score >= self._least else None


def straight(image: Image.Image, box: Box) -> Image.Image:
    """Return what is in a box, turned so that its text runs to the right."""
    a, b, c, d = box
    quad = (*a, *d, *c, *b)  # Pillow's order is against the clock
    cut = image.transform(_sides(box), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
    return cut.transpose(Image.Transpose.ROTATE_90) if _is_upright(box) else cut


def tight(cut: Image.Image, box: Box) -> Box:
    """Return the box as close around the letters as they stand out of what is behind them: the network leaves
    much room. cut: what is ``straight`` in it. Where nothing stands out the box stays."""
    grey = np.asarray(cut.convert("L"), np.float32)
    if _is_upright(box):
        grey = np.rot90(grey, -1)
    height, width = grey.shape
    left, top, right, bottom = _ink(grey) or (0, 0, width, height)
    # what was found may be a board: then there is room around its letters
    margin = round(BOARD * (bottom - top))
    within = grey[top + margin : bottom - margin, left + margin : right - margin]
    if min(within.shape) > 8 and (found := _ink(within)) is not None:
        x0, y0, x1, y1 = found
        if x0 > 0 and y0 > 0 and x1 < within.shape[1] and y1 < within.shape[0]:  # it touches no side
            left, top, right, bottom = left + x0, top + y0, left + x1, top + y1
            left, top, right, bottom = (side + margin for side in (left, top, right, bottom))
    x0, x1, y0, y1 = left / width, right / width, top / height, bottom / height
    return _inside(box, x0, y0), _inside(box, x1, y0), _inside(box, x1, y1), _inside(box, x0, y1)


def _without_rules(ink: np.ndarray) -> np.ndarray:
    """Return what stands out (H, W) without thin lines, such as a table's, from one side to the other or
    along an edge, that letters don't touch; all of it where nothing else would be left."""
    rows = np.flatnonzero(np.diff(np.concatenate([[False], ink.any(axis=1), [False]]).astype(np.int8)))
    kept = ink.copy()
    for begin, end in rows.reshape(-1, 2):
        thin = end - begin <= max(THIN, THIN_SHARE * len(ink))
        at_edge = begin == 0 or end == len(ink)
        if thin and (at_edge or ink[begin:end].any(axis=0).mean() > FULL_WIDTH):
            kept[begin:end] = False
    return kept if kept.any() else ink


def _ink(grey: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return what is around all that stands out of (H, W): left, top, right, bottom; None if too little."""
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    apart = np.abs(grey - np.median(rim))
    ink = apart > max(CLEAR, HALF * float(np.percentile(apart, 98)))
    ink = _without_rules(_without_rules(ink).T).T
    across, down = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    if not len(across) or not len(down):
        return None
    left, top, right, bottom = across[0], down[0], across[-1] + 1, down[-1] + 1
    if right - left < MOST_OFF * grey.shape[1] or bottom - top < MOST_OFF * grey.shape[0]:
        return None
    return int(left), int(top), int(right), int(bottom)


def _moved(box: Box, left: float, top: float, scale: float) -> Box:
    """Return a box of a picture that lies at (left, top), in that picture's own px."""
    a, b, c, d = (((x - left) * scale, (y - top) * scale) for x, y in box)
    return a, b, c, d


def _inside(box: Box, across: float, down: float) -> Point:
    shares = (1 - across) * (1 - down), across * (1 - down), across * down, (1 - across) * down
    x = sum(share * corner[0] for share, corner in zip(shares, box, strict=True))
    return x, sum(share * corner[1] for share, corner in zip(shares, box, strict=True))


def padded(image: Image.Image) -> Image.Image:
    """Return a picture whose sides differ by RATIO at most, with nothing at its right or below it: the
    network would enlarge the shorter side of one that is next to a line, and need gigabytes."""
    width, height = image.size
    size = max(width, -(-height // RATIO)), max(height, -(-width // RATIO))
    if size == image.size:
        return image
    sheet = Image.new("RGB", size, image.convert("RGB").getpixel((0, 0)))
    sheet.paste(image, (0, 0))
    return sheet


def _is_all(box: Box, size: tuple[int, int]) -> bool:
    """Return whether a box is around nearly all of a picture that is no single line."""
    width, height = _sides(box)
    return height > LINE and width * height > WHOLE * size[0] * size[1]


def _sides(box: Box) -> tuple[int, int]:
    a, b, c, d = box
    width, height = max(_apart(a, b), _apart(d, c)), max(_apart(a, d), _apart(b, c))
    return max(1, round(width)), max(1, round(height))


def _is_upright(box: Box) -> bool:
    width, height = _sides(box)
    return height >= UPRIGHT * width


def _apart(one: Point, other: Point) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _box(corners: Any) -> Box:
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return a, b, c, d


def _bgr(image: Image.Image) -> np.ndarray:
    """Return (H, W, 3) uint8, blue first, as OpenCV has it."""
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
