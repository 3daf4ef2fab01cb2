"""Models of the Hugging Face hub: where they lie on this machine, which commit was fetched, how they are
fetched; and whether a model of any kind is complete here and the one that was meant."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filelock import FileLock

from core.errors import ModelError, first_line
from vision.families import UNUSED
from vision.weights import files as contents
from vision.weights import packaged
from vision.weights.files import ModelSource

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling
    from tqdm import tqdm


LOCK_FILE = "models.lock.json"
REPORT_EVERY = 1.0  # seconds, while a file comes
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TEXTS = (".json", ".txt", ".model", ".jinja")  # configuration, vocabularies, sentencepiece, chat templates
_VARIANT = re.compile(r"\.(fp16|bf16|non_ema|ema)[.-]|non_ema")  # in names of files beside the plain ones


def cache_folder(cache_dir: Path) -> Path:
    """Return the folder of Hugging Face's cache: the environment's, else ours in ``cache_dir``."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name])
    return Path(os.environ["HF_HOME"]) / "hub" if os.environ.get("HF_HOME") else cache_dir / "hub"


# The lock file: which commit each source is, and the SHA-256 of its files


def lock_entry(source: ModelSource, cache_dir: Path) -> dict[str, Any]:
    """Return what the lock file remembers of ``source``: "commit", "sizes" (name → bytes, noted before the
    first byte comes), "files" (name → SHA-256) and "seen" (name → size and time); {} when it was never
    fetched."""
    return _locked(cache_dir).get(source.key, {})


def commit_of(source: ModelSource, cache_dir: Path) -> str | None:
    """Return the commit that ``source`` stands for, as written or as the lock file remembers it; None when it
    isn't resolved yet."""
    if source.revision and _COMMIT.fullmatch(source.revision):
        return source.revision
    return lock_entry(source, cache_dir).get("commit")


def complete_snapshot(source: ModelSource, cache_dir: Path) -> Path | None:
    """Return the folder of the commit that ``source`` stands for, or None when some of it is missing."""
    commit = commit_of(source, cache_dir)
    if commit is None:
        return None
    folder = _snapshot(source, commit, cache_dir)
    entry = lock_entry(source, cache_dir)
    wanted = entry.get("sizes", {}) if entry.get("commit") == commit else {}
    files = [(folder / name, size) for name, size in wanted.items()]
    if any(not path.is_file() or path.stat().st_size != size for path, size in files):
        return None  # a download of ours that was cut off
    return folder if folder.is_dir() and not contents.missing_files(folder) else None


def _snapshot(source: ModelSource, commit: str, cache_dir: Path) -> Path:
    return cache_folder(cache_dir) / f"models--{source.id.replace('/', '--')}" / "snapshots" / commit


def _locked(cache_dir: Path) -> dict[str, dict[str, Any]]:
    path = cache_dir / LOCK_FILE
    return json.loads(path.read_text()) if path.is_file() else {}


def lock_source(source: ModelSource, cache_dir: Path, entry: Mapping[str, Any]) -> None:
    """Write what the lock file is to remember of ``source``."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir / f"{LOCK_FILE}.lock"):  # other models, and other workers, come at the same time
        temporary = cache_dir / f"{LOCK_FILE}.{os.getpid()}"
        temporary.write_text(json.dumps({**_locked(cache_dir), source.key: entry}, indent=1, sort_keys=True))
        temporary.replace(cache_dir / LOCK_FILE)


# Fetching


def fetch(
    source: ModelSource,
    cache_dir: Path,
    *,
    token: str = "",
    half: bool = False,
    report: Callable[[float], None] = lambda fraction: None,
) -> Path:
    """Download a hub model once, remember its commit, and return the folder of its snapshot.

    half: take 16-bit files where there is a choice. report: called with the share of the bytes that has come,
    0..1. Raises ModelError with a sentence when the hub refuses, can't be reached or has no complete model.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # httpx's HTTPError is among the bases; its ConnectError isn't an OSError
    transport_errors = cast("tuple[type[Exception], ...]", HfHubHTTPError.__bases__)
    try:
        info = HfApi(token=token or None).model_info(
            source.id, revision=commit_of(source, cache_dir) or source.revision, files_metadata=True
        )
        commit, files = info.sha or "", {file.rfilename: file for file in info.siblings or ()}
        wanted = _wanted(source, files, half=half)
        entry: dict[str, Any] = {"commit": commit, "sizes": wanted}
        lock_source(source, cache_dir, entry)
        hashes = {name: lfs.sha256 for name in wanted if (lfs := getattr(files[name], "lfs", None))}
        _download(source, commit, wanted, hashes, cache_dir, token=token, report=report)
    except transport_errors as error:
        raise ModelError(
            f"{source.id} can't be fetched: {first_line(error)}. Is this machine online? The next job tries"
            " again."
        ) from error
    folder = _snapshot(source, commit, cache_dir)
    seen = {name: contents.signature(folder / name) for name in hashes if (folder / name).is_file()}
    lock_source(source, cache_dir, {**entry, "files": hashes, "seen": seen})
    complete = complete_snapshot(source, cache_dir)
    if complete is None:
        raise ModelError(
            f"{source.id} was fetched, but files are missing; its repository may not be a complete model."
        )
    return complete


def _wanted(source: ModelSource, files: Mapping[str, RepoSibling], *, half: bool) -> dict[str, int]:
    """Return the files worth having: name → bytes. Raises ModelError where no weights are safetensors."""
    wanted = choose_files(tuple(files), half=half)
    if not any(name.endswith(".safetensors") for name in wanted):
        raise ModelError(
            f"{source.id} has no safetensors weights; the other formats can run code and aren't loaded."
        )
    return {name: files[name].size or 0 for name in wanted}


def _download(
    source: ModelSource,
    commit: str,
    wanted: Mapping[str, int],
    hashes: Mapping[str, str],
    cache_dir: Path,
    *,
    token: str,
    report: Callable[[float], None],
) -> None:
    """Fetch the files of ``wanted`` (name → bytes), smallest first, and check each against its SHA-256."""
    from huggingface_hub import hf_hub_download

    folder, cache = _snapshot(source, commit, cache_dir), cache_folder(cache_dir)
    done, total = 0, sum(wanted.values()) or 1
    for name in sorted(wanted, key=wanted.__getitem__):
        meter = _meter(done, total, report)
        hf_hub_download(
            source.id, name, revision=commit, cache_dir=cache, token=token or None, tqdm_class=meter
        )
        contents.check_files(folder, {name: hashes[name]} if name in hashes else {}, {})
        done += wanted[name]
        report(done / total)


def _meter(done: int, total: int, report: Callable[[float], None]) -> type[tqdm]:
    """Return a progress bar that draws nothing and reports at most once a second. Without a sign for ten
    minutes a worker counts as hung; one large file on a slow line takes longer."""
    from tqdm import tqdm

    class Meter(tqdm):
        def __init__(self, *args: Any, initial: int = 0, **options: Any) -> None:
            options.pop("name", None)  # the hub's own bars take one
            super().__init__(*args, **{**options, "disable": True})
            self._came, self._said = initial, time.monotonic()

        def update(self, n: float | None = 1) -> None:
            self._came += int(n or 0)
            now = time.monotonic()
            if now >= self._said + REPORT_EVERY:
                self._said = now
                report(min(done + self._came, total) / total)

    return Meter


def choose_files(names: tuple[str, ...], *, half: bool) -> list[str]:
    """Return the files of a repository worth having: texts, and one set of safetensors weights for each
    folder that a family reads. half: prefer 16-bit weights. A diffusers repository (model_index.json) often
    has single-file checkpoints at its top, which aren't needed."""
    names = tuple(name for name in names if name.partition("/")[0] not in UNUSED)
    pipeline = "model_index.json" in names
    texts = [n for n in names if n.endswith(_TEXTS) and not n.endswith(".index.json") and n.count("/") <= 1]
    chosen = []
    for folder in sorted({n.rpartition("/")[0] for n in names if n.endswith(".safetensors")}):
        if pipeline == bool(folder) and not folder.count("/"):
            inside = [n for n in names if n.rpartition("/")[0] == folder]
            chosen += _weights(inside, pipeline=pipeline, half=half)
    return sorted(texts) + chosen


def _weights(inside: list[str], *, pipeline: bool, half: bool) -> list[str]:
    """Return one set of weights among the files of one folder."""
    files = [n for n in inside if n.endswith((".safetensors", ".safetensors.index.json"))]
    plain = [n for n in files if not _VARIANT.search(n)]
    fp16 = [n for n in files if ".fp16" in n and "non_ema" not in n]
    if not pipeline:  # beside the file with transformers' own name lie other libraries' copies
        plain = [n for n in plain if n.startswith("model")] or plain
    return (fp16 or plain) if half else (plain or fp16)


def find_downloaded(source: ModelSource, cache_dir: Path) -> Path | None:
    """Return the folder or file of a model that is complete on this machine, else None. Fetches nothing."""
    if source.kind == "package":
        return packaged.find_packaged(source.id, cache_dir)
    if source.kind == "program":
        return packaged.find_program(source.id)
    if source.path is None:
        return complete_snapshot(source, cache_dir)
    return source.path if source.path.exists() else None


def verify(source: ModelSource, path: Path, cache_dir: Path) -> None:
    """Raise ModelError, before anything is loaded, if ``path`` could run code, can't work, or is another."""
    if source.kind == "package":
        packaged.verify(path)
        return
    if source.kind == "program":
        return
    if path.is_dir():
        contents.check_folder(path)
    else:
        contents.check_file(path)
    check_pin(source, path, cache_dir)


def check_pin(source: ModelSource, path: Path, cache_dir: Path) -> None:
    """Raise ModelError if ``path`` isn't what was pinned or fetched. Enough for a LoRA or an adapter, whose
    contents have checks of their own."""
    if source.digest is not None:
        contents.check_digest(path, source.digest)
    if source.kind == "hub":
        entry = lock_entry(source, cache_dir)
        contents.check_files(path, entry.get("files", {}), entry.get("seen", {}))
