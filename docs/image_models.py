"""The models of the profiles, whose memory ``docs.model_sizes`` counts.

Configurations are defaults of the installed classes, else those of diffusers' conversion scripts and of the
models' own config.json; ``PUBLISHED`` holds what their makers say, which the sums are compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
import transformers


def _kl(**more: Any) -> torch.nn.Module:
    blocks = {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
    }
    return diffusers.AutoencoderKL(**blocks, **more)


def _kl_16() -> torch.nn.Module:
    return _kl(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False)


def clip_l() -> torch.nn.Module:
    config = transformers.CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_attention_heads=12, projection_dim=768
    )
    return transformers.CLIPTextModelWithProjection(config)


def _clip_bigg() -> torch.nn.Module:
    size = {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
    }
    return transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**size, projection_dim=1280))


def t5_xxl() -> torch.nn.Module:
    size = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24}
    return transformers.T5EncoderModel(transformers.T5Config(**size, feed_forward_proj="gated-gelu"))


def _qwen3_4b(cls: Any) -> torch.nn.Module:
    size = {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_key_value_heads": 8}
    return cls(transformers.Qwen3Config(**size, num_attention_heads=32, tie_word_embeddings=True))


def _qwen2_5_vl_7b() -> torch.nn.Module:
    text = {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6},
    }
    look = {"hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584}
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=look, tie_word_embeddings=False)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def _sdxl_unet() -> torch.nn.Module:
    return diffusers.UNet2DConditionModel(
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def _sd3(layers: int, dual: int, positions: int) -> torch.nn.Module:
    return diffusers.SD3Transformer2DModel(
        num_layers=layers,
        num_attention_heads=layers,
        caption_projection_dim=64 * layers,
        pos_embed_max_size=positions,
        dual_attention_layers=tuple(range(dual)),
        qk_norm="rms_norm",
    )


def _klein() -> torch.nn.Module:
    return diffusers.Flux2Transformer2DModel(
        num_layers=5,
        num_single_layers=20,
        num_attention_heads=24,
        joint_attention_dim=7680,
        guidance_embeds=False,
    )


def _smolvlm2_500m() -> torch.nn.Module:
    text = {
        "model_type": "llama",
        "vocab_size": 49280,
        "hidden_size": 960,
        "intermediate_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 15,
        "num_key_value_heads": 5,
        "head_dim": 64,
    }
    look = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "image_size": 512}
    config = transformers.SmolVLMConfig(
        text_config=text, vision_config={**look, "patch_size": 16}, scale_factor=4, tie_word_embeddings=False
    )
    return transformers.SmolVLMForConditionalGeneration(config)


def _qwen3_vl_2b() -> torch.nn.Module:
    text = {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "rope_parameters": {"rope_type": "default", "mrope_section": [24, 20, 20], "rope_theta": 5e6},
    }
    look = {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "out_hidden_size": 2048,
        "deepstack_visual_indexes": [5, 11, 17],
    }
    config = transformers.Qwen3VLConfig(text_config=text, vision_config=look, tie_word_embeddings=True)
    return transformers.Qwen3VLForConditionalGeneration(config)


def _siglip2_base() -> torch.nn.Module:
    text = {"vocab_size": 256000, "max_position_embeddings": 64}
    return transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config={}))


@dataclass(frozen=True)
class Model:
    """One row. parts: name of a part → how it is built. steps: as its card has it. on_disk: bytes of a weight
    in the files, of parts that aren't stored in 16 bits."""

    name: str
    licence: str
    parts: dict[str, Callable[[], torch.nn.Module]]
    steps: str = ""
    on_disk: tuple[tuple[str, int], ...] = ()


COMMUNITY = "Stability Community (free under $1M a year), gated"
MODELS = (
    Model(
        "Stable Diffusion 1.5",
        "CreativeML OpenRAIL-M",
        {
            "unet": lambda: diffusers.UNet2DConditionModel(cross_attention_dim=768),
            "text_encoder": clip_l,
            "vae": _kl,
        },
        "30",
    ),
    Model(
        "SDXL base",
        "OpenRAIL++-M",
        {"unet": _sdxl_unet, "text_encoder": clip_l, "text_encoder_2": _clip_bigg, "vae": _kl},
        "30",
    ),
    Model(
        "SD 3.5 medium",
        COMMUNITY,
        {
            "transformer": lambda: _sd3(24, 13, 384),
            "text_encoder": clip_l,
            "text_encoder_2": _clip_bigg,
            "text_encoder_3": t5_xxl,
            "vae": _kl_16,
        },
        "28",
    ),
    Model(
        "SD 3.5 large",
        COMMUNITY,
        {
            "transformer": lambda: _sd3(38, 0, 192),
            "text_encoder": clip_l,
            "text_encoder_2": _clip_bigg,
            "text_encoder_3": t5_xxl,
            "vae": _kl_16,
        },
        "28",
    ),
    Model(
        "FLUX.2 klein 4B",
        "Apache-2.0",
        {
            "transformer": _klein,
            "text_encoder": lambda: _qwen3_4b(transformers.Qwen3ForCausalLM),
            "vae": diffusers.AutoencoderKLFlux2,
        },
        "4",
    ),
    Model(
        "Z-Image-Turbo",
        "Apache-2.0",
        {
            "transformer": diffusers.ZImageTransformer2DModel,
            "text_encoder": lambda: _qwen3_4b(transformers.Qwen3Model),
            "vae": _kl_16,
        },
        "9",
        (("transformer", 4),),
    ),
    Model(
        "Qwen-Image 2512",
        "Apache-2.0",
        {
            "transformer": diffusers.QwenImageTransformer2DModel,
            "text_encoder": _qwen2_5_vl_7b,
            "vae": diffusers.AutoencoderKLQwenImage,
        },
        "50, two passes each",
    ),
    Model("SigLIP2 base", "Apache-2.0", {"clip": _siglip2_base}, "", (("clip", 4),)),
    Model("SmolVLM2 500M", "Apache-2.0", {"caption": _smolvlm2_500m}, "", (("caption", 4),)),
    Model("Qwen3-VL 2B", "Apache-2.0", {"caption": _qwen3_vl_2b}),
)
# (model, part) → weights in billions, as published; what the sums of shapes are held against
PUBLISHED = {
    ("Stable Diffusion 1.5", "unet"): 0.860,
    ("SDXL base", "unet"): 2.57,
    ("SD 3.5 large", "transformer"): 8.06,
    ("SD 3.5 large", "text_encoder_3"): 4.76,
    ("FLUX.2 klein 4B", "transformer"): 3.88,
    ("Z-Image-Turbo", "transformer"): 6.15,
    ("Z-Image-Turbo", "text_encoder"): 4.02,
    ("Qwen-Image 2512", "transformer"): 20.43,
    ("Qwen-Image 2512", "text_encoder"): 8.29,
    ("SmolVLM2 500M", "caption"): 0.507,
    ("Qwen3-VL 2B", "caption"): 2.13,
}
