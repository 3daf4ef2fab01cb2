"""What the parameters of a request mean to one model: steps, guidance, and what its text encoder is told.
Plain numbers and words; no torch.

Each of them either acts or leaves a sentence for the person who asked. docs/meaning.md has the table.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from core.limits import NEGATIVE_WEIGHT, STYLIZE_CAP
from core.requests import GenerateRequest
from vision.weights.card import Card

MOST_STEPS = 100
USUAL_STYLIZE = 100
STYLES = (  # ``--sref <number>`` draws one of each; whoever changes these lists changes every number's style
    (
        "watercolor",
        "oil painting",
        "ink drawing",
        "pixel art",
        "line art",
        "woodcut print",
        "pastel drawing",
        "flat illustration",
        "risograph print",
        "gouache painting",
        "charcoal sketch",
        "stained glass",
        "paper collage",
        "low poly 3d render",
        "film photograph",
        "comic book art",
    ),
    (
        "muted colours",
        "bright colours",
        "earthy colours",
        "black and white",
        "pastel colours",
        "neon colours",
        "blue and orange colours",
        "sepia colours",
        "deep green and gold colours",
        "red and cream colours",
    ),
    (
        "soft light",
        "hard shadows",
        "golden light",
        "moonlight",
        "mist",
        "high contrast",
        "flat light",
        "glowing edges",
    ),
)


@dataclass(frozen=True)
class Wording:
    """What the text encoder is told beyond one prompt and one negative prompt. As constructed: nothing.

    wanted, unwanted: parts of either with shares that sum to 1; empty = one part. refusal: how far to keep
    away from what is unwanted, 1 = as a plain negative prompt does. styles: (words, amount), 1 = as if they
    stood in the prompt. chaos, weird: 0..1.
    """

    wanted: tuple[tuple[str, float], ...] = ()
    unwanted: tuple[tuple[str, float], ...] = ()
    refusal: float = 1.0
    styles: tuple[tuple[str, float], ...] = ()
    chaos: float = 0.0
    weird: float = 0.0


@dataclass(frozen=True)
class Told:
    """What a model is told in all: prompt and negative prompt each as one sentence, and notes for the
    person."""

    prompt: str
    negative_prompt: str
    wording: Wording
    notes: tuple[str, ...] = ()


def steps(request: GenerateRequest, card: Card) -> int:
    """``--steps``, else the model's own (for ``--draft`` its draft's) times ``--quality``."""
    usual = card.draft.num_inference_steps if request.draft else card.num_inference_steps
    return request.num_inference_steps or min(MOST_STEPS, max(1, round(usual * (request.quality or 1))))


def guidance(request: GenerateRequest, card: Card) -> tuple[float, float, list[str]]:
    """(guidance_scale, guidance_rescale, notes). What ``--stylize`` and ``--exp`` do to it counts from 1,
    where guidance does nothing.

    Rescaling keeps the contrast of strong guidance in bounds (arXiv:2305.08891, 3.4, with its φ = 0.7).
    """
    if request.guidance_scale is not None:
        over = [
            f"--{name}"
            for name, given in (("stylize", request.stylize is not None), ("exp", request.exp))
            if given
        ]
        return (
            request.guidance_scale,
            0.0,
            [f"`--cfg` was given, so {' and '.join(over)} left the guidance alone."] if over else [],
        )
    usual = card.draft.guidance_scale if request.draft else card.guidance_scale
    if usual <= 1:
        return (
            usual,
            0.0,
            ["This model draws without guidance; `--exp` had no effect."] if request.exp else [],
        )
    exp = request.exp or 0
    more = freedom(request.stylize) * (1 + exp / 100)
    return 1 + (usual - 1) * more, 0.7 * exp / 100, []


def freedom(stylize: int | None) -> float:
    """What ``--stylize`` multiplies guidance with: 1.5 at 0 (keeps to the words), 1 at 100, 0.4 at 1000 (the
    model's own taste)."""
    value = USUAL_STYLIZE if stylize is None else min(stylize, STYLIZE_CAP)
    return 1.5 - 0.5 * value / 100 if value <= USUAL_STYLIZE else 1 - 0.6 * (value - 100) / 900


def amount(weight: int | None) -> float:
    """A weight of which 100 is usual (``--stylize``, ``--sw``, ``--ow``) → 0 at 0, 1 at 100, 1.5 at 1000 and
    more."""
    value = 100 if weight is None else min(weight, STYLIZE_CAP)
    return value / 100 if value <= 100 else 1 + 0.5 * (value - 100) / 900


def styles(request: GenerateRequest, card: Card) -> tuple[tuple[str, float], ...]:
    """The house style, unless ``--raw``, and what each ``--sref <number>`` stands for."""
    house = [(card.style.words, amount(request.stylize))] if card.style.words and not request.raw else []
    total = sum(weight for _, weight in request.style_codes)
    codes = [
        (coded(code), amount(request.style_weight) * weight / total)
        for code, weight in request.style_codes
        if total
    ]
    return tuple((words, share) for words, share in (*house, *codes) if share > 0)


def coded(code: int) -> str:
    """The style that a number stands for: the same words for the same number, whatever the model."""
    chance = random.Random(code)
    return ", ".join(chance.choice(kinds) for kinds in STYLES)


def tell(request: GenerateRequest, card: Card, name: str, *, weighs: bool, guided: bool) -> Told:
    """What to tell the model ``name``. weighs: whether its texts can be weighed against each other. guided:
    whether it draws with guidance away from other words.

    Midjourney's rule: weights count in relation to each other, and ``--no x`` is ``x::-0.5``.
    """
    parts = [(text.strip(), weight) for text, weight in request.prompt_parts if text.strip() and weight] or [
        (request.prompt.strip(), 1.0)
    ]
    wanted = [part for part in parts if part[1] > 0]
    unwanted = [(request.negative_prompt.strip(), NEGATIVE_WEIGHT)] if request.negative_prompt.strip() else []
    unwanted += [(text, -weight) for text, weight in parts if weight < 0]
    styled, refused = styles(request, card), ", ".join(text for text, _ in unwanted)
    notes = [
        *_unmoved(request, card, name, weighs=weighs, guided=guided),
        *(f"`--sref {code}`: {coded(code)}." for code, _ in request.style_codes),
    ]
    if unwanted and not guided:
        notes.append(
            f"{name} {_deaf(card)}; {'`--no`' if request.negative_prompt.strip() else 'a negative weight'}"
            " had no effect."
        )
    if not weighs:
        if len({weight for _, weight in wanted}) > 1:
            notes.append(f"{name} reads one sentence, not weights; the heaviest part stands first.")
        ordered = [text for text, _ in sorted(wanted, key=lambda part: -part[1])]
        return Told(
            _sentence([*ordered, *(words for words, share in styled if share >= 0.5)]),
            refused,
            Wording(),
            tuple(notes),
        )
    ratio = sum(weight for _, weight in unwanted) / sum(weight for _, weight in wanted)
    wording = Wording(
        _shares(wanted),
        _shares(unwanted),
        ratio / NEGATIVE_WEIGHT if unwanted else 1.0,
        styled,
        (request.chaos or 0) / 100,
        (request.weird or 0) / 3000,
    )
    return Told(_sentence(text for text, _ in wanted), refused, wording, tuple(notes))


def _sentence(parts: Iterable[str]) -> str:
    return ", ".join(part for part in parts if part)


def _shares(parts: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    total = sum(weight for _, weight in parts)
    return tuple((text, weight / total) for text, weight in parts) if len(parts) > 1 else ()


def _deaf(card: Card) -> str:
    return (
        "doesn't take negative prompts"
        if card.negative == "none"
        else "ignores negative prompts without guidance"
    )


def _unmoved(request: GenerateRequest, card: Card, name: str, *, weighs: bool, guided: bool) -> list[str]:
    """A sentence for each parameter that can't act on this model."""
    stiff = [
        flag for flag, given in (("chaos", request.chaos), ("weird", request.weird)) if given and not weighs
    ]
    notes = [f"{name} can't be told words by halves; `--{flag}` had no effect." for flag in stiff]
    housed = bool(card.style.words or card.style.lora)
    if request.stylize is not None and not housed and not guided:
        notes.append(f"{name} draws without guidance and has no house style; `--stylize` had no effect.")
    if request.raw and not housed:
        notes.append(f"{name} has no house style to leave out; `--raw` changed nothing.")
    return notes
