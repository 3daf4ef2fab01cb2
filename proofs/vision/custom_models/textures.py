"""Real surfaces without a place: scikit-image's photographs of brick, grass and gravel (CC0). Good pictures
are crops of the upper half, tested ones of the lower half, with defects drawn on. ``of_places`` is a row of
``proofs.vision.custom_models.proof``: why a promise breaks between the halves."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image

from proofs.vision.custom_models.seen_with import towers
from tests.vision.custom_models import parts
from vision.custom_models.anomaly.detector import FREE
from vision.custom_models.anomaly.train import Candidate
from vision.custom_models.dataset import Apart
from vision.custom_models.features import Extractor, pixels
from vision.custom_models.steps import exhausted
from vision.custom_models.thresholds import from_good

Row = dict[str, object]
TEXTURES = ("brick", "grass", "gravel")
DEFECTS = ("scratch", "stain", "crack", "chip", "missing", "misplaced")
CROP = 192  # pixels of a photograph of 512
SMALL, GRID, LEARNED = 96, 5, 10  # pixels of crops that needn't overlap, GRID × GRID of them; learned from


def picture(name: str, seed: int, defect: str | None = None, tested: bool = False) -> Image.Image:
    """Return a crop (256, 256) of a photograph."""
    from skimage import data

    whole = np.asarray(getattr(data, name)())
    half = whole[256:] if tested else whole[:256]
    rng = np.random.default_rng((seed, 11))
    crop = _crop(half, rng)
    if defect in ("missing", "misplaced"):
        size = parts.SIDE * parts.SCALE // 9
        x, y = (int(at) for at in rng.uniform(0.2, 0.7, 2) * parts.SIDE * parts.SCALE)
        piece = _crop(half, rng).crop((x, y, x + size, y + size)).rotate(90)
        if defect == "missing":
            piece = Image.new("RGB", (size, size), tuple(int(v) for v in np.asarray(piece).mean((0, 1))))
        crop.paste(piece, (x, y))
    elif defect is not None:
        crop = parts.WOUNDS[defect](crop, rng)
    return _taken(crop, rng)


def _taken(crop: Image.Image, rng: np.random.Generator) -> Image.Image:
    small = crop.resize((parts.SIDE, parts.SIDE), Image.Resampling.BOX)
    return Image.fromarray(parts.taken(np.asarray(small, np.float32), rng))


def _crop(half: np.ndarray, rng: np.random.Generator, size: int = CROP) -> Image.Image:
    y, x = (int(rng.integers(0, side - size + 1)) for side in half.shape[:2])
    return _cut(half, x, y, size)


def _cut(whole: np.ndarray, x: int, y: int, size: int) -> Image.Image:
    side = parts.SIDE * parts.SCALE
    grey = Image.fromarray(whole[y : y + size, x : x + size].astype(np.uint8)).convert("RGB")
    return grey.resize((side, side), Image.Resampling.BICUBIC)


@torch.no_grad()
def of_places(scale: float) -> Iterator[Row]:
    """8.3: how many good crops are stopped, of the promise, by where those lie that are learned from: crops
    that don't overlap, from anywhere or from one end of the photograph, and crops of one half by lot."""
    from skimage import data

    extractor, draws = towers()[-1], max(1, round(4 * scale))
    for name in TEXTURES:
        whole, rng = np.asarray(getattr(data, name)()), np.random.default_rng(3)
        step = (len(whole) - SMALL) // (GRID - 1)
        cells = [(x * step, y * step) for y in range(GRID) for x in range(GRID)]
        grid = _maps(extractor, [_taken(_cut(whole, x, y, SMALL), rng) for x, y in cells])
        by_lot = [_taken(_crop(whole[: len(whole) // 2], rng, SMALL), rng) for _ in range(4 * LEARNED)]
        upper, ends = _maps(extractor, by_lot), (grid[: 2 * GRID], grid[-2 * GRID :])
        told: dict[str, list[float]] = {}
        for draw in range(draws):
            lots = random.Random(draw)
            mixed = lots.sample(grid, len(grid))
            some = lots.sample(upper, len(upper))
            told.setdefault("apart, anywhere", []).append(_of_promise(extractor, mixed))
            stopped = _of_promise(extractor, some[:LEARNED] + ends[1])
            told.setdefault("overlapping, the other end", []).append(stopped)
            told.setdefault("overlapping, the same half", []).append(_of_promise(extractor, some))
        both = (ends[0] + ends[1], ends[1] + ends[0])
        told["apart, the other end"] = [_of_promise(extractor, list(some)) for some in both]
        for where, stopped in told.items():
            yield {
                "texture": name,
                "learned from and tested on": where,
                "draws": len(stopped),
                "stopped, of the promise": float(np.mean(stopped)),
            }


def _maps(extractor: Extractor, images: Sequence[Image.Image]) -> list[torch.Tensor]:
    return [extractor.module(pixels(image, extractor.side)[None])[0] for image in images]


def _of_promise(extractor: Extractor, maps: Sequence[torch.Tensor]) -> float:
    """Learn from the first LEARNED and return how many of the others are stopped, of the promise."""
    candidate = Candidate(extractor, FREE, None, 0)
    shown = maps[:LEARNED]
    exhausted(candidate.fitting(shown, Apart.of(range(len(shown)))))
    limit = from_good(candidate.good_scores)
    stopped = np.mean([candidate.look(one)[0] > limit.value for one in maps[LEARNED:]])
    return float(stopped / limit.promise)
