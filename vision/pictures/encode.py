"""Pictures outside of tensors: opening, fitting, enlarging, tiling, encoding with their parameters. PIL and
numpy only."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageFilter, PngImagePlugin

from core.errors import ImageError
from core.events import Picture
from vision.pictures.png import encode as encode_png

MAX_PIXELS = 50_000_000
MAX_GRID_BYTES = 8 * 2**20  # a lossless grid above this is sent lossy: Discord takes 10 MiB a file
PREVIEW_SIDE = 320  # px of a preview's longer side


def open_picture(path: str) -> Image.Image:
    """The file's first frame as RGB, transparency on white. EXIF is ignored: whoever stored the file has
    turned it upright.

    ImageError when it can't be read.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(
                    f"The picture has {image.width}x{image.height} px; up to {MAX_PIXELS // 10**6} megapixels"
                    " fit."
                )
            image.load()
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                rgba = image.convert("RGBA")
                return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(
            "The picture can't be read; it may be damaged. Try to save it again as PNG or JPEG."
        ) from error


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """To exactly ``size`` (w, h): area averaging where it shrinks, Lanczos where it grows."""
    if image.size == size:
        return image
    shrinks = size[0] <= image.width and size[1] <= image.height
    return image.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.LANCZOS)


def enlarge(image: Image.Image, scale: int, tile: bool = False) -> Image.Image:
    """``scale`` times larger with crisp edges, for flat drawings: Lanczos, then an unsharp mask as wide as
    the blur it left.

    tile: what is across its edges is its own other side.
    """
    if scale == 1:
        return image
    if tile:
        margin = min(8, *image.size)
        large = enlarge(wrapped(image, margin), scale)
        return large.crop(
            (margin * scale, margin * scale, large.width - margin * scale, large.height - margin * scale)
        )
    large = image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS)
    return large.filter(ImageFilter.UnsharpMask(radius=scale * 0.75, percent=130, threshold=2))


def wrapped(image: Image.Image, margin: int) -> Image.Image:
    """``image`` with ``margin`` px of its own opposite sides around it."""
    return Image.fromarray(
        np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
    )


def size_for_area(aspect: float, side: int, multiple: int) -> tuple[int, int]:
    """(w, h) of about side² px with w / h near ``aspect``, both whole multiples."""
    width, height = side * math.sqrt(aspect), side / math.sqrt(aspect)
    return round_to(width, multiple), round_to(height, multiple)


def round_to(value: float, multiple: int) -> int:
    """The nearest whole multiple, at least one."""
    return max(1, round(value / multiple)) * multiple


def tile(images: Sequence[Image.Image]) -> Image.Image:
    """One sheet: side by side up to two, 2×2 from three on (an empty place stays dark)."""
    if len(images) == 1:
        return images[0]
    width, height = images[0].size
    sheet = Image.new("RGB", (2 * width, height * (2 if len(images) > 2 else 1)), (43, 45, 49))
    for i, image in enumerate(images):
        sheet.paste(image, (i % 2 * width, i // 2 * height))
    return sheet


def grid(images: Sequence[Image.Image]) -> Picture:
    """The sheet as lossless WebP (quality 0, method 0: a quarter smaller than PNG on drawings), lossy above
    MAX_GRID_BYTES."""
    sheet = tile(images)
    data = _encode(sheet, "WEBP", lossless=True, quality=0, method=0)
    if len(data) > MAX_GRID_BYTES:
        data = _encode(sheet, "WEBP", quality=92, method=0)
    return Picture(data, "image/webp", sheet.width, sheet.height)


def png(image: Image.Image, parameters: Mapping[str, Any] | None = None, seed: int | None = None) -> Picture:
    """A PNG of the RGB ``image`` that carries what made it: "parameters" as AUTOMATIC1111 writes it,
    "atelier" as JSON."""
    info = PngImagePlugin.PngInfo()
    if parameters is not None:
        own = {**parameters, "seed": seed} if seed is not None else dict(parameters)
        info.add_text("parameters", parameters_line(own))
        info.add_text("atelier", json.dumps(own, ensure_ascii=False))
    data = encode_png(np.asarray(image), [(kind, data) for kind, data, *_ in info.chunks])
    return Picture(data, "image/png", image.width, image.height, seed)


def preview(images: Sequence[Image.Image]) -> bytes:
    """A small JPEG of the sheet: an eighth of WebP's time, and nobody looks for details in a preview."""
    sheet = tile(images)
    scale = PREVIEW_SIDE / max(sheet.size)
    small = sheet.resize(
        (max(1, round(sheet.width * scale)), max(1, round(sheet.height * scale))), Image.Resampling.BILINEAR
    )
    return _encode(small, "JPEG", quality=75)


def parameters_line(parameters: Mapping[str, Any]) -> str:
    """Prompt, negative prompt, then "Steps: 12, Sampler: …": the text other programs read."""
    words = {
        "num_inference_steps": "Steps",
        "sampler": "Sampler",
        "guidance_scale": "CFG scale",
        "seed": "Seed",
        "size": "Size",
        "model": "Model",
        "strength": "Denoising strength",
    }
    values = dict(parameters)
    if "width" in values:
        values["size"] = f"{values['width']}x{values['height']}"
    tail = ", ".join(f"{word}: {values[key]}" for key, word in words.items() if values.get(key) is not None)
    negative = f"\nNegative prompt: {values['negative_prompt']}" if values.get("negative_prompt") else ""
    return f"{values.get('prompt', '')}{negative}\n{tail}"


def _encode(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
