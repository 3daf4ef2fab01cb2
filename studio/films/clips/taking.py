"""Films of strangers as clips of ours: the same frames at a constant rate, upright, with square pixels, and
nothing else that was in the file. Runs in the clip process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any, BinaryIO

import av
import numpy as np
from PIL import Image

from studio.films import frames, streams
from studio.films.kinds import READ, kind_of
from vision.films import colours
from vision.films.encoders import encoder_of
from vision.films.writer import FilmWriter

LEAST_FPS, MOST_FPS = 8.0, 30.0
LATE = 0.4  # of a frame, by which times may be late: WebM's are in whole milliseconds
SLACK = 0.5  # seconds that a clip may be longer than is allowed
RUN_LENGTHS = 3  # zlib.Z_RLE, see studio.pictures.gate


def take(
    source: BinaryIO, target: BinaryIO, *, encoder: str, keep: float, seconds: float, pixels: int
) -> tuple[dict[str, Any], bytes]:
    """Write a stranger's film into ``target``, and return what is told of it, and its first frame as PNG.

    keep: seconds of its begin that are used. seconds: that it may last. pixels: that a frame may have.
    Raises ValueError, which says why it isn't taken.
    """
    source.seek(0)
    data = source.read()
    kind = kind_of(data)
    if kind is None:
        raise ValueError(f"can't be read as a film; {READ} are.")
    film: frames.Film = frames.Animation(data) if kind == "webp" else streams.opened(data, kind)
    if film.whole > seconds + SLACK:
        raise ValueError(f"lasts {film.whole:.0f} s; clips of up to {seconds:.0f} s are taken.")
    fps = rate(film.times)
    most = max(1, round(min(film.seconds, keep) * fps))
    shown = _at_even_times(film.frames(), fps, most)
    first = next(shown, None)
    if first is None:
        raise streams.Damaged("is damaged or incomplete: not one frame can be read.")
    angle = 0 if isinstance(first, Image.Image) else streams.turned(first)
    size = _size(film.size, angle, pixels)
    writer = FilmWriter(target, size, fps, encoder_of(encoder))
    upright = _upright(first, angle, size)
    poster = png(upright)
    writer.add(upright)
    for frame in shown:
        if (frame.width, frame.height) != (first.width, first.height):
            writer.abandon()
            raise ValueError("changes its size on the way; clips of one size are taken.")
        writer.add(_upright(frame, angle, size))
    writer.finish()
    return told(writer) | {"whole": round(film.whole, 3)}, poster


def told(writer: FilmWriter) -> dict[str, Any]:
    """Return what is told of a film that was written."""
    width, height = writer.size
    rate = [writer.fps.numerator, writer.fps.denominator]
    return {"width": width, "height": height, "fps": rate, "frames": writer.frames}


def png(frame: av.VideoFrame) -> bytes:
    """Return a frame as PNG in RGB."""
    out = io.BytesIO()
    Image.fromarray(colours.rgb(frame)).save(out, "PNG", compress_level=1, compress_type=RUN_LENGTHS)
    return out.getvalue()


def rate(times: list[float]) -> Fraction:
    """Return the frames a second that stand best for frames at these times, in halves, at most 30. Twice as
    many or more are halved, so that those that are left lie evenly."""
    steps = [after - before for before, after in pairwise(times) if after > before]
    if not steps:
        return Fraction(LEAST_FPS)
    usual = median(steps)
    is_even = max(steps) < 1.5 * usual
    found = len(steps) / sum(steps) if is_even else 1 / usual
    while found > MOST_FPS + 0.25:
        found /= 2
    while found < LEAST_FPS - 0.25:
        found *= 2
    return Fraction(round(2 * found), 2)


def _at_even_times(seen: Iterator[tuple[float, Any]], fps: Fraction, most: int) -> Iterator[Any]:
    """Yield ``most`` frames at a constant rate: each is seen until the next one comes, the last one stays."""
    before, number = None, 0
    for seconds, frame in seen:
        if before is not None:
            while number < most and number + LATE < seconds * float(fps):
                yield before[1]
                number += 1
            if number == most:
                return
        before = seconds, frame.copy() if isinstance(frame, Image.Image) else frame
    if before is not None:
        for _ in range(most - number):
            yield before[1]


def _size(seen: tuple[int, int], angle: int, pixels: int) -> tuple[int, int]:
    """Return the size that a film gets: even sides, upright, within what is allowed."""
    width, height = seen[::-1] if angle % 180 else seen
    share = min(1.0, (pixels / (width * height)) ** 0.5)
    even = [int(side * share) // 2 * 2 for side in (width, height)]
    if min(even) < streams.MIN_SIDE:
        raise ValueError(
            f"is {width}×{height} px; each side must have at least {streams.MIN_SIDE}, and neither be much"
            " longer than the other."
        )
    return even[0], even[1]


def _upright(frame: Any, angle: int, size: tuple[int, int]) -> av.VideoFrame:
    """Return a frame as it is to be seen: turned, on white where it is see-through."""
    if isinstance(frame, Image.Image):
        pixels = np.asarray(frame.convert("RGBA"))
    elif "a" in frame.format.name.removeprefix("gray") or frame.format.has_palette:
        pixels = colours.rgb(frame, form="rgba")
    elif angle:
        pixels = colours.rgb(frame)
    else:
        return colours.film_frame(frame, size)
    if pixels.shape[2] == 4:
        clear = pixels[:, :, 3:].astype(np.uint16)
        pixels = ((pixels[:, :, :3] * clear + 255 * (255 - clear) + 127) // 255).astype(np.uint8)
    turned = np.ascontiguousarray(np.rot90(pixels, angle // 90))
    return colours.film_frame(av.VideoFrame.from_ndarray(turned, "rgb24"), size)
