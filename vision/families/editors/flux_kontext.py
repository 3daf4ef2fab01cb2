"""FLUX.1 Kontext: FLUX.1's transformer, which reads the picture's packed latents behind the noisy ones."""

from vision.families import flux
from vision.families.family import Family

FAMILY = Family(
    name="flux-kontext",
    title="FLUX.1 Kontext",
    pipelines=("FluxKontextPipeline",),
    text=None,
    image=None,
    inpaint=None,
    edit="FluxKontextPipeline",
    native_size=1024,
    multiple=16,
    num_inference_steps=28,
    guidance_scale=2.5,  # its model card
    draft_steps=12,
    negative="true_cfg",
    unpack=flux.unpack,
    # the picture comes at the size that is drawn, so that both lie pixel on pixel
    extra={"_auto_resize": False},
)
