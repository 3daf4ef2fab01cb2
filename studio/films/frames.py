"""Frames of a film as small pictures: those that were chosen evenly and at cuts, each with the time at which
it is seen, within the processor time there is. Runs in the film process.

Where all frames can be decoded in time, they are, and cuts are found between any two. Else each wanted time
is looked for from the key frame before it, for as long as its share of the time lasts, and cuts are found
among key frames. A frame always has its own time, never the one that was wanted.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappush, heappushpop
from typing import Any, Protocol

from studio.films import choosing, streams
from studio.films.kinds import Kind, webp_durations

ALL = 3.2  # processor seconds in which all frames can be decoded, or they aren't
TOLD = 0.8  # processor seconds, in which that has to be told,
PROBED = 48  # … and frames from which on it can be
END = 4.4  # processor seconds of the process after which no further frame is decoded
CLOSE = 1e-6  # seconds between two ways of counting the same time
SIDE = 64  # px of the small grey pictures that are compared
MAX_FRAMES = 2000  # of an animated WebP
RUN_LENGTHS = 3  # zlib.Z_RLE, see studio.pictures.image_process


@dataclass(frozen=True)
class Frames:
    """What a film looks like. pictures: (seconds, PNG), ascending. seconds: that were looked at, of
    ``whole``."""

    pictures: list[tuple[float, bytes]]
    seconds: float
    whole: float


class Film(Protocol):
    """A film whose frames' times are known before any is decoded."""

    times: list[float]
    seconds: float
    whole: float
    size: tuple[int, int]

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Decode all frames in the order in which they are seen: (seconds, frame)."""
        ...


class Animation:
    """An animated WebP, which Pillow reads frame by frame."""

    def __init__(self, data: bytes) -> None:
        from PIL import Image

        try:
            self._picture = Image.open(io.BytesIO(data), formats=("WEBP",))
            count = getattr(self._picture, "n_frames", 1)
        except MemoryError:
            raise
        except Exception as error:
            raise streams.Damaged("is damaged or incomplete.") from error
        self.size = self._picture.size
        streams.check_size(*self.size)
        lasting = list(webp_durations(data))[: min(count, MAX_FRAMES)] or [0.0]
        self.times, at = [], 0.0
        for seconds in lasting:
            if at <= streams.MAX_SECONDS:
                self.times.append(at)
            at += seconds
        self.whole, self.seconds = at, min(at, streams.MAX_SECONDS)

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Decode all frames in the order in which they are seen: (seconds, frame)."""
        for number, seconds in enumerate(self.times):
            try:
                self._picture.seek(number)
                self._picture.load()
            except MemoryError:
                raise
            except Exception:  # parsers raise whatever they like
                return
            yield seconds, self._picture


def looked_at(data: bytes, kind: Kind, most: int, max_pixels: int) -> Frames:
    """Return at most ``most`` frames of a film, each of at most ``max_pixels``.

    Raises ValueError, which says why it can't be read.
    """
    film: Film = Animation(data) if kind == "webp" else streams.opened(data, kind)
    size = _fitted(film.size, max_pixels)
    wanted = choosing.wanted(film.times, film.seconds, most)
    apart = choosing.APART * film.seconds / len(wanted)
    found = _all(film, wanted, apart, most, size)
    if found is None and isinstance(film, streams.Stream):
        found = _some(film, wanted, apart, most, size)
    if not found:
        raise streams.Damaged("is damaged or incomplete: not one frame can be read.")
    return Frames([(seconds, _png(one)) for seconds, one in sorted(found.items())], film.seconds, film.whole)


def _all(
    film: Film, wanted: Sequence[float], apart: float, most: int, size: tuple[int, int]
) -> dict[float, Any] | None:
    """Return frames by their times, of all of which are decoded; None where that would take too long."""
    begun, kept, changes = time.process_time(), dict[float, Any](), list[tuple[float, float]]()
    greatest: list[tuple[float, float, Any]] = []  # (change, seconds, picture): a heap
    before, left = None, list(wanted)
    for number, (seconds, frame) in enumerate(film.frames()):
        now = time.process_time()
        if number >= PROBED and now - begun < TOLD and isinstance(film, streams.Stream):
            if (now - begun) / number * len(film.times) > ALL:
                return None
        if now > END:
            break
        small = _grey(frame)
        change = 0.0 if before is None else _change(before, small)
        before = small
        is_wanted = bool(left) and seconds >= left[0] - CLOSE
        is_great = change > (choosing.LEAST_CUT if len(greatest) < 2 * most else greatest[0][0])
        if is_great or is_wanted:
            picture = _picture(frame, size)
        if is_great:
            entry = (change, seconds, picture)
            heappush(greatest, entry) if len(greatest) < 2 * most else heappushpop(greatest, entry)
        if is_wanted:
            kept[seconds] = picture
            left = [at for at in left if at > seconds + CLOSE]
        changes.append((seconds, change))
    pictures = {seconds: picture for _, seconds, picture in greatest}
    cut_at = [at for at in choosing.cuts(changes, apart, most) if at in pictures]
    return _kept(kept, pictures, cut_at, most)


def _some(
    film: streams.Stream, wanted: Sequence[float], apart: float, most: int, size: tuple[int, int]
) -> dict[float, Any]:
    """Return frames by their times, of those that can be decoded from key frames in the time there is."""
    keys, changes, before = dict[float, Any](), list[tuple[float, float]](), None
    allowed = time.process_time() + (END - time.process_time()) / 3
    for number in range(len(film.groups)):
        if time.process_time() > allowed:
            break
        for seconds, frame in film.group(number):
            small = _grey(frame)
            changes.append((seconds, 0.0 if before is None else _change(before, small)))
            keys[seconds], before = _picture(frame, size), small
            break
    kept, group = dict[float, Any](), -1
    running: Iterator[tuple[float, Any]] = iter(())
    for place, at in enumerate(wanted):
        share = (END - time.process_time()) / (len(wanted) - place)
        if share <= 0:
            break
        if film.group_of(at) != group:
            group = film.group_of(at)
            running = film.group(group)
        last = _until(running, at, time.process_time() + share)
        if last is not None:
            kept[last[0]] = _picture(last[1], size)
    return _kept(kept, keys, choosing.cuts(changes, apart, most, choosing.CUT_BETWEEN_KEYS), most)


def _until(running: Iterator[tuple[float, Any]], at: float, end: float) -> tuple[float, Any] | None:
    """Return the first frame that is seen at ``at`` or later, or the one that was reached at ``end``."""
    last = None
    for last in running:
        if last[0] >= at - CLOSE or time.process_time() > end:
            break
    return last


def _kept(
    evenly: dict[float, Any], others: dict[float, Any], cut_at: Sequence[float], most: int
) -> dict[float, Any]:
    times = choosing.chosen(list(evenly), cut_at, most)
    return {at: evenly[at] if at in evenly else others[at] for at in times}


def _grey(frame: Any) -> Any:
    """Return a small grey picture of a frame."""
    from PIL import Image

    if isinstance(frame, Image.Image):
        return frame.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    small = frame.reformat(SIDE, SIDE, "gray", interpolation="FAST_BILINEAR")
    return small.to_image()


def _change(one: Any, other: Any) -> float:
    """Return the mean change of a pixel, 0-255."""
    from PIL import ImageChops, ImageStat

    return ImageStat.Stat(ImageChops.difference(one, other)).mean[0]


def _picture(frame: Any, size: tuple[int, int]) -> Any:
    """Return a frame in RGB, on white where it is see-through, upright, of at most ``size``."""
    from PIL import Image

    if not isinstance(frame, Image.Image):
        angle, clear = streams.turned(frame), "a" in frame.format.name.removeprefix("gray")
        fitted = frame.reformat(*size, "rgba" if clear else "rgb24", interpolation="AREA")
        plane, mode = fitted.planes[0], "RGBA" if clear else "RGB"
        shown = Image.frombytes(mode, size, bytes(plane), "raw", mode, plane.line_size)
        shown = shown.rotate(angle, expand=True) if angle else shown
    else:
        shown = frame.convert("RGBA" if frame.has_transparency_data else "RGB").resize(size)
    if shown.mode == "RGB":
        return shown
    white = Image.new("RGB", shown.size, "white")
    white.paste(shown, mask=shown.getchannel("A"))
    return white


def _fitted(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    width, height = size
    share = min(1.0, (max_pixels / (width * height)) ** 0.5)
    return max(1, round(width * share)), max(1, round(height * share))


def _png(picture: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1, compress_type=RUN_LENGTHS)
    return out.getvalue()
