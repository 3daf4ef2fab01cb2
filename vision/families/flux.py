"""FLUX.1 dev and schnell, a flow transformer on packed latents with guidance distilled into the weights;
FLUX.1 Kontext, which reads the picture's packed latents behind the noisy ones; and FLUX.2 klein, a small flow
transformer on batch-normalised latents, distilled to four steps."""

from vision.families.family import Family, drawn_in, embedded, unscale


def adjust_schnell(configs):
    """Return schnell's settings for a model without guidance input: four steps (its model card)."""
    return drawn_in(4, 0.0, 2) if configs.get("transformer", {}).get("guidance_embeds") is False else {}


def unpack_latents(pipe, latents, height, width):
    """Return packed latents (B, h·w/4, 4·C) as (B, C, h, w), unscaled as for every other VAE."""
    return unscale(pipe, pipe._unpack_latents(latents, height, width, pipe.vae_scale_factor), height, width)


def encode_flux(pipe, words):
    """Return T5's 512 tokens, and CLIP's end token pooled."""
    tokens, pooled, _ = pipe.encode_prompt(words, None)
    return tokens, pooled


FAMILY = Family(
    name="flux",
    prompts=(
        "a fox asleep in fresh snow, soft morning light, 85mm photograph",
        'a hand-painted cafe sign that says "Good Morning", ivy around it',
        "a small library inside a hollow tree, storybook illustration",
        "a glass greenhouse at night, lit from inside, fog in the garden",
    ),
    title="FLUX.1",
    text="FluxPipeline",
    image="FluxImg2ImgPipeline",
    inpaint="FluxInpaintPipeline",
    num_inference_steps=28,
    guidance_scale=3.5,
    draft_steps=12,
    negative="true_cfg",
    adjust=adjust_schnell,
    unpack=unpack_latents,
    encode=encode_flux,
    text_tokens=512,
    file_keys=("double_blocks.",),
)


FLUX_KONTEXT_FAMILY = Family(
    name="flux-kontext",
    title="FLUX.1 Kontext",
    edit="FluxKontextPipeline",
    num_inference_steps=28,
    guidance_scale=2.5,  # its model card
    draft_steps=12,
    negative="true_cfg",
    unpack=unpack_latents,
    # the picture comes at the size that is drawn, so that both lie pixel on pixel
    extra={"_auto_resize": False},
)


KLEIN_BASE = "black-forest-labs/FLUX.2-klein-base-4B@a3b4f4849157f664bdbc776fd7453c2783562f4d"  # Apache-2.0
KLEIN_4B = {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24}


def adjust_klein(configs):
    """Return the usual number of steps and real guidance for the undistilled base models, and the base of the
    distilled one of 4 B, whose styles are learned there."""
    if configs.get("model_index", {}).get("is_distilled") is False:
        return {"negative": "prompt", **drawn_in(50, 4.0, 20)}
    return {"base": KLEIN_BASE} if KLEIN_4B.items() <= configs.get("transformer", {}).items() else {}


def _batch_norm(pipe, patches, epsilon):
    """The mean and deviation of patches (B, 4·C, h/2, w/2) that the VAE has learned."""
    bn = pipe.vae.bn
    mean = bn.running_mean.view(1, -1, 1, 1).to(patches)
    return mean, (bn.running_var.view(1, -1, 1, 1) + epsilon).sqrt().to(patches)


def unpatched(pipe, patches, epsilon):
    """Return patches (B, 4·C, h/2, w/2) as (B, C, h, w), as FLUX.2's pipelines do in the end: by the
    batch-norm statistics of the VAE, then 2×2 of them back to pixels."""
    mean, std = _batch_norm(pipe, patches, epsilon)
    return pipe._unpatchify_latents(patches * std + mean)


def patched(pipe, latents, epsilon):
    """Return latents (B, C, h, w) of the VAE's encoder as patches (B, 4·C, h/2, w/2): ``unpatched`` again."""
    patches = pipe._patchify_latents(latents)
    mean, std = _batch_norm(pipe, patches, epsilon)
    return (patches - mean) / std


def unpack_klein(pipe, latents, height, width):
    """Return latents as (B, C, h, w): packed (B, h·w/4, 4·C) while denoising, (B, C, h, w) in the end."""
    if latents.ndim == 4:
        return latents
    factor = pipe.vae_scale_factor * 2
    rows, columns = height // factor, width // factor
    if rows * columns != latents.shape[1]:  # the pipeline has shrunk an input over 1 megapixel
        rows = round((latents.shape[1] * height / width) ** 0.5)
        columns = latents.shape[1] // rows
    packed = latents.permute(0, 2, 1).unflatten(2, (rows, columns))  # (B, 4·C, h/2, w/2)
    return unpatched(pipe, packed, pipe.vae.config.batch_norm_eps)


FLUX2_KLEIN_FAMILY = Family(
    name="flux2-klein",
    prompts=(
        "A photograph of a teapot with a fox painted on it, on wet slate, soft light from the left",
        'A shop window with the words "OPEN LATE" in red neon, rain on the glass, seen from the street',
        "A flat poster of a mountain railway in three colors: navy, cream and orange",
        "An old woman repairs a bicycle in a sunlit workshop, 50mm lens, the background out of focus",
    ),
    title="FLUX.2 klein",
    text="Flux2KleinPipeline",
    image="Flux2KleinInpaintPipeline",
    inpaint="Flux2KleinInpaintPipeline",
    edit="Flux2KleinPipeline",
    several=("Flux2KleinPipeline",),
    num_inference_steps=4,
    guidance_scale=1.0,
    draft_steps=4,
    negative="none",
    adjust=adjust_klein,
    unpack=unpack_klein,
    encode=embedded,
    text_tokens=500,  # of 512, with the template's
    whole_mask=True,
    references=4,
    file_keys=("single_stream_modulation.",),
)
