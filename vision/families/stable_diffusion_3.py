"""Stable Diffusion 3 and 3.5: a transformer with rectified flow on 16-channel latents and three text
encoders."""

from vision.families.family import Family


def encode_clips(pipe, words):
    """Return the tokens of three encoders as the pipeline joins them. Their number is always the same; a
    longer text loses its end."""
    tokens, _, pooled, _ = pipe.encode_prompt(words, None, None, do_classifier_free_guidance=False)
    return tokens, pooled


FAMILY = Family(
    name="stable-diffusion-3",
    title="Stable Diffusion 3 / 3.5",
    pipelines=(
        "StableDiffusion3Pipeline",
        "StableDiffusion3Img2ImgPipeline",
        "StableDiffusion3InpaintPipeline",
    ),
    text="StableDiffusion3Pipeline",
    image="StableDiffusion3Img2ImgPipeline",
    inpaint="StableDiffusion3InpaintPipeline",
    native_size=1024,
    multiple=16,
    num_inference_steps=28,
    guidance_scale=7.0,
    draft_steps=14,
    encode=encode_clips,
    file_keys=("joint_blocks.",),
)
