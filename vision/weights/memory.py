"""How much memory a model takes: its weights, as they are or quantised, counted from the headers of its
files, and what it needs beside them, measured (``needs.json``); and how an image model is held on a device by
that: quantised or as it is, kept there or moved in part by part. Loads no torch."""

import functools
import importlib.util
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import ModelError
from vision.weights import card as cards
from vision.weights import files

DENOISERS = ("transformer", "transformer_2", "unet")  # folders of a pipeline's denoiser, or its two
# kind → bytes of a quantised weight. Each row, of a thousand and more, has a scale of 2 bytes; each 64 of NF4
# share one of 4 (QLoRA, arXiv:2305.14314, 2)
QUANTIZED = {"int8": 1 + 2 / 1024, "fp8": 1 + 2 / 1024, "nf4": 0.5 + 4 / 64}
# in names of matrices that the libraries leave as they are: they look words up, or come last
CARDS = ("cuda", "xpu")  # kinds of devices with a memory of their own
KEPT = ("embed_tokens", "shared", "lm_head", "relative_attention_bias")


RESERVE = 2**30  # bytes of a card beside all tensors: workspaces of its libraries, gaps between tensors
UNKNOWN = round(3.5 * 2**30)  # bytes: the largest need of one picture of 1 megapixel that was measured
NEEDS = Path(__file__).with_name("needs.json")  # made by ``python -m tools.memory_needs --write``


@dataclass(frozen=True)
class Needs:
    """Bytes that a model needs beside its weights for one picture or video of its native size. text: while it
    reads the words; step: in a pass; decode: while latents become pixels."""

    text: int
    step: int
    decode: int

    @property
    def most(self) -> int:
        """What it needs at most."""
        return max(self.text, self.step, self.decode)

    def of_part(self, name: str) -> int:
        """Return what a part of a pipeline needs while it works; of one that nobody knows, the most."""
        if name.startswith("text_encoder"):
            return self.text
        return self.step if name in DENOISERS else self.decode if name == "vae" else self.most


@dataclass(frozen=True)
class Sizes:
    """What a model takes in memory, in bytes. parts: the weights of each. needs: beside those. layers: the
    two largest tensors of each part, as it is."""

    parts: Mapping[str, int]
    needs: Needs
    layers: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Weights of all parts."""
        return sum(self.parts.values())

    @property
    def largest(self) -> int:
        """Weights of the largest part."""
        return max(self.parts.values(), default=0)

    def held(self, offload: str) -> int:
        """Return what lies on the device while no job works."""
        return sum(size for name, size in self.parts.items() if not _visits(name, offload))

    def working(self, offload: str) -> int:
        """Return what is on the device beside that while a job works, at most. Of layers that visit it, two
        are there at once: the next comes while one works."""
        visiting = self.parts if offload == "model" else self.layers
        # the parts of a single file have other names, and it works as long as another
        return max(
            self.needs.of_part(name) + (visiting.get(name, 0) if _visits(name, offload) else 0)
            for name in (*self.parts, "text_encoder", DENOISERS[0], "vae")
        )


def _visits(part: str, offload: str) -> bool:
    """Whether a part isn't kept on the device: layers come of the denoiser and of what reads alone."""
    return offload == "model" or (offload != "none" and (part in DENOISERS or "encoder" in part))


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
    folder = path if path.is_dir() else files.gguf_folder(path) or files.config_folder(path)
    pipeline = files.read_json(folder / "model_index.json").get("_class_name") if folder else None
    if pipeline is None and not path.is_dir():
        pipeline = cards.family_of_file(path).text
    return of_tensors(_tensors(path, itemsize), quantizable_parts(path), str(pipeline), itemsize)


def part_sizes(folder: Path, part: str, itemsize: int) -> dict[str, Sizes]:
    """Return ``sizes`` of one part of the pipeline in ``folder`` by itself."""
    return of_tensors(_tensors(folder / part, itemsize), (part,), "", itemsize)


def of_tensors(
    tensors: Iterable[Tensor], quantizable: Collection[str], pipeline: str, itemsize: int = 2
) -> dict[str, Sizes]:
    """Return kind of quantising, "off" among them → what these tensors take. quantizable: parts that can be
    quantised; without any, "off" is the only kind. pipeline: diffusers' class."""
    kinds = {"off": 0.0, **(QUANTIZED if quantizable else {})}
    found = {kind: Counter[str]() for kind in kinds}
    layers, unpacked = dict[str, tuple[int, ...]](), 0
    for tensor in tensors:
        for kind, per_weight in kinds.items():
            quantized = per_weight and tensor.weights and tensor.part in quantizable
            found[kind][tensor.part] += round(tensor.weights * per_weight) if quantized else tensor.bytes
        layers[tensor.part] = tuple(sorted((*layers.get(tensor.part, ()), tensor.bytes))[-2:])
        if tensor.weights and tensor.part in quantizable:  # for a product it becomes what it was
            unpacked = max(unpacked, tensor.bytes)
    plain = needs(pipeline, found["off"].total(), itemsize, found["off"]["vae"])
    packed = replace(plain, text=plain.text + unpacked, step=plain.step + unpacked)
    largest = {part: sum(two) for part, two in layers.items()}
    return {k: Sizes(dict(parts), packed if kinds[k] else plain, largest) for k, parts in found.items()}


@functools.cache
def _measured() -> dict[str, dict[str, Any]]:
    """What was measured: model → its pipeline's class, and bytes of its weights and of its needs."""
    known: dict[str, dict[str, Any]] = json.loads(NEEDS.read_text(encoding="utf-8"))
    return known


def needs(pipeline: str, weights: int, itemsize: int, vae: int = 0) -> Needs:
    """Return what a model of ``weights`` bytes needs whose pipeline is diffusers' class ``pipeline``. That
    was measured for some in 16 bits; of a class, those whose names begin alike are kin (``…Img2Img``), of
    which the one with the likest decoder counts, then the one of the likest size. Texts and passes of a
    larger model need more in proportion. Of all others the most is taken that anybody has seen.

    itemsize: bytes of a float in memory. vae: bytes of the decoder's part, 0 = unknown."""
    stem = pipeline.removesuffix("Pipeline")
    kin = [
        (
            len(own),
            -abs(vae - one["vae"] * itemsize // 2) if vae else 0,
            -abs(weights - one["weights"] * itemsize // 2),
            name,
        )
        for name, one in _measured().items()
        if stem.startswith(own := one["pipeline"].removesuffix("Pipeline"))
        and not stem[len(own) :][:1].isdigit()  # StableDiffusion3 is no StableDiffusion
    ]
    found = _measured()[max(kin)[-1]] if kin else {}
    if 4 * weights < found.get("weights", 0) * itemsize // 2 or not found:
        careful = max(weights // 4, min(weights, itemsize * UNKNOWN // 2))
        return Needs(careful // 4, careful, careful)
    share, half = max(itemsize / 2, weights / found["weights"]), itemsize / 2
    return Needs(round(share * found["text"]), round(share * found["step"]), round(half * found["decode"]))


def flops(repository: str, path: str = "") -> int:
    """Return the floating-point operations of a picture by a model of the hub, or by the folder ``path`` of
    one with the same pipeline and about as many weights; 0 = nobody has counted them."""
    for one in _measured().values():
        if "flops" in one and one["repository"] == repository:
            return int(one["flops"])
    named = files.read_json(Path(path) / "model_index.json").get("_class_name") if path else None
    weights = bytes_in_memory(Path(path), 2) if named else 0
    kin = [one for one in _measured().values() if "flops" in one and one["pipeline"] == named]
    return next((int(one["flops"]) for one in kin if 0.8 < weights / one["weights"] < 1.25), 0)


def bytes_in_memory(path: Path, itemsize: int) -> int:
    """Return the bytes that the weights of ``path`` take with floats of ``itemsize`` bytes each."""
    return sum(tensor.bytes for tensor in _tensors(path, itemsize))


CHAT_SHARE = 0.42  # of a card's memory, that a chat model's weights take at most where they can take less


def choose_for_chat(
    total: int, path: Path, itemsize: int, quantize: str = "auto", installed: Collection[str] = ()
) -> tuple[str, int]:
    """Return how the weights of the chat model in ``path`` are quantised on a card of ``total`` bytes, and
    the bytes that they take then: as they are, int8 or nf4, the first of these that leaves the models which
    draw their share, else the last. quantize: the setting. installed: see ``choose``."""
    tensors = list(_tensors(path, itemsize))
    found = "off", sum(tensor.bytes for tensor in tensors)
    if "quantization_config" in files.read_json(path / "config.json"):
        return found
    for kind in ("int8", "nf4"):
        if found[1] > CHAT_SHARE * total and kind in installed and quantize in ("auto", kind):
            sizes = (round(one.weights * QUANTIZED[kind]) if one.weights else one.bytes for one in tensors)
            found = kind, sum(sizes)
    return found


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
                size = entry["data_offsets"][1] - entry["data_offsets"][0]
                stored = files.FLOAT_SIZES.get(entry["dtype"])
                if stored and not (is_quantized and entry["dtype"].startswith("F8")):
                    yield float_tensor(part, name, size // stored, len(entry["shape"]), itemsize)
                else:
                    yield Tensor(part, size)


def float_tensor(part: str, name: str, count: int, dimensions: int, itemsize: int) -> Tensor:
    """Return what ``count`` floats of ``itemsize`` bytes, called ``name`` in their part, are to a model."""
    is_matrix = dimensions == 2 and name.endswith(".weight") and not any(kept in name for kept in KEPT)
    return Tensor(part, count * itemsize, count if is_matrix else 0)


WAYS = {
    "none": "all of it on the device",
    "model": "each part on the device while it is needed",
    "group": "each layer on the device while it is needed",
}


@dataclass(frozen=True)
class Plan:
    """How a model is held. quantize: off, int8, fp8 or nf4. offload: none, model (each part visits the card
    when it is needed) or group (each layer does, the next one on its way meanwhile)."""

    quantize: str = "off"
    offload: str = "none"

    def __str__(self) -> str:
        kind = "as it is" if self.quantize == "off" else f"quantised to {self.quantize}"
        return f"{kind}, {WAYS[self.offload]}"


# What "auto" tries, best first. INT8's pictures differ by less than the eye sees, so that it comes before
# moving parts about; NF4's are other pictures, so that it comes after. FP8 is as large as INT8 and further
# from the original.
ORDER = tuple(
    Plan(*plan.split("+"))
    for plan in "off+none int8+none off+model int8+model nf4+none nf4+model off+group".split()
)


def installed(device: str) -> frozenset[str]:
    """Return the kinds of quantising that can be had on ``device``: int8 and fp8 with torchao; nf4 with
    bitsandbytes, through which diffusers loads on cards only."""
    kinds = {"int8", "fp8"} if importlib.util.find_spec("torchao") else set()
    if device.startswith(CARDS) and importlib.util.find_spec("bitsandbytes"):
        kinds.add("nf4")
    return frozenset(kinds)


def lacks(device: str) -> str:
    """Return what it means that no library makes weights smaller on this card, "" where one does."""
    if not device.startswith("cuda") or installed(device):
        return ""
    return (
        "the extra quantize isn't installed: what doesn't fit on the card as it is is moved part by part,"
        " which is slow, and its jobs share no steps"
    )


def choose(
    device: str,
    free: int,
    sizes: Mapping[str, Sizes],
    *,
    quantize: str = "auto",
    offload: str = "auto",
    installed: Collection[str] = (),
    host: int = 1 << 60,
) -> Plan:
    """Return the first plan of ``ORDER`` that the settings allow and that fits into ``free`` bytes of the
    device, and into ``host`` bytes of the host's memory what isn't kept there; if none does, the last that
    they allow. sizes: see ``sizes``; a model whose weights can't be quantised has "off" only. quantize,
    offload: the settings, "auto" = free choice. installed: kinds of quantising whose library is there. Raises
    ModelError when what QUANTIZE names can't be had."""
    if quantize in QUANTIZED and quantize not in installed:
        raise ModelError(
            f"QUANTIZE={quantize} can't be used here: it needs `make setup"
            f" EXTRAS=quantize`{' and a graphics card' if quantize == 'nf4' else ''}."
        )
    kind = quantize if quantize in sizes else "off"
    if not device.startswith(CARDS):  # the device's memory is the host's
        return Plan("off" if quantize == "auto" else kind)
    ways = ("none", "model", "group") if kind == "off" else ("none", "model")
    allowed = [
        plan
        for plan in (ORDER if quantize == "auto" else [Plan(kind, way) for way in ways])
        if offload in ("auto", plan.offload)
        and (plan.quantize == "off" or plan.quantize in installed)
        and plan.quantize in sizes
    ]
    for plan in allowed:
        size = sizes[plan.quantize]
        needed = size.held(plan.offload) + size.working(plan.offload) + RESERVE
        if needed <= free and size.total - size.held(plan.offload) <= host:
            return plan
    return allowed[-1]
