"""FLUX.2 klein: a small flow transformer on batch-normalised latents, distilled to four steps."""

from vision.families.family import Family


def _adjust(configs):
    """Return the usual number of steps and real guidance for the undistilled base models."""
    if configs.get("model_index", {}).get("is_distilled") is False:
        return {
            "num_inference_steps": 50,
            "guidance_scale": 4.0,
            "draft": {"num_inference_steps": 20, "guidance_scale": 4.0},
        }
    return {}


def unpack_latents(pipe, latents, height, width):
    """Return latents as (B, C, h, w): packed (B, h·w/4, 4·C) while denoising, (B, C, h, w) once the pipeline
    has returned. This is the pipeline's own end: batch-norm statistics of the VAE, then 2×2 patches back to
    pixels."""
    if latents.ndim == 4:
        return latents
    vae, factor = pipe.vae, pipe.vae_scale_factor * 2
    rows, columns = height // factor, width // factor
    if rows * columns != latents.shape[1]:  # the pipeline has shrunk an input over 1 megapixel
        rows = round((latents.shape[1] * height / width) ** 0.5)
        columns = latents.shape[1] // rows
    packed = latents.permute(0, 2, 1).unflatten(2, (rows, columns))  # (B, 4·C, h/2, w/2)
    mean = vae.bn.running_mean.view(1, -1, 1, 1).to(packed)
    std = (vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps).sqrt().to(packed)
    return pipe._unpatchify_latents(packed * std + mean)


FAMILY = Family(
    name="flux2-klein",
    title="FLUX.2 klein",
    pipelines=("Flux2KleinPipeline", "Flux2KleinInpaintPipeline"),
    text="Flux2KleinPipeline",
    image="Flux2KleinInpaintPipeline",
    inpaint="Flux2KleinInpaintPipeline",
    edit="Flux2KleinPipeline",
    native_size=1024,
    multiple=16,
    num_inference_steps=4,
    guidance_scale=1.0,
    draft_steps=4,
    negative="none",
    adjust=_adjust,
    unpack=unpack_latents,
    whole_mask=True,
    references=4,
    file_keys=("single_stream_modulation.",),
)
