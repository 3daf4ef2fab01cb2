"""Frames of a film side by side, each with its time below it. Runs in the film process."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

ACROSS, WIDTH, GAP, LINE = 4, 240, 8, 30  # frames in a row; px of a frame, between two, and of its time
BACK, INK, MARK, ON_MARK = (24, 23, 22), (225, 222, 218), (242, 169, 59), (24, 23, 22)


def strip(
    data: bytes, labels: Sequence[str], lengths: Sequence[int], marked: Sequence[int]
) -> tuple[dict[str, Any], bytes]:
    """Return a WebP with the pictures in ``data``, which lie there one after the other; one of length 0 is an
    empty place. labels: what stands below each. marked: places of those that are set off."""
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    shown, start = list[Any](), 0
    for length in lengths:
        one = Image.open(io.BytesIO(data[start : start + length])) if length else None
        start += length
        shown.append(None if one is None else ImageOps.contain(one.convert("RGB"), (WIDTH, WIDTH)))
    tall = max((one.height for one in shown if one is not None), default=WIDTH)
    columns, rows = min(ACROSS, len(shown)), -(-len(shown) // ACROSS)
    across, down = WIDTH + GAP, tall + LINE + GAP
    whole = Image.new("RGB", (columns * across + GAP, rows * down + GAP), BACK)
    canvas, font = ImageDraw.Draw(whole), ImageFont.load_default(size=18)
    for number, one in enumerate(shown):
        left, top = GAP + number % ACROSS * across, GAP + number // ACROSS * down
        is_marked = number in marked
        if is_marked:
            canvas.rectangle((left - 4, top - 4, left + WIDTH + 3, top + tall + LINE + 1), fill=MARK)
        if one is not None:
            whole.paste(one, (left + (WIDTH - one.width) // 2, top + (tall - one.height) // 2))
        at = (left + WIDTH // 2, top + tall + LINE // 2 - 1)
        canvas.text(at, labels[number], fill=ON_MARK if is_marked else INK, font=font, anchor="mm")
    out = io.BytesIO()
    whole.save(out, "WEBP", quality=85, method=0)
    return {"width": whole.width, "height": whole.height}, out.getvalue()
