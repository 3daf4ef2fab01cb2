"""Decodes latents to pictures with a model's VAE, also where memory is short or half precision overflows."""

from __future__ import annotations

import logging
from typing import Any

import torch
from PIL import Image

from core.errors import AtelierError
from vision import devices
from vision.image_model import frames, seamless
from vision.image_model.model import ImageModel
from vision.pictures import pixels

log = logging.getLogger(__name__)


class BlankPicture(AtelierError):
    """The decoder returned nothing but NaN or black, also in float32."""


@torch.no_grad()
def decode(
    model: ImageModel, pipe: Any, latents: torch.Tensor, is_seamless: bool = False
) -> tuple[Image.Image, bool]:
    """Decode (1, C, h, w) with the VAE of ``pipe``: the picture, and whether the model's safety checker
    objects.

    One picture at a time: less memory, and the same bits in any batch. is_seamless: opposite edges meet.
    Raises BlankPicture when no picture comes out.
    """
    vae, padded = pipe.vae, seamless.wrapped(latents) if is_seamless else latents
    if not latents.isfinite().all():
        raise BlankPicture(
            "The model lost itself in numbers that are none; another seed, sampler or fewer steps may help."
        )
    # SDXL's decoder overflows in float16
    upcast = vae.dtype == torch.float16 and getattr(vae.config, "force_upcast", False)
    decoded = _decode_as(vae, padded, torch.float32 if upcast else vae.dtype)
    if _is_blank(decoded) and not upcast and vae.dtype != torch.float32:
        log.warning("%s: a blank picture, decoding again in float32", model.name)
        decoded = _decode_as(vae, padded, torch.float32)
    if _is_blank(decoded):
        raise BlankPicture("The picture came out black; another seed or sampler may help.")
    if is_seamless:
        decoded = seamless.unwrapped(decoded, latents)
    flagged = False
    if getattr(pipe, "safety_checker", None) is not None:
        flagged = bool(pipe.run_safety_checker(decoded.clone(), pipe._execution_device, latents.dtype)[1][0])
    return Image.fromarray(pixels.to_uint8(decoded)[0]), flagged


def _decode_as(vae: Any, latents: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(1, C, h, w) → (1, 3, H, W), -1..1. If memory runs out, once more in tiles whose seams are blended, so
    that the steps aren't lost."""
    before = vae.dtype
    if dtype != before:
        vae.to(dtype)
    try:
        try:
            return frames.decode(vae, latents.to(dtype))
        except Exception as error:
            if not devices.is_out_of_memory(error) or not hasattr(vae, "enable_tiling"):
                raise
        log.warning("out of memory in the decoder, decoding in tiles from now on")
        devices.release()
        vae.enable_tiling()
        return frames.decode(vae, latents.to(dtype))
    finally:
        if dtype != before:
            vae.to(before)


def _is_blank(decoded: torch.Tensor) -> bool:
    return not bool(decoded.isfinite().all()) or bool((decoded <= -1 + 1 / 255).all())
