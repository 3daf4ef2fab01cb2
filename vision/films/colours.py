"""From RGB to the colours of films and back: BT.709 in its narrow range, said in the file, as players take it
for granted in anything larger than a stamp.

swscale's default is BT.601, and PyAV tells it otherwise only where the two ends are named and differ.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

BT709 = 1  # AVCOL_SPC_BT709, and its primaries and transfer
NARROW, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
# SWS_ACCURATE_RND, SWS_FULL_CHR_H_INT and _INP: without them a film gets darker by 1 to 2 of 255 each time
_EXACT = 0x40000 | 0x2000 | 0x4000
HD = 720  # rows from which on a film that says nothing is meant in BT.709
_SPACES = {  # AVCOL_SPC → swscale's
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
}


def film_frame(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> av.VideoFrame:
    """Return a frame as ``yuv420p`` in BT.709, of another ``size`` (px) if that is given; the frame itself
    where nothing is to be done."""
    width, height = size or (frame.width, frame.height)
    space = _space(frame)
    is_right = frame.format.name == "yuv420p" and space is Colorspace.ITU709 and frame.color_range != FULL
    if is_right and (frame.width, frame.height) == (width, height):
        return frame
    is_larger = width > frame.width or height > frame.height
    how = Interpolation.BICUBIC if is_larger else Interpolation.AREA
    found = _converted(frame, (width, height), "yuv420p", (space, Colorspace.ITU709), how)
    found.colorspace, found.color_range = BT709, NARROW
    return found


def rgb(
    frame: av.VideoFrame, size: tuple[int, int] | None = None, form: str = "rgb24"
) -> np.ndarray[Any, Any]:
    """Return a frame as uint8 (H, W, 3), of another ``size`` (px) if that is given; (H, W, 4) with ``form``
    "rgba"."""
    space = _space(frame)
    other = (
        Colorspace.ITU601 if space is Colorspace.ITU709 else Colorspace.ITU709
    )  # of RGB: any but ``space``
    target = size or (frame.width, frame.height)
    return _converted(frame, target, form, (space, other), Interpolation.BICUBIC).to_ndarray()


def _converted(
    frame: av.VideoFrame,
    size: tuple[int, int],
    form: str,
    spaces: tuple[Colorspace, Colorspace],
    how: Interpolation,
) -> av.VideoFrame:
    return frame.reformat(
        *size,
        format=form,
        src_colorspace=spaces[0],
        dst_colorspace=spaces[1],
        interpolation=how | _EXACT,
        src_color_range=ColorRange.JPEG if frame.color_range == FULL else ColorRange.MPEG,
    )


def _space(frame: av.VideoFrame) -> Colorspace:
    """Return how a frame's colours are meant; of RGB, where it means nothing, one that isn't BT.709."""
    if frame.format.is_rgb or frame.format.has_palette:
        return Colorspace.ITU601
    return _SPACES.get(frame.colorspace, Colorspace.ITU709 if frame.height >= HD else Colorspace.ITU601)
