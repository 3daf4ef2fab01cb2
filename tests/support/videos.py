"""Videos that tests make themselves, in every kind that is read."""

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction

import av
from PIL import Image, ImageDraw

from vision.video import codecs

RED, BLUE, GREEN, WHITE = (220, 30, 30), (30, 60, 220), (30, 160, 60), (250, 250, 250)
# name → (encoder, container, options)
ENCODED: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "mp4", {"preset": "veryfast"}),
    "hevc": ("libx265", "mp4", {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}),
    "vp8": ("libvpx", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    "vp9": ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    "av1": ("libaom-av1", "mp4", {"cpu-used": "8"}),
    "gif": ("gif", "gif", {}),
    "h264 in mkv": ("libx264", "matroska", {"preset": "veryfast"}),
    "h264 in mov": ("libx264", "mov", {"preset": "veryfast"}),
}


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, colour)


def moving(count: int, size: tuple[int, int] = (64, 48), cut_at: int | None = None) -> list[Image.Image]:
    """A red ball that goes to the right; from frame ``cut_at`` on it is night."""
    frames = []
    for number in range(count):
        frame = plain((15, 15, 30) if cut_at is not None and number >= cut_at else (190, 220, 250), size)
        left = number * (size[0] - 16) // max(1, count - 1)
        ImageDraw.Draw(frame).ellipse((left, size[1] // 2 - 8, left + 15, size[1] // 2 + 7), fill=RED)
        frames.append(frame)
    return frames


def video(
    frames: Iterable[Image.Image],
    kind: str = "h264",
    *,
    fps: int = 8,
    key_every: int = 12,
    times: Sequence[int] | None = None,
    wider: int = 1,
    size: tuple[int, int] | None = None,
    more: dict[str, str] | None = None,
    movflags: str = "",
) -> bytes:
    """``frames`` as a video. times: of each, in units of 1/fps; None = one after the other. wider: how many
    times as wide as tall a pixel is. size: of the frames, None = that of the first. more: options of the
    encoder; movflags: of the container."""
    if size is None:
        frames = list(frames)
        size = frames[0].size
    encoder, container, options = ENCODED.get(kind, (kind, "mp4", {}))
    out = io.BytesIO()
    how = {"fflags": "+bitexact"} | ({"movflags": movflags} if movflags else {})
    with av.open(out, "w", format=container, options=how) as writer:
        stream = writer.add_stream(encoder, rate=fps, options={**options, **(more or {})})
        stream.width, stream.height = size
        stream.pix_fmt = "rgb8" if encoder == "gif" else "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(wider)
        stream.gop_size, stream.thread_count = key_every, 1
        for number, frame in enumerate(frames):
            shown = av.VideoFrame.from_image(frame)
            shown.pts = times[number] if times else number
            for packet in stream.encode(shown):
                writer.mux(packet)
        for packet in stream.encode(None):
            writer.mux(packet)
    return out.getvalue()


def animation(
    frames: Sequence[Image.Image], form: str = "GIF", seconds: float | Sequence[float] = 1
) -> bytes:
    """``frames`` as an animated GIF, WEBP or PNG, each seen for ``seconds``."""
    each = [seconds] * len(frames) if isinstance(seconds, int | float) else list(seconds)
    out, how = io.BytesIO(), {"lossless": True} if form == "WEBP" else {}
    frames[0].save(
        out, form, save_all=True, append_images=frames[1:], duration=[round(1000 * s) for s in each], **how
    )
    return out.getvalue()


def xmp_of(data: bytes) -> bytes | None:
    """Return the XMP that a video carries, if any."""
    for box in codecs.boxes(io.BytesIO(data)):
        if box.kind == b"uuid" and data[box.body : box.end].startswith(codecs.XMP):
            return data[box.body + len(codecs.XMP) : box.end]
    return None
