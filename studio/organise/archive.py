"""A ZIP file that is sent while it is made: a piece of a file is in memory at a time."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Any

PIECE = 2**20  # bytes of a file in memory


def _time(at: datetime) -> tuple[int, int, int, int, int, int]:
    return (at.year, at.month, at.day, at.hour, at.minute, at.second)


class _OfFile(zipfile.ZipInfo):
    """The entry of a file whose bytes are known, so that its size stands before them. crc: CRC-32."""

    def __init__(self, name: str, at: datetime, size: int, crc: int) -> None:
        super().__init__(name, _time(at))
        self._known = size, crc

    def FileHeader(self, zip64: bool | None = None) -> bytes:
        size, self.CRC = self._known
        self.file_size = self.compress_size = size
        return super().FileHeader(zip64)


class _Window(io.RawIOBase):
    """A file of which only the end is kept. What has been taken may be written again as it was, which changes
    nothing."""

    def __init__(self) -> None:
        self._taken, self._kept = 0, io.BytesIO()
        self._behind: int | None = None  # where writing is, among what has been taken

    def write(self, data: Any) -> int:
        if self._behind is None:
            return self._kept.write(data)
        written = memoryview(data).nbytes
        self._behind += written
        return written

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._taken + self._kept.tell() if self._behind is None else self._behind

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._behind = offset if offset < self._taken else None
        if self._behind is None:
            self._kept.seek(offset - self._taken)
        return offset

    def take(self) -> bytes:
        data = self._kept.getvalue()
        self._taken, self._kept = self._taken + len(data), io.BytesIO()
        return data


class Archive:
    """A ZIP file whose parts are taken away as they are written."""

    def __init__(self) -> None:
        self._window = _Window()
        self._zip = zipfile.ZipFile(self._window, "w")

    def add(self, name: str, data: bytes, at: datetime, *, squeeze: bool = False) -> bytes:
        """Return the part that bytes add as a file. squeeze: they aren't compressed yet, as pictures are."""
        entry = zipfile.ZipInfo(name, _time(at))
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, data, zipfile.ZIP_DEFLATED if squeeze else zipfile.ZIP_STORED)
        return self._window.take()

    def add_file(self, name: str, path: Path, at: datetime) -> Generator[bytes, None, None]:
        """Yield the parts that a file adds. Raises OSError."""
        with path.open("rb") as file:
            size = crc = 0
            while piece := file.read(PIECE):
                size, crc = size + len(piece), zlib.crc32(piece, crc)
            file.seek(0)
            entry = _OfFile(name, at, size, crc)
            entry.external_attr = 0o644 << 16
            with self._zip.open(entry, "w") as out:
                while piece := file.read(PIECE):
                    out.write(piece)
                    yield self._window.take()
        yield self._window.take()

    def end(self) -> bytes:
        """Return the last part."""
        self._zip.close()
        return self._window.take()
