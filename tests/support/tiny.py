"""Tiny, seeded, randomly initialised models of every family, saved as real Hugging Face folders. Their
pictures are noise; their code paths are real.

``build(root)`` writes them all once (about 20 MB, a few seconds) and returns role-like names → folders.
"""

import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

SIDE = 64  # px: native size of every tiny image model
CARD = {
    "native_size": SIDE,
    "num_inference_steps": 4,
    "draft": {"num_inference_steps": 2, "guidance_scale": 1.0},
}
LAYERS = dict(hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=2)
CLIP_TEXT = dict(
    **LAYERS, bos_token_id=512, eos_token_id=513, pad_token_id=513, vocab_size=514, max_position_embeddings=77
)
VISION = dict(**LAYERS, image_size=32, patch_size=8)
SQUARE = {"height": 32, "width": 32}  # px that readers of pictures take
QWEN = dict(hidden_size=16, intermediate_size=16, num_attention_heads=2, num_key_value_heads=2)
ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6}
UNET = dict(
    block_out_channels=(16, 32),
    layers_per_block=1,
    sample_size=8,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    norm_num_groups=8,
)
CHAT = (
    "{% for m in messages %}{{m['role']}}: {% for c in m['content'] %}{% if c['type']=='image' %}<image>{%"
    " else %}{{c['text']}}{% endif %}{% endfor %}\n{% endfor %}{% if add_generation_prompt %}assistant:{%"
    " endif %}"
)
QWEN_CHAT = (
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{% if m['content'] is string %}{{m['content']}}{% else"
    " %}{% for c in m['content'] %}{{c['text']}}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}{% if"
    " add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


# Tokenizers without a download


def byte_alphabet() -> list[str]:
    """The 256 printable stand-ins of byte-level BPE (GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def clip_tokenizer(length: int = 77):
    """514 tokens, no merges."""
    from transformers import CLIPTokenizer

    signs = byte_alphabet()
    tokens = [*signs, *(s + "</w>" for s in signs), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={t: i for i, t in enumerate(tokens)}, merges=[], model_max_length=length)


def bpe_tokenizer(*extra: str):
    """Stands in for Qwen2's and LLaMA's: bytes, no merges."""
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(
        vocab={t: i for i, t in enumerate([*byte_alphabet(), "<|endoftext|>"])}, merges=[]
    )
    if extra:
        tokenizer.add_special_tokens({"additional_special_tokens": list(extra)})
    tokenizer.pad_token = "<|endoftext|>"
    return tokenizer


def qwen_tokenizer():
    """With the chat template that Z-Image and FLUX.2 klein apply to prompts."""
    tokenizer = bpe_tokenizer("<|im_start|>", "<|im_end|>")
    tokenizer.chat_template = QWEN_CHAT
    return tokenizer


def t5_tokenizer():
    """One token for each printable character."""
    from transformers import T5Tokenizer

    tokens = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)] + [
        (c, -3.0) for c in string.printable if c.strip()
    ]
    return T5Tokenizer(vocab=tokens, extra_ids=0, model_max_length=64)


def bert_tokenizer():
    """Characters, and a few words."""
    from transformers import BertTokenizer

    signs = string.ascii_lowercase + string.digits
    marks, known = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), ("photo", "of", "cat", "dog", "the")
    words = [*marks, *signs, *("##" + c for c in signs), *known]
    return BertTokenizer(vocab={t: i for i, t in enumerate(words)})


# Image models


def _kl(**more):
    from diffusers import AutoencoderKL

    channels = more.pop("block_out_channels", (8, 16, 16, 16))
    return AutoencoderKL(
        block_out_channels=channels,
        down_block_types=["DownEncoderBlock2D"] * len(channels),
        up_block_types=["UpDecoderBlock2D"] * len(channels),
        **{"latent_channels": 4, "norm_num_groups": 4, **more},
    )


def _clip_text(cls="CLIPTextModel", **more):
    import transformers

    return getattr(transformers, cls)(transformers.CLIPTextConfig(**CLIP_TEXT, **more))


def _t5():
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=len(t5_tokenizer()), d_model=32, d_ff=64, d_kv=8, num_layers=2, num_heads=4)
    ).eval()


def _qwen(layers: int):
    from transformers import Qwen3Config

    size = len(qwen_tokenizer()) + 4
    return Qwen3Config(
        **QWEN, num_hidden_layers=layers, vocab_size=size, max_position_embeddings=512, head_dim=8
    )


def stable_diffusion():
    """0.3 M parameters; the decoder's factor is 8 as in the real one."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel

    unet = UNet2DConditionModel(**UNET, cross_attention_dim=32, attention_head_dim=8)
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    return StableDiffusionPipeline(
        vae=_kl(),
        text_encoder=_clip_text(),
        tokenizer=clip_tokenizer(),
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl():
    """Two text encoders, size conditioning."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel

    unet = UNet2DConditionModel(
        **UNET,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=80,
        cross_attention_dim=64,
    )
    more = {"hidden_act": "gelu", "projection_dim": 32}
    return StableDiffusionXLPipeline(
        vae=_kl(),
        text_encoder=_clip_text(**more),
        text_encoder_2=_clip_text("CLIPTextModelWithProjection", **more),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=unet,
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )


def stable_diffusion_3():
    """Three text encoders, 16-channel latents with a shift."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=1,
        in_channels=16,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        out_channels=16,
    )
    more = {"hidden_act": "gelu", "projection_dim": 32}
    vae = _kl(
        latent_channels=16,
        shift_factor=0.0609,
        scaling_factor=1.5305,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return StableDiffusion3Pipeline(
        vae=vae,
        transformer=transformer,
        text_encoder=_clip_text("CLIPTextModelWithProjection", **more),
        text_encoder_2=_clip_text("CLIPTextModelWithProjection", **more),
        text_encoder_3=_t5(),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        tokenizer_3=t5_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )


def flux():
    """Packed latents, guidance as an input."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=True,
    )
    vae = _kl(shift_factor=0.1159, scaling_factor=0.3611, use_quant_conv=False, use_post_quant_conv=False)
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=_clip_text(projection_dim=32),
        tokenizer=clip_tokenizer(),
        text_encoder_2=_t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )


def z_image():
    """A language model for text."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Model

    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        norm_eps=1e-5,
        qk_norm=True,
        cap_feat_dim=16,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 64, 64],
    )
    with torch.no_grad():  # they come uninitialised
        transformer.x_pad_token.fill_(1.0)
        transformer.cap_pad_token.fill_(1.0)
    vae = _kl(latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159)
    text = {"text_encoder": Qwen3Model(_qwen(2)), "tokenizer": qwen_tokenizer()}
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, transformer=transformer, **text
    )


def flux2_klein(is_distilled: bool = True):
    """Batch-normalised latents; its text comes from layers 9, 18 and 27 of the language model, so that has
    28."""
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3ForCausalLM

    transformer = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=256,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=False,
    )
    vae = AutoencoderKLFlux2(
        sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 8, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=Qwen3ForCausalLM(_qwen(28)),
        tokenizer=qwen_tokenizer(),
        transformer=transformer,
        is_distilled=is_distilled,
    )


def qwen2_5_vl():
    """(model, tokenizer): looks at pictures of 28 px a token."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer = bpe_tokenizer("<|im_start|>", "<|im_end|>", *marks)
    start, end, image, video = map(tokenizer.convert_tokens_to_ids, marks)
    size = len(tokenizer) + 4
    config = Qwen2_5_VLConfig(
        text_config={**QWEN, "num_hidden_layers": 2, "vocab_size": size, "rope_parameters": ROPE},
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval(), tokenizer


def qwen_image():
    """A decoder of videos, and a vision-language model for text."""
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[-0.7, 0.1, 0.4, -0.2],
        latents_std=[2.8, 1.4, 2.3, 2.6],
    )
    size = len(qwen_tokenizer()) + 4
    text = {**QWEN, "num_hidden_layers": 2, "vocab_size": size, "rope_parameters": ROPE}
    look = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=Qwen2_5_VLForConditionalGeneration(
            Qwen2_5_VLConfig(text_config=text, vision_config=look)
        ).eval(),
        tokenizer=qwen_tokenizer(),
        transformer=transformer,
    )


def ernie_image():
    """A language model for text of any length, and another one that rewrites prompts and isn't needed."""
    from diffusers import ErnieImagePipeline, ErnieImageTransformer2DModel, FlowMatchEulerDiscreteScheduler
    from transformers import Ministral3Config, Ministral3ForCausalLM, Mistral3Config, Mistral3Model

    transformer = ErnieImageTransformer2DModel(
        hidden_size=32,
        num_attention_heads=2,
        num_layers=2,
        ffn_hidden_size=32,
        in_channels=16,
        out_channels=16,
        text_in_dim=16,
        rope_axes_dim=(8, 4, 4),
    )
    for last in (transformer.adaLN_modulation[-1], transformer.final_linear):  # they come as zeros
        torch.nn.init.normal_(last.weight, std=0.1)
    words = {**QWEN, "num_hidden_layers": 3, "head_dim": 8, "vocab_size": len(qwen_tokenizer()) + 4}
    look = {**LAYERS, "image_size": 32, "patch_size": 8, "head_dim": 8}
    text = Mistral3Config(
        text_config={"model_type": "ministral3", **words}, vision_config={"model_type": "pixtral", **look}
    )
    return ErnieImagePipeline(
        transformer=transformer,
        vae=flux2_klein().vae,
        text_encoder=Mistral3Model(text).eval(),
        tokenizer=qwen_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        pe=Ministral3ForCausalLM(Ministral3Config(**words)),
        pe_tokenizer=qwen_tokenizer(),
    )


def krea():
    """Several layers of a vision-language model for text."""
    from diffusers import FlowMatchEulerDiscreteScheduler, Krea2Pipeline, Krea2Transformer2DModel

    transformer = Krea2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        timestep_embed_dim=16,
        text_hidden_dim=16,
        num_text_layers=2,
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=16,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(8, 4, 4),
    )
    shifts = {"base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 6400}
    return Krea2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, **shifts),
        vae=qwen_image().vae,
        text_encoder=qwen3_vl()[0].model.eval(),
        tokenizer=qwen_tokenizer(),
        transformer=transformer,
        text_encoder_select_layers=(1, 2),
    )


def qwen_image_21():
    """A decoder of transparent pictures, 16 px a latent, and a processor of words and references."""
    from diffusers import (
        AutoencoderKLQwenImage21,
        FlowMatchEulerDiscreteScheduler,
        QwenImage21Pipeline,
        QwenImage21Transformer2DModel,
    )

    transformer = QwenImage21Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        context_in_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage21(
        base_dim=8,
        decoder_base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[-0.7, 0.1, 0.4, -0.2],
        latents_std=[2.8, 1.4, 2.3, 2.6],
    )
    text_encoder, processor = qwen3_vl(16, QWEN_CHAT)  # 32 px a token, as large as two latents
    return QwenImage21Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=text_encoder.eval(),
        processor=processor,
        transformer=transformer,
    )


def longcat_image():
    """FLUX.1's latents and a vision-language model for text."""
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        LongCatImagePipeline,
        LongCatImageTransformer2DModel,
    )
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    transformer = LongCatImageTransformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=[8, 4, 4],
    )
    text_encoder, tokenizer = qwen2_5_vl()
    looks = {"min_pixels": 28 * 28, "max_pixels": 56 * 56}
    return LongCatImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_kl(latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_processor=Qwen2VLProcessor(
            Qwen2VLImageProcessor(**looks), tokenizer, Qwen2VLVideoProcessor(**looks), QWEN_CHAT
        ),
        transformer=transformer,
    )


IMAGE_MODELS: dict[str, Callable] = {
    "stable-diffusion": stable_diffusion,
    "stable-diffusion-xl": stable_diffusion_xl,
    "stable-diffusion-3": stable_diffusion_3,
    "flux": flux,
    "z-image": z_image,
    "flux2-klein": flux2_klein,
    "qwen-image": qwen_image,
    "qwen-image-2.1": qwen_image_21,
    "ernie-image": ernie_image,
    "krea-2": krea,
    "longcat-image": longcat_image,
}


# One file


def _renamed(key: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        key = re.sub(old, new, key)
    return key


def save_single_file(pipe, path: Path) -> None:
    """A StableDiffusionPipeline as one .safetensors file with the original code's tensor names (the inverse
    of diffusers' loader)."""
    from diffusers.loaders.single_file_utils import DIFFUSERS_TO_LDM_MAPPING
    from safetensors.torch import save_file

    each = pipe.unet.config.layers_per_block + 1
    resnet = [
        ("norm1", "in_layers.0"),
        ("conv1", "in_layers.2"),
        ("norm2", "out_layers.0"),
        ("conv2", "out_layers.3"),
        ("time_emb_proj", "emb_layers.1"),
        ("conv_shortcut", "skip_connection"),
    ]
    tensors = {}
    for key, value in pipe.unet.state_dict().items():
        new = DIFFUSERS_TO_LDM_MAPPING["unet"]["layers"].get(key)
        if match := re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", key):
            way, block, kind, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
            first = (1 if way == "down" else 0) + block * each
            side = "input_blocks" if way == "down" else "output_blocks"
            has_attention = bool(getattr(getattr(pipe.unet, f"{way}_blocks")[block], "attentions", None))
            new = {
                "resnets": f"{side}.{first + layer}.0.{_renamed(rest, *resnet)}",
                "attentions": f"{side}.{first + layer}.1.{rest}",
                "downsamplers": f"{side}.{first + each - 1}.0.{rest.replace('conv', 'op')}",
                "upsamplers": f"{side}.{first + each - 1}.{2 if has_attention else 1}.{rest}",
            }[kind]
        elif key.startswith("mid_block"):
            places = [
                (rf"mid_block\.{old}", f"middle_block.{i}")
                for i, old in enumerate((r"resnets\.0", r"attentions\.0", r"resnets\.1"))
            ]
            new = _renamed(key, *places, *(resnet if "resnets" in key else []))
        tensors[f"model.diffusion_model.{new}"] = value
    last = len(pipe.vae.config.block_out_channels) - 1
    for key, value in pipe.vae.state_dict().items():
        new = DIFFUSERS_TO_LDM_MAPPING["vae"].get(key) or _renamed(
            key,
            (r"down_blocks\.(\d)\.resnets", r"down.\1.block"),
            (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
            (r"mid_block\.resnets\.0", "mid.block_1"),
            (r"mid_block\.resnets\.1", "mid.block_2"),
            (r"mid_block\.attentions\.0", "mid.attn_1"),
            ("conv_shortcut", "nin_shortcut"),
            ("group_norm", "norm"),
            (r"to_([qkv])\.", r"\1."),
            (r"to_out\.0", "proj_out"),
        )
        new = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{last - int(m[1])}.block", new)
        new = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{last - int(m[1])}.upsample", new)
        tensors[f"first_stage_model.{new}"] = value
    for key, value in pipe.text_encoder.state_dict().items():
        tensors[f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}"] = value
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)


# Readers


def clip():
    """(model, processor)"""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    model = CLIPModel(CLIPConfig(text_config=CLIP_TEXT, vision_config=VISION, projection_dim=16))
    sizes = {"size": {"shortest_edge": 32}, "crop_size": SQUARE}
    return model, CLIPProcessor(image_processor=CLIPImageProcessor(**sizes), tokenizer=clip_tokenizer())


def clipseg():
    """(model, processor)"""
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, ViTImageProcessor

    sizes = {
        "extract_layers": [0, 1],
        "reduce_dim": 8,
        "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 16,
    }
    model = CLIPSegForImageSegmentation(
        CLIPSegConfig(text_config=CLIP_TEXT, vision_config=VISION, projection_dim=16, **sizes)
    )
    return model, CLIPSegProcessor(image_processor=ViTImageProcessor(size=SQUARE), tokenizer=clip_tokenizer())


def segformer():
    """(model, processor)"""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    labels = {0: "ground", 1: "ball", 2: "boat"}
    config = SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        strides=[2, 2, 2, 2],
        decoder_hidden_size=16,
        id2label=labels,
        label2id={name: number for number, name in labels.items()},
    )
    processor = SegformerImageProcessor(size=SQUARE, do_reduce_labels=False)
    return SegformerForSemanticSegmentation(config), processor


def sam():
    """(model, processor)"""
    from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor

    square = {"image_size": 64, "patch_size": 16}
    model = SamModel(
        SamConfig(
            vision_config={
                "hidden_size": 32,
                "output_channels": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "mlp_dim": 64,
                "window_size": 2,
                "global_attn_indexes": [1],
                "num_pos_feats": 16,
                **square,
            },
            prompt_encoder_config={"hidden_size": 32, "mask_input_channels": 4, **square},
            mask_decoder_config={
                "hidden_size": 32,
                "mlp_dim": 64,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "iou_head_hidden_dim": 32,
                "iou_head_depth": 2,
            },
        )
    )
    return model, SamProcessor(
        SamImageProcessor(
            size={"longest_edge": 64},
            pad_size={"height": 64, "width": 64},
            mask_size={"longest_edge": 16},
            mask_pad_size={"height": 16, "width": 16},
        )
    )


def siglip():
    """(model, processor)"""
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipProcessor

    size = len(t5_tokenizer())
    text = dict(**LAYERS, vocab_size=size, max_position_embeddings=64, projection_size=32)
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=VISION))
    return model, SiglipProcessor(image_processor=SiglipImageProcessor(size=SQUARE), tokenizer=t5_tokenizer())


def blip():
    """(model, processor)"""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    tokenizer = bert_tokenizer()
    text = dict(
        vocab_size=len(tokenizer),
        **LAYERS,
        encoder_hidden_size=32,
        projection_dim=32,
        bos_token_id=2,
        eos_token_id=3,
        sep_token_id=3,
        pad_token_id=0,
        max_position_embeddings=64,
    )
    vision = {**VISION, "image_size": 64, "patch_size": 16}
    model = BlipForConditionalGeneration(
        BlipConfig(text_config=text, vision_config=vision, projection_dim=32)
    )
    return model, BlipProcessor(
        image_processor=BlipImageProcessor(size={"height": 64, "width": 64}), tokenizer=tokenizer
    )


def _llama(tokenizer) -> dict[str, Any]:
    return dict(
        vocab_size=len(tokenizer) + 2,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )


def llava():
    """(model, processor): a chat model that reads pictures."""
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = bpe_tokenizer("<image>")
    text = LlamaConfig(**_llama(tokenizer))
    vision = CLIPVisionConfig(**{**VISION, "num_hidden_layers": 3}, projection_dim=16)
    token = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_id=token, image_seq_length=16)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=CHAT,
        image_token="<image>",
        num_additional_image_tokens=1,
    )
    return LlavaForConditionalGeneration(config), processor


def idefics3():
    """(model, processor): SmolVLM's architecture, a picture as tiles."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )

    places = [f"<row_{r}_col_{c}>" for r in range(1, 4) for c in range(1, 4)]
    tokenizer = bpe_tokenizer(
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *places
    )
    text = dict(model_type="llama", **_llama(tokenizer))
    token = tokenizer.convert_tokens_to_ids("<image>")
    config = Idefics3Config(
        image_token_id=token,
        scale_factor=2,
        vision_config=VISION,
        text_config=text,
        pad_token_id=tokenizer.pad_token_id,
    )
    tiles = Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    return Idefics3ForConditionalGeneration(config), Idefics3Processor(
        tiles, tokenizer, image_seq_len=4, chat_template=CHAT
    )


def smolvlm():
    """(model, processor): SmolVLM2's architecture."""
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    older, processor = idefics3()
    text, token = older.config.text_config.to_dict(), older.config.image_token_id
    config = SmolVLMConfig(image_token_id=token, scale_factor=2, vision_config=VISION, text_config=text)
    sizes = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}
    return SmolVLMForConditionalGeneration(config), SmolVLMProcessor(
        SmolVLMImageProcessor(**sizes),
        processor.tokenizer,
        SmolVLMVideoProcessor(**sizes),
        image_seq_len=4,
        chat_template=CHAT,
    )


def qwen3_vl(patch: int = 8, template: str = CHAT):
    """(model, processor): a picture as patches of so many px, as many as it has room for."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer = bpe_tokenizer(*(("<|im_start|>", "<|im_end|>") if template == QWEN_CHAT else ()), *marks)
    start, end, image, video = map(tokenizer.convert_tokens_to_ids, marks)
    text = {
        **QWEN,
        "num_hidden_layers": 2,
        "head_dim": 8,
        "vocab_size": len(tokenizer) + 4,
        "rope_parameters": ROPE,
        "pad_token_id": tokenizer.pad_token_id,
    }
    look = {
        "depth": 2,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "patch_size": patch,
        "out_hidden_size": 16,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=look,
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    patches = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2}
    room = {"size": {"shortest_edge": 4 * patch**2, "longest_edge": 64 * patch**2}}
    return Qwen3VLForConditionalGeneration(config), Qwen3VLProcessor(
        Qwen2VLImageProcessor(**patches, **room),
        tokenizer,
        Qwen3VLVideoProcessor(**patches, **room),
        chat_template=template.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>"),
    )


def vit(
    labels: tuple[str, ...] = ("tabby, tabby cat", "espresso", "missile", "boat", "star", "tree", "house"),
):
    """(model, processor)"""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    names = dict(enumerate(labels))
    config = ViTConfig(**VISION, id2label=names, label2id={v: k for k, v in names.items()})
    return ViTForImageClassification(config), ViTImageProcessor(size=SQUARE)


READERS: dict[str, Callable] = {
    "clip": clip,
    "siglip": siglip,
    "blip": blip,
    "llava": llava,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "qwen3-vl": qwen3_vl,
    "vit": vit,
    "clipseg": clipseg,
    "sam": sam,
    "segformer": segformer,
}


def build(root: Path) -> dict[str, Path]:
    """Write every tiny model below ``root``; name → folder."""
    folders = {}
    for name, make in {**IMAGE_MODELS, **READERS}.items():
        torch.manual_seed(0)
        folders[name] = root / name
        made = make()
        for part in made if isinstance(made, tuple) else (made,):
            part.save_pretrained(folders[name])
        if name in IMAGE_MODELS:
            (folders[name] / "atelier.json").write_text(json.dumps(CARD))
        elif name in ("blip", "llava", "idefics3", "smolvlm", "qwen3-vl"):
            (folders[name] / "atelier.json").write_text(json.dumps({"max_new_tokens": 8}))
    return folders


def picture(width: int = 64, height: int = 64, seed: int = 0) -> Image.Image:
    """Soft patches of random colour."""
    patches = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)
