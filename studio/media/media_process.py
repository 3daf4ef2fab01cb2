"""A child process that touches strangers' pictures and videos, and makes pictures and videos of ours. Runs as
``python -m studio.media.media_process COMMAND``, see ``COMMANDS`` and ``TRANSCODES``.

Before it reads anything it gives up memory, time, files and network (``studio.media.confinement``), so a bomb
or a parser bug ends this process and nothing else. What makes a video of videos (``TRANSCODES``) is given an
encoder, the file to write and the videos as further arguments, and opens these before: no video passes
through a pipe.
"""

import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from studio.media import confinement

Answer = tuple[dict[str, Any], bytes]
MAX_PIXELS = 16_777_216  # 4096 × 4096
MIN_SIDE = 16  # px
MAX_MEMORY, VIDEO_MEMORY = 440 * 2**20, 600 * 2**20  # bytes above what the interpreter and its imports need
MAX_FILE = 2**30  # bytes of a video that is written
RUN_LENGTHS = 3  # zlib.Z_RLE: a third faster here than the default, and no larger
ENCODINGS: tuple[tuple[str, str, dict[str, Any]], ...] = (  # to make a picture smaller, best first
    ("lossless WebP", "image/webp", {"form": "WEBP", "lossless": True, "quality": 0, "method": 0}),
    ("WebP", "image/webp", {"form": "WEBP", "quality": 90, "method": 0}),
    ("WebP", "image/webp", {"form": "WEBP", "quality": 75, "method": 0}),
    ("JPEG", "image/jpeg", {"form": "JPEG", "quality": 90}),
    ("JPEG", "image/jpeg", {"form": "JPEG", "quality": 75}),
)
FORMATS = ("PNG", "JPEG", "WEBP")  # Pillow's names; by content, whatever the file is called
MASK = 2048  # px of the longer side of a mask; it is stretched over the picture
SHOWN = 1024  # px of the longer side of the numbered picture
CHANGED = 24  # of 255: how far a pixel must be from the original's to count as painted over
SAME = 0.2  # share of a picture that must be as it was, for the rest to count as painted over
GREY = 24  # of 255: how far apart the channels of a grey pixel may be
TWO_TONES = 0.97  # share of a mask's pixels that are nearly black or nearly white
LEAST = 0.0005  # share of a picture that a mask must cover
ACROSS, CELL, GAP = 3, 256, 6  # pictures in a row; px of a cell, and between two
BACK, BADGE, INK = (24, 23, 22), (24, 23, 22, 210), (255, 255, 255, 255)
STRIP, WIDTH, SPACE, LINE = 4, 240, 8, 30  # frames in a row; px of a frame, between two, and of its time
SAID, MARK = (225, 222, 218), (242, 169, 59)
AFAR, FINE, BAND = 8, 256, (1.0, 8.0)  # cells; px that pictures are compared at, blurs between which
PATCH, SEEK = 24, 12  # px around a place that must fit, and by which they may be moved
QUALITY, BLURRED_SIDE = 75, 24  # of a thumbnail's WebP; px to which a veiled one is reduced first
OTHER_SIZE = "The mask below the strokes has {}×{} px; the canvas has {}×{} px."


def main() -> None:
    """Answer requests for one command, in a process that can do nothing else."""
    command = sys.argv[1]
    memory = VIDEO_MEMORY if command in (*TRANSCODES, *OF_VIDEOS) else MAX_MEMORY
    seconds, file = (TRANSCODES[command], MAX_FILE) if command in TRANSCODES else (COMMANDS[command][1], 0)
    confinement.serve_confined(prepare, memory, seconds, file)


def prepare(command: str = "", encoder: str = "", *paths: str) -> Callable[..., Answer]:
    """Import all that a command will need, and use it once: afterwards no file can be opened. Return what
    answers it. paths: the video to write, and those to read."""
    import warnings

    if command == "paint":
        os.environ["OPENBLAS_NUM_THREADS"] = "1"  # nothing here multiplies matrices
        for name in ("hashlib", "studio.media.strokes", "studio.media.masks"):
            importlib.import_module(name)
        return partial(answer_request, command=command)
    from PIL import Image

    for name in ("Chops", "Draw", "File", "Filter", "Font", "Ops", "Stat"):
        importlib.import_module(f"PIL.Image{name}")
    importlib.import_module("PIL.JpegPresets")
    for name in ("Jpeg", "Mpo", "Png", "Tiff", "WebP"):
        importlib.import_module(f"PIL.{name}ImagePlugin")
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # the checks of a picture's header are stricter and have their own words
    Image.init()
    if command == "thumbnail":
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS
        probe = io.BytesIO()
        Image.new("RGB", (8, 8)).save(probe, "PNG")
        thumbnail(probe.getvalue(), 256, veiled=True)  # loads all that the encoder needs
    if command == "alike":
        small = [encoded(Image.effect_noise((64, 64), 50), "PNG")[1] for _ in range(2)]
        answer_request(b"".join(small), command, lengths=[len(one) for one in small])
    if command not in (*TRANSCODES, *OF_VIDEOS):
        return partial(answer_request, command=command)
    tiny = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    moving = [io.BytesIO() for _ in range(2)]
    for form, out in zip(("GIF", "WEBP"), moving, strict=True):
        tiny[0].save(out, form, save_all=True, append_images=tiny[1:], duration=100)
    if command in TRANSCODES:
        from core import process
        from studio.media import transcode

        process.step_back()
        transcode.warm_up(moving, encoder)
        target, sources = open(paths[0], "w+b"), [open(path, "rb") for path in paths[1:]]
        return lambda data, **given: transcode.make_video(command, sources, target, **given)
    for out in moving:
        answer_request(out.getvalue(), "frames", most=4, max_pixels=256)
    return partial(answer_request, command=command)


def answer_request(data: bytes, command: str, **given: Any) -> Answer:
    """Return (header, bytes); a header with "error" says in a few words why there is no picture."""
    try:
        return COMMANDS[command][0](data, **given)
    except ValueError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "needs too much memory to read."}, b""


def clean(data: bytes, look: bool = False) -> Answer:
    """Return a PNG in RGB, upright, with no metadata. look: and what it looks like from afar. Raises
    ValueError, which says why it can't be read."""
    from PIL import Image

    picture = _upright(_open(data))
    fresh = Image.new("RGB", picture.size, "white")  # new: nothing but pixels comes along
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        fresh.paste(picture, mask=picture.getchannel("A"))
    else:
        if picture.mode.startswith(("I", "F")):  # 16 bits: Pillow's own way would cut off instead of scaling
            picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
        fresh.paste(picture.convert("RGB"))
    del picture
    header, png = encoded(fresh, "PNG", compress_level=1, compress_type=RUN_LENGTHS)
    return header | ({"look": _look(fresh)} if look else {}), png


def _look(picture) -> str:
    """The colours of 8 × 8 cells, hexadecimal."""
    from PIL import Image

    return picture.resize((AFAR, AFAR), Image.Resampling.BOX).tobytes().hex()


def encoded(picture, form: str, **options: Any) -> Answer:
    """Return a picture of ours as a file, with its size."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return {"width": picture.width, "height": picture.height}, out.getvalue()


def several(data: bytes, lengths: list[int]) -> Answer:
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
        # MPO: a phone's JPEG with a second view or depth behind it
        frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    except MemoryError:
        raise
    except Exception as error:  # parsers raise whatever they like
        kind = "is a GIF" if data[:4] == b"GIF8" else "can't be read as a picture"
        raise ValueError(f"{kind}; send PNG, JPEG or WebP.") from error
    if (pixels := picture.width * picture.height) > MAX_PIXELS:
        raise ValueError(f"has {pixels / 1e6:.1f} megapixels; the limit is {MAX_PIXELS / 1e6:.1f}.")
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


def shrink(data: bytes, limit: int) -> Answer:
    """Return the first of ENCODINGS that fits, at full, half or a quarter of the size. Raises ValueError when
    none does."""
    from PIL import Image

    opened = Image.open(io.BytesIO(data), formats=FORMATS)
    clear = opened.mode == "RGBA"  # of a cut-out
    picture = opened.convert("RGBA" if clear else "RGB")
    for scale in (1, 2, 4):
        size = picture.width // scale, picture.height // scale
        sized = picture if scale == 1 else picture.resize(size, Image.Resampling.BOX)
        for name, media_type, options in ENCODINGS:
            if clear and media_type == "image/jpeg":
                continue
            header, body = encoded(sized, **options)
            if len(body) <= limit:
                return header | {"media_type": media_type, "name": name}, body
    raise ValueError(f"doesn't fit into {limit:,} bytes in any encoding.")


def numbered(data: bytes, side: int) -> Answer:
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
        label, edge = str(cell + 1), (0, 0, 0, 255)
        canvas.text(middle, label, fill=INK, font=font, anchor="mm", stroke_width=2, stroke_fill=edge)
    return encoded(picture, "WEBP", quality=85, method=0)


def mark_mask(data: bytes, size: int) -> Answer:
    """Return a PNG, white = to be redrawn, of what somebody's picture marks on the original.

    data: ``size`` bytes of the picture, then the original's (ours). Three kinds are understood: a part erased
    (transparent); the picture with a part painted over; black and white. Raises ValueError for others.
    """
    from PIL import Image

    given = _upright(_open(data[:size]))
    original = Image.open(io.BytesIO(data[size:])).convert("RGB")
    original.thumbnail((MASK, MASK))
    paint = _erased(given, original.size) or _painted(given, original) or _two_tones(given, original.size)
    if paint is None:
        raise ValueError(
            "isn't a mask: send black and white (white = change), or this same picture with the part"
            " erased or painted over in one strong colour."
        )
    return _mask_file(paint, LEAST)


def _mask_file(paint, least: float) -> Answer:
    """Return a mask as PNG, with the share that it covers. Raises ValueError for less than ``least``."""
    covered = paint.histogram()[255] / (paint.width * paint.height)
    if covered < least or not covered:
        raise ValueError("marks nothing; paint the part to change white.")
    header, body = encoded(paint.convert("RGB"), "PNG", compress_level=1)
    return header | {"covered": covered}, body


def exact_mask(data: bytes, size: int) -> Answer:
    """Return a PNG, white = to be redrawn, of an opaque black and white mask at the picture's own size.

    data: ``size`` bytes of the mask, then the original's (ours). Nothing is guessed or scaled; grey counts by
    the side of the middle on which it lies. Raises ValueError for another size, transparency, no white.
    """
    from PIL import Image

    given = _upright(_open(data[:size]))
    wide, high = Image.open(io.BytesIO(data[size:])).size
    if given.size != (wide, high):
        raise ValueError(f"has {given.width}×{given.height} px; a mask of this picture has {wide}×{high} px.")
    if given.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in given.info:
        raise ValueError("is transparent; a mask is black and white; white marks what to change.")
    paint = given.convert("L").point(lambda value: 255 if value > 127 else 0)
    return _mask_file(paint, 0.0)


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


def draw_sheet(data: bytes, lengths: list[int], numbers: list[int], across: int = ACROSS) -> Answer:
    """Return a WebP with the pictures in ``data``, which lie there one after the other; one of length 0 is an
    empty cell. Each has its number. across: cells in a row."""
    from PIL import Image, ImageDraw, ImageFont

    rows = -(-len(lengths) // across)
    columns = min(across, len(lengths))
    size = (columns * (CELL + GAP) + GAP, rows * (CELL + GAP) + GAP)
    whole, font = Image.new("RGB", size, BACK), ImageFont.load_default(size=22)
    canvas, start = ImageDraw.Draw(whole, "RGBA"), 0
    for place, (length, number) in enumerate(zip(lengths, numbers, strict=True)):
        row, column = divmod(place, across)
        left, top = (GAP + step * (CELL + GAP) for step in (column, row))
        if length:
            one = Image.open(io.BytesIO(data[start : start + length])).convert("RGB")
            one.thumbnail((CELL, CELL))
            whole.paste(one, (left + (CELL - one.width) // 2, top + (CELL - one.height) // 2))
        start += length
        label, wider = str(number), 6 * (number > 99)
        canvas.rounded_rectangle((left + 6, top + 6, left + 40 + 2 * wider, top + 40), 8, fill=BADGE)
        canvas.text((left + 23 + wider, top + 23), label, fill=INK, font=font, anchor="mm")
    return encoded(whole, "WEBP", quality=85, method=0)


def paint(data: bytes, width: int, height: int, length: int) -> Answer:
    """Return the mask that strokes make, as a file, with the number of painted pixels and the SHA-256 of all
    of them, a byte each.

    data: ``length`` bytes of strokes as JSON, then the mask below them as a file, if there is one. Raises
    ValueError, which says in a sentence why there is no mask.
    """
    import hashlib
    import json

    import numpy as np

    from core.errors import ImageError
    from studio.media import masks, strokes

    try:
        below = np.zeros((height, width), np.uint8)
        if data[length:]:
            read = masks.read_mask(data[length:])
            if (read.width, read.height) != (width, height):
                raise ValueError(OTHER_SIZE.format(read.width, read.height, width, height))
            rows = np.frombuffer(read.rows, np.uint8).reshape(height, -1)
            below = np.unpackbits(rows, axis=1, count=width)
        found = strokes.replay(below, json.loads(data[:length]))
        mask = masks.Bits(width, height, np.packbits(found, axis=1).tobytes())
        digest = hashlib.sha256(found.tobytes()).hexdigest()
        return {"painted": mask.painted, "sha256": digest}, masks.write_mask(mask)
    except ImageError as error:
        raise ValueError(str(error)) from error
    except MemoryError as error:
        raise ValueError("These strokes need too much memory.") from error


def thumbnail(original: bytes, side: int, veiled: bool) -> Answer:
    """Return an encoded picture as a WebP whose longer side has at most ``side`` px; nothing when it can't
    be read. veiled: blurred beyond recognition."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(original), formats=("PNG", "JPEG", "WEBP")) as picture:
            picture.draft("RGB", (side, side))
            shown = picture.convert("RGBA" if picture.mode in ("RGBA", "LA", "P") else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError, MemoryError):
        return {}, b""
    shown.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if veiled:
        size = shown.size
        shown.thumbnail((BLURRED_SIDE, BLURRED_SIDE), Image.Resampling.BOX)
        shown = shown.resize(size, Image.Resampling.BICUBIC)
    kept = io.BytesIO()
    shown.save(kept, "WEBP", quality=QUALITY, method=2)
    return {}, kept.getvalue()


def read_frames(data: bytes, most: int, max_pixels: int) -> Answer:
    """Return some frames of a video as PNGs, one after the other, with their times and lengths. Raises
    ValueError, which says why it can't be read."""
    from studio.media import video_decode

    kind = video_decode.kind_of(data)
    if kind is None:
        raise ValueError(f"can't be read as a video; {video_decode.READ} are.")
    try:
        found = video_decode.looked_at(data, kind, most, max_pixels)
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # libraries raise whatever they like
        raise video_decode.Damaged("is damaged or incomplete.") from error
    # None of them a millisecond apart
    pictures = sorted({round(at, 3): png for at, png in reversed(found.pictures)}.items())
    frames = [[seconds, len(png)] for seconds, png in pictures]
    header = {"frames": frames, "seconds": round(found.seconds, 3), "whole": round(found.whole, 3)}
    return header, b"".join(png for _, png in pictures)


def read_key_frame(data: bytes, codec: str) -> Answer:
    """Return a key frame of a raw stream as ``clean`` returns pictures. Raises ValueError, which says why it
    can't be read."""
    from studio.media import video_decode

    picture = video_decode.key_frame(data, codec, MAX_PIXELS)
    if min(picture.size) < MIN_SIDE:
        raise ValueError(f"is {picture.width}×{picture.height} px; each side must have at least {MIN_SIDE}.")
    header, png = encoded(picture, "PNG", compress_level=1, compress_type=RUN_LENGTHS)
    return header | {"look": _look(picture)}, png


def compare(data: bytes, lengths: Sequence[int], places: Sequence[tuple[float, float]] = ()) -> Answer:
    """Return how well the first picture of ours in ``data`` fits each other: (fit, right, down), the
    correlation of their fine structure at the best shift, and by how much of the sides that moves the other.
    places: in 0..1, a point on each; then what lies around these points must fit."""
    import numpy as np
    from PIL import Image, ImageFilter

    found, start = list[Any](), 0
    for length in lengths:
        grey = Image.open(io.BytesIO(data[start : start + length])).convert("L")
        grey, start = grey.resize((FINE, FINE), Image.Resampling.BOX), start + length
        layers = (np.asarray(grey.filter(ImageFilter.GaussianBlur(sigma)), np.float32) for sigma in BAND)
        fine = next(layers) - next(layers)
        found.append(fine - fine.mean())
    first = np.fft.rfft2(found[0])
    best = []
    for number, other in enumerate(found[1:], 1):
        fits = np.fft.irfft2(first * np.conj(np.fft.rfft2(other)), (FINE, FINE))
        down, across = (int(at) for at in np.unravel_index(int(fits.argmax()), fits.shape))
        down, across = (at - FINE if at > FINE // 2 else at for at in (down, across))
        ours = found[0][max(down, 0) : FINE + min(down, 0), max(across, 0) : FINE + min(across, 0)]
        theirs = other[max(-down, 0) : FINE + min(-down, 0), max(-across, 0) : FINE + min(-across, 0)]
        if places:
            ours, theirs = (_around(found[0], places[0], PATCH), _around(other, places[number], PATCH + SEEK))
            windows = np.lib.stride_tricks.sliding_window_view(theirs, ours.shape)
            products = np.einsum("abij,ij->ab", windows, ours)
            norms = np.sqrt(np.einsum("abij,abij->ab", windows, windows)) * np.linalg.norm(ours)
            fit = float((products / np.maximum(norms, 1e-6)).max())
        else:
            shared = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
            is_near = ours.size >= FINE * FINE // 2
            fit = float((ours * theirs).sum()) / shared if shared and is_near else 0.0
        best.append((fit, across / FINE, down / FINE))
    return {"alike": best}, b""


def _around(picture, place: tuple[float, float], reach: int):
    """What lies around a point of a square picture, as far as ``reach`` px either way."""
    left, top = (min(max(round(at * FINE), reach), FINE - reach) - reach for at in place)
    return picture[top : top + 2 * reach, left : left + 2 * reach]


def draw_strip(data: bytes, labels: Sequence[str], lengths: Sequence[int], marked: Sequence[int]) -> Answer:
    """Return a WebP with the pictures in ``data``, which lie there one after the other; one of length 0 is an
    empty place. labels: what stands below each. marked: places of those that are set off."""
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    shown, start = list[Any](), 0
    for length in lengths:
        one = Image.open(io.BytesIO(data[start : start + length])) if length else None
        start += length
        shown.append(None if one is None else ImageOps.contain(one.convert("RGB"), (WIDTH, WIDTH)))
    tall = max((one.height for one in shown if one is not None), default=WIDTH)
    columns, rows = min(STRIP, len(shown)), -(-len(shown) // STRIP)
    across, down = WIDTH + SPACE, tall + LINE + SPACE
    whole = Image.new("RGB", (columns * across + SPACE, rows * down + SPACE), BACK)
    canvas, font = ImageDraw.Draw(whole), ImageFont.load_default(size=18)
    for number, one in enumerate(shown):
        left, top = SPACE + number % STRIP * across, SPACE + number // STRIP * down
        is_marked = number in marked
        if is_marked:
            canvas.rectangle((left - 4, top - 4, left + WIDTH + 3, top + tall + LINE + 1), fill=MARK)
        if one is not None:
            whole.paste(one, (left + (WIDTH - one.width) // 2, top + (tall - one.height) // 2))
        at = (left + WIDTH // 2, top + tall + LINE // 2 - 1)
        canvas.text(at, labels[number], fill=BACK if is_marked else SAID, font=font, anchor="mm")
    return encoded(whole, "WEBP", quality=85, method=0)


COMMANDS: dict[str, tuple[Callable[..., Answer], int]] = {  # … and seconds of processor time
    "clean": (clean, 2),  # 16.7 megapixels of noise need 1.8 on a slow, shared core
    "several": (several, 15),
    "shrink": (shrink, 10),
    "numbered": (numbered, 5),
    "mask": (mark_mask, 5),
    "exact-mask": (exact_mask, 5),
    "sheet": (draw_sheet, 5),
    "alike": (compare, 10),
    "paint": (paint, 10),
    "thumbnail": (thumbnail, 3600),  # of very many pictures
    "frames": (read_frames, 5),
    "key-frame": (read_key_frame, 5),
    "strip": (draw_strip, 5),
}
OF_VIDEOS = ("frames", "strip", "key-frame")  # of these, what reads or shows videos
# What makes videos of videos, see studio.media.transcode, and seconds of processor time
TRANSCODES = {"take": 60, "fit": 300, "cut": 120, "last": 20, "gif": 60, "mosaic": 120}

if __name__ == "__main__":
    main()
