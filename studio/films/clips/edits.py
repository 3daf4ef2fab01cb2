"""Parts of a film: some seconds of it, or its last frame. Runs in the clip process."""

from __future__ import annotations

from collections import deque
from typing import Any, BinaryIO

from studio.films.clips.taking import png, told
from vision.films.encoders import encoder_of
from vision.films.reader import FilmReader
from vision.films.writer import FilmWriter

LEAST = 0.25  # seconds of a part


def cut(
    source: BinaryIO, target: BinaryIO, *, begin: float, end: float, encoder: str
) -> tuple[dict[str, Any], bytes]:
    """Write the frames between two times, in seconds, and what is heard with them, into ``target``. Return
    what is told of it, and its first frame as PNG.

    Raises ValueError, which says what of a film can be cut.
    """
    with FilmReader(source) as film:
        first, stop = round(begin * film.fps), min(round(end * film.fps), film.frames)
        if not 0 <= begin < film.seconds or end - begin < LEAST or first >= stop:
            raise ValueError(
                f"lasts {film.seconds:g} s; a part of it begins there, and ends at least {LEAST} s after its"
                f" begin, so not {begin:g} to {end:g}."
            )
        sound = film.sound()
        if sound is not None:
            sound = sound.part(float(first / film.fps), float(stop / film.fps))
        size = film.width, film.height
        writer = FilmWriter(target, size, film.fps, encoder_of(encoder), sound=sound)
        poster = b""
        for frame in film.decoded(first, stop):
            poster = poster or png(frame)
            writer.add(frame)
        writer.finish()
    return told(writer) | {"sound": sound is not None}, poster


def last_frame(source: BinaryIO, target: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Return a film's last frame as PNG. Raises ValueError for a damaged one."""
    with FilmReader(source) as film:
        last = deque(film.decoded(film.frames - 1), maxlen=1)
        if not last:
            raise ValueError("is damaged: its last frame can't be read.")
        return {"width": film.width, "height": film.height}, png(last[0])
