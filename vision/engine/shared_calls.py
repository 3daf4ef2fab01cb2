"""Batches side work: one call for the items of all jobs that wait for the same kind of it.

A call is a fiber of its own, which waits for its turn between passes and goes on while at least one of the
jobs in it still wants its result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vision import devices
from vision.engine.fiber import Fiber
from vision.engine.side_work import BeforeSlice, SideWork, SideWorkFuture

MAX_ITEMS = 8  # in one call: a slice of it is what a generation may have to wait for


class Abandoned(Exception):
    """Every job that waited for a call has been stopped."""


@dataclass(eq=False)
class _Request:
    item: Any
    fiber: Fiber
    future: SideWorkFuture = field(default_factory=SideWorkFuture)

    @property
    def is_wanted(self) -> bool:
        return self.fiber.waits_for is self.future


class SharedCalls:
    """The requests that wait, in a queue for each (work, key).

    begin: starts a fiber, see Engine.begin. max_items: in one call.
    """

    def __init__(self, begin: Callable[..., Fiber], max_items: int = MAX_ITEMS) -> None:
        self._begin, self._max_items = begin, max_items
        self._queues: dict[Hashable, list[_Request]] = {}

    def submit(self, fiber: Fiber, kind: str, work: SideWork, item: Any, key: Hashable) -> SideWorkFuture:
        """Queue ``item`` for a call of ``work`` with others of the same ``work`` and ``key``, and return its
        future.

        kind: of the work's slices, which all take about as long.
        """
        request, queue = _Request(item, fiber), self._queues.setdefault((work, key), [])
        queue.append(request)
        if len(queue) == 1:
            self._begin_call((work, key), kind, work)
        return request.future

    def _begin_call(self, key: Hashable, kind: str, work: SideWork) -> None:
        """Begin a fiber that calls ``work`` with what is in the queue once its turn has come."""
        queue, taken = self._queues[key], list[_Request]()

        def check() -> None:
            if not any(request.is_wanted for request in taken or queue):
                raise Abandoned(kind)

        def run(fiber: Fiber) -> None:
            fiber.pause(kind, lambda: min(self._max_items, len(queue)))
            taken.extend(queue[: self._max_items])
            del queue[: self._max_items]
            if queue:
                self._begin_call(key, kind, work)
            else:
                del self._queues[key]
            _call(work, taken, lambda count=1: fiber.pause(f"{kind}, on", lambda: count))

        def done(_: Any, error: BaseException | None) -> None:
            if not taken:  # every job was stopped before the call's turn
                del self._queues[key]
            for request in taken:
                if error is not None and not request.future.done():
                    request.future.set_exception(error)

        self._begin(kind, run, check=check, done=done)


def _call(work: SideWork, requests: Sequence[_Request], before_slice: BeforeSlice) -> None:
    """Set each request's result. If the call for all fails, call for each alone, so that only the one at
    fault gets the error."""
    results = None
    try:
        results = work([request.item for request in requests], before_slice)
    except Abandoned:
        raise
    except Exception as error:
        if len(requests) == 1 or devices.is_sticky(error):
            raise
    if results is None:  # not in the except block: the traceback holds tensors
        for request in requests:
            _call_alone(work, request, before_slice)
        return
    for request, result in zip(requests, results, strict=True):
        request.future.set_result(result)


def _call_alone(work: SideWork, request: _Request, before_slice: BeforeSlice) -> None:
    try:
        request.future.set_result(work([request.item], before_slice)[0])
    except Abandoned:
        raise
    except Exception as error:
        request.future.set_exception(error)
