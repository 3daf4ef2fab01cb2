"""What text encoders made of words lately, so that the same words aren't read twice: repeated prompts, rolled
again, and no words at all."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

MOST = 128 * 2**20  # bytes kept for one model
PLAIN = (str, int, float, bool, type(None), torch.device, torch.dtype)


class Texts:
    """The last results of one model's encoders, up to MOST bytes. Nobody may change them in place."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._bytes = most, 0
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def remembering(self, encode: Callable[..., Any], name: str) -> Callable[..., Any]:
        """``encode``, but not twice with the same arguments. Called with tensors it is as before: they are
        embeddings already.

        name: tells apart what other encoders make of the same arguments.
        """

        @functools.wraps(encode)
        def remembered(*args: Any, **kwargs: Any) -> Any:
            if not _is_plain([args, kwargs]):
                return encode(*args, **kwargs)
            key = name, repr((args, sorted(kwargs.items())))
            if key not in self._kept:
                self._keep(key, encode(*args, **kwargs))
            self._kept.move_to_end(key)
            return self._kept[key]

        return remembered

    def _keep(self, key: Any, made: Any) -> None:
        self._kept[key] = made
        self._bytes += _size(made)
        while self._bytes > self._most and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, PLAIN)


def _size(made: Any) -> int:
    """Bytes of the tensors in it."""
    if isinstance(made, torch.Tensor):
        return made.numel() * made.element_size()
    return sum(map(_size, made)) if isinstance(made, (list, tuple)) else 0
