"""What kind of moving picture a file is, by its first bytes; what it is called counts for nothing here."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import PurePath
from typing import Literal

Kind = Literal["mp4", "webm", "gif", "apng", "webp"]
READ = "MP4, WebM and GIF"  # and animated PNG and WebP, which few know they have
NAMES = frozenset((".mp4", ".m4v", ".mov", ".webm", ".mkv", ".gif", ".apng"))
OTHERS = frozenset((".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".ts", ".3gp", ".ogv", ".m2ts", ".vob", ".asf"))
_PNG, _HEAD = b"\x89PNG\r\n\x1a\n", 64  # bytes in which the first box or chunk begins
_ANIMATION = 0x02  # of the flags in VP8X, https://developers.google.com/speed/webp/docs/riff_container


def kind_of(data: bytes) -> Kind | None:
    """Return the kind of a film; None for everything else, a still picture among it."""
    head = data[:_HEAD]
    if head[4:8] == b"ftyp":
        return "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if head[:4] == b"GIF8":
        return "gif"
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21]:
        return "webp" if head[20] & _ANIMATION else None
    if head.startswith(_PNG):
        return "apng" if _is_animated(data) else None
    return None


def _is_animated(png: bytes) -> bool:
    """Return whether a PNG says, before its pixels, that it has several frames (acTL)."""
    at = len(_PNG)
    while at + 8 <= len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        if name in (b"acTL", b"IDAT"):
            return name == b"acTL"
        at += 12 + length
    return False


def webp_durations(data: bytes) -> Iterator[float]:
    """Yield the seconds of each frame of an animated WebP, as its chunks say."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"ANMF":
            yield int.from_bytes(data[at + 20 : at + 23], "little") / 1000
        at += 8 + length + length % 2


def may_be_film(name: str, media_type: str = "") -> bool:
    """Return whether a file is likely to be a film, by its name or what the sender's program calls it."""
    end = PurePath(name).suffix.lower()
    return end in NAMES | OTHERS or media_type.startswith("video/") or media_type == "image/gif"
