"""Which part of a picture a model sees, whose processor cuts the middle out of it."""

from __future__ import annotations

from typing import Any


def seen_by(processor: Any, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return what transformers' image processor leaves of a picture of ``size``: left, top, right, bottom,
    px."""
    width, height = size
    cut = getattr(processor, "crop_size", None)
    if not getattr(processor, "do_center_crop", False) or not cut:
        return 0, 0, width, height
    scale = 1.0
    if getattr(processor, "do_resize", False):
        wanted = processor.size
        short = (
            wanted.get("shortest_edge") if hasattr(wanted, "get") else getattr(wanted, "shortest_edge", None)
        )
        if not short:  # to a fixed size, and from there
            across, down = wanted["width"] / width, wanted["height"] / height
            return _middle(size, (cut["width"] / across, cut["height"] / down))
        scale = short / min(size)
    return _middle(size, (cut["width"] / scale, cut["height"] / scale))


def _middle(size: tuple[int, int], part: tuple[float, float]) -> tuple[float, float, float, float]:
    """Return the middle of a picture, as large as ``part`` or the picture."""
    width, height = (min(one, other) for one, other in zip(size, part, strict=True))
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height
