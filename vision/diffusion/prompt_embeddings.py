"""What steers pictures beyond one prompt and one negative prompt. Texts: embeddings with weights, a style,
chaos, weird; every picture gets its own, made from the texts and its own seed, so that it comes out the same
in any batch. Pictures: image prompts, style, character and omni references.

A model with references of its own (FLUX.2), or with an IP-Adapter, is shown the pictures. Any other begins to
draw at their mean, the nearest object to it."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from core.limits import IMAGE_WEIGHT_CAP
from core.requests import GenerateRequest
from core.taste_words import joined
from vision.diffusion import parameters
from vision.images.encode import Pictures

OPENING = 0.65  # of the schedule: how long full chaos hides the text
# makes small values count: with 1, --chaos 25 changed nothing on the demo models (2 of 12 steps)
CHAOS_EXPONENT = 0.7
MAX_REFUSAL = 1.5
MAX_WEIRD = 0.5  # share of the text's variance that full weird replaces
CHAOS, WEIRD = 0x9E3779B9, 0x85EBCA6B  # added to a picture's seed, so that no noise is drawn twice


def filled_up(
    encode: Callable[..., tuple[Tensor, Tensor | None]], multiple: int
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return a pipeline's ``encode_prompt``, which gives tokens (B, T, D) and a mask (B, T), or None for all,
    with T filled up to a whole multiple of ``multiple`` and the mask always there."""

    def encode_filled(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        tokens, mask = encode(*args, **kwargs)
        mask = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device) if mask is None else mask
        missing = -tokens.shape[1] % multiple
        return F.pad(tokens, (0, 0, 0, missing)), F.pad(mask, (0, missing))

    return encode_filled


@dataclass(frozen=True)
class Encoded:
    """What a text encoder makes of a text. tokens: (1, T, D). pooled: (1, P), None = the model has none.
    mask: (1, T), which tokens are words, of a language model; None = all count, of every other encoder."""

    tokens: Tensor
    pooled: Tensor | None = None
    mask: Tensor | None = None

    def towards(self, other: "Encoded", share: float) -> "Encoded":
        """Return the point ``share`` on the line from this (0) through ``other`` (1), of the same length."""
        both = self.pooled is not None and other.pooled is not None
        pooled = torch.lerp(self.pooled, other.pooled, share) if both else None  # type: ignore[arg-type]
        masks = [mask for mask in (self.mask if share != 1 else None, other.mask) if mask is not None]
        return Encoded(torch.lerp(self.tokens, other.tokens, share), pooled, _of_any(masks))

    def zeroed(self) -> "Encoded":
        """Return zeros of the same shapes."""
        pooled = None if self.pooled is None else torch.zeros_like(self.pooled)
        return replace(self, tokens=torch.zeros_like(self.tokens), pooled=pooled)

    def filled(self, length: int, filler: "Encoded") -> "Encoded":
        """Return it ``length`` tokens long, with ``filler`` appended as often as needed; of a language model,
        whose texts have any length, with tokens that are no words."""
        if self.mask is not None:
            more = length - self.tokens.shape[1]
            return Encoded(F.pad(self.tokens, (0, 0, 0, more)), self.pooled, F.pad(self.mask, (0, more)))
        missing = (length - self.tokens.shape[1]) // filler.tokens.shape[1]
        if missing <= 0:
            return self
        return replace(self, tokens=torch.cat([self.tokens, *[filler.tokens] * missing], 1))


@dataclass(frozen=True)
class Conditioning:
    """The embeddings of B pictures. prompt, negative: (B, T, D). pooled, negative_pooled: (B, P). noise: (B,
    T, D), what chaos mixes into the text at the beginning of the schedule. chaos: 0..1. mask, negative_mask:
    (B, T), see ``Encoded``. rows: the pipeline takes each text as a list of B rows (t, D) of words alone."""

    prompt: Tensor
    pooled: Tensor | None
    negative: Tensor | None
    negative_pooled: Tensor | None
    noise: Tensor | None = None
    chaos: float = 0.0
    mask: Tensor | None = None
    negative_mask: Tensor | None = None
    rows: bool = False

    def at(self, progress: float) -> Tensor:
        """Return the prompt's embeddings (B, T, D) for the step after ``progress`` (0..1) of the schedule: at
        first mostly noise, then more and more the text alone. CADS (arXiv:2310.17347, algorithm 1), whose
        rescaling to the text's mean and deviation is in the noise already."""
        if self.noise is None:
            return self.prompt
        share = 1 - progress / (OPENING * self.chaos**CHAOS_EXPONENT)
        return _blurred(self.prompt, self.noise, share) if share > 0 else self.prompt

    def arguments(self, begin: float) -> dict[str, Any]:
        """Return the arguments for a pipeline's call that starts at ``begin`` (0..1) of the schedule."""
        return {
            "prompt_embeds": self._given(self.at(begin), self.mask),
            "prompt_embeds_mask": self.mask,
            "pooled_prompt_embeds": self.pooled,
            "negative_prompt_embeds": self._given(self.negative, self.negative_mask),
            "negative_prompt_embeds_mask": self.negative_mask,
            "negative_pooled_prompt_embeds": self.negative_pooled,
        }

    def _given(self, tokens: Tensor | None, mask: Tensor | None) -> Any:
        if not self.rows or tokens is None or mask is None:
            return tokens
        return [row[words.bool()] for row, words in zip(tokens, mask, strict=True)]

    def following(
        self, on_step: Callable[..., dict[str, Any]], begin: float, end: float
    ) -> Callable[..., dict[str, Any]]:
        """Return a pipeline's callback that calls ``on_step`` and sets the next step's embeddings; it needs
        the tensor ``prompt_embeds``. begin, end: 0..1 of the schedule that the call runs through."""

        def callback(pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
            values = on_step(pipe, i, t, values)
            held, progress = values["prompt_embeds"], begin + (end - begin) * (i + 1) / pipe.num_timesteps
            now = self._given(self.at(progress), self.mask)
            if not self.rows:
                negative = held[: -len(self.prompt)]  # with guidance their rows come first
                now = torch.cat([negative, now.to(held)])
            return {**values, "prompt_embeds": now}

        return callback


def encode_prompt(
    read: Callable[[str], Encoded],
    prompt: str,
    negative_prompt: str,
    spec: parameters.TextSpec,
    seeds: Sequence[int],
    *,
    texts: Sequence[tuple[str, parameters.TextSpec]] = (),
    guided: bool,
    zeros: bool = False,
    rows: bool = False,
) -> Conditioning:
    """Return the embeddings of one picture for each of ``seeds``. read: encodes one text with the model's
    encoders. texts: a prompt and its styles for each, where they differ. guided: the negative prompt has a
    pass of its own. zeros: an empty one is all zeros there (SDXL's ``force_zeros_for_empty_prompt``). rows:
    see Conditioning."""
    empty = read("")
    each = zip(texts or [(prompt, spec)] * len(seeds), seeds, strict=True)
    told = [(own.prompt_of(text, seed), own) for (text, own), seed in each]
    mixed_of = {
        (text, own): mix([(read(one), share) for one, share in _positive_parts(text, own) if share], empty)
        for text, own in dict.fromkeys(told)
    }
    longest = max(one.tokens.shape[1] for one in mixed_of.values())
    positive = [mixed_of[text].filled(longest, empty) for text in told]
    if not guided:
        return _for_each(positive, None, spec, seeds, rows)
    nothing = empty.zeroed() if zeros else empty
    unwanted = spec.unwanted or (((negative_prompt, 1.0),) if negative_prompt else ())
    mixed = mix([(read(text), share) for text, share in unwanted], empty) if unwanted else nothing
    # guidance leads away from: no text, moved towards the unwanted one
    length = max(nothing.tokens.shape[1], mixed.tokens.shape[1])
    mixed = mixed.filled(length, nothing)
    away = nothing.filled(length, nothing).towards(mixed, min(MAX_REFUSAL, spec.refusal))
    length = max(longest, away.tokens.shape[1])
    positive = [one.filled(length, empty) for one in positive]
    return _for_each(positive, away.filled(length, nothing), spec, seeds, rows)


def _positive_parts(prompt: str, spec: parameters.TextSpec) -> list[tuple[str, float]]:
    """The texts that are mixed, with their shares: a style moves each part towards itself with the style."""
    parts = spec.wanted or ((prompt, 1.0),)
    plain = 1 - sum(amount for _, amount in spec.styles)
    found = [(text, share * plain) for text, share in parts]
    for text, share in parts:
        found += [(joined(text, style), share * amount) for style, amount in spec.styles]
    return found


def mix(parts: Sequence[tuple[Encoded, float]], empty: Encoded) -> Encoded:
    """Return the sum of ``parts``, each times its share; shorter ones are filled up with ``empty``. Language
    models' tokens are normalised when they are taken in, so one that few parts have counts in full."""
    length = max(part.tokens.shape[1] for part, _ in parts)
    filled = [(part.filled(length, empty), share) for part, share in parts]
    tokens = [part.tokens * share for part, share in filled]
    pooled = [part.pooled * share for part, share in filled if part.pooled is not None]
    return Encoded(
        functools.reduce(torch.add, tokens),
        functools.reduce(torch.add, pooled) if pooled else None,
        _of_any([part.mask for part, _ in filled if part.mask is not None]),
    )


def _of_any(masks: Sequence[Tensor]) -> Tensor | None:
    """Where any of ``masks`` is; None without one."""
    return functools.reduce(torch.maximum, masks) if masks else None


def _for_each(
    positive: Sequence[Encoded],
    negative: Encoded | None,
    spec: parameters.TextSpec,
    seeds: Sequence[int],
    as_rows: bool,
) -> Conditioning:
    def rows(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.expand(len(seeds), *tensor.shape[1:])

    def joined(tensors: Iterable[Tensor | None]) -> Tensor | None:
        found = [tensor for tensor in tensors if tensor is not None]
        return torch.cat(found) if found else None

    def noise(salt: int) -> Tensor:
        return torch.cat([_noise(text, seed, salt) for text, seed in zip(positive, seeds, strict=True)])

    prompt = torch.cat([one.tokens for one in positive])
    if spec.weird:
        prompt = _blurred(prompt, noise(WEIRD), MAX_WEIRD * spec.weird)
    return Conditioning(
        prompt,
        joined(one.pooled for one in positive),
        rows(negative.tokens) if negative else None,
        rows(negative.pooled) if negative else None,
        noise(CHAOS) if spec.chaos else None,
        spec.chaos,
        joined(one.mask for one in positive),
        rows(negative.mask) if negative else None,
        as_rows,
    )


def _noise(text: Encoded, seed: int, salt: int) -> Tensor:
    """Noise (1, T, D) with the mean and the deviation of a text's tokens, from a picture's seed alone; on the
    CPU, as all noise here. Of a language model those of its middle token: the first one of a text is
    thousands of times as large (arXiv:2402.17762). Of several layers, (1, T, L, D), each has its own."""
    generator = torch.Generator("cpu").manual_seed(seed + salt)
    drawn = torch.randn(text.tokens.shape[1:], generator=generator)[None]
    tokens = text.tokens.float()
    deviation, mean = tokens.std(), tokens.mean()
    if text.mask is not None:
        words = tokens[text.mask.bool()]  # (N, D) or (N, L, D)
        deviation = words.std(-1, keepdim=True).median(0).values
        mean = words.mean(-1, keepdim=True).median(0).values
    return (drawn * deviation.cpu() + mean.cpu()).to(text.tokens)


def _blurred(text: Tensor, noise: Tensor, share: float) -> Tensor:
    """``text`` with ``noise`` in it, from which ``share`` (0..1) of the variance comes."""
    return (1 - share) ** 0.5 * text + share**0.5 * noise


MIN_SIDE, MAX_ASPECT = 64, 8.0  # px and aspect that FLUX.2 takes


@dataclass(frozen=True)
class ReferencePicture:
    """A request's picture. flag: how it came. weight: against others. influence: 0..1, on the result."""

    flag: str
    image: Image.Image
    weight: float
    influence: float


def reference_pictures(request: GenerateRequest, images: Pictures) -> list[ReferencePicture]:
    """Return the request's pictures that count, strongest first. images: SHA-256 → picture."""
    return sorted(_each(request, images), key=lambda one: -one.weight * one.influence)


def _each(request: GenerateRequest, images: Pictures) -> Iterator[ReferencePicture]:
    character = 1.0 if request.character_weight is None else request.character_weight / 100
    kinds = (
        ("an image prompt", request.image_prompts, influence(request.image_weight)),
        ("--sref", request.style_references, 0.1 * parameters.weight_factor(request.style_weight)),
        ("--cref", request.character_references, 0.1 + 0.2 * character),
        ("--oref", request.omni_references, 0.3 * parameters.weight_factor(request.omni_weight)),
    )
    for flag, weighted, amount in kinds:
        for sha256, weight in weighted:
            if weight > 0 and amount > 0:
                yield ReferencePicture(flag, images[sha256], weight, amount)


def influence(image_weight: float | None) -> float:
    """Convert ``--iw`` 0 to 3 to an influence of 0 to 0.6; 1 is usual, more than 3 counts as 3."""
    return 0.2 * (1.0 if image_weight is None else min(image_weight, IMAGE_WEIGHT_CAP))


def mean(pictures: list[ReferencePicture], size: tuple[int, int]) -> tuple[Image.Image, float]:
    """Return the weighted mean of the pictures, cut to ``size`` (w, h), and the strength to begin at it with,
    which follows from the largest influence."""
    total = sum(one.weight * one.influence for one in pictures)
    shares = [one.weight * one.influence / total for one in pictures]
    fitted = [ImageOps.fit(one.image, size, Image.Resampling.LANCZOS) for one in pictures]
    parts = [np.asarray(one, np.float32) * share for one, share in zip(fitted, shares, strict=True)]
    mean = np.sum(parts, 0).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(mean), 1 - max(one.influence for one in pictures)


def references(pictures: list[ReferencePicture], count: int) -> tuple[Image.Image, ...]:
    """Return the strongest ``count`` pictures as models take them: at most MAX_ASPECT, at least MIN_SIDE."""
    return tuple(_acceptable(one.image) for one in pictures[:count])


def _acceptable(image: Image.Image) -> Image.Image:
    width, height = image.size
    width, height = min(width, int(height * MAX_ASPECT)), min(height, int(width * MAX_ASPECT))
    cut = ImageOps.fit(image, (width, height)) if (width, height) != image.size else image
    scale = max(1.0, MIN_SIDE / min(cut.size))
    size = round(cut.width * scale), round(cut.height * scale)
    return cut if scale == 1 else cut.resize(size, Image.Resampling.LANCZOS)


def ignored_pictures_notes(request: GenerateRequest) -> list[str]:
    """Return notes about pictures with negative weights, which no model can keep away from."""
    against = [weight for _, weight in request.image_prompts if weight < 0]
    return ["Image prompts with a negative weight had no effect."] if against else []


def ip_adapter_note(pictures: list[ReferencePicture], name: str, scale: float) -> str:
    """Return a note that the model ``name`` was shown the pictures by its IP-Adapter at ``scale``."""
    several = " All count alike." if len({one.weight * one.influence for one in pictures}) > 1 else ""
    return f"{_shown(pictures, name)} by IP-Adapter, at scale {scale:.2g}.{several}"


def _shown(pictures: list[ReferencePicture], name: str) -> str:
    return f"{name} was shown the picture{'s' if len(pictures) > 1 else ''} ({_flags(pictures)})"


def _flags(pictures: list[ReferencePicture]) -> str:
    flags = dict.fromkeys(one.flag for one in pictures)
    return ", ".join(f"`{flag}`" if flag.startswith("--") else flag for flag in flags)


def references_note(pictures: list[ReferencePicture], name: str, count: int) -> str:
    """Return a note that the model ``name``, which takes ``count`` references, was shown the pictures."""
    left = f" Only the first {count} were." if len(pictures) > count else ""
    return f"{_shown(pictures, name)} as references; weights count as their order.{left}"


def mean_note(pictures: list[ReferencePicture], name: str, strength: float) -> str:
    """Return a note that the model ``name`` began to draw at the pictures' mean, with ``strength``."""
    what = "the picture" if len(pictures) == 1 else "the mean of the pictures"
    return (
        f"{name} can't look at pictures ({_flags(pictures)}): drawing began at {what}, at strength"
        f" {strength:.2g}. Layout and colours carry over, not style alone."
    )
