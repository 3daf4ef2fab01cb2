"""Runs jobs a step at a time on one device: each stands still where it needs the denoiser, and those that
wait share one pass.

A job is any function; it runs in a greenlet of its own, on the caller's thread, so nothing in it needs a
lock. ``Seat`` is its side of the engine. Which waiting calls make the next pass is ``policy``'s to say.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from greenlet import getcurrent, greenlet

from vision import devices
from vision.engine import batching, building
from vision.engine.curve import Curves
from vision.engine.denoiser import Call
from vision.engine.passes import Passes
from vision.engine.together import MOST, Promise, Together, Work, alone
from vision.engine.turn import Turn

T = TypeVar("T")


@dataclass(frozen=True)
class Pause:
    """What a job waits for when it lets the others go first.

    kind, count: of the work it has next, and how many pieces of it. until: asked at every tick, None = it may
    go on. anyway: beside a soloist, too. number: in the order of coming.
    """

    kind: str = ""
    count: Callable[[], int] = lambda: 1
    until: Callable[[], bool] | None = None
    anyway: bool = False
    number: int = field(default_factory=itertools.count().__next__)


@dataclass(eq=False)
class Seat:
    """One job in the engine. name: for the log. check: raises when the job is to end. done: gets (result,
    None) or (None, error).

    step, total: of its denoising steps, as far as they are known. passes: it was in. due: see policy; None =
    it never waited for a pass.
    length: seconds of its passes, as far as it can be told; hosted: seconds that guests took meanwhile. own:
    seconds of its work outside of passes, and between them. like: kind and rows of its passes.
    """

    name: str
    work: Callable[[Seat], Any]
    engine: Engine
    check: Callable[[], None]
    done: Callable[[Any, BaseException | None], None]
    step: int = 0
    total: int = 0
    passes: int = 0
    due: float | None = None
    length: float = 0.0
    hosted: float = 0.0
    own: float = 0.0
    like: tuple[str, int] | None = None
    waits_for: Call | Future[Any] | Pause | None = None
    _greenlet: greenlet = field(init=False, repr=False)

    def __post_init__(self) -> None:
        hub = getcurrent()  # a call for several is begun within one of their jobs, but must not go back to it
        while hub.parent is not None:
            hub = hub.parent
        self._greenlet = greenlet(self.work, hub)

    @property
    def left(self) -> int:
        """Steps, the next one included."""
        return max(1, self.total - self.step)

    @property
    def draws(self) -> bool:
        """Whether guests make it later: it waits for a pass, or for the thread that decodes after its passes.
        Not for a guest's answer."""
        passes = isinstance(self.waits_for, Call)
        return (
            passes
            or self.due is not None
            and isinstance(self.waits_for, Future)
            and not isinstance(self.waits_for, Promise)
        )

    # Called by the job

    def evaluate(self, call: Call) -> Any:
        """What ``call``'s module returns for it; meanwhile others go on."""
        self.like = self.like or (call.kind, call.count)
        return self._wait(call)

    def aside(self, work: Callable[[], T], *, loading: bool = False, turn: Turn | None = None) -> T:
        """What ``work`` returns, run in a thread while others go on: decoding and encoding in one,
        ``loading`` in another.

        Where the device has no room for that (see Engine), and for a soloist, all but ``loading`` is done at
        once. turn: had meanwhile.
        """
        if loading or self.engine.roomy() and self.engine.soloist is not self:
            return self._wait(self.engine.in_thread(self, work, loading=loading, turn=turn))
        return self.here(work, turn)

    def here(self, work: Callable[[], T], turn: Turn | None = None) -> T:
        """What ``work`` returns, done at once. A thread would wait for those who want the ``turn`` before it,
        and they may wait for this job."""
        if turn is None:
            return work()
        with turn.wanted():
            self.until(turn.claim, anyway=True)
        try:
            return work()
        finally:
            turn.drop()

    def together(self, kind: str, work: Work, item: Any, like: Hashable = ()) -> Any:
        """What ``work``, which has no passes, makes of ``item``; others that wait for the same work with the
        same ``like`` are in the same call.

        Passes of other jobs leave it little time. A soloist's is done at once. kind: of its slices, which
        last about as long.
        """
        if self.engine.soloist is self:
            return alone(work, item, like)
        return self._wait(self.engine.in_company(self, kind, work, item, like))

    def pause(self, kind: str, count: Callable[[], int] = lambda: 1) -> None:
        """Let the others go first, before ``count()`` pieces of work of ``kind`` that have no passes: as a
        guest, see policy. Not for a soloist.

        torch's own random numbers go on afterwards as if nothing had been in between.
        """
        if self.engine.soloist is self:
            return
        state = torch.get_rng_state()
        self._wait(Pause(kind, count))
        torch.set_rng_state(state)

    def until(self, condition: Callable[[], bool], *, anyway: bool = False) -> None:
        """Go on when ``condition`` holds; it is asked now, and again whenever anything has happened. anyway:
        see Pause."""
        if not condition():
            self._wait(Pause(until=condition, anyway=anyway))

    @contextmanager
    def solo(self) -> Iterator[None]:
        """Nobody else's steps in between: what little memory there is, is this job's. Turns are given on: the
        thread may wait for one."""
        self.until(lambda: self.engine.soloist is None)
        self.engine.soloist = self
        try:
            self._wait(
                self.engine.in_thread(self, lambda: None, loading=False)
            )  # behind what the thread is still doing
            yield
        finally:
            self.engine.soloist = None

    def _wait(self, what: Call | Future[Any] | Pause) -> Any:
        if getcurrent() is not self._greenlet:
            raise RuntimeError(f"{self.name} waits outside of its own run")
        self.waits_for = what
        try:
            return self._greenlet.parent.switch()
        finally:
            self.waits_for = None


class Engine:
    """The jobs of one device. Everything is called on one thread; ``wake`` is set from any when there is
    something to do again.

    exact: see Passes. clock: seconds; what policy plans with and curves are measured on. curves: what is
    known of the device's passes.
    roomy: whether a thread can work beside the passes without taking their cores.
    """

    def __init__(
        self,
        *,
        exact: bool = False,
        wake: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        curves: Curves | None = None,
        roomy: Callable[[], bool] = lambda: True,
    ) -> None:
        self.wake, self.clock, self.roomy = wake or threading.Event(), clock, roomy
        self.passes = Passes(curves or Curves(), clock, exact=exact)
        self.seats: list[Seat] = []
        self.soloist: Seat | None = None
        self._turns, self._guests, self._overhead = (
            batching.Turns(),
            batching.Guests(),
            self.passes.curves.overhead,
        )
        self._together = Together(self.begin, 1 if exact else MOST)
        self._next: deque[tuple[Seat, Callable[[], None]]] = (
            deque()
        )  # jobs that can go on, and what makes them
        self._threads = {
            loading: ThreadPoolExecutor(1, "loading" if loading else "aside") for loading in (False, True)
        }

    def begin(
        self,
        name: str,
        work: Callable[[Seat], Any],
        *,
        check: Callable[[], None] = lambda: None,
        done: Callable[[Any, BaseException | None], None] = lambda result, error: None,
    ) -> Seat:
        """Take a job in; it starts at the next tick."""
        seat = Seat(name, work, self, check, done)
        self.seats.append(seat)
        self._next.append((seat, lambda: self._resume(seat, seat)))  # its first argument
        self.wake.set()
        return seat

    def stop(self) -> None:
        """Ask every job once more whether it should go on, and wait for none."""
        self._stop_those_that_should()
        self.passes.curves.save()
        for executor in self._threads.values():
            executor.shutdown(wait=False, cancel_futures=True)

    def rest(self) -> None:
        """Until there is something to do again."""
        if not self.seats:
            self.passes.curves.save()
        self.wake.wait()

    def run(self) -> None:
        """Until every job has ended."""
        while self.seats:
            self.wake.clear()
            if not self.tick():
                self.rest()

    def tick(self) -> bool:
        """Let every job that can go on do so up to its next wait, then evaluate one pass. False when all wait
        for threads."""
        with torch.no_grad(), building.working():
            return self._tick()

    def _tick(self) -> bool:
        self._stop_those_that_should()
        moved = [self._begin_next() for _ in range(len(self._next))]
        waiting = [seat for seat in self.seats if isinstance(seat.waits_for, Call) and self._may(seat)]
        paused = [
            seat
            for seat in self.seats
            if isinstance(seat.waits_for, Pause) and (seat.waits_for.anyway or self._may(seat))
        ]
        guests = sorted(
            (seat for seat in paused if seat.waits_for.until is None), key=lambda seat: seat.waits_for.number
        )
        if waiting:
            begin = self.clock()
            self._evaluate(self._choose(waiting))
            self._guests.host(self.clock() - begin, asked=bool(guests))
        moved += [self._go_on_if(seat) for seat in paused]
        moved.append(self._receive(guests))
        return bool(waiting) or any(moved)

    def measure(self) -> bool:
        """Use an idle moment to learn how long passes take; False when there is nothing to learn, or this is
        none."""
        with torch.no_grad(), building.working():
            return not self.seats and self.passes.measure()

    def _begin_next(self) -> bool:
        seat, go_on = self._next.popleft()
        if not self._may(seat):
            self._next.append((seat, go_on))
            return False
        begin = self.clock()
        go_on()
        if seat.like is None and (isinstance(seat.waits_for, Promise) or seat._greenlet.dead):
            self._host(self.clock() - begin)  # a guest opened its picture, or told its answer
        return True

    def _host(self, seconds: float) -> None:
        """A guest took so long beside the drawings that are here."""
        hosts = [seat for seat in self.seats if seat.draws]
        for host in hosts:
            host.hosted += seconds
        if hosts:
            self._guests.spent(seconds)

    def _go_on_if(self, seat: Seat) -> bool:
        """Whether what it waited for is so now, and it went on."""
        pause = seat.waits_for
        if not isinstance(pause, Pause) or pause.until is None or not pause.until():
            return False
        self._resume(seat, None)
        return True

    def _receive(self, guests: Sequence[Seat]) -> bool:
        """One piece of work of each that may, in the order of their coming; whether there was any."""
        for place, seat in enumerate(guests):
            pause = seat.waits_for
            if not isinstance(pause, Pause):  # it was stopped meanwhile
                continue
            count, rooms = (
                pause.count(),
                [batching.room(host.length, host.hosted) for host in self.seats if host.draws],
            )
            if rooms and not self._guests.may(pause.kind, count, min(rooms)):
                return place > 0
            begin = self.clock()
            self._resume(seat, None)
            took = self.clock() - begin
            self._guests.learn(pause.kind, count, took)
            self._host(took)
        return bool(guests)

    def _may(self, seat: Seat) -> bool:
        return self.soloist is None or self.soloist is seat

    def _choose(self, waiting: list[Seat]) -> list[Seat]:
        """Those in the next pass."""
        now, kinds = self.clock(), {seat.waits_for.key: seat.waits_for.kind for seat in waiting}
        for seat in waiting:
            if seat.due is None or seat.due == float("inf"):  # nothing was known of its passes when it came
                self._promise(seat, now)
        jobs = [
            batching.Waiting(
                seat.waits_for.key,
                seat.waits_for.count,
                seat.left,
                seat.due,
                not seat.passes,
                self._overhead.between(seat.like),
                self._rest(seat),
            )
            for seat in waiting
        ]
        chosen = batching.choose(
            jobs,
            lambda key, count: self.passes.seconds(kinds[key], count),
            lambda key: self.passes.most(kinds[key]),
            now,
        )
        return [waiting[i] for i in chosen]

    def _promise(self, seat: Seat, now: float) -> None:
        """Set when it is due, by what it has to do from its first pass on."""
        call = seat.waits_for
        seat.length = seat.left * self.passes.seconds(call.kind, call.count)
        idle = all(other is seat or other.due is None for other in self.seats)
        work = seat.length + seat.left * self._overhead.between(seat.like) + self._rest(seat)
        seat.due = self._turns.due(now, work, idle=idle) if seat.length else float("inf")

    def _rest(self, seat: Seat) -> float:
        """Seconds of its work that is still to be done when its passes are over. What follows on the last of
        them counts as between."""
        return max(0.0, self._overhead.whole(seat.like) - seat.own - self._overhead.between(seat.like))

    def in_thread(
        self, seat: Seat, work: Callable[[], T], *, loading: bool, turn: Turn | None = None
    ) -> Future[T]:
        """``work``, begun in a thread; the job that waits for it goes on at the tick after its end."""

        def timed() -> T:
            with (
                nullcontext() if turn is None else turn.hold(),
                nullcontext() if loading else building.working(),
            ):
                begin = self.clock()
                try:
                    return work()
                finally:
                    seat.own += 0.0 if loading else self.clock() - begin

        future = self._threads[loading].submit(timed)
        future.add_done_callback(lambda _: self._ready(seat, future))
        return future

    def in_company(self, seat: Seat, kind: str, work: Work, item: Any, like: Hashable) -> Promise:
        """See Seat.together; the job goes on at the tick after its end."""
        future = self._together.ask(seat, kind, work, item, like)
        future.add_done_callback(lambda _: self._ready(seat, future))
        return future

    def _ready(self, seat: Seat, future: Future[Any]) -> None:
        self._next.append((seat, lambda: self._hand_over(seat, future)))
        self.wake.set()

    def _hand_over(self, seat: Seat, future: Future[Any]) -> None:
        if seat.waits_for is not future:  # it was stopped meanwhile
            return
        if (error := future.exception()) is not None:
            self._throw(seat, error)
        else:
            self._resume(seat, future.result())

    def _stop_those_that_should(self) -> None:
        for seat in [seat for seat in self.seats if seat.waits_for is not None]:
            try:
                seat.check()
            except Exception as error:
                self._throw(seat, error)

    def _resume(self, seat: Seat, value: Any) -> None:
        self._go_on(seat, lambda: seat._greenlet.switch(value))

    def _throw(self, seat: Seat, error: BaseException) -> None:
        self._go_on(seat, lambda: seat._greenlet.throw(error))

    def _go_on(self, seat: Seat, switch: Callable[[], Any]) -> None:
        """Until the job's next wait, or its end."""
        result = error = None
        begin, after_pass = self.clock(), isinstance(seat.waits_for, Call)
        try:
            result = switch()
        except Exception as problem:
            error = problem
        took = self.clock() - begin
        if after_pass and isinstance(seat.waits_for, Call):
            self._overhead.note_between(seat.like, took)
        else:
            seat.own += took
        if seat._greenlet.dead:
            self.seats.remove(seat)
            if error is None and seat.like is not None and seat.left == 1:  # not stopped half-way
                self._overhead.note_whole(seat.like, seat.own)
            seat.done(result, error)

    # A pass

    def _evaluate(self, seats: list[Seat]) -> None:
        """One pass for all of ``seats``, whose calls have the same key. Where it fails, each alone, so that
        only the guilty one is told."""
        try:
            outputs = self.passes.run([seat.waits_for for seat in seats])
        except Exception as error:
            if len(seats) == 1 or devices.is_sticky(error):
                for seat in seats:
                    self._throw(seat, error)
                return
            outputs = None
        if outputs is None:
            for seat in seats:
                self._evaluate([seat])
            return
        for seat, output in zip(seats, outputs, strict=True):
            seat.passes += 1
            self._resume(seat, output)
