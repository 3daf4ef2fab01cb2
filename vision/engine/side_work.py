"""What side work is made of: work without denoising passes (captions, labels, embeddings), done in one call
for the items of several jobs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any

# Called between two slices of the work with the number of items in the next one (1 unless the work says more)
BeforeSlice = Callable[..., None]
SideWork = Callable[[Sequence[Any], BeforeSlice], Sequence[Any]]  # (items, before_slice) → a result for each
Batched = Callable[..., Any]  # (work, item, key=()) → the item's result, see Fiber.batched


class SideWorkFuture(Future):
    """The result of side work for one item; a class of its own because side work can't delay the job that
    waits for it."""


def unbatched(work: SideWork, item: Any, key: Hashable = ()) -> Any:
    """Return what ``work`` makes of ``item`` alone, at once; a ``Batched`` for callers without an engine."""
    return work([item], lambda count=1: None)[0]
