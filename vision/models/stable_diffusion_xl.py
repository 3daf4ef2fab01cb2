"""Stable Diffusion XL: a larger UNet with two text encoders."""

from vision.models.family import Family

FAMILY = Family(
    name="stable-diffusion-xl",
    title="Stable Diffusion XL",
    pipelines=("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"),
    text="StableDiffusionXLPipeline",
    image="StableDiffusionXLImg2ImgPipeline",
    inpaint="StableDiffusionXLInpaintPipeline",
    native_size=1024,
    multiple=8,
    num_inference_steps=30,
    guidance_scale=5.0,
    draft_steps=14,
    samplers="any",
    file_keys=("conditioner.embedders.",),
)
