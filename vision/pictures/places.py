"""Says in words where in a picture something is."""

from __future__ import annotations

import numpy as np
from PIL import Image


def place(x: float, y: float) -> str:
    """Return "upper left", "middle", "right" … for a point, 0..1 from the left and from the top."""
    across, down = ("left", "", "right")[_third(x)], ("upper", "", "lower")[_third(y)]
    if down and not across:
        return "top" if down == "upper" else "bottom"
    return " ".join(word for word in (down, across) if word) or "middle"


def place_of(mask: Image.Image) -> str:
    """Return where the middle of a mask (255 = the thing) is, and how much of the picture it takes. The mask
    isn't empty."""
    inside = np.asarray(mask) > 127
    rows, columns = np.nonzero(inside)
    x, y = (columns.mean() + 0.5) / mask.width, (rows.mean() + 0.5) / mask.height
    return f"in the {place(x, y)}, {max(1, round(100 * inside.mean()))} % of the picture"


def _third(value: float) -> int:
    return min(2, max(0, int(value * 3)))
