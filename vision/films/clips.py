"""Films to go on from: reads ours frame by frame, and their ends exactly, from what was kept beside them.

Beside each film lie its first and its last frame as they were before they were encoded, so that a film that
goes on from another one loses nothing at the join.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from core.errors import UserError
from vision.films.reader import FilmReader
from vision.pictures import encode

FORM = {"form": "frames"}  # of the file with a film's ends; other makers keep latents
DAMAGED = "The film can't be read; it may be damaged. Attach it again, or choose another one."


@dataclass(frozen=True)
class OpenClip:
    """A film of ours. size: px. fps: frames a second. count: of its frames. first, last: its ends."""

    path: Path
    size: tuple[int, int]
    fps: float
    count: int
    first: Image.Image
    last: Image.Image

    def frames(self) -> Iterator[Image.Image]:
        """Yield its frames, both ends as exactly as they are known."""
        return self.part(0, self.count)

    def part(self, begin: int, end: int) -> Iterator[Image.Image]:
        """Yield frames ``begin`` to ``end``, not that one itself."""
        with self.path.open("rb") as file, _opened(file) as film:
            number = begin
            for chunk in film.chunks(8, begin, end):
                for colours in chunk:
                    is_first, is_last = number == 0, number == self.count - 1
                    yield self.first if is_first else self.last if is_last else Image.fromarray(colours)
                    number += 1


def opened(path: str, ends: str) -> OpenClip:
    """Return the film at ``path``. ends: the file that was kept beside it, "" = none. Raises UserError for
    one that is damaged."""
    try:
        with Path(path).open("rb") as file, _opened(file) as film:
            size, fps, count = (film.width, film.height), float(film.fps), film.frames
            kept = _kept(ends, size) if ends else None
            if kept is None:
                [first] = next(film.chunks(1, 0, 1))
                *_, last = film.chunks(1, count - 1, count)
                kept = Image.fromarray(first), Image.fromarray(last[0])
    except (ValueError, StopIteration) as error:
        raise UserError(DAMAGED) from error
    return OpenClip(Path(path), size, fps, count, *kept)


def keep(path: Path, first: Image.Image, last: Image.Image) -> None:
    """Write a film's ends beside it."""
    frames = {name: np.asarray(frame.convert("RGB")) for name, frame in (("first", first), ("last", last))}
    save_file(frames, path, metadata=FORM)


def fitted(frames: Iterator[Image.Image], size: tuple[int, int]) -> Iterator[Image.Image]:
    """Yield frames at another size, px: cut to its shape, in the middle."""
    return (placed(frame, size) for frame in frames)


def placed(frame: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture at ``size``, px: cut to its shape, in the middle."""
    if frame.size == size:
        return frame
    scale = max(size[0] / frame.width, size[1] / frame.height)
    wide, high = min(frame.width, size[0] / scale), min(frame.height, size[1] / scale)
    left, top = (frame.width - wide) / 2, (frame.height - high) / 2
    box = (left, top, left + wide, top + high)
    cut = frame.crop(tuple(round(side) for side in box))  # type: ignore[arg-type]
    return encode.resize(cut, size)


def at_rate(
    frames: Sequence[Image.Image] | Iterator[Image.Image], old: float, new: float
) -> Iterator[Image.Image]:
    """Yield what is shown at ``new`` frames a second of a film that had ``old``: for each moment the frame
    that was shown then."""
    number = 0
    for shown, frame in enumerate(frames):
        while round(number * old / new) <= shown:
            yield frame
            number += 1


def _opened(file: object) -> FilmReader:
    return FilmReader(file)  # type: ignore[arg-type]


def _kept(path: str, size: tuple[int, int]) -> tuple[Image.Image, Image.Image] | None:
    """Return the two ends in a file, if they are frames of ``size``."""
    try:
        with safe_open(path, "numpy") as file:
            if file.metadata() != FORM or set(file.keys()) != {"first", "last"}:
                return None
            arrays = [file.get_tensor(name) for name in ("first", "last")]
    except (OSError, SafetensorError):
        return None
    if any(array.dtype != np.uint8 or array.shape != (size[1], size[0], 3) for array in arrays):
        return None
    return Image.fromarray(arrays[0]), Image.fromarray(arrays[1])
