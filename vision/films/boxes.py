"""The boxes that an MP4 is made of: put in the order in which it plays while it still comes in, with XMP if
wanted, and with nothing else than pictures and sound.

ISO/IEC 14496-12; XMP specification part 3, 1.1.5 for its box. Works on the file itself, in pieces.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

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
    else was in it is gone.

    file: open for reading and writing. Raises ValueError, before anything is written, for what isn't a film
    as ``FilmWriter`` makes it: one ``moov`` and one ``mdat``, nothing in fragments.
    """
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
    """Return what is in a box, without what isn't kept."""
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
