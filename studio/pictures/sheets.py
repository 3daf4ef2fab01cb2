"""Several small pictures on one numbered sheet. Runs in the picture process."""

from __future__ import annotations

import io

ACROSS, CELL, GAP = 3, 256, 6  # pictures in a row; px of a cell, and between two
BACK, BADGE, INK = (24, 23, 22), (24, 23, 22, 210), (255, 255, 255, 255)


def sheet(data: bytes, lengths: list[int], first: int = 1) -> tuple[dict[str, object], bytes]:
    """Return a WebP with the pictures in ``data``, which lie there one after the other; one of length 0 is an
    empty cell. Each has its number, from ``first`` on."""
    from PIL import Image, ImageDraw, ImageFont

    rows = -(-len(lengths) // ACROSS)
    columns = min(ACROSS, len(lengths))
    size = (columns * (CELL + GAP) + GAP, rows * (CELL + GAP) + GAP)
    whole, font = Image.new("RGB", size, BACK), ImageFont.load_default(size=22)
    canvas, start = ImageDraw.Draw(whole, "RGBA"), 0
    for number, length in enumerate(lengths):
        down, across = divmod(number, ACROSS)
        left, top = (GAP + step * (CELL + GAP) for step in (across, down))
        if length:
            one = Image.open(io.BytesIO(data[start : start + length])).convert("RGB")
            one.thumbnail((CELL, CELL))
            whole.paste(one, (left + (CELL - one.width) // 2, top + (CELL - one.height) // 2))
        start += length
        canvas.rounded_rectangle(
            (left + 6, top + 6, left + 40 + 12 * (number + first > 99), top + 40), 8, fill=BADGE
        )
        canvas.text(
            (left + 23 + 6 * (number + first > 99), top + 23),
            str(number + first),
            fill=INK,
            font=font,
            anchor="mm",
        )
    out = io.BytesIO()
    whole.save(out, "WEBP", quality=85, method=0)
    return {"width": whole.width, "height": whole.height}, out.getvalue()
