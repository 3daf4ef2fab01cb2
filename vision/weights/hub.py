"""Models of the Hugging Face hub: where they lie on this machine, which commit was fetched, how they are
fetched; and whether a model of any kind is complete here and the one that was meant."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filelock import FileLock, Timeout

from core.errors import ModelError, NotFetched, first_line
from core.profiles import conditions
from vision.families import UNUSED
from vision.weights import files as contents
from vision.weights import packaged
from vision.weights.files import ModelSource

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

log = logging.getLogger(__name__)

FULL = (errno.ENOSPC, errno.EDQUOT)
LOCK_FILE = "models.lock.json"
REPORT_EVERY = 1.0  # seconds, while a file comes
# a file's name that leads nowhere but into its repository's folder
_INSIDE = re.compile(r"(?!\.\.?/)[\w .+@=,()\[\]-]+(/(?!\.\.?(/|$))[\w .+@=,()\[\]-]+)*")
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
    first byte comes), "files" (name → SHA-256) and "seen" (name → size and time); {} at first."""
    return _locked(cache_dir).get(source.key, {})


def commit_of(source: ModelSource, cache_dir: Path) -> str | None:
    """Return the commit of ``source``, as written or in the lock file; None while it isn't resolved."""
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
    if source.file:
        return folder / source.file if (folder / source.file).is_file() else None
    is_whole = folder.is_dir() and not contents.missing_files(folder, only=source.part)
    return folder if is_whole else None


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

PATIENCE = 30.0  # seconds without a byte
TRIES = 5  # in a row that bring no byte
PART = ".part"  # behind a file's name, while it comes
RESERVE = 10**9  # bytes of the disk that are left to others


def fetch(
    source: ModelSource,
    cache_dir: Path,
    *,
    token: str = "",
    half: bool = False,
    report: Callable[[float], None] = lambda fraction: None,
) -> Path:
    """Download a hub model once, note its commit, and return its snapshot's folder. What came is kept.

    half: take 16-bit files where there is a choice. report: called with the share of the bytes that has come,
    0..1. Raises NotFetched with a sentence while it can't be had, ModelError where it never can.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # httpx's HTTPError is among the bases; its ConnectError isn't an OSError
    transport_errors = cast("tuple[type[Exception], ...]", HfHubHTTPError.__bases__)
    endpoint = os.environ.get("HF_ENDPOINT") or None
    if asked := conditions(source.id):
        log.warning("%s: %s. Read https://huggingface.co/%s", source.id, asked, source.id)
    try:
        info = HfApi(endpoint=endpoint, token=token or None).model_info(
            source.id,
            revision=commit_of(source, cache_dir) or source.revision,
            files_metadata=True,
            timeout=PATIENCE,
        )
        commit, siblings = info.sha or "", info.siblings or ()
        if not _COMMIT.fullmatch(commit) or commit != (commit_of(source, cache_dir) or commit):
            raise ModelError(f"{source.id}: the hub names another commit than the one that is meant.")
        files = {file.rfilename: file for file in siblings if _INSIDE.fullmatch(file.rfilename)}
        folder = _snapshot(source, commit, cache_dir)
        with _Download(source.id, commit, folder, files, endpoint, token, report) as download:
            wanted = download.choose(source, half=half)
            entry: dict[str, Any] = {"commit": commit, "sizes": wanted}
            lock_source(source, cache_dir, entry)
            download.fetch(wanted)
            hashes = {name: found for name in wanted if (found := download.sha256(name))}
    except transport_errors as error:
        raise _unfetched(source, error) from error
    seen = {name: contents.signature(folder / name) for name in hashes}
    lock_source(source, cache_dir, {**entry, "files": hashes, "seen": seen})
    complete = complete_snapshot(source, cache_dir)
    if complete is None:
        raise ModelError(
            f"{source.id} was downloaded, but files are missing; its repository may not be a complete model."
        )
    return complete


def _unfetched(source: ModelSource, error: Exception) -> ModelError:
    """Return what is told, and what is to be done, when the hub or the disk has raised ``error``."""
    from huggingface_hub import errors

    name = source.id
    if isinstance(error, errors.OfflineModeIsEnabled):
        return ModelError(
            f"{name} isn't on this machine, and HF_HUB_OFFLINE forbids downloads: the operator can unset it,"
            f" or run `hf download {name}`."
        )
    if isinstance(error, errors.GatedRepoError):
        return NotFetched(
            f"{name} is given only to those who accept its licence: the operator needs to do so on"
            f" https://huggingface.co/{name} and to set HF_TOKEN."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(
            f"{name} has no revision {source.revision}: the operator needs to correct the setting."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelError(
            f"The hub has no {name}, or not for everyone: the operator needs to correct the setting, or to"
            " set HF_TOKEN."
        )
    if isinstance(error, errors.HfHubHTTPError):
        return NotFetched(f"{name} can't be downloaded now: the hub answers {error.response.status_code}.")
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        why = "the disk is full" if error.errno in FULL else error.strerror
        return NotFetched(
            f"{name} can't be stored: {why}. The operator needs to check the disk where models are kept."
        )
    proxy = " or its proxy (HTTPS_PROXY)" if os.environ.get("HTTPS_PROXY") else ""
    return NotFetched(
        f"{name} can't be downloaded: {first_line(error)}. The operator needs to check this machine's"
        f" network{proxy}."
    )


class _Download:
    """The files of one commit on their way. Only one process of a machine fetches them; another one reports
    how far it is. files: name → what the hub says of it."""

    def __init__(
        self,
        name: str,
        commit: str,
        folder: Path,
        files: Mapping[str, RepoSibling],
        endpoint: str | None,
        token: str,
        report: Callable[[float], None],
    ) -> None:
        from huggingface_hub.utils import build_hf_headers

        self._name, self._commit, self._folder, self._files = name, commit, folder, files
        self._endpoint, self._report = endpoint, report
        self._headers = {**build_hf_headers(token=token or False), "Accept-Encoding": "identity"}
        repository = folder.parent.parent
        self._lock = FileLock(repository.parent / ".locks" / repository.name / f"{commit}.lock")
        self._said = 0.0
        self._wanted: Mapping[str, int] = {name: file.size or 0 for name, file in files.items()}

    def __enter__(self) -> _Download:
        Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                self._lock.acquire(timeout=REPORT_EVERY)
                return self
            except Timeout:
                self._say()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def sha256(self, name: str) -> str:
        """Return the SHA-256 that the hub states of a large file, "" for a small one."""
        stated = getattr(self._files[name], "lfs", None)
        return stated.sha256 if stated else ""

    def choose(self, source: ModelSource, *, half: bool) -> dict[str, int]:
        """Return the files worth having, or those that are meant: name → bytes. Raises ModelError where one
        isn't there, or no weights are safetensors."""
        parts = None
        if file := source.file:
            if file not in self._files:
                raise ModelError(
                    f"{self._name} has no file {file}: the operator needs to correct the setting."
                )
            return {file: self._files[file].size or 0}
        if "model_index.json" in self._files:
            self._fetch("model_index.json")
            index = contents.read_json(self._folder / "model_index.json")
            parts = {name for name, entry in index.items() if isinstance(entry, list)}
        names = choose_files(tuple(self._files), half=half, parts=parts, only=source.part)
        if not any(name.endswith(".safetensors") for name in names):
            raise ModelError(
                f"{self._name} has no safetensors weights; the other formats can run code and aren't loaded."
            )
        return {name: self._files[name].size or 0 for name in names}

    def fetch(self, wanted: Mapping[str, int]) -> None:
        """Fetch files (name → bytes), smallest first. Raises NotFetched where the disk is too small."""
        self._wanted = wanted
        self._folder.mkdir(parents=True, exist_ok=True)
        needed = sum(wanted.values()) - sum(map(self._here, wanted)) + RESERVE
        if needed > RESERVE and needed > (free := shutil.disk_usage(self._folder).free):
            raise NotFetched(
                f"{self._name} needs {needed / 1e9:.1f} GB of disk where models are kept, and"
                f" {free / 1e9:.1f} GB are free: the operator needs to free some, or to set HF_HOME to a"
                " folder on a larger disk."
            )
        for name in sorted(wanted, key=wanted.__getitem__):
            self._fetch(name)
        self._report(1.0)

    def _here(self, name: str) -> int:
        path = self._folder / name
        found = next((one for one in (path, path.with_name(path.name + PART)) if one.is_file()), None)
        return found.stat().st_size if found else 0

    def _say(self) -> None:
        """Report how far all files are, at most once a second. Without a sign for ten minutes a worker counts
        as hung; one large file on a slow line takes longer."""
        if (now := time.monotonic()) >= self._said + REPORT_EVERY:
            self._said = now
            come = sum(min(self._here(name), size) for name, size in self._wanted.items())
            self._report(min(1.0, come / (sum(self._wanted.values()) or 1)))

    def _fetch(self, name: str) -> None:
        """Fetch a file, or what is missing of it, and check it. Raises NotFetched for one that came damaged,
        and the errors of transport and disk."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.errors import HfHubHTTPError

        transport = cast("type[Exception]", HfHubHTTPError.__bases__[0])
        path, size, tries = self._folder / name, self._files[name].size or 0, TRIES
        part = path.with_name(path.name + PART)
        if self._here(name) == size and path.is_file():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        url = hf_hub_url(self._name, name, revision=self._commit, endpoint=self._endpoint)
        while (begun := part.stat().st_size) < size:
            try:
                self._stream(url, part, begun)
                error: Exception = OSError("the connection ended early")
            except HfHubHTTPError:
                raise
            except transport as broken:
                error = broken
            tries = TRIES if part.stat().st_size > begun else tries - 1
            if not tries:
                raise error
        sha256 = self.sha256(name)
        if part.stat().st_size > size or (sha256 and contents.digest(part) != sha256):
            part.unlink()
            raise NotFetched(
                f"{self._name}: {name} arrived damaged. It was discarded and is downloaded again."
            )
        part.replace(path)

    def _stream(self, url: str, part: Path, begun: int) -> None:
        """Append to ``part`` what comes from byte ``begun`` on."""
        from huggingface_hub import get_session
        from huggingface_hub.utils import hf_raise_for_status

        headers = {**self._headers, **({"Range": f"bytes={begun}-"} if begun else {})}
        with get_session().stream("GET", url, headers=headers, timeout=PATIENCE) as response:
            hf_raise_for_status(response)
            with part.open("ab" if response.status_code == 206 else "wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
                    self._say()


def choose_files(
    names: tuple[str, ...], *, half: bool, parts: Collection[str] | None = None, only: str = ""
) -> list[str]:
    """Return the files of a repository worth having: texts, and one set of safetensors weights for each
    folder that a family reads, or the folder ``only``. half: prefer 16-bit weights. parts: of its pipeline;
    other folders aren't part of it. A diffusers repository (model_index.json) often has single-file
    checkpoints at its top, which aren't needed."""
    names = tuple(name for name in names if name.partition("/")[0] not in UNUSED)
    pipeline = "model_index.json" in names
    if parts is not None:
        folders = {"", contents.MERGED, "upscaler", *parts}
        names = tuple(name for name in names if name.rpartition("/")[0] in folders)
    texts = [n for n in names if n.endswith(_TEXTS) and not n.endswith(".index.json") and n.count("/") <= 1]
    chosen = []
    for folder in sorted({n.rpartition("/")[0] for n in names if n.endswith(".safetensors")}):
        if pipeline == bool(folder) and not folder.count("/") and only in ("", folder):
            inside = [n for n in names if n.rpartition("/")[0] == folder]
            chosen += _weights(inside, pipeline=pipeline, half=half)
    return sorted(texts) + chosen


def _weights(inside: list[str], *, pipeline: bool, half: bool) -> list[str]:
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
        contents.check_folder(path, only=source.part)
    else:
        contents.check_file(path)
    check_pin(source, path, cache_dir)


def check_pin(source: ModelSource, path: Path, cache_dir: Path) -> None:
    """Raise ModelError if ``path`` isn't what was pinned or fetched. Enough for a LoRA or an adapter."""
    if source.digest is not None:
        contents.check_digest(path, source.digest)
    if source.kind == "hub":
        entry = lock_entry(source, cache_dir)
        contents.check_files(
            path.parent if source.file else path, entry.get("files", {}), entry.get("seen", {})
        )
