"""Writes a video chunk by chunk: H.264 (or what the host has set) in ``yuv420p`` in an MP4 that plays while
it still comes in, with sound if there is any. Holds one chunk and what the encoder looks ahead, nothing more.

The worker writes into a path; a process that can open no file writes into one that is open already. Models
that draw sound know it only when the last frame is out: it is added to the video that is written already,
whose pictures are taken over packet by packet.

Colours are BT.709 in its narrow range, said in the file, as players take it for granted in anything larger
than a stamp. swscale's default is BT.601, and PyAV tells it otherwise only where the two ends are named and
differ."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from vision.video import codecs

BT709 = 1  # AVCOL_SPC_BT709, and its primaries and transfer
NARROW, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
# SWS_ACCURATE_RND, SWS_FULL_CHR_H_INT and _INP: without them a video gets darker by 1 to 2 of 255 each time
_EXACT = 0x40000 | 0x2000 | 0x4000
HD = 720  # rows from which on a video that says nothing is meant in BT.709
_SPACES = {  # AVCOL_SPC → swscale's
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
}


def video_frame(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> av.VideoFrame:
    """Return a frame as ``yuv420p`` in BT.709, of another ``size`` (px) if that is given; the frame itself
    where nothing is to be done."""
    width, height = size or (frame.width, frame.height)
    space = _space(frame)
    is_right = frame.format.name == "yuv420p" and space is Colorspace.ITU709 and frame.color_range != FULL
    if is_right and (frame.width, frame.height) == (width, height):
        return frame
    is_larger = width > frame.width or height > frame.height
    how = Interpolation.BICUBIC if is_larger else Interpolation.AREA
    found = _converted(frame, (width, height), "yuv420p", (space, Colorspace.ITU709), how)
    found.colorspace, found.color_range = BT709, NARROW
    return found


def rgb(
    frame: av.VideoFrame, size: tuple[int, int] | None = None, form: str = "rgb24"
) -> np.ndarray[Any, Any]:
    """Return a frame as uint8 (H, W, 3), of another ``size`` (px) if given; (H, W, 4) with ``form``
    "rgba"."""
    space = _space(frame)
    # of RGB: any but ``space``
    other = Colorspace.ITU601 if space is Colorspace.ITU709 else Colorspace.ITU709
    target = size or (frame.width, frame.height)
    return _converted(frame, target, form, (space, other), Interpolation.BICUBIC).to_ndarray()


def _converted(
    frame: av.VideoFrame,
    size: tuple[int, int],
    form: str,
    spaces: tuple[Colorspace, Colorspace],
    how: Interpolation,
) -> av.VideoFrame:
    return frame.reformat(
        *size,
        format=form,
        src_colorspace=spaces[0],
        dst_colorspace=spaces[1],
        interpolation=how | _EXACT,
        src_color_range=ColorRange.JPEG if frame.color_range == FULL else ColorRange.MPEG,
    )


def _space(frame: av.VideoFrame) -> Colorspace:
    """Return how a frame's colours are meant; of RGB, where it means nothing, one that isn't BT.709."""
    if frame.format.is_rgb or frame.format.has_palette:
        return Colorspace.ITU601
    return _SPACES.get(frame.colorspace, Colorspace.ITU709 if frame.height >= HD else Colorspace.ITU601)


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

    def part(self, begin: float, end: float) -> "Sound":
        """Return the sound between two times, in seconds."""
        return Sound(self.samples[:, round(begin * self.rate) : round(end * self.rate)], self.rate)


class VideoWriter:
    """One video that is being written. file: open for reading and writing, empty. size: width and height, px,
    both even. number: how much is thrown away, as ``Encoder`` has it; None = as for a video that is kept.
    careful: take more time for the same size. xmp: what the file says of itself. alive: called with the
    number of frames so far after every chunk, and while the last ones come out of the encoder."""

    def __init__(
        self,
        file: BinaryIO,
        size: tuple[int, int],
        fps: float | Fraction,
        encoder: codecs.Encoder,
        *,
        number: float | None = None,
        careful: bool = False,
        sound: Sound | None = None,
        sound_bits: int = SOUND_BITS,
        xmp: bytes | None = None,
        alive: Callable[[int], object] = lambda frames: None,
    ) -> None:
        self.size, self.frames = size, 0
        self.written = 0  # frames that have come out of the encoder
        self.fps = Fraction(fps).limit_denominator(1001)
        if size[0] % 2 or size[1] % 2 or min(size) < 2:
            raise ValueError(f"a video of {size[0]}×{size[1]} px; both sides have to be even")
        if not 0 < self.fps <= MAX_FPS:
            raise ValueError(f"a video of {fps} frames a second; 0 to {MAX_FPS} are taken")
        self._file, self._xmp, self._alive = file, xmp, alive
        self._sound, self._heard = sound, 0
        self._container = av.open(file, "w", format="mp4", options={"fflags": "+bitexact"})
        options = encoder.options(encoder.master if number is None else number, careful=careful)
        stream: Any = self._container.add_stream(encoder.name, rate=self.fps, options=options)
        stream.width, stream.height = size
        context = stream.codec_context
        context.pix_fmt, context.gop_size = "yuv420p", max(1, round(KEY_EVERY * self.fps))
        context.thread_count, context.thread_type = 1, "NONE"
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = NARROW
        self._pictures = stream
        self._sounds = None if sound is None else _sound_stream(self._container, sound, sound_bits)

    @property
    def seconds(self) -> float:
        """How long the video is so far."""
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
        shown = video_frame(frame, self.size)
        shown.pts, shown.time_base = self.frames, 1 / self.fps
        shown.pict_type = 0  # as the encoder likes it, not as it was in another video
        self._mux(self._pictures.encode(shown))
        self.frames += 1
        self._hear(self.seconds + _AHEAD)

    def finish(self) -> None:
        """Write what is still held back, and order the file. Raises ValueError without a frame."""
        if not self.frames:
            raise ValueError("a video without a frame")
        self._mux(self._pictures.encode(None))
        self._alive(self.frames)
        self._hear(self.seconds)
        if self._sounds is not None:
            self._mux(self._sounds.encode(None))
        self._container.close()
        codecs.put_in_order(self._file, self._xmp)
        self._alive(self.frames)

    def abandon(self) -> None:
        """Close the encoder and leave the file as it is."""
        self._container.close()

    def _hear(self, until: float) -> None:
        """Write the sound up to a time, but never beyond the video's end."""
        if self._sound is None or self._sounds is None:
            return
        end = min(round(until * self._sound.rate), self._sound.samples.shape[1])
        if until > self.seconds:  # more frames may come: whole packets only
            end -= end % _BLOCK
        while self._heard < end:
            stop = min(self._heard + _BLOCK, end)
            self._mux(self._sounds.encode(_audio_frame(self._sound, self._heard, stop)))
            self._heard = stop

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self.written += packet.stream is self._pictures
            self._container.mux(packet)


def _audio_frame(sound: Sound, begin: int, end: int) -> av.AudioFrame:
    part = np.ascontiguousarray(sound.samples[:, begin:end], dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(part, "fltp", _layout(part))
    frame.rate, frame.pts, frame.time_base = sound.rate, begin, Fraction(1, sound.rate)
    return frame


def _layout(samples: np.ndarray[Any, Any]) -> str:
    return "mono" if len(samples) == 1 else "stereo"


def _sound_stream(container: Any, sound: Sound, bits: int) -> Any:
    stream: Any = container.add_stream("aac", rate=sound.rate)
    stream.codec_context.layout = _layout(sound.samples)
    stream.codec_context.bit_rate, stream.codec_context.thread_count = bits, 1
    return stream


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that will be at ``path`` once all is written; nothing is left when something is raised."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def video_at(path: Path, *args: Any, **kwargs: Any) -> Iterator[VideoWriter]:
    """Open a video that will be at ``path``: there is nothing before it is whole, and nothing is left when
    something is raised. What follows is as for ``VideoWriter``."""
    with _whole_file(path) as file:
        video = VideoWriter(file, *args, **kwargs)
        try:
            yield video
        except BaseException:
            video.abandon()
            raise
        video.finish()


def add_sound(path: Path, sound: Sound) -> None:
    """Give the video at ``path`` a sound, cut to its length. The file has none or all of it."""
    with _whole_file(path) as file, av.open(str(path), format="mov") as old:
        source: Any = old.streams.video[0]
        new: Any = av.open(file, "w", format="mp4", options={"fflags": "+bitexact"})
        pictures = new.add_stream_from_template(source)
        sounds = _sound_stream(new, sound, SOUND_BITS)
        heard, wanted = 0, sound.part(0, float(source.frames / source.average_rate))

        def hear(end: float) -> None:
            nonlocal heard
            while heard < min(end, wanted.samples.shape[1]):
                for packet in sounds.encode(_audio_frame(wanted, heard, heard + _BLOCK)):
                    new.mux(packet)
                heard += _BLOCK

        for packet in old.demux(source):
            if packet.dts is None:  # the last one is empty
                continue
            until = float(packet.dts * packet.time_base) + 0.5
            packet.stream = pictures
            new.mux(packet)
            hear(until * sound.rate)
        hear(wanted.samples.shape[1])
        for packet in sounds.encode(None):
            new.mux(packet)
        new.close()
        codecs.put_in_order(file)
