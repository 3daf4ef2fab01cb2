"""How words steer the pictures beyond one prompt and one negative prompt: weights, a style, chaos, weird.
Tensors in, tensors out.

Every picture gets embeddings of its own, made from the words and its own seed, so that it comes out the same
in any batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vision.drawing.parameters import Wording

OPENING = 0.65  # of the schedule: how long full chaos hides the words
SOONER = (
    0.7  # makes small values count: with 1, --chaos 25 changed nothing on the demo models (2 of 12 steps)
)
MOST_REFUSAL = 1.5
MOST_WEIRD = 0.5  # share of the words' variance that full weird replaces
CHAOS, WEIRD = 0x9E3779B9, 0x85EBCA6B  # added to a picture's seed, so that no noise is drawn twice


@dataclass(frozen=True)
class Encoded:
    """What a text encoder makes of some words. tokens: (1, T, D). pooled: (1, P), None = the model has
    none."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None = None

    def towards(self, other: Encoded, share: float) -> Encoded:
        """On the line from here (0) through ``other`` (1), and beyond; both of the same length."""
        if self.pooled is None or other.pooled is None:
            pooled = None
        else:
            pooled = torch.lerp(self.pooled, other.pooled, share)
        return Encoded(torch.lerp(self.tokens, other.tokens, share), pooled)

    def filled(self, length: int, filler: Encoded) -> Encoded:
        """``length`` tokens long, with ``filler`` behind it as often as it takes."""
        missing = (length - self.tokens.shape[1]) // filler.tokens.shape[1]
        return (
            replace(self, tokens=torch.cat([self.tokens, *[filler.tokens] * missing], 1))
            if missing > 0
            else self
        )


@dataclass(frozen=True)
class Conditioning:
    """For B pictures. prompt: (B, T, D), and so on. noise: (B, T, D), what chaos puts in the words' place
    while the schedule opens."""

    prompt: torch.Tensor
    pooled: torch.Tensor | None
    negative: torch.Tensor | None
    negative_pooled: torch.Tensor | None
    noise: torch.Tensor | None = None
    chaos: float = 0.0

    def at(self, progress: float) -> torch.Tensor:
        """(B, T, D) once ``progress`` (0..1) of the noise is gone: at first mostly noise, then more and more
        the words alone.

        CADS (arXiv:2310.17347, algorithm 1), whose rescaling to the words' mean and deviation is in the noise
        already.
        """
        if self.noise is None:
            return self.prompt
        share = 1 - progress / (OPENING * self.chaos**SOONER)
        return _blurred(self.prompt, self.noise, share) if share > 0 else self.prompt

    def arguments(self, begin: float) -> dict[str, torch.Tensor | None]:
        """Of a pipeline's call that starts at ``begin`` (0..1) of the schedule."""
        return {
            "prompt_embeds": self.at(begin),
            "pooled_prompt_embeds": self.pooled,
            "negative_prompt_embeds": self.negative,
            "negative_pooled_prompt_embeds": self.negative_pooled,
        }

    def following(
        self, on_step: Callable[..., dict[str, Any]], begin: float, end: float
    ) -> Callable[..., dict[str, Any]]:
        """``on_step``, a pipeline's callback, that also puts in the next step's embeddings; it needs the
        tensor ``prompt_embeds``.

        begin, end: 0..1 of the schedule that the call runs through.
        """

        def callback(pipe: Any, i: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
            values = on_step(pipe, i, t, values)
            held, progress = values["prompt_embeds"], begin + (end - begin) * (i + 1) / pipe.num_timesteps
            unwanted = held[: -len(self.prompt)]  # with guidance their rows come first
            values["prompt_embeds"] = torch.cat([unwanted, self.at(progress).to(held)])
            return values

        return callback


def encode(
    read: Callable[[str], Encoded],
    prompt: str,
    negative_prompt: str,
    wording: Wording,
    seeds: Sequence[int],
    *,
    guided: bool,
    zeros: bool = False,
) -> Conditioning:
    """Embeddings of one picture for each of ``seeds``.

    read: one text through the model's encoders. guided: unwanted words have a pass of their own. zeros: in
    it, no words at all are zeros (SDXL's ``force_zeros_for_empty_prompt``).
    """
    empty = read("")
    parts = wording.wanted or ((prompt, 1.0),)
    plain = 1 - sum(
        amount for _, amount in wording.styles
    )  # a style moves the words towards what they are with the style's behind them
    styled = [
        (_joined(words, style), share * amount) for words, share in parts for style, amount in wording.styles
    ]
    said = mix(
        [
            (read(words), share)
            for words, share in (*((words, share * plain) for words, share in parts), *styled)
            if share
        ],
        empty,
    )
    unsaid = None
    if guided:
        nothing = (
            Encoded(
                torch.zeros_like(empty.tokens),
                None if empty.pooled is None else torch.zeros_like(empty.pooled),
            )
            if zeros
            else empty
        )
        unwanted = wording.unwanted or (((negative_prompt, 1.0),) if negative_prompt else ())
        unsaid = _refused(
            nothing,
            mix([(read(words), share) for words, share in unwanted], empty) if unwanted else nothing,
            wording.refusal,
        )
        length = max(said.tokens.shape[1], unsaid.tokens.shape[1])
        said, unsaid = said.filled(length, empty), unsaid.filled(length, nothing)
    return _for_each(said, unsaid, wording, seeds)


def mix(parts: Sequence[tuple[Encoded, float]], empty: Encoded) -> Encoded:
    """The sum of ``parts``, each times its share; shorter ones are filled up with ``empty``."""
    length = max(part.tokens.shape[1] for part, _ in parts)
    tokens = [part.filled(length, empty).tokens * share for part, share in parts]
    pooled = [part.pooled * share for part, share in parts if part.pooled is not None]
    return Encoded(_sum(tokens), _sum(pooled) if pooled else None)


def _sum(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return functools.reduce(torch.add, tensors)


def _joined(words: str, style: str) -> str:
    return f"{words}, {style}" if words else style


def _refused(nothing: Encoded, unwanted: Encoded, refusal: float) -> Encoded:
    """What guidance leads away from: no words, moved towards the unwanted ones."""
    length = unwanted.tokens.shape[1]
    return nothing.filled(length, nothing).towards(unwanted, min(MOST_REFUSAL, refusal))


def _for_each(said: Encoded, unsaid: Encoded | None, wording: Wording, seeds: Sequence[int]) -> Conditioning:
    def rows(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.expand(len(seeds), *tensor.shape[1:])

    def rows_or_none(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else rows(tensor)

    prompt = rows(said.tokens)
    if wording.weird:
        prompt = _blurred(prompt, _noise(said.tokens, seeds, WEIRD), MOST_WEIRD * wording.weird)
    noise = _noise(said.tokens, seeds, CHAOS) if wording.chaos else None
    return Conditioning(
        prompt,
        rows_or_none(said.pooled),
        rows(unsaid.tokens) if unsaid else None,
        rows_or_none(unsaid.pooled) if unsaid else None,
        noise,
        wording.chaos,
    )


def _noise(tokens: torch.Tensor, seeds: Sequence[int], salt: int) -> torch.Tensor:
    """(B, T, D) with the mean and the deviation of ``tokens`` (1, T, D), from each picture's seed alone; on
    the CPU, as all noise here."""
    generators = [torch.Generator("cpu").manual_seed(seed + salt) for seed in seeds]
    drawn = torch.stack([torch.randn(tokens.shape[1:], generator=generator) for generator in generators])
    return (drawn * tokens.float().std().cpu() + tokens.float().mean().cpu()).to(tokens)


def _blurred(words: torch.Tensor, noise: torch.Tensor, share: float) -> torch.Tensor:
    """``share`` (0..1) of the variance comes from ``noise``."""
    return (1 - share) ** 0.5 * words + share**0.5 * noise
