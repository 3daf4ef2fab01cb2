"""A child process that makes films from films. Runs as ``python -m studio.films.clips.process COMMAND JSON``.

stdin: a file with the film, or several one after the other. stdout: an empty file, into which it writes
what it makes and what is told of it (``studio.films.clips.ending``). Like the other processes that read films
it first gives up memory, time, files and network (``studio.pictures.confine``), but for what it has open; so
no film passes through a pipe.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from studio.films import streams
from studio.films.clips import edits, ending, fitting, gifs, mosaics, taking
from studio.pictures import confine
from vision import background
from vision.films.encoders import encoder_of
from vision.films.writer import FilmWriter, Sound

MAX_MEMORY = 600 * 2**20  # bytes above what the interpreter and its imports need
MAX_FILE = 2**30  # bytes of what it writes
MAX_SECONDS = {"take": 60, "fit": 300, "cut": 120, "last": 20, "gif": 60, "mosaic": 120}  # of processor time

Made = tuple[dict[str, Any], bytes]  # what is told of what was made, and a PNG
MAKERS: dict[str, Callable[..., Made]] = {
    "take": taking.take,
    "fit": fitting.fit,
    "cut": edits.cut,
    "last": edits.last_frame,
    "gif": gifs.gif,
    "mosaic": mosaics.mosaic,
}


class Part(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file, self._start, self._length, self._at = file, start, length, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place of the part."""
        self._at = max(0, offset + (0, self._at, self._length)[whence])
        return self._at

    def tell(self) -> int:
        """Return the place in the part."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read on, up to the part's end."""
        self._file.seek(self._start + self._at)
        found = self._file.read(max(0, min(len(buffer), self._length - self._at)))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def main() -> None:
    """Make one thing, in a process that can do nothing else."""
    command, given = sys.argv[1], json.loads(sys.argv[2])
    background.step_back()
    source, target = open(0, "rb", closefd=False), open(1, "w+b", closefd=False)
    prepare(given.get("encoder"))
    confine.limit(MAX_MEMORY, MAX_SECONDS[command], MAX_FILE)
    confine.shut_in()
    header, picture = answer(command, source, target, **given)
    ending.write(target, header, picture)


def prepare(encoder: str | None) -> None:
    """Import all that is needed and use it once: afterwards no file can be opened."""
    import warnings

    os.environ["SVT_LOG"] = "0"
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # the check of a frame's size is stricter
    Image.init()
    tiny = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP"):
        out = io.BytesIO()
        tiny[0].save(out, form, save_all=True, append_images=tiny[1:], duration=100)
        answer("take", out, io.BytesIO(), encoder="auto", keep=1.0, seconds=60.0, pixels=4096, lengths=[])
    made = io.BytesIO()
    silence = Sound(np.zeros((2, 2048), np.float32), 24_000)
    film = FilmWriter(made, (32, 32), 8, encoder_of(encoder or "auto"), sound=silence)
    film.write(np.zeros((2, 32, 32, 3), np.uint8))
    film.finish()
    answer("gif", made, io.BytesIO(), limit=10**6)
    answer("cut", made, io.BytesIO(), begin=0.0, end=0.25, encoder=encoder or "auto")


def answer(
    command: str, source: BinaryIO, target: BinaryIO, *, lengths: Sequence[int] = (), **given: Any
) -> Made:
    """Make something of a film, or of several of ``lengths`` bytes that lie one after the other. Return what
    is told of it, and a PNG; a header with "error" says in a few words why there is nothing."""
    sources: list[BinaryIO] = [source]
    if lengths:
        starts = np.cumsum([0, *lengths])
        parts = (Part(source, int(at), length) for at, length in zip(starts, lengths, strict=False))
        sources = [io.BufferedReader(part) for part in parts]
    try:
        return MAKERS[command](*sources, target, **given)
    except ValueError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "needs too much memory."}, b""
    except Exception as error:  # libraries raise whatever they like
        return {"error": str(streams.Damaged("is damaged or incomplete.")), "kind": type(error).__name__}, b""


if __name__ == "__main__":
    main()
