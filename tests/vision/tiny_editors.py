"""Tiny, seeded, randomly initialised models that edit pictures by words, of the parts of ``tiny``."""

import json
from collections.abc import Callable
from pathlib import Path

import diffusers
import torch
import transformers

from tests.support import tiny


def instruct_pix2pix():
    """Stable Diffusion whose UNet takes eight channels."""
    parts = tiny.stable_diffusion().components
    config = {name: value for name, value in parts["unet"].config.items() if not name.startswith("_")}
    parts["unet"] = type(parts["unet"])(**{**config, "in_channels": 8})
    return diffusers.StableDiffusionInstructPix2PixPipeline(**parts, requires_safety_checker=False)


def flux_kontext():
    """FLUX.1's own parts."""
    parts = tiny.flux().components
    return diffusers.FluxKontextPipeline(**{name: part for name, part in parts.items() if part is not None})


def qwen_image_edit(name: str = "QwenImageEditPipeline"):
    """Qwen-Image's own parts, with a processor for the picture that its language model looks at."""
    parts = tiny.qwen_image().components
    tokenizer = tiny.bpe_tokenizer(
        "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
    )
    config = parts["text_encoder"].config
    config.image_token_id, config.video_token_id, config.vision_start_token_id, config.vision_end_token_id = (
        tokenizer.convert_tokens_to_ids(
            ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
        )
    )
    config.text_config.vocab_size = len(tokenizer) + 4
    looks = {"min_pixels": 28 * 28, "max_pixels": 56 * 56}
    processor = transformers.Qwen2_5_VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(**looks),
        video_processor=transformers.Qwen2VLVideoProcessor(**looks),
        tokenizer=tokenizer,
        chat_template=tiny.QWEN_CHAT,
    )
    parts["text_encoder"] = type(parts["text_encoder"])(config).eval()
    return getattr(diffusers, name)(**{**parts, "tokenizer": tokenizer}, processor=processor)


def longcat_image_edit():
    """LongCat-Image's own parts."""
    return diffusers.LongCatImageEditPipeline(**tiny.longcat_image().components)


MODELS: dict[str, Callable] = {
    "instruct-pix2pix": instruct_pix2pix,
    "flux-kontext": flux_kontext,
    "qwen-image-edit": qwen_image_edit,
    "flux2-klein": tiny.flux2_klein,
    "qwen-image-2.1": tiny.qwen_image_21,
    "longcat-image-edit": longcat_image_edit,
}


NEWER = {"qwen-image-edit-2509": lambda: qwen_image_edit("QwenImageEditPlusPipeline")}  # of a family above


def build(root: Path, name: str) -> Path:
    """Write one model, and return its folder."""
    torch.manual_seed(0)
    (MODELS | NEWER)[name]().save_pretrained(root / name)
    (root / name / "atelier.json").write_text(json.dumps(tiny.CARD))
    return root / name
