"""Lays over a picture how much each place of it counts."""

from __future__ import annotations

import numpy as np
from PIL import Image

MOST = 1536  # px of the longer side of what is shown
SCALE = (  # from what counts nothing to what counts most; dark to light, also for people who see no colours
    (0.0, (13, 8, 60)),
    (0.3, (106, 20, 130)),
    (0.6, (214, 62, 88)),
    (0.8, (250, 145, 50)),
    (1.0, (253, 240, 150)),
)
FAINT, STRONG = 0.55, 0.75  # how far the colours cover the picture: where nothing counts, and where all does
Box = tuple[float, float, float, float]


def draw(image: Image.Image, counts: np.ndarray, seen: Box | None = None) -> Image.Image:
    """Return a picture, no larger than MOST, in colours of ``counts``.

    counts: (rows, columns), 0..1, of the part ``seen``: left, top, right, bottom in px of the picture, None =
    all of it. What lies outside of that was looked at by nobody, and counts nothing.
    """
    scale = min(1.0, MOST / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    left, top, right, bottom = (round(px * scale) for px in seen or (0, 0, *image.size))
    part = Image.fromarray(counts.astype(np.float32)).resize(
        (max(1, right - left), max(1, bottom - top)), Image.Resampling.BICUBIC
    )
    field = Image.new("F", size)
    field.paste(part, (left, top))
    value = np.clip(np.asarray(field), 0, 1)
    stops, colours = [at for at, _ in SCALE], np.array([colour for _, colour in SCALE], float)
    tint = np.stack([np.interp(value, stops, colours[:, part]) for part in range(3)], -1)
    grey = np.asarray(image.resize(size, Image.Resampling.LANCZOS).convert("L"), float)[..., None]
    cover = (FAINT + (STRONG - FAINT) * value)[..., None]
    # the tint takes the light of the picture, so that its shapes stay
    return Image.fromarray(
        ((1 - cover) * grey + cover * tint * (0.4 + 0.6 * grey / 255)).round().astype("uint8")
    )
