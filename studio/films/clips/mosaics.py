"""Several films side by side in one. Runs in the clip process."""

from __future__ import annotations

from typing import Any, BinaryIO

import av
import numpy as np

from studio.films.clips.taking import png, told
from vision.films import colours
from vision.films.encoders import encoder_of
from vision.films.reader import FilmReader
from vision.films.writer import FilmWriter

WIDTH, HEIGHT = 1280, 720  # px of it all, at most
COLUMNS = 2
LESS = 5.0  # how much more is thrown away than of a film that is kept


def mosaic(*files: BinaryIO, encoder: str) -> tuple[dict[str, Any], bytes]:
    """Write two to four films of one shape side by side, two in a row, into the last of ``files``. Return
    what is told of it, and its first frame as PNG. A shorter film stands still at its end.

    Raises ValueError for films of another number or shape.
    """
    *sources, target = files
    if not 2 <= len(sources) <= 4:
        raise ValueError(f"are {len(sources)}; two to four films stand side by side.")
    films = [FilmReader(source) for source in sources]
    first = films[0]
    if any((one.width, one.height, one.fps) != (first.width, first.height, first.fps) for one in films):
        raise ValueError("differ in size or frames a second, so they can't stand side by side.")
    rows = -(-len(films) // COLUMNS)
    share = min(1.0, WIDTH / (COLUMNS * first.width), HEIGHT / (rows * first.height))
    across, down = (max(2, int(side * share) // 2 * 2) for side in (first.width, first.height))
    coder = encoder_of(encoder)
    size = across * COLUMNS, down * rows
    writer = FilmWriter(target, size, first.fps, coder, number=coder.master + LESS)
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    running = [film.decoded() for film in films]
    poster = b""
    for _ in range(max(film.frames for film in films)):
        for place, frames in enumerate(running):
            frame = next(frames, None)
            if frame is not None:
                left, top = place % COLUMNS * across, place // COLUMNS * down
                whole[top : top + down, left : left + across] = colours.rgb(frame, (across, down))
        shown = av.VideoFrame.from_ndarray(whole, "rgb24")
        poster = poster or png(shown)
        writer.add(shown)
    writer.finish()
    return told(writer), poster
