"""Stable Diffusion XL: a larger UNet with two text encoders."""

from vision.families import stable_diffusion
from vision.families.family import Family


def encode_two_clips(pipe, words):
    """Return both encoders' tokens side by side, and the second one's end token pooled."""
    pairs = [(pipe.tokenizer, pipe.text_encoder), (pipe.tokenizer_2, pipe.text_encoder_2)]
    tokens = stable_diffusion.clip_tokens_side_by_side([pair for pair in pairs if pair[1] is not None], words)
    return tokens, stable_diffusion.clip_pooled(pipe.tokenizer_2, pipe.text_encoder_2, words)


FAMILY = Family(
    name="stable-diffusion-xl",
    title="Stable Diffusion XL",
    pipelines=(
        "StableDiffusionXLPipeline",
        "StableDiffusionXLImg2ImgPipeline",
        "StableDiffusionXLInpaintPipeline",
    ),
    text="StableDiffusionXLPipeline",
    image="StableDiffusionXLImg2ImgPipeline",
    inpaint="StableDiffusionXLInpaintPipeline",
    native_size=1024,
    multiple=8,
    num_inference_steps=30,
    guidance_scale=5.0,
    draft_steps=14,
    samplers="any",
    encode=encode_two_clips,
    rescales=True,
    adapts=True,
    file_keys=("conditioner.embedders.",),
)
