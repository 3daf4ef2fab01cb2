"""Every other diffusers pipeline: AutoPipeline finds the classes, the pipeline decodes itself, and the host
is told that the family isn't known."""

from vision.families.family import Family

FAMILY = Family(
    name="other",
    title="another family, through AutoPipeline",
    pipelines=(),
    text="AutoPipelineForText2Image",
    image="AutoPipelineForImage2Image",
    inpaint="AutoPipelineForInpainting",
    native_size=1024,
    multiple=32,
    num_inference_steps=28,
    guidance_scale=5.0,
    draft_steps=14,
    unpack=None,
    shares_steps=False,
)
