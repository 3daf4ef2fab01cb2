"""The agent: keeps the workers of its machine, does what a bot orders over the bus, and tells how it ended
until the bot has that.

It outlives bots and servers of the bus. What it runs goes on while nobody is heard, for LEASE seconds.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from bus.connection import Bus
from core.errors import WireError
from core.supervisor import Supervisor
from jobs.agents.fetching import Fetching
from jobs.agents.holding import Held, Timing
from jobs.agents.questions import answered
from jobs.agents.wire import (
    SMALL,
    Ask,
    Beat,
    ForgetAll,
    Hold,
    Holding,
    News,
    Order,
    Reply,
    StopRun,
    Taken,
)
from jobs.agents.working import Work, Working
from jobs.executor import Device, Executor

log = logging.getLogger(__name__)
QUEUED = 2000  # signs of life that wait to be sent; the oldest are of no use by then


@dataclass(frozen=True)
class Known:
    """What an agent says of itself. models: digest of what it draws with. release: of the program. clip: its
    model of vectors."""

    host: str
    models: str = ""
    release: str = ""
    clip: str = ""


class Agent:
    """``executor``: of the workers of this machine. root: folder of what jobs write."""

    def __init__(
        self,
        bus: Bus,
        known: Known,
        executor: Executor,
        fetching: Fetching,
        root: Path,
        *,
        checkpoints: Path | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._bus, self._known, self._executor = bus, known, executor
        self._timing = timing or Timing()
        self._working = Working(bus, known.host, executor, fetching, root, self._say, self._timing)
        self._fetching, self._checkpoints = fetching, checkpoints
        self._instance = secrets.token_hex(16)
        self._runs: dict[str, Work] = {}  # token → run
        self._bot = ""
        self._draining = self._shares_name = False
        self._changed = asyncio.Event()
        self._news: asyncio.Queue[tuple[str, News]] = asyncio.Queue(QUEUED)
        self._tasks: list[asyncio.Task[None]] = []
        self._deleting: set[asyncio.Task[None]] = set()

    @property
    def runs(self) -> Collection[Work]:
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
        self._bus.watch(self._changed.set)
        await self._bus.serve(f"run.{host}", Order, self._take)
        await self._bus.serve(f"ask.{host}", Ask, self._answer)
        await self._bus.listen(f"stop.{host}", StopRun, self._stop_one, most=SMALL)
        await self._bus.listen(f"hold.{host}", Hold, self._hold)
        await self._bus.listen("forget", ForgetAll, self._forget)
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
            work.why = work.why or "its host stops"
        await self._executor.stop()  # which ends the rest
        tellings = [work.task for work in self.runs]
        if tellings and self._bus.is_up:
            await asyncio.wait(tellings, timeout=self._timing.last_words)
        for task in [*tellings, *self._tasks]:
            task.cancel()
        await asyncio.gather(*tellings, *self._tasks, *self._deleting, return_exceptions=True)
        await self._bus.publish(f"beat.{self._known.host}", self._beat())

    # What a bot says

    async def _take(self, order: Order, subject: str) -> Taken | None:
        if order.instance not in ("", self._instance):  # which answers itself
            if not self._shares_name:
                log.error(
                    "another `atelier worker` is called %s too: give each a NODE_NAME", self._known.host
                )
            self._shares_name = True
            return None
        if order.token in self._runs:
            self._runs[order.token].held.renew()
            return Taken(True)
        self._note_bot(order.bot)
        if (reason := self._refusal(order)) is not None:
            return Taken(False, reason)
        older = [work for work in self.runs if work.order.job_id == order.job_id]
        work = self._working.begin(order, Held(self._timing), older)
        self._runs[order.token] = work
        work.task.add_done_callback(lambda _: self._ended(order.token))
        log.info("job %s comes to %s", order.job_id, order.device)
        self._changed.set()
        return Taken(True)

    def _refusal(self, order: Order) -> str | None:
        """Return why an order can't be done here now, None where it can."""
        if self._draining:
            return "this host takes no more"
        device = next((one for one in self._executor.devices if one.name == order.device), None)
        if device is None or device.state != "ready":
            return f"{order.device} isn't ready"
        if self._busy()[order.device] >= device.slots:
            return f"{order.device} has no free slot"
        return None

    def _busy(self) -> Counter[str]:
        """Return how many runs each device has, those on their way to it included."""
        return Counter(work.order.device for work in self.runs if not work.over)

    def _note_bot(self, bot: str) -> None:
        if bot != self._bot:
            log.info("a bot is heard that wasn't before")
            for work in self.runs:
                work.held.note_bot(bot)
        self._bot = bot

    def _hold(self, hold: Hold, subject: str) -> None:
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

    def _stop_one(self, message: StopRun, subject: str) -> None:
        work = self._runs.get(message.token)
        if work is not None:
            work.cancel()

    def _forget(self, message: ForgetAll, subject: str) -> None:
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

    async def _answer(self, ask: Ask, subject: str) -> Reply:
        return await answered(ask, self._fetching, self._executor, self._known.clip)

    # What it says

    def _say(self, subject: str, message: News) -> None:
        try:
            self._news.put_nowait((subject, message))
        except asyncio.QueueFull:
            log.warning("a sign of life of %s is dropped: the bus is too slow", subject)

    async def _send_for_ever(self) -> None:
        while True:
            subject, message = await self._news.get()
            try:
                await self._bus.publish(subject, message)
            except WireError as error:
                log.warning("%s: %s", subject, error)

    async def _beat_for_ever(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._bus.publish(f"beat.{self._known.host}", self._beat())
            except WireError:
                log.exception("the host's state can't be told")
            await asyncio.sleep(self._timing.soonest)
            try:
                async with asyncio.timeout(self._timing.beat - self._timing.soonest):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _beat(self) -> Beat:
        known = self._known
        runs = tuple(
            Holding(
                work.order.job_id,
                work.order.token,
                work.order.device,
                work.order.digest,
                work.telling.step,
                work.telling.total,
                work.over,
            )
            for work in self.runs
        )
        devices = tuple(self._executor.devices)
        return Beat(self._instance, devices, runs, known.models, known.release, time.time(), self._draining)

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

    def _ended(self, token: str) -> None:
        self._runs.pop(token, None)
        self._changed.set()
