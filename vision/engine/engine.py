"""Runs jobs a step at a time on one device: every job is a whole diffusers pipeline call that stands still
where it needs the denoiser, and those that wait share one pass.

A job is any function; it runs in a greenlet of its own (``Fiber``), on the caller's thread, so nothing in it
needs a lock. ``batches`` decides which of the waiting calls make the next pass, by what it knows of how long
passes take; ``Passes`` evaluates them, cut where memory or exactness asks for it; ``collate`` joins and parts
their arguments; ``denoiser`` is what a pipeline has in place of its UNet or transformer. How:
docs/explanation/engine.md."""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch

from vision import devices
from vision.engine import batches, collate, denoiser
from vision.engine.denoiser import ALONE, evaluate_now
from vision.engine.denoiser import Call as Call
from vision.engine.denoiser import Denoiser as Denoiser
from vision.engine.fiber import (
    MAX_ITEMS,
    BuildGuard,
    Condition,
    Pause,
    PriorityLock,
    SharedCalls,
    SideWork,
    SideWorkFuture,
    StreamPause,
    Thread,
)
from vision.engine.fiber import Fiber as Fiber

log = logging.getLogger(__name__)

BUCKET = 8  # rows of every pass in exact mode: four pictures with guidance
MAX_ROWS = 64  # of any pass
GROWTH = 2  # times the widest pass seen: how far the next one may go, until memory and time of that are known
MEMORY_SHARE = 0.8  # of the free memory
MORE = 1.25  # times the memory that was free when a pass didn't fit: from then on larger ones are tried again
# passes that may be under way on the device: one to keep it busy, so that a newcomer joins the next but one
AHEAD = 2


class Passes:
    """Evaluates calls, and learns from it how long that takes and how many rows fit. exact: every pass has
    BUCKET rows, so that a row comes out the same bit for bit, whatever rows are beside it."""

    def __init__(
        self, durations: batches.DurationModel, clock: Callable[[], float], *, exact: bool = False
    ) -> None:
        self.durations, self.exact, self.stopwatch = durations, exact, Stopwatch(clock)
        # kind → rows that fit, found by an error, and the bytes that were free then
        self._found: dict[str, tuple[int, int | None]] = {}
        self._estimated: dict[str, int] = {}  # … estimated from the memory free at the last pass
        self._bytes: dict[str, float] = {}  # kind → of a row, as far as the device tells
        self._warm: set[tuple[str, int]] = set()
        self._sample: tuple[weakref.ref[Any], Call] | None = None

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Return what each of ``calls``, which have the same key, gets from its module."""
        call, total = calls[0], sum(call.count for call in calls)
        if denoiser.is_on(call.module):
            return [self._timed(call)]
        # nothing that would keep a model in memory
        self._sample = weakref.ref(call.module), replace(call, module=None, adapt=None)
        if len(calls) == 1 and not self._fills(call.kind) and total <= self._rows_that_fit(call.kind):
            output = self._whole(call)
            if output is not None:
                return [output]
        arguments = collate.join([(call.arguments, call.count) for call in calls])
        output, begin, outputs = self._cut(call, arguments, total), 0, []
        for call in calls:
            outputs.append(collate.cut_outputs(output, begin, begin + call.count))
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
            arguments = collate.part(like.arguments, 0, count, like.count)
            self._timed(replace(like, module=module, arguments=arguments, count=count))
            return True
        except Exception as error:
            if count == 1 or not devices.is_out_of_memory(error):
                log.warning("the batch curve of %s can't be measured: %s", like.kind, error)
                self._sample = None
                return False
        self._too_many(like, count)
        return True

    def _rows_that_fit(self, kind: str) -> int:
        found, _ = self._found.get(kind, (MAX_ROWS, None))
        return min(found, self._estimated.get(kind, MAX_ROWS))

    def _whole(self, call: Call) -> Any:
        """The output for a call that stays as it is; None when it doesn't fit."""
        try:
            return self._timed(call)
        except Exception as error:
            if call.count == 1 or not devices.is_out_of_memory(error):
                raise
        self._too_many(call, call.count)  # not in the except block: the traceback holds tensors
        return None

    def _cut(self, call: Call, arguments: collate.Arguments, total: int) -> tuple[Any, ...]:
        """The output for ``total`` rows, in as few passes as memory allows."""
        parts, begin = [], 0
        fills = self._fills(call.kind)
        while begin < total:
            size = BUCKET if fills else min(self._rows_that_fit(call.kind), total - begin)
            piece = replace(call, arguments=collate.part(arguments, begin, begin + size, total), count=size)
            try:
                parts.append((collate.outputs(self._timed(piece)), min(size, total - begin)))
                begin += size
                continue
            except Exception as error:
                if size == 1 or fills or not devices.is_out_of_memory(error):
                    raise
            self._too_many(call, size)
        return collate.cat_outputs(parts)

    def _too_many(self, call: Call, size: int) -> None:
        devices.release()
        most = max(1, size // 2)
        self._found[call.kind] = most, devices.memory(collate.device(call.arguments))[0]
        log.warning("out of memory with %d rows; at most %d in a pass until more is free", size, most)

    def _timed(self, call: Call) -> Any:
        """The output, with its time and memory noted. The first pass of a size isn't: kernels are chosen and
        memory is fetched in it."""
        size = call.kind, call.count

        def note(seconds: float) -> None:
            if size in self._warm:
                self.durations.note_pass(*size, seconds)
            self._warm.add(size)

        device = collate.device(call.arguments)
        free, _ = devices.memory(device)
        _, was_free = self._found.get(call.kind, (MAX_ROWS, None))
        if was_free is not None and free > MORE * was_free:
            del self._found[call.kind]
        output, took = devices.measured(
            device, lambda: self.stopwatch.time(device, lambda: evaluate_now(call), note)
        )
        if took is not None:
            self._bytes[call.kind] = max(took / call.count, self._bytes.get(call.kind, 0.0))
            self._estimated[call.kind] = max(1, int(MEMORY_SHARE * free / max(1.0, self._bytes[call.kind])))
        return output


class Stopwatch:
    """Times passes on a device that works asynchronously (an accelerator) or while the caller waits (a
    processor); calls ``note(seconds)`` once a pass has ended there."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._under_way: deque[tuple[Any, Any, Callable[[float], None]]] = deque()

    def time(self, device: torch.device, work: Callable[[], Any], note: Callable[[float], None]) -> Any:
        """Return what ``work`` returns; an accelerator has only begun it, behind at most AHEAD - 1 others."""
        under_way, first = self._under_way, devices.timer(device)
        if first is None:
            begin = self.clock()
            result = work()
            note(self.clock() - begin)
            return result
        # wait until at most so many are under way, and note how long those that have ended took
        while under_way and (len(under_way) >= AHEAD or under_way[0][1].query()):
            begun, ended, note_it = under_way.popleft()
            ended.synchronize()
            note_it(begun.elapsed_time(ended) / 1000)
        last = devices.timer(device)
        first.record()
        result = work()
        last.record()
        under_way.append((first, last, note))
        return result


FETCHING_THREADS = 4  # so many files come at once; models are read into memory one after the other


class Engine:
    """The jobs of one device. All methods are called on one thread; ``wake`` is set, from any thread, when
    there is something to do again. exact: see Passes. clock: seconds, for planning and for measuring passes.
    durations: what is known of the device. has_spare_core: whether a thread can work beside the passes
    without taking their cores."""

    def __init__(
        self,
        *,
        exact: bool = False,
        wake: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        durations: batches.DurationModel | None = None,
        has_spare_core: Callable[[], bool] = lambda: True,
    ) -> None:
        self.wake, self.clock, self.has_spare_core = wake or threading.Event(), clock, has_spare_core
        self.durations = durations or batches.DurationModel()
        self.passes = Passes(self.durations, clock, exact=exact)
        self.building = BuildGuard()
        self.fibers: list[Fiber] = []
        self.exclusive_fiber: Fiber | None = None
        self._side_work = batches.SideWorkBudget()
        self._streams = batches.StreamBudget()
        self.shared_calls = SharedCalls(self.begin, 1 if exact else MAX_ITEMS)
        self._ready: deque[tuple[Fiber, Callable[[], None]]] = deque()  # fibers, and what makes each go on
        self._threads = {
            "decoding": ThreadPoolExecutor(1, "decoding"),
            "loading": ThreadPoolExecutor(1, "loading"),
            "fetching": ThreadPoolExecutor(FETCHING_THREADS, "fetching"),
        }

    # Jobs

    def begin(
        self,
        name: str,
        work: Callable[[Fiber], Any],
        *,
        check: Callable[[], None] = lambda: None,
        done: Callable[[Any, BaseException | None], None] = lambda result, error: None,
    ) -> Fiber:
        """Take in a job, which starts at the next tick. See Fiber."""
        fiber = Fiber(name, work, self, check, done, came=self.clock())
        self.fibers.append(fiber)
        self._ready.append((fiber, lambda: self._resume(fiber, fiber)))  # its first argument
        self.wake.set()
        return fiber

    def submit(
        self, fiber: Fiber, work: Callable[[], Any], *, thread: Thread, lock: PriorityLock | None = None
    ) -> Future[Any]:
        """Run ``work`` in a thread; the fiber that waits for it goes on at the tick after its end."""

        def guarded() -> Any:
            with (
                nullcontext() if lock is None else lock.hold(),
                self.building.working() if thread == "decoding" else nullcontext(),
            ):
                return work()

        future = self._threads[thread].submit(guarded)
        future.add_done_callback(lambda _: self._hand_over_soon(fiber, future))
        return future

    def submit_batched(
        self, fiber: Fiber, kind: str, work: SideWork, item: Any, key: Hashable
    ) -> SideWorkFuture:
        """Queue side work, see Fiber.batched; its fiber goes on at the tick after its end."""
        future = self.shared_calls.submit(fiber, kind, work, item, key)
        future.add_done_callback(lambda _: self._hand_over_soon(fiber, future))
        return future

    # Running

    def run(self) -> None:
        """Tick until every job has ended."""
        while self.fibers:
            self.wake.clear()
            if not self.tick() and self.fibers:  # a stop may have ended the last
                self.rest()

    def rest(self) -> None:
        """Block until there is something to do again."""
        if not self.fibers:
            self.durations.save()
        self.wake.wait()

    def stop(self) -> None:
        """Call every job's ``check`` once more, so that those that should end do, and wait for none."""
        self._stop_those_that_should()
        self.durations.save()
        for executor in self._threads.values():
            executor.shutdown(wait=False, cancel_futures=True)

    def measure(self) -> bool:
        """Use an idle moment to learn how long passes take; False when there is nothing to learn, or the
        engine isn't idle."""
        with torch.no_grad(), self.building.working():
            return not self.fibers and self.passes.measure()

    def tick(self) -> bool:
        """Let each job go on to its next wait, then evaluate one pass. False when all wait for threads."""
        with torch.no_grad(), self.building.working():
            begun, drew = self.clock(), self._is_drawing
            self._stop_those_that_should()
            moved = [self._begin_next() for _ in range(len(self._ready))]
            calling = self._waiting_for(Call)
            conditions, paused = self._waiting_for(Condition), self._paused()
            if calling:
                begin = self.clock()
                self._evaluate(self._choose(calling))
                self._side_work.credit(self.clock() - begin, waiting=bool(paused))
            for fiber in conditions:
                condition = fiber.waits_for
                holds = isinstance(condition, Condition) and condition.holds()
                moved.append(holds)
                if holds:
                    self._resume(fiber, None)
            moved.append(self._do_side_work(paused))
            if drew or self._is_drawing:  # its last decoding counts, too
                self._streams.credit(self.clock() - begun, waiting=bool(self._paused(StreamPause)))
            moved.append(self._do_streams(bool(calling) or any(moved)))
            return bool(calling) or any(moved)

    def _waiting_for(self, kind: type) -> list[Fiber]:
        return [fiber for fiber in self.fibers if isinstance(fiber.waits_for, kind) and self._may_run(fiber)]

    def _paused(self, kind: type[Pause] | type[StreamPause] = Pause) -> list[Fiber]:
        """The fibers that pause between slices of that kind, in the order of their coming."""
        numbers = {
            fiber: fiber.waits_for.number
            for fiber in self._waiting_for(kind)
            if isinstance(fiber.waits_for, Pause | StreamPause)
        }
        return sorted(numbers, key=numbers.__getitem__)

    @property
    def _is_drawing(self) -> bool:
        return any(fiber.is_drawing for fiber in self.fibers)

    def _may_run(self, fiber: Fiber) -> bool:
        ignores = isinstance(fiber.waits_for, Condition) and fiber.waits_for.ignores_exclusive
        return ignores or self.exclusive_fiber is None or self.exclusive_fiber is fiber

    def _begin_next(self) -> bool:
        fiber, go_on = self._ready.popleft()
        if not self._may_run(fiber):
            self._ready.append((fiber, go_on))
            return False
        begin = self.clock()
        go_on()
        if not fiber.draws and (isinstance(fiber.waits_for, SideWorkFuture) or fiber.ended):
            self._charge_side_work(self.clock() - begin)  # it opened its picture, or sent its answer
        return True

    # Side work

    def _do_side_work(self, paused: Sequence[Fiber]) -> bool:
        """Do one slice of each of ``paused`` that the budget allows; return whether any was."""
        for place, fiber in enumerate(paused):
            pause = fiber.waits_for
            if not isinstance(pause, Pause):  # it was stopped meanwhile
                continue
            count = pause.count()
            budgets = [
                batches.budget(drawing.pass_seconds, drawing.side_work_seconds)
                for drawing in self.fibers
                if drawing.is_drawing
            ]
            if budgets and not self._side_work.allows(pause.kind, count, min(budgets)):
                return place > 0
            begin = self.clock()
            self._resume(fiber, None)
            seconds = self.clock() - begin
            self._side_work.note(pause.kind, count, seconds)
            self._charge_side_work(seconds)
        return bool(paused)

    def _charge_side_work(self, seconds: float) -> None:
        drawing = [fiber for fiber in self.fibers if fiber.is_drawing]
        for fiber in drawing:
            fiber.side_work_seconds += seconds
        if drawing:
            self._side_work.debit(seconds)

    # Answers that are read while they are written

    def _do_streams(self, others_moved: bool) -> bool:
        """Write on at the answers as far as their share of the time reaches, a slice at least when nothing
        else can go on; return whether anything was written. others_moved: anything else did."""
        drawing, written = self._is_drawing, False
        while paused := self._paused(StreamPause):
            if drawing and others_moved and not self._streams.allows():
                break
            devices.settle()  # what the passes have begun there isn't charged to the slice
            begin = self.clock()
            self._resume(paused[0], None)
            seconds, written = self.clock() - begin, True
            if not (drawing and others_moved):
                break
            self._streams.debit(seconds)
            self._stop_those_that_should()  # a stop costs no more than the token that is being written
        return written

    # Planning

    def _choose(self, calling: list[Fiber]) -> list[Fiber]:
        kinds: dict[Hashable, str] = {fiber.call.key: fiber.call.kind for fiber in calling}
        for fiber in calling:
            if not fiber.pass_seconds:  # 0, too, while its passes are unknown
                fiber.pass_seconds = fiber.steps_left * self.passes.seconds(fiber.call.kind, fiber.call.count)
        chosen = batches.choose(
            [
                batches.Candidate(
                    fiber.call.key,
                    fiber.call.count,
                    fiber.steps_left,
                    max(fiber.total, fiber.steps_left),
                    fiber.came,
                    is_new=not fiber.passes,
                )
                for fiber in calling
            ],
            lambda key, rows: self.passes.seconds(kinds[key], rows),
            lambda key: self.passes.max_rows(kinds[key]),
            self.clock(),
        )
        return [calling[i] for i in chosen]

    # Going on

    def _hand_over_soon(self, fiber: Fiber, future: Future[Any]) -> None:
        self._ready.append((fiber, lambda: self._hand_over(fiber, future)))
        self.wake.set()

    def _hand_over(self, fiber: Fiber, future: Future[Any]) -> None:
        if fiber.waits_for is not future:  # it was stopped meanwhile
            return
        if (error := future.exception()) is not None:
            self._throw(fiber, error)
        else:
            self._resume(fiber, future.result())

    def _stop_those_that_should(self) -> None:
        for fiber in [fiber for fiber in self.fibers if fiber.waits_for is not None]:
            try:
                fiber.check()
            except Exception as error:
                self._throw(fiber, error)

    def _resume(self, fiber: Fiber, value: Any) -> None:
        self._go_on(fiber, lambda: fiber.resume(value))

    def _throw(self, fiber: Fiber, error: BaseException) -> None:
        self._go_on(fiber, lambda: fiber.throw(error))

    def _go_on(self, fiber: Fiber, switch: Callable[[], Any]) -> None:
        """Run the job up to its next wait, or its end."""
        result = error = None
        try:
            result = switch()
        except Exception as problem:
            error = problem
        if not fiber.ended:
            return
        self.fibers.remove(fiber)
        fiber.done(result, error)

    def _evaluate(self, fibers: list[Fiber]) -> None:
        """Evaluate one pass for all of ``fibers``, whose calls have the same key. If it fails, evaluate each
        alone, so that only the one at fault gets the error."""
        try:
            outputs = self.passes.run([fiber.call for fiber in fibers])
        except Exception as error:
            if len(fibers) == 1 or devices.is_sticky(error):
                for fiber in fibers:
                    self._throw(fiber, error)
                return
            outputs = None
        if outputs is None:  # not in the except block: the traceback holds tensors
            for fiber in fibers:
                self._evaluate([fiber])
            return
        for fiber, output in zip(fibers, outputs, strict=True):
            fiber.passes += 1
            self._resume(fiber, output)
