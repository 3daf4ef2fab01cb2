"""A job's side of the engine: one function in a greenlet of its own, which gives way wherever it has to wait;
and what it waits for: passes, threads, locks that the engine's thread takes without ever blocking, and side
work (captions, labels, embeddings: work without passes), done in one call for the items of several jobs.

A call of side work is a fiber of its own, which waits for its turn between passes and goes on while at least
one of the jobs in it still wants its result.

``BuildGuard`` keeps what libraries change for the whole process while they build models away from the threads
at work. transformers (``local_torch_dtype``) and diffusers (``ModelMixin._set_default_torch_dtype``) call
``torch.set_default_dtype`` while ``from_pretrained`` builds a model, also when a ``dtype`` is passed. That
default is one for all threads: whatever another job made meanwhile without naming a dtype, such as the levels
of a noise scheduler, would be in half precision, too. accelerate (``init_empty_weights``) and peft patch
``torch.nn.Module.register_parameter``, which puts the new parameters of every thread on the meta device."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import torch
from greenlet import getcurrent, greenlet

from vision import devices
from vision.engine.denoiser import Call


class PriorityLock:
    """Mutual exclusion between the engine's thread, which tries and goes first, and other threads, which
    block until it is free."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken, self._reservations = False, 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Block until the lock is free and not reserved, and hold it inside the ``with`` block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not self._reservations)
            self._taken = True
        try:
            yield
        finally:
            self.release()

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Keep ``hold`` from the lock inside the ``with`` block, so that ``try_acquire`` gets it next."""
        with self._changed:
            self._reservations += 1
        try:
            yield
        finally:
            with self._changed:
                self._reservations -= 1
                self._changed.notify_all()

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and return whether it was; never block."""
        with self._changed:
            taken, self._taken = self._taken, True
            return not taken

    def release(self) -> None:
        """Free the lock and wake the threads that wait for it."""
        with self._changed:
            self._taken = False
            self._changed.notify_all()


class BuildGuard:
    """One for each engine. lock: held while modules of a model or a LoRA are made."""

    def __init__(self) -> None:
        self.lock = PriorityLock()
        self._changed = threading.Condition()
        self._at_work = Counter[int]()  # thread → how many times it is inside ``working``
        self._waiting, self._other_dtype = 0, False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep the default dtype as it is inside the ``with`` block, but for changes by this thread itself.
        Several threads may be inside at once, and one thread several times."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(
                lambda: not self._other_dtype and not self._waiting or self._at_work[me] > 0
            )
            self._at_work[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work[me] -= 1
                self._changed.notify_all()

    @contextmanager
    def building(self) -> Iterator[None]:
        """Let this thread build a model inside the ``with`` block: where it sets another default dtype, it
        waits for all threads at work, which then wait until the dtype is the usual one again."""
        plain, usual = torch.set_default_dtype, torch.get_default_dtype()
        guarded = _GuardedDtype(self, plain, usual)
        torch.set_default_dtype = guarded
        try:
            yield
        finally:
            torch.set_default_dtype = plain
            if guarded.changed:
                plain(usual)
                self.end_other_dtype()

    def begin_other_dtype(self) -> None:
        """Wait until no other thread is at work, and keep them from beginning."""
        me = threading.get_ident()
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(
                lambda: not self._other_dtype and self._at_work.total() == self._at_work[me]
            )
            self._waiting, self._other_dtype = self._waiting - 1, True

    def end_other_dtype(self) -> None:
        """Let the other threads work again."""
        with self._changed:
            self._other_dtype = False
            self._changed.notify_all()


class _GuardedDtype:
    """Stands for ``torch.set_default_dtype`` while one thread builds a model."""

    def __init__(self, guard: BuildGuard, plain: Callable[[torch.dtype], None], usual: torch.dtype) -> None:
        self._guard, self._plain, self._usual = guard, plain, usual
        self._builder, self.changed = threading.get_ident(), False

    def __call__(self, dtype: torch.dtype) -> None:
        mine = threading.get_ident() == self._builder
        if mine and dtype != self._usual and not self.changed:
            self._guard.begin_other_dtype()
            self.changed = True
        self._plain(dtype)
        if mine and dtype == self._usual and self.changed:
            self.changed = False
            self._guard.end_other_dtype()


# Called between two slices of the work with the number of items in the next one (1 unless the work says more)
BeforeSlice = Callable[..., None]
SideWork = Callable[[Sequence[Any], BeforeSlice], Sequence[Any]]  # (items, before_slice) → a result for each
Batched = Callable[..., Any]  # (work, item, key=()) → the item's result, see Fiber.batched


class SideWorkFuture(Future):
    """The result of side work for one item; its own class, as side work can't delay the job that waits."""


def unbatched(work: SideWork, item: Any, key: Hashable = ()) -> Any:
    """Return what ``work`` makes of ``item`` alone, at once; a ``Batched`` for callers without an engine."""
    return work([item], lambda count=1: None)[0]


T = TypeVar("T")
Thread = Literal["decoding", "loading", "fetching"]


class Runner(Protocol):
    """What a fiber needs of its engine; see Engine."""

    exclusive_fiber: Fiber | None
    building: BuildGuard
    has_spare_core: Callable[[], bool]

    def begin(
        self,
        name: str,
        work: Callable[[Fiber], Any],
        *,
        check: Callable[[], None] = lambda: None,
        done: Callable[[Any, BaseException | None], None] = lambda result, error: None,
    ) -> Fiber:
        """Take in a job."""

    def submit(
        self, fiber: Fiber, work: Callable[[], Any], *, thread: Thread, lock: PriorityLock | None = None
    ) -> Future[Any]:
        """Run ``work`` in a thread."""

    def submit_batched(
        self, fiber: Fiber, kind: str, work: SideWork, item: Any, key: Hashable
    ) -> SideWorkFuture:
        """Queue ``item`` for a shared call of ``work``."""


@dataclass(frozen=True)
class Pause:
    """What side work waits for before its next slice: a moment when it delays the drawings little enough.
    kind, count: of the slice, and how many items are in it. number: in the order of coming."""

    kind: str
    count: Callable[[], int]
    number: int = field(default_factory=itertools.count().__next__)


@dataclass(frozen=True)
class StreamPause:
    """What the writing of an answer waits for before its next slice, a token or a piece of the question: see
    batching.StreamBudget. number: in the order of coming."""

    number: int = field(default_factory=itertools.count().__next__)


@dataclass(frozen=True)
class Condition:
    """What a fiber waits for that only others can bring about. holds: called at every tick; the fiber goes on
    once it returns True. ignores_exclusive: it may go on while another fiber has the engine for itself."""

    holds: Callable[[], bool]
    ignores_exclusive: bool = False


@dataclass(frozen=True)
class Turn(Condition):
    """What a fiber waits for between two pieces of a long work: that others have had a pass."""

    holds: Callable[[], bool] = lambda: True


@dataclass(eq=False)
class Fiber:
    """One job in the engine, or one call of side work.

    name: for the log. check: raises when the job is to end. done: gets (result, None) or (None, error).

    The rest is for the engine's planning. came: seconds on the engine's clock. step, total: denoising steps
    done, and in all, as far as they are known. draws: it has waited for a pass. passes: how many it was in.
    pass_seconds: of all its passes, as estimated at the first. side_work_seconds: by which side work has
    delayed it.
    """

    name: str
    work: Callable[[Fiber], Any]
    engine: Runner
    check: Callable[[], None]
    done: Callable[[Any, BaseException | None], None]
    came: float
    step: int = 0
    total: int = 0
    draws: bool = False
    passes: int = 0
    pass_seconds: float = 0.0
    side_work_seconds: float = 0.0
    waits_for: Call | Future[Any] | Pause | StreamPause | Condition | None = None
    _greenlet: greenlet = field(init=False, repr=False)

    def __post_init__(self) -> None:
        hub = getcurrent()  # a shared call is begun within one of its jobs, but must not switch back to it
        while hub.parent is not None:
            hub = hub.parent
        self._greenlet = greenlet(self.work, hub)

    @property
    def call(self) -> Call:
        """The call that it waits for. Raises TypeError when it waits for anything else."""
        if not isinstance(self.waits_for, Call):
            raise TypeError(f"{self.name} waits for no pass")
        return self.waits_for

    @property
    def steps_left(self) -> int:
        """Denoising steps to do, the next one included."""
        return max(1, self.total - self.step)

    @property
    def ended(self) -> bool:
        """Whether ``work`` has returned or raised."""
        return self._greenlet.dead

    @property
    def is_drawing(self) -> bool:
        """Whether side work can delay this job: it waits for a pass, its turn or decoding."""
        if isinstance(self.waits_for, Future):
            return self.draws and not isinstance(self.waits_for, SideWorkFuture)
        return isinstance(self.waits_for, Call | Turn)

    # Called by the job

    def set_progress(self, step: int, total: int) -> None:
        """Note that ``step`` of the job's ``total`` denoising steps are done, for planning."""
        self.step, self.total = step, total

    def evaluate(self, call: Call) -> Any:
        """Return what the denoiser of ``call`` returns for it; other jobs go on meanwhile."""
        self.draws = True
        return self._wait(call)

    def in_thread(
        self, work: Callable[[], T], *, thread: Thread = "decoding", lock: PriorityLock | None = None
    ) -> T:
        """Return what ``work`` returns, run in a thread of that name while other jobs go on: one decodes and
        encodes, one loads models, several fetch files. Without a spare core, and for an exclusive fiber,
        decoding runs inline. lock: held while ``work`` runs."""
        spare = self.engine.has_spare_core() and self.engine.exclusive_fiber is not self
        if spare or thread != "decoding":
            return self._wait(self.engine.submit(self, work, thread=thread, lock=lock))
        return self.inline(work, lock)

    def give_way(self) -> None:
        """Let the steps of others that are waiting go first, one pass of them, between two pieces of a long
        work. With a spare core they go on beside each piece anyway. torch's own random numbers go on
        afterwards as if nothing had been in between."""
        if not self.engine.has_spare_core():
            self._pause(Turn())

    def inline(self, work: Callable[[], T], lock: PriorityLock | None = None) -> T:
        """Return what ``work`` returns, run on the engine's thread while holding ``lock``. A thread would
        have to wait for the fibers that want the lock first, and they may wait for this one."""
        if lock is None:
            return work()
        with lock.reserve():
            self.wait_until(lock.try_acquire, ignores_exclusive=True)
        try:
            return work()
        finally:
            lock.release()

    def build(self, work: Callable[[], T], *, inline: bool = False) -> T:
        """Return what ``work`` returns, which makes modules; no two of its kind run at once. It runs in the
        loading thread, with other threads kept from the default dtype that it sets, or ``inline``."""
        guard = self.engine.building
        if inline:
            return self.inline(work, guard.lock)

        def guarded() -> T:
            with guard.building():
                return work()

        return self.in_thread(guarded, thread="loading", lock=guard.lock)

    def batched(self, kind: str, work: SideWork, item: Any, key: Hashable = ()) -> Any:
        """Return what ``work`` makes of ``item``; jobs that wait for the same work with the same ``key``
        share the call. It gets little time beside the passes of other jobs. For an exclusive fiber it is done
        at once. kind: of its slices, which all take about as long."""
        if self.engine.exclusive_fiber is self:
            return unbatched(work, item, key)
        return self._wait(self.engine.submit_batched(self, kind, work, item, key))

    def pause(self, kind: str, count: Callable[[], int] = lambda: 1) -> None:
        """Let others go first, before a slice of side work of ``kind`` with ``count()`` items. No pause for
        an exclusive fiber. torch's own random numbers go on afterwards as if nothing had been in between."""
        self._pause(Pause(kind, count))

    def stream_pause(self) -> None:
        """Let others go first, before a slice of an answer that somebody reads while it is written. As
        ``pause``, but for the share of time: see batching.StreamBudget."""
        self._pause(StreamPause())

    def _pause(self, pause: Pause | StreamPause | Turn) -> None:
        if self.engine.exclusive_fiber is self:
            return
        state = torch.get_rng_state()
        self._wait(pause)
        torch.set_rng_state(state)

    def wait_until(self, holds: Callable[[], bool], *, ignores_exclusive: bool = False) -> None:
        """Go on once ``holds()`` is true; called now, and whenever anything happens."""
        if not holds():
            self._wait(Condition(holds, ignores_exclusive))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other jobs' steps out inside the ``with`` block, so that all free memory is this job's. Locks
        are still passed on: the thread may wait for one that another fiber holds."""
        self.wait_until(lambda: self.engine.exclusive_fiber is None)
        self.engine.exclusive_fiber = self
        try:
            # behind what the thread is still doing
            self._wait(self.engine.submit(self, lambda: None, thread="decoding"))
            yield
        finally:
            self.engine.exclusive_fiber = None

    def _wait(self, what: Call | Future[Any] | Pause | StreamPause | Condition) -> Any:
        if getcurrent() is not self._greenlet:
            raise RuntimeError(f"{self.name} waits outside of its own run")
        self.waits_for = what
        try:
            return self._greenlet.parent.switch()
        finally:
            self.waits_for = None

    # Called by the engine

    def resume(self, value: Any) -> Any:
        """Run the job with ``value`` as what it waited for, to its next wait, or its end and return its
        result."""
        return self._greenlet.switch(value)

    def throw(self, error: BaseException) -> Any:
        """Raise ``error`` where the job waits, and run it as ``resume`` does."""
        return self._greenlet.throw(error)


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
    """The requests that wait, in a queue for each (work, key). begin: starts a fiber, see Engine.begin.
    max_items: in one call."""

    def __init__(self, begin: Callable[..., Fiber], max_items: int = MAX_ITEMS) -> None:
        self._begin, self._max_items = begin, max_items
        self.queues: dict[Hashable, list[_Request]] = {}

    def submit(self, fiber: Fiber, kind: str, work: SideWork, item: Any, key: Hashable) -> SideWorkFuture:
        """Queue ``item`` for a call of ``work`` with others of the same ``work`` and ``key``, and return its
        future. kind: of the work's slices, which all take about as long."""
        request, queue = _Request(item, fiber), self.queues.setdefault((work, key), [])
        queue.append(request)
        if len(queue) == 1:
            self._begin_call((work, key), kind, work)
        return request.future

    def _begin_call(self, key: Hashable, kind: str, work: SideWork) -> None:
        """Begin a fiber that calls ``work`` with what is in the queue once its turn has come."""
        queue, taken = self.queues[key], list[_Request]()

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
                del self.queues[key]
            _call(work, taken, lambda count=1: fiber.pause(f"{kind}, on", lambda: count))

        def done(_: Any, error: BaseException | None) -> None:
            if not taken:  # every job was stopped before the call's turn
                del self.queues[key]
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
            try:
                request.future.set_result(work([request.item], before_slice)[0])
            except Abandoned:
                raise
            except Exception as error:
                request.future.set_exception(error)
        return
    for request, result in zip(requests, results, strict=True):
        request.future.set_result(result)
