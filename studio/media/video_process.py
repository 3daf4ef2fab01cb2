"""A child process that touches strangers' videos, and makes videos and small pictures of videos. Runs as
``python -m studio.media.video_process COMMAND``, see ``SECONDS``.

Like the image process it first gives up memory, time, files and network (``studio.media.confinement``), so a
bomb or a parser bug ends this process and nothing else. What makes a video of videos (``TRANSCODES``) is
given an encoder, the file to write and the videos as further arguments, and opens these before: no video
passes through a pipe.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from studio.media import confinement, video_decode
from studio.media.image_process import Answer, encoded
from studio.media.video_decode import READ, kind_of

MAX_MEMORY = 600 * 2**20  # bytes above what the interpreter and its imports need
MAX_FILE = 2**30  # bytes of a video that is written
ACROSS, WIDTH, GAP, LINE = 4, 240, 8, 30  # frames in a row; px of a frame, between two, and of its time
BACK, INK, MARK, ON_MARK = (24, 23, 22), (225, 222, 218), (242, 169, 59), (24, 23, 22)
TRANSCODES = {"take": 60, "fit": 300, "cut": 120, "last": 20, "gif": 60, "mosaic": 120}
SECONDS = {"frames": 5, "strip": 5, **TRANSCODES}  # of processor time


def main() -> None:
    """Answer requests for one command, in a process that can do nothing else."""
    command = sys.argv[1]
    confinement.serve_confined(
        prepare, MAX_MEMORY, SECONDS[command], MAX_FILE if command in TRANSCODES else 0
    )


def prepare(command: str, encoder: str = "", *paths: str) -> Callable[..., Answer]:
    """Import all that a command will need, and use it once: afterwards no file can be opened. Return what
    answers it. paths: the video to write, and those to read."""
    import warnings

    from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps, ImageStat, PngImagePlugin  # noqa: F401

    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # the check of a frame's size is stricter
    Image.init()
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
        return (read_frames if command == "frames" else draw_strip)(data, **given)
    except ValueError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "needs too much memory to read."}, b""


def read_frames(data: bytes, most: int, max_pixels: int) -> Answer:
    """Return some frames of a video as PNGs, one after the other, with their times and lengths. Raises
    ValueError, which says why it can't be read."""
    kind = kind_of(data)
    if kind is None:
        raise ValueError(f"can't be read as a video; {READ} are.")
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
    return encoded(whole, "WEBP", quality=85, method=0)


if __name__ == "__main__":
    main()
