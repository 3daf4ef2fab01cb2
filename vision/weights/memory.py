"""How much memory an image model's weights take, as they are or quantised, counted from the headers of its
files; and how the model is held on a device by that: quantised or as it is, kept there or moved in part by
part. Loads no torch."""

import importlib.util
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError
from vision.weights import files

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
    a GGUF file, it is the text encoders beside it."""
    folder = path if path.is_dir() else files.gguf_folder(path)
    if folder is None or files.read_json(folder / "atelier.json").get("merged_lora"):
        return ()
    index = files.read_json(folder / "model_index.json")
    return tuple(
        name
        for name, entry in sorted(index.items())
        if isinstance(entry, list)
        and (name.startswith("text_encoder") or (name in DENOISERS and folder == path))
        and not str(entry[1]).startswith("CLIP")
        and "quantization_config" not in files.read_json(folder / name / "config.json")
        and any((folder / name).glob("*.safetensors"))
    )


def sizes(path: Path, itemsize: int) -> dict[str, Sizes]:
    """Return kind of quantising, "off" among them → what the image model in ``path`` takes when its other
    floats have ``itemsize`` bytes each. Raises ModelError for a damaged file."""
    return of_tensors(_tensors(path, itemsize), quantizable_parts(path))


def part_sizes(folder: Path, part: str, itemsize: int) -> dict[str, Sizes]:
    """Return ``sizes`` of one part of the pipeline in ``folder`` by itself."""
    return of_tensors(_tensors(folder / part, itemsize), (part,))


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
    """Return the bytes that the weights of ``path`` take with floats of ``itemsize`` bytes each."""
    return sum(tensor.bytes for tensor in _tensors(path, itemsize))


def _tensors(path: Path, itemsize: int) -> Iterator[Tensor]:
    for file in files.weight_files(path):
        if file.parent == path / files.MERGED:
            continue  # it takes no memory of its own once it is added
        if file.suffix == files.GGUF:  # it stays as it is, and is unpacked where it is needed
            yield Tensor(DENOISERS[0], file.stat().st_size)
            continue
        # float8 is cast as other floats are, unless the model says that it computes with it as it is
        is_quantized = "quantization_config" in files.read_json(file.parent / "config.json")
        for name, entry in files.header(file).items():
            if name != "__metadata__":
                part = name.partition(".")[0] if file == path else file.parent.name
                begin, end = entry["data_offsets"]
                stored = files.FLOAT_SIZES.get(entry["dtype"])
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


# weights × this must fit: activations, the decoder and the allocator's slack want room
MARGIN = 1.25


WAYS = {
    "none": "all of it on the device",
    "model": "each part on the device while it is needed",
    "sequential": "each layer on the device while it is needed",
}


@dataclass(frozen=True)
class Plan:
    """How a model is held. quantize: off, int8, fp8 or nf4. offload: none, model (each part visits the card
    when it is needed) or sequential (each layer does)."""

    quantize: str = "off"
    offload: str = "none"

    def __str__(self) -> str:
        kind = "as it is" if self.quantize == "off" else f"quantised to {self.quantize}"
        return f"{kind}, {WAYS[self.offload]}"


# What "auto" tries, best first. INT8's pictures differ by less than the eye sees, so that it comes before
# moving parts about; NF4's are other pictures, so that it comes after. FP8 is as large as INT8 and further
# from the original.
ORDER = (
    Plan("off", "none"),
    Plan("int8", "none"),
    Plan("off", "model"),
    Plan("int8", "model"),
    Plan("nf4", "none"),
    Plan("nf4", "model"),
    Plan("off", "sequential"),
)


def installed(device: str) -> frozenset[str]:
    """Return the kinds of quantising that can be had on ``device``: int8 and fp8 with torchao; nf4 with
    bitsandbytes, through which diffusers loads on cards only."""
    kinds = {"int8", "fp8"} if importlib.util.find_spec("torchao") else set()
    if device.startswith("cuda") and importlib.util.find_spec("bitsandbytes"):
        kinds.add("nf4")
    return frozenset(kinds)


def choose(
    device: str,
    free: int,
    sizes: Mapping[str, Sizes],
    *,
    quantize: str = "auto",
    offload: str = "auto",
    installed: Collection[str] = (),
) -> Plan:
    """Return the first plan of ``ORDER`` that the settings allow and that fits into ``free`` bytes; if none
    does, the last that they allow. sizes: see ``sizes``; a model whose weights can't be quantised has "off"
    only. quantize, offload: the settings, "auto" = free choice. installed: kinds of quantising whose library
    is there. Raises ModelError when what QUANTIZE names can't be had."""
    if quantize in QUANTIZED and quantize not in installed:
        raise ModelError(
            f"QUANTIZE={quantize} can't be had here: it needs `make setup EXTRAS=quantize`"
            f"{' and a graphics card' if quantize == 'nf4' else ''}."
        )
    kind = quantize if quantize in sizes else "off"
    if not device.startswith("cuda"):
        is_resident = device == "cpu" or device.startswith("mps") or offload == "auto"
        return Plan("off" if quantize == "auto" else kind, "none" if is_resident else offload)
    ways = ("none", "model", "sequential") if kind == "off" else ("none", "model")
    allowed = [
        plan
        for plan in (ORDER if quantize == "auto" else [Plan(kind, way) for way in ways])
        if offload in ("auto", plan.offload)
        and (plan.quantize == "off" or plan.quantize in installed)
        and plan.quantize in sizes
    ]
    for plan in allowed:
        size = sizes[plan.quantize]
        # bytes that must be free on the card; of a sequential plan, next to nothing
        if MARGIN * {"none": size.total, "model": size.largest}.get(plan.offload, 0) <= free:
            return plan
    return allowed[-1]
