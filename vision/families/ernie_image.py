"""ERNIE-Image and ERNIE-Image-Turbo: a single-stream flow transformer on FLUX.2's batch-normalised latents,
with Ministral 3 for text of any length. Its second language model, which rewrites prompts, is left out."""

from vision.families.family import Family
from vision.families.flux import unpatched


def adjust_ernie(configs):
    """Return the settings of the model that isn't distilled, whose noise schedule is shifted (its model
    card)."""
    if configs.get("scheduler", {}).get("shift", 1.0) > 1:
        return {
            "num_inference_steps": 50,
            "guidance_scale": 4.0,
            "draft": {"num_inference_steps": 20, "guidance_scale": 4.0},
        }
    return {}


def unpack_ernie(pipe, latents, height, width):
    """Return latents (B, 4·C, h/2, w/2) as (B, C, h, w): the VAE's were trained with 1e-5, whatever its file
    says."""
    return unpatched(pipe, latents, 1e-5)


FAMILY = Family(
    name="ernie-image",
    title="ERNIE-Image",
    text="ErnieImagePipeline",
    native_size=1024,
    multiple=16,
    # Turbo's model card
    num_inference_steps=8,
    guidance_scale=1.0,
    draft_steps=6,
    adjust=adjust_ernie,
    unpack=unpack_ernie,
    extra={"use_pe": False},
    other_rows=(".mlp.", "final_linear"),  # tokens come before pictures there
    unused=("pe", "pe_tokenizer"),
)
