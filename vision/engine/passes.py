"""Passes of a denoiser for one or several calls: joined, cut where memory or exactness asks for it, timed."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from vision import devices
from vision.engine import cache, rows
from vision.engine.curve import Curves
from vision.engine.denoiser import Call, direct
from vision.engine.stopwatch import Stopwatch

log = logging.getLogger(__name__)

BUCKET = 8  # rows of every pass in exact mode: four pictures with guidance
MOST = 64  # rows of any pass
GROWTH = 2  # times the widest pass seen: how far the next one may go, until memory and time of that are known
SHARE = 0.8  # of the free memory


class Passes:
    """Evaluates calls, and knows from doing it how long that takes and how many rows fit.

    exact: every pass has BUCKET rows, so that a row is the same bit for bit whoever is beside it.
    """

    def __init__(self, curves: Curves, clock: Callable[[], float], *, exact: bool = False) -> None:
        self.curves, self.exact, self._stopwatch = curves, exact, Stopwatch(clock)
        self._full: dict[str, int] = {}  # kind → rows that fit, found out by an error
        self._fits: dict[str, int] = {}  # … reckoned from the memory that was free at the last pass
        self._bytes: dict[str, float] = {}  # kind → of a row, as far as the device tells
        self._warm: set[tuple[str, int]] = set()
        self._sample: tuple[weakref.ref[Any], Call] | None = None

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """What each of ``calls``, which have the same key, gets from its module."""
        call, total = calls[0], sum(call.count for call in calls)
        if cache.is_on(call.module):
            return [self._timed(call)]
        self._sample = (
            weakref.ref(call.module),
            replace(call, module=None, adapt=None),
        )  # nothing that would keep a model in memory
        if len(calls) == 1 and not self.exact and total <= self._fit(call.kind):
            output = self._whole(call)
            if output is not None:
                return [output]
        arguments = rows.join([(call.arguments, call.count) for call in calls])
        output, begin, outputs = self._cut(call, arguments, total), 0, []
        for call in calls:
            outputs.append((output[begin : begin + call.count],))
            begin += call.count
        return outputs

    def seconds(self, kind: str, count: int) -> float:
        """Of ``count`` rows; 0 while nothing is known."""
        if self.exact:
            return self.curves.of(kind).seconds(BUCKET) * -(-count // BUCKET)
        return self.curves.of(kind).seconds(count)

    def most(self, kind: str) -> int:
        """Rows to have in one pass."""
        if self.exact:
            return BUCKET
        return min(self._fit(kind), MOST, max(1, GROWTH * self.curves.of(kind).widest))

    def measure(self) -> bool:
        """Use an idle moment for one pass that fills in the curve of the kind used last; False when there is
        nothing to find out."""
        module = self._sample and self._sample[0]()
        if module is None or self.exact:
            return False
        like = self._sample[1]
        count = self.curves.of(like.kind).missing(min(self._fit(like.kind), MOST))
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

    def _fit(self, kind: str) -> int:
        return min(self._full.get(kind, MOST), self._fits.get(kind, MOST))

    def _whole(self, call: Call) -> Any:
        """None when it doesn't fit."""
        try:
            return self._timed(call)
        except Exception as error:
            if call.count == 1 or not devices.is_out_of_memory(error):
                raise
        self._too_many(call.kind, call.count)  # not in the except block: the traceback holds tensors
        return None

    def _cut(self, call: Call, arguments: rows.Arguments, total: int) -> Any:
        """The output for ``total`` rows, in as few passes as memory allows."""
        parts, begin = [], 0
        while begin < total:
            size = BUCKET if self.exact else min(self._fit(call.kind), total - begin)
            piece = replace(call, arguments=rows.part(arguments, begin, begin + size, total), count=size)
            try:
                parts.append((self._timed(piece)[0], min(size, total - begin)))
                begin += size
                continue
            except Exception as error:
                if size == 1 or self.exact or not devices.is_out_of_memory(error):
                    raise
            self._too_many(call.kind, size)
        return rows.cat_outputs(parts)

    def _too_many(self, kind: str, size: int) -> None:
        self._full[kind] = max(1, size // 2)
        log.warning("out of memory with %d rows; from now on at most %d in a pass", size, self._full[kind])
        devices.release()

    def _timed(self, call: Call) -> Any:
        """The first pass of a size is not counted: kernels are chosen and memory is fetched in it."""
        size = call.kind, call.count

        def note(seconds: float) -> None:
            if size in self._warm:
                self.curves.note(*size, seconds)
            self._warm.add(size)

        device = rows.device(call.arguments)
        room = devices.room(device)
        if room is not None:
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
        output = self._stopwatch.time(device, lambda: direct(call), note)
        if room is not None:
            took = (torch.cuda.max_memory_allocated(device) - before) / call.count
            self._bytes[call.kind] = max(took, self._bytes.get(call.kind, 0.0))
            self._fits[call.kind] = max(1, int(SHARE * room / max(1.0, self._bytes[call.kind])))
        return output
