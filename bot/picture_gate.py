"""A child process that touches strangers' bytes: reads an image, writes a clean one. Runs as ``python -m bot.picture_gate``.

stdin: bytes. stdout: one JSON line, then bytes. It gives itself limits of memory and processor time first, so a bomb or a
parser bug ends this process and nothing else. Commands: ``clean`` (any allowed picture → PNG without metadata) and
``shrink LIMIT`` (a picture → the best encoding of at most LIMIT bytes).
"""

from __future__ import annotations

import io
import json
import sys

MAX_PIXELS = 16_777_216  # 4096 × 4096
MAX_MEMORY = 512 * 2**20  # bytes of address space above what the interpreter needs
MAX_SECONDS = 10  # of processor time
FORMATS = ("PNG", "JPEG", "WEBP")


def main() -> None:
    _limit()
    command, data = sys.argv[1], sys.stdin.buffer.read()
    try:
        header, body = clean(data) if command == "clean" else shrink(data, int(sys.argv[2]))
    except ValueError as error:
        header, body = {"error": str(error)}, b""
    except MemoryError:
        header, body = {"error": "needs too much memory to read."}, b""
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + body)


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows has no rlimits; the pixel cap still holds
        return
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (2 * MAX_MEMORY, 2 * MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def clean(data: bytes) -> tuple[dict[str, object], bytes]:
    """PNG bytes in RGB, upright, with no metadata. ValueError says in a few words why it can't be read."""
    from PIL import Image, ImageOps

    picture = _open(data)
    try:
        picture.load()
        picture = ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError("is damaged or cut off.") from error
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    fresh = Image.new("RGB", picture.size)
    fresh.paste(picture.convert("RGB"))
    out = io.BytesIO()
    fresh.save(out, "PNG", compress_level=1)
    return {"width": fresh.width, "height": fresh.height}, out.getvalue()


def _open(data: bytes):
    import warnings

    from PIL import Image

    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = None  # the header check below is stricter and has its own words
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:
        kind = "is a GIF" if data[:4] == b"GIF8" else "is no picture that can be read"
        raise ValueError(f"{kind}; PNG, JPEG and WebP are taken.") from error
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError(f"has {picture.width * picture.height / 1e6:.1f} megapixels; up to {MAX_PIXELS / 1e6:.1f} are taken.")
    if min(picture.size) < 16:
        raise ValueError(f"is {picture.width}×{picture.height} px; at least 16 a side are needed.")
    if getattr(picture, "n_frames", 1) > 1:
        raise ValueError("is animated; send a still picture.")
    return picture


def shrink(data: bytes, limit: int) -> tuple[dict[str, object], bytes]:
    """The first of lossless WebP, WebP 90, WebP 75, JPEG 90, JPEG 75 that fits, at full then at half size."""
    from PIL import Image

    picture = Image.open(io.BytesIO(data), formats=FORMATS).convert("RGB")
    for scale in (1, 2, 4):
        sized = picture if scale == 1 else picture.resize((picture.width // scale, picture.height // scale), Image.Resampling.BOX)
        for name, media_type, options in (
            ("lossless WebP", "image/webp", {"format": "WEBP", "lossless": True, "quality": 0, "method": 0}),
            ("WebP", "image/webp", {"format": "WEBP", "quality": 90, "method": 0}),
            ("WebP", "image/webp", {"format": "WEBP", "quality": 75, "method": 0}),
            ("JPEG", "image/jpeg", {"format": "JPEG", "quality": 90}),
            ("JPEG", "image/jpeg", {"format": "JPEG", "quality": 75}),
        ):
            out = io.BytesIO()
            sized.save(out, **options)
            if out.tell() <= limit:
                return {"media_type": media_type, "name": name, "width": sized.width, "height": sized.height}, out.getvalue()
    raise ValueError(f"doesn't fit into {limit:,} bytes in any encoding.")


if __name__ == "__main__":
    main()
