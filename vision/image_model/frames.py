"""Encodes and decodes pictures with any VAE. One made for videos (Qwen-Image's) takes a picture as its first
and only frame."""

from __future__ import annotations

from typing import Any

import torch


def is_video(vae: Any) -> bool:
    """Return whether ``vae`` takes (B, C, frames, h, w): its first layer is a convolution over time, too."""
    kinds = (torch.nn.Conv2d, torch.nn.Conv3d)
    first = next((layer for layer in vae.modules() if isinstance(layer, kinds)), None)
    return isinstance(first, torch.nn.Conv3d)


def decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Decode latents (B, C, h, w) to (B, 3, H, W), -1..1."""
    if is_video(vae):
        return vae.decode(latents[:, :, None], return_dict=False)[0][:, :, 0]
    return vae.decode(latents, return_dict=False)[0]


def encode(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Encode (B, 3, H, W), -1..1, to the likeliest latents (B, C, h, w)."""
    encoded = vae.encode(pixels[:, :, None] if is_video(vae) else pixels)
    latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    return latents[:, :, 0] if is_video(vae) else latents
