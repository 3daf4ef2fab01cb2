"""The models that are complete on this machine, and whether they are the ones that were meant."""

from __future__ import annotations

from pathlib import Path

from vision.ocr import programs
from vision.photo import packages
from vision.weights import contents, hub, trust
from vision.weights.sources import ModelSource


def find(source: ModelSource, cache_dir: Path) -> Path | None:
    """Return the folder or file of a model that is complete on this machine, else None. Fetches nothing."""
    if source.kind == "package":
        return packages.find(source.id, cache_dir)
    if source.kind == "program":
        return programs.find(source.id)
    if source.path is None:
        return hub.complete_snapshot(source, cache_dir)
    return source.path if source.path.exists() else None


def verify(source: ModelSource, path: Path, cache_dir: Path) -> None:
    """Raise ModelError, before anything is loaded, if ``path`` could run code, can't work, or isn't what was
    pinned or fetched."""
    if source.kind == "package":
        packages.verify(path)
        return
    if source.kind == "program":
        return
    if path.is_dir():
        contents.check_folder(path)
    else:
        contents.check_file(path)
    check_pin(source, path, cache_dir)


def check_pin(source: ModelSource, path: Path, cache_dir: Path) -> None:
    """Raise ModelError if ``path`` isn't what was pinned or fetched.

    Enough for a LoRA or an adapter, whose contents have checks of their own.
    """
    if source.digest is not None:
        trust.check_digest(path, source.digest)
    if source.kind == "hub":
        entry = hub.lock_entry(source, cache_dir)
        trust.check_files(path, entry.get("files", {}), entry.get("seen", {}))
