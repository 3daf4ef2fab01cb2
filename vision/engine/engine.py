"""Runs jobs a step at a time on one device: each stands still where it needs the denoiser, and those that
wait share one pass.

A job is any function; it runs in a greenlet of its own (``Fiber``), on the caller's thread, so nothing in it
needs a lock. ``batching`` decides which waiting calls make the next pass.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import torch

from vision import devices
from vision.engine import batching
from vision.engine.building import BuildGuard
from vision.engine.denoiser import Call
from vision.engine.durations import DurationModel
from vision.engine.fiber import Condition, Fiber, Pause, StreamPause, Thread
from vision.engine.passes import Passes
from vision.engine.priority_lock import PriorityLock
from vision.engine.shared_calls import MAX_ITEMS, SharedCalls
from vision.engine.side_work import SideWork, SideWorkFuture

FETCHING_THREADS = 4  # so many files come at once; models are read into memory one after the other


class Engine:
    """The jobs of one device. All methods are called on one thread; ``wake`` is set, from any thread, when
    there is something to do again.

    exact: see Passes. clock: seconds, for planning and for measuring passes. durations: what is known of the
    device. has_spare_core: whether a thread can work beside the passes without taking their cores.
    """

    def __init__(
        self,
        *,
        exact: bool = False,
        wake: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        durations: DurationModel | None = None,
        has_spare_core: Callable[[], bool] = lambda: True,
    ) -> None:
        self.wake, self.clock, self.has_spare_core = wake or threading.Event(), clock, has_spare_core
        self.durations = durations or DurationModel()
        self.passes = Passes(self.durations, clock, exact=exact)
        self.building = BuildGuard()
        self.fibers: list[Fiber] = []
        self.exclusive_fiber: Fiber | None = None
        self._due_dates, self._side_work = batching.DueDates(), batching.SideWorkBudget()
        self._streams = batching.StreamBudget()
        self._shared_calls = SharedCalls(self.begin, 1 if exact else MAX_ITEMS)
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
        fiber = Fiber(name, work, self, check, done)
        self.fibers.append(fiber)
        self._ready.append((fiber, lambda: self._resume(fiber, fiber)))  # its first argument
        self.wake.set()
        return fiber

    def submit(
        self, fiber: Fiber, work: Callable[[], Any], *, thread: Thread, lock: PriorityLock | None = None
    ) -> Future[Any]:
        """Run ``work`` in a thread; the fiber that waits for it goes on at the tick after its end."""
        drawing = thread == "decoding"

        def timed() -> Any:
            with (
                nullcontext() if lock is None else lock.hold(),
                self.building.working() if drawing else nullcontext(),
            ):
                begin = self.clock()
                try:
                    return work()
                finally:
                    fiber.own_seconds += self.clock() - begin if drawing else 0.0

        future = self._threads[thread].submit(timed)
        future.add_done_callback(lambda _: self._hand_over_soon(fiber, future))
        return future

    def submit_batched(
        self, fiber: Fiber, kind: str, work: SideWork, item: Any, key: Hashable
    ) -> SideWorkFuture:
        """Queue side work, see Fiber.batched; the fiber that waits for it goes on at the tick after its
        end."""
        future = self._shared_calls.submit(fiber, kind, work, item, key)
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
        """Let every job that can go on do so up to its next wait, then evaluate one pass. False when all wait
        for threads."""
        with torch.no_grad(), self.building.working():
            return self._tick()

    def _tick(self) -> bool:
        begun, drew = self.clock(), self._is_drawing
        self._stop_those_that_should()
        moved = [self._begin_next() for _ in range(len(self._ready))]
        calling = self._waiting_for(Call)
        conditions, paused = self._waiting_for(Condition), self._paused()
        if calling:
            begin = self.clock()
            self._evaluate(self._choose(calling))
            self._side_work.credit(self.clock() - begin, waiting=bool(paused))
        moved += [self._go_on_if_it_holds(fiber) for fiber in conditions]
        moved.append(self._do_side_work(paused))
        if drew or self._is_drawing:  # its last decoding counts, too
            self._streams.credit(self.clock() - begun, waiting=bool(self._paused(StreamPause)))
        moved.append(self._do_streams(bool(calling) or any(moved)))
        return bool(calling) or any(moved)

    def _waiting_for(self, kind: type) -> list[Fiber]:
        """The fibers that wait for something of ``kind``, and may go on."""
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
        if fiber.pass_kind is None and (isinstance(fiber.waits_for, SideWorkFuture) or fiber.ended):
            self._charge_side_work(self.clock() - begin)  # it opened its picture, or sent its answer
        return True

    def _go_on_if_it_holds(self, fiber: Fiber) -> bool:
        """Let ``fiber`` go on if its condition holds now; return whether it did."""
        condition = fiber.waits_for
        if not isinstance(condition, Condition) or not condition.holds():
            return False
        self._resume(fiber, None)
        return True

    # Side work

    def _do_side_work(self, paused: Sequence[Fiber]) -> bool:
        """Do one slice of each of ``paused`` that the budget allows, in order; return whether any was
        done."""
        for place, fiber in enumerate(paused):
            pause = fiber.waits_for
            if not isinstance(pause, Pause):  # it was stopped meanwhile
                continue
            count = pause.count()
            budgets = [
                batching.budget(drawing.pass_seconds, drawing.side_work_seconds)
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
        """Charge ``seconds`` of side work to every job that draws now."""
        drawing = [fiber for fiber in self.fibers if fiber.is_drawing]
        for fiber in drawing:
            fiber.side_work_seconds += seconds
        if drawing:
            self._side_work.debit(seconds)

    # Answers that are read while they are written

    def _do_streams(self, others_moved: bool) -> bool:
        """Write on at the answers as far as their share of the time reaches, a slice at least when nothing
        else can go on; return whether anything was written.

        others_moved: whether anything else went on in this tick.
        """
        drawing, written = self._is_drawing, False
        while paused := self._paused(StreamPause):
            if drawing and others_moved and not self._streams.allows():
                break
            seconds = self._write_on(paused[0])
            written = True
            if not (drawing and others_moved):
                break
            self._streams.debit(seconds)
            self._stop_those_that_should()  # a stop costs no more than the token that is being written
        return written

    def _write_on(self, fiber: Fiber) -> float:
        """Let ``fiber`` do one slice; return the seconds that it took on the device."""
        devices.settle()  # what the passes have begun there isn't charged to the slice
        begin = self.clock()
        self._resume(fiber, None)
        return self.clock() - begin

    # Planning

    def _choose(self, calling: list[Fiber]) -> list[Fiber]:
        """The fibers in the next pass."""
        now = self.clock()
        kinds: dict[Hashable, str] = {fiber.call.key: fiber.call.kind for fiber in calling}
        for fiber in calling:
            if fiber.due_at is None or fiber.due_at == float("inf"):  # its passes were unknown when it came
                self._set_due_date(fiber, now)
        chosen = batching.choose(
            [self._candidate(fiber) for fiber in calling],
            lambda key, rows: self.passes.seconds(kinds[key], rows),
            lambda key: self.passes.max_rows(kinds[key]),
            now,
        )
        return [calling[i] for i in chosen]

    def _candidate(self, fiber: Fiber) -> batching.Candidate:
        return batching.Candidate(
            fiber.call.key,
            fiber.call.count,
            fiber.steps_left,
            float("inf") if fiber.due_at is None else fiber.due_at,
            is_new=not fiber.passes,
            between=self.durations.between(fiber.pass_kind),
            after=self._seconds_after_passes(fiber),
            alike=(fiber.pass_kind, fiber.total),
        )

    def _set_due_date(self, fiber: Fiber, now: float) -> None:
        """Set when the job is due, by what it has to do from its first pass on."""
        call = fiber.call
        fiber.pass_seconds = fiber.steps_left * self.passes.seconds(call.kind, call.count)
        idle = all(other is fiber or other.due_at is None for other in self.fibers)
        between = fiber.steps_left * self.durations.between(fiber.pass_kind)
        work = fiber.pass_seconds + between + self._seconds_after_passes(fiber)
        fiber.due_at = self._due_dates.due_at(now, work, idle=idle) if fiber.pass_seconds else float("inf")

    def _seconds_after_passes(self, fiber: Fiber) -> float:
        """Seconds of its own work that are left when its passes are over. What follows on the last pass
        counts as between."""
        kind = fiber.pass_kind
        return max(0.0, self.durations.outside(kind) - fiber.own_seconds - self.durations.between(kind))

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
        """Run the job up to its next wait, or its end, and take in how long that took."""
        result = error = None
        begin, after_pass = self.clock(), isinstance(fiber.waits_for, Call)
        try:
            result = switch()
        except Exception as problem:
            error = problem
        seconds = self.clock() - begin
        if after_pass and isinstance(fiber.waits_for, Call) and fiber.pass_kind is not None:
            self.durations.note_between(fiber.pass_kind, seconds)
        else:
            fiber.own_seconds += seconds
        if fiber.ended:
            self._end(fiber, result, error)

    def _end(self, fiber: Fiber, result: Any, error: BaseException | None) -> None:
        self.fibers.remove(fiber)
        if error is None and fiber.pass_kind is not None and fiber.steps_left == 1:  # not stopped half-way
            self.durations.note_outside(fiber.pass_kind, fiber.own_seconds)
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
