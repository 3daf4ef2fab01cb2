"""Which encoder makes a film, by the setting VIDEO_ENCODER, and what "as good as" is in its own numbers.

Each has one number for how much is thrown away (CRF, or a fixed quantiser): more is smaller. All work in one
thread, as a shut-in process can't start another, and all go into an MP4.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.limits import VIDEO_ENCODERS


@dataclass(frozen=True)
class Encoder:
    """An encoder of libav. codec: what it writes. master: the number for a film that is kept; worst: the
    highest. halving: by how much the number grows until a film is half as large, about. keys: the options
    that take the number."""

    name: str
    codec: str
    master: float
    worst: float
    halving: float
    quick: dict[str, str] = field(default_factory=dict)
    careful: dict[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ("crf",)
    is_whole: bool = False  # takes whole numbers only

    def options(self, number: float, *, careful: bool = False) -> dict[str, str]:
        """Return libav's options. careful: take more time for the same size."""
        clipped = min(max(number, 0.0), self.worst)
        value = f"{round(clipped)}" if self.is_whole else f"{clipped:.2f}"
        return {**(self.careful if careful else self.quick), **dict.fromkeys(self.keys, value)}


# Without the macroblock tree: with it, x264 reads memory that nobody has written, and now and then a film
# came out otherwise in its least bits. At the same PSNR files are 6 % larger (16 frames of 854×480 px).
X264 = Encoder(
    "libx264",
    "h264",
    master=18,
    worst=51,
    halving=6,
    quick={
        "preset": "veryfast",
        "rc-lookahead": "3",
        "mbtree": "0",
    },  # ten frames of 1920×1088 px would be 60 MB more
    careful={"preset": "medium", "rc-lookahead": "20", "mbtree": "0"},
)
OPENH264 = Encoder(
    "libopenh264",
    "h264",
    master=18,
    worst=51,
    halving=6,
    quick={"rc_mode": "quality", "b": "100000000"},
    careful={"rc_mode": "quality", "b": "100000000"},
    keys=("qmin", "qmax"),
    is_whole=True,
)
VP9 = Encoder(
    "libvpx-vp9",
    "vp9",
    master=20,
    worst=63,
    halving=9,
    quick={"b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "0"},
    careful={"b": "0", "deadline": "realtime", "cpu-used": "5", "row-mt": "0"},
    is_whole=True,
)
AV1 = Encoder(
    "libaom-av1",
    "av1",
    master=18,
    worst=63,
    halving=9,
    quick={"usage": "realtime", "cpu-used": "8", "row-mt": "0"},
    careful={"usage": "realtime", "cpu-used": "6", "row-mt": "0"},
    is_whole=True,
)
ENCODERS = {"x264": X264, "openh264": OPENH264, "vp9": VP9, "av1": AV1}


def encoder_of(name: str) -> Encoder:
    """Return the encoder of a setting; "auto" is x264, or OpenH264 where PyAV was built without x264.

    Raises ValueError for a name that isn't one, or an encoder that isn't in this PyAV.
    """
    import av

    if name not in VIDEO_ENCODERS:
        raise ValueError(f"{name!r} is no encoder; there are {', '.join(VIDEO_ENCODERS)}")
    wanted = (X264, OPENH264) if name == "auto" else (ENCODERS[name],)
    for encoder in wanted:
        if encoder.name in av.codecs_available and _can_write(encoder.name):
            return encoder
    raise ValueError(f"this PyAV has no {' or '.join(one.name for one in wanted)}")


def _can_write(name: str) -> bool:
    import av

    try:
        return av.Codec(name, "w").is_encoder
    except av.FFmpegError:
        return False
