"""Stable Diffusion 1.x and 2.x: a UNet on 4-channel latents with CLIP text, also of over 77 tokens;
InstructPix2Pix, whose UNet sees the picture's latents beside the noisy ones (arXiv:2211.09800); Stable
Diffusion XL, a larger UNet with two text encoders; and Stable Diffusion 3 and 3.5, a transformer with
rectified flow on 16-channel latents and three text encoders."""

from collections.abc import Iterator, Sequence
from typing import Any

from vision.families.family import Family, drawn_in

WORD = "</w>"  # ends a token of CLIP that ends a word
ENDS = ({".</w>"}, {".</w>", ",</w>", ";</w>", ":</w>"})  # of sentences, of phrases


def adjust(configs):
    """Return the native size that follows from the UNet: 64 latents = 512 px, 96 = 768 px; and the settings
    of a model that is distilled to few steps (SD- and SDXL-Turbo, Lightning), whose noise schedule begins at
    its end but isn't rescaled to pure noise (their model cards)."""
    unet, vae, scheduler = (configs.get(name, {}) for name in ("unet", "vae", "scheduler"))
    factor = 2 ** (len(vae.get("block_out_channels", [0] * 4)) - 1)
    found = {"native_size": unet["sample_size"] * factor} if isinstance(unet.get("sample_size"), int) else {}
    usual = scheduler.get("prediction_type", "epsilon") == "epsilon"
    if scheduler.get("timestep_spacing") == "trailing" and usual:
        if not scheduler.get("rescale_betas_zero_snr"):
            found |= drawn_in(4, 0.0, 2)
    return found


def adjust_newer(configs):
    """Return the settings of SD 3.5 medium and large, whose attention is normalised (their model cards).
    Large Turbo has the same configuration as large."""
    transformer = configs.get("transformer", {})
    if transformer.get("qk_norm") is None:
        return {}
    return drawn_in(28, 3.5, 14) if transformer.get("num_layers", 0) > 24 else drawn_in(40, 4.5, 14)


def pieces(tokenizer: Any, ids: list[int], room: int) -> Iterator[list[int]]:
    """Yield CLIP's tokens ``ids`` in pieces of at most ``room``: cut behind a sentence, else behind a phrase
    or a word, as late as can be."""
    while len(ids) > room:
        names = tokenizer.convert_ids_to_tokens(ids[:room])
        ends = [[i for i, name in enumerate(names, 1) if name in kind] for kind in ENDS]
        words = [i for i, name in enumerate(names, 1) if name.endswith(WORD)]
        cut = next((found[-1] for found in (*ends, words) if found), room)
        yield ids[:cut]
        ids = ids[cut:]
    yield ids


def clip_tokens(tokenizer: Any, encoder: Any, words: str, *, penultimate: bool = False) -> Any:
    """Return (1, 77·n, D): the last layer normalised, or the one before it as it is (SDXL). Longer texts are
    cut into pieces of up to 75 tokens; each is encoded alone, and has the first one's end token. Up to 77
    tokens the result has the very bits of diffusers' own encoding."""
    import torch

    begin, end, length = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.model_max_length
    encoded, ends = [], []
    for piece in pieces(tokenizer, tokenizer(words, verbose=False).input_ids[1:-1], length - 2):
        ids = [begin, *piece, end]
        ends.append(ids.index(end))
        ids += [tokenizer.pad_token_id] * (length - len(ids))
        given = torch.tensor([ids], device=encoder.device)
        made = encoder(given, torch.ones_like(given), output_hidden_states=penultimate)
        encoded.append(made.hidden_states[-2] if penultimate else made.last_hidden_state)
    for tokens, place in zip(encoded[1:], ends[1:], strict=True):
        tokens[:, place] = encoded[0][:, ends[0]]
    return torch.cat(encoded, 1)


def clip_tokens_side_by_side(pairs: Sequence[tuple[Any, Any]], words: str) -> Any:
    """Return (1, 77·n, ΣD): the penultimate layers of several (tokenizer, encoder), all in as many pieces."""
    import torch

    sides = [clip_tokens(tokenizer, encoder, words, penultimate=True) for tokenizer, encoder in pairs]
    length = max(side.shape[1] for side in sides)
    for i, (tokenizer, encoder) in enumerate(pairs):
        while sides[i].shape[1] < length:
            sides[i] = torch.cat([sides[i], clip_tokens(tokenizer, encoder, "", penultimate=True)], 1)
    return torch.cat(sides, -1)


def clip_pooled(tokenizer: Any, encoder: Any, words: str) -> Any:
    """Return (1, P): the projected end token of the first 77 tokens."""
    how = {"padding": "max_length", "max_length": tokenizer.model_max_length, "truncation": True}
    given = tokenizer(words, return_tensors="pt", **how)
    return encoder(given.input_ids.to(encoder.device))[0]


def encode_clip(pipe, words):
    """Return the tokens alone; the UNet takes nothing pooled."""
    return clip_tokens(pipe.tokenizer, pipe.text_encoder, words), None


FAMILY = Family(
    name="stable-diffusion",
    title="Stable Diffusion 1.x / 2.x",
    text="StableDiffusionPipeline",
    image="StableDiffusionImg2ImgPipeline",
    inpaint="StableDiffusionInpaintPipeline",
    native_size=512,
    multiple=8,
    num_inference_steps=30,
    guidance_scale=7.5,
    draft_steps=12,
    samplers="any",
    adjust=adjust,
    encode=encode_clip,
    rescales=True,
    adapts=True,
    file_keys=("cond_stage_model.",),
)


INSTRUCT_PIX2PIX_FAMILY = Family(
    name="instruct-pix2pix",
    title="InstructPix2Pix",
    edit="StableDiffusionInstructPix2PixPipeline",
    native_size=512,
    multiple=8,
    # its model card: 10 to 20 steps of an Euler sampler, more change nothing
    num_inference_steps=20,
    guidance_scale=7.5,
    draft_steps=10,
    samplers="any",
    adjust=adjust,
)


def encode_two_clips(pipe, words):
    """Return both encoders' tokens side by side, and the second one's end token pooled."""
    pairs = [(pipe.tokenizer, pipe.text_encoder), (pipe.tokenizer_2, pipe.text_encoder_2)]
    tokens = clip_tokens_side_by_side([pair for pair in pairs if pair[1] is not None], words)
    return tokens, clip_pooled(pipe.tokenizer_2, pipe.text_encoder_2, words)


STABLE_DIFFUSION_XL_FAMILY = Family(
    name="stable-diffusion-xl",
    prompts=(
        "portrait of an old fisherman, 85mm photograph, window light, fine grain",
        "a floating market at sunset, concept art, intricate detail, warm haze",
        "a heron in the reeds, loose watercolor on white paper",
        "isometric model of a tiny bakery, clay, soft studio light",
    ),
    title="Stable Diffusion XL",
    text="StableDiffusionXLPipeline",
    image="StableDiffusionXLImg2ImgPipeline",
    inpaint="StableDiffusionXLInpaintPipeline",
    multiple=8,
    num_inference_steps=30,
    guidance_scale=5.0,
    draft_steps=14,
    samplers="any",
    adjust=adjust,
    encode=encode_two_clips,
    rescales=True,
    adapts=True,
    file_keys=("conditioner.embedders.",),
)


def encode_clips(pipe, words):
    """Return the tokens of three encoders as the pipeline joins them. A longer text loses its end."""
    tokens, _, pooled, _ = pipe.encode_prompt(words, None, None, do_classifier_free_guidance=False)
    return tokens, pooled


STABLE_DIFFUSION_3_FAMILY = Family(
    name="stable-diffusion-3",
    prompts=(
        'a street artist sprays the word "HELLO" on a brick wall, photograph',
        "three glass bottles in a row, one red, one green and one blue, on a wooden shelf",
        "a lighthouse on a cliff at dawn, oil painting, thick strokes",
    ),
    title="Stable Diffusion 3 / 3.5",
    text="StableDiffusion3Pipeline",
    image="StableDiffusion3Img2ImgPipeline",
    inpaint="StableDiffusion3InpaintPipeline",
    num_inference_steps=28,
    guidance_scale=7.0,
    draft_steps=14,
    adjust=adjust_newer,
    encode=encode_clips,
    text_tokens=256,
    file_keys=("joint_blocks.",),
)
