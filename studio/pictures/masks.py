"""Pictures for Vary (Region): the one with numbered fields, and masks as people make them. Runs in the
picture process."""

from __future__ import annotations

import io

MASK = 2048  # px of the longer side of a mask; it is stretched over the picture
SHOWN = 1024  # px of the longer side of the numbered picture
CHANGED = 24  # of 255: how far a pixel must be from the original's to count as painted over
SAME = 0.2  # share of a picture that must be as it was, for the rest to count as painted over
GREY = 24  # of 255: how far apart the channels of a grey pixel may be
TWO_TONES = 0.97  # share of a mask's pixels that are nearly black or nearly white
LEAST = 0.0005  # share of a picture that a mask must cover


def numbered(data: bytes, side: int) -> tuple[dict[str, object], bytes]:
    """Return a picture of ours with ``side`` × ``side`` numbered fields drawn over it, as WebP."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.open(io.BytesIO(data)).convert("RGB")
    picture.thumbnail((SHOWN, SHOWN))
    canvas = ImageDraw.Draw(picture, "RGBA")
    width, height = picture.size
    font = ImageFont.load_default(size=max(10, min(width, height) // (side * 3)))
    xs, ys = ([round(length * i / side) for i in range(side + 1)] for length in (width, height))
    for x in xs[1:-1]:
        canvas.line((x, 0, x, height), fill=(255, 255, 255, 200), width=2)
    for y in ys[1:-1]:
        canvas.line((0, y, width, y), fill=(255, 255, 255, 200), width=2)
    for cell in range(side * side):
        down, across = divmod(cell, side)
        middle = (xs[across] + xs[across + 1]) / 2, (ys[down] + ys[down + 1]) / 2
        canvas.text(
            middle,
            str(cell + 1),
            fill=(255, 255, 255, 255),
            font=font,
            anchor="mm",
            stroke_width=2,
            stroke_fill=(0, 0, 0, 255),
        )
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=85, method=0)
    return {"width": width, "height": height}, out.getvalue()


def mask(given, data: bytes) -> tuple[dict[str, object], bytes]:
    """Return a PNG, white = to be redrawn, of what ``given`` marks on the original.

    given: somebody's picture, open and upright. data: the original's bytes (ours). Three kinds are
    understood: a part erased (transparent); the picture with a part painted over; black and white. Raises
    ValueError for others.
    """
    from PIL import Image

    original = Image.open(io.BytesIO(data)).convert("RGB")
    original.thumbnail((MASK, MASK))
    paint = _erased(given, original.size) or _painted(given, original) or _two_tones(given, original.size)
    if paint is None:
        raise ValueError(
            "isn't a mask: send black and white (white = change), or this same picture with the part"
            " erased or painted over in one strong colour."
        )
    covered = paint.histogram()[255] / (paint.width * paint.height)
    if covered < LEAST:
        raise ValueError("marks nothing; paint the part to change white.")
    out = io.BytesIO()
    paint.convert("RGB").save(out, "PNG", compress_level=1)
    return {"width": paint.width, "height": paint.height, "covered": covered}, out.getvalue()


def exact(given, data: bytes) -> tuple[dict[str, object], bytes]:
    """Return a PNG, white = to be redrawn, of an opaque black and white mask at the picture's own size.

    given: the mask, open. data: the original's bytes (ours). Nothing is guessed or scaled; grey counts by
    the side of the middle on which it lies. Raises ValueError for another size, transparency, no white.
    """
    from PIL import Image

    size = Image.open(io.BytesIO(data)).size
    if given.size != size:
        raise ValueError(
            f"has {given.width}×{given.height} px; a mask of this picture has {size[0]}×{size[1]} px."
        )
    if given.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in given.info:
        raise ValueError("is transparent; a mask is black and white; white marks what to change.")
    paint = given.convert("L").point(lambda value: 255 if value > 127 else 0)
    marked = paint.histogram()[255]
    if not marked:
        raise ValueError("marks nothing; paint the part to change white.")
    out = io.BytesIO()
    paint.convert("RGB").save(out, "PNG", compress_level=1)
    return {
        "width": paint.width,
        "height": paint.height,
        "covered": marked / (paint.width * paint.height),
    }, out.getvalue()


def _erased(given, size):
    """What is transparent, None where nothing is."""
    if given.mode not in ("RGBA", "LA", "PA") and "transparency" not in given.info:
        return None
    alpha = given.convert("RGBA").getchannel("A").resize(size).point(lambda value: 255 if value < 128 else 0)
    return alpha if alpha.getbbox() else None


def _painted(given, original):
    """What differs from the original, None where most of it does or nothing."""
    from PIL import Image, ImageChops, ImageFilter

    if abs(given.width / given.height - original.width / original.height) > 0.02:
        return None
    apart = ImageChops.difference(
        given.convert("RGB").resize(original.size, Image.Resampling.BICUBIC), original
    )
    worst = ImageChops.lighter(ImageChops.lighter(*apart.split()[:2]), apart.getchannel(2))
    changed = worst.point(lambda value: 255 if value > CHANGED else 0).filter(ImageFilter.MedianFilter(3))
    same = changed.histogram()[0] / (changed.width * changed.height)
    return changed if SAME <= same and changed.getbbox() else None


def _two_tones(given, size):
    """White of a black and white picture, None for others."""
    from PIL import ImageChops

    red, green, blue = given.convert("RGB").split()
    spread = ImageChops.subtract(
        ImageChops.lighter(ImageChops.lighter(red, green), blue),
        ImageChops.darker(ImageChops.darker(red, green), blue),
    )
    grey = given.convert("L")
    number = grey.width * grey.height
    tones = grey.histogram()
    extreme = sum(tones[:64]) + sum(tones[192:])
    coloured = sum(spread.histogram()[GREY:])
    if extreme < TWO_TONES * number or coloured > (1 - TWO_TONES) * number:
        return None
    return grey.resize(size).point(lambda value: 255 if value > 127 else 0)
