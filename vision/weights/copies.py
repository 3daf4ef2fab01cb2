"""Copies of models' parts that were quantised when they were loaded, so that a restart reads those and
quantises nothing: which there are, whether they are still of the model that they were made from, and whether
the disk has room for another. Loads no torch, and knows nothing of what is in them."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vision.weights import files

log = logging.getLogger(__name__)

FOLDER, ABOUT = "quantised", "about.json"  # the latter is written last
MOST = 4  # copies; the one that was used longest ago goes first
SPARE, SPARE_SHARE = 10 * 10**9, 0.1  # bytes, and share of the disk, that stay free
STALE = 3600  # seconds until what a killed process has left half-written is removed
UNREADABLE = (OSError, ValueError, KeyError, TypeError)


def find(root: Path, source: Path, how: str) -> Path | None:
    """Return the folder of the copy of the model in ``source``, None without one. how: what it depends on
    besides its files. Removes copies of models that have changed or are gone."""
    folder = root / _name(source, how)
    for about in root.glob(f"*/{ABOUT}"):
        try:
            told = json.loads(about.read_text(encoding="utf-8"))
            is_current = files.identity(Path(told["source"])) == told["identity"]
        except UNREADABLE:
            is_current = False
        if not is_current:
            log.info("the quantised copy %s is of a model that isn't there any more", about.parent.name)
            shutil.rmtree(about.parent, ignore_errors=True)
    if not (folder / ABOUT).is_file():
        return None
    os.utime(folder / ABOUT)
    return folder


def write(root: Path, source: Path, how: str, size: int, save: Callable[[Path], None]) -> None:
    """Keep a copy of ``size`` bytes, which ``save`` writes into a folder: all of it or, when the process dies
    or the disk is short, nothing."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for half in root.glob(".part-*"):
            if time.time() - half.stat().st_mtime > STALE:
                shutil.rmtree(half, ignore_errors=True)
        kept = sorted(root.glob(f"*/{ABOUT}"), key=lambda about: about.stat().st_mtime_ns)
        for about in kept[: max(0, len(kept) - MOST + 1)]:
            shutil.rmtree(about.parent, ignore_errors=True)
        disk = shutil.disk_usage(root)
        if disk.free - size < max(SPARE, SPARE_SHARE * disk.total):
            log.info("%s: no copy of what was quantised is kept; the disk is short", source.name)
            return
        half = Path(tempfile.mkdtemp(prefix=".part-", dir=root))
        try:
            save(half)
            told = {"source": str(source), "identity": files.identity(source)}
            (half / ABOUT).write_text(json.dumps(told), encoding="utf-8")
            half.rename(root / _name(source, how))
        finally:
            shutil.rmtree(half, ignore_errors=True)
    except (*UNREADABLE, RuntimeError) as error:  # another process may have been as quick
        log.warning("%s: no copy of what was quantised is kept: %s", source.name, error)


def _name(source: Path, how: str) -> str:
    return hashlib.sha256(f"{files.identity(source)} {how}".encode()).hexdigest()[:32]
