"""Which models are configured, where they lie, what they are and whether they are safe to load. Loads no
torch.

A model is a Hugging Face id at a revision (``owner/name@commit``), a local folder, or one ``.safetensors``
file. Only safetensors weights are ever read, and no folder that brings Python files: pickles and ``.py`` can
run code of their own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ModelError
from vision.families import FAMILIES, Family
from vision.weights import card as cards
from vision.weights import trust
from vision.weights.card import Card

log = logging.getLogger(__name__)

LOCK_FILE = "models.lock.json"
MAX_HEADER = 100 * 10**6  # bytes; the safetensors format's own limit
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_TEXTS = (".json", ".txt", ".model", ".jinja")  # configuration, vocabularies, sentencepiece, chat templates


@dataclass(frozen=True)
class ModelSource:
    """One configured model. kind: "hub", "folder" or "file". id: the hub's. revision: as written, None =
    none. path: of folder or file.
    digest: SHA-256 that its contents must have, None = not pinned."""

    spec: str
    kind: str
    id: str | None = None
    revision: str | None = None
    path: Path | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """What people call it: hub id, or the name of folder or file."""
        return self.id or (self.path.stem if self.kind == "file" else self.path.name)


def parse(spec: str) -> ModelSource:
    """Read a model's spec. ModelError when it is none of the three forms, or names a file that can run
    code."""
    place, digest = trust.split_pin(spec)
    path = Path(place).expanduser()
    if path.is_dir():
        return ModelSource(spec, "folder", path=path.resolve(), digest=digest)
    if path.suffix.lower() in _PICKLES:
        raise ModelError(f"{path.name}: only .safetensors files are loaded; this format can run code.")
    if path.suffix == ".safetensors":
        return ModelSource(spec, "file", path=path.resolve(), digest=digest)
    hub_id, _, revision = spec.partition("@")
    if _HUB_ID.fullmatch(hub_id) and not spec.startswith((".", "/", "~")):
        return ModelSource(spec, "hub", id=hub_id, revision=revision or None)
    if spec.startswith((".", "/", "~")):
        return ModelSource(spec, "folder", path=path.resolve(), digest=digest)
    raise ModelError(
        f"{spec!r} isn't a model: it takes owner/name@revision, a folder, or a .safetensors file."
    )


# Where a model lies


def hub_folder(cache_dir: Path) -> Path:
    """Hugging Face's cache if the host has set one, else a folder of ours."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name])
    return Path(os.environ["HF_HOME"]) / "hub" if os.environ.get("HF_HOME") else cache_dir / "hub"


def _locked(cache_dir: Path) -> dict[str, dict[str, str]]:
    path = cache_dir / LOCK_FILE
    return json.loads(path.read_text()) if path.is_file() else {}


def _lock(source: ModelSource, commit: str, files: Mapping[str, str], cache_dir: Path) -> None:
    """Remember which commit ``source`` is, and the SHA-256 of its files."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    folder = _snapshot(source, commit, cache_dir)
    seen = {name: trust.signature(folder / name) for name in files if (folder / name).is_file()}
    entry = {"commit": commit, "files": dict(files), "seen": seen}
    entries = {**_locked(cache_dir), f"{source.id}@{source.revision or 'main'}": entry}
    temporary = cache_dir / f"{LOCK_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(entries, indent=1, sort_keys=True))
    temporary.replace(cache_dir / LOCK_FILE)


def commit_of(source: ModelSource, cache_dir: Path) -> str | None:
    """The commit that ``source`` stands for: as written, or as the lock file remembers. None = not resolved
    yet."""
    if source.revision and _COMMIT.fullmatch(source.revision):
        return source.revision
    return _locked(cache_dir).get(f"{source.id}@{source.revision or 'main'}", {}).get("commit")


def find(source: ModelSource, cache_dir: Path) -> Path | None:
    """Folder or file of a model that is complete on this machine, else None. Nothing is fetched."""
    if source.kind != "hub":
        return source.path if source.path.exists() else None
    commit = commit_of(source, cache_dir)
    if commit is None:
        return None
    folder = _snapshot(source, commit, cache_dir)
    return folder if folder.is_dir() and not missing_files(folder) else None


def _snapshot(source: ModelSource, commit: str, cache_dir: Path) -> Path:
    return hub_folder(cache_dir) / f"models--{source.id.replace('/', '--')}" / "snapshots" / commit


def verify(source: ModelSource, path: Path, cache_dir: Path) -> None:
    """ModelError, before anything is loaded, if ``path`` could run code, can't work, or isn't what was pinned
    or fetched."""
    if path.is_dir():
        check_folder(path)
    else:
        header(path)
    check_pin(source, path, cache_dir)


def check_pin(source: ModelSource, path: Path, cache_dir: Path) -> None:
    """ModelError if ``path`` isn't what was pinned or fetched; for what has checks of its own (a LoRA, an
    adapter)."""
    if source.digest is not None:
        trust.check_digest(path, source.digest)
    if source.kind == "hub":
        entry = _locked(cache_dir).get(f"{source.id}@{source.revision or 'main'}", {})
        trust.check_files(path, entry.get("files", {}), entry.get("seen", {}))


def fetch(
    source: ModelSource,
    cache_dir: Path,
    *,
    token: str = "",
    half: bool = False,
    report: Callable[[float], None] = lambda f: None,
) -> Path:
    """Download a hub model once and remember its commit; returns the snapshot's folder. ``half``: 16-bit
    files where there is a choice.

    ``report`` gets 0..1 by bytes. ModelError with a sentence when the hub refuses or can't be reached.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        info = HfApi(token=token or None).model_info(
            source.id, revision=commit_of(source, cache_dir) or source.revision, files_metadata=True
        )
        sizes = {file.rfilename: file.size or 0 for file in info.siblings}
        wanted = choose_files(tuple(sizes), half=half)
        if not any(name.endswith(".safetensors") for name in wanted):
            raise ModelError(
                f"{source.id} has no safetensors weights; the other formats can run code and aren't loaded."
            )
        done, total = 0, sum(sizes[name] for name in wanted) or 1
        hashes = {
            file.rfilename: lfs.sha256
            for file in info.siblings
            if (lfs := getattr(file, "lfs", None)) and file.rfilename in wanted
        }
        for name in sorted(wanted, key=sizes.get):
            hf_hub_download(
                source.id, name, revision=info.sha, cache_dir=hub_folder(cache_dir), token=token or None
            )
            trust.check_files(
                _snapshot(source, info.sha, cache_dir), {name: hashes[name]} if name in hashes else {}, {}
            )
            done += sizes[name]
            report(done / total)
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"{source.id} can't be fetched: {_first_line(error)}") from error
    _lock(source, info.sha, hashes, cache_dir)
    folder = find(source, cache_dir)
    if folder is None:
        raise ModelError(
            f"{source.id} was fetched, but files are missing; its repository may not be a complete model."
        )
    return folder


def choose_files(names: tuple[str, ...], *, half: bool) -> list[str]:
    """The files of a repository worth having: texts, and one set of safetensors weights for each folder.

    A diffusers repository (model_index.json) often has single-file checkpoints at its top, which aren't
    needed.
    """
    pipeline = "model_index.json" in names
    texts = [n for n in names if n.endswith(_TEXTS) and not n.endswith(".index.json") and n.count("/") <= 1]
    chosen = []
    for folder in sorted({n.rpartition("/")[0] for n in names if n.endswith(".safetensors")}):
        if pipeline != bool(folder) or folder.count("/"):
            continue
        inside = [
            n
            for n in names
            if n.rpartition("/")[0] == folder and (n.endswith((".safetensors", ".safetensors.index.json")))
        ]
        plain = [
            n for n in inside if not re.search(r"\.(fp16|bf16|non_ema|ema)[.-]", n) and "non_ema" not in n
        ]
        fp16 = [n for n in inside if ".fp16" in n and "non_ema" not in n]
        if not pipeline and any(n.startswith("model") for n in plain):
            plain = [
                n for n in plain if n.startswith("model")
            ]  # beside transformers' own name lie other libraries' copies
        chosen += (fp16 or plain) if half else (plain or fp16)
    return sorted(texts) + chosen


# What is inside


def missing_files(folder: Path) -> list[str]:
    """What the folder's own indexes name and it lacks."""
    missing = []
    for index in folder.rglob("*.safetensors.index.json"):
        shards = set(read_json(index).get("weight_map", {}).values())
        missing += [
            f"{index.parent.name}/{shard}" for shard in sorted(shards) if not (index.parent / shard).is_file()
        ]
    for name, entry in read_json(folder / "model_index.json").items():
        if isinstance(entry, list) and len(entry) == 2 and entry[0] and not (folder / name).is_dir():
            missing.append(name + "/")
    if not missing and not any(folder.rglob("*.safetensors")):
        missing.append("*.safetensors")
    return missing


def check_folder(folder: Path) -> None:
    """ModelError with one sentence if loading ``folder`` could run foreign code, or can't work."""
    if not folder.is_dir():
        raise ModelError(f"{folder.name}: no such folder.")
    trust.check_contents(folder)
    if not (folder / "model_index.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder.name} has neither model_index.json nor config.json; it isn't a Hugging Face model."
        )
    weights = list(folder.rglob("*.safetensors"))
    if not weights and any(p.suffix in _PICKLES for p in folder.rglob("*")):
        raise ModelError(
            f"{folder.name} has only pickled weights, which can run code; convert them to safetensors."
        )
    if missing := missing_files(folder):
        raise ModelError(f"{folder.name} is incomplete: {', '.join(missing[:3])} missing.")
    for path in weights:
        header(path)


def lora_file(path: Path) -> Path:
    """The weights in folder or file ``path``, if they are a LoRA's. ModelError else."""
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    chosen = next(
        (file for file in files if file.name == "pytorch_lora_weights.safetensors"),
        files[0] if len(files) == 1 else None,
    )
    if chosen is None:
        raise ModelError(f"{path.name} has {len(files)} safetensors files; name the one that is the LoRA.")
    if not any("lora" in name.lower() for name in header(chosen)):
        raise ModelError(f"{chosen.name} isn't a LoRA.")
    return chosen


def header(path: Path) -> dict[str, Any]:
    """A safetensors file's header: tensor name → {dtype, shape, data_offsets}. ModelError if it isn't
    sane."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise ModelError(f"{path.name} isn't a safetensors file, or it is cut off.")
        try:
            data = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in data.items() if name != "__metadata__"]
            if not all(isinstance(end, int) and end >= 0 for end in ends):
                raise ValueError(ends)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IndexError) as error:
            raise ModelError(f"{path.name} has a damaged header.") from error
    needed = 8 + length + max(ends, default=0)
    if needed > size:
        raise ModelError(f"{path.name} is cut off: {size:,} bytes of {needed:,}.")
    return data


def family_of_folder(folder: Path) -> Family:
    """By ``_class_name`` in model_index.json; the last family of the tuple takes what no other does."""
    name = read_json(folder / "model_index.json").get("_class_name")
    if not isinstance(name, str):
        raise ModelError(
            f"{folder.name} isn't an image model: it has no model_index.json that names a pipeline."
        )
    return next((family for family in FAMILIES if name in family.pipelines), FAMILIES[-1])


def family_of_file(path: Path) -> Family:
    """By the names of its tensors, later families first: FLUX.2 has FLUX.1's and more."""
    names = header(path)
    for family in reversed(FAMILIES):
        if any(part in name for part in family.file_keys for name in names):
            return family
    raise ModelError(f"{path.name} is of no family that Atelier can load from one file.")


def config_folder(path: Path) -> Path | None:
    """Configuration and tokenizers of a single file: the folder of the same name beside it, if there is
    one."""
    folder = path.with_suffix("")
    return folder if (folder / "model_index.json").is_file() else None


def image_card(path: Path) -> tuple[Family, Card]:
    """Family and card of the image model in folder or file ``path``."""
    family = family_of_folder(path) if path.is_dir() else family_of_file(path)
    folder = path if path.is_dir() else config_folder(path)
    if folder is None:
        return family, cards.image_card(family, {}, {})
    configs = {p.parent.name: read_json(p) for p in folder.glob("*/config.json")} | {
        "model_index": read_json(folder / "model_index.json")
    }
    return family, cards.image_card(family, configs, cards.read(folder))


def variant(folder: Path) -> str | None:
    """ "fp16" if some component has only 16-bit files under that name, else None."""
    for part in (folder, *(p for p in folder.iterdir() if p.is_dir())):
        names = [p.name for p in part.glob("*.safetensors")]
        if any(".fp16" in n for n in names) and all(".fp16" in n for n in names):
            return "fp16"
    return None


def size(path: Path) -> int:
    """Bytes of the weights that loading reads."""
    return sum(p.stat().st_size for p in weight_files(path))


def weight_files(path: Path) -> list[Path]:
    """The safetensors files of folder or file ``path``, in a fixed order."""
    return [path] if path.is_file() else sorted(path.rglob("*.safetensors"))


def identity(path: Path) -> str:
    """Where weights come from, and their files' sizes and times: another text when they have changed."""
    files = [(file, file.stat()) for file in weight_files(path)]
    return f"{path} {[(file.name, stat.st_size, stat.st_mtime_ns) for file, stat in files]}"


def tiny_config(folder: Path) -> dict[str, Any]:
    """Of the AutoencoderTiny in ``folder``. ModelError when that is something else."""
    config = read_json(folder / "config.json") if folder.is_dir() else {}
    if config.get("_class_name") != "AutoencoderTiny":
        raise ModelError(
            f"{folder.name} isn't a tiny decoder: it takes a folder or a Hugging Face id of diffusers'"
            " AutoencoderTiny."
        )
    return config


# For people


@dataclass(frozen=True)
class ModelInfo:
    """One line of ``atelier models``. path: where it lies, "" = not here yet. bytes: of its weights. problem:
    "" = none seen."""

    role: str
    spec: str
    name: str
    kind: str
    path: str = ""
    family: str = ""
    bytes: int = 0
    notes: tuple[str, ...] = ()
    problem: str = ""


def describe_models(models: Mapping[str, str], cache_dir: Path) -> list[ModelInfo]:
    """What is configured, without loading or fetching anything. models: role → spec; "image v6" is one of
    IMAGE_MODELS, "tiny flux" a decoder for drafts of that family."""
    return [_describe(role, spec, cache_dir) for role, spec in models.items()]


def _describe(role: str, spec: str, cache_dir: Path) -> ModelInfo:
    try:
        source = parse(spec)
        _check_role(role)
    except ModelError as error:
        return ModelInfo(role, spec, spec, "?", problem=str(error))
    info = {"role": role, "spec": spec, "name": source.name, "kind": source.kind}
    path = find(source, cache_dir)
    if path is None:
        problem = (
            "isn't downloaded yet; the first job that needs it fetches it."
            if source.kind == "hub"
            else "no such file or folder."
        )
        return ModelInfo(**info, problem=problem)
    info |= {"path": str(path), "bytes": size(path)}
    try:
        if path.is_dir():
            check_folder(path)
        family, notes = _family_and_notes(role, path)
        return ModelInfo(**info, family=family, notes=notes)
    except ModelError as error:
        return ModelInfo(**info, problem=str(error))


def _family_and_notes(role: str, path: Path) -> tuple[str, tuple[str, ...]]:
    kind = role.partition(" ")[0]
    if kind == "tiny":
        return "AutoencoderTiny", (
            f"decodes --draft; latents of {tiny_config(path).get('latent_channels', 4)} channels",
        )
    if kind != "image":
        return str(read_json(path / "config.json").get("model_type", "?")), ()
    family, card = image_card(path)
    notes = [f"{card.native_size} px, {card.num_inference_steps} steps, guidance {card.guidance_scale:g}"]
    if card.output_scale > 1:
        notes.append(f"enlarged {card.output_scale}×")
    if card.negative == "none":
        notes.append("no negative prompt")
    notes.append(
        "jobs share steps"
        if family.shares_steps
        else "jobs run one after another: nobody knows whether these could share steps"
    )
    if family is FAMILIES[-1]:
        notes.append(
            f"{read_json(path / 'model_index.json').get('_class_name')} is none of the families known here;"
            " AutoPipeline is tried"
        )
    return family.title, tuple(notes)


def _check_role(role: str) -> None:
    kind, _, family = role.partition(" ")
    if kind == "tiny" and family not in (known := [one.name for one in FAMILIES[:-1]]):
        raise ModelError(f"there is no family {family}; it takes one of: {', '.join(known)}.")


def try_models(
    models: Mapping[str, str], cache_dir: Path, *, timeout: float = 600, **config: Any
) -> dict[str, str]:
    """Load each model in a process of its own; role → "" when it loaded, else why not. ``config``: more
    fields of WorkerConfig."""
    call = {"models": dict(models), "cache_dir": str(cache_dir), "device": "cpu", **config}
    lines = _probe(["load", json.dumps(call)], timeout)
    found = {line["role"]: line["problem"] for line in lines if "role" in line}
    return {
        role: found.get(role, "the process that tried it ended early; the log above may say why.")
        for role in models
    }


def probe_devices(timeout: float = 120) -> list[dict[str, Any]]:
    """Devices of this machine, looked at in a process of its own: [{"device", "name", "memory", "free"}],
    bytes."""
    return _probe(["devices"], timeout)


def _probe(arguments: list[str], timeout: float) -> list[dict[str, Any]]:
    root = Path(__file__).resolve().parent.parent
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH")))),
    }
    with contextlib.suppress(subprocess.TimeoutExpired):
        run = subprocess.run(
            [sys.executable, "-m", "vision.probe", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
        return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return []


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``, {} when there is no such file or it holds something else. ModelError when
    it isn't JSON."""
    try:
        data = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ModelError(f"{path.name} of {path.parent.name} isn't valid JSON.") from error
    return data if isinstance(data, dict) else {}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
