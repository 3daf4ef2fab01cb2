"""Qwen-Image-Edit: Qwen-Image, whose language model looks at the picture and whose transformer reads its
latents behind the noisy ones. Whatever size is drawn, it looks at about one megapixel."""

from vision.families import qwen_image
from vision.families.family import Family

FAMILY = Family(
    name="qwen-image-edit",
    title="Qwen-Image-Edit",
    pipelines=("QwenImageEditPipeline", "QwenImageEditPlusPipeline"),
    text=None,
    image=None,
    inpaint=None,
    edit="QwenImageEditPipeline",
    native_size=1024,
    multiple=32,
    num_inference_steps=50,
    guidance_scale=4.0,
    draft_steps=20,
    guidance_argument="true_cfg_scale",
    usual_negative=" ",
    unpack=qwen_image.unpack,
)
