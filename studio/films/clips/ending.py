"""How a clip process hands over what it made: behind it in the same file lie a picture, a line of JSON that
tells of both, and the length of that line in four bytes."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">I")
MAX_TOLD = 2**16  # bytes of the line


def write(target: BinaryIO, told: dict[str, Any], picture: bytes) -> None:
    """Write a picture, and what is told, behind what was made; that isn't kept where there was an error."""
    if "error" in told:
        target.truncate(0)
    made = target.seek(0, os.SEEK_END)
    line = json.dumps({**told, "made": made, "picture": len(picture)}).encode()
    target.write(picture + line + _LENGTH.pack(len(line)))
    target.flush()


def read(target: Path) -> tuple[dict[str, Any], bytes] | None:
    """Return what a process tells behind what it made, and its picture, and leave what it made alone in the
    file; None where it ended without telling."""
    with target.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        try:
            file.seek(end - _LENGTH.size)
            length = _LENGTH.unpack(file.read(_LENGTH.size))[0]
            if length > MAX_TOLD:
                return None
            file.seek(end - _LENGTH.size - length)
            told = json.loads(file.read(length))
            made, picture = int(told["made"]), int(told["picture"])
        except (OSError, ValueError, LookupError, TypeError, struct.error):
            return None
        if min(made, picture) < 0 or made + picture + length + _LENGTH.size != end:
            return None
        file.seek(made)
        poster = file.read(picture)
        file.truncate(made)
        return told, poster
