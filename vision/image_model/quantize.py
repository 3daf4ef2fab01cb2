"""Quantised loading by diffusers' own configurations, one for each part of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from vision.weights import contents
from vision.weights.config_files import read_json
from vision.weights.sizes import quantizable_parts


def configuration(path: Path, kind: str, dtype: torch.dtype) -> Any:
    """Return the ``quantization_config`` with which the image model in ``path`` is loaded; None = as it is.

    kind: off, int8, fp8 or nf4. dtype: in which nf4's products are made.
    """
    parts, folder = quantizable_parts(path), path if path.is_dir() else contents.gguf_folder(path)
    if kind == "off" or not parts or folder is None:
        return None
    index = read_json(folder / "model_index.json")
    libraries = {"diffusers": diffusers, "transformers": transformers}
    mapping = {part: _part(libraries[index[part][0]], kind, dtype) for part in parts}
    return diffusers.PipelineQuantizationConfig(quant_mapping=mapping)


def _part(library: Any, kind: str, dtype: torch.dtype) -> Any:
    """Return ``library``'s configuration: weights alone are quantised, so that rows of a pass never count for
    each other."""
    if kind == "nf4":
        return library.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig

    return library.TorchAoConfig(Int8WeightOnlyConfig() if kind == "int8" else Float8WeightOnlyConfig())
