"""The form of videos: which encoder makes one, by the setting VIDEO_ENCODER, and what "as good as" is in its
own numbers; how old the library is that reads and writes them, as it reads strangers' bytes, and FFmpeg,
which is in it, is mended every few weeks; and the boxes that an MP4 is made of.

Each encoder has one number for how much is thrown away (CRF, or a fixed quantiser): more is smaller. All work
in one thread, as a shut-in process can't start another, and all go into an MP4. Its boxes are put in the
order in which it plays while it still comes in, with XMP if wanted, and with nothing else than pictures and
sound (ISO/IEC 14496-12; XMP specification part 3, 1.1.5), in the file itself, in pieces."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import BinaryIO, NamedTuple

from core.limits import VIDEO_ENCODERS


@dataclass(frozen=True)
class Encoder:
    """An encoder of libav. codec: what it writes. master: the number for a video that is kept; worst: the
    highest. halving: by how much the number grows until a video is half as large, about. careful: what is
    other than ``quick`` where more time is taken. keys: the options that take the number."""

    name: str
    codec: str
    master: float = 18
    worst: float = 51
    halving: float = 6
    quick: dict[str, str] = field(default_factory=dict)
    careful: dict[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ("crf",)
    is_whole: bool = False  # takes whole numbers only

    def options(self, number: float, *, careful: bool = False) -> dict[str, str]:
        """Return libav's options. careful: take more time for the same size."""
        clipped = min(max(number, 0.0), self.worst)
        value = f"{round(clipped)}" if self.is_whole else f"{clipped:.2f}"
        return {**self.quick, **(self.careful if careful else {}), **dict.fromkeys(self.keys, value)}


# Without the macroblock tree: with it, x264 reads memory that nobody has written, and now and then a video
# came out otherwise in its least bits. At the same PSNR files are 6 % larger (16 frames of 854×480 px).
X264 = Encoder(
    "libx264",
    "h264",
    # looking ten frames ahead would be 60 MB more at 1920×1088 px
    quick={"preset": "veryfast", "rc-lookahead": "3", "mbtree": "0"},
    careful={"preset": "medium", "rc-lookahead": "20"},
)
OPENH264 = Encoder(
    "libopenh264",
    "h264",
    quick={"rc_mode": "quality", "b": "100000000"},
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
    careful={"cpu-used": "5"},
    is_whole=True,
)
AV1 = Encoder(
    "libaom-av1",
    "av1",
    worst=63,
    halving=9,
    quick={"usage": "realtime", "cpu-used": "8", "row-mt": "0"},
    careful={"cpu-used": "6"},
    is_whole=True,
)
ENCODERS = {"x264": X264, "openh264": OPENH264, "vp9": VP9, "av1": AV1}


def encoder_of(name: str) -> Encoder:
    """Return the encoder of a setting; "auto" is x264, or OpenH264 where PyAV was built without x264. Raises
    ValueError for a name that isn't one, or an encoder that isn't in this PyAV."""
    import av

    if name not in VIDEO_ENCODERS:
        raise ValueError(f"{name!r} is no encoder; there are {', '.join(VIDEO_ENCODERS)}")
    wanted = (X264, OPENH264) if name == "auto" else (ENCODERS[name],)
    for encoder in wanted:
        with suppress(av.FFmpegError):
            if encoder.name in av.codecs_available and av.Codec(encoder.name, "w").is_encoder:
                return encoder
    raise ValueError(f"this PyAV has no {' or '.join(one.name for one in wanted)}")


OLD = 365  # days
RELEASED = {  # PyAV's versions, by https://pypi.org/project/av/#history; what is newer isn't old
    (16, 0): date(2025, 10, 5),
    (16, 1): date(2026, 1, 9),
    (17, 0): date(2026, 3, 14),
    (17, 1): date(2026, 6, 7),
    (18, 0): date(2026, 7, 2),
    (18, 1): date(2026, 8, 12),
    (19, 0): date(2026, 9, 29),
}


def find_codec() -> str:
    """Return the version of PyAV that is installed, "" if none is."""
    try:
        return version("av")
    except PackageNotFoundError:
        return ""


def released(name: str) -> date | None:
    """Return when a version came out; None for one that is newer than all that are known here."""
    numbers = tuple(int(part) for part in name.split(".")[:2] if part.isdigit())
    if numbers > max(RELEASED):
        return None
    return max((day for known, day in RELEASED.items() if known <= numbers), default=date.min)


def is_old(name: str, today: date) -> bool:
    """Return whether a version came out more than a year ago."""
    day = released(name)
    return day is not None and (today - day).days > OLD


XMP = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")  # the uuid of a box with XMP
KEPT = {  # box → what is kept in it; all that isn't named here is kept as it is
    b"moov": (b"mvhd", b"trak"),
    b"trak": (b"tkhd", b"edts", b"mdia"),
    b"mdia": (b"mdhd", b"hdlr", b"minf"),
    b"minf": (b"vmhd", b"smhd", b"dinf", b"stbl"),
    b"stbl": (
        *(b"stsd", b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64"),
        *(b"sgpd", b"sbgp"),  # how far a sound's decoder has to begin before it is heard
    ),
}
MAX_MOOV = 64 * 2**20  # bytes; an hour takes less
PIECE = 2**20  # bytes that are moved at once
_HEAD, _LARGE = struct.Struct(">I4s"), struct.Struct(">Q")
_OFFSETS = {b"stco": struct.Struct(">I"), b"co64": struct.Struct(">Q")}


class Box(NamedTuple):
    """Where a box lies in a file. body: where what is in it begins."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(file: BinaryIO) -> Iterator[Box]:
    """Yield the outermost boxes of a file. Raises ValueError where it isn't made of boxes."""
    end, at = file.seek(0, 2), 0
    while at < end:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            raise ValueError("an MP4 that is cut off")
        size, kind = _HEAD.unpack_from(head)
        body = at + 8
        if size == 1 and len(head) == 16:
            size, body = _LARGE.unpack_from(head, 8)[0], at + 16
        elif size == 0:  # up to the file's end
            size = end - at
        if at + size < body or at + size > end:
            raise ValueError("an MP4 that is cut off")
        yield Box(kind, at, body, at + size)
        at += size


def put_in_order(file: BinaryIO, xmp: bytes | None = None) -> None:
    """Rearrange an MP4 in place: ``ftyp``, a ``uuid`` with ``xmp`` unless None, ``moov``, ``mdat``; whatever
    else was in it is gone. file: open for reading and writing. Raises ValueError, before anything is written,
    for what isn't a video as ``VideoWriter`` makes it: one ``moov`` and one ``mdat``, nothing in
    fragments."""
    found: dict[bytes, Box] = {}
    for box in boxes(file):
        if box.kind in found and box.kind in (b"ftyp", b"moov", b"mdat"):
            raise ValueError(f"an MP4 with more than one {box.kind.decode()}")
        found[box.kind] = box
    missing = [kind.decode() for kind in (b"ftyp", b"moov", b"mdat") if kind not in found]
    if missing:
        raise ValueError(f"an MP4 without {', '.join(missing)}")
    if b"moof" in found:
        raise ValueError("an MP4 in fragments")
    mdat, moov = found[b"mdat"], found[b"moov"]
    if moov.end - moov.start > MAX_MOOV:
        raise ValueError("an MP4 with too much about its frames")
    ftyp = box_of(b"ftyp", _read(file, found[b"ftyp"]))
    mark = b"" if xmp is None else box_of(b"uuid", XMP + xmp)
    kept = _kept(b"moov", _read(file, moov))
    length = mdat.end - mdat.body
    large = 8 + length >= 2**32
    head = _HEAD.pack(1, b"mdat") + _LARGE.pack(16 + length) if large else _HEAD.pack(8 + length, b"mdat")
    body = len(ftyp) + len(mark) + 8 + len(kept) + len(head)
    index = box_of(b"moov", _shifted(b"moov", kept, body - mdat.body, (mdat.body, mdat.end)))
    _move(file, mdat.body, length, body)
    file.seek(0)
    file.write(ftyp + mark + index + head)
    file.truncate(body + length)


def box_of(kind: bytes, body: bytes) -> bytes:
    """Return a box."""
    return _HEAD.pack(8 + len(body), kind) + body


def _read(file: BinaryIO, box: Box) -> bytes:
    file.seek(box.body)
    return file.read(box.end - box.body)


def _parts(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, body) of the boxes in one. Raises ValueError."""
    at = 0
    while at < len(body):
        size, kind = _HEAD.unpack_from(body, at) if at + 8 <= len(body) else (0, b"")
        if size < 8 or at + size > len(body):
            raise ValueError("an MP4 with a damaged index")
        yield kind, body[at + 8 : at + size]
        at += size


def _kept(kind: bytes, body: bytes) -> bytes:
    names = KEPT.get(kind)
    if names is None:
        return body
    return b"".join(box_of(name, _kept(name, part)) for name, part in _parts(body) if name in names)


def _shifted(kind: bytes, body: bytes, by: int, within: tuple[int, int]) -> bytes:
    """Return what is in a box, with all places of samples moved. within: where they have to lie."""
    if kind in KEPT:
        return b"".join(box_of(name, _shifted(name, part, by, within)) for name, part in _parts(body))
    if kind not in _OFFSETS:
        return body
    form = _OFFSETS[kind]
    count = struct.unpack_from(">I", body, 4)[0] if len(body) >= 8 else -1
    if len(body) != 8 + count * form.size:
        raise ValueError("an MP4 with a damaged index")
    places = [place for (place,) in form.iter_unpack(body[8:])]
    if any(not within[0] <= place <= within[1] for place in places):
        raise ValueError("an MP4 whose samples lie outside of it")
    moved = [place + by for place in places]
    if kind == b"stco" and any(place >= 2**32 for place in moved):
        raise ValueError("an MP4 of more than 4 GiB")
    return body[:8] + b"".join(map(form.pack, moved))


def _move(file: BinaryIO, start: int, length: int, to: int) -> None:
    """Move bytes of a file; the two places may overlap."""
    pieces = range(0, length, PIECE)
    for at in pieces if to < start else reversed(pieces):
        file.seek(start + at)
        piece = file.read(min(PIECE, length - at))
        file.seek(to + at)
        file.write(piece)
