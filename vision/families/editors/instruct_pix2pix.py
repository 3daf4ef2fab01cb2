"""InstructPix2Pix: Stable Diffusion whose UNet sees the picture's latents beside the noisy ones
(arXiv:2211.09800)."""

from vision.families import stable_diffusion
from vision.families.family import Family

FAMILY = Family(
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
    adjust=stable_diffusion.adjust,
)
