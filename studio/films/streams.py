"""Films as packets: opened by a named demuxer and decoder, and decoded from key frame to key frame. Runs in
the film process; PyAV is imported here and nowhere else.

Nothing is sought by the file's own index: all packets of the first minute are read, whose times are the
frames' times, and each group that begins with a key frame is decoded by itself.
"""

from __future__ import annotations

import io
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from core.limits import MAX_FILM_SECONDS
from studio.films.kinds import Kind

MAX_SECONDS = float(MAX_FILM_SECONDS)
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


class Damaged(ValueError):
    """No frame comes out of it."""


@dataclass
class Stream:
    """The first video stream of a film, its packets read but not decoded.

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
            for frame in self._tried(packet):
                if frame.pts is not None:
                    yield (frame.pts - self.start) * self.time_base, frame

    def _tried(self, packet: Any) -> list[Any]:
        try:
            return self.context.decode(packet)
        except MemoryError:
            raise
        except Exception:  # of a damaged packet; libav's errors have no common kind but this
            return []


def opened(data: bytes, kind: Kind) -> Stream:
    """Return the film in ``data``. Raises ValueError, which says why it can't be read; Damaged where nothing
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
    seconds = min(MAX_SECONDS, times[-1] + _last_lasts(used, times, base))
    said = (container.duration or 0) / av.time_base
    whole = max(seconds, said) if math.isfinite(said) else seconds
    return Stream(context, base, start, times, groups, seconds, whole, _seen_size(stream), container)


def _checked(stream: Any) -> Any:
    """Return the decoder of a stream, not begun yet. Raises ValueError for one that isn't taken."""
    context = stream.codec_context
    if context is None or context.codec.name not in DECODERS:
        name = getattr(stream.codec, "canonical_name", "") if context is not None else ""
        raise ValueError(f"is encoded as {name or 'something unknown'}; {SPOKEN} are read.")
    check_size(context.width, context.height)
    return context


def check_size(width: int, height: int) -> None:
    """Raise ValueError, which says what is read, for frames that are too large or too small."""
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"is {width}×{height} px; films of up to {MAX_PIXELS / 1e6:.1f} megapixels (1920×1088) are read."
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


def _last_lasts(packets: list[Any], times: list[float], base: float) -> float:
    """Return the seconds that the last frame is seen: what its packet says, else what others are seen."""
    last = max(packets, key=lambda packet: packet.pts)
    if last.duration and 0 < last.duration * base <= MAX_SECONDS:
        return last.duration * base
    return times[-1] / (len(times) - 1) if len(times) > 1 else 0.0


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
