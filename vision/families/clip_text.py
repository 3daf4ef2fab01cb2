"""Encodes words with CLIP text encoders, also more than their 77 tokens. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def hidden(tokenizer: Any, encoder: Any, words: str, *, penultimate: bool = False) -> Any:
    """Return (1, 77·n, D): the last layer normalised, or the one before it as it is (SDXL).

    Longer texts are cut into pieces of up to 75 tokens, between sentences, else between phrases or words;
    each is encoded alone. Up to 77 tokens the result has the very bits of diffusers' own encoding.
    """
    from compel import EmbeddingsProvider, ReturnedEmbeddingsType

    kind = (
        ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
        if penultimate
        else ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
    )
    provider = EmbeddingsProvider(tokenizer, encoder, truncate=False, returned_embeddings_type=kind)
    return provider.get_embeddings_for_weighted_prompt_fragments([[words]], [[1.0]], device=encoder.device)


def side_by_side(pairs: Sequence[tuple[Any, Any]], words: str) -> Any:
    """Return (1, 77·n, ΣD): the penultimate layers of several (tokenizer, encoder). Those that need fewer
    pieces get empty ones."""
    import torch

    sides = [hidden(tokenizer, encoder, words, penultimate=True) for tokenizer, encoder in pairs]
    length = max(side.shape[1] for side in sides)
    for i, (tokenizer, encoder) in enumerate(pairs):
        while sides[i].shape[1] < length:
            sides[i] = torch.cat([sides[i], hidden(tokenizer, encoder, "", penultimate=True)], 1)
    return torch.cat(sides, -1)


def pooled(tokenizer: Any, encoder: Any, words: str) -> Any:
    """Return (1, P): the projected end token of the first 77 tokens."""
    given = tokenizer(
        words,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    return encoder(given.input_ids.to(encoder.device))[0]
