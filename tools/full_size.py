"""Writes a model's folder as a hub gives it, at its full size, with holes for weights.

    python -m tools.full_size FAMILY --out DIR [--fill random] [--dtype bfloat16]

Names, shapes, shards, index and the tokenizers' sizes are the real ones (``architectures.json``: the
repositories' own configurations, each with its source); matrices are holes of the file, so 57.7 GB take 22 MB
of a disk whose file system knows holes. ``--fill random`` draws them, for a machine with a card and room for
them.
"""

from __future__ import annotations

import argparse
import functools
import json
import string
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import diffusers.pipelines.ltx2 as ltx2
import numpy as np
import torch
import transformers
from huggingface_hub.serialization._base import split_state_dict_into_shards_factory
from transformers.core_model_loading import revert_weight_conversion

ARCHITECTURES = Path(__file__).with_name("architectures.json")
SHARD = "5GB"
POOL = 1 << 24  # random values, of which every matrix takes a piece
DTYPES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"}
ONES = ("running_var", "gamma")  # vectors that are 1 in a model that was never trained
SPECIAL = (  # tokens of Qwen's, in the order of their ids
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
QWEN_PLAIN = 151_643  # tokens before the special ones
PROCESSORS: dict[
    str, tuple[str, int, dict[str, int]]
] = {  # class → of videos, px of a patch, px of a picture
    "Qwen2VLProcessor": ("Qwen2VLVideoProcessor", 14, {"shortest_edge": 3136, "longest_edge": 12_845_056}),
    "Qwen3VLProcessor": ("Qwen3VLVideoProcessor", 16, {"shortest_edge": 65_536, "longest_edge": 16_777_216}),
}
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def write_rows(file: Path, rows: Mapping[str, Any]) -> None:
    """Write an object as JSON, one of its entries a line."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    file.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def read_architectures() -> dict[str, Any]:
    """Return what is known of each model, by the name that the command takes."""
    known: dict[str, Any] = json.loads(ARCHITECTURES.read_text(encoding="utf-8"))
    return known


def make_module(library: str, class_name: str, config: Mapping[str, Any]) -> torch.nn.Module:
    """Return a model of this architecture on the meta device: names, shapes and no memory."""
    given = {name: value for name, value in config.items() if name != "_class_name"}
    with torch.device("meta"):
        if library != "transformers":
            made = getattr(ltx2 if library == "ltx2" else diffusers, class_name).from_config(given)
        else:
            settings = transformers.AutoConfig.for_model(given.pop("model_type"), **given)
            made = getattr(transformers, class_name)._from_config(settings)
    return made


def count_weights(module: torch.nn.Module) -> int:
    """Return the number of weights, tied ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def write_model(
    family: str, folder: Path, dtype: torch.dtype = torch.bfloat16, *, fill: str = "hollow"
) -> None:
    """Write the folder of ``family``, which mustn't be there. fill: "hollow" or "random"."""
    known = read_architectures()[family]
    if "class" in known:  # a model that reads pictures
        config = known["config"]
        write_part(folder, make_module("transformers", known["class"], config), known["class"], dtype, fill)
        write_tokenizer(folder, "qwen", 151_936)
        return
    index = {
        "_class_name": known["pipeline"],
        "_diffusers_version": diffusers.__version__,
        **known["settings"],
    }
    for name, part in known["parts"].items():
        index[name] = [part["library"], part["class"]]
        if name == "scheduler":
            (folder / name).mkdir(parents=True)
            (folder / name / "scheduler_config.json").write_text(json.dumps(part["config"]))
        else:
            module = make_module(part["library"], part["class"], part["config"])
            write_part(folder / name, module, part["class"], dtype, fill)
    for name, tokenizer in known["tokenizers"].items():
        kind = tokenizer["class"]
        stands_in = kind in ("TokenizersBackend", "GemmaTokenizerFast")
        index[name] = ["transformers", "Qwen2Tokenizer" if stands_in else kind]
        write_tokenizer(folder / name, tokenizer["kind"], tokenizer["size"])
        if kind in PROCESSORS:
            write_processor(folder / name, kind)
    index |= dict.fromkeys(known["absent"], [None, None])
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))


def write_part(folder: Path, module: Any, class_name: str, dtype: torch.dtype, fill: str) -> None:
    """Write the weights and the configuration of one part of a model."""
    folder.mkdir(parents=True)
    is_text = isinstance(module, transformers.PreTrainedModel)
    weights = dict[str, torch.Tensor]()
    for name, weight in module.state_dict(keep_vars=True).items():
        if all(weight is not other for other in weights.values()):  # tied ones are written once
            weights[name] = weight
    if is_text:
        weights = revert_weight_conversion(module, weights)  # the names that the files have
    stem = "model" if is_text else "diffusion_pytorch_model"
    shards = split_state_dict_into_shards_factory(
        weights,
        get_storage_size=lambda weight: _bytes_of(weight, dtype),
        get_storage_id=lambda weight: None,
        filename_pattern=stem + "{suffix}.safetensors",
        max_shard_size=SHARD,
    )
    total = 0
    for file, names in shards.filename_to_tensors.items():
        total += write_weights(folder / file, {name: weights[name] for name in names}, dtype, fill)
    if shards.is_sharded:
        table = {"metadata": {"total_size": total}, "weight_map": shards.tensor_to_filename}
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(table, indent=2))
    if not is_text:
        module.save_config(folder)
        return
    module.config.architectures, module.config.dtype = [class_name], str(dtype).removeprefix("torch.")
    module.config.save_pretrained(folder)


def _bytes_of(weight: torch.Tensor, dtype: torch.dtype) -> int:
    return weight.numel() * (dtype.itemsize if weight.is_floating_point() else weight.element_size())


def write_weights(path: Path, weights: Mapping[str, torch.Tensor], dtype: torch.dtype, fill: str) -> int:
    """Write a safetensors file; returns the bytes of its weights. Vectors are written, matrices as ``fill``
    says."""
    places, end = dict[str, Any](), 0
    for name, weight in weights.items():
        kept, start = dtype if weight.is_floating_point() else weight.dtype, end
        end += _bytes_of(weight, dtype)
        places[name] = {"dtype": DTYPES[kept], "shape": list(weight.shape), "data_offsets": [start, end]}
    head = json.dumps({**places, "__metadata__": {"format": "pt"}}, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb", buffering=0) as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + end)
        for name, weight in weights.items():
            start, stop = places[name]["data_offsets"]
            file.seek(8 + len(head) + start)
            if weight.ndim <= 1 or not weight.is_floating_point():
                file.write(
                    _untrained(name, weight, dtype)
                    .contiguous()
                    .reshape(-1)
                    .view(torch.uint8)
                    .numpy()
                    .tobytes()
                )
            elif fill == "random":
                rows = weight.shape[0] if "embed" not in name else 1
                data = memoryview(_random(round(float(np.log2(weight.numel() / rows)) / -2), dtype))
                at = start * 7919 % (len(data) // 2) // 16 * 16  # elsewhere in the pool for each weight
                while start < stop:
                    start += file.write(data[at : at + stop - start])
                    at = 0
    return end


def _untrained(name: str, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the values of a vector: 1 for what scales, 0 for what is added, positions in order."""
    if not weight.is_floating_point():
        zeros = torch.zeros(weight.shape, dtype=weight.dtype)
        return torch.arange(weight.numel()).reshape(weight.shape) if "position_ids" in name else zeros
    last = name.rpartition(".")[2]
    return (torch.ones if last in ("weight", "scale", "logit_scale", *ONES) else torch.zeros)(
        weight.shape, dtype=dtype
    )


@functools.lru_cache(maxsize=6)
def _random(power: int, dtype: torch.dtype) -> bytes:
    """Return POOL normal values of deviation 2**power."""
    values = torch.randn(POOL, generator=torch.Generator().manual_seed(0)) * 2.0**power
    return values.to(dtype).view(torch.uint8).numpy().tobytes()


def write_tokenizer(folder: Path, kind: str, size: int) -> None:
    """Write a tokenizer of bytes without merges, with as many entries as the real one and its special tokens
    at their places. kind: "clip", "t5" or "qwen"."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs = [*map(chr, printable), *(chr(256 + n) for n in range(256 - len(printable)))]  # of byte-level BPE
    made: Any
    if kind == "clip":
        tokens = [*signs, *(sign + "</w>" for sign in signs)]
        tokens += [f"<unused{n}></w>" for n in range(size - 2 - len(tokens))] + [
            "<|startoftext|>",
            "<|endoftext|>",
        ]
        vocabulary = {token: n for n, token in enumerate(tokens)}
        made = transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
    elif kind == "t5":
        pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
        pieces += [(sign, -3.0) for sign in string.printable if sign.strip()]
        pieces += [(f"unused{n}", -20.0) for n in range(size - 84 - len(pieces))]
        made = transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)
    else:
        plain = min(QWEN_PLAIN, size - len(SPECIAL))
        tokens = [*signs, *(f"unused{n}" for n in range(plain - len(signs)))]
        made = transformers.Qwen2Tokenizer(vocab={token: n for n, token in enumerate(tokens)}, merges=[])
        made.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
        made.pad_token, made.chat_template = "<|endoftext|>", CHAT_TEMPLATE
    made.save_pretrained(folder)


def write_processor(folder: Path, class_name: str) -> None:
    """Write what prepares pictures, beside the tokenizer that is there. class_name: one of PROCESSORS."""
    video, patch, room = PROCESSORS[class_name]
    sizes = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2, "size": room}
    parts = transformers.Qwen2VLImageProcessor(**sizes), transformers.AutoTokenizer.from_pretrained(folder)
    videos = getattr(transformers, video)(**sizes)
    made = getattr(transformers, class_name)(*parts, videos, chat_template=CHAT_TEMPLATE)
    made.save_pretrained(folder)


def main() -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(
        description="Write a model's folder at its full size, without its weights."
    )
    parser.add_argument("family", choices=sorted(read_architectures()))
    parser.add_argument("--out", type=Path, required=True, help="a folder that isn't there yet")
    parser.add_argument("--fill", choices=("hollow", "random"), default="hollow", help="what matrices hold")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    given = parser.parse_args()
    write_model(given.family, given.out, getattr(torch, given.dtype), fill=given.fill)
    sizes = [path.stat() for path in given.out.rglob("*") if path.is_file()]
    size, used = sum(one.st_size for one in sizes), sum(one.st_blocks * 512 for one in sizes)
    print(f"{given.out}: {size / 1e9:.2f} GB, of which the disk has {used / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
