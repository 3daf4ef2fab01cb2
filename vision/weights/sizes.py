"""How much memory an image model's weights take, as they are or quantised: counted from the headers of its
files. Loads no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vision.weights import contents
from vision.weights.config_files import read_json

DENOISERS = ("transformer", "transformer_2", "unet")  # folders of a pipeline's denoiser, or its two
# kind → bytes of a quantised weight; each 64 of NF4 share a scale of 4 bytes (QLoRA, arXiv:2305.14314, 2)
QUANTIZED = {"int8": 1.0, "fp8": 1.0, "nf4": 0.5 + 4 / 64}
# in names of matrices that the libraries leave as they are: they look words up, or come last
KEPT = ("embed_tokens", "shared", "lm_head", "relative_attention_bias")


@dataclass(frozen=True)
class Sizes:
    """Bytes of a model's weights in memory: of all of its parts, and of the largest part."""

    total: int
    largest: int


@dataclass(frozen=True)
class Tensor:
    """Bytes of one tensor in memory. weights: how many it has, if it is a matrix that may be quantised."""

    part: str
    bytes: int
    weights: int = 0


def quantizable_parts(path: Path) -> tuple[str, ...]:
    """Return the parts of an image model that quantising makes smaller: the denoiser and large text encoders.

    CLIP's encoders are small, and what is quantised in its files stays so. One safetensors file with
    everything in it has no such parts, nor has a model whose card names a LoRA to be added to its weights; of
    a GGUF file, it is the text encoders beside it.
    """
    folder = path if path.is_dir() else contents.gguf_folder(path)
    if folder is None or read_json(folder / "atelier.json").get("merged_lora"):
        return ()
    index = read_json(folder / "model_index.json")
    return tuple(
        name
        for name, entry in sorted(index.items())
        if isinstance(entry, list)
        and (name.startswith("text_encoder") or (name in DENOISERS and folder == path))
        and not str(entry[1]).startswith("CLIP")
        and "quantization_config" not in read_json(folder / name / "config.json")
        and any((folder / name).glob("*.safetensors"))
    )


def sizes(path: Path, itemsize: int) -> dict[str, Sizes]:
    """Return kind of quantising, "off" among them → what the image model in ``path`` takes when its other
    floats have ``itemsize`` bytes each. Raises ModelError for a damaged file."""
    return of_tensors(_tensors(path, itemsize), quantizable_parts(path))


def of_tensors(tensors: Iterable[Tensor], quantizable: Collection[str]) -> dict[str, Sizes]:
    """Return kind of quantising, "off" among them → what these tensors take. quantizable: parts that can be
    quantised; without any, "off" is the only kind."""
    kinds = {"off": 0.0, **(QUANTIZED if quantizable else {})}
    found = {kind: Counter[str]() for kind in kinds}
    for tensor in tensors:
        for kind, per_weight in kinds.items():
            quantized = per_weight and tensor.weights and tensor.part in quantizable
            found[kind][tensor.part] += round(tensor.weights * per_weight) if quantized else tensor.bytes
    return {kind: Sizes(sum(parts.values()), max(parts.values(), default=0)) for kind, parts in found.items()}


def bytes_in_memory(path: Path, itemsize: int) -> int:
    """Return the bytes that the weights of ``path`` take once their floats are cast to ``itemsize`` bytes
    each."""
    return sum(tensor.bytes for tensor in _tensors(path, itemsize))


def _tensors(path: Path, itemsize: int) -> Iterator[Tensor]:
    for file in contents.weight_files(path):
        if file.parent == path / contents.MERGED:
            continue  # it takes no memory of its own once it is added
        if file.suffix == contents.GGUF:  # it stays as it is, and is unpacked where it is needed
            yield Tensor(DENOISERS[0], file.stat().st_size)
            continue
        # float8 is cast as other floats are, unless the model says that it computes with it as it is
        is_quantized = "quantization_config" in read_json(file.parent / "config.json")
        for name, entry in contents.header(file).items():
            if name != "__metadata__":
                part = name.partition(".")[0] if file == path else file.parent.name
                begin, end = entry["data_offsets"]
                stored = contents.FLOAT_SIZES.get(entry["dtype"])
                if is_quantized and entry["dtype"].startswith("F8"):
                    stored = None
                yield (
                    float_tensor(part, name, (end - begin) // stored, len(entry["shape"]), itemsize)
                    if stored
                    else Tensor(part, end - begin)
                )


def float_tensor(part: str, name: str, count: int, dimensions: int, itemsize: int) -> Tensor:
    """Return what ``count`` floats of ``itemsize`` bytes, called ``name`` in their part, are to a model."""
    is_matrix = dimensions == 2 and name.endswith(".weight") and not any(kept in name for kept in KEPT)
    return Tensor(part, count * itemsize, count if is_matrix else 0)
