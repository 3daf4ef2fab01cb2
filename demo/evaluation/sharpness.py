"""How wide the edges of a picture are: the measure of docs/meaning.md, in px of the picture that is given."""

import numpy as np
from PIL import Image

from vision.pictures.edges import edges as canny

AROUND = 25  # px, the side of the square in which an edge's two colours are looked for


def steps_between(image: Image.Image) -> np.ndarray:
    """How much grey changes from a pixel to the next, down and to the right: (H - 1, W - 1), 0 to 255."""
    grey = np.asarray(image.convert("L"), float)
    return np.hypot(np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1])


def edge_width(image: Image.Image) -> float:
    """Local contrast over the steepest 2 % of steps, the median, in px; NaN without edges. Narrow = sharp."""
    steps, contrast = steps_between(image), _contrast(image)
    edges = (steps >= np.quantile(steps, 0.98)) & (contrast > 40) & (steps > 0)
    return float(np.median(contrast[edges] / steps[edges])) if edges.any() else float("nan")


def canny_edge_width(image: Image.Image) -> float:
    """Local contrast over the step, the median along all edges that Canny's method finds, in px; NaN without
    edges. The steepest 2 % are more than the edges of a small thing where these are narrow, and take in
    soft slopes beside them."""
    steps, contrast = _extreme(steps_between(image), 1, np.maximum), _contrast(image)
    edges = (np.asarray(canny(image).convert("L"))[:-1, :-1] > 0) & (contrast > 40) & (steps > 0)
    return float(np.median(contrast[edges] / steps[edges])) if edges.any() else float("nan")


def _contrast(image: Image.Image) -> np.ndarray:
    """The range of greys in the square around each pixel: (H - 1, W - 1)."""
    grey = np.asarray(image.convert("L"), np.int16)
    windows = (_extreme(grey, AROUND // 2, choose)[:-1, :-1] for choose in (np.maximum, np.minimum))
    return np.subtract(*windows)


def _extreme(grey: np.ndarray, radius: int, choose: np.ufunc) -> np.ndarray:
    """The greatest or least of (H, W) within `radius` px across and down, in windows that double."""
    values = np.pad(grey, radius, "edge")
    for _ in range(2):
        width, window = 1, 2 * radius + 1
        while width < window:
            step = min(width, window - width)
            values = choose(values[:-step], values[step:])
            width += step
        values = values.T
    return values
