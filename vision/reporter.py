"""What a running job tells the outside: that it loads, that a step is done, and whether it should stop. Loads
no torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import JobCancelled

if TYPE_CHECKING:
    from vision.drawing.checkpoint import Checkpoint
    from vision.engine import Seat
    from vision.engine.together import Share, Work
    from vision.engine.turn import Turn

T = TypeVar("T")


class Leaving(JobCancelled):
    """The worker is to exit; the job itself may go on in another one."""


class Reporter:
    """Says nothing and never stops; the worker's own subclass talks to the pipe.

    checkpoint: where the job keeps its state, if anywhere. seat: its place in the engine; None = it has the
    device for itself.
    share: (begin, end) of the whole job that this tells of, 0..1.
    """

    checkpoint: Checkpoint | None = None
    seat: Seat | None = None
    share: tuple[float, float] = (0.0, 1.0)

    def loading(self, model: str, fraction: float | None) -> None:
        """``model`` is being fetched or read, ``fraction`` 0..1 done, None = unknown."""

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """``step`` of ``total`` is done. ``preview`` makes a small encoded picture if it is called; it costs
        a little."""

    def check(self) -> None:
        """Raise JobCancelled if somebody stopped the job, Leaving if the worker is to exit."""

    def together(self, kind: str, work: Work, item: Any, like: Hashable = ()) -> Any:
        """What ``work`` makes of ``item``; beside the steps of other jobs, and with others that wait for the
        same, where there is an engine.

        kind, like: see Seat.together.
        """
        self.check()
        if self.seat is None:
            return work([item], lambda count=1: self.check())[0]
        return self.seat.together(kind, work, item, like)

    def sharing(self, kind: str) -> Share:
        """``together`` for work of ``kind``."""
        return partial(self.together, kind)

    def aside(
        self, work: Callable[[], T], *, loading: bool = False, turn: Turn | None = None, here: bool = False
    ) -> T:
        """What ``work`` returns; beside the steps of other jobs where there is an engine, but for ``here``:
        it must be on this thread.

        loading: it may take long. turn: had meanwhile.
        """
        if self.seat is not None:
            return self.seat.here(work, turn) if here else self.seat.aside(work, loading=loading, turn=turn)
        with nullcontext() if turn is None else turn.hold():
            return work()


class Stage(Reporter):
    """A part of a longer job: its steps fill the share from ``begin`` to ``end`` (0..1) of the whole. It
    keeps no state of its own."""

    PARTS = 1000

    def __init__(self, whole: Reporter, begin: float, end: float, *, keeps: bool = False) -> None:
        self.whole, self.share, self.seat = whole, (begin, end), whole.seat
        self.checkpoint = whole.checkpoint if keeps else None

    def loading(self, model: str, fraction: float | None) -> None:
        self.whole.loading(model, fraction)

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        begin, end = self.share
        self.whole.step(
            max(1, round((begin + (end - begin) * step / total) * self.PARTS)), self.PARTS, preview
        )

    def check(self) -> None:
        self.whole.check()
