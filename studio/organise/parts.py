"""ZIP files in memory, each a part of a person's copy of their data."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any


class Part:
    """A ZIP file in memory."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._zip = zipfile.ZipFile(self._buffer, "w")

    @classmethod
    def of_rows(cls, data: dict[str, list[dict[str, Any]]]) -> Part:
        """Return a part that begins with rows by table, as JSON."""
        part = cls()
        part.add("data.json", json.dumps(data, ensure_ascii=False, indent=1).encode(), squeeze=True)
        return part

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._buffer.tell()

    def add(self, name: str, data: bytes, *, squeeze: bool = False) -> None:
        """Add a file; squeeze: it isn't compressed yet."""
        self._zip.writestr(name, data, zipfile.ZIP_DEFLATED if squeeze else zipfile.ZIP_STORED)

    def close(self) -> bytes:
        """Return the whole ZIP file."""
        self._zip.close()
        return self._buffer.getvalue()
