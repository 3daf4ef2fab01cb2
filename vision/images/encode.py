"""Pictures outside of tensors: opens, resizes, enlarges, joins and encodes them with their parameters. PIL
and numpy only.

Writes PNG files at a fraction of the usual time: one filter for all rows, then deflate of runs alone."""

import io
import json
import math
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageFilter, PngImagePlugin

from core.errors import ImageError
from core.events import Picture
from core.limits import GRID, SHEET_ACROSS
from core.png import PNG_SIGNATURE, png_chunk

Pictures = Mapping[str, Image.Image]  # by SHA-256
PAETH = 4  # the filter's number
ROWS_AT_ONCE = 32  # as many stay in a processor's cache


def encode_image(pixels: np.ndarray, extra: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the PNG file of (H, W, 3) or (H, W, 4) uint8 pixels, RGB or RGBA, without loss. extra: (type,
    body) of further chunks, such as texts; they come before the pixels. Raises ValueError for any other
    array. Layout: PNG specification, third edition, §5 (chunks) and §9.4 (filter type 4, Paeth's)."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or not pixels.size:
        raise ValueError(
            f"a PNG is made of (H, W, 3) or (H, W, 4) uint8, not of {pixels.shape} {pixels.dtype}"
        )
    height, width, channels = pixels.shape
    header = struct.pack(
        ">IIBBBBB", width, height, 8, 6 if channels == 4 else 2, 0, 0, 0
    )  # 8 bits, RGBA or RGB, deflate, adaptive filters, not interlaced
    packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
    packed = packer.compress(_filtered(pixels).data) + packer.flush()
    chunks = [(b"IHDR", header), *extra, (b"IDAT", packed), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, data) for kind, data in chunks)


def _filtered(pixels: np.ndarray) -> np.ndarray:
    """Return (H, 1 + C·W): each row begins with its filter's number; a byte is what it is more than that of
    its left, upper or upper left neighbour, whichever is nearest to left + upper - upper left."""
    height, channels = len(pixels), pixels.shape[2]
    rows = pixels.reshape(height, -1)
    size = rows.shape[1]
    lines = np.empty((height, 1 + size), np.uint8)
    lines[:, 0] = PAETH
    framed = np.zeros((height + 1, channels + size), np.int16)  # nothing above and at the left
    framed[1:, channels:] = rows
    for top in range(0, height, ROWS_AT_ONCE):
        here = framed[top + 1 : top + 1 + ROWS_AT_ONCE]
        above = framed[top : top + len(here)]
        left, upper, corner = here[:, :size], above[:, channels:], above[:, :size]
        by_left, by_upper = upper - corner, left - corner
        by_corner = np.abs(by_left + by_upper)
        np.abs(by_left, out=by_left)
        np.abs(by_upper, out=by_upper)
        nearest = np.where(by_upper <= by_corner, upper, corner)
        np.copyto(nearest, left, where=by_left <= np.minimum(by_upper, by_corner))
        np.subtract(
            here[:, channels:], nearest, out=lines[top : top + len(here), 1:], casting="unsafe"
        )  # modulo 256, as the format wants
    return lines


MAX_PIXELS = 50_000_000
MAX_DRAWING_BYTES = 8 * 2**20  # a lossless drawing above this is sent lossy: Discord takes 10 MiB a file
PARAMETER_WORDS = {  # ours → the one in AUTOMATIC1111's line of parameters
    "num_inference_steps": "Steps",
    "sampler": "Sampler",
    "guidance_scale": "CFG scale",
    "seed": "Seed",
    "size": "Size",
    "model": "Model",
    "strength": "Denoising strength",
}
MAX_LOSS = 0.05  # of the area, that an exact shape may cost
PREVIEW_SIDE = 320  # px of a preview's longer side
STRIP_FRAMES, STRIP_SIDE = 8, 160  # of a video's preview: frames, and px of a frame's longer side
UNREADABLE = "The picture can't be read; it may be damaged. Try to save it again as PNG or JPEG."


def open_picture(path: str) -> Image.Image:
    """Return the file's first frame as RGB, with white under transparent parts. EXIF is ignored: the picture
    was turned upright when it was stored. Raises ImageError when it can't be read or has over MAX_PIXELS."""
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
        raise ImageError(UNREADABLE) from error


def size_of(path: str) -> tuple[int, int]:
    """Return the width and height that the file's header tells. Raises ImageError when it can't be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(UNREADABLE) from error


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the picture at ``size`` (w, h): by area averaging where it shrinks, else by Lanczos."""
    if image.size == size:
        return image
    shrinks = size[0] <= image.width and size[1] <= image.height
    return image.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.LANCZOS)


def enlarge(image: Image.Image, scale: int, seamless: bool = False) -> Image.Image:
    """Return the picture ``scale`` times larger with crisp edges, as suits flat drawings: Lanczos, then an
    unsharp mask as wide as its blur. seamless: opposite edges meet."""
    if scale == 1:
        return image
    if seamless:
        margin = min(8, *image.size)
        large = enlarge(wrapped(image, margin), scale)
        cut = margin * scale
        return large.crop((cut, cut, large.width - cut, large.height - cut))
    large = image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS)
    return large.filter(ImageFilter.UnsharpMask(radius=scale * 0.75, percent=130, threshold=2))


def wrapped(image: Image.Image, margin: int) -> Image.Image:
    """Return ``image`` with ``margin`` px of its own opposite sides around it."""
    return Image.fromarray(
        np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
    )


def largest(size: tuple[int, int], shape: tuple[int, int] | None) -> tuple[int, int]:
    """Return (w, h) of the largest part of ``size`` (w, h) that has ``shape`` (w, h); None = all of it. The
    shape is exact where this costs at most MAX_LOSS of the area, else within a pixel."""
    if shape is None:
        return size
    common = math.gcd(*shape)
    across, down = shape[0] // common, shape[1] // common
    wide = min(size[0], round(size[1] * across / down))
    near = wide, min(size[1], max(1, round(wide * down / across)))
    times = min(size[0] // across, size[1] // down)
    exact = times * across, times * down
    return exact if exact[0] * exact[1] >= (1 - MAX_LOSS) * near[0] * near[1] else near


def cut_to_shape(image: Image.Image, shape: tuple[int, int] | None, seamless: bool = False) -> Image.Image:
    """Return the middle of the picture that has ``shape`` (w, h); None = the whole picture. seamless:
    opposite edges meet, so nothing is cut off and the whole picture is brought to that size."""
    width, height = size = largest(image.size, shape)
    if size == image.size:
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    if not seamless:
        return image.crop((left, top, left + width, top + height))
    margin = min(8, *image.size)
    box = (margin, margin, margin + image.width, margin + image.height)
    return wrapped(image, margin).resize(size, Image.Resampling.LANCZOS, box)


def placed(image: Image.Image, size: tuple[int, int], shape: tuple[int, int] | None) -> Image.Image:
    """Return the picture so resized that ``cut_to_shape`` finds it whole in the middle of ``size`` (w, h).
    Around it lies its mirror image."""
    width, height = largest(size, shape)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    around = ((top, size[1] - height - top), (left, size[0] - width - left), (0, 0))
    return Image.fromarray(np.pad(np.asarray(resize(image, (width, height))), around, mode="symmetric"))


def size_for_area(aspect: float, side: int, multiple: int) -> tuple[int, int]:
    """Return (w, h) of about side² px with w / h near ``aspect``, both whole multiples of ``multiple``."""
    width, height = side * math.sqrt(aspect), side / math.sqrt(aspect)
    return round_to(width, multiple), round_to(height, multiple)


def round_to(value: float, multiple: int) -> int:
    """Return the whole multiple of ``multiple`` nearest to ``value``, at least one."""
    return max(1, round(value / multiple)) * multiple


def draw_sheet(images: Sequence[Image.Image], count: int = 0) -> Image.Image:
    """Return the pictures on one sheet of ``count``, or of as many as there are: up to two side by side, from
    three on 2×2, more in rows of ``SHEET_ACROSS``. There are none yet in the last places of a sheet."""
    count = max(count, len(images))
    if count == 1:
        return images[0]
    across = SHEET_ACROSS if count > GRID else 2
    width, height = images[0].size
    joined = Image.new("RGB", (across * width, height * -(-count // across)), (43, 45, 49))
    for i, image in enumerate(images):
        joined.paste(image, (i % across * width, i // across * height))
    return joined


def drawing(image: Image.Image) -> Picture:
    """Return what was drawn of an answer as lossless WebP (quality 0, method 0: a quarter smaller than PNG on
    photographs), or as lossy WebP when that is over MAX_DRAWING_BYTES."""
    data = _encode(image, "WEBP", lossless=True, quality=0, method=0)
    if len(data) > MAX_DRAWING_BYTES:
        data = _encode(image, "WEBP", quality=92, method=0)
    return Picture(data, "image/webp", image.width, image.height)


def png(image: Image.Image, parameters: Mapping[str, Any] | None = None, seed: int | None = None) -> Picture:
    """Return the RGB or RGBA ``image`` as a PNG that carries what made it: "parameters" as AUTOMATIC1111
    writes them, "atelier" as JSON. None = nothing is carried."""
    info = PngImagePlugin.PngInfo()
    if parameters is not None:
        own = {**parameters, "seed": seed} if seed is not None else dict(parameters)
        info.add_text("parameters", parameters_line(own))
        info.add_text("atelier", json.dumps(own, ensure_ascii=False))
    data = encode_image(np.asarray(image), [(kind, data) for kind, data, *_ in info.chunks])
    return Picture(data, "image/png", image.width, image.height, seed)


def preview(images: Sequence[Image.Image], shape: tuple[int, int] | None = None, count: int = 0) -> bytes:
    """Return a small JPEG of the sheet: it takes an eighth of WebP's time, and nobody looks for details in a
    preview. shape: (w, h) that the finished pictures are cut to; None = they aren't. count: how many there
    will be, of which the last aren't begun."""
    joined = draw_sheet([_middle(image, shape) for image in images], count)
    scale = (PREVIEW_SIDE if count <= GRID else 2 * PREVIEW_SIDE) / max(joined.size)
    size = max(1, round(joined.width * scale)), max(1, round(joined.height * scale))
    return _encode(joined.resize(size, Image.Resampling.BILINEAR), "JPEG", quality=75)


def strip(images: Sequence[Image.Image], shape: tuple[int, int] | None = None) -> bytes:
    """Return a small JPEG of up to STRIP_FRAMES of a video's frames side by side, evenly spread. shape: (w,
    h) that the finished frames are cut to; None = they aren't."""
    count = min(STRIP_FRAMES, len(images))
    chosen = [images[round(i * (len(images) - 1) / max(1, count - 1))] for i in range(count)]
    shown = [_middle(image, shape) for image in chosen]
    scale = STRIP_SIDE / max(shown[0].size)
    size = max(1, round(shown[0].width * scale)), max(1, round(shown[0].height * scale))
    joined = Image.new("RGB", (count * size[0], size[1]))
    for i, image in enumerate(shown):
        joined.paste(image.resize(size, Image.Resampling.BILINEAR), (i * size[0], 0))
    return _encode(joined, "JPEG", quality=75)


def _middle(image: Image.Image, shape: tuple[int, int] | None) -> Image.Image:
    """Return the middle of a picture that is too small to be cut at whole px, enlarged."""
    if shape is None or image.width * shape[1] == image.height * shape[0]:
        return image
    width = min(image.width, image.height * shape[0] / shape[1])
    height = min(image.height, width * shape[1] / shape[0])
    left, top = (image.width - width) / 2, (image.height - height) / 2
    scale = PREVIEW_SIDE / max(width, height)
    box = left, top, min(left + width, image.width), min(top + height, image.height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return image.resize(size, Image.Resampling.BILINEAR, box)


def parameters_line(parameters: Mapping[str, Any]) -> str:
    """Return the prompt, the negative prompt, and "Steps: 12, Sampler: …", as other programs read it."""
    values = dict(parameters)
    if "width" in values:
        values["size"] = f"{values['width']}x{values['height']}"
    tail = ", ".join(
        f"{word}: {values[key]}" for key, word in PARAMETER_WORDS.items() if values.get(key) is not None
    )
    negative = f"\nNegative prompt: {values['negative_prompt']}" if values.get("negative_prompt") else ""
    return f"{values.get('prompt', '')}{negative}\n{tail}"


def _encode(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
