"""Real surfaces without a place: scikit-image's photographs of brick, grass and gravel (CC0). Good pictures
are crops of the upper half, tested ones of the lower half, with defects drawn on."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.vision.own_models import parts

TEXTURES = ("brick", "grass", "gravel")
DEFECTS = ("scratch", "stain", "crack", "chip", "missing", "misplaced")
CROP = 192  # pixels of a photograph of 512


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
    small = crop.resize((parts.SIDE, parts.SIDE), Image.Resampling.BOX)
    return Image.fromarray(parts.taken(np.asarray(small, np.float32), rng))


def _crop(half: np.ndarray, rng: np.random.Generator) -> Image.Image:
    y, x = (int(rng.integers(0, side - CROP + 1)) for side in half.shape[:2])
    side = parts.SIDE * parts.SCALE
    grey = Image.fromarray(half[y : y + CROP, x : x + CROP].astype(np.uint8)).convert("RGB")
    return grey.resize((side, side), Image.Resampling.BICUBIC)
