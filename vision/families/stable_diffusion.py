"""Stable Diffusion 1.x and 2.x: a UNet on 4-channel latents with CLIP text.

InstructPix2Pix: Stable Diffusion whose UNet sees the picture's latents beside the noisy ones
(arXiv:2211.09800)."""

from vision.families import clip_text
from vision.families.family import Family


def adjust(configs):
    """Return the native size that follows from the UNet: 64 latents = 512 px, 96 = 768 px, and whatever a
    small model has."""
    unet, vae = configs.get("unet", {}), configs.get("vae", {})
    factor = 2 ** (len(vae.get("block_out_channels", [0] * 4)) - 1)
    return {"native_size": unet["sample_size"] * factor} if isinstance(unet.get("sample_size"), int) else {}


def encode_clip(pipe, words):
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
    encode=encode_clip,
    rescales=True,
    adapts=True,
    file_keys=("cond_stage_model.",),
)


INSTRUCT_PIX2PIX_FAMILY = Family(
    name="instruct-pix2pix",
    title="InstructPix2Pix",
    pipelines=("StableDiffusionInstructPix2PixPipeline",),
    text=None,
    image=None,
    inpaint=None,
    edit="StableDiffusionInstructPix2PixPipeline",
    native_size=512,
    multiple=8,
    # its model card: 10 to 20 steps of an Euler sampler, more change nothing
    num_inference_steps=20,
    guidance_scale=7.5,
    draft_steps=10,
    samplers="any",
    adjust=adjust,
)
