"""What kind of video a file is, by its first bytes, and its frames as small pictures: some evenly, and the
first after each cut, each with its own time. Decoding runs in the video process; only there is PyAV imported.

Where all frames can be decoded in the processor time there is, they are, and cuts are found between any two.
Else each wanted time is looked for from the key frame before it, for as long as its share of the time lasts,
and cuts are found among key frames. Nothing is sought by the file's own index."""

import io
import math
import struct
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from itertools import chain
from pathlib import PurePath
from statistics import median
from typing import Any, Literal, Protocol

from core.limits import MAX_VIDEO_SECONDS
from core.png import PNG_SIGNATURE

Kind = Literal["mp4", "webm", "gif", "apng", "webp"]
READ = "MP4, WebM and GIF"  # and animated PNG and WebP, which few know they have
NAMES = frozenset((".mp4", ".m4v", ".mov", ".webm", ".mkv", ".gif", ".apng"))
OTHERS = frozenset((".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".ts", ".3gp", ".ogv", ".m2ts", ".vob", ".asf"))
MAX_SECONDS = float(MAX_VIDEO_SECONDS)
MAX_PIXELS = 1920 * 1088
MAX_PACKETS = 20_000
MIN_SIDE = 16  # px
SLACK = 5.0  # seconds that packets may come out of order
DEMUXERS: dict[Kind, str] = {
    "mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "webm": "matroska,webm",
    "gif": "gif",
    "apng": "apng",
}
DECODERS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "gif", "apng")  # libav's names, libdav1d for AV1
SPOKEN = "H.264, HEVC, VP8, VP9 and AV1"
# What probing may do: no other decoder, no other protocol, few streams, none too large
OPTIONS = {
    "codec_whitelist": ",".join(DECODERS),
    "format_whitelist": ",".join(DEMUXERS.values()),
    "protocol_whitelist": "",
    "max_streams": "16",
    "max_pixels": str(MAX_PIXELS),
    "threads": "1",
}


def kind_of(data: bytes) -> Kind | None:
    """Return the kind of a video; None for everything else, a still picture among it."""
    head = data[:64]  # where the first box or chunk begins
    if head[4:8] == b"ftyp":
        return "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if head[:4] == b"GIF8":
        return "gif"
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21]:
        animation = 0x02  # https://developers.google.com/speed/webp/docs/riff_container
        return "webp" if head[20] & animation else None
    at = len(PNG_SIGNATURE)
    while head.startswith(PNG_SIGNATURE) and at + 8 <= len(data):  # animated ones say so before their pixels
        length, name = struct.unpack_from(">I4s", data, at)
        if name in (b"acTL", b"IDAT"):
            return "apng" if name == b"acTL" else None
        at += 12 + length
    return None


def webp_durations(data: bytes) -> Iterator[float]:
    """Yield the seconds of each frame of an animated WebP, as its chunks say."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"ANMF":
            yield int.from_bytes(data[at + 20 : at + 23], "little") / 1000
        at += 8 + length + length % 2


def may_be_video(name: str, media_type: str = "") -> bool:
    """Return whether a file is likely to be a video, by its name or what the sender's program calls it."""
    end = PurePath(name).suffix.lower()
    return end in NAMES | OTHERS or media_type.startswith("video/") or media_type == "image/gif"


class Damaged(ValueError):
    """No frame comes out of it."""


@dataclass
class Stream:
    """The first video stream of a video, its packets read but not decoded.

    times: of its frames, ascending, seconds from the first. groups: (time, packets), each beginning with a
    key frame. seconds: that are used, of ``whole`` as the file says. size: as it is to be seen, px.
    """

    context: Any = field(repr=False)
    time_base: float
    start: int
    times: list[float]
    groups: list[tuple[float, list[Any]]] = field(repr=False)
    seconds: float
    whole: float
    size: tuple[int, int]
    container: Any = field(repr=False)

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Decode all, in the order in which they are seen: (seconds, frame)."""
        yield from self._decoded(packet for _, group in self.groups for packet in group)

    def group_of(self, seconds: float) -> int:
        """Return the number of the group that a time lies in."""
        return max(0, bisect_right([begins for begins, _ in self.groups], seconds) - 1)

    def group(self, number: int) -> Iterator[tuple[float, Any]]:
        """Decode one group, without what is seen before its key frame: (seconds, frame)."""
        begins, packets = self.groups[number]
        return ((seconds, frame) for seconds, frame in self._decoded(packets) if seconds >= begins)

    def _decoded(self, packets: Iterable[Any]) -> Iterator[tuple[float, Any]]:
        """Decode packets from a key frame on, and leave out what is damaged."""
        self.context.flush_buffers()
        for packet in chain(packets, [None]):  # None: what the decoder still holds
            try:
                frames = self.context.decode(packet)
            except MemoryError:
                raise
            except Exception:  # of a damaged packet; libav's errors have no common kind but this
                continue
            for frame in frames:
                if frame.pts is not None:
                    yield (frame.pts - self.start) * self.time_base, frame


def key_frame(data: bytes, codec: str, most: int) -> Any:
    """Return a key frame of a raw stream, "h264" or "hevc", of at most ``most`` px, as a picture in RGB.
    Raises Damaged."""
    import av

    try:
        context: Any = av.CodecContext.create(codec, "r")
        context.options, context.thread_count = {"max_pixels": str(most)}, 1
        for packet in [*context.parse(data), *context.parse(), None]:  # None: what the decoder still holds
            for frame in context.decode(packet):
                return frame.to_image()
    except MemoryError:
        raise
    except Exception as error:  # libraries raise whatever they like
        raise Damaged("is damaged or incomplete.") from error
    raise Damaged("is damaged or incomplete.")


def opened(data: bytes, kind: Kind) -> Stream:
    """Return the video in ``data``. Raises ValueError, which says why it can't be read; Damaged where nothing
    in it can."""
    import av

    try:
        container: Any = av.open(io.BytesIO(data), format=DEMUXERS[kind].split(",")[0], options=dict(OPTIONS))
        streams = container.streams.video
    except MemoryError:
        raise
    except Exception as error:  # parsers raise whatever they like
        raise Damaged("is damaged or incomplete.") from error
    if not streams:
        raise ValueError("has no moving picture in it.")
    stream = streams[0]
    context = _checked(stream)
    context.thread_count, context.thread_type = 1, "NONE"
    context.options = {"max_pixels": str(MAX_PIXELS)}
    packets = _packets(container, stream)
    base = float(stream.time_base or 0)
    if not packets or not base:
        raise Damaged("is damaged or incomplete: not one frame can be read.")
    start = min(packet.pts for packet in packets)
    groups = _groups(packets, start, base)
    used = [packet for _, group in groups for packet in group]
    times = sorted({(packet.pts - start) * base for packet in used})
    last = max(used, key=lambda packet: packet.pts)  # is seen as its packet says, else as long as others are
    lasts = times[-1] / (len(times) - 1) if len(times) > 1 else 0.0
    if last.duration and 0 < last.duration * base <= MAX_SECONDS:
        lasts = last.duration * base
    seconds = min(MAX_SECONDS, times[-1] + lasts)
    said = (container.duration or 0) / av.time_base
    whole = max(seconds, said) if math.isfinite(said) else seconds
    return Stream(context, base, start, times, groups, seconds, whole, _seen_size(stream), container)


def _checked(stream: Any) -> Any:
    """Return the decoder of a stream, not begun yet. Raises ValueError for one that isn't taken."""
    context = stream.codec_context
    if context is None or context.codec.name not in DECODERS:
        name = getattr(stream.codec, "canonical_name", "") if context is not None else ""
        raise ValueError(f"is encoded as {name or 'something unknown'}. Supported: {SPOKEN}.")
    check_size(context.width, context.height)
    return context


def check_size(width: int, height: int) -> None:
    """Raise ValueError, which says what is read, for frames that are too large or too small."""
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"is {width}×{height} px; the limit is {MAX_PIXELS / 1e6:.1f} megapixels (1920×1088)."
        )
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"is {width}×{height} px; each side must have at least {MIN_SIDE}.")


def _packets(container: Any, stream: Any) -> list[Any]:
    """Return the packets of the first minute that have a time; a damaged file ends where it can't be read."""
    found: list[Any] = []
    base, first = float(stream.time_base or 0), None
    try:
        for packet in container.demux(stream):
            if not packet.size or packet.pts is None:
                continue
            at = packet.dts if packet.dts is not None else packet.pts
            first = at if first is None else first
            if (at - first) * base > MAX_SECONDS + SLACK or len(found) == MAX_PACKETS:
                break
            found.append(packet)
    except MemoryError:
        raise
    except Exception:  # libav's errors have no common kind but this
        pass
    return found


def _groups(packets: list[Any], start: int, base: float) -> list[tuple[float, list[Any]]]:
    """Return the packets of the used seconds by key frame; those before the first have nothing to begin
    with, except in formats that mark none."""
    groups: list[tuple[float, list[Any]]] = []
    for packet in packets:
        at = (packet.pts - start) * base
        if at > MAX_SECONDS:
            continue
        if packet.is_keyframe or not groups:
            groups.append((at, []))
        groups[-1][1].append(packet)
    groups.sort(key=lambda group: group[0])
    return groups


def _seen_size(stream: Any) -> tuple[int, int]:
    """Return the size of a frame with square pixels, not turned yet."""
    context, shape = stream.codec_context, stream.sample_aspect_ratio
    wider = float(shape) if shape else 1.0
    if not 0.1 <= wider <= 10:
        wider = 1.0
    return max(1, round(context.width * wider)), context.height


def turned(frame: Any) -> int:
    """Return by how many degrees, counterclockwise and in quarters, a frame is to be turned."""
    try:
        return round((frame.rotation or 0) / 90) * 90 % 360
    except (ValueError, OverflowError):
        return 0


FEWEST = 4
FEW = 8  # frames of a video of which every one is looked at
CUT = 3.0  # times the usual change between two frames
CUT_BETWEEN_KEYS = 1.5  # … between two key frames, which are seconds apart and never alike
LEAST_CUT = 12.0  # mean change of a pixel, 0-255, below which nothing counts as a cut
APART = 0.4  # of the seconds between two even frames: cuts nearer to each other count as one


def even(seconds: float, most: int) -> list[float]:
    """Return the middles of equal parts of a video, as many as it has seconds, but at least four and at most
    ``most``."""
    count = min(most, max(FEWEST, math.ceil(seconds)))
    return [seconds * (i + 0.5) / count for i in range(count)]


def evenly_seen(times: Sequence[float], seconds: float, most: int) -> list[float]:
    """Return the times of the frames that are seen at even times; of a video of a few frames, all.

    times: of all frames, ascending, at least one.
    """
    if len(times) <= min(FEW, most):
        return list(times)
    seen = (times[max(0, bisect_right(times, at) - 1)] for at in even(seconds, most))
    return list(dict.fromkeys(seen))


def cuts(
    changes: Sequence[tuple[float, float]], apart: float, most: int, times_usual: float = CUT
) -> list[float]:
    """Return when the video is cut, at most ``most`` times, the greatest changes first.

    changes: (seconds, mean change of a pixel to the frame before) of each frame. apart: seconds between two.
    times_usual: from how many times the usual change on one is a cut.
    """
    if not changes:
        return []
    least = max(LEAST_CUT, times_usual * median(change for _, change in changes))
    found: list[float] = []
    for seconds, change in sorted(changes, key=lambda one: (-one[1], one[0])):
        if change <= least or len(found) == most:
            break
        if all(abs(seconds - other) >= apart for other in found):
            found.append(seconds)
    return found


def chosen_times(evenly: Sequence[float], cut_at: Sequence[float], most: int) -> list[float]:
    """Return the times of at most ``most`` frames, ascending: cuts take the place of even frames where there
    are too many, but of no more than half of them.

    evenly: times of frames, ascending. cut_at: of the first frames after cuts, the greatest first.
    """
    after_cuts = set(cut_at[: max(most // 2, most - len(evenly))])
    kept = sorted({*evenly, *after_cuts})
    while len(kept) > most:  # the even frame that has the nearest other
        others = [seconds for seconds in kept if seconds not in after_cuts]
        kept.remove(min(others, key=lambda one: min(abs(one - t) for t in kept if t != one)))
    return kept


ALL = 3.2  # processor seconds in which all frames can be decoded, or they aren't
TOLD = 0.8  # processor seconds, in which that has to be told,
PROBED = 48  # … and frames from which on it can be
END = 4.4  # processor seconds of the process after which no further frame is decoded
CLOSE = 1e-6  # seconds between two ways of counting the same time
SIDE = 64  # px of the small grey pictures that are compared
MAX_FRAMES = 2000  # of an animated WebP
RUN_LENGTHS = 3  # zlib.Z_RLE, see studio.media.media_process


@dataclass(frozen=True)
class Frames:
    """What a video looks like. pictures: (seconds, PNG), ascending. seconds: that were looked at, of
    ``whole``."""

    pictures: list[tuple[float, bytes]]
    seconds: float
    whole: float


class Video(Protocol):
    """A video whose frames' times are known before any is decoded."""

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
            raise Damaged("is damaged or incomplete.") from error
        self.size = self._picture.size
        check_size(*self.size)
        lasting = list(webp_durations(data))[: min(count, MAX_FRAMES)] or [0.0]
        self.times, at = [], 0.0
        for seconds in lasting:
            if at <= MAX_SECONDS:
                self.times.append(at)
            at += seconds
        self.whole, self.seconds = at, min(at, MAX_SECONDS)

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


def video_of(data: bytes, kind: Kind) -> Video:
    """Return the video in ``data``. Raises ValueError as ``opened``."""
    return Animation(data) if kind == "webp" else opened(data, kind)


def looked_at(data: bytes, kind: Kind, most: int, max_pixels: int) -> Frames:
    """Return at most ``most`` frames of a video, each of at most ``max_pixels``. Raises ValueError, which
    says why it can't be read; Damaged where not one frame can."""
    video = video_of(data, kind)
    share = min(1.0, (max_pixels / (video.size[0] * video.size[1])) ** 0.5)
    size = max(1, round(video.size[0] * share)), max(1, round(video.size[1] * share))
    wanted = evenly_seen(video.times, video.seconds, most)
    apart = APART * video.seconds / len(wanted)
    found = _all(video, wanted, apart, most, size)
    if found is None and isinstance(video, Stream):
        found = _some(video, wanted, apart, most, size)
    if not found:
        raise Damaged("is damaged or incomplete: not one frame can be read.")
    pictures = [(at, encode_png(picture)) for at, picture in sorted(found.items())]
    return Frames(pictures, video.seconds, video.whole)


def encode_png(picture: Any) -> bytes:
    """Return a frame as a PNG file."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1, compress_type=RUN_LENGTHS)
    return out.getvalue()


def _all(
    video: Video, wanted: Sequence[float], apart: float, most: int, size: tuple[int, int]
) -> dict[float, Any] | None:
    """Return frames by their times, of all of which are decoded; None where that would take too long."""
    begun, kept, changes = time.process_time(), dict[float, Any](), list[tuple[float, float]]()
    greatest: list[tuple[float, float, Any]] = []  # (change, seconds, picture): a heap
    before, left = None, list(wanted)
    for number, (seconds, frame) in enumerate(video.frames()):
        now = time.process_time()
        if number >= PROBED and now - begun < TOLD and isinstance(video, Stream):
            if (now - begun) / number * len(video.times) > ALL:
                return None
        if now > END:
            break
        small = _grey(frame)
        change = 0.0 if before is None else _change(before, small)
        before = small
        is_wanted = bool(left) and seconds >= left[0] - CLOSE
        is_great = change > (LEAST_CUT if len(greatest) < 2 * most else greatest[0][0])
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
    cut_at = [at for at in cuts(changes, apart, most) if at in pictures]
    return _kept(kept, pictures, cut_at, most)


def _some(
    video: Stream, wanted: Sequence[float], apart: float, most: int, size: tuple[int, int]
) -> dict[float, Any]:
    """Return frames by their times, of those that can be decoded from key frames in the time there is."""
    keys, changes, before = dict[float, Any](), list[tuple[float, float]](), None
    allowed = time.process_time() + (END - time.process_time()) / 3
    for number in range(len(video.groups)):
        if time.process_time() > allowed:
            break
        for seconds, frame in video.group(number):
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
        if video.group_of(at) != group:
            group = video.group_of(at)
            running = video.group(group)
        last = _until(running, at, time.process_time() + share)
        if last is not None:
            kept[last[0]] = _picture(last[1], size)
    return _kept(kept, keys, cuts(changes, apart, most, CUT_BETWEEN_KEYS), most)


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
    times = chosen_times(list(evenly), cut_at, most)
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
        angle, clear = turned(frame), "a" in frame.format.name.removeprefix("gray")
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
