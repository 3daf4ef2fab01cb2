"""How long operations took, as counts in buckets: cheap to note, and read only when somebody asks."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Concatenate, ParamSpec, TypeVar

# seconds; a bucket of Prometheus counts what took no longer
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Timing:
    """How often one operation ended, and how long that took. counts: of each bucket alone, the last one for
    what took longer than all bounds. total: seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Yield each bound as Prometheus writes it, with how many took no longer."""
        so_far = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.counts, strict=True):
            so_far += count
            yield bound, so_far


class Timings:
    """The timings of some operations by name. operations: their names, so that each is told from the start,
    with nothing in it."""

    def __init__(self, operations: Sequence[str]) -> None:
        self.by_operation = {name: Timing() for name in operations}

    def note(self, operation: str, seconds: float) -> None:
        """Count an operation that took some seconds."""
        timing = self.by_operation[operation]
        timing.counts[bisect_left(BOUNDS, seconds)] += 1
        timing.total += seconds

    @contextmanager
    def time(self, operation: str) -> Iterator[None]:
        """Take the block for one operation, however it ends."""
        began = perf_counter()
        try:
            yield
        finally:
            self.note(operation, perf_counter() - began)


Method = Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]


def timed(operation: str) -> Callable[[Method[P, T]], Method[P, T]]:
    """Time a method by its object's ``timings``, as ``operation``."""

    def decorate(method: Method[P, T]) -> Method[P, T]:
        @functools.wraps(method)
        async def run(self: Any, *arguments: P.args, **named: P.kwargs) -> T:
            with self.timings.time(operation):
                return await method(self, *arguments, **named)

        return run

    return decorate
