"""Whether a model's files may be loaded: nothing in them can run, and they are the ones that were meant.
Loads no torch, opens no weights.

Contents are pinned in three ways: a hub model by its commit, and by the SHA-256 of each large file as the hub
states it, remembered in the lock file when it is fetched; a folder or a file by ``@sha256:…`` behind its
path, as ``atelier models`` prints it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import ModelError
from vision.weights.config_files import read_json

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
_PIN = "@sha256:"


def split_pin(spec: str) -> tuple[str, str | None]:
    """Split a spec into what lies before ``@sha256:…`` and its 64 hex digits, None when it has no pin.

    Raises ModelError for a pin that isn't 64 hex digits.
    """
    path, found, digest = spec.partition(_PIN)
    if not found:
        return spec, None
    if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
        raise ModelError(f"{path}: after {_PIN} come the 64 hex digits that `atelier models` prints.")
    return path, digest.lower()


def shared_parts(folder: Path) -> dict[str, Path]:
    """Return the parts that a pipeline's folder takes from a folder beside it, and where they lie: what its
    ``atelier.json`` says as {"shared": {"vae": "stable-diffusion"}}.

    Raises ModelError when it names anything but a folder beside it.
    """
    shared = read_json(folder / "atelier.json").get("shared", {})
    if not isinstance(shared, dict) or not all(_is_plain(name) for pair in shared.items() for name in pair):
        raise ModelError(f"{folder.name}: atelier.json shares a part with what is no folder beside it.")
    return {part: folder.parent / beside / part for part, beside in shared.items()}


def _is_plain(name: Any) -> bool:
    """Whether it names a file or folder and no way to one."""
    return isinstance(name, str) and name == os.path.basename(name) and bool(name.strip("."))


def check_contents(folder: Path) -> None:
    """Raise ModelError when something in ``folder`` is code, names code, or names files outside of it but for
    its shared parts, in which there must be no code either."""
    for part in shared_parts(folder).values():
        check_contents(part)
    for path in folder.rglob("*"):
        if path.suffix.lower() in CODE:
            raise ModelError(
                f"{folder.name} brings its own code ({path.name}); Atelier loads only models that need none."
            )
    for path in folder.rglob("*.index.json"):
        _check_shards(folder, path, read_json(path).get("weight_map", {}))
    for path in folder.rglob("model_index.json"):
        _check_pipeline(folder, read_json(path))


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
    """Raise ModelError when a component comes from elsewhere than diffusers and transformers: diffusers
    imports whatever module model_index.json names."""
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
    """Return the names of the folders and modules in ``diffusers.pipelines`` without importing it. A safety
    checker comes from one of them."""
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
    """Return the SHA-256 of a file in hex; of a folder, that of its files' paths and digests in order, with
    those of its shared parts behind them."""
    if path.is_file():
        return _sha256(path)
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file() and ".cache" not in p.parts):
        total.update(f"{file.relative_to(path).as_posix()}\0{_sha256(file)}\n".encode())
    for name, part in sorted(shared_parts(path).items()):
        total.update(f"{name}\0{digest(part)}\n".encode())
    return total.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(path: Path, wanted: str) -> None:
    """Raise ModelError when the contents of ``path`` aren't those that were pinned."""
    if digest(path) != wanted:
        raise ModelError(
            f"{path.name} isn't what was pinned: its SHA-256 is another one. Nothing of it was loaded."
        )


def check_files(folder: Path, wanted: Mapping[str, str], seen: Mapping[str, Iterable[int]]) -> None:
    """Raise ModelError when a file isn't the one that was fetched.

    wanted: name → SHA-256. seen: name → (size, mtime in ns) when it was last found right; only files that
    have changed since are read again.
    """
    for name, sha256 in wanted.items():
        path = folder / name
        if not path.is_file() or (list(seen.get(name, ())) != signature(path) and _sha256(path) != sha256):
            raise ModelError(
                f"{folder.name}: {name} isn't the file that was fetched. Delete the folder to fetch it again;"
                " nothing was loaded."
            )


def signature(path: Path) -> list[int]:
    """Return [size in bytes, mtime in ns] of a file; it changes whenever the file is written."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
