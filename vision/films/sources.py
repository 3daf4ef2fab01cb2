"""What a film is made from, opened: the pictures and the films of ours that a request names; and what comes
of it, on its way to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.requests.video import VideoRequest
from vision.films import clips
from vision.films.clips import OpenClip
from vision.films.writer import Sound
from vision.pictures import encode


@dataclass(frozen=True)
class Sources:
    """pictures: SHA-256 → picture. first, last: those of the film. clip, clip_2: films to go on from;
    clip_ends, clip_2_ends: files that were kept beside them, "" = none."""

    pictures: Mapping[str, Image.Image]
    first: Image.Image | None = None
    last: Image.Image | None = None
    clip: OpenClip | None = None
    clip_2: OpenClip | None = None
    clip_ends: str = ""
    clip_2_ends: str = ""


@dataclass(frozen=True)
class Drawing:
    """A film that is drawn while its frames are taken.

    chunks: uint8 (f, H, W, 3). size: width and height, px, both even. frames: how many there will be, about;
    0 = drawing reports its own progress. keep_ends: called with a path, the first and the last frame once all
    are out: writes what a later film goes on from. sound: called then, too: what is heard, None = nothing.
    """

    chunks: Iterator[np.ndarray[Any, Any]]
    size: tuple[int, int]
    fps: float
    seed: int
    frames: int
    keep_ends: Callable[[Path, Image.Image, Image.Image], None]
    sound: Callable[[], Sound | None] = lambda: None


def opened(request: VideoRequest, paths: Mapping[str, str]) -> Sources:
    """Open what a request names; paths: SHA-256 → file. Raises UserError for a film that is damaged,
    ImageError for such a picture."""
    ends = [paths[sha] if sha else "" for sha in (request.clip_ends, request.clip_2_ends)]
    films = [
        None if sha is None else clips.opened(paths[sha], beside)
        for sha, beside in zip((request.clip, request.clip_2), ends, strict=True)
    ]
    others = {request.clip, request.clip_2, request.clip_ends, request.clip_2_ends}
    found = {sha: encode.open_picture(paths[sha]) for sha in request.pictures if sha not in others}
    first, last = (found[sha] if sha else None for sha in (request.image, request.end_image))
    return Sources(found, first, last, films[0], films[1], ends[0], ends[1])
