"""Tiny decoders (AutoencoderTiny: TAESD, TAESDXL, TAEF1, …), which the host sets up by family. Only drafts
are decoded by them."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny

from core.errors import ModelError
from vision.image_model import frames
from vision.weights import contents

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TinyDecoder:
    """A tiny decoder in memory. identity: where its weights came from, and their files' sizes and times."""

    vae: Any = field(repr=False)
    identity: str

    def replace_in(self, pipe: Any) -> Any:
        """Return a copy of ``pipe`` with this decoder in place of its VAE, so that latents are also unpacked
        at this decoder's scale."""
        pipe = copy.copy(pipe)
        vars(pipe)["vae"] = self.vae
        return pipe


def check(folder: Path, pipe: Any) -> None:
    """Raise ModelError when ``folder`` holds no tiny decoder, or one for other latents than those of
    ``pipe``."""
    config = contents.tiny_config(folder)
    if hasattr(pipe.vae, "bn") or frames.is_video(pipe.vae):
        raise ModelError(
            f"{folder.name}: latents of this family are normalised by the model's own decoder; no tiny one"
            " reads them."
        )
    channels, factor = (
        config.get("latent_channels", 4),
        2 ** (len(config.get("decoder_block_out_channels", [0] * 4)) - 1),
    )
    if channels != pipe.vae.config.latent_channels:
        raise ModelError(
            f"{folder.name} decodes latents of {channels} channels; this model's have"
            f" {pipe.vae.config.latent_channels}."
        )
    if factor != pipe.vae_scale_factor:
        raise ModelError(
            f"{folder.name} enlarges latents {factor} times; this model's {pipe.vae_scale_factor} times."
        )


def load(folder: Path, pipe: Any, device: str, dtype: torch.dtype) -> TinyDecoder:
    """Load the decoder in ``folder`` for ``pipe``. Raises ModelError when it doesn't fit, or some of its
    weights are missing."""
    check(folder, pipe)
    try:
        vae, info = AutoencoderTiny.from_pretrained(
            folder, use_safetensors=True, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        if "out of memory" in str(error).lower():
            raise
        raise ModelError(f"{folder.name} doesn't load as a tiny decoder.") from error
    if info["missing_keys"]:
        raise ModelError(f"{folder.name} lacks weights: {', '.join(sorted(info['missing_keys'])[:3])}.")
    return TinyDecoder(vae.to(device), contents.identity(folder))
