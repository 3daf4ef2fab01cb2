"""Which words of a prompt count: what a text encoder loses when one is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

WINDOW = 40  # words that are looked at together: CLIP reads 77 tokens, SigLIP 64


def weights(words: Sequence[str], read: Callable[[list[str]], torch.Tensor]) -> list[float]:
    """0..1 for each word, 1 = the strongest: how far the embedding turns (1 - cosine) when the word is left
    out.

    read: texts → (N, D) of unit length. Longer prompts are taken in windows, each on its own.
    """
    lost: list[float] = []
    for start in range(0, len(words), WINDOW):
        lost += _lost(list(words[start : start + WINDOW]), read)
    most = max(lost, default=0.0)
    return [value / most if most > 0 else 1.0 for value in lost]


def _lost(words: list[str], read: Callable[[list[str]], torch.Tensor]) -> list[float]:
    texts = [" ".join(words), *(" ".join(words[:i] + words[i + 1 :]) for i in range(len(words)))]
    seen = read(texts).double()  # (1 + n, D)
    return (1 - seen[1:] @ seen[0]).clamp(min=0).tolist()
