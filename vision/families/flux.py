"""FLUX.1 dev and schnell, a flow transformer on packed latents with guidance distilled into the weights; and
FLUX.1 Kontext, which reads the picture's packed latents behind the noisy ones."""

from vision.families.family import Family, unscale


def _adjust(configs):
    """Return schnell's settings for a model without guidance input: it was distilled to four steps (its model
    card)."""
    if configs.get("transformer", {}).get("guidance_embeds") is False:
        return {
            "num_inference_steps": 4,
            "guidance_scale": 0.0,
            "draft": {"num_inference_steps": 2, "guidance_scale": 0.0},
        }
    return {}


def unpack_latents(pipe, latents, height, width):
    """Return packed latents (B, h·w/4, 4·C) as (B, C, h, w), unscaled as for every other VAE."""
    return unscale(pipe, pipe._unpack_latents(latents, height, width, pipe.vae_scale_factor), height, width)


def encode_flux(pipe, words):
    """Return T5's 512 tokens, and CLIP's end token pooled."""
    tokens, pooled, _ = pipe.encode_prompt(words, None)
    return tokens, pooled


FAMILY = Family(
    name="flux",
    title="FLUX.1",
    pipelines=("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"),
    text="FluxPipeline",
    image="FluxImg2ImgPipeline",
    inpaint="FluxInpaintPipeline",
    native_size=1024,
    multiple=16,
    num_inference_steps=28,
    guidance_scale=3.5,
    draft_steps=12,
    negative="true_cfg",
    adjust=_adjust,
    unpack=unpack_latents,
    encode=encode_flux,
    file_keys=("double_blocks.",),
)


FLUX_KONTEXT_FAMILY = Family(
    name="flux-kontext",
    title="FLUX.1 Kontext",
    pipelines=("FluxKontextPipeline",),
    text=None,
    image=None,
    inpaint=None,
    edit="FluxKontextPipeline",
    native_size=1024,
    multiple=16,
    num_inference_steps=28,
    guidance_scale=2.5,  # its model card
    draft_steps=12,
    negative="true_cfg",
    unpack=unpack_latents,
    # the picture comes at the size that is drawn, so that both lie pixel on pixel
    extra={"_auto_resize": False},
)
