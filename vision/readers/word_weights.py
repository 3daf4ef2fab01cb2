"""How much each word of a prompt counts: how far the text's embedding turns when the word is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

WINDOW = 40  # words in one text: CLIP reads 77 tokens, SigLIP 64


def weights(words: Sequence[str], embed: Callable[[list[str]], torch.Tensor]) -> list[float]:
    """Return 0..1 for each word, 1 = the strongest, by 1 - cosine of the embeddings with and without it.

    embed: texts → (N, D) of unit length. Longer prompts are taken in windows of WINDOW words, each on its
    own.
    """
    drops: list[float] = []
    for start in range(0, len(words), WINDOW):
        drops += _drops(list(words[start : start + WINDOW]), embed)
    largest = max(drops, default=0.0)
    return [drop / largest if largest > 0 else 1.0 for drop in drops]


def _drops(words: list[str], embed: Callable[[list[str]], torch.Tensor]) -> list[float]:
    texts = [" ".join(words), *(" ".join(words[:i] + words[i + 1 :]) for i in range(len(words)))]
    embeddings = embed(texts).double()  # (1 + n, D)
    return (1 - embeddings[1:] @ embeddings[0]).clamp(min=0).tolist()
