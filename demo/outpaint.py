"""Outpainting with the demo model: the recipe that `demo.evaluate` measures.

The model draws 128 x 128 px only, so the whole new canvas is fitted into that, painted there, enlarged again, and the
old picture is pasted over it with a feathered edge.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

NATIVE = 128  # px


@dataclass(frozen=True)
class Margins:
    """New pixels on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


def canvas(picture: Image.Image, margins: Margins, band: int = 4) -> tuple[Image.Image, Image.Image]:
    """The native-size canvas with stretched edges, and its mask (white: paint), which overlaps the old by `band` px."""
    width, height = picture.width + margins.left + margins.right, picture.height + margins.top + margins.bottom
    sides = ((margins.top, margins.bottom), (margins.left, margins.right))
    padded = np.pad(np.asarray(picture.convert("RGB")), (*sides, (0, 0)), mode="edge")
    old = np.zeros((height, width), np.uint8)
    old[margins.top : margins.top + picture.height, margins.left : margins.left + picture.width] = 255
    small = Image.fromarray(padded).resize((NATIVE, NATIVE), Image.BOX)
    kept = Image.fromarray(old).resize((NATIVE, NATIVE), Image.BOX).filter(ImageFilter.MinFilter(2 * band + 1))
    edge = np.pad(np.asarray(kept), band, mode="constant")[band:-band, band:-band]
    return small, Image.fromarray(255 - edge)


def paste_back(painted: Image.Image, picture: Image.Image, margins: Margins, feather: int = 12) -> Image.Image:
    """The full-size result: old pixels are exact except within `feather` px of an edge that was extended."""
    width, height = picture.width + margins.left + margins.right, picture.height + margins.top + margins.bottom
    result = painted.resize((width, height), Image.BICUBIC)
    alpha = np.ones((picture.height, picture.width), np.float32)
    ramp = (np.arange(feather) + 1) / (feather + 1)
    if margins.left:
        alpha[:, :feather] *= ramp
    if margins.right:
        alpha[:, -feather:] *= ramp[::-1]
    if margins.top:
        alpha[:feather] *= ramp[:, None]
    if margins.bottom:
        alpha[-feather:] *= ramp[::-1, None]
    result.paste(picture.convert("RGB"), (margins.left, margins.top), Image.fromarray((alpha * 255).round().astype(np.uint8)))
    return result
