"""Stable Diffusion 1.x and 2.x: a UNet on 4-channel latents with CLIP text."""

from vision.families import clip_text
from vision.families.family import Family


def adjust(configs):
    """Return the native size that follows from the UNet: 64 latents = 512 px, 96 = 768 px, and whatever a
    small model has."""
    unet, vae = configs.get("unet", {}), configs.get("vae", {})
    factor = 2 ** (len(vae.get("block_out_channels", [0] * 4)) - 1)
    return {"native_size": unet["sample_size"] * factor} if isinstance(unet.get("sample_size"), int) else {}


def encode(pipe, words):
    """Return the tokens alone; the UNet takes nothing pooled."""
    return clip_text.hidden(pipe.tokenizer, pipe.text_encoder, words), None


FAMILY = Family(
    name="stable-diffusion",
    title="Stable Diffusion 1.x / 2.x",
    pipelines=("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"),
    text="StableDiffusionPipeline",
    image="StableDiffusionImg2ImgPipeline",
    inpaint="StableDiffusionInpaintPipeline",
    native_size=512,
    multiple=8,
    num_inference_steps=30,
    guidance_scale=7.5,
    draft_steps=12,
    samplers="any",
    adjust=adjust,
    encode=encode,
    rescales=True,
    adapts=True,
    file_keys=("cond_stage_model.",),
)
