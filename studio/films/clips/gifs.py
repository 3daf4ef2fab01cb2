"""A film as GIF: fewer frames, smaller, one table of colours for all, within a limit of bytes. Runs in the
clip process."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from PIL import Image

from vision.films import colours
from vision.films.reader import FilmReader

SIZES = (
    (480, Fraction(25, 2)),
    (400, Fraction(10)),
    (320, Fraction(10)),
    (256, Fraction(25, 3)),
    (192, Fraction(25, 4)),
    (128, Fraction(5)),
)  # px of the longer side and frames a second, tried in this order; GIF counts hundredths of a second
SAMPLES, SAMPLE_SIDE = 12, 160  # frames, and px of theirs, that the colours are chosen from


def gif(source: BinaryIO, target: BinaryIO, *, limit: int) -> tuple[dict[str, Any], bytes]:
    """Write a film as GIF of at most ``limit`` bytes into ``target``, and return what is told of it.

    Raises ValueError when it doesn't fit.
    """
    with FilmReader(source) as film:
        palette = _palette(film)
        longer = max(film.width, film.height)
        tried: set[tuple[tuple[int, int], Fraction]] = set()
        for side, most in SIZES:
            share = min(1.0, side / longer)
            size = max(2, round(film.width * share)), max(2, round(film.height * share))
            fps = min(most, film.fps)
            if (size, fps) in tried:
                continue
            tried.add((size, fps))
            target.truncate(0)
            target.seek(0)
            count = _write(film, target, palette, size, fps, limit)
            if count:
                rate = [fps.numerator, fps.denominator]
                return {"width": size[0], "height": size[1], "fps": rate, "frames": count}, b""
    raise ValueError(f"doesn't fit into {limit:,} bytes as a GIF.")


def _palette(film: FilmReader) -> Image.Image:
    """Return a picture with the 255 colours that stand best for frames from all over a film."""
    share = min(1.0, SAMPLE_SIDE / max(film.width, film.height))
    size = max(2, round(film.width * share)), max(2, round(film.height * share))
    step = max(1, film.frames // SAMPLES)
    shown = [colours.rgb(one, size) for number, one in enumerate(film.decoded()) if number % step == 0]
    return Image.fromarray(np.concatenate(shown)).quantize(255, Image.Quantize.MEDIANCUT)


def _write(
    film: FilmReader,
    target: BinaryIO,
    palette: Image.Image,
    size: tuple[int, int],
    fps: Fraction,
    limit: int,
) -> int:
    """Return how many frames were written; 0 when they are more than ``limit`` bytes."""
    table = np.zeros((256, 4), np.uint8)
    table[:, 0] = 255  # ARGB
    listed = np.asarray((palette.getpalette() or [])[: 255 * 3], np.uint8).reshape(-1, 3)
    table[: len(listed), 1:] = listed
    with av.open(target, "w", format="gif", options={"fflags": "+bitexact", "loop": "0"}) as container:
        stream: Any = container.add_stream("gif", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "pal8"
        stream.codec_context.thread_count = 1
        count = 0
        for number, one in enumerate(film.decoded()):
            if number / film.fps * fps < count:
                continue
            shown = Image.fromarray(colours.rgb(one, size)).quantize(palette=palette)
            picture: Any = (np.asarray(shown), table)
            frame = av.VideoFrame.from_ndarray(picture, "pal8")
            frame.pts, frame.time_base = count, 1 / fps
            for packet in stream.encode(frame):
                container.mux(packet)
            count += 1
            if target.tell() > limit:
                break
        for packet in stream.encode(None):
            container.mux(packet)
    return count if target.seek(0, 2) <= limit else 0
