"""Z-Image and Z-Image-Turbo: a single-stream flow transformer with a language model for text."""

from vision.families.family import Family

BASE = "Tongyi-MAI/Z-Image@04cc4abb7c5069926f75c9bfde9ef43d49423021"  # Apache-2.0
TURBO_SHIFT = 3.0  # of its schedule; the base's is 6.0


def adjust(configs):
    """Return what styles for Turbo are learned on."""
    return {"base": BASE} if configs.get("scheduler", {}).get("shift") == TURBO_SHIFT else {}


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
    adjust=adjust,
    file_keys=("cap_embedder.", "noise_refiner."),
)
