"""The agent of a machine with workers: fetches the files of what a bot orders over the bus, has its workers
do it, and tells how it ended until the bot has that. It outlives bots and servers of the bus: what it runs
goes on while nobody is heard, for as long as its lease."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from core.errors import AtelierError, BusAway, WireError
from core.process import Supervisor
from jobs.cluster import protocol
from jobs.cluster.file_transfer import FileFetcher, Gone
from jobs.cluster.nats import Bus
from jobs.executors.base import Device, Executor, Lost, Outcome
from vision.protocol import Broke, Done, Embed, Fault, Run, Stopped

TOO_LARGE = "The answer is larger than what its worker can send."
QUESTION_PATIENCE = 120.0  # seconds for a question and its pictures
LEFT_FOR = 86_400.0  # seconds that what a job has written is kept for its next try
END_PATIENCE, SLOWEST = 3.0, 250_000  # seconds for the answer to a run's end, and bytes in each one more


class RunInHand:
    """A run in an agent's hands. over: it has ended; what is left is to tell so."""

    task: asyncio.Task[None]

    def __init__(
        self,
        order: protocol.Order,
        held: protocol.RunLease,
        telling: protocol.StepReports,
        executor: Executor,
    ) -> None:
        self.order, self.held, self.telling, self._executor = order, held, telling, executor
        self.over = False
        self.why: str | None = None  # it was given up
        self.ended = asyncio.Event()
        self._preparing: asyncio.Task[dict[str, Path]] | None = None
        self._handed = self._cancelled = False

    def cancel(self) -> None:
        """Stop it between two steps, or before the first; not once it has ended: its job may run again."""
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

    async def do(self, older: Sequence[RunInHand], fetching: FileFetcher, folder: Path) -> Outcome:
        """Return how it ended. older: runs of the same job, which end first. folder: where it writes."""
        order = self.order
        try:
            async with AsyncExitStack() as stack:
                self._preparing = asyncio.create_task(self._prepare(stack, older, fetching, folder))
                paths = await self._preparing
                if self._cancelled:
                    return self._stopped()
                self._handed = True
                own = {sha256: str(paths[sha256]) for sha256 in order.files}
                what, where = (order.job_id, order.kind, order.request), str(folder)
                where = where if order.folder is not None else ""
                trace, taste = order.traceparent, order.taste
                run = Run(*what, own, order.talk, where, order.cost_key, "", trace, taste)
                outcome = await self._executor.run(order.device, run, self.telling)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            return self._stopped()
        except (AtelierError, OSError) as error:
            log.warning("job %s can't be begun: %s", order.job_id, error)
            return Lost(order.job_id, f"its files can't be loaded: {type(error).__name__}", untouched=True)
        if isinstance(outcome, Stopped) and not self._cancelled:  # an earlier run was meant
            self.why = self.why or "its worker stopped it"
        given_up = isinstance(outcome, Lost) and self.why is not None
        return self._stopped() if given_up or isinstance(outcome, Stopped) else outcome

    async def _prepare(
        self, stack: AsyncExitStack, older: Sequence[RunInHand], fetching: FileFetcher, folder: Path
    ) -> dict[str, Path]:
        """Return the files that it needs, once older runs of the same job have ended."""
        for work in older:
            work.give_up("the same job is ordered again")
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


class Runner:
    """Begins runs and sees them through. root: holds a folder for each job that writes files."""

    def __init__(
        self,
        bus: Bus,
        host: str,
        executor: Executor,
        fetching: FileFetcher,
        root: Path,
        say: Callable[[str, protocol.News], None],
        timing: protocol.Timing,
    ) -> None:
        self._bus, self._host, self._executor, self._fetching = bus, host, executor, fetching
        self._root, self._say, self._timing = root, say, timing
        self.steps = 0  # of all runs that are over
        self.ends: Counter[str] = Counter()  # of runs, by what they ended with

    def begin(self, order: protocol.Order, held: protocol.RunLease, older: Sequence[RunInHand]) -> RunInHand:
        """Begin a run, once ``older`` ones of its job have ended."""
        subject = f"job.{order.job_id}"
        telling = protocol.StepReports(order.token, lambda news: self._say(subject, news))
        work = RunInHand(order, held, telling, self._executor)
        name = f"job {order.job_id}"
        work.task = asyncio.create_task(self._see_through(work, older), name=name)
        return work

    async def _see_through(self, work: RunInHand, older: Sequence[RunInHand]) -> None:
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

    async def _tell(self, work: RunInHand, outcome: Outcome) -> None:
        """Say how a run ended until a bot has written it down, or doesn't want to know."""
        final, made = await self._final(work.order, outcome)
        pictures = protocol.output_pictures(outcome.output) if isinstance(outcome, Done) else ()
        size = min(
            protocol.INLINE, sum(len(picture.data) for picture in pictures)
        )  # bytes in the message, about
        patience = END_PATIENCE + size / SLOWEST
        while not work.held.unnamed:
            if work.held.told:  # a bot has it and will write it down
                await asyncio.sleep(min(0.2, self._timing.again))
                continue
            try:
                await self._fetching.put(work.order.token, made)
                heard = await self._bus.request(
                    f"done.{self._host}", final, protocol.Heard, patience=patience
                )
            except Gone:
                heard = protocol.Heard("gone")
            except BusAway:
                await asyncio.sleep(self._timing.again)
                continue
            except WireError as error:
                log.error("job %s: its answer can't be sent: %s", work.order.job_id, error)
                broke = Broke(final.job_id, Fault.USER, TOO_LARGE)
                final, made = protocol.Final(final.token, final.job_id, broke=broke), ()
                continue
            if heard.what == "gone":
                log.info("job %s: nobody waits for its end", work.order.job_id)
                return
            work.held.note_told(heard.bot)

    async def _final(
        self, order: protocol.Order, outcome: Outcome
    ) -> tuple[protocol.Final, Sequence[protocol.Made]]:
        token, job_id = order.token, order.job_id
        if not isinstance(outcome, Done):
            ended: dict[str, Any] = {type(outcome).__name__.lower(): outcome}  # stopped, broke or lost
            return protocol.Final(token, job_id, **ended), ()
        try:
            inline = min(protocol.INLINE, self._bus.most // 2)
            output, sent, made = await asyncio.to_thread(protocol.taken_apart, outcome.output, inline)
            return protocol.Final(token, job_id, done=output, sent=sent), made
        except OSError as error:
            log.warning("job %s: its worker has not written what it says: %s", job_id, error)
            return protocol.Final(token, job_id, lost=Lost(job_id, "what it made isn't there")), ()

    def sweep(self) -> None:
        """Delete what jobs have written that nobody has tried again for a day. Blocks."""
        for folder in self._root.glob("*") if self._root.is_dir() else ():
            if time.time() - folder.stat().st_mtime > LEFT_FOR:
                shutil.rmtree(folder, ignore_errors=True)

    def forget(self, names: Collection[str]) -> None:
        """Delete what these jobs have written. Blocks."""
        for name in names:
            if re.match(protocol.NAME, name):
                shutil.rmtree(self._root / name, ignore_errors=True)


def _fill(folder: Path, files: dict[str, Path]) -> None:
    """Put what a job starts from into its folder; an earlier try stays if it started alike. Blocks."""
    for name, path in files.items():
        own = folder / name
        if folder.is_dir() and not (own.is_file() and own.read_bytes() == path.read_bytes()):
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        shutil.copyfile(path, folder / name)


log = logging.getLogger(__name__)
QUEUED = 2000  # signs of life that wait to be sent; the oldest are of no use by then


@dataclass(frozen=True)
class Identity:
    """What an agent says of itself. models: digest of its models. clip: its model of vectors."""

    host: str
    models: str = ""
    release: str = ""
    clip: str = ""


class RemoteWorker:
    """``executor``: of the workers of this machine. root: folder of what jobs write."""

    def __init__(
        self,
        bus: Bus,
        known: Identity,
        executor: Executor,
        fetching: FileFetcher,
        root: Path,
        *,
        checkpoints: Path | None = None,
        timing: protocol.Timing | None = None,
    ) -> None:
        self.bus, self._known, self._executor = bus, known, executor
        self._timing = timing or protocol.Timing()
        self._working = Runner(bus, known.host, executor, fetching, root, self._say, self._timing)
        self._fetching, self._checkpoints = fetching, checkpoints
        self._instance = secrets.token_hex(16)
        self._runs: dict[str, RunInHand] = {}  # token → run
        self._bot = ""
        self._draining = self._shares_name = False
        self._changed = asyncio.Event()
        self._news: asyncio.Queue[tuple[str, protocol.News]] = asyncio.Queue(QUEUED)
        self._tasks: list[asyncio.Task[None]] = []
        self._deleting: set[asyncio.Task[None]] = set()

    @property
    def runs(self) -> Collection[RunInHand]:
        """What it has in hand."""
        return self._runs.values()

    @property
    def devices(self) -> Sequence[Device]:
        """The devices of this machine."""
        return self._executor.devices

    @property
    def steps(self) -> int:
        """Steps that were drawn since the start."""
        return self._working.steps + sum(work.telling.drawn for work in self.runs if not work.over)

    @property
    def ends(self) -> Mapping[str, int]:
        """Runs that have ended since the start, by how: done, stopped, broke, lost."""
        return self._working.ends

    async def start(self) -> None:
        """Start the workers, and listen."""
        host = self._known.host
        await asyncio.to_thread(self._working.sweep)
        await self._executor.start(self._changed.set)
        self.bus.watch(self._changed.set)
        await self.bus.serve(f"run.{host}", protocol.Order, self.take_order)
        await self.bus.serve(f"ask.{host}", protocol.Ask, self._answer)
        await self.bus.listen(f"stop.{host}", protocol.StopRun, self._stop_run, most=protocol.SMALL)
        await self.bus.listen(f"hold.{host}", protocol.Hold, self._hold)
        await self.bus.listen("forget", protocol.ForgetAll, self._forget)
        self._tasks = [
            asyncio.create_task(Supervisor().forever("beats", self._beat_for_ever), name="beats"),
            asyncio.create_task(Supervisor().forever("news", self._send_for_ever), name="news"),
            asyncio.create_task(Supervisor().forever("leases", self._look_for_ever), name="leases"),
        ]

    async def drain(self, grace: float) -> None:
        """Take nothing more, and wait until what runs has ended, at most ``grace`` seconds."""
        self._draining = True
        self._changed.set()
        end = monotonic() + grace
        if self._runs and grace > 0:
            log.info("%d running jobs have %.0f s to finish", len(self._runs), grace)
        while any(not work.over for work in self.runs) and monotonic() < end:
            await asyncio.wait([work.task for work in self.runs if not work.over], timeout=end - monotonic())

    async def stop(self, grace: float) -> None:
        """Take nothing more; what runs may end within ``grace`` seconds, the rest goes back to the queue."""
        await self.drain(grace)
        for work in self.runs:
            work.why = work.why or "its machine stops"
        await self._executor.stop()  # which ends the rest
        tellings = [work.task for work in self.runs]
        if tellings and self.bus.is_up:
            await asyncio.wait(tellings, timeout=self._timing.last_words)
        for task in [*tellings, *self._tasks]:
            task.cancel()
        await asyncio.gather(*tellings, *self._tasks, *self._deleting, return_exceptions=True)
        await self.bus.publish(f"beat.{self._known.host}", self._beat())

    # What a bot says

    async def take_order(self, order: protocol.Order, subject: str) -> protocol.Taken | None:
        """Begin a run, or return why not; None when another process of this name is meant."""
        if order.instance not in ("", self._instance):  # which answers itself
            if not self._shares_name:
                log.error(
                    "another `atelier worker` is called %s too: give each a NODE_NAME", self._known.host
                )
            self._shares_name = True
            return None
        if order.token in self._runs:
            self._runs[order.token].held.renew()
            return protocol.Taken(True)
        self._note_bot(order.bot)
        if (reason := self._refusal(order)) is not None:
            return protocol.Taken(False, reason)
        older = [work for work in self.runs if work.order.job_id == order.job_id]
        work = self._working.begin(order, protocol.RunLease(self._timing), older)
        self._runs[order.token] = work

        def forget(_: object) -> None:
            self._runs.pop(order.token, None)
            self._changed.set()

        work.task.add_done_callback(forget)
        log.info("job %s comes to %s", order.job_id, order.device)
        self._changed.set()
        return protocol.Taken(True)

    def _refusal(self, order: protocol.Order) -> str | None:
        """Return why an order can't be done here now, None where it can."""
        if self._draining:
            return "this machine takes no more jobs"
        device = next((one for one in self._executor.devices if one.name == order.device), None)
        if device is None or device.state != "ready":
            return f"{order.device} isn't ready"
        # those on their way to it included
        busy = sum(work.order.device == order.device for work in self.runs if not work.over)
        return f"{order.device} has no free slot" if busy >= device.slots else None

    def _note_bot(self, bot: str) -> None:
        if bot != self._bot:
            log.info("a bot is heard that wasn't before")
            for work in self.runs:
                work.held.note_bot(bot)
        self._bot = bot

    def _hold(self, hold: protocol.Hold, subject: str) -> None:
        self._note_bot(hold.bot)
        named, stopping = set(hold.tokens), set(hold.stopping)
        for work in list(self.runs):
            token = work.order.token
            if token in stopping:
                work.cancel()
            if token in named:
                work.held.renew()
            else:
                work.held.note_unnamed(hold.bot)

    def _stop_run(self, message: protocol.StopRun, subject: str) -> None:
        if (work := self._runs.get(message.token)) is not None:
            work.cancel()

    def _forget(self, message: protocol.ForgetAll, subject: str) -> None:
        self._executor.forget(message.names)
        names = set(message.names)
        task = asyncio.create_task(asyncio.to_thread(self._delete, names), name="forgetting")
        self._deleting.add(task)
        task.add_done_callback(self._deleting.discard)

    def _delete(self, names: Collection[str]) -> None:
        self._fetching.forget(names)
        self._working.forget(names)
        if self._checkpoints is not None and self._checkpoints.is_dir():
            for path in self._checkpoints.glob("*"):
                if path.name.split(".")[0] in names:
                    path.unlink(missing_ok=True)

    async def _answer(self, ask: protocol.Ask, subject: str) -> protocol.Reply:
        question = ask.embed or ask.select or ask.check or ask.measure or ask.choose
        if question is None or not set(protocol.paths_of(question)) <= ask.files.keys():
            return protocol.Reply(declined="that is no question")
        lent = self._fetching.lent(ask.token, ask.files)
        try:
            async with asyncio.timeout(QUESTION_PATIENCE), lent as paths:
                local = protocol.with_paths(question, {sha256: str(path) for sha256, path in paths.items()})
                if isinstance(local, Embed) and local.model == protocol.CLIP:
                    local = replace(local, model=self._known.clip)
                return protocol.reply_of(local, await self._executor.ask(local))
        except TimeoutError:
            return protocol.Reply(declined="it takes too long")
        except (AtelierError, OSError) as error:
            return protocol.Reply(declined=f"its pictures can't be loaded: {type(error).__name__}")

    # What it says

    def _say(self, subject: str, message: protocol.News) -> None:
        try:
            self._news.put_nowait((subject, message))
        except asyncio.QueueFull:
            log.warning("a sign of life of %s is dropped: the bus is too slow", subject)

    async def _send_for_ever(self) -> None:
        while True:
            subject, message = await self._news.get()
            try:
                await self.bus.publish(subject, message)
            except WireError as error:
                log.warning("%s: %s", subject, error)

    async def _beat_for_ever(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self.bus.publish(f"beat.{self._known.host}", self._beat())
            except WireError:
                log.exception("the host's state can't be told")
            await asyncio.sleep(self._timing.soonest)
            try:
                async with asyncio.timeout(self._timing.beat - self._timing.soonest):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _beat(self) -> protocol.Beat:
        known = self._known
        runs = tuple(
            protocol.Holding(
                of.job_id, of.token, of.device, of.digest, work.telling.step, work.telling.total, work.over
            )
            for work in self.runs
            for of in (work.order,)
        )
        devices = tuple(self._executor.devices)
        return protocol.Beat(
            self._instance, devices, runs, known.models, known.release, time.time(), self._draining
        )

    async def _look_for_ever(self) -> None:
        """Stop what nobody has named for too long."""
        while True:
            await asyncio.sleep(self._timing.look)
            for work in list(self.runs):
                if work.held.is_out and not work.over:
                    log.warning("job %s is stopped: no bot has named it for long", work.order.job_id)
                    work.give_up("no bot was heard")
                elif work.over and work.held.is_forgotten:
                    log.warning("job %s: nobody has wanted its end", work.order.job_id)
                    work.task.cancel()
