"""What a running job tells the outside: that it loads, that a step is done, and whether it should stop. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.errors import JobCancelled

if TYPE_CHECKING:
    from vision.checkpoint import Checkpoint


class Leaving(JobCancelled):
    """The worker is to exit; the job itself may go on in another one."""


class Reporter:
    """Says nothing and never stops; the worker's own subclass talks to the pipe. checkpoint: where the job keeps its state, if anywhere."""

    checkpoint: Checkpoint | None = None

    def loading(self, model: str, fraction: float | None) -> None:
        """``model`` is being fetched or read, ``fraction`` 0..1 done, None = unknown."""

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """``step`` of ``total`` is done. ``preview`` makes a small encoded picture if it is called; it costs a little."""

    def check(self) -> None:
        """Raise JobCancelled if somebody stopped the job, Leaving if the worker is to exit."""
