"""A name for a model that changes when its weights do, without reading them all."""

from __future__ import annotations

import hashlib

from core.errors import ModelError
from vision.weights import contents, sources

TAIL = 65_536  # bytes at the end of each file of weights; training changes all of them


def named(spec: str) -> str:
    """Return what stands for the model ``spec`` in rows: a hub's model at its revision, or a folder with a
    digest of its weights. ``spec_of`` gives the model back."""
    try:
        source = sources.parse(spec)
        files = [] if source.path is None else contents.weight_files(source.path)
    except (ModelError, OSError):  # whoever loads it says what is wrong
        return spec
    if source.path is None:
        return spec
    digest = hashlib.sha256()
    for path in sorted(files):
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - TAIL))
            digest.update(f"{path.name} {size}\0".encode() + file.read())
    return f"{spec}#{digest.hexdigest()[:12]}"


def spec_of(name: str) -> str:
    """Return the model that ``named`` has named."""
    return name.partition("#")[0]
