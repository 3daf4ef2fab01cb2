"""A ZIP file that is sent while it is made: a piece of a file is in memory at a time. The size of each entry
stands before its bytes, so that a program can unpack them as they come."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

PIECE = 2**20  # bytes of a file in memory


class _End(io.BytesIO):
    """What follows ``sent`` bytes of a file."""

    def __init__(self, sent: int) -> None:
        super().__init__()
        self._sent = sent

    def tell(self) -> int:
        return self._sent + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._sent + super().seek(offset - self._sent, whence)


class Archive:
    """A ZIP file whose parts are taken away as they are written."""

    def __init__(self) -> None:
        self._entries: list[zipfile.ZipInfo] = []
        self._sent = 0  # bytes

    def add(self, name: str, data: bytes, at: datetime, *, squeeze: bool = False) -> bytes:
        """Return the part that bytes add as a file. squeeze: they aren't compressed yet, as pictures are."""
        size, crc = len(data), zlib.crc32(data)
        if squeeze:
            data = zlib.compress(data, wbits=-zlib.MAX_WBITS)  # deflate alone, as ZIP files have it
        return self._header(name, at, size, crc, zipped=len(data) if squeeze else None) + data

    def add_file(self, name: str, path: Path, at: datetime) -> Iterator[bytes]:
        """Yield the parts that a file adds. Raises OSError."""
        with path.open("rb") as file:
            size = crc = 0
            while piece := file.read(PIECE):
                size, crc = size + len(piece), zlib.crc32(piece, crc)
            file.seek(0)
            yield self._header(name, at, size, crc)
            while piece := file.read(PIECE):
                yield piece

    def _header(self, name: str, at: datetime, size: int, crc: int, zipped: int | None = None) -> bytes:
        """Return what stands before an entry's bytes. zipped: how many they are, None = as many as its
        ``size``."""
        entry = zipfile.ZipInfo(name, at.timetuple()[:6])
        entry.external_attr = 0o644 << 16
        entry.CRC, entry.file_size, entry.compress_size = crc, size, size
        if zipped is not None:
            entry.compress_type, entry.compress_size = zipfile.ZIP_DEFLATED, zipped
        entry.header_offset = self._sent
        header = entry.FileHeader()
        self._entries.append(entry)
        self._sent += len(header) + entry.compress_size
        return header

    def end(self) -> bytes:
        """Return the last part: the list of all entries."""
        end = _End(self._sent)
        with zipfile.ZipFile(end, "w") as archive:
            archive.filelist += self._entries
        return end.getvalue()
