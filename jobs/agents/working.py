"""One run at an agent: its files are fetched, a worker does it, its end is told until a bot has it."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bus.connection import Bus
from core.errors import AtelierError, BusAway, WireError
from jobs.agents.events import Telling
from jobs.agents.fetching import Fetching, Gone
from jobs.agents.holding import Held, Timing
from jobs.agents.outputs import INLINE, Made, pictures_of, taken_apart
from jobs.agents.wire import NAME, Final, Heard, News, Order
from jobs.executor import Executor, Lost, Outcome
from vision.protocol import Broke, Done, Fault, Run, Stopped

LEFT_FOR = 86_400.0  # seconds that what a job has written is kept for its next try
PATIENCE, SLOWEST = 3.0, 250_000  # seconds for the answer to a run's end, and bytes in each one more
log = logging.getLogger(__name__)


class Work:
    """A run in an agent's hands. over: it has ended; what is left is to tell so."""

    task: asyncio.Task[None]

    def __init__(self, order: Order, held: Held, telling: Telling, executor: Executor) -> None:
        self.order, self.held, self.telling, self._executor = order, held, telling, executor
        self.over = False
        self.why: str | None = None  # it was given up
        self.ended = asyncio.Event()
        self._preparing: asyncio.Task[dict[str, Path]] | None = None
        self._handed = self._cancelled = False

    def cancel(self) -> None:
        """Stop it between two steps, or before the first; not once it has ended: the same job may run again,
        and workers stop jobs."""
        if self.over:
            return
        self._cancelled = True
        if self._handed:
            self._executor.cancel(self.order.job_id)
        elif self._preparing is not None:
            self._preparing.cancel()

    def give_up(self, why: str) -> None:
        """Stop it; it goes back to the queue, not counted as an attempt."""
        self.why = self.why or why
        self.cancel()

    async def do(self, older: Sequence[Work], fetching: Fetching, folder: Path) -> Outcome:
        """Return how it ended. older: runs of the same job, which end first. folder: where it writes."""
        order = self.order
        try:
            async with AsyncExitStack() as stack:
                self._preparing = asyncio.create_task(self._prepare(stack, older, fetching, folder))
                paths = await self._preparing
                if self._cancelled:
                    return self._stopped()
                self._handed = True
                run = Run(
                    order.job_id,
                    order.kind,
                    order.request,
                    {sha256: str(paths[sha256]) for sha256 in order.files},
                    order.talk,
                    str(folder) if order.folder is not None else "",
                    order.cost_key,
                    traceparent=order.traceparent,
                )
                outcome = await self._executor.run(order.device, run, self.telling)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            return self._stopped()
        except (AtelierError, OSError) as error:
            log.warning("job %s can't be begun: %s", order.job_id, error)
            return Lost(order.job_id, f"its files can't be had: {type(error).__name__}", untouched=True)
        if isinstance(outcome, Stopped) and not self._cancelled:  # an earlier run was meant
            self.why = self.why or "its worker stopped it"
        given_up = isinstance(outcome, Lost) and self.why is not None
        return self._stopped() if given_up or isinstance(outcome, Stopped) else outcome

    async def _prepare(
        self, stack: AsyncExitStack, older: Sequence[Work], fetching: Fetching, folder: Path
    ) -> dict[str, Path]:
        """Return the files that it needs, once older runs of the same job have ended."""
        for work in older:
            work.give_up("the same job is ordered anew")
            await work.ended.wait()
        of_folder = self.order.folder or {}
        wanted = {**self.order.files, **{sha256: "json" for sha256 in of_folder.values()}}
        paths = await stack.enter_async_context(fetching.lent(self.order.token, wanted))
        if self.order.folder is not None:
            await asyncio.to_thread(_fill, folder, {name: paths[s] for name, s in of_folder.items()})
        return paths

    def _stopped(self) -> Stopped | Lost:
        if self.why is not None:
            return Lost(self.order.job_id, self.why, untouched=True)
        return Stopped(self.order.job_id)


class Working:
    """Begins runs and sees them through. root: holds a folder for each job that writes files."""

    def __init__(
        self,
        bus: Bus,
        host: str,
        executor: Executor,
        fetching: Fetching,
        root: Path,
        say: Callable[[str, News], None],
        timing: Timing,
    ) -> None:
        self._bus, self._host, self._executor, self._fetching = bus, host, executor, fetching
        self._root, self._say, self._timing = root, say, timing
        self.steps = 0  # of all runs that are over
        self.ends: Counter[str] = Counter()  # of runs, by what they ended with

    def begin(self, order: Order, held: Held, older: Sequence[Work]) -> Work:
        """Begin a run, once ``older`` ones of its job have ended."""
        subject = f"job.{order.job_id}"
        telling = Telling(order.token, lambda news: self._say(subject, news))
        work = Work(order, held, telling, self._executor)
        name = f"job {order.job_id}"
        work.task = asyncio.create_task(self._see_through(work, older), name=name)
        return work

    async def _see_through(self, work: Work, older: Sequence[Work]) -> None:
        order, folder = work.order, self._root / work.order.job_id
        try:
            outcome = await work.do(older, self._fetching, folder)
        except Exception as error:  # the last net: the bot must hear of an end
            log.exception("job %s failed in the agent itself", order.job_id)
            outcome = Lost(order.job_id, type(error).__name__)
        finally:
            work.telling.flush()
            work.over = True
            self.steps += work.telling.drawn
            work.ended.set()
        self.ends[type(outcome).__name__.lower()] += 1
        kept = isinstance(outcome, Lost) or (
            isinstance(outcome, Broke) and outcome.fault in (Fault.ERROR, Fault.PROCESS)
        )
        try:
            await self._tell(work, outcome)
        finally:
            if order.folder is not None and not kept:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _tell(self, work: Work, outcome: Outcome) -> None:
        """Say how a run ended until a bot has written it down, or doesn't want to know."""
        final, made = await self._final(work.order, outcome)
        patience = PATIENCE + _size_of(outcome) / SLOWEST
        while not work.held.unnamed:
            if work.held.told:  # a bot has it and will write it down
                await asyncio.sleep(min(0.2, self._timing.again))
                continue
            try:
                await self._fetching.put(work.order.token, made)
                heard = await self._bus.request(f"done.{self._host}", final, Heard, patience=patience)
            except Gone:
                heard = Heard("gone")
            except BusAway:
                await asyncio.sleep(self._timing.again)
                continue
            except WireError as error:
                log.error("job %s: its answer can't be sent: %s", work.order.job_id, error)
                final, made = Final(final.token, final.job_id, broke=_too_large(final.job_id)), ()
                continue
            if heard.what == "gone":
                log.info("job %s: nobody waits for its end", work.order.job_id)
                return
            work.held.note_told(heard.bot)

    async def _final(self, order: Order, outcome: Outcome) -> tuple[Final, Sequence[Made]]:
        token, job_id = order.token, order.job_id
        if isinstance(outcome, Done):
            try:
                inline = min(INLINE, self._bus.most // 2)
                output, sent, made = await asyncio.to_thread(taken_apart, outcome.output, inline)
                return Final(token, job_id, done=output, sent=sent), made
            except OSError as error:
                log.warning("job %s: its worker has not written what it says: %s", job_id, error)
                return Final(token, job_id, lost=Lost(job_id, "what it made isn't there")), ()
        if isinstance(outcome, Stopped):
            return Final(token, job_id, stopped=outcome), ()
        if isinstance(outcome, Broke):
            return Final(token, job_id, broke=outcome), ()
        return Final(token, job_id, lost=outcome), ()

    def sweep(self) -> None:
        """Delete what jobs have written that nobody has tried again for a day. Blocks."""
        for folder in self._root.glob("*") if self._root.is_dir() else ():
            if time.time() - folder.stat().st_mtime > LEFT_FOR:
                shutil.rmtree(folder, ignore_errors=True)

    def forget(self, names: Collection[str]) -> None:
        """Delete what these jobs have written. Blocks."""
        for name in names:
            if re.match(NAME, name) and (folder := self._root / name).is_dir():
                shutil.rmtree(folder, ignore_errors=True)


def _size_of(outcome: Outcome) -> int:
    """About how many bytes the pictures of an end have in its message."""
    pictures = pictures_of(outcome.output) if isinstance(outcome, Done) else ()
    return min(INLINE, sum(len(picture.data) for picture in pictures))


def _too_large(job_id: str) -> Broke:
    return Broke(job_id, Fault.USER, "The answer is larger than what its worker can send.")


def _fill(folder: Path, files: dict[str, Path]) -> None:
    """Put what a job starts from into its folder. What an earlier try has left there stays, unless it started
    from something else. Blocks."""
    for name, path in files.items():
        if folder.is_dir() and not _same(folder / name, path):
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        shutil.copyfile(path, folder / name)


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()
