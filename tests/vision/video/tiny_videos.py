"""Tiny, seeded, randomly initialised models of every family of videos, saved as real Hugging Face folders.
Their videos are noise; their code paths are real."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.support import tiny

SIDE = 64  # px: native size of every tiny video model
CARD = {"native_size": SIDE, "num_inference_steps": 2}


def animatediff() -> Any:
    """Stable Diffusion with motion modules: 4-channel latents, 8 px a latent, a latent a frame."""
    from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter

    base = tiny.stable_diffusion()
    adapter = MotionAdapter(
        block_out_channels=(16, 32),
        motion_layers_per_block=1,
        motion_mid_block_layers_per_block=1,
        motion_norm_num_groups=8,
        motion_num_attention_heads=4,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False, steps_offset=1
    )
    return AnimateDiffPipeline(
        vae=base.vae,
        text_encoder=base.text_encoder,
        tokenizer=base.tokenizer,
        unet=base.unet,
        motion_adapter=adapter,
        scheduler=scheduler,
    )


def _t5(vocabulary: int | None = None) -> Any:
    from transformers import T5Config, T5EncoderModel

    size = vocabulary or len(tiny.t5_tokenizer())
    config = T5Config(vocab_size=size, d_model=32, d_ff=64, d_kv=8, num_layers=2, num_heads=4)
    return T5EncoderModel(config).eval()


def ltx_vae(**more: Any) -> Any:
    """16 px and 8 frames a latent; LTX's own is 32 px a latent."""
    from diffusers import AutoencoderKLLTXVideo

    torch.manual_seed(0)
    return AutoencoderKLLTXVideo(
        **{
            "latent_channels": 8,
            "block_out_channels": (8, 8, 8, 8),
            "decoder_block_out_channels": (8, 8, 8),
            "layers_per_block": (1, 1, 1, 1, 1),
            "decoder_layers_per_block": (1, 1, 1, 1),
            "spatio_temporal_scaling": (True, True, True, False),
            "decoder_spatio_temporal_scaling": (True, True, True),
            "decoder_inject_noise": (False, False, False, False),
            "upsample_residual": (False, False, False),
            "upsample_factor": (1, 1, 1),
            "timestep_conditioning": False,
            "patch_size": 2,
            "patch_size_t": 1,
            "encoder_causal": True,
            "decoder_causal": False,
            **more,
        }
    ).eval()


def ltx() -> Any:
    """A flow transformer on packed latents, with a time for each token."""
    from diffusers import FlowMatchEulerDiscreteScheduler, LTXConditionPipeline, LTXVideoTransformer3DModel

    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    return LTXConditionPipeline(
        transformer=transformer,
        vae=ltx_vae(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=_t5(),
        tokenizer=tiny.t5_tokenizer(),
    )


def _gemma(vocabulary: int) -> Any:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        "sliding_window": 32,
    }
    look = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
    }
    config = Gemma3Config(text_config=text, vision_config=look, mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config).eval()


def ltx2() -> Any:
    """Video and sound in one transformer: 16 px and 8 frames a latent, as LTX's own but for the sides."""
    from diffusers import (
        AutoencoderKLLTX2Audio,
        AutoencoderKLLTX2Video,
        FlowMatchEulerDiscreteScheduler,
        LTX2Pipeline,
        LTX2VideoTransformer3DModel,
    )
    from diffusers.pipelines.ltx2 import LTX2TextConnectors
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

    tokenizer = tiny.bpe_tokenizer()
    vae = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True),
        decoder_inject_noise=(False, False, False, False),
        downsample_type=("spatiotemporal", "spatiotemporal", "spatiotemporal", "spatial"),
        upsample_residual=(False, False, False),
        upsample_factor=(1, 1, 1),
        timestep_conditioning=False,
        patch_size=2,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    transformer = LTX2VideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        audio_in_channels=4,
        audio_out_channels=4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=2,
        qk_norm="rms_norm_across_heads",
        caption_channels=32,
        rope_double_precision=False,
        rope_type="split",
    )
    connectors = LTX2TextConnectors(
        caption_channels=32,
        text_proj_in_factor=3,
        video_connector_num_attention_heads=4,
        video_connector_attention_head_dim=8,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=None,
        audio_connector_num_attention_heads=4,
        audio_connector_attention_head_dim=8,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=None,
        connector_rope_base_seq_len=32,
        rope_theta=10000.0,
        rope_double_precision=False,
        causal_temporal_positioning=False,
        rope_type="split",
    )
    audio_vae = AutoencoderKLLTX2Audio(
        base_channels=4,
        output_channels=2,
        ch_mult=(1,),
        num_res_blocks=1,
        attn_resolutions=None,
        in_channels=2,
        resolution=32,
        latent_channels=2,
        norm_type="pixel",
        causality_axis="height",
        dropout=0.0,
        mid_block_add_attention=False,
        sample_rate=16000,
        mel_hop_length=160,
        is_causal=True,
        mel_bins=8,
    )
    vocoder = LTX2Vocoder(
        in_channels=16,
        hidden_channels=32,
        out_channels=2,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        leaky_relu_negative_slope=0.1,
        output_sampling_rate=16000,
    )
    return LTX2Pipeline(
        transformer=transformer,
        vae=vae,
        audio_vae=audio_vae,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=_gemma(max(len(tokenizer), 600)),
        tokenizer=tokenizer,
        connectors=connectors,
        vocoder=vocoder,
    )


def wan_vae(z_dim: int = 16, **more: Any) -> Any:
    """8 px and 4 frames a latent, causal."""
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    return AutoencoderKLWan(
        **{
            "base_dim": 3,
            "z_dim": z_dim,
            "dim_mult": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "temperal_downsample": [False, True, True],
            "latents_mean": [0.1] * z_dim,
            "latents_std": [1.5] * z_dim,
            **more,
        }
    ).eval()


def _wan_transformer(channels: int = 16, kind: str = "WanTransformer3DModel", **more: Any) -> Any:
    import diffusers

    return getattr(diffusers, kind)(
        **{
            "patch_size": (1, 2, 2),
            "num_attention_heads": 2,
            "attention_head_dim": 12,
            "in_channels": channels,
            "out_channels": 16,
            "text_dim": 32,
            "freq_dim": 256,
            "ffn_dim": 32,
            "num_layers": 2,
            "cross_attn_norm": True,
            "qk_norm": "rms_norm_across_heads",
            "rope_max_seq_len": 64,
            **more,
        }
    )


def _wan_parts() -> dict[str, Any]:
    from diffusers import UniPCMultistepScheduler
    from transformers import UMT5Config, UMT5EncoderModel

    size = len(tiny.t5_tokenizer())
    text = UMT5Config(vocab_size=size, d_model=32, d_ff=64, d_kv=8, num_layers=2, num_heads=4)
    return {
        "vae": wan_vae(),
        "scheduler": UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        "text_encoder": UMT5EncoderModel(text).eval(),
        "tokenizer": tiny.t5_tokenizer(),
    }


def wan() -> Any:
    """Wan 2.1, from words."""
    from diffusers import WanPipeline

    return WanPipeline(**_wan_parts(), transformer=_wan_transformer())


def wan_a14b() -> Any:
    """Wan 2.2 A14B, from words: two transformers, one for the high noise and one for the low."""
    from diffusers import WanPipeline

    second = _wan_transformer()
    return WanPipeline(
        **_wan_parts(), transformer=_wan_transformer(), transformer_2=second, boundary_ratio=0.875
    )


def wan_image() -> Any:
    """Wan 2.1, from a first picture."""
    from diffusers import WanImageToVideoPipeline
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    look = CLIPVisionConfig(**tiny.VISION, projection_dim=16)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    return WanImageToVideoPipeline(
        **_wan_parts(),
        transformer=_wan_transformer(36, image_dim=32),
        image_encoder=CLIPVisionModel(look),
        image_processor=CLIPImageProcessor(**sizes),
    )


def wan_first_last() -> Any:
    """Wan 2.1 FLF2V: between a first and a last picture, whose tokens have places."""
    pipe = wan_image()
    more = {"image_dim": 32, "pos_embed_seq_len": 34}
    pipe.register_modules(transformer=_wan_transformer(36, **more))
    return pipe


def wan_image_a14b() -> Any:
    """Wan 2.2 A14B, from pictures: two transformers, no encoder of pictures."""
    from diffusers import WanImageToVideoPipeline

    second = _wan_transformer(36)
    return WanImageToVideoPipeline(
        **_wan_parts(), transformer=_wan_transformer(36), transformer_2=second, boundary_ratio=0.9
    )


def wan_5b() -> Any:
    """Wan 2.2 TI2V-5B: 16 px a latent by a patched decoder, a time for each token."""
    from diffusers import WanPipeline

    parts = _wan_parts() | {
        "vae": wan_vae(
            8, patch_size=2, in_channels=12, out_channels=12, scale_factor_spatial=16, is_residual=True
        )
    }
    transformer = _wan_transformer(8, out_channels=8)
    return WanPipeline(**parts, transformer=transformer, expand_timesteps=True)


def wan_vace() -> Any:
    """Wan 2.1 VACE: what is known of a video, and where, as an input."""
    from diffusers import WanVACEPipeline

    more = {"vace_layers": [0], "vace_in_channels": 96}
    return WanVACEPipeline(
        **_wan_parts(), transformer=_wan_transformer(kind="WanVACETransformer3DModel", **more)
    )


def cogvideox_vae() -> Any:
    """8 px and 4 frames a latent, causal, two latents at a time."""
    from diffusers import AutoencoderKLCogVideoX

    torch.manual_seed(0)
    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    ).eval()


def _cogvideox_parts(channels: int, side: int = 4, **more: Any) -> dict[str, Any]:
    """side: of what it was trained on, in latents. 1.5 draws no video whose width or height is more."""
    from diffusers import CogVideoXDDIMScheduler, CogVideoXTransformer3DModel

    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=channels,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=32,
        num_layers=1,
        sample_width=side,
        sample_height=side,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        use_rotary_positional_embeddings=True,
        **more,
    )
    return {
        "tokenizer": tiny.t5_tokenizer(),
        "text_encoder": _t5(),
        "vae": cogvideox_vae(),
        "transformer": transformer,
        "scheduler": CogVideoXDDIMScheduler(),
    }


def cogvideox() -> Any:
    """CogVideoX, from words."""
    from diffusers import CogVideoXPipeline

    return CogVideoXPipeline(**_cogvideox_parts(4))


def cogvideox_second() -> Any:
    """CogVideoX 1.5, from words: patches are two latents deep."""
    from diffusers import CogVideoXPipeline

    return CogVideoXPipeline(**_cogvideox_parts(4, side=8, patch_size_t=2, patch_bias=False))


def cogvideox_image() -> Any:
    """CogVideoX I2V, from a first picture."""
    from diffusers import CogVideoXImageToVideoPipeline

    return CogVideoXImageToVideoPipeline(**_cogvideox_parts(8))


def hunyuan_vae() -> Any:
    """8 px and 4 frames a latent, causal, with attention over all frames."""
    from diffusers import AutoencoderKLHunyuanVideo15

    torch.manual_seed(0)
    return AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
    ).eval()


def _hunyuan_parts() -> dict[str, Any]:
    from diffusers import ClassifierFreeGuidance, FlowMatchEulerDiscreteScheduler
    from diffusers import HunyuanVideo15Transformer3DModel as Transformer
    from transformers import ByT5Tokenizer, Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

    tokenizer = tiny.qwen_tokenizer()
    text = Qwen2_5_VLTextConfig(
        **tiny.QWEN,
        vocab_size=len(tokenizer) + 4,
        num_hidden_layers=3,
        bos_token_id=None,
        eos_token_id=None,
        rope_parameters=tiny.ROPE,
    )
    transformer = Transformer(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=1,
        num_refiner_layers=1,
        text_embed_dim=16,
        text_embed_2_dim=32,
        image_embed_dim=32,
        rope_axes_dim=(2, 6, 8),
        target_size=SIDE,
    )
    return {
        "text_encoder": Qwen2_5_VLTextModel(text).eval(),
        "tokenizer": tokenizer,
        "transformer": transformer,
        "vae": hunyuan_vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=5.0),
        "text_encoder_2": _t5(384),
        "tokenizer_2": ByT5Tokenizer(),
        "guider": ClassifierFreeGuidance(guidance_scale=6.0),
    }


def hunyuan() -> Any:
    """HunyuanVideo 1.5, from words."""
    from diffusers import HunyuanVideo15Pipeline

    return HunyuanVideo15Pipeline(**_hunyuan_parts())


def hunyuan_image() -> Any:
    """HunyuanVideo 1.5, from a first picture."""
    from diffusers import HunyuanVideo15ImageToVideoPipeline
    from transformers import SiglipImageProcessor, SiglipVisionConfig, SiglipVisionModel

    return HunyuanVideo15ImageToVideoPipeline(
        **_hunyuan_parts(),
        image_encoder=SiglipVisionModel(SiglipVisionConfig(**tiny.VISION)).eval(),
        feature_extractor=SiglipImageProcessor(size={"height": 32, "width": 32}),
    )


VIDEO_MODELS: dict[str, Callable[[], Any]] = {
    "animatediff": animatediff,
    "ltx": ltx,
    "ltx2": ltx2,
    "wan": wan,
    "wan-a14b": wan_a14b,
    "wan-image": wan_image,
    "wan-first-last": wan_first_last,
    "wan-image-a14b": wan_image_a14b,
    "wan-5b": wan_5b,
    "wan-vace": wan_vace,
    "cogvideox": cogvideox,
    "cogvideox-1.5": cogvideox_second,
    "cogvideox-image": cogvideox_image,
    "hunyuan": hunyuan,
    "hunyuan-image": hunyuan_image,
}


def save(name: str, folder: Path) -> Path:
    """Write the tiny video model ``name`` into ``folder``, as a host's would lie there; return the folder."""
    torch.manual_seed(0)
    VIDEO_MODELS[name]().save_pretrained(folder)
    (folder / "atelier.json").write_text(json.dumps(CARD))
    return folder
