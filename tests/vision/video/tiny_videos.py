"""Tiny, seeded, randomly initialised models of every family of videos, saved as real Hugging Face folders.
Their videos are noise; their code paths are real."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from tests.support import tiny

SIDE = 64  # px: native size of every tiny video model
CARD = {"native_size": SIDE, "num_inference_steps": 2}
LTX_VAE = {
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
}


def animatediff() -> Any:
    """Stable Diffusion with motion modules: 4-channel latents, 8 px a latent, a latent a frame."""
    base = tiny.stable_diffusion()
    adapter = diffusers.MotionAdapter(
        block_out_channels=(16, 32),
        motion_layers_per_block=1,
        motion_mid_block_layers_per_block=1,
        motion_norm_num_groups=8,
        motion_num_attention_heads=4,
    )
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False, steps_offset=1
    )
    return diffusers.AnimateDiffPipeline(
        vae=base.vae,
        text_encoder=base.text_encoder,
        tokenizer=base.tokenizer,
        unet=base.unet,
        motion_adapter=adapter,
        scheduler=scheduler,
    )


def _t5(vocabulary: int | None = None) -> Any:
    size = vocabulary or len(tiny.t5_tokenizer())
    config = transformers.T5Config(vocab_size=size, d_model=32, d_ff=64, d_kv=8, num_layers=2, num_heads=4)
    return transformers.T5EncoderModel(config).eval()


def ltx_vae(**more: Any) -> Any:
    """16 px and 8 frames a latent; LTX's own is 32 px a latent."""
    torch.manual_seed(0)
    return diffusers.AutoencoderKLLTXVideo(**{**LTX_VAE, "latent_channels": 8, **more}).eval()


def ltx() -> Any:
    """A flow transformer on packed latents, with a time for each token."""
    transformer = diffusers.LTXVideoTransformer3DModel(
        **dict(in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=4),
        **dict(attention_head_dim=8, cross_attention_dim=32, num_layers=1, caption_channels=32),
    )
    return diffusers.LTXConditionPipeline(
        transformer=transformer,
        vae=ltx_vae(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        text_encoder=_t5(),
        tokenizer=tiny.t5_tokenizer(),
    )


def _gemma(vocabulary: int) -> Any:
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
    config = transformers.Gemma3Config(text_config=text, vision_config=look, mm_tokens_per_image=4)
    return transformers.Gemma3ForConditionalGeneration(config).eval()


def ltx2() -> Any:
    """Video and sound in one transformer: 16 px and 8 frames a latent, as LTX's own but for the sides."""
    from diffusers.pipelines.ltx2 import LTX2TextConnectors
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

    tokenizer = tiny.bpe_tokenizer()
    downsampling = ("spatiotemporal", "spatiotemporal", "spatiotemporal", "spatial")
    vae = diffusers.AutoencoderKLLTX2Video(**LTX_VAE, latent_channels=4, downsample_type=downsampling)
    transformer = diffusers.LTX2VideoTransformer3DModel(
        **dict(in_channels=4, out_channels=4, patch_size=1, patch_size_t=1, num_attention_heads=2),
        **dict(attention_head_dim=8, cross_attention_dim=16, audio_in_channels=4, audio_out_channels=4),
        **dict(audio_num_attention_heads=2, audio_attention_head_dim=4, audio_cross_attention_dim=8),
        **dict(num_layers=2, qk_norm="rms_norm_across_heads", caption_channels=32),
        **dict(rope_double_precision=False, rope_type="split"),
    )
    connectors = LTX2TextConnectors(
        **dict(caption_channels=32, text_proj_in_factor=3, video_connector_num_attention_heads=4),
        **dict(video_connector_attention_head_dim=8, video_connector_num_layers=1),
        **dict(video_connector_num_learnable_registers=None, audio_connector_num_attention_heads=4),
        **dict(audio_connector_attention_head_dim=8, audio_connector_num_layers=1),
        **dict(audio_connector_num_learnable_registers=None, connector_rope_base_seq_len=32),
        **dict(rope_theta=10000.0, rope_double_precision=False, causal_temporal_positioning=False),
        **dict(rope_type="split"),
    )
    audio_vae = diffusers.AutoencoderKLLTX2Audio(
        **dict(base_channels=4, output_channels=2, ch_mult=(1,), num_res_blocks=1, attn_resolutions=None),
        **dict(in_channels=2, resolution=32, latent_channels=2, norm_type="pixel", causality_axis="height"),
        **dict(dropout=0.0, mid_block_add_attention=False, sample_rate=16000, mel_hop_length=160),
        **dict(is_causal=True, mel_bins=8),
    )
    vocoder = LTX2Vocoder(
        **dict(in_channels=16, hidden_channels=32, out_channels=2, upsample_kernel_sizes=[4, 4]),
        **dict(upsample_factors=[2, 2], resnet_kernel_sizes=[3], resnet_dilations=[[1, 3, 5]]),
        **dict(leaky_relu_negative_slope=0.1, output_sampling_rate=16000),
    )
    return diffusers.LTX2Pipeline(
        transformer=transformer,
        vae=vae,
        audio_vae=audio_vae,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        text_encoder=_gemma(max(len(tokenizer), 600)),
        tokenizer=tokenizer,
        connectors=connectors,
        vocoder=vocoder,
    )


def wan_vae(z_dim: int = 16, **more: Any) -> Any:
    """8 px and 4 frames a latent, causal."""
    torch.manual_seed(0)
    return diffusers.AutoencoderKLWan(
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
    size = len(tiny.t5_tokenizer())
    text = transformers.UMT5Config(vocab_size=size, d_model=32, d_ff=64, d_kv=8, num_layers=2, num_heads=4)
    return {
        "vae": wan_vae(),
        "scheduler": diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        "text_encoder": transformers.UMT5EncoderModel(text).eval(),
        "tokenizer": tiny.t5_tokenizer(),
    }


def wan() -> Any:
    """Wan 2.1, from words."""
    return diffusers.WanPipeline(**_wan_parts(), transformer=_wan_transformer())


def wan_a14b() -> Any:
    """Wan 2.2 A14B, from words: two transformers, one for the high noise and one for the low."""
    second = _wan_transformer()
    return diffusers.WanPipeline(
        **_wan_parts(), transformer=_wan_transformer(), transformer_2=second, boundary_ratio=0.875
    )


def wan_image() -> Any:
    """Wan 2.1, from a first picture."""
    look = transformers.CLIPVisionConfig(**tiny.VISION, projection_dim=16)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    return diffusers.WanImageToVideoPipeline(
        **_wan_parts(),
        transformer=_wan_transformer(36, image_dim=32),
        image_encoder=transformers.CLIPVisionModel(look),
        image_processor=transformers.CLIPImageProcessor(**sizes),
    )


def wan_first_last() -> Any:
    """Wan 2.1 FLF2V: between a first and a last picture, whose tokens have places."""
    pipe = wan_image()
    more = {"image_dim": 32, "pos_embed_seq_len": 34}
    pipe.register_modules(transformer=_wan_transformer(36, **more))
    return pipe


def wan_image_a14b() -> Any:
    """Wan 2.2 A14B, from pictures: two transformers, no encoder of pictures."""
    second = _wan_transformer(36)
    return diffusers.WanImageToVideoPipeline(
        **_wan_parts(), transformer=_wan_transformer(36), transformer_2=second, boundary_ratio=0.9
    )


def wan_5b() -> Any:
    """Wan 2.2 TI2V-5B: 16 px a latent by a patched decoder, a time for each token."""
    parts = _wan_parts() | {
        "vae": wan_vae(
            8, patch_size=2, in_channels=12, out_channels=12, scale_factor_spatial=16, is_residual=True
        )
    }
    transformer = _wan_transformer(8, out_channels=8)
    return diffusers.WanPipeline(**parts, transformer=transformer, expand_timesteps=True)


def wan_vace() -> Any:
    """Wan 2.1 VACE: what is known of a video, and where, as an input."""
    more = {"vace_layers": [0], "vace_in_channels": 96}
    return diffusers.WanVACEPipeline(
        **_wan_parts(), transformer=_wan_transformer(kind="WanVACETransformer3DModel", **more)
    )


def cogvideox_vae() -> Any:
    """8 px and 4 frames a latent, causal, two latents at a time."""
    torch.manual_seed(0)
    return diffusers.AutoencoderKLCogVideoX(
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
    transformer = diffusers.CogVideoXTransformer3DModel(
        **dict(num_attention_heads=2, attention_head_dim=16, in_channels=channels, out_channels=4),
        **dict(time_embed_dim=8, text_embed_dim=32, num_layers=1, sample_width=side, sample_height=side),
        **dict(sample_frames=9, patch_size=2, temporal_compression_ratio=4),
        **dict(use_rotary_positional_embeddings=True),
        **more,
    )
    return {
        "tokenizer": tiny.t5_tokenizer(),
        "text_encoder": _t5(),
        "vae": cogvideox_vae(),
        "transformer": transformer,
        "scheduler": diffusers.CogVideoXDDIMScheduler(),
    }


def cogvideox() -> Any:
    """CogVideoX, from words."""
    return diffusers.CogVideoXPipeline(**_cogvideox_parts(4))


def cogvideox_second() -> Any:
    """CogVideoX 1.5, from words: patches are two latents deep."""
    return diffusers.CogVideoXPipeline(**_cogvideox_parts(4, side=8, patch_size_t=2, patch_bias=False))


def cogvideox_image() -> Any:
    """CogVideoX I2V, from a first picture."""
    return diffusers.CogVideoXImageToVideoPipeline(**_cogvideox_parts(8))


def hunyuan_vae() -> Any:
    """8 px and 4 frames a latent, causal, with attention over all frames."""
    torch.manual_seed(0)
    return diffusers.AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
    ).eval()


def _hunyuan_parts() -> dict[str, Any]:
    tokenizer = tiny.qwen_tokenizer()
    text = transformers.Qwen2_5_VLTextConfig(
        **tiny.QWEN,
        vocab_size=len(tokenizer) + 4,
        num_hidden_layers=3,
        bos_token_id=None,
        eos_token_id=None,
        rope_parameters=tiny.ROPE,
    )
    transformer = diffusers.HunyuanVideo15Transformer3DModel(
        **dict(in_channels=9, out_channels=4, num_attention_heads=2, attention_head_dim=16, num_layers=1),
        **dict(num_refiner_layers=1, text_embed_dim=16, text_embed_2_dim=32, image_embed_dim=32),
        **dict(rope_axes_dim=(2, 6, 8), target_size=SIDE),
    )
    return {
        "text_encoder": transformers.Qwen2_5_VLTextModel(text).eval(),
        "tokenizer": tokenizer,
        "transformer": transformer,
        "vae": hunyuan_vae(),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0),
        "text_encoder_2": _t5(384),
        "tokenizer_2": transformers.ByT5Tokenizer(),
        "guider": diffusers.ClassifierFreeGuidance(guidance_scale=6.0),
    }


def hunyuan() -> Any:
    """HunyuanVideo 1.5, from words."""
    return diffusers.HunyuanVideo15Pipeline(**_hunyuan_parts())


def hunyuan_image() -> Any:
    """HunyuanVideo 1.5, from a first picture."""
    return diffusers.HunyuanVideo15ImageToVideoPipeline(
        **_hunyuan_parts(),
        image_encoder=transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**tiny.VISION)).eval(),
        feature_extractor=transformers.SiglipImageProcessor(size={"height": 32, "width": 32}),
    )


VIDEO_MODELS: dict[str, Callable[[], Any]] = {
    make.__name__.replace("_", "-"): make
    for make in (
        *(animatediff, ltx, ltx2),
        *(wan, wan_a14b, wan_image, wan_first_last, wan_image_a14b, wan_5b, wan_vace),
        *(cogvideox, cogvideox_second, cogvideox_image, hunyuan, hunyuan_image),
    )
}


def save(name: str, folder: Path) -> Path:
    """Write the tiny video model ``name`` into ``folder``, as a host's would lie there; return the folder."""
    torch.manual_seed(0)
    VIDEO_MODELS[name]().save_pretrained(folder)
    (folder / "atelier.json").write_text(json.dumps(CARD))
    return folder
