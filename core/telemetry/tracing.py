"""Where the time of a job goes: a trace for each job, made of spans. None until a host names a collector.

A job's trace has its id from the job's, so that every process that has to do with the job, before and after
a restart, adds to the same trace without being told of it. A span says what was done and when, never what
was asked.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Attribute = str | int | float | bool
DISCORDS_EPOCH = 1_420_070_400.0  # https://discord.com/developers/docs/reference#snowflakes, in seconds


class Tracing(Protocol):
    """Takes the spans of jobs. Times are seconds since 1970."""

    def begin(self, job_id: str, at: float) -> None:
        """Let the job's trace begin then, unless it has begun."""

    def note(self, job_id: str, name: str, began: float, ended: float, **attributes: Attribute) -> None:
        """Take a span that is over."""

    def span(self, job_id: str, name: str, **attributes: Attribute) -> AbstractContextManager[str]:
        """Take the block for a span; give what makes other spans parts of it, as W3C's ``traceparent``."""

    def part(self, traceparent: str, name: str, **attributes: Attribute) -> AbstractContextManager[str]:
        """Take the block for a part of another process's span; nothing where ``traceparent`` is empty."""

    def end(self, job_id: str, how: str) -> None:
        """Let the job's trace end now, if it has begun here. how: such as "rendered"."""

    def close(self) -> None:
        """Send what was not sent yet, for some seconds at most. Blocks."""


class Untraced:
    """Takes no spans."""

    def begin(self, job_id: str, at: float) -> None:
        """Do nothing."""

    def note(self, job_id: str, name: str, began: float, ended: float, **attributes: Attribute) -> None:
        """Do nothing."""

    def span(self, job_id: str, name: str, **attributes: Attribute) -> AbstractContextManager[str]:
        """Do nothing."""
        return nullcontext("")

    def part(self, traceparent: str, name: str, **attributes: Attribute) -> AbstractContextManager[str]:
        """Do nothing."""
        return nullcontext("")

    def end(self, job_id: str, how: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


UNTRACED = Untraced()


def ids_of(job_id: str) -> tuple[int, int]:
    """Return the ids of a job's trace and of its first span."""
    digest = hashlib.sha256(f"atelier job {job_id}".encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


def time_of(snowflake: int) -> float:
    """Return when Discord made an id, in seconds since 1970."""
    return (snowflake >> 22) / 1000 + DISCORDS_EPOCH
