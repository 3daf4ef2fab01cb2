"""Work of own models in slices between the steps of other jobs, each on one thread, so that the same comes of
it whatever else runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from core.errors import UserError
from vision.own_models.steps import Step
from vision.reporter import Reporter

T = TypeVar("T")
COUNTED = re.compile(r"\d+ of \d+")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: sums are then the same bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_slice(reporter: Reporter, kind: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, done once others have gone first. kind: of slices that take about as
    long. Raises JobCancelled when the job was stopped."""
    reporter.check()
    if reporter.fiber is not None:
        reporter.fiber.pause(f"own models: {kind}")
    with one_thread():
        return work()


class Budget:
    """The seconds of the device that a training may take."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.spent = seconds, 0.0

    def run(self, training: Generator[Step, None, T], reporter: Reporter) -> T:
        """Take all steps of a training, a slice each, and return what comes of it. Raises UserError when it
        takes longer than it may."""
        kind = "first"
        while True:
            taken = in_slice(reporter, kind, lambda: self._next(training))
            if not isinstance(taken, Step):
                return taken[0]
            if self.spent > self.seconds:
                training.close()
                raise UserError(
                    f"The training has taken {self.spent:.0f} s and may take {self.seconds:g} s. Fewer or"
                    " smaller pictures take less."
                )
            reporter.doing(taken.words)
            reporter.step(taken.done, taken.total)
            kind = _kind(taken)

    def _next(self, training: Generator[Step, None, T]) -> Step | tuple[T]:
        began = time.monotonic()
        try:
            return next(training)
        except StopIteration as end:
            return (end.value,)
        finally:
            self.spent += time.monotonic() - began


def _kind(step: Step) -> str:
    """Return what the slice after a step is called: after the last of a row it is another one."""
    found = COUNTED.search(step.words)
    if found is None:
        return f"after {step.words}"
    number, count = found.group().split(" of ")
    return f"{'after ' if number == count else ''}{COUNTED.sub('#', step.words)}"
