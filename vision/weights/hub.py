"""Models of the Hugging Face hub: where they lie on this machine, which commit was fetched, and how they are
fetched."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ModelError, first_line
from vision.weights import contents, trust
from vision.weights.sources import ModelSource

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

LOCK_FILE = "models.lock.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TEXTS = (".json", ".txt", ".model", ".jinja")  # configuration, vocabularies, sentencepiece, chat templates
_VARIANT = re.compile(r"\.(fp16|bf16|non_ema|ema)[.-]|non_ema")  # in names of files beside the plain ones


def cache_folder(cache_dir: Path) -> Path:
    """Return the folder of Hugging Face's cache: the host's own if the environment names one, else ours in
    ``cache_dir``."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name])
    return Path(os.environ["HF_HOME"]) / "hub" if os.environ.get("HF_HOME") else cache_dir / "hub"


# The lock file: which commit each source is, and the SHA-256 of its files


def lock_entry(source: ModelSource, cache_dir: Path) -> dict[str, Any]:
    """Return what the lock file remembers of ``source``: "commit", "files" (name → SHA-256) and "seen" (name
    → size and time); {} when it was never fetched."""
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
    return folder if folder.is_dir() and not contents.missing_files(folder) else None


def _snapshot(source: ModelSource, commit: str, cache_dir: Path) -> Path:
    return cache_folder(cache_dir) / f"models--{source.id.replace('/', '--')}" / "snapshots" / commit


def _locked(cache_dir: Path) -> dict[str, dict[str, Any]]:
    path = cache_dir / LOCK_FILE
    return json.loads(path.read_text()) if path.is_file() else {}


def _lock(source: ModelSource, commit: str, files: Mapping[str, str], cache_dir: Path) -> None:
    cache_dir.mkdir(parents=True, exist_ok=True)
    folder = _snapshot(source, commit, cache_dir)
    seen = {name: trust.signature(folder / name) for name in files if (folder / name).is_file()}
    entry = {"commit": commit, "files": dict(files), "seen": seen}
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

    try:
        info = HfApi(token=token or None).model_info(
            source.id, revision=commit_of(source, cache_dir) or source.revision, files_metadata=True
        )
        commit, files = info.sha or "", {file.rfilename: file for file in info.siblings or ()}
        hashes = _download(source, commit, files, cache_dir, token=token, half=half, report=report)
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"{source.id} can't be fetched: {first_line(error)}") from error
    _lock(source, commit, hashes, cache_dir)
    folder = complete_snapshot(source, cache_dir)
    if folder is None:
        raise ModelError(
            f"{source.id} was fetched, but files are missing; its repository may not be a complete model."
        )
    return folder


def _download(
    source: ModelSource,
    commit: str,
    files: Mapping[str, RepoSibling],
    cache_dir: Path,
    *,
    token: str,
    half: bool,
    report: Callable[[float], None],
) -> dict[str, str]:
    """Fetch the wanted files, smallest first, and check each against the SHA-256 that the hub states. Returns
    name → SHA-256 of those that have one."""
    from huggingface_hub import hf_hub_download

    wanted = choose_files(tuple(files), half=half)
    if not any(name.endswith(".safetensors") for name in wanted):
        raise ModelError(
            f"{source.id} has no safetensors weights; the other formats can run code and aren't loaded."
        )
    sizes = {name: files[name].size or 0 for name in wanted}
    hashes = {name: lfs.sha256 for name in wanted if (lfs := getattr(files[name], "lfs", None))}
    folder, cache = _snapshot(source, commit, cache_dir), cache_folder(cache_dir)
    done, total = 0, sum(sizes.values()) or 1
    for name in sorted(wanted, key=sizes.__getitem__):
        hf_hub_download(source.id, name, revision=commit, cache_dir=cache, token=token or None)
        trust.check_files(folder, {name: hashes[name]} if name in hashes else {}, {})
        done += sizes[name]
        report(done / total)
    return hashes


def choose_files(names: tuple[str, ...], *, half: bool) -> list[str]:
    """Return the files of a repository worth having: texts, and one set of safetensors weights for each
    folder.

    half: prefer 16-bit weights. A diffusers repository (model_index.json) often has single-file checkpoints
    at its top, which aren't needed.
    """
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
