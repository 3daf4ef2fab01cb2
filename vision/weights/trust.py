"""Whether a model's files may be loaded: nothing in them can run, and they are the ones that were meant.
Loads no torch, opens no weights.

Contents are pinned in three ways: a hub model by its commit, and by the SHA-256 of each large file as the hub
states it, remembered in the lock file when it is fetched; a folder or a file by ``@sha256:…`` behind its
path, as ``atelier models`` prints it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import ModelError

log = logging.getLogger(__name__)

CODE = (
    ".py",
    ".pyc",
    ".pyo",
    ".pyd",
    ".so",
    ".dll",
    ".dylib",
    ".sh",
    ".exe",
    ".bat",
    ".js",
    ".jar",
    ".whl",
    ".egg",
    ".zip",
    ".tar",
    ".gz",
)
LIBRARIES = frozenset({"diffusers", "transformers"})
CHUNK = 2**20  # bytes
_PIN = "@sha256:"


def split_pin(spec: str) -> tuple[str, str | None]:
    """(what lies before ``@sha256:…``, its 64 hex digits); None without one. ModelError for one that is
    none."""
    path, found, digest = spec.partition(_PIN)
    if not found:
        return spec, None
    if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
        raise ModelError(f"{path}: after {_PIN} come the 64 hex digits that `atelier models` prints.")
    return path, digest.lower()


def check_contents(folder: Path) -> None:
    """ModelError when something in ``folder`` is code, names code, or names files outside."""
    for path in folder.rglob("*"):
        if path.suffix.lower() in CODE:
            raise ModelError(
                f"{folder.name} brings its own code ({path.name}); Atelier loads only models that need none."
            )
    for path in folder.rglob("*.json"):
        data = _json(path)
        if path.name.endswith(".index.json"):
            _check_shards(folder, path, data.get("weight_map", {}))
        if path.name == "model_index.json":
            _check_pipeline(folder, data)


def _check_shards(folder: Path, index: Path, shards: Any) -> None:
    names = set(shards.values()) if isinstance(shards, Mapping) else {None}
    for name in names:
        if (
            not isinstance(name, str)
            or name != os.path.basename(name)
            or not name.endswith((".safetensors", ".bin"))
        ):
            raise ModelError(f"{folder.name}: {index.name} names files that aren't its own.")


def _check_pipeline(folder: Path, data: Mapping[str, Any]) -> None:
    """diffusers imports whatever module a component names: only its own and transformers' are let through."""
    if not isinstance(data.get("_class_name"), str):
        raise ModelError(
            f"{folder.name}: model_index.json names a pipeline of its own; Atelier loads only diffusers'"
            " pipelines."
        )
    for name, entry in data.items():
        if name.startswith("_") or not isinstance(entry, list):
            continue
        library = entry[0] if entry else None
        if library is not None and library not in LIBRARIES and library not in _pipeline_modules():
            raise ModelError(
                f"{folder.name}: {name} would come from {str(library)[:40]!r}; only diffusers and"
                " transformers are used."
            )


@cache
def _pipeline_modules() -> frozenset[str]:
    """Names of the folders and modules in ``diffusers.pipelines``, without importing it: a safety checker
    comes from one of them."""
    spec = importlib.util.find_spec("diffusers")
    folders = [
        Path(place) / "pipelines" for place in (spec.submodule_search_locations if spec else None) or ()
    ]
    return frozenset(
        path.stem
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if not path.name.startswith("_")
    )


# Contents


def digest(path: Path) -> str:
    """SHA-256 in hex of a file; of a folder, that of its files' paths and digests in order."""
    if path.is_file():
        return _sha256(path)
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file() and ".cache" not in p.parts):
        total.update(f"{file.relative_to(path).as_posix()}\0{_sha256(file)}\n".encode())
    return total.hexdigest()


def _sha256(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            total.update(piece)
    return total.hexdigest()


def check_digest(path: Path, wanted: str) -> None:
    """ModelError when the contents of ``path`` aren't those that were pinned."""
    if digest(path) != wanted:
        raise ModelError(
            f"{path.name} isn't what was pinned: its SHA-256 is another one. Nothing of it was loaded."
        )


def check_files(folder: Path, wanted: Mapping[str, str], seen: Mapping[str, Iterable[int]]) -> None:
    """ModelError when a file isn't the one that was fetched. wanted: name → SHA-256. seen: name → (size,
    mtime in ns) when it was last found
    right: only what has changed since is read again."""
    for name, sha256 in wanted.items():
        path = folder / name
        if not path.is_file() or (list(seen.get(name, ())) != signature(path) and _sha256(path) != sha256):
            raise ModelError(
                f"{folder.name}: {name} isn't the file that was fetched. Delete the folder to fetch it again;"
                " nothing was loaded."
            )


def signature(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _json(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError):
        return {}
    return data if isinstance(data, Mapping) else {}
