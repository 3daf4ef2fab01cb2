"""Writes a film chunk by chunk: H.264 (or what the host has set) in ``yuv420p`` in an MP4 that plays while it
still comes in, with sound if there is any. Holds one chunk and what the encoder looks ahead, nothing more.

The worker writes into a path; a process that can open no file writes into one that is open already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from vision.films import boxes, colours
from vision.films.encoders import Encoder

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)  # Hz, of AAC
SOUND_BITS = 128_000  # a second
KEY_EVERY = 2.0  # seconds from one frame that can be begun with to the next, at most
MAX_FPS = 120
_AHEAD = 0.5  # seconds that sound is written before the frames it belongs to
_BLOCK = 1024  # samples of a packet of AAC


@dataclass(frozen=True)
class Sound:
    """What is heard. samples: float32 (channels, samples) from -1 to 1, one or two channels. rate: Hz."""

    samples: np.ndarray[Any, Any] = field(repr=False)
    rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.shape[0] not in (1, 2):
            raise ValueError(f"sound has the shape (1 or 2, samples), not {self.samples.shape}")
        if self.rate not in RATES:
            raise ValueError(f"sound of {self.rate} Hz; AAC takes {', '.join(map(str, RATES))}")

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples.shape[1] / self.rate

    def part(self, begin: float, end: float) -> Sound:
        """Return the sound between two times, in seconds."""
        return Sound(self.samples[:, round(begin * self.rate) : round(end * self.rate)], self.rate)


class FilmWriter:
    """One film that is being written.

    file: open for reading and writing, empty. size: width and height, px, both even. number: how much is
    thrown away, as ``Encoder`` has it; None = as for a film that is kept. careful: take more time for the
    same size. xmp: what the file says of itself. alive: called with the number of frames so far after every
    chunk, and while the last ones come out of the encoder.
    """

    def __init__(
        self,
        file: BinaryIO,
        size: tuple[int, int],
        fps: float | Fraction,
        encoder: Encoder,
        *,
        number: float | None = None,
        careful: bool = False,
        sound: Sound | None = None,
        sound_bits: int = SOUND_BITS,
        xmp: bytes | None = None,
        threads: int = 1,
        alive: Callable[[int], object] = lambda frames: None,
    ) -> None:
        self.size, self.frames = size, 0
        self.written = 0  # frames that have come out of the encoder
        self.fps = Fraction(fps).limit_denominator(1001)
        if size[0] % 2 or size[1] % 2 or min(size) < 2:
            raise ValueError(f"a film of {size[0]}×{size[1]} px; both sides have to be even")
        if not 0 < self.fps <= MAX_FPS:
            raise ValueError(f"a film of {fps} frames a second; 0 to {MAX_FPS} are taken")
        self._file, self._xmp, self._alive = file, xmp, alive
        self._sound, self._heard = sound, 0
        self._container = av.open(file, "w", format="mp4", options={"fflags": "+bitexact"})
        options = encoder.options(encoder.master if number is None else number, careful=careful)
        self._pictures = self._picture_stream(encoder, options, threads)
        self._sounds = None if sound is None else self._sound_stream(sound, sound_bits)

    def _picture_stream(self, encoder: Encoder, options: dict[str, str], threads: int) -> Any:
        stream: Any = self._container.add_stream(encoder.name, rate=self.fps, options=options)
        stream.width, stream.height = self.size
        context = stream.codec_context
        context.pix_fmt, context.gop_size = "yuv420p", max(1, round(KEY_EVERY * self.fps))
        context.thread_count, context.thread_type = threads, "NONE" if threads == 1 else "AUTO"
        context.colorspace = context.color_primaries = context.color_trc = colours.BT709
        context.color_range = colours.NARROW
        return stream

    def _sound_stream(self, sound: Sound, bits: int) -> Any:
        stream: Any = self._container.add_stream("aac", rate=sound.rate)
        stream.codec_context.layout = _layout(sound)
        stream.codec_context.bit_rate, stream.codec_context.thread_count = bits, 1
        return stream

    @property
    def seconds(self) -> float:
        """How long the film is so far."""
        return float(self.frames / self.fps)

    def write(self, frames: np.ndarray[Any, Any]) -> None:
        """Add frames: uint8 (f, H, W, 3), RGB. Raises ValueError for any other form."""
        width, height = self.size
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (height, width, 3):
            raise ValueError(f"frames are uint8 (f, {height}, {width}, 3), not {frames.dtype} {frames.shape}")
        for one in frames:
            self.add(av.VideoFrame.from_ndarray(np.ascontiguousarray(one), "rgb24"))
        self._alive(self.frames)

    def add(self, frame: av.VideoFrame) -> None:
        """Add one frame of libav's, whatever its colours and size are."""
        shown = colours.film_frame(frame, self.size)
        shown.pts, shown.time_base = self.frames, 1 / self.fps
        shown.pict_type = 0  # as the encoder likes it, not as it was in another film
        self._mux(self._pictures.encode(shown))
        self.frames += 1
        self._hear(self.seconds + _AHEAD)

    def finish(self) -> None:
        """Write what is still held back, and put the file in order. Raises ValueError for a film without a
        frame."""
        if not self.frames:
            raise ValueError("a film without a frame")
        self._mux(self._pictures.encode(None))
        self._alive(self.frames)
        self._hear(self.seconds)
        if self._sounds is not None:
            self._mux(self._sounds.encode(None))
        self._container.close()
        boxes.put_in_order(self._file, self._xmp)
        self._alive(self.frames)

    def abandon(self) -> None:
        """Close the encoder and leave the file as it is."""
        self._container.close()

    def _hear(self, until: float) -> None:
        """Write the sound up to a time, but never beyond the film's end."""
        if self._sound is None or self._sounds is None:
            return
        end = min(round(until * self._sound.rate), self._sound.samples.shape[1])
        if until > self.seconds:  # more frames may come: whole packets only
            end -= end % _BLOCK
        while self._heard < end:
            stop = min(self._heard + _BLOCK, end)
            part = np.ascontiguousarray(self._sound.samples[:, self._heard : stop], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(part, "fltp", _layout(self._sound))
            frame.rate, frame.pts = self._sound.rate, self._heard
            frame.time_base = Fraction(1, self._sound.rate)
            self._mux(self._sounds.encode(frame))
            self._heard = stop

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self.written += packet.stream is self._pictures
            self._container.mux(packet)


def _layout(sound: Sound) -> str:
    return "mono" if sound.samples.shape[0] == 1 else "stereo"


@contextmanager
def film_at(path: Path, *args: Any, **kwargs: Any) -> Iterator[FilmWriter]:
    """Open a film that will be at ``path``: there is nothing before it is whole, and nothing is left when
    something is raised. What follows is as for ``FilmWriter``."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w+b") as file:
            film = FilmWriter(file, *args, **kwargs)
            try:
                yield film
            except BaseException:
                film.abandon()
                raise
            film.finish()
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
