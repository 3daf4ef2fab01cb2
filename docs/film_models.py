"""The film models whose memory ``docs.model_sizes`` counts, and how ``auto`` holds each on cards of 8 to 24
GB. Built like the image models there: from configurations, on torch's meta device."""

from __future__ import annotations

from typing import Any

import diffusers
import torch
import transformers

from docs.image_models import Model, clip_l, t5_xxl
from vision.weights import memory
from vision.weights.memory import QUANTIZED, Sizes

CARDS = (8, 12, 16, 24)  # GB of 2³⁰ bytes
TAKEN = 0.6  # of them by the driver and torch itself
WAYS = {"none": "", "model": ", by parts", "sequential": ", by layers"}


def _umt5_xxl() -> torch.nn.Module:
    size = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24}
    config = transformers.UMT5Config(vocab_size=256384, feed_forward_proj="gated-gelu", **size)
    return transformers.UMT5EncoderModel(config)


def _gemma3_12b() -> torch.nn.Module:
    text = {
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 256,
        "vocab_size": 262208,
    }
    look = {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
    }
    config = transformers.Gemma3Config(
        text_config=text, vision_config={**look, "image_size": 896, "patch_size": 14}
    )
    return transformers.Gemma3ForConditionalGeneration(config)


def _qwen2_5_7b() -> torch.nn.Module:
    size = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "vocab_size": 152064}
    heads = {"num_attention_heads": 28, "num_key_value_heads": 4}
    places = {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6}
    config = transformers.Qwen2_5_VLTextConfig(**size, **heads, rope_parameters=places)
    return transformers.Qwen2_5_VLTextModel(config)


def _byt5_small() -> torch.nn.Module:
    size = {"d_model": 1472, "d_ff": 3584, "d_kv": 64, "num_heads": 6, "num_layers": 12}
    config = transformers.T5Config(vocab_size=384, **size, feed_forward_proj="gated-gelu")
    return transformers.T5EncoderModel(config)


def _wan_5b() -> torch.nn.Module:
    return diffusers.WanTransformer3DModel(
        num_attention_heads=24, num_layers=30, ffn_dim=14336, in_channels=48, out_channels=48
    )


def _wan_5b_vae() -> torch.nn.Module:
    sizes = {"base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "patch_size": 2}
    return diffusers.AutoencoderKLWan(in_channels=12, out_channels=12, is_residual=True, **sizes)


def _wan(**more: Any) -> dict[str, Any]:
    return {"text_encoder": _umt5_xxl, "vae": diffusers.AutoencoderKLWan, **more}


MODELS = (
    Model(
        "AnimateDiff on Stable Diffusion 1.5",
        "Apache-2.0 (adapter)",
        {
            "unet": lambda: diffusers.UNet2DConditionModel(cross_attention_dim=768),
            "motion_adapter": diffusers.MotionAdapter,
            "text_encoder": clip_l,
            "vae": diffusers.AutoencoderKL,
        },
        "25",
    ),
    Model(
        "Wan 2.1 1.3B",
        "Apache-2.0",
        _wan(
            transformer=lambda: diffusers.WanTransformer3DModel(
                num_attention_heads=12, num_layers=30, ffn_dim=8960
            )
        ),
        "50, two passes each",
    ),
    Model(
        "LTX-Video 2B",
        "LTX open weights (free below a turnover)",
        {
            "transformer": diffusers.LTXVideoTransformer3DModel,
            "text_encoder": t5_xxl,
            "vae": diffusers.AutoencoderKLLTXVideo,
        },
        "50; distilled 8",
    ),
    Model(
        "CogVideoX 5B",
        "CogVideoX",
        {
            "transformer": lambda: diffusers.CogVideoXTransformer3DModel(
                num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True
            ),
            "text_encoder": t5_xxl,
            "vae": diffusers.AutoencoderKLCogVideoX,
        },
        "50, two passes each",
    ),
    Model(
        "HunyuanVideo 1.5",
        "Tencent Hunyuan Community (not for the EU, the UK and South Korea)",
        {
            "transformer": diffusers.HunyuanVideo15Transformer3DModel,
            "text_encoder": _qwen2_5_7b,
            "text_encoder_2": _byt5_small,
            "vae": diffusers.AutoencoderKLHunyuanVideo15,
        },
        "50, two passes each",
    ),
    Model(
        "Wan 2.2 TI2V 5B",
        "Apache-2.0",
        {"transformer": _wan_5b, "text_encoder": _umt5_xxl, "vae": _wan_5b_vae},
        "50, two passes each",
    ),
    Model(
        "Wan 2.1 14B",
        "Apache-2.0",
        _wan(transformer=diffusers.WanTransformer3DModel),
        "50, two passes each",
    ),
    Model(
        "Wan 2.2 A14B",
        "Apache-2.0",
        _wan(
            transformer=diffusers.WanTransformer3DModel,
            transformer_2=diffusers.WanTransformer3DModel,
        ),
        "40, two passes each",
    ),
    Model(
        "LTX-2 19B",
        "LTX-2 Community",
        {
            "transformer": diffusers.LTX2VideoTransformer3DModel,
            "text_encoder": _gemma3_12b,
            "vae": diffusers.AutoencoderKLLTX2Video,
            "audio_vae": diffusers.AutoencoderKLLTX2Audio,
        },
        "40; distilled 8",
    ),
)
# (model, part) → weights in billions, as published
PUBLISHED = {
    ("Wan 2.1 1.3B", "transformer"): 1.42,
    ("Wan 2.1 14B", "transformer"): 14.29,
    ("Wan 2.2 TI2V 5B", "transformer"): 5.00,
    ("LTX-Video 2B", "transformer"): 1.92,
    ("CogVideoX 5B", "transformer"): 5.57,
    ("LTX-2 19B", "transformer"): 18.9,
    ("HunyuanVideo 1.5", "transformer"): 8.3,
}


def on_cards(found: dict[str, Sizes]) -> list[str]:
    """Return how ``auto`` holds a model on each of ``CARDS`` with everything installed, in a word or two."""
    plans = (memory.choose("cuda", int((card - TAKEN) * 2**30), found, installed=QUANTIZED) for card in CARDS)
    return [f"{'16 bits' if plan.quantize == 'off' else plan.quantize}{WAYS[plan.offload]}" for plan in plans]
