"""Videos from videos: a stranger's as a clip of ours, a part of one, one in fewer bytes, as GIF, several side
by side. Runs in the video process, whose videos these are.

A clip has the same frames at a constant rate, upright, with square pixels, and nothing else that was in the
stranger's file. To fit one into a limit it is encoded anew with more thrown away, and where that would look
bad, smaller or with fewer frames. What one number gives is not known before it was tried: each try is aimed
by those before, and one that gets too large is given up at once. x264's own way, two passes, keeps its notes
in a file, and this process can open none; aiming fills as much of the limit
(docs/evidence/videos.md has figures).
"""

import io
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any, BinaryIO

import av
import numpy as np
from PIL import Image

from studio.media import video_decode
from studio.media.video_decode import READ, kind_of
from vision.video import writer as colours
from vision.video.codecs import Encoder, encoder_of
from vision.video.reader import VideoReader
from vision.video.writer import Sound, VideoWriter

Made = tuple[dict[str, Any], bytes]  # what is told of what was made, and a PNG
LEAST_FPS, MOST_FPS = 8.0, 30.0
LATE = 0.4  # of a frame, by which times may be late: WebM's are in whole milliseconds
SLACK = 0.5  # seconds that a clip may be longer than is allowed
LEAST_SECONDS = 0.25  # seconds of a part
SIDES = (1080, 720, 480, 360, 240, 144)  # px of the shorter side
SLOW = 15.0  # frames a second, above which every other one can be left out
AIM, FILLED = 0.95, 0.87  # share of the limit that is aimed at, and from which on a try is good enough
ROUGH = 0.68  # share of an encoder's worst number, beyond which a smaller picture looks better
BETTER = 2.0  # halvings that a video may be better than its original, whose encoder was in a hurry
HOPELESS = 2.0  # halvings that a video would be too large by, so that a size isn't tried
TRIES = 9
CAREFUL = 150e6  # px of all frames, up to which there is time for a careful encoder
SMALLER = 0.8  # bytes go with the number of pixels to this power
SOUNDS = ((128_000, 0.15), (64_000, 0.25), (32_000, 0.4))  # bits a second, and the share of the limit
GIF_SIZES = (
    (480, Fraction(25, 2)),
    (400, Fraction(10)),
    (320, Fraction(10)),
    (256, Fraction(25, 3)),
    (192, Fraction(25, 4)),
    (128, Fraction(5)),
)  # px of the longer side and frames a second, tried in this order; GIF counts hundredths of a second
SAMPLES, SAMPLE_SIDE = 12, 160  # frames, and px of theirs, that the colours are chosen from
WIDTH, HEIGHT = 1280, 720  # px of it all, at most
COLUMNS = 2
LESS = 5.0  # how much more is thrown away than of a video that is kept


def make_video(command: str, sources: Sequence[BinaryIO], target: BinaryIO, **given: Any) -> Made:
    """Make something of videos. Return what is told of it, and a PNG; a header with "error" says in a few
    words why there is nothing."""
    try:
        made = MAKERS[command](*sources, target, **given)
        target.flush()
        return made
    except ValueError as error:
        told = {"error": str(error)}
    except MemoryError:
        told = {"error": "needs too much memory."}
    except Exception as error:  # libraries raise whatever they like
        told = {"error": "is damaged or incomplete.", "kind": type(error).__name__}
    return told, b""


def warm_up(moving: Sequence[BinaryIO], encoder: str) -> None:
    """Use once all that decoding needs: afterwards no file can be opened. moving: a GIF and a WebP."""
    os.environ["SVT_LOG"] = "0"
    for one in moving:
        make_video("take", [one], io.BytesIO(), encoder="auto", keep=1.0, seconds=60.0, pixels=4096)
    made = io.BytesIO()
    silence = Sound(np.zeros((2, 2048), np.float32), 24_000)
    video = VideoWriter(made, (32, 32), 8, encoder_of(encoder), sound=silence)
    video.write(np.zeros((2, 32, 32, 3), np.uint8))
    video.finish()
    make_video("gif", [made], io.BytesIO(), limit=10**6)
    make_video("cut", [made], io.BytesIO(), begin=0.0, end=0.25, encoder=encoder)


def take(
    source: BinaryIO, target: BinaryIO, *, encoder: str, keep: float, seconds: float, pixels: int
) -> Made:
    """Write a stranger's video into ``target``, and return what is told of it, and its first frame as PNG.

    keep: seconds of its begin that are used. seconds: that it may last. pixels: that a frame may have.
    Raises ValueError, which says why it isn't taken.
    """
    source.seek(0)
    data = source.read()
    kind = kind_of(data)
    if kind is None:
        raise ValueError(f"can't be read as a video. Supported: {READ}.")
    video = video_decode.video_of(data, kind)
    if video.whole > seconds + SLACK:
        raise ValueError(f"lasts {video.whole:.0f} s; the limit for clips is {seconds:.0f} s.")
    fps = rate(video.times)
    most = max(1, round(min(video.seconds, keep) * fps))
    shown = _at_even_times(video.frames(), fps, most)
    first = next(shown, None)
    if first is None:
        raise video_decode.Damaged("is damaged or incomplete: not one frame can be read.")
    angle = 0 if isinstance(first, Image.Image) else video_decode.turned(first)
    size = _size(video.size, angle, pixels)
    writer = VideoWriter(target, size, fps, encoder_of(encoder))
    upright = _upright(first, angle, size)
    poster = png(upright)
    writer.add(upright)
    for frame in shown:
        if (frame.width, frame.height) != (first.width, first.height):
            writer.abandon()
            raise ValueError("changes its frame size; all frames of a clip must have one size.")
        writer.add(_upright(frame, angle, size))
    writer.finish()
    return video_header(writer) | {"whole": round(video.whole, 3)}, poster


def video_header(writer: VideoWriter) -> dict[str, Any]:
    """Return what is told of a video that was written."""
    width, height = writer.size
    rate = list(writer.fps.as_integer_ratio())
    return {"width": width, "height": height, "fps": rate, "frames": writer.frames}


def png(frame: av.VideoFrame) -> bytes:
    """Return a frame as PNG in RGB."""
    return video_decode.encode_png(Image.fromarray(colours.rgb(frame)))


def rate(times: list[float]) -> Fraction:
    """Return the frames a second that stand best for frames at these times, in halves, at most 30. Twice as
    many or more are halved, so that those that are left lie evenly."""
    steps = [after - before for before, after in pairwise(times) if after > before]
    if not steps:
        return Fraction(LEAST_FPS)
    usual = median(steps)
    is_even = max(steps) < 1.5 * usual
    found = len(steps) / sum(steps) if is_even else 1 / usual
    while found > MOST_FPS + 0.25:
        found /= 2
    while found < LEAST_FPS - 0.25:
        found *= 2
    return Fraction(round(2 * found), 2)


def _at_even_times(seen: Iterator[tuple[float, Any]], fps: Fraction, most: int) -> Iterator[Any]:
    """Yield ``most`` frames at a constant rate: each is seen until the next one comes, the last one stays."""
    before, number = None, 0
    for seconds, frame in seen:
        if before is not None:
            while number < most and number + LATE < seconds * float(fps):
                yield before[1]
                number += 1
            if number == most:
                return
        before = seconds, frame.copy() if isinstance(frame, Image.Image) else frame
    if before is not None:
        for _ in range(most - number):
            yield before[1]


def _size(seen: tuple[int, int], angle: int, pixels: int) -> tuple[int, int]:
    """Return the size that a video gets: even sides, upright, within what is allowed."""
    width, height = seen[::-1] if angle % 180 else seen
    share = min(1.0, (pixels / (width * height)) ** 0.5)
    even = [int(side * share) // 2 * 2 for side in (width, height)]
    if min(even) < video_decode.MIN_SIDE:
        raise ValueError(
            f"is {width}×{height} px; each side must have at least {video_decode.MIN_SIDE}, and neither be"
            " much longer than the other."
        )
    return even[0], even[1]


def _upright(frame: Any, angle: int, size: tuple[int, int]) -> av.VideoFrame:
    """Return a frame as it is to be seen: turned, on white where it is see-through."""
    if isinstance(frame, Image.Image):
        pixels = np.asarray(frame.convert("RGBA"))
    elif "a" in frame.format.name.removeprefix("gray") or frame.format.has_palette:
        pixels = colours.rgb(frame, form="rgba")
    elif angle:
        pixels = colours.rgb(frame)
    else:
        return colours.video_frame(frame, size)
    if pixels.shape[2] == 4:
        clear = pixels[:, :, 3:].astype(np.uint16)
        pixels = ((pixels[:, :, :3] * clear + 255 * (255 - clear) + 127) // 255).astype(np.uint8)
    turned = np.ascontiguousarray(np.rot90(pixels, angle // 90))
    return colours.video_frame(av.VideoFrame.from_ndarray(turned, "rgb24"), size)


def cut_video(source: BinaryIO, target: BinaryIO, *, begin: float, end: float, encoder: str) -> Made:
    """Write the frames between two times, in seconds, and what is heard with them, into ``target``. Return
    what is told of it, and its first frame as PNG. Raises ValueError, which says what of a video can be
    cut."""
    with VideoReader(source) as video:
        first, stop = round(begin * video.fps), min(round(end * video.fps), video.frames)
        if not 0 <= begin < video.seconds or end - begin < LEAST_SECONDS or first >= stop:
            raise ValueError(
                f"lasts {video.seconds:g} s; a part of it begins there, and ends at least {LEAST_SECONDS} s"
                f" after its begin, so not {begin:g} to {end:g}."
            )
        sound = video.sound()
        if sound is not None:
            sound = sound.part(float(first / video.fps), float(stop / video.fps))
        size = video.width, video.height
        writer = VideoWriter(target, size, video.fps, encoder_of(encoder), sound=sound)
        poster = b""
        for frame in video.decoded(first, stop):
            poster = poster or png(frame)
            writer.add(frame)
        writer.finish()
    return video_header(writer) | {"sound": sound is not None}, poster


def last_frame(source: BinaryIO, target: BinaryIO) -> Made:
    """Return a video's last frame as PNG. Raises ValueError for a damaged one."""
    with VideoReader(source) as video:
        last = deque(video.decoded(video.frames - 1), maxlen=1)
        if not last:
            raise ValueError("is damaged: its last frame can't be read.")
        return {"width": video.width, "height": video.height}, png(last[0])


@dataclass(frozen=True)
class Shape:
    """A size in px, and of how many frames one is kept."""

    width: int
    height: int
    every: int = 1

    @property
    def weight(self) -> float:
        """How many pixels there are, with frames that are alike counting less than those that differ."""
        return self.width * self.height / self.every**0.5


@dataclass(frozen=True)
class Try:
    """What came of a number: bytes, as far as that is known of one that was given up; fits: told of it."""

    number: float
    size: float
    fits: dict[str, Any] | None


def fit_video(source: BinaryIO, target: BinaryIO, *, limit: int, encoder: str) -> Made:
    """Write a video in at most ``limit`` bytes into ``target``, and return what is told of it. Raises
    ValueError when it doesn't fit, however it is made."""
    original = source.seek(0, 2)
    with VideoReader(source) as video:
        return Fitting(video, target, limit, encoder_of(encoder)).made(original), b""


class Fitting:
    """One video that is to fit into ``limit`` bytes of ``target``."""

    def __init__(self, video: VideoReader, target: BinaryIO, limit: int, encoder: Encoder) -> None:
        self._video, self._target, self._limit, self._encoder = video, target, limit, encoder
        self._sound, self._sound_bits = None, 0
        for bits, share in SOUNDS:  # as many a second as there is room for
            if video.seconds * bits / 8 <= share * limit:
                self._sound = video.sound()
                self._sound_bits = bits if self._sound is not None else 0
                break
        self._aim = AIM * limit - video.seconds * self._sound_bits / 8
        self._tries = 0

    def made(self, original: int) -> dict[str, Any]:
        """Write the video, whose original has ``original`` bytes, and return what is told of it. Raises
        ValueError when it doesn't fit, however it is made."""
        shapes = self._shapes()
        halvings, last = math.log2(max(original / self._aim, 0.1)), shapes[0].weight
        for shape in shapes:
            halvings += SMALLER * math.log2(shape.weight / last)
            last = shape.weight
            is_last = shape is shapes[-1]
            rough = self._encoder.worst * (1.0 if is_last else ROUGH)
            number = self._encoder.master + self._encoder.halving * halvings
            if number > rough + HOPELESS * self._encoder.halving and not is_last:
                continue
            known = [Try(self._encoder.master, float(original), None)] if shape is shapes[0] else []
            best, nearest = self._best(shape, number, rough, known)
            if best is not None and best.fits is not None:
                lost = self._video.has_sound and self._sound is None
                return best.fits | {"tries": self._tries, "sound": self._sound is not None, "lost": lost}
            halvings = (nearest.number - self._encoder.master) / self._encoder.halving
            halvings += math.log2(nearest.size / self._aim)
        raise ValueError(f"doesn't fit into {self._limit:,} bytes, however it is made.")

    def _shapes(self) -> list[Shape]:
        """Return the forms that a video can get, the best first."""
        video = self._video
        shorter = min(video.width, video.height)
        sides = [(video.width, video.height)]
        for side in SIDES:
            if side < shorter:
                width, height = (round(one * side / shorter / 2) * 2 for one in (video.width, video.height))
                sides.append((width, height))
        shapes = [Shape(*size) for size in sides]
        if video.fps > SLOW and video.frames > 1:
            slow = [Shape(*size, every=2) for size in sides if min(size) <= SIDES[2]]
            large = [one for one in shapes[1:] if min(one.width, one.height) >= SIDES[3]]
            shapes = [shapes[0], *large, *slow]
        return shapes

    def _best(self, shape: Shape, number: float, rough: float, known: list[Try]) -> tuple[Try | None, Try]:
        """Return the fullest of some tries that fits, which is what is written, and the last one. known: what
        is as good as tried."""
        tries = list(known)
        least = self._encoder.master - BETTER * self._encoder.halving
        following: float | None = min(max(number, least), rough)
        while following is not None and len(tries) < TRIES:
            tries.append(self.tried(shape, following))
            if tries[-1].fits is not None and tries[-1].size >= FILLED * self._limit:
                return tries[-1], tries[-1]
            following = aimed(tries, self._aim, self._encoder, least, rough)
        fitting = [one for one in tries if one.fits is not None]
        if not fitting:
            return None, tries[-1]
        best = max(fitting, key=lambda one: one.size)
        return (best if best is tries[-1] else self.tried(shape, best.number)), tries[-1]

    def tried(self, shape: Shape, number: float) -> Try:
        """Write the video with a number."""
        self._tries += 1
        self._target.truncate(0)
        self._target.seek(0)
        video, count = self._video, -(-self._video.frames // shape.every)
        careful = shape.width * shape.height * count <= CAREFUL
        size, fps = (shape.width, shape.height), video.fps / shape.every
        sound: dict[str, Any] = {"sound": self._sound, "sound_bits": self._sound_bits}
        writer = VideoWriter(self._target, size, fps, self._encoder, number=number, careful=careful, **sound)
        for place, frame in enumerate(video.decoded()):
            if place % shape.every == 0:
                writer.add(frame)
                if self._target.tell() > self._limit:
                    whole = self._target.tell() * max(1.0, count / max(1, writer.written))
                    writer.abandon()
                    return Try(number, whole, None)
        writer.finish()
        written = self._target.seek(0, 2)
        return Try(number, written, video_header(writer) if written <= self._limit else None)


def aimed(tries: list[Try], aim: float, encoder: Encoder, least: float, most: float) -> float | None:
    """Return the number to try next, so that there are ``aim`` bytes; None when there is no better one.

    Between one that is too large and one that fits, sizes are taken to lie on a straight line, by halvings;
    when two tries come out on the same side, the middle is tried (noise vanishes all at once).
    """
    low = max((one for one in tries if one.fits is None), key=lambda one: one.number, default=None)
    high = min((one for one in tries if one.fits is not None), key=lambda one: one.number, default=None)
    step = 1.0 if encoder.is_whole else 0.1
    if low is not None and high is not None:
        width = high.number - low.number
        if width < 2 * step:
            return None
        is_same_side = len(tries) > 2 and (tries[-1].fits is None) == (tries[-2].fits is None)
        share = 0.5
        if not is_same_side and low.size > aim > high.size:
            share = math.log2(low.size / aim) / math.log2(low.size / high.size)
        number = low.number + width * min(max(share, 0.1), 0.9)
    else:
        last = tries[-1]
        away = math.log2(last.size / aim) * encoder.halving
        number = last.number + (max(away, step) if last.fits is None else min(away, -step))
    number = min(max(number, least), most)
    number = float(round(number)) if encoder.is_whole else number
    return None if any(abs(number - one.number) < step / 2 for one in tries) else number


def gif(source: BinaryIO, target: BinaryIO, *, limit: int) -> Made:
    """Write a video as GIF of at most ``limit`` bytes into ``target``, and return what is told of it. Raises
    ValueError when it doesn't fit."""
    with VideoReader(source) as video:
        # The 255 colours that stand best for frames from all over the video
        longer, step = max(video.width, video.height), max(1, video.frames // SAMPLES)
        share = min(1.0, SAMPLE_SIDE / longer)
        size = max(2, round(video.width * share)), max(2, round(video.height * share))
        shown = [colours.rgb(one, size) for number, one in enumerate(video.decoded()) if number % step == 0]
        palette = Image.fromarray(np.concatenate(shown)).quantize(255, Image.Quantize.MEDIANCUT)
        tried: set[tuple[tuple[int, int], Fraction]] = set()
        for side, most in GIF_SIZES:
            share = min(1.0, side / longer)
            size = max(2, round(video.width * share)), max(2, round(video.height * share))
            fps = min(most, video.fps)
            if (size, fps) in tried:
                continue
            tried.add((size, fps))
            target.truncate(0)
            target.seek(0)
            count = _write_gif(video, target, palette, size, fps, limit)
            if count:
                rate = list(fps.as_integer_ratio())
                return {"width": size[0], "height": size[1], "fps": rate, "frames": count}, b""
    raise ValueError(f"doesn't fit into {limit:,} bytes as a GIF.")


def _write_gif(
    video: VideoReader,
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
        for number, one in enumerate(video.decoded()):
            if number / video.fps * fps < count:
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


def mosaic(*files: BinaryIO, encoder: str) -> Made:
    """Write two to four videos of one shape side by side, two in a row, into the last of ``files``. Return
    what is told of it, and its first frame as PNG. A shorter video stands still at its end. Raises ValueError
    for videos of another number or shape."""
    *sources, target = files
    if not 2 <= len(sources) <= 4:
        raise ValueError(f"are {len(sources)}; two to four videos stand side by side.")
    videos = [VideoReader(source) for source in sources]
    first = videos[0]
    if any((one.width, one.height, one.fps) != (first.width, first.height, first.fps) for one in videos):
        raise ValueError("differ in size or frames a second, so they can't stand side by side.")
    rows = -(-len(videos) // COLUMNS)
    share = min(1.0, WIDTH / (COLUMNS * first.width), HEIGHT / (rows * first.height))
    across, down = (max(2, int(side * share) // 2 * 2) for side in (first.width, first.height))
    coder = encoder_of(encoder)
    size = across * COLUMNS, down * rows
    writer = VideoWriter(target, size, first.fps, coder, number=coder.master + LESS)
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    running = [video.decoded() for video in videos]
    poster = b""
    for _ in range(max(video.frames for video in videos)):
        for place, decoded in enumerate(running):
            frame = next(decoded, None)
            if frame is not None:
                left, top = place % COLUMNS * across, place // COLUMNS * down
                whole[top : top + down, left : left + across] = colours.rgb(frame, (across, down))
        shown = av.VideoFrame.from_ndarray(whole, "rgb24")
        poster = poster or png(shown)
        writer.add(shown)
    writer.finish()
    return video_header(writer), poster


MAKERS: dict[str, Callable[..., Made]] = {
    "take": take,
    "fit": fit_video,
    "cut": cut_video,
    "last": last_frame,
    "gif": gif,
    "mosaic": mosaic,
}
