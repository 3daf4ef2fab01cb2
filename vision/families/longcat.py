"""LongCat-Image and LongCat-Image-Edit: FLUX.1's kind of transformer and latents, with Qwen2.5-VL for text,
always 512 tokens of it; what is in quotation marks is read letter by letter. Prompts aren't rewritten."""

from vision.families.family import Family, embedded, pack
from vision.families.flux import unpack_latents


def unpack_edited(pipe, latents, height, width):
    """Return packed latents as FLUX.1's are returned, at the size that the pipeline has chosen itself:
    about a megapixel in the picture's shape."""
    from diffusers.pipelines.longcat_image import pipeline_longcat_image_edit as own

    width, height = own.calculate_dimensions(1024 * 1024, width / height)
    return unpack_latents(pipe, latents, height, width)


FAMILY = Family(
    name="longcat-image",
    title="LongCat-Image",
    text="LongCatImagePipeline",
    image="LongCatImagePipeline",
    inpaint="LongCatImagePipeline",
    num_inference_steps=50,
    guidance_scale=4.5,
    draft_steps=20,
    unpack=unpack_latents,
    pack=pack,
    encode=embedded,
    text_tokens=512,
    extra={"enable_prompt_rewrite": False},
    calls_back=False,
)


EDIT_FAMILY = Family(
    name="longcat-image-edit",
    title="LongCat-Image-Edit",
    edit="LongCatImageEditPipeline",
    num_inference_steps=50,
    guidance_scale=4.5,
    draft_steps=20,
    unpack=unpack_edited,
    calls_back=False,
)
