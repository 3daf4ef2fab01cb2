"""Connects a running job with the outside: reports that a model loads or a step is done, asks whether to
stop, and hands work to the engine. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import JobCancelled

if TYPE_CHECKING:
    from PIL import Image

    from vision.diffusion.checkpoint import Checkpoint
    from vision.engine.engine import Fiber
    from vision.engine.fiber import Batched, PriorityLock, SideWork, Thread

T = TypeVar("T")


class Leaving(JobCancelled):
    """Raised in a job when the worker is to exit; the job itself may go on in another worker."""


class Reporter:
    """Reports nothing and never stops the job; the worker's subclass talks to the pipe. checkpoint: where the
    job keeps its state, if anywhere. fiber: its side of the engine; None = it has the device for itself.
    share: (begin, end) of the whole job that this reports on, 0..1. is_guest: it works in the background, so
    that nothing is given up for the models that it needs. stays: asked halfway for each picture of a drawing,
    by its number and about as it will look, whether it is drawn to its end; None = all are."""

    checkpoint: Checkpoint | None = None
    fiber: Fiber | None = None
    share: tuple[float, float] = (0.0, 1.0)
    is_guest = False
    stays: Callable[[int, Image.Image], bool] | None = None

    def loading(
        self, model: str, fraction: float | None, *, fetching: bool = False, left: float | None = None
    ) -> None:
        """Report that ``model`` is being fetched, or else read. fraction: 0..1 done, None = unknown. left:
        seconds until it is fetched, None = unknown."""

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        """Report that ``step`` of ``total`` is done. preview: makes a small encoded picture."""

    def doing(self, words: str) -> None:
        """Say what was done last, to be told with the next step."""

    def write(self, step: int, total: int, text: str) -> None:
        """Report that ``step`` of at most ``total`` tokens are written. text: all of the answer so far."""

    def seen(self, text: str) -> None:
        """Report what was read in the pictures of a question, before its answer begins."""

    def place(self, box: tuple[int, int, int, int]) -> None:
        """Report where previews from now on belong in the finished pictures: left, top, right, bottom, px."""

    def check(self) -> None:
        """Raise JobCancelled if somebody stopped the job, Leaving if the worker is to exit."""

    def batched(self, kind: str, work: SideWork, item: Any, key: Hashable = ()) -> Any:
        """Return what ``work`` makes of ``item``; in an engine, beside the steps of other jobs and in one
        call with those that wait for the same. kind, key: see Fiber.batched."""
        self.check()
        if self.fiber is None:
            return work([item], lambda count=1: self.check())[0]
        return self.fiber.batched(kind, work, item, key)

    def batched_as(self, kind: str) -> Batched:
        """Return ``batched`` for work of ``kind``."""
        return partial(self.batched, kind)

    def in_thread(
        self, work: Callable[[], T], *, thread: Thread = "decoding", lock: PriorityLock | None = None
    ) -> T:
        """Return what ``work`` returns; in an engine, from a thread of that name beside the steps of other
        jobs, see Fiber.in_thread. lock: held while ``work`` runs."""
        if self.fiber is not None:
            return self.fiber.in_thread(work, thread=thread, lock=lock)
        with nullcontext() if lock is None else lock.hold():
            return work()

    def give_way(self) -> None:
        """Let others' steps go first, between two pieces of a long work; see Fiber. Raises like ``check``."""
        self.check()
        if self.fiber is not None:
            self.fiber.give_way()

    def inline(self, work: Callable[[], T], *, lock: PriorityLock) -> T:
        """Return what ``work`` returns, run on this thread while holding ``lock``."""
        if self.fiber is not None:
            return self.fiber.inline(work, lock)
        with lock.hold():
            return work()

    def build(self, work: Callable[[], T], *, inline: bool = False) -> T:
        """Return what ``work`` returns, which makes modules; in an engine one at a time. See Fiber.build."""
        return work() if self.fiber is None else self.fiber.build(work, inline=inline)


class Quiet(Reporter):
    """Ends what is done for a job when that is stopped, and tells nobody of its steps."""

    def __init__(self, whole: Reporter) -> None:
        self._whole, self.fiber = whole, whole.fiber

    def check(self) -> None:
        self._whole.check()


class Stage(Reporter):
    """A part of a longer job: its steps fill the share from ``begin`` to ``end`` (0..1) of the whole. keeps:
    the stage may save a checkpoint; otherwise it starts again after a crash."""

    PARTS = 1000  # steps of the whole job

    def __init__(self, whole: Reporter, begin: float, end: float, *, keeps: bool = False) -> None:
        self.whole, self.share, self.fiber = whole, (begin, end), whole.fiber
        self.checkpoint = whole.checkpoint if keeps else None
        for name in ("loading", "doing", "write", "place", "check"):  # of the whole, as it is
            setattr(self, name, getattr(whole, name))

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        begin, end = self.share
        done = round((begin + (end - begin) * step / total) * self.PARTS)
        self.whole.step(max(1, done), self.PARTS, preview)
