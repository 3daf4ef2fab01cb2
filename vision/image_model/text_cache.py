"""Caches what text encoders returned, so that the same text isn't encoded twice: a prompt that is repeated or
rolled again, and the empty text."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from cachetools import LRUCache, cached

MAX_BYTES = 128 * 2**20  # kept for one model
PLAIN = (str, int, float, bool, type(None), torch.device, torch.dtype)


class TextCache:
    """The last results of one model's encoders, up to ``max_bytes``. Nobody may change them in place."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._kept = LRUCache[tuple[str, str], Any](max_bytes, getsizeof=_size)

    def cached(self, encode: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a function like ``encode`` that computes each result once. Calls with tensors aren't cached:
        those are embeddings already.

        name: keeps apart what different encoders make of the same arguments.
        """

        def key(*args: Any, **kwargs: Any) -> tuple[str, str]:
            return name, repr((args, sorted(kwargs.items())))

        kept = cached(self._kept, key)(encode)

        @functools.wraps(encode)
        def cached_encode(*args: Any, **kwargs: Any) -> Any:
            return (kept if _is_plain([args, kwargs]) else encode)(*args, **kwargs)

        return cached_encode


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, PLAIN)


def _size(made: Any) -> int:
    """The bytes of the tensors in an encoder's result."""
    if isinstance(made, torch.Tensor):
        return made.numel() * made.element_size()
    return sum(map(_size, made)) if isinstance(made, (list, tuple)) else 0
