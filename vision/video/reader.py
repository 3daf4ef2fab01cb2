"""Reads videos of ours back, frame by frame: one demuxer, the decoders of what ``VideoWriter`` writes.
Strangers' videos come in through ``studio.videos``.

Beside each video lie its first and its last frame as they were before they were encoded, so that a video that
goes on from another one loses nothing at the join. ``Sources`` are what a video is made from, ``Drawing`` is
what comes of it, on its way to a file."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self

import av
import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from core.errors import UserError
from core.requests.video import VideoRequest
from vision.images import encode
from vision.video import writer

DECODERS = ("h264", "vp9", "libdav1d", "aac")
OPTIONS = {
    "codec_whitelist": ",".join(DECODERS),
    "protocol_whitelist": "",
    "max_streams": "2",
    "threads": "1",
}


class VideoReader:
    """A video of ours, open. width, height: px. fps: constant. frames: how many. seconds: how long. Raises
    ValueError for anything else."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._container: Any = av.open(file, format="mov", options=dict(OPTIONS))
            stream = self._container.streams.video[0]
            context = stream.codec_context
            if context.codec.name not in DECODERS:
                raise ValueError(context.codec.name)
        except (av.FFmpegError, IndexError, ValueError, AttributeError) as error:
            raise ValueError("this is no video of ours") from error
        context.thread_count, context.thread_type = 1, "NONE"
        self._stream: Any = stream
        self.width, self.height = context.width, context.height
        self.frames = int(stream.frames)
        self.fps = Fraction(stream.average_rate or 0)
        if not self.frames or not self.fps:
            raise ValueError("this is no video of ours")
        self.seconds = float(self.frames / self.fps)
        self.has_sound = bool(self._container.streams.audio)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def decoded(self, first: int = 0, end: int | None = None) -> Iterator[av.VideoFrame]:
        """Yield frames number ``first`` to ``end`` (not that one itself; None = all the rest), in order.
        Begins at the key frame before the first. Raises ValueError where the file is damaged."""
        base = self._stream.time_base
        begin = int(first / self.fps / base)
        try:
            self._container.seek(begin, stream=self._stream, backward=True)
            for frame in self._container.decode(self._stream):
                number = round(frame.pts * base * self.fps)
                if end is not None and number >= end:
                    return
                if number >= first:
                    yield frame
        except av.FFmpegError as error:
            raise ValueError("this video is damaged") from error

    def chunks(
        self, size: int = 16, first: int = 0, end: int | None = None
    ) -> Iterator[np.ndarray[Any, Any]]:
        """Yield the same frames as uint8 (f, H, W, 3), RGB, at most ``size`` at once."""
        frames = self.decoded(first, end)
        while chunk := [writer.rgb(frame) for frame in islice(frames, size)]:
            yield np.stack(chunk)

    def sound(self) -> writer.Sound | None:
        """Return all that is heard; None where there is nothing."""
        if not self.has_sound:
            return None
        stream = self._container.streams.audio[0]
        stream.codec_context.thread_count = 1
        parts = []
        self._container.seek(0)
        with suppress(av.EOFError):
            parts = [frame.to_ndarray() for frame in self._container.decode(stream)]
        if not parts:
            return None
        samples = np.concatenate(parts, axis=1).astype(np.float32)
        return writer.Sound(samples[:, : round(self.seconds * stream.rate)], stream.rate)


FORM = {"form": "frames"}  # of the file with a video's ends; other makers keep latents
DAMAGED = "The video can't be read; it may be damaged. Attach it again, or choose another one."


@dataclass(frozen=True)
class OpenClip:
    """A video of ours. size: px. fps: frames a second. count: of its frames. first, last: its ends; ends: the
    file that was kept beside it, "" = none."""

    path: Path
    size: tuple[int, int]
    fps: float
    count: int
    first: Image.Image
    last: Image.Image
    ends: str

    def frames(self) -> Iterator[Image.Image]:
        """Yield its frames, both ends as exactly as they are known."""
        return self.part(0, self.count)

    def part(self, begin: int, end: int) -> Iterator[Image.Image]:
        """Yield frames ``begin`` to ``end``, not that one itself."""
        with self.path.open("rb") as file, VideoReader(file) as video:
            number = begin
            for chunk in video.chunks(8, begin, end):
                for colours in chunk:
                    is_first, is_last = number == 0, number == self.count - 1
                    yield self.first if is_first else self.last if is_last else Image.fromarray(colours)
                    number += 1


def opened(path: str, ends: str) -> OpenClip:
    """Return the video at ``path``. ends: the file that was kept beside it, "" = none. Raises UserError for
    one that is damaged."""
    try:
        with Path(path).open("rb") as file, VideoReader(file) as video:
            size, fps, count = (video.width, video.height), float(video.fps), video.frames
            kept = read_ends(ends, size) if ends else None
            if kept is None:
                [first] = next(video.chunks(1, 0, 1))
                *_, last = video.chunks(1, count - 1, count)
                kept = Image.fromarray(first), Image.fromarray(last[0])
    except (ValueError, StopIteration) as error:
        raise UserError(DAMAGED) from error
    return OpenClip(Path(path), size, fps, count, *kept, ends)


def keep_ends(path: Path, first: Image.Image, last: Image.Image) -> None:
    """Write a video's ends beside it."""
    frames = {name: np.asarray(frame.convert("RGB")) for name, frame in (("first", first), ("last", last))}
    save_file(frames, path, metadata=FORM)


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


def at_rate(clip: OpenClip, size: tuple[int, int], fps: float) -> Iterator[Image.Image]:
    """Yield a video's frames at another size, px, as ``placed`` has them, and at ``fps``: for each moment the
    frame that was shown then."""
    number = 0
    for shown, frame in enumerate(clip.frames()):
        while round(number * clip.fps / fps) <= shown:
            yield placed(frame, size)
            number += 1


def read_ends(path: str, size: tuple[int, int]) -> tuple[Image.Image, Image.Image] | None:
    """Return the two ends in a file, if they are frames of ``size``."""
    try:
        with safe_open(path, "numpy") as file:
            if file.metadata() != FORM or set(file.keys()) != {"first", "last"}:
                return None
            first, last = (file.get_tensor(name) for name in ("first", "last"))
    except (OSError, SafetensorError):
        return None
    if any(one.dtype != np.uint8 or one.shape != (size[1], size[0], 3) for one in (first, last)):
        return None
    return Image.fromarray(first), Image.fromarray(last)


@dataclass(frozen=True)
class Sources:
    """pictures: SHA-256 → picture. first, last: those of the video. clip, clip_2: videos to go on from."""

    pictures: Mapping[str, Image.Image]
    first: Image.Image | None = None
    last: Image.Image | None = None
    clip: OpenClip | None = None
    clip_2: OpenClip | None = None


@dataclass(frozen=True)
class Drawing:
    """A video that is drawn while its frames are taken. chunks: uint8 (f, H, W, 3). size: width and height,
    px, both even. frames: how many there will be, about; 0 = drawing reports its own progress. keep_ends:
    called with a path, the first and the last frame once all are out: writes what a later video goes on from.
    sound: called then, too: what is heard, None = nothing."""

    chunks: Iterator[np.ndarray[Any, Any]]
    size: tuple[int, int]
    fps: float
    seed: int
    frames: int
    keep_ends: Callable[[Path, Image.Image, Image.Image], None]
    sound: Callable[[], writer.Sound | None] = lambda: None


def open_sources(request: VideoRequest, paths: Mapping[str, str]) -> Sources:
    """Open what a request names; paths: SHA-256 → file. Raises UserError for a video that is damaged,
    ImageError for such a picture."""
    pairs = (request.clip, request.clip_ends), (request.clip_2, request.clip_2_ends)
    videos = [opened(paths[sha], paths[ends] if ends else "") if sha else None for sha, ends in pairs]
    others = {sha for pair in pairs for sha in pair}
    found = {sha: encode.open_picture(paths[sha]) for sha in request.pictures if sha not in others}
    first, last = (found[sha] if sha else None for sha in (request.image, request.end_image))
    return Sources(found, first, last, videos[0], videos[1])
