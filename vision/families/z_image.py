"""Z-Image and Z-Image-Turbo: a single-stream flow transformer with a language model for text."""

from vision.families.family import Family


def encode(pipe, words):
    """Return the language model's tokens, as many as the text has."""
    (tokens,), _ = pipe.encode_prompt(words, do_classifier_free_guidance=False)
    return tokens[None], None, tokens.new_ones(1, len(tokens))


FAMILY = Family(
    name="z-image",
    title="Z-Image",
    text="ZImagePipeline",
    image="ZImageImg2ImgPipeline",
    inpaint="ZImageInpaintPipeline",
    native_size=1024,
    multiple=16,
    # Turbo's model card: 9 steps = 8 evaluations, no guidance. The base model: set them in atelier.json
    num_inference_steps=9,
    guidance_scale=0.0,
    draft_steps=6,
    float16=False,  # all latents are NaN (github.com/Tongyi-MAI/Z-Image, issues 14 and 15, November 2025)
    encode=encode,
    text_tokens=504,  # of 512, with the template's
    text_rows=True,
    file_keys=("cap_embedder.", "noise_refiner."),
)
