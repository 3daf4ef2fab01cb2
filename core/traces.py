"""Where time goes: a trace for each job, made of spans, which nobody takes until a host names a collector;
and how long operations took, as counts in buckets, cheap to note and read only when somebody asks.

A job's trace has its id from the job's, so that every process that has to do with the job, before and after
a restart, adds to the same trace without being told of it. A span says what was done and when, never what
was asked.
"""

import functools
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

Attribute = str | int | float | bool
DISCORDS_EPOCH = 1_420_070_400.0  # https://discord.com/developers/docs/reference#snowflakes, in seconds


class Tracing(Protocol):
    """Takes the spans of jobs: none by itself, ``core.otlp`` sends them. Times are seconds since 1970."""

    def begin(self, job_id: str, at: float) -> None:
        """Let the job's trace begin then, unless it has begun."""
        return

    def note(self, job_id: str, name: str, began: float, ended: float, **attributes: Attribute) -> None:
        """Take a span that is over."""
        return

    def span(self, job_id: str, name: str, **attributes: Attribute) -> AbstractContextManager[str]:
        """Take the block for a span; give what makes other spans parts of it, as W3C's ``traceparent``."""
        return nullcontext("")

    def part(self, traceparent: str, name: str, **attributes: Attribute) -> AbstractContextManager[str]:
        """Take the block for a part of another process's span; nothing where ``traceparent`` is empty."""
        return nullcontext("")

    def end(self, job_id: str, how: str) -> None:
        """Let the job's trace end now, if it has begun here. how: such as "rendered"."""
        return

    def close(self) -> None:
        """Send what was not sent yet, for some seconds at most. Blocks."""
        return


class Untraced(Tracing):
    """Takes no spans."""


UNTRACED = Untraced()


def time_of(snowflake: int) -> float:
    """Return when Discord made an id, in seconds since 1970."""
    return (snowflake >> 22) / 1000 + DISCORDS_EPOCH


def open_tracing(endpoint: str, headers: str = "") -> Tracing:
    """Return what sends spans to the collector at ``endpoint``, the address of its OTLP over HTTP without
    ``/v1/traces``; empty: what takes none, and imports nothing. headers: sent along, as in
    OTEL_EXPORTER_OTLP_HEADERS. Raises ModuleNotFoundError without the extra ``otel``."""
    if not endpoint:
        return UNTRACED
    from core.otlp import Traced

    return Traced(endpoint, headers, release())


def release() -> str:
    """Return the version of the installed package, such as "0.1.0", or "unknown" where none is."""
    try:
        return version("atelier-studio")
    except PackageNotFoundError:
        return "unknown"


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
    """The timings of operations by name. operations: names of those that are told from the start."""

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
