"""Caches what text encoders returned, so that the same text isn't encoded twice: a prompt that is repeated or
rolled again, and the empty text."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

MAX_BYTES = 128 * 2**20  # kept for one model
PLAIN = (str, int, float, bool, type(None), torch.device, torch.dtype)


class TextCache:
    """The last results of one model's encoders, up to ``max_bytes``. Nobody may change them in place."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def cached(self, encode: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a function like ``encode`` that computes each result once. Calls with tensors aren't cached:
        those are embeddings already.

        name: keeps apart what different encoders make of the same arguments.
        """

        @functools.wraps(encode)
        def cached_encode(*args: Any, **kwargs: Any) -> Any:
            if not _is_plain([args, kwargs]):
                return encode(*args, **kwargs)
            key = name, repr((args, sorted(kwargs.items())))
            if key not in self._kept:
                self._keep(key, encode(*args, **kwargs))
            self._kept.move_to_end(key)
            return self._kept[key]

        return cached_encode

    def _keep(self, key: Any, made: Any) -> None:
        self._kept[key] = made
        self._bytes += _size(made)
        while self._bytes > self._max_bytes and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


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
