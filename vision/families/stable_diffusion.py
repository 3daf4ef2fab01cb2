"""Stable Diffusion 1.x and 2.x: a UNet on 4-channel latents with CLIP text, also of over 77 tokens;
InstructPix2Pix, whose UNet sees the picture's latents beside the noisy ones (arXiv:2211.09800); Stable
Diffusion XL, a larger UNet with two text encoders; and Stable Diffusion 3 and 3.5, a transformer with
rectified flow on 16-channel latents and three text encoders."""

from collections.abc import Sequence
from typing import Any

from vision.families.family import Family


def adjust(configs):
    """Return the native size that follows from the UNet: 64 latents = 512 px, 96 = 768 px."""
    unet, vae = configs.get("unet", {}), configs.get("vae", {})
    factor = 2 ** (len(vae.get("block_out_channels", [0] * 4)) - 1)
    return {"native_size": unet["sample_size"] * factor} if isinstance(unet.get("sample_size"), int) else {}


def clip_tokens(tokenizer: Any, encoder: Any, words: str, *, penultimate: bool = False) -> Any:
    """Return (1, 77·n, D): the last layer normalised, or the one before it as it is (SDXL). Longer texts are
    cut into pieces of up to 75 tokens, between sentences, else between phrases or words; each is encoded
    alone. Up to 77 tokens the result has the very bits of diffusers' own encoding."""
    from compel import EmbeddingsProvider, ReturnedEmbeddingsType

    kind = (
        ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
        if penultimate
        else ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
    )
    provider = EmbeddingsProvider(tokenizer, encoder, truncate=False, returned_embeddings_type=kind)
    return provider.get_embeddings_for_weighted_prompt_fragments([[words]], [[1.0]], device=encoder.device)


def clip_tokens_side_by_side(pairs: Sequence[tuple[Any, Any]], words: str) -> Any:
    """Return (1, 77·n, ΣD): the penultimate layers of several (tokenizer, encoder). Those that need fewer
    pieces get empty ones."""
    import torch

    sides = [clip_tokens(tokenizer, encoder, words, penultimate=True) for tokenizer, encoder in pairs]
    length = max(side.shape[1] for side in sides)
    for i, (tokenizer, encoder) in enumerate(pairs):
        while sides[i].shape[1] < length:
            sides[i] = torch.cat([sides[i], clip_tokens(tokenizer, encoder, "", penultimate=True)], 1)
    return torch.cat(sides, -1)


def clip_pooled(tokenizer: Any, encoder: Any, words: str) -> Any:
    """Return (1, P): the projected end token of the first 77 tokens."""
    given = tokenizer(
        words,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
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
    title="Stable Diffusion XL",
    text="StableDiffusionXLPipeline",
    image="StableDiffusionXLImg2ImgPipeline",
    inpaint="StableDiffusionXLInpaintPipeline",
    native_size=1024,
    multiple=8,
    num_inference_steps=30,
    guidance_scale=5.0,
    draft_steps=14,
    samplers="any",
    encode=encode_two_clips,
    rescales=True,
    adapts=True,
    file_keys=("conditioner.embedders.",),
)


def encode_clips(pipe, words):
    """Return the tokens of three encoders as the pipeline joins them. Their number is always the same; a
    longer text loses its end."""
    tokens, _, pooled, _ = pipe.encode_prompt(words, None, None, do_classifier_free_guidance=False)
    return tokens, pooled


STABLE_DIFFUSION_3_FAMILY = Family(
    name="stable-diffusion-3",
    title="Stable Diffusion 3 / 3.5",
    text="StableDiffusion3Pipeline",
    image="StableDiffusion3Img2ImgPipeline",
    inpaint="StableDiffusion3InpaintPipeline",
    native_size=1024,
    multiple=16,
    num_inference_steps=28,
    guidance_scale=7.0,
    draft_steps=14,
    encode=encode_clips,
    text_tokens=256,
    file_keys=("joint_blocks.",),
)
