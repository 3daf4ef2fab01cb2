"""Qwen-Image, a large flow transformer on the latents of a video decoder, with a vision-language model for
text; Qwen-Image-Edit, whose language model looks at the picture, at about one megapixel whatever size is
drawn, and whose transformer reads its latents behind the noisy ones; and Qwen-Image-2.1, a small transformer
over one row of words, pictures and what it draws, with transparency."""

from vision.families.family import Family, pack, unscale

LENGTH = 512  # tokens of a text that the pipelines read; beside a picture, multiples of it


def unpack_latents(pipe, latents, height, width):
    """Return packed latents (B, h·w/4, 4·C) as (B, C, h, w), unscaled as for every other VAE."""
    frames = pipe._unpack_latents(latents, height, width, pipe.vae_scale_factor)  # (B, C, 1, h, w)
    return unscale(pipe, frames[:, :, 0], height, width)


def encode_words(pipe, words):
    """Return the language model's tokens, and which of them are the words'."""
    tokens, mask = pipe.encode_prompt(words, max_sequence_length=LENGTH)
    return tokens, None, mask


FAMILY = Family(
    name="qwen-image",
    prompts=(
        'A poster for a jazz night: the title "Blue Hour" in large painted letters, a saxophone below it',
        'A slide with three columns headed "Plan", "Build" and "Ship", each with a small icon',
        'A handwritten letter on cream paper that begins "Dear Anna", beside it a dried flower',
        'A bookshop window in watercolor, with "New arrivals" on a chalkboard',
    ),
    title="Qwen-Image",
    text="QwenImagePipeline",
    image="QwenImageImg2ImgPipeline",
    inpaint="QwenImageInpaintPipeline",
    native_size=1328,
    num_inference_steps=50,
    guidance_scale=4.0,
    draft_steps=20,
    # its model card: real guidance by true_cfg_scale, away from one space
    guidance_argument="true_cfg_scale",
    usual_negative=" ",
    float16=False,  # black pictures (github.com/comfyanonymous/ComfyUI, issue 10751)
    unpack=unpack_latents,
    encode=encode_words,
    text_tokens=500,  # of LENGTH, with the template's
    text_multiple=LENGTH,
)


def adjust_edit(configs):
    """Return the number of steps of those since 2509 (their model cards)."""
    plus = configs.get("model_index", {}).get("_class_name") == "QwenImageEditPlusPipeline"
    return {"num_inference_steps": 40} if plus else {}


QWEN_IMAGE_EDIT_FAMILY = Family(
    name="qwen-image-edit",
    title="Qwen-Image-Edit",
    edit="QwenImageEditPipeline",
    also=("QwenImageEditPlusPipeline",),
    several=("QwenImageEditPlusPipeline",),
    adjust=adjust_edit,
    multiple=32,
    num_inference_steps=50,
    guidance_scale=4.0,
    draft_steps=20,
    guidance_argument="true_cfg_scale",
    usual_negative=" ",
    float16=False,  # black pictures (github.com/comfyanonymous/ComfyUI, issue 10751)
    unpack=unpack_latents,
    text_multiple=LENGTH,
)


def adjust_turbo(configs):
    """Return the number of steps of a model that names its noise levels, which are then the only ones."""
    sigmas = configs.get("model_index", {}).get("sample_sigmas")
    if not sigmas:
        return {}
    steps = {"num_inference_steps": len(sigmas)}
    return {**steps, "draft": steps, "fixed_steps": True}


def encode_alone(pipe, words):
    """Return the language model's tokens, as many as the text has."""
    tokens, _, _ = pipe.encode_prompt(words)
    return tokens, None, tokens.new_ones(tokens.shape[:2], dtype=int)


QWEN_IMAGE_21_FAMILY = Family(
    name="qwen-image-2.1",
    title="Qwen-Image-2.1",
    text="QwenImage21Pipeline",
    image="QwenImage21Pipeline",
    inpaint="QwenImage21Pipeline",
    edit="QwenImage21Pipeline",
    several=("QwenImage21Pipeline",),
    multiple=32,
    num_inference_steps=40,
    guidance_scale=1.0,  # it is meant to be drawn with without guidance
    draft_steps=20,
    guidance_argument="true_cfg_scale",
    usual_negative=" ",
    adjust=adjust_turbo,
    unpack=unpack_latents,
    pack=pack,
    encode=encode_alone,
    words_alone=True,
    # what it remembers of words and references from the first step on is a job's own: with it jobs couldn't
    # share steps, nor could a pass have fewer rows
    extra={"use_kv_cache": False},
    other_rows=("modulation", "time_text_embed", "norm_out"),  # one more, of the words
    references=10,
)
