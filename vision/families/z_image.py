"""Z-Image and Z-Image-Turbo: a single-stream flow transformer with a language model for text."""

from vision.families.family import Family, drawn_in


def encode(pipe, words):
    """Return the language model's tokens, as many as the text has."""
    (tokens,), _ = pipe.encode_prompt(words, do_classifier_free_guidance=False)
    return tokens[None], None, tokens.new_ones(1, len(tokens))


BASE = "Tongyi-MAI/Z-Image@04cc4abb7c5069926f75c9bfde9ef43d49423021"  # Apache-2.0
TURBO_SHIFT = 3.0  # of its schedule


def adjust(configs):
    """Return what styles for Turbo are learned on, or the settings of the model that isn't distilled, whose
    noise schedule is shifted by 6 (its model card)."""
    shift = configs.get("scheduler", {}).get("shift", TURBO_SHIFT)
    if shift <= TURBO_SHIFT:
        return {"base": BASE} if shift == TURBO_SHIFT else {}
    return drawn_in(50, 4.0, 20)


FAMILY = Family(
    name="z-image",
    prompts=(
        "A candid photograph of a street musician under a bridge, evening, wet cobblestones",
        'A wooden door in morning fog, above it a sign that reads "清茶" in black brush strokes',
        "A young cook lifts noodles from a steaming pot, close up, kitchen light",
        "A red paper lantern on a snowy roof at dusk, realistic, shallow focus",
    ),
    title="Z-Image",
    text="ZImagePipeline",
    image="ZImageImg2ImgPipeline",
    inpaint="ZImageInpaintPipeline",
    # Turbo's model card: 9 steps = 8 evaluations, no guidance
    num_inference_steps=9,
    guidance_scale=0.0,
    neutral=0.0,
    draft_steps=6,
    float16=False,  # all latents are NaN (github.com/Tongyi-MAI/Z-Image, issues 14 and 15, November 2025)
    encode=encode,
    text_tokens=504,  # of 512, with the template's
    text_rows=True,
    adjust=adjust,
    file_keys=("cap_embedder.", "noise_refiner."),
)
