"""Evaluates a denoiser for one or several calls at once: joins their rows, cuts them where memory or
exactness asks for it, and times the passes."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from vision import devices
from vision.engine import cache, rows
from vision.engine.denoiser import ALONE, Call, evaluate_now
from vision.engine.durations import DurationModel

log = logging.getLogger(__name__)

BUCKET = 8  # rows of every pass in exact mode: four pictures with guidance
MAX_ROWS = 64  # of any pass
GROWTH = 2  # times the widest pass seen: how far the next one may go, until memory and time of that are known
MEMORY_SHARE = 0.8  # of the free memory
# passes that may be under way on the device: one to keep it busy, so that a newcomer joins the next but one
AHEAD = 2


class Passes:
    """Evaluates calls, and learns from it how long that takes and how many rows fit.

    exact: every pass has BUCKET rows, so that a row comes out the same bit for bit, whatever rows are beside
    it.
    """

    def __init__(self, durations: DurationModel, clock: Callable[[], float], *, exact: bool = False) -> None:
        self.durations, self.exact, self._stopwatch = durations, exact, Stopwatch(clock)
        self._found: dict[str, int] = {}  # kind → rows that fit, found by an error
        self._estimated: dict[str, int] = {}  # … estimated from the memory free at the last pass
        self._bytes: dict[str, float] = {}  # kind → of a row, as far as the device tells
        self._warm: set[tuple[str, int]] = set()
        self._sample: tuple[weakref.ref[Any], Call] | None = None

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Return what each of ``calls``, which have the same key, gets from its module."""
        call, total = calls[0], sum(call.count for call in calls)
        if cache.is_on(call.module):
            return [self._timed(call)]
        self._sample = (
            weakref.ref(call.module),
            replace(call, module=None, adapt=None),
        )  # nothing that would keep a model in memory
        if len(calls) == 1 and not self._fills(call.kind) and total <= self._rows_that_fit(call.kind):
            output = self._whole(call)
            if output is not None:
                return [output]
        arguments = rows.join([(call.arguments, call.count) for call in calls])
        output, begin, outputs = self._cut(call, arguments, total), 0, []
        for call in calls:
            outputs.append(rows.cut_outputs(output, begin, begin + call.count))
            begin += call.count
        return outputs

    def seconds(self, kind: str, count: int) -> float:
        """Return the seconds that ``count`` rows take; 0 while nothing is known."""
        if self._fills(kind):
            return self.durations.curve(kind).seconds(BUCKET) * -(-count // BUCKET)
        return self.durations.curve(kind).seconds(count)

    def _fills(self, kind: str) -> bool:
        """Whether passes of this kind are filled up to BUCKET rows: none of those that nobody joins is."""
        return self.exact and not kind.endswith(ALONE)

    def max_rows(self, kind: str) -> int:
        """Return how many rows the next pass may have."""
        if self._fills(kind):
            return BUCKET
        return min(self._rows_that_fit(kind), MAX_ROWS, max(1, GROWTH * self.durations.curve(kind).widest))

    def measure(self) -> bool:
        """Use an idle moment for one pass that fills in the curve of the kind used last; return False when
        nothing is missing."""
        if self._sample is None or self.exact:
            return False
        module, like = self._sample[0](), self._sample[1]
        if module is None:
            return False
        count = self.durations.curve(like.kind).missing(min(self._rows_that_fit(like.kind), MAX_ROWS))
        if count is None:
            return False
        try:
            self._timed(
                replace(
                    like,
                    module=module,
                    arguments=rows.part(like.arguments, 0, count, like.count),
                    count=count,
                )
            )
            return True
        except Exception as error:
            if count == 1 or not devices.is_out_of_memory(error):
                log.warning("the batch curve of %s can't be measured: %s", like.kind, error)
                self._sample = None
                return False
        self._too_many(like.kind, count)
        return True

    def _rows_that_fit(self, kind: str) -> int:
        return min(self._found.get(kind, MAX_ROWS), self._estimated.get(kind, MAX_ROWS))

    def _whole(self, call: Call) -> Any:
        """The output for a call that stays as it is; None when it doesn't fit."""
        try:
            return self._timed(call)
        except Exception as error:
            if call.count == 1 or not devices.is_out_of_memory(error):
                raise
        self._too_many(call.kind, call.count)  # not in the except block: the traceback holds tensors
        return None

    def _cut(self, call: Call, arguments: rows.Arguments, total: int) -> tuple[Any, ...]:
        """The output for ``total`` rows, in as few passes as memory allows."""
        parts, begin = [], 0
        fills = self._fills(call.kind)
        while begin < total:
            size = BUCKET if fills else min(self._rows_that_fit(call.kind), total - begin)
            piece = replace(call, arguments=rows.part(arguments, begin, begin + size, total), count=size)
            try:
                parts.append((rows.outputs(self._timed(piece)), min(size, total - begin)))
                begin += size
                continue
            except Exception as error:
                if size == 1 or fills or not devices.is_out_of_memory(error):
                    raise
            self._too_many(call.kind, size)
        return rows.cat_outputs(parts)

    def _too_many(self, kind: str, size: int) -> None:
        self._found[kind] = max(1, size // 2)
        log.warning("out of memory with %d rows; from now on at most %d in a pass", size, self._found[kind])
        devices.release()

    def _timed(self, call: Call) -> Any:
        """The output, with its time and memory noted. The first pass of a size isn't: kernels are chosen and
        memory is fetched in it."""
        size = call.kind, call.count

        def note(seconds: float) -> None:
            if size in self._warm:
                self.durations.note_pass(*size, seconds)
            self._warm.add(size)

        device = rows.device(call.arguments)
        free = devices.free_memory(device)
        if free is not None:
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
        output = self._stopwatch.time(device, lambda: evaluate_now(call), note)
        if free is not None:
            took = (torch.cuda.max_memory_allocated(device) - before) / call.count
            self._bytes[call.kind] = max(took, self._bytes.get(call.kind, 0.0))
            self._estimated[call.kind] = max(1, int(MEMORY_SHARE * free / max(1.0, self._bytes[call.kind])))
        return output


class Stopwatch:
    """Times passes on a device that works asynchronously (CUDA) or while the caller waits (every other);
    calls ``note(seconds)`` once a pass has ended there."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._under_way: deque[tuple[Any, Any, Callable[[float], None]]] = deque()

    def time(self, device: torch.device, work: Callable[[], Any], note: Callable[[float], None]) -> Any:
        """Return what ``work`` returns; on CUDA it has only begun by then, behind at most AHEAD - 1
        others."""
        if device.type != "cuda":
            begin = self._clock()
            result = work()
            note(self._clock() - begin)
            return result
        self._settle(AHEAD - 1)
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        result = work()
        last.record()
        self._under_way.append((first, last, note))
        return result

    def _settle(self, at_most: int) -> None:
        """Wait until at most ``at_most`` are under way, and note how long those that have ended took."""
        while self._under_way and (len(self._under_way) > at_most or self._under_way[0][1].query()):
            begin, end, note = self._under_way.popleft()
            end.synchronize()
            note(begin.elapsed_time(end) / 1000)
