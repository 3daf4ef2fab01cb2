"""Loads an image model from a folder or a single file, quantised where the plan says so: by diffusers' own
configurations, one for each part of a pipeline."""

import importlib
import importlib.util
import logging
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from core.errors import ModelError, first_line
from vision import devices
from vision.diffusion import loras
from vision.diffusion.model import FindLora, ImageModel, no_lora, visit_in_turn
from vision.engine import denoiser, layouts
from vision.families import Family
from vision.images import upscaler
from vision.weights import card as identify
from vision.weights import copies, files
from vision.weights.memory import Plan, quantizable_parts, sizes

LIBRARIES = {"diffusers": diffusers, "transformers": transformers}


def configuration(path: Path, kind: str, dtype: torch.dtype) -> Any:
    """Return the ``quantization_config`` with which the image model in ``path`` is loaded; None = as it is.
    kind: off, int8, fp8 or nf4. dtype: see ``devices.quantization``."""
    parts, folder = quantizable_parts(path), path if path.is_dir() else files.gguf_folder(path)
    if kind == "off" or not parts or folder is None:
        return None
    index = files.read_json(folder / "model_index.json")
    mapping = {part: devices.quantization(LIBRARIES[index[part][0]], kind, dtype) for part in parts}
    return diffusers.PipelineQuantizationConfig(quant_mapping=mapping)


# quant_method of quantised files, which is also the package → extra; others say what they lack
QUANTIZERS = {"torchao": "quantize", "bitsandbytes": "quantize", "sdnq": "sdnq"}


def check_quantized(folder: Path, name: str) -> None:
    """Raise ModelError, with advice, when a part in ``folder`` is quantised as can't be read here."""
    for path in sorted(folder.glob("*/config.json")):
        given = files.read_json(path).get("quantization_config") or {}
        four_or_eight = given.get("load_in_4bit") or given.get("load_in_8bit")
        method = given.get("quant_method") or ("bitsandbytes" if four_or_eight else "")
        part = f"{name}: its {path.parent.name} is quantised by {method}"
        if method == "nunchaku_lite":
            raise ModelError(
                f"{part}, whose products are code that diffusers would download from the hub and run;"
                " Atelier runs none. Take the model as it is, or one quantised by torchao, bitsandbytes or"
                " SDNQ."
            )
        if method in QUANTIZERS and not importlib.util.find_spec(method):
            extra = QUANTIZERS[method]
            raise ModelError(f"{part}, which needs `make setup EXTRAS={extra}`.")
        if method == "sdnq":
            importlib.import_module(method)  # which makes it known to transformers, for text encoders


log = logging.getLogger(__name__)


def place(pipe: Any, device: str, offload: str) -> None:
    """Put the weights of a pipeline where a plan has them. "group": a layer of the denoiser and of the text
    encoders comes to the device while the one before it computes; the decoder stays there."""
    if offload == "model":
        visit_in_turn(pipe, device)
    elif offload == "group":
        modules = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
        moved = {name for name in modules if "encoder" in name or name in denoiser.ATTRIBUTES}
        moved -= {name for name in moved if not getattr(modules[name], "_supports_group_offloading", True)}
        weights = sum(w.numel() * w.element_size() for name in moved for w in modules[name].parameters())
        pipe.enable_group_offload(
            torch.device(device),
            offload_type="leaf_level",
            use_stream=device != "cpu",
            # pinned copies take up to twice the weights' bytes; without these, one is made for each layer
            low_cpu_mem_usage=devices.memory("cpu")[0] < 2 * weights,
            exclude_modules=list(modules.keys() - moved),
        )
    else:
        pipe.to(device)


def load_image_model(
    path: Path,
    name: str,
    *,
    device: str,
    dtype: torch.dtype,
    plan: Plan,
    offline: bool,
    report: Callable[[float], None],
    find_lora: FindLora = no_lora,
    more: Mapping[str, Any] | None = None,
    kept: Path | None = None,
) -> ImageModel:
    """Load the folder or single file ``path``. Raises ModelError when its contents don't fit together. plan:
    whether it is quantised, and stays on the device. offline: fetch nothing, also no configuration of a
    single file. report: gets 0.9 once the weights are read. find_lora: see Loras. more: of its card. kept:
    the folder for copies of what is quantised here."""
    family, card = identify.family_and_card(path, more)
    check_quantized(path if path.is_dir() else path.with_suffix(""), name)
    with devices.refusing(f"{name} doesn't load", tells=True):
        pipe = _kept(family, path, dtype, plan.quantize, kept) if kept else None
        if pipe is None:
            pipe = _pipeline(family, path, dtype, plan.quantize, offline)
            if kept and plan.quantize != "off":
                _keep(pipe, path, dtype, plan.quantize, kept)
    if card.merged_lora:
        loras.merge(pipe, path if path.is_dir() else path.with_suffix(""), card.merged_lora)
    report(0.9)
    if dtype is torch.bfloat16 and getattr(pipe.vae.config, "force_upcast", False):
        # float16 overflows there; diffusers would encode in float32 all the same, with twice the memory
        pipe.vae.register_to_config(force_upcast=False)
    for part in filter(None, (denoiser.denoiser_of(pipe), getattr(pipe, "vae", None))):
        layouts.pack(part, device)
    place(pipe, device, plan.offload)
    if card.cache_threshold and not denoiser.enable(denoiser.denoiser_of(pipe), card.cache_threshold):
        log.warning("%s: its denoiser takes no cache; cache_threshold has no effect", name)
    identity = f"{files.identity(path)}{'' if plan.quantize == 'off' else f' {plan.quantize}'}"
    shared = files.shared_parts(path).get(upscaler.FOLDER)
    found = upscaler.load_upscaler(path if shared is None else shared.parent, card.output_scale, device)
    return ImageModel(name, family, card, pipe, device, plan.offload, identity, find_lora, found)


def kept_as(kind: str, dtype: torch.dtype) -> str:
    """Return what a copy of a quantised model depends on besides its files."""
    packages = ("torch", "diffusers", "transformers", "torchao", "bitsandbytes")
    there = {name: version(name) for name in packages if importlib.util.find_spec(name)}
    return f"{kind} {dtype} {there}"


def _kept(family: Family, path: Path, dtype: torch.dtype, kind: str, root: Path) -> Any:
    """The pipeline with quantised parts from a kept copy; None without one that loads, which is removed."""
    folder = copies.find(root, path, kept_as(kind, dtype)) if kind != "off" and path.is_dir() else None
    if folder is None:
        return None
    index, parts = files.read_json(path / "model_index.json"), dict[str, Any]()
    try:
        for part in quantizable_parts(path):
            library, name = index[part]
            parts[part] = _part(getattr(LIBRARIES[library], name), folder / part, dtype)
        return _from_folder(family, path, dtype, None, **parts)
    except Exception as error:
        if devices.is_out_of_memory(error):
            raise
        log.warning("the quantised copy of %s can't be used: %s", path.name, first_line(error))
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _keep(pipe: Any, path: Path, dtype: torch.dtype, kind: str, root: Path) -> None:
    """Keep a copy of the parts of ``pipe`` that were quantised, as safetensors."""
    parts = {name: pipe.components[name] for name in quantizable_parts(path)} if path.is_dir() else {}
    if not parts:
        return

    def save(folder: Path) -> None:
        for name, part in parts.items():
            part.save_pretrained(folder / name, safe_serialization=True)

    size = sizes(path, dtype.itemsize)[kind].total
    copies.write(root, path, kept_as(kind, dtype), size, save)


def _pipeline(family: Family, path: Path, dtype: torch.dtype, kind: str, offline: bool) -> Any:
    """The text-to-image pipeline of folder or file ``path``. kind: off, int8, fp8 or nf4."""
    config = configuration(path, kind, dtype)
    if path.is_dir():
        files.check_folder(path)
        return _from_folder(family, path, dtype, config)
    folder = files.gguf_folder(path)
    if folder is not None:
        return _from_folder(family, folder, dtype, config, **gguf_part(path, folder, dtype, family.title))
    cls, beside = _class(family, family.text), files.config_folder(path)
    if not hasattr(cls, "from_single_file"):
        raise ModelError(
            f"{family.title} can't be loaded from one file; name its folder or its Hugging Face id."
        )
    given = {"config": None if beside is None else str(beside), "dtype": dtype}
    return cls.from_single_file(str(path), **given, local_files_only=offline or beside is not None)


def gguf_part(path: Path, folder: Path, dtype: torch.dtype, title: str) -> dict[str, Any]:
    """Return the name of the part that the GGUF file ``path`` holds, and the part. folder: the rest of the
    model. Raises ModelError when it can't be loaded from such a file."""
    files.check_file(path)
    cls = getattr(diffusers, files.read_json(folder / "model_index.json")[files.GGUF_PART][1])
    if not hasattr(cls, "from_single_file"):
        raise ModelError(f"{title} can't be loaded from GGUF: diffusers has no way to.")
    how = {"config": str(folder), "subfolder": files.GGUF_PART, "local_files_only": True}
    quantized = diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
    part = cls.from_single_file(str(path), quantization_config=quantized, dtype=dtype, **how)
    return {files.GGUF_PART: part}


def _from_folder(family: Family, folder: Path, dtype: torch.dtype, config: Any, **parts: Any) -> Any:
    """The text-to-image pipeline; for a UNet of 9 channels the inpainting one. parts: loaded already."""
    masks = files.read_json(folder / "unet" / "config.json").get("in_channels") == 9
    index = files.read_json(folder / "model_index.json")
    # parts in folders beside it; of diffusers' own classes alone, which are all that has weights worth it
    shared = {
        name: _part(getattr(diffusers, index[name][1]), part, dtype)
        for name, part in files.shared_parts(folder).items()
        if name != upscaler.FOLDER
    }
    named = index.get("_class_name", "")  # of one that only edits, too: Qwen-Image-Edit has two
    edits = named if family.has_pipeline(named) else family.edit
    cls = _class(family, family.inpaint if masks else family.text or edits)
    return pretrained(cls, folder, dtype, config, **{**dict.fromkeys(family.unused), **shared, **parts})


def pretrained(cls: Any, folder: Path, dtype: torch.dtype, config: Any, **parts: Any) -> Any:
    """Return the pipeline or part of class ``cls`` in ``folder``. config: see ``configuration``. parts: of a
    pipeline, loaded already."""
    variant = files.variant(folder)
    how = {"variant": variant, "use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
    quantized = {} if config is None else {"quantization_config": config}
    return cls.from_pretrained(folder, dtype=dtype, **how, **quantized, **parts)


def _part(cls: Any, folder: Path, dtype: torch.dtype) -> Any:
    return cls.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)


def _class(family: Family, name: str | None) -> Any:
    if name is None:
        raise ModelError(f"{family.title} has no pipeline for this.")
    return getattr(diffusers, name)
