"""SD 1.5, SDXL and FLUX.1 in their real sizes with random weights: what speed needs, without anybody's
weights. Tiny twins for a CPU.

Sizes: the configuration files of stable-diffusion-v1-5, stable-diffusion-xl-base-1.0 and FLUX.1-dev, as their
diffusers classes name them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests import tiny
from vision.families import FAMILIES
from vision.image_model.model import ImageModel
from vision.weights import card as cards

NAMES = {"sd15": "stable-diffusion", "sdxl": "stable-diffusion-xl", "flux": "flux"}
SIDES = {"sd15": 512, "sdxl": 1024, "flux": 1024}  # px
CLIP = {
    "bos_token_id": 512,
    "eos_token_id": 513,
    "pad_token_id": 513,
    "max_position_embeddings": 77,
}  # ids of our small tokenizer
CLIP_L = {
    **CLIP,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "projection_dim": 768,
}
CLIP_BIG_G = {
    **CLIP,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
KL = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
}


def image_model(name: str, device: str, dtype: torch.dtype, *, small: bool) -> ImageModel:
    """``name`` of NAMES on ``device``. small: the tests' tiny model of the same family."""
    family = next(family for family in FAMILIES if family.name == NAMES[name])
    base = tiny.IMAGE_MODELS[family.name]() if small else _assemble(name, dtype, device)
    card = cards.make(family, {}, tiny.CARD if small else {})
    return ImageModel(name, family, card, base.to(device, dtype), device, "none", name)


def _assemble(name: str, dtype: torch.dtype, device: str) -> Any:
    return {"sd15": _sd15, "sdxl": _sdxl, "flux": _flux}[name](lambda make: drawn(make, dtype, device))


def drawn(make: Callable[[], nn.Module], dtype: torch.dtype, device: str, seed: int = 0) -> nn.Module:
    """What ``make`` builds, its weights drawn normal: matrices so that they keep a signal's size, norms
    around 1, biases small. None is zero."""
    with torch.device("meta"):
        module = make()
    module = module.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(seed)
    for name, parameter in module.named_parameters():
        # a weight with one axis is a norm's
        spread, middle = (
            (parameter[0].numel() ** -0.5, 0.0)
            if parameter.ndim > 1
            else (0.02, float(name.endswith("weight")))
        )
        parameter.normal_(middle, spread, generator=generator)
    for name, buffer in module.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1], device=device).expand(buffer.shape))
        elif buffer.is_floating_point():
            buffer.normal_(0, 0.02, generator=generator)
    return module


def _sd15(draw: Callable) -> Any:
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    return StableDiffusionPipeline(
        vae=draw(lambda: AutoencoderKL(**KL, latent_channels=4, sample_size=512, scaling_factor=0.18215)),
        text_encoder=draw(lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L))),
        tokenizer=tiny.clip_tokenizer(),
        unet=draw(lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768)),
        scheduler=EulerDiscreteScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl(draw: Callable) -> Any:
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    unet = {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "cross_attention_dim": 2048,
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }
    return StableDiffusionXLPipeline(
        vae=draw(lambda: AutoencoderKL(**KL, latent_channels=4, sample_size=1024, scaling_factor=0.13025)),
        text_encoder=draw(lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L))),
        tokenizer=tiny.clip_tokenizer(),
        text_encoder_2=draw(lambda: CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_BIG_G))),
        tokenizer_2=tiny.clip_tokenizer(),
        unet=draw(lambda: UNet2DConditionModel(**unet)),
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )


def _flux(draw: Callable) -> Any:
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    t5 = {
        "d_model": 4096,
        "d_ff": 10240,
        "d_kv": 64,
        "num_layers": 24,
        "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
    }
    vae = {**KL, "latent_channels": 16, "sample_size": 1024, "scaling_factor": 0.3611, "shift_factor": 0.1159}
    return FluxPipeline(
        vae=draw(lambda: AutoencoderKL(**vae, use_quant_conv=False, use_post_quant_conv=False)),
        text_encoder=draw(lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L))),
        tokenizer=tiny.clip_tokenizer(),
        text_encoder_2=draw(lambda: T5EncoderModel(T5Config(**t5))),
        tokenizer_2=tiny.t5_tokenizer(),
        transformer=draw(lambda: FluxTransformer2DModel(guidance_embeds=True)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )
