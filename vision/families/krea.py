"""Krea 2 and Krea 2 Turbo: a single-stream flow transformer on the latents of Qwen-Image's decoder, which
reads several layers of Qwen3-VL, always 512 tokens of them."""

from vision.families.family import Family, drawn_in, pack, unscale


def adjust_krea(configs):
    """Return the settings of the distilled model (its model card; with 0 Krea draws without guidance)."""
    return drawn_in(8, 0.0, 6) if configs.get("model_index", {}).get("is_distilled") is True else {}


def unpack_krea(pipe, latents, height, width):
    """Return packed latents (B, h·w/4, 4·C) as (B, C, h, w), unscaled as for every other VAE."""
    frames = pipe._unpack_latents(latents, height, width)  # (B, C, 1, h, w)
    return unscale(pipe, frames[:, :, 0], height, width)


def encode_krea(pipe, words):
    """Return the 512 tokens of each layer that is read, (1, 512, L, D), and which are words: the template's
    end comes behind those that fill up, which are nothing here."""
    tokens, mask = pipe.encode_prompt(words)
    return tokens * mask[..., None, None], None, mask


FAMILY = Family(
    name="krea-2",
    title="Krea 2",
    text="Krea2Pipeline",
    image="Krea2Pipeline",
    inpaint="Krea2Pipeline",
    num_inference_steps=28,
    guidance_scale=4.5,
    neutral=0.0,
    draft_steps=14,
    adjust=adjust_krea,
    unpack=unpack_krea,
    pack=pack,
    encode=encode_krea,
    text_tokens=507,  # of 512, with the template's end
    other_rows=("layerwise_blocks", "text_fusion.projector"),  # of all tokens of all pictures
)
