"""What lies in a model's folder or file: which weights, whether they are whole, and whether loading them
could run code. Reads the headers of weights, loads none."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from core.errors import ModelError
from vision.weights import trust
from vision.weights.config_files import read_json
from vision.weights.sources import PICKLES

MERGED = "lora"  # the folder of the LoRA that a model's card names, which is added to its weights
MAX_HEADER = 100 * 10**6  # bytes; the safetensors format's own limit
GGUF, GGUF_PART = ".gguf", "transformer"  # of such a file's name; the part of a pipeline that it holds
# dtype in a header → bytes
FLOAT_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}


def missing_files(folder: Path, without: str | None = None) -> list[str]:
    """Return the names of what the folder's own indexes list and it lacks. without: a part whose weights
    aren't needed."""
    missing = []
    for index in folder.rglob("*.safetensors.index.json"):
        if index.parent.name == without:
            continue
        shards = set(read_json(index).get("weight_map", {}).values())
        missing += [
            f"{index.parent.name}/{shard}" for shard in sorted(shards) if not (index.parent / shard).is_file()
        ]
    shared = trust.shared_parts(folder)
    for name, entry in read_json(folder / "model_index.json").items():
        if isinstance(entry, list) and len(entry) == 2 and entry[0]:
            part = shared.get(name, folder / name)
            if not part.is_dir():
                missing.append(name + "/")
            elif name != without and (part / "config.json").is_file() and not any(part.glob("*.safetensors")):
                missing.append(f"{name}/*.safetensors")  # a config.json is a model's; others have other names
    if not missing and not any(folder.rglob("*.safetensors")):
        missing.append("*.safetensors")
    return missing


def check_file(path: Path) -> None:
    """Raise ModelError with a sentence if the single file ``path`` is damaged, or a GGUF file lacks the rest
    of its model beside it."""
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


def check_folder(folder: Path, without: str | None = None) -> None:
    """Raise ModelError with a sentence if loading ``folder`` could run foreign code, or can't work. without:
    a part whose weights aren't needed."""
    if not folder.is_dir():
        raise ModelError(f"{folder.name}: no such folder.")
    trust.check_contents(folder)
    if not (folder / "model_index.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder.name} has neither model_index.json nor config.json; it isn't a Hugging Face model."
        )
    weights = weight_files(folder)
    if not weights and any(p.suffix in PICKLES for p in folder.rglob("*")):
        raise ModelError(
            f"{folder.name} has only pickled weights, which can run code; convert them to safetensors."
        )
    if missing := missing_files(folder, without):
        raise ModelError(f"{folder.name} is incomplete: {', '.join(missing[:3])} missing.")
    for path in weights:
        header(path)


def lora_file(path: Path) -> Path:
    """Return the file of the LoRA in folder or file ``path``. Raises ModelError when there isn't exactly
    one."""
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
    """Return a safetensors file's header: tensor name → {dtype, shape, data_offsets (bytes)}.

    Raises ModelError when the file is cut off or the header damaged.
    https://github.com/huggingface/safetensors#format
    """
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
    """Return the folder with the rest of the model whose transformer is the GGUF file ``path``; None for any
    other file."""
    return config_folder(path) if path.suffix == GGUF else None


def variant(folder: Path) -> str | None:
    """Return "fp16" if some component has only files of that variant, else None. Takes diffusers'
    ``variant``."""
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
        shared = [part for _, part in sorted(trust.shared_parts(path).items())]
        return [file for place in (path, *shared) for file in sorted(place.rglob("*.safetensors"))]
    folder = gguf_folder(path)
    beside = () if folder is None else folder.rglob("*.safetensors")
    return [path, *sorted(file for file in beside if file.parent.name != GGUF_PART)]


def identity(path: Path) -> str:
    """Return a text of where weights lie and their files' sizes and times: another one when they have
    changed."""
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
