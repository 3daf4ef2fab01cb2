"""Encodes and decodes pictures with any VAE, and what may stand for its decoder: a tiny one (AutoencoderTiny:
TAESD, TAESDXL, TAEF1, …), which the host sets up by family and which decodes drafts alone; and, for cheap
previews of unfinished latents, a linear map to RGB."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny, FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import Tensor

from core.errors import ModelError
from vision import devices
from vision.weights import files


def pixels_of(decoded: Tensor) -> np.ndarray:
    """Return (B, 3, H, W) of -1..1 as (B, H, W, 3) uint8 in host memory: the same bits as diffusers'
    ``VaeImageProcessor.postprocess`` in float32. Works in place after the first copy: fresh temporaries of 12
    MB a megapixel cost four times the arithmetic."""
    levels = decoded.float().mul(0.5).add_(0.5).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def tensor_of(colours: np.ndarray) -> Tensor:
    """Return a picture (H, W, 3), uint8, as (1, 3, H, W) of -1..1, float32 in host memory."""
    return torch.from_numpy(colours.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


def is_video(vae: Any) -> bool:
    """Return whether ``vae`` takes (B, C, frames, h, w): its first layer is a convolution over time, too, or
    stands for one (Qwen-Image-2.1, whose videos have one frame)."""
    if hasattr(vae, "temperal_downsample"):
        return True
    kinds = (torch.nn.Conv2d, torch.nn.Conv3d)
    first = next((layer for layer in vae.modules() if isinstance(layer, kinds)), None)
    return isinstance(first, torch.nn.Conv3d)


def decode(vae: Any, latents: Tensor) -> Tensor:
    """Decode latents (B, C, h, w) to (B, 3, H, W), -1..1. What is transparent lies on white."""
    if not is_video(vae):
        return vae.decode(latents, return_dict=False)[0]
    decoded = vae.decode(latents[:, :, None], return_dict=False)[0][:, :, 0]
    if decoded.shape[1] == 4:  # Qwen-Image-2.1's
        decoded = 1 + (decoded[:, :3] - 1) * (decoded[:, 3:] + 1) / 2
    return decoded


@contextmanager
def tiled(vae: Any) -> Iterator[None]:
    """Have ``vae`` work in tiles inside the ``with`` block, with blended seams. diffusers' tiles are as large
    as the pictures that most decoders were made for, so that such a picture is one tile and saves nothing;
    these have half the side, a quarter of the memory."""
    sizes = ("tile_sample_min_size", "tile_latent_min_size")  # those of videos are small: 256 px
    before = {name: getattr(vae, name) for name in sizes if hasattr(vae, name)}
    vars(vae).update({name: size // 2 for name, size in before.items()})
    vae.enable_tiling()
    try:
        yield
    finally:
        vae.disable_tiling()
        vars(vae).update(before)


def encode_pixels(vae: Any, pixels: Tensor) -> Tensor:
    """Encode (B, 3, H, W), -1..1, to the likeliest latents (B, C, h, w)."""
    if getattr(getattr(vae, "config", None), "in_channels", 3) == 4:
        pixels = torch.cat([pixels, torch.ones_like(pixels[:, :1])], 1)  # which is opaque
    encoded = vae.encode(pixels[:, :, None] if is_video(vae) else pixels)
    latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    return latents[:, :, 0] if is_video(vae) else latents


@dataclass(frozen=True)
class TinyDecoder:
    """A tiny decoder in memory. identity: where its weights came from, and their files' sizes and times."""

    vae: Any = field(repr=False)
    identity: str

    def replace_in(self, pipe: Any) -> Any:
        """Return a copy of ``pipe`` with this decoder for its VAE, also where latents are unpacked."""
        pipe = copy.copy(pipe)
        vars(pipe)["vae"] = self.vae
        return pipe


def check_tiny_decoder(folder: Path, pipe: Any) -> None:
    """Raise ModelError when ``folder`` holds no tiny decoder for the latents of ``pipe``."""
    config = files.tiny_config(folder)
    if hasattr(pipe.vae, "bn") or is_video(pipe.vae):
        raise ModelError(
            f"{folder.name}: latents of this family are normalised by the model's own decoder; no tiny one"
            " reads them."
        )
    channels = config.get("latent_channels", 4)
    factor = 2 ** (len(config.get("decoder_block_out_channels", [0] * 4)) - 1)
    if channels != pipe.vae.config.latent_channels:
        raise ModelError(
            f"{folder.name} decodes latents of {channels} channels; this model's have"
            f" {pipe.vae.config.latent_channels}."
        )
    if factor != pipe.vae_scale_factor:
        raise ModelError(
            f"{folder.name} enlarges latents {factor} times; this model's {pipe.vae_scale_factor} times."
        )


def load_tiny_decoder(folder: Path, pipe: Any, device: str, dtype: torch.dtype) -> TinyDecoder:
    """Load the decoder in ``folder`` for ``pipe``. Raises ModelError when it doesn't fit or lacks weights."""
    check_tiny_decoder(folder, pipe)
    vae = load_whole(AutoencoderTiny, folder, f"{folder.name} doesn't load as a tiny decoder.", dtype)
    return TinyDecoder(vae.to(device), files.identity(folder))


def load_whole(kind: Any, folder: Path, problem: str, dtype: torch.dtype) -> Any:
    """Return the module of a class of diffusers in ``folder``. Raises ModelError when it doesn't load, with
    ``problem``, or lacks weights."""
    how = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    with devices.refusing(problem):
        module, info = kind.from_pretrained(folder, dtype=dtype, **how)
    if info["missing_keys"]:
        raise ModelError(f"{folder.name} lacks weights: {', '.join(sorted(info['missing_keys'])[:3])}.")
    return module


ENOUGH = 8  # latents for each channel, to fit a map of them


@dataclass(frozen=True)
class LatentMap:
    """RGB ≈ latents · weight + bias, for the decoder's input, RGB in 0..1. patch: px of a latent's side: 1,
    more where one stands for more than 8 px (LTX: 32). weight: (C, 3·patch²), bias: (3·patch²,)."""

    weight: Tensor
    bias: Tensor
    patch: int = 1

    @classmethod
    @torch.no_grad()
    def fit(cls, vae: Any, device: str) -> "LatentMap":
        """Fit the map by least squares to what the encoder makes of 16 pictures of soft and hard random
        patches: 128 px, or 512 px where these have too few latents for their channels."""
        latents, rgb = _encoded(vae, device, 128)
        patch = max(1, 128 // latents.shape[-1] // 8)
        if latents.numel() < ENOUGH * latents.shape[1] ** 2:
            latents, rgb = _encoded(vae, device, 512)
        sides = [patch * side for side in latents.shape[-2:]]
        small = torch.nn.functional.interpolate(rgb, size=sides, mode="area")  # (16, 3, h·p, w·p)
        if patch > 1:
            small = torch.nn.functional.pixel_unshuffle(small, patch)  # (16, 3·p², h, w)
        x = latents.permute(0, 2, 3, 1).flatten(0, 2)  # (N, C)
        y = small.permute(0, 2, 3, 1).flatten(0, 2)  # (N, 3·p²)
        x1 = torch.cat([x, torch.ones(len(x), 1)], 1).double()
        ridge = 1e-6 * x1.square().mean() * len(x1) * torch.eye(x1.shape[1], dtype=torch.double)
        solution = torch.linalg.solve(x1.T @ x1 + ridge, x1.T @ y.double()).float()  # (C + 1, 3·p²)
        return cls(solution[:-1], solution[-1], patch)

    def pictures(self, latents: Tensor) -> list[Image.Image]:
        """Convert latents (B, C, h, w), as the decoder takes them, to B small pictures of w·p × h·p px."""
        rgb = latents.float().cpu().permute(0, 2, 3, 1) @ self.weight + self.bias  # (B, h, w, 3·p²)
        if self.patch > 1:
            shuffled = torch.nn.functional.pixel_shuffle(rgb.permute(0, 3, 1, 2), self.patch)
            rgb = shuffled.permute(0, 2, 3, 1)
        return [Image.fromarray(a) for a in (rgb.nan_to_num(0.5).clamp(0, 1) * 255).byte().numpy()]


def _encoded(vae: Any, device: str, side: int) -> tuple[Tensor, Tensor]:
    """Return 16 pictures of random patches: latents (16, C, h, w) and RGB in 0..1 (16, 3, side, side)."""
    generator = torch.Generator().manual_seed(0)
    patches = torch.rand(16, 3, 4, 4, generator=generator)
    soft = torch.nn.functional.interpolate(patches[:8], size=side, mode="bilinear")
    hard = torch.nn.functional.interpolate(patches[8:], size=side, mode="nearest")
    rgb = torch.cat([soft, hard])
    return encode_pixels(vae, (rgb * 2 - 1).to(device, vae.dtype)).float().cpu(), rgb


def predicted(scheduler: Any, before: Tensor | None, after: Tensor) -> Tensor:
    """Return the noise-free latents x₀ that the last step predicted, from the latents before and after it;
    ``after``, scaled, when they can't be known. Multistep solvers keep their x₀. Elsewhere x = α·x₀ + σ·ε
    holds before and after with the same x₀ and ε, so x₀ = (σ₀·x₁ - σ₁·x₀') / (σ₀·α₁ - σ₁·α₀), with α = 1
    (variance exploding), 1 - σ (flow); exact for Euler's deterministic step."""
    outputs = [o for o in getattr(scheduler, "model_outputs", ()) or () if o is not None]
    if outputs and (
        getattr(scheduler.config, "predict_x0", False)
        or "++" in str(getattr(scheduler.config, "algorithm_type", ""))
    ):
        return outputs[-1]
    sigmas, index = getattr(scheduler, "sigmas", None), getattr(scheduler, "step_index", None)
    if sigmas is None or not index or index >= len(sigmas):
        return after
    flow = type(scheduler).__name__.startswith("FlowMatch")
    s0, s1 = sigmas[index - 1], sigmas[index]
    if isinstance(scheduler, FlowMatchEulerDiscreteScheduler) and before is not None:
        return (s0 * after - s1 * before) / (s0 - s1)  # on the device: a card isn't waited for
    if flow:
        return after
    s0, s1 = float(s0), float(s1)  # which lie in host memory
    if before is None or type(scheduler).__name__ != "EulerDiscreteScheduler" or s0 == s1:
        return after / (1 + s1**2) ** 0.5
    return (s0 * after - s1 * before) / (s0 - s1)
