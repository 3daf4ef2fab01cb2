"""A child process that touches strangers' bytes: reads an image, writes a clean one. Runs as ``python -m
studio.pictures.gate``.

stdin: bytes. stdout: one JSON line, then bytes. Before it reads anything it gives up memory, time, files and
network (``studio.pictures.confine``), so a bomb or a parser bug ends this process and nothing else. Commands:
``clean`` (any allowed picture → PNG without metadata), ``several`` (the same of some in a row) and ``shrink
LIMIT`` (a picture → the best encoding of at most LIMIT bytes).
"""

from __future__ import annotations

import io
from typing import Any

from studio.pictures import confine, masks, sheets

MAX_PIXELS = 16_777_216  # 4096 × 4096
MIN_SIDE = 16  # px
MAX_MEMORY = 440 * 2**20  # bytes above what the interpreter and its imports need
MAX_SECONDS = {
    "clean": 2,
    "several": 15,
    "shrink": 10,
    "numbered": 5,
    "mask": 5,
    "exact-mask": 5,
    "sheet": 5,
}  # of processor time; 16.7 megapixels of noise need 1.8 on a slow, shared core
RUN_LENGTHS = 3  # zlib.Z_RLE: a third faster here than the default, and no larger
ENCODINGS: tuple[tuple[str, str, dict[str, Any]], ...] = (  # to make a picture smaller, best first
    ("lossless WebP", "image/webp", {"format": "WEBP", "lossless": True, "quality": 0, "method": 0}),
    ("WebP", "image/webp", {"format": "WEBP", "quality": 90, "method": 0}),
    ("WebP", "image/webp", {"format": "WEBP", "quality": 75, "method": 0}),
    ("JPEG", "image/jpeg", {"format": "JPEG", "quality": 90}),
    ("JPEG", "image/jpeg", {"format": "JPEG", "quality": 75}),
)
FORMATS = ("PNG", "JPEG", "WEBP")  # Pillow's names; by content, whatever the file is called


def main() -> None:
    """Answer one request from stdin on stdout, in a process that can do nothing else."""
    confine.serve(prepare, answer, MAX_MEMORY, MAX_SECONDS)


def prepare() -> None:
    """Import all that reading and writing will need: afterwards no file can be opened."""
    import warnings

    from PIL import (  # noqa: F401
        Image,
        ImageChops,
        ImageDraw,
        ImageFile,
        ImageFilter,
        ImageFont,
        ImageOps,
        JpegImagePlugin,
        JpegPresets,
        MpoImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # the header check below is stricter and has its own words
    Image.init()


def answer(data: bytes, command: str, number: str = "0") -> tuple[dict[str, object], bytes]:
    """Return (header, bytes); a header with "error" says in a few words why there is no picture."""
    try:
        match command:
            case "clean":
                return clean(data)
            case "several":
                return several(data, [int(length) for length in number.split(",")])
            case "shrink":
                return shrink(data, int(number))
            case "numbered":
                return masks.numbered(data, int(number))
            case "sheet":
                first, *lengths = map(int, number.split(","))
                return sheets.sheet(data, lengths, first)
            case "exact-mask":
                return masks.exact(_upright(_open(data[: int(number)])), data[int(number) :])
            case _:
                return masks.mask(_upright(_open(data[: int(number)])), data[int(number) :])
    except ValueError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "needs too much memory to read."}, b""


def clean(data: bytes) -> tuple[dict[str, object], bytes]:
    """Return a PNG in RGB, upright, with no metadata. Raises ValueError, which says why it can't be read."""
    from PIL import Image

    picture = _upright(_open(data))
    fresh = Image.new("RGB", picture.size, "white")  # new: nothing but pixels comes along
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        fresh.paste(picture, mask=picture.getchannel("A"))
    else:
        fresh.paste(_eight_bits(picture).convert("RGB"))
    del picture
    out = io.BytesIO()
    fresh.save(out, "PNG", compress_level=1, compress_type=RUN_LENGTHS)
    return {"width": fresh.width, "height": fresh.height}, out.getvalue()


def several(data: bytes, lengths: list[int]) -> tuple[dict[str, object], bytes]:
    """Return the pictures in ``data``, which lie there one after the other, each as ``clean`` does, with its
    size in bytes; or why it isn't taken."""
    found: list[dict[str, object]] = []
    bodies: list[bytes] = []
    start = 0
    for length in lengths:
        try:
            header, body = clean(data[start : start + length])
            found.append(header | {"size": len(body)})
            bodies.append(body)
        except ValueError as error:
            found.append({"error": str(error)})
        start += length
    return {"pictures": found}, b"".join(bodies)


def _open(data: bytes):
    """The picture, its header read and found acceptable; not decoded yet."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        frames = (
            1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
        )  # a phone's JPEG with a second view or depth behind it
    except MemoryError:
        raise
    except Exception as error:  # parsers raise whatever they like
        kind = "is a GIF" if data[:4] == b"GIF8" else "can't be read as a picture"
        raise ValueError(f"{kind}; send PNG, JPEG or WebP.") from error
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError(
            f"has {picture.width * picture.height / 1e6:.1f} megapixels; up to {MAX_PIXELS / 1e6:.1f} are"
            " taken."
        )
    if min(picture.size) < MIN_SIDE:
        raise ValueError(f"is {picture.width}×{picture.height} px; each side must have at least {MIN_SIDE}.")
    if frames > 1:
        raise ValueError("is animated; send a still picture.")
    return picture


def _upright(picture):
    """Decoded, turned as its EXIF says. A damaged EXIF turns nothing and spoils nothing."""
    from PIL import ImageOps

    try:
        picture.load()
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError("is damaged or incomplete.") from error
    try:
        return ImageOps.exif_transpose(picture)
    except MemoryError:
        raise
    except Exception:
        return picture


def _eight_bits(picture):
    """16-bit grey as 8-bit grey: Pillow's own conversion would cut off instead of scaling."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def shrink(data: bytes, limit: int) -> tuple[dict[str, object], bytes]:
    """Return the first of ENCODINGS that fits, at full, half or a quarter of the size.

    Raises ValueError when none does.
    """
    from PIL import Image

    opened = Image.open(io.BytesIO(data), formats=FORMATS)
    clear = opened.mode == "RGBA"  # of a cut-out
    picture = opened.convert("RGBA" if clear else "RGB")
    for scale in (1, 2, 4):
        sized = (
            picture
            if scale == 1
            else picture.resize((picture.width // scale, picture.height // scale), Image.Resampling.BOX)
        )
        for name, media_type, options in ENCODINGS:
            if clear and media_type == "image/jpeg":
                continue
            out = io.BytesIO()
            sized.save(out, **options)
            if out.tell() <= limit:
                return {
                    "media_type": media_type,
                    "name": name,
                    "width": sized.width,
                    "height": sized.height,
                }, out.getvalue()
    raise ValueError(f"doesn't fit into {limit:,} bytes in any encoding.")


if __name__ == "__main__":
    main()
