"""ERNIE-Image and ERNIE-Image-Turbo: a single-stream flow transformer on FLUX.2's batch-normalised latents,
with Ministral 3 for text of any length. Its second language model, which rewrites prompts, is left out."""

from vision.families.family import Family, drawn_in
from vision.families.flux import patched, unpatched


def adjust_ernie(configs):
    """Return the undistilled model's settings, whose noise schedule is shifted (its card)."""
    return drawn_in(50, 4.0, 20) if configs.get("scheduler", {}).get("shift", 1.0) > 1 else {}


EPSILON = 1e-5  # that the VAE was trained with, whatever its file says


def unpack_ernie(pipe, latents, height, width):
    """Return latents (B, 4·C, h/2, w/2) as (B, C, h, w)."""
    return unpatched(pipe, latents, EPSILON)


def pack_ernie(pipe, latents):
    """Return latents (B, C, h, w) of the VAE's encoder as the denoiser takes them."""
    return patched(pipe, latents, EPSILON)


def encode_ernie(pipe, words):
    """Return the language model's tokens, as many as the text has."""
    [tokens] = pipe.encode_prompt(words, pipe._execution_device)
    return tokens[None], None, tokens.new_ones(1, len(tokens))


FAMILY = Family(
    name="ernie-image",
    prompts=(
        "A comic page of four panels about a cat that learns to fly a kite",
        'A cinema poster with the title "The Last Tram", an empty tram at night in the rain',
        "An infographic of how a bee finds flowers, with short labels and arrows",
        "A product photograph of a perfume bottle on black stone, water drops, light from behind",
    ),
    title="ERNIE-Image",
    text="ErnieImagePipeline",
    image="ErnieImagePipeline",
    inpaint="ErnieImagePipeline",
    # Turbo's model card
    num_inference_steps=8,
    guidance_scale=1.0,
    draft_steps=6,
    adjust=adjust_ernie,
    unpack=unpack_ernie,
    pack=pack_ernie,
    encode=encode_ernie,
    text_rows=True,
    extra={"use_pe": False},
    other_rows=(".mlp.", "final_linear"),  # tokens come before pictures there
    unused=("pe", "pe_tokenizer"),
)
