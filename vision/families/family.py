"""What a family of image models is: its diffusers classes, its defaults, and how its latents lie; and the
family of every other diffusers pipeline, which decodes itself. Loads no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# of models that aren't drawn in float16
OVERFLOWS = "in float16 its numbers leave the range, and every picture comes out black"


class Mode(StrEnum):
    """What a pipeline starts from."""

    TEXT = "text-to-image"
    IMAGE = "image-to-image"
    INPAINT = "inpaint"
    EDIT = "edit"  # a picture, and words for what is to change in it


def _levels(pipe: Any, latents: Any) -> tuple[Any, Any, float]:
    """The mean and deviation of the VAE's latents (its shift and 1, where it has none), and its factor."""
    config = pipe.vae.config
    factor = getattr(config, "scaling_factor", 1.0)
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is not None and std is not None:
        mean, std = (latents.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
        return mean, std, factor
    return getattr(config, "shift_factor", None) or 0.0, 1.0, factor


def unscale(pipe: Any, latents: Any, height: int, width: int) -> Any:
    """Return latents (B, C, h, w) of the denoiser as the VAE's decoder takes them: divided by the scaling
    factor, where it has one, then shifted, or by mean and deviation."""
    mean, std, factor = _levels(pipe, latents)
    return latents * std / factor + mean


def pack(pipe: Any, latents: Any) -> Any:
    """Return latents (B, C, h, w) of the VAE's encoder as the denoiser takes them: scaled, and in rows."""
    mean, std, factor = _levels(pipe, latents)
    return pipe._pack_latents((latents - mean) / std * factor, *latents.shape)


def embedded(pipe: Any, words: str) -> tuple[Any, ...]:
    """Return a language model's tokens, which are all seen, also those that fill up behind the words."""
    tokens = pipe.encode_prompt(words)[0]
    return tokens, None, tokens.new_ones(tokens.shape[:2])


def drawn_in(steps: int, guidance_scale: float, draft_steps: int) -> dict[str, Any]:
    """Return the entries of a card for so many steps, with this guidance in drafts, too."""
    draft = {"num_inference_steps": draft_steps, "guidance_scale": guidance_scale}
    return {"num_inference_steps": steps, "guidance_scale": guidance_scale, "draft": draft}


@dataclass(frozen=True)
class Family:
    """One family of image models. Names of classes are diffusers'.

    text, image, inpaint: the class for each mode, None = the family has none; edit: the same for changes by
    words; several: those of its classes that are shown several pictures beside such words, as a list; also:
    other classes whose weights belong here. negative: "prompt" (a negative prompt works),
    "true_cfg" (it works with ``true_cfg_scale``, at the price of a second pass) or "none". multiple: sides
    are whole multiples of it, in px. native_size: side of the square it was trained on, in px. samplers:
    "any" of the noise schedulers for UNets, or only the model's "own".

    prompts: of the card. adjust: configuration files (folder or stem → JSON) → entries of
    the card that follow from them. unpack: (pipe, latents, height, width) → (B, C, h, w) for the VAE's
    decoder; None = the pipeline decodes itself. pack: (pipe, (B, C, h, w) from the VAE's encoder) → latents
    as the denoiser takes them, where ``image`` and ``inpaint`` are the class for text, which is given them
    with noise; None = it takes pictures. extra: arguments of every call. whole_mask: image-to-image is
    inpainting with a mask that covers everything. shares_steps: jobs may run step by step beside each other;
    False where a pipeline changes its denoiser for the time of a call, or where that isn't known.

    encode: (pipe, words) → (1, T, D) tokens and (1, P) pooled or None, and of a language model also which
    tokens are words, (1, T); None = its texts can't be weighed against each other. text_tokens: the longest
    text that is read to its end, in tokens without what the pipeline puts around it; None = any, or unknown.
    text_multiple: ``encode_prompt`` returns a mask, and texts are filled up to whole multiples of so many
    tokens, so that jobs share passes whatever their prompts. text_rows: calls take embeddings as a list of
    rows of any length. words_alone: its texts can't be weighed where it is shown pictures. rescales: calls
    take ``guidance_rescale``. references: how many pictures the text-to-image pipeline is shown beside the
    words. adapts: an IP-Adapter and a ControlNet may be attached. file_keys: a single file with one of these
    in a tensor's name is of this family.

    guidance_argument: of the calls, that the guidance scale goes to. neutral: the scale that does nothing; 0
    where a pipeline adds so many times what the words change to what it draws with them. usual_negative: the
    negative prompt where none is given, for pipelines that draw with guidance only if there is one. float16:
    it can be drawn in that; else in bfloat16 and float32 alone. calls_back: its pipelines call back after
    each step. other_rows: parts of the names of the denoiser's layers whose rows aren't those of the call, so
    that jobs with different LoRAs there share no passes. unused: parts of its folders that nobody needs.
    """

    name: str
    title: str
    num_inference_steps: int
    guidance_scale: float
    draft_steps: int
    native_size: int = 1024
    multiple: int = 16
    negative: str = "prompt"
    samplers: str = "own"
    prompts: tuple[str, ...] = ()
    adjust: Callable[[Mapping[str, Mapping[str, Any]]], dict[str, Any]] = lambda configs: {}
    unpack: Callable[[Any, Any, int, int], Any] | None = unscale
    pack: Callable[[Any, Any], Any] | None = None
    extra: Mapping[str, Any] | None = None
    whole_mask: bool = False
    shares_steps: bool = True
    encode: Callable[[Any, str], tuple[Any, ...]] | None = None
    text_tokens: int | None = None
    text_multiple: int | None = None
    text_rows: bool = False
    words_alone: bool = False
    rescales: bool = False
    references: int = 0
    adapts: bool = False
    file_keys: tuple[str, ...] = ()
    guidance_argument: str = "guidance_scale"
    neutral: float = 1.0
    usual_negative: str = ""
    float16: bool = True
    calls_back: bool = True
    other_rows: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    text: str | None = None
    image: str | None = None
    inpaint: str | None = None
    edit: str | None = None
    several: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def pipeline(self, mode: Mode) -> str | None:
        """Return the name of the diffusers class for ``mode``, or None."""
        return dict(zip(Mode, (self.text, self.image, self.inpaint, self.edit), strict=True))[mode]

    def has_pipeline(self, name: str) -> bool:
        """Return whether weights whose model_index.json names the class ``name`` belong here."""
        return name in (self.text, self.image, self.inpaint, self.edit, *self.also)


FAMILY = Family(
    name="other",
    title="another family, through AutoPipeline",
    text="AutoPipelineForText2Image",
    image="AutoPipelineForImage2Image",
    inpaint="AutoPipelineForInpainting",
    multiple=32,
    num_inference_steps=28,
    guidance_scale=5.0,
    draft_steps=14,
    unpack=None,
    shares_steps=False,
)
