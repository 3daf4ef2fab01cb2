"""The front end's own files, compressed once into memory, under an address that changes when they do."""

import gzip
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname, join, normpath

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".webp": "image/webp",
    ".webmanifest": "application/manifest+json",
    ".json": "application/json; charset=utf-8",
}
_COMMENT = re.compile(  # types, whole lines, and after code where no string can end behind it
    r"/\*\*.*?\*/|^[ \t]*//[^\n]*$|(?<=[;,{}()\]]) // [^\n\"'`]*$", re.DOTALL | re.MULTILINE
)
_IMPORT = re.compile(r"""(?:^|;)\s*(?:import|export)\b[^"';()]*?["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)


@dataclass(frozen=True)
class StaticFile:
    """One file. packed: gzip, None where that saves nothing."""

    media_type: str
    data: bytes = field(repr=False)
    packed: bytes | None = field(repr=False)


class StaticFiles:
    """All files under ``folder`` that a browser may read."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = sorted(
            path for path in folder.rglob("*") if path.suffix in TYPES and path.name != "tsconfig.json"
        )
        self._files = {path.relative_to(folder).as_posix(): _read(path) for path in paths}
        self._imports = {
            name: [normpath(join(dirname(name), target)) for target in _IMPORT.findall(file.data.decode())]
            for name, file in self._files.items()
            if name.endswith(".js")
        }
        digest = hashlib.sha256()
        for name, file in self._files.items():
            digest.update(name.encode() + b"\0" + file.data)
        self.version = digest.hexdigest()[:12]

    @property
    def prefix(self) -> str:
        """Where pages find the files, such as /static/0123456789ab."""
        return f"/static/{self.version}"

    def get(self, name: str) -> StaticFile | None:
        """Return a file by its path inside the folder."""
        return self._files.get(name)

    def modules(self, entry: str) -> list[str]:
        """Return ``entry`` and every module that it imports, directly or not, for the browser to fetch at
        once. Nothing for a module that isn't there."""
        found: dict[str, None] = {}
        todo = [entry]
        while todo:
            name = todo.pop()
            if name not in found and name in self._imports:
                found[name] = None
                todo += self._imports[name]
        return list(found)


def _read(path: Path) -> StaticFile:
    data = path.read_bytes()
    if path.suffix == ".js":  # without comments, each line where it was: types are a quarter of what is sent
        data = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), data.decode()).encode()
    packed = gzip.compress(data, 9, mtime=0)
    return StaticFile(TYPES[path.suffix], data, packed if len(packed) < len(data) * 0.9 else None)
