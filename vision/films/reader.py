"""Reads films of ours back: one demuxer, the decoders of what ``FilmWriter`` writes, frame by frame. Not for
strangers' films: those come in through ``studio.films``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from types import TracebackType
from typing import Any, BinaryIO, Self

import av
import numpy as np

from vision.films import colours
from vision.films.writer import Sound

DECODERS = ("h264", "vp9", "libdav1d", "aac")
OPTIONS = {
    "codec_whitelist": ",".join(DECODERS),
    "protocol_whitelist": "",
    "max_streams": "2",
    "threads": "1",
}


class FilmReader:
    """A film of ours, open. width, height: px. fps: constant. frames: how many. seconds: how long.

    Raises ValueError for anything else.
    """

    def __init__(self, file: BinaryIO, *, threads: int = 1) -> None:
        try:
            self._container: Any = av.open(file, format="mov", options=dict(OPTIONS))
            stream = self._container.streams.video[0]
            context = stream.codec_context
            if context.codec.name not in DECODERS:
                raise ValueError(context.codec.name)
        except (av.FFmpegError, IndexError, ValueError, AttributeError) as error:
            raise ValueError("this is no film of ours") from error
        context.thread_count, context.thread_type = threads, "NONE" if threads == 1 else "AUTO"
        self._stream: Any = stream
        self.width, self.height = context.width, context.height
        self.frames = int(stream.frames)
        self.fps = Fraction(stream.average_rate or 0)
        if not self.frames or not self.fps:
            raise ValueError("this is no film of ours")
        self.seconds = float(self.frames / self.fps)
        self.has_sound = bool(self._container.streams.audio)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def decoded(self, first: int = 0, end: int | None = None) -> Iterator[av.VideoFrame]:
        """Yield frames number ``first`` to ``end`` (not that one itself; None = all the rest), in order.

        Begins at the key frame before the first. Raises ValueError where the file is damaged.
        """
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
            raise ValueError("this film is damaged") from error

    def chunks(
        self, size: int = 16, first: int = 0, end: int | None = None
    ) -> Iterator[np.ndarray[Any, Any]]:
        """Yield the same frames as uint8 (f, H, W, 3), RGB, at most ``size`` at once."""
        frames = self.decoded(first, end)
        while chunk := [colours.rgb(frame) for frame in islice(frames, size)]:
            yield np.stack(chunk)

    def sound(self) -> Sound | None:
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
        return Sound(samples[:, : round(self.seconds * stream.rate)], stream.rate)
