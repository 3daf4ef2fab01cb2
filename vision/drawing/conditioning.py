"""Makes embeddings for texts that steer the pictures beyond one prompt and one negative prompt: weights, a
style, chaos, weird. Tensors in, tensors out.

Every picture gets embeddings of its own, made from the texts and its own seed, so that it comes out the same
in any batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vision.drawing.parameters import TextSpec

OPENING = 0.65  # of the schedule: how long full chaos hides the text
# makes small values count: with 1, --chaos 25 changed nothing on the demo models (2 of 12 steps)
CHAOS_EXPONENT = 0.7
MAX_REFUSAL = 1.5
MAX_WEIRD = 0.5  # share of the text's variance that full weird replaces
CHAOS, WEIRD = 0x9E3779B9, 0x85EBCA6B  # added to a picture's seed, so that no noise is drawn twice


@dataclass(frozen=True)
class Encoded:
    """What a text encoder makes of a text. tokens: (1, T, D). pooled: (1, P), None = the model has none."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None = None

    def towards(self, other: Encoded, share: float) -> Encoded:
        """Return the point ``share`` on the line from this (0) through ``other`` (1), which has the same
        length, and beyond."""
        if self.pooled is None or other.pooled is None:
            pooled = None
        else:
            pooled = torch.lerp(self.pooled, other.pooled, share)
        return Encoded(torch.lerp(self.tokens, other.tokens, share), pooled)

    def zeroed(self) -> Encoded:
        """Return zeros of the same shapes."""
        pooled = None if self.pooled is None else torch.zeros_like(self.pooled)
        return Encoded(torch.zeros_like(self.tokens), pooled)

    def filled(self, length: int, filler: Encoded) -> Encoded:
        """Return it ``length`` tokens long, with ``filler`` appended as often as needed."""
        missing = (length - self.tokens.shape[1]) // filler.tokens.shape[1]
        return (
            replace(self, tokens=torch.cat([self.tokens, *[filler.tokens] * missing], 1))
            if missing > 0
            else self
        )


@dataclass(frozen=True)
class Conditioning:
    """The embeddings of B pictures. prompt, negative: (B, T, D). pooled, negative_pooled: (B, P). noise:
    (B, T, D), what chaos mixes into the text at the beginning of the schedule. chaos: 0..1."""

    prompt: torch.Tensor
    pooled: torch.Tensor | None
    negative: torch.Tensor | None
    negative_pooled: torch.Tensor | None
    noise: torch.Tensor | None = None
    chaos: float = 0.0

    def at(self, progress: float) -> torch.Tensor:
        """Return the prompt's embeddings (B, T, D) for the step after ``progress`` (0..1) of the schedule: at
        first mostly noise, then more and more the text alone.

        CADS (arXiv:2310.17347, algorithm 1), whose rescaling to the text's mean and deviation is in the noise
        already.
        """
        if self.noise is None:
            return self.prompt
        share = 1 - progress / (OPENING * self.chaos**CHAOS_EXPONENT)
        return _blurred(self.prompt, self.noise, share) if share > 0 else self.prompt

    def arguments(self, begin: float) -> dict[str, torch.Tensor | None]:
        """Return the arguments for a pipeline's call that starts at ``begin`` (0..1) of the schedule."""
        return {
            "prompt_embeds": self.at(begin),
            "pooled_prompt_embeds": self.pooled,
            "negative_prompt_embeds": self.negative,
            "negative_pooled_prompt_embeds": self.negative_pooled,
        }

    def following(
        self, on_step: Callable[..., dict[str, Any]], begin: float, end: float
    ) -> Callable[..., dict[str, Any]]:
        """Return a pipeline's callback that calls ``on_step`` and sets the next step's embeddings; it needs
        the tensor ``prompt_embeds``.

        begin, end: 0..1 of the schedule that the call runs through.
        """

        def callback(pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
            values = on_step(pipe, i, t, values)
            held, progress = values["prompt_embeds"], begin + (end - begin) * (i + 1) / pipe.num_timesteps
            negative = held[: -len(self.prompt)]  # with guidance their rows come first
            values["prompt_embeds"] = torch.cat([negative, self.at(progress).to(held)])
            return values

        return callback


def encode(
    read: Callable[[str], Encoded],
    prompt: str,
    negative_prompt: str,
    spec: TextSpec,
    seeds: Sequence[int],
    *,
    guided: bool,
    zeros: bool = False,
) -> Conditioning:
    """Return the embeddings of one picture for each of ``seeds``.

    read: encodes one text with the model's encoders. guided: the negative prompt has a pass of its own.
    zeros: an empty one is all zeros there (SDXL's ``force_zeros_for_empty_prompt``).
    """
    empty = read("")
    positive = mix([(read(text), share) for text, share in _positive_parts(prompt, spec) if share], empty)
    if not guided:
        return _for_each(positive, None, spec, seeds)
    nothing = empty.zeroed() if zeros else empty
    unwanted = spec.unwanted or (((negative_prompt, 1.0),) if negative_prompt else ())
    mixed = mix([(read(text), share) for text, share in unwanted], empty) if unwanted else nothing
    # guidance leads away from: no text, moved towards the unwanted one
    away = nothing.filled(mixed.tokens.shape[1], nothing).towards(mixed, min(MAX_REFUSAL, spec.refusal))
    length = max(positive.tokens.shape[1], away.tokens.shape[1])
    return _for_each(positive.filled(length, empty), away.filled(length, nothing), spec, seeds)


def _positive_parts(prompt: str, spec: TextSpec) -> list[tuple[str, float]]:
    """The texts that are mixed, with their shares: a style moves each part towards the part with the style
    behind it."""
    parts = spec.wanted or ((prompt, 1.0),)
    plain = 1 - sum(amount for _, amount in spec.styles)
    styled = [
        (f"{text}, {style}" if text else style, share * amount)
        for text, share in parts
        for style, amount in spec.styles
    ]
    return [*((text, share * plain) for text, share in parts), *styled]


def mix(parts: Sequence[tuple[Encoded, float]], empty: Encoded) -> Encoded:
    """Return the sum of ``parts``, each times its share; shorter ones are filled up with ``empty``."""
    length = max(part.tokens.shape[1] for part, _ in parts)
    tokens = [part.filled(length, empty).tokens * share for part, share in parts]
    pooled = [part.pooled * share for part, share in parts if part.pooled is not None]
    return Encoded(_sum(tokens), _sum(pooled) if pooled else None)


def _sum(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return functools.reduce(torch.add, tensors)


def _for_each(
    positive: Encoded, negative: Encoded | None, spec: TextSpec, seeds: Sequence[int]
) -> Conditioning:
    def rows(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.expand(len(seeds), *tensor.shape[1:])

    def rows_or_none(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else rows(tensor)

    prompt = rows(positive.tokens)
    if spec.weird:
        prompt = _blurred(prompt, _noise(positive.tokens, seeds, WEIRD), MAX_WEIRD * spec.weird)
    noise = _noise(positive.tokens, seeds, CHAOS) if spec.chaos else None
    return Conditioning(
        prompt,
        rows_or_none(positive.pooled),
        rows(negative.tokens) if negative else None,
        rows_or_none(negative.pooled) if negative else None,
        noise,
        spec.chaos,
    )


def _noise(tokens: torch.Tensor, seeds: Sequence[int], salt: int) -> torch.Tensor:
    """Noise (B, T, D) with the mean and the deviation of ``tokens`` (1, T, D), from each picture's seed
    alone; on the CPU, as all noise here."""
    generators = [torch.Generator("cpu").manual_seed(seed + salt) for seed in seeds]
    drawn = torch.stack([torch.randn(tokens.shape[1:], generator=generator) for generator in generators])
    return (drawn * tokens.float().std().cpu() + tokens.float().mean().cpu()).to(tokens)


def _blurred(text: torch.Tensor, noise: torch.Tensor, share: float) -> torch.Tensor:
    """``text`` with ``noise`` in it, from which ``share`` (0..1) of the variance comes."""
    return (1 - share) ** 0.5 * text + share**0.5 * noise
