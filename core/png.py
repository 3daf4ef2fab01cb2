"""The bytes that every PNG file is made of: its signature and its chunks.

https://www.w3.org/TR/png-3/#5DataRep
"""

import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of type ``kind`` (4 letters): its length, type, body and CRC."""
    crc = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", crc)))
