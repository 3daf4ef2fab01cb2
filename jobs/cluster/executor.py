"""The executor of remote workers: hands runs to their machines' agents over the bus, hears how they get on,
gives a machine up that falls silent, and tells launchers of workers how much there is to do. See
``protocol`` for what is said."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from core.errors import BusAway, BusError, WireError
from core.process import Supervisor
from jobs.cluster import protocol
from jobs.cluster.file_transfer import FileLender, FileReceiver
from jobs.cluster.nats import Bus, Message, OtherVersion
from jobs.cluster.registry import DeviceRegistry, RunInFlight, order_of
from jobs.executors.base import SEPARATOR, Device, Executor, Lease, Lost, Outcome, Report, host_of
from jobs.executors.local import VectorComparer
from jobs.queue import Queue
from vision.protocol import Answered, Broke, Declined, Done, Fault, Question, Run, SideQuestion, Stopped


async def outcome_of(final: protocol.Final, run: Run, receiving: FileReceiver) -> Outcome:
    """Return how ``run`` ended; its files are in its folder then. Lost where that can't be told."""
    if final.done is None:
        outcome: Stopped | Broke | Lost | None = final.stopped or final.broke or final.lost
        if outcome is None or outcome.job_id != run.job_id:
            return Lost(run.job_id, "its end can't be read")
        return outcome
    read = partial(receiving.read, run.token)

    def take(sha256: str, name: str) -> str:
        if not run.folder or Path(name).name != name or name.startswith("."):
            raise WireError(f"{name[:80]!r} is no file that this job may make")
        target = Path(run.folder) / name
        receiving.take(run.token, sha256, target)
        return str(target)

    try:
        output = await asyncio.to_thread(protocol.put_together, final.done, final.sent, read, take)
    except (WireError, OSError) as error:
        log.error("job %s: what it made can't be loaded: %s", run.job_id, error)
        return Lost(run.job_id, "what it made can't be loaded")
    return Done(run.job_id, output)


ORDER_PATIENCE, ORDER_PAUSE = 3.0, 0.3  # seconds for the answer to an order, and before it is said again
REST = 0.5  # seconds before a host that has refused a run is asked again
ASK_PATIENCE = 130.0  # seconds for a question beside the jobs
SELF_PATIENCE = 0.7  # seconds for the bus to answer when hosts are silent
FIRST_BEATS = 5.0  # seconds that a host has to say that it still has a run of an earlier bot
ANEW = "its worker process has restarted"
TOO_LARGE = "This job is too large to be sent to a worker on another machine."
log = logging.getLogger(__name__)


class BusExecutor(Executor):
    """Workers on other machines. scratch: folder for what comes in parts. models: digest of what the bot's
    settings name, see ``models.digest``. clip: the model of vectors, as the settings name it."""

    def __init__(
        self,
        bus: Bus,
        scratch: Path,
        *,
        models: str = "",
        clip: str = "",
        timing: protocol.Timing | None = None,
    ) -> None:
        self.bus, self._timing = bus, timing or protocol.Timing()
        self._clip = clip
        self._name = secrets.token_hex(16)
        self.registry = DeviceRegistry(self._timing, models)
        self.hosts, self.runs = self.registry.hosts, self.registry.runs
        self._resting: dict[str, float] = {}  # hosts that have just refused a run, until when
        self._abandoned: dict[str, tuple[str, float]] = {}  # token → host, and when; monotonic seconds
        self._lender, self._receiver, self._comparer = FileLender(), FileReceiver(scratch), VectorComparer()
        self.changed: Callable[[], None] = lambda: None
        self._listening = self._complete = self._stopping = False
        self._hearing: list[Callable[[], Awaitable[None]]] = []  # what ends each
        self.bus.watch(self._bus_changed)
        self._heard = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._doing: set[asyncio.Task[None]] = set()

    @property
    def devices(self) -> Sequence[Device]:
        return self.registry.devices

    def free(self) -> Mapping[str, int]:
        if self._stopping or not self.bus.is_up:
            return {}
        now, free = monotonic(), self.registry.free
        self._resting = {host: until for host, until in self._resting.items() if until > now}
        if not self._resting:
            return free
        return {name: n for name, n in free.items() if host_of(name) not in self._resting}

    def has(self, job_id: str) -> bool:
        return self.runs.of_job(job_id) is not None

    def outlives(self, job_id: str) -> bool:
        """Return whether a host has the job, which then goes on without this process."""
        handed = self.runs.of_job(job_id)
        return handed is not None and handed.taken and not handed.stopping

    # Start and stop

    async def take_up(self, leases: Sequence[Lease]) -> Collection[str]:
        """Return the jobs of those runs that their hosts still have, once these have been heard."""
        await self._listen()
        wanted = {lease.token: lease for lease in leases if SEPARATOR in lease.device}
        if wanted:
            try:
                async with asyncio.timeout(FIRST_BEATS):
                    while not wanted.keys() <= self._held().keys():
                        self._heard.clear()
                        await self._heard.wait()
            except TimeoutError:
                log.info("some hosts that had jobs aren't heard of")
        held = self._held()
        found = {lease.job_id for token, lease in wanted.items() if held.get(token) == lease.device}
        if not wanted.keys() - held.keys():
            log.info("%d jobs go on where they are", len(found))
        return found

    def _held(self) -> dict[str, str]:
        """Return what hosts say that they have: token → device."""
        up = [host for host in self.hosts if not host.is_down]
        return {token: host.device(one.device) for host in up for token, one in host.runs.items()}

    async def start(self, changed: Callable[[], None]) -> None:
        self.changed = changed
        await self._listen()
        await asyncio.to_thread(self._receiver.clear)
        self._complete = True  # from here on, a run that isn't known is nobody's
        self._tasks = [
            asyncio.create_task(Supervisor().forever("holds", self._hold_for_ever), name="holds"),
            asyncio.create_task(Supervisor().forever("hosts", self._watch_for_ever), name="hosts"),
        ]

    async def _listen(self) -> None:
        if self._listening:
            return
        self._listening, self._stopping, bus = True, False, self.bus
        self._hearing = [
            await bus.listen(
                "beat.*", protocol.Beat, self.hear_beat, most=protocol.BEAT_MOST, unread=self._unread_beat
            ),
            await bus.listen("job.*", protocol.News, self._hear_news, most=protocol.EVENT_MOST),
            await bus.serve("done.*", protocol.Final, self._hear_final),
            await bus.serve("file.*", protocol.Fetch, self._lender.answer),
            await bus.serve("put.*", protocol.Put, self._receiver.answer),
        ]

    async def stop(self) -> None:
        """Hand out nothing more. What runs goes on, and is taken up by the next process."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._doing, return_exceptions=True)
        for handed in self.runs.not_ended():
            goes_on = self.outlives(handed.run.job_id)
            handed.end(Lost(handed.run.job_id, "the studio stops", untouched=True, goes_on=goes_on))
        for end in self._hearing:  # the next process hears the rest
            await end()
        await self._comparer.close()

    # Runs

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        """Have a host do a job, or hear of it again where the host has it already."""
        name, _, own = device.partition(SEPARATOR)
        host = self.hosts.get(name)
        if host is None or host.is_down or self._stopping:
            return Lost(run.job_id, f"{name} doesn't respond", untouched=True)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        handed = RunInFlight(run, name, own, report, outcome)
        self.runs.add(handed)
        self._receiver.expect(run.token, name)
        try:
            instance = host.beat.instance if host.beat is not None else ""
            order, paths = await asyncio.to_thread(order_of, run, own, self._name, instance)
            with self._lender.lent(run.token, name, paths):
                if (holding := host.runs.get(run.token)) is not None:
                    if holding.digest != order.digest:
                        self._abandon(run.token, name)
                        return Lost(run.job_id, "its files or words have changed meanwhile", untouched=True)
                    handed.taken = True
                    self._say_hold(name)
                else:
                    await self._order(handed, partial(self.bus.request, f"run.{name}", order, protocol.Taken))
                return await outcome
        finally:
            self.runs.leave(handed)
            self.changed()

    async def _order(self, handed: RunInFlight, say: Callable[..., Awaitable[protocol.Taken]]) -> None:
        """Say it until the host has taken it, or is given up: twice the same is one run there."""
        while not handed.outcome.done():
            try:
                answer = await say(patience=ORDER_PATIENCE)
            except BusAway:
                await asyncio.wait({handed.outcome}, timeout=ORDER_PAUSE)
                continue
            except WireError as error:
                log.error("job %s can't be handed out: %s", handed.run.job_id, error)
                return handed.end(Broke(handed.run.job_id, Fault.USER, TOO_LARGE))
            if not answer.ok:
                self._resting[handed.host] = monotonic() + REST  # what it said last of itself isn't so
                asyncio.get_running_loop().call_later(REST, lambda: self.changed())
                return handed.end(Lost(handed.run.job_id, answer.reason, untouched=True))
            handed.taken = True
            return None
        return None

    def cancel(self, job_id: str) -> None:
        """Ask the job's host to stop it; that is said again until it has."""
        handed = self.runs.of_job(job_id)
        if handed is None or handed.outcome.done():
            return
        handed.stopping = True
        self._say(f"stop.{handed.host}", protocol.StopRun(handed.token))

    def settle(self, job_id: str) -> None:
        for handed in self.runs.settle(job_id):
            self._say_hold(handed.host)
            self._do(self._receiver.drop(handed.token))

    def forget(self, names: Sequence[str]) -> None:
        self._say("forget", protocol.ForgetAll(tuple(names)))

    # Questions

    async def ask(self, question: Question) -> Answered | Declined:
        """Ask the host that is ready and has the least to do; vectors are compared here."""
        if isinstance(question, SideQuestion):
            return await self._comparer.ask(question)
        ready = [host for host in self.hosts if any(one.state == "ready" for one in host.devices({}))]
        if not ready or not self.bus.is_up:
            return Declined(question.question_id, "no machine is ready")
        host = min(ready, key=lambda host: len(host.runs))
        try:
            names = await protocol.hash_files(protocol.paths_of(question))
            ask = protocol.ask_of(question.question_id, question, names, self._clip)
            paths = {sha256: Path(path) for path, sha256 in names.items()}
            with self._lender.lent(question.question_id, host.name, paths):
                reply = await self.bus.request(f"ask.{host.name}", ask, protocol.Reply, patience=ASK_PATIENCE)
        except (BusError, OSError) as error:
            return Declined(question.question_id, str(error))
        return protocol.answer_of(question, reply)

    # What hosts say

    def hear_beat(self, beat: protocol.Beat, subject: str) -> None:
        """Take in what a machine says of itself. subject: names it."""
        name = subject.partition(".")[2]
        before = self.registry.devices_of(name)
        process = self.hosts.hear(name, beat, monotonic())
        if process == "new":
            self.lose(name, ANEW, taken_only=True)
            for handed in self.runs.going_on(name):  # whose orders name the process that has gone
                handed.end(Lost(handed.run.job_id, f"{name}: {ANEW}", untouched=True))
        host = self.hosts.get(name)
        assert host is not None and host.beat is not None
        if process == "beside":
            if self.registry.devices_of(name) != before:
                self.changed()
            return
        for token in [token for token in host.runs if token in self._abandoned]:
            self._say(f"stop.{name}", protocol.StopRun(token))
        ours = {one.token: one for one in self.runs.of_host(name) if one.taken and not one.ended}
        for token in self.hosts.missing(host, ours):
            ours[token].end(Lost(ours[token].run.job_id, f"{name} has no such job", untouched=True))
        self._heard.set()
        if self.registry.devices_of(name) != before:  # most signs of life say nothing new
            self.changed()

    def _unread_beat(self, error: WireError, subject: str) -> None:
        name = subject.partition(".")[2]
        told = "says what can't be read"
        if isinstance(error, OtherVersion):
            told = f"speaks version {error.version} of messages, and this bot another"
        if len(name) >= 64:
            return
        if self.hosts.hear_other(name, told, monotonic()):
            log.error("%s gets no jobs: it %s (%s)", name, told, error)
        self.lose(name, told)
        self.changed()

    def _hear_news(self, news: protocol.News, subject: str) -> None:
        handed = self.runs.get(news.token)
        if handed is None or handed.ended or handed.run.job_id != subject.partition(".")[2]:
            return
        message = news.step or news.loading
        if message is not None and message.job_id == handed.run.job_id and not handed.outcome.done():
            handed.report(message)

    async def _hear_final(self, final: protocol.Final, subject: str) -> protocol.Heard | None:
        handed = self.runs.get(final.token)
        if handed is None:
            if not self._complete:
                return None  # it may be one that is about to be taken up
            self._abandoned.pop(final.token, None)
            return protocol.Heard("gone")
        if handed.host != subject.partition(".")[2] or handed.run.job_id != final.job_id:
            return protocol.Heard("gone")
        async with handed.lock:
            if not handed.outcome.done():
                handed.end(await outcome_of(final, handed.run, self._receiver))
        return protocol.Heard("kept", self._name)

    # Silence

    def _bus_changed(self) -> None:
        if self.bus.is_up:
            self.hosts.wait_longer(self._timing.back, monotonic())
        self.changed()

    async def _watch_for_ever(self) -> None:
        """Give hosts up that are silent, as long as they could be heard."""
        before = monotonic()
        while True:
            await asyncio.sleep(self._timing.look / 2)
            now = monotonic()
            if now - before > self._timing.look + 1:  # this process was the one that stood still
                self.hosts.wait_longer(self._timing.back, now)
            before = now
            if self.hosts.forget_old(now):
                self.changed()
            if not self.bus.is_up or not self.hosts.silent(now):
                continue
            if not await self.bus.answers(SELF_PATIENCE):  # then it is this bot that isn't heard
                self.hosts.wait_longer(0.0, monotonic())
                continue
            for host in self.hosts.fallen_silent(monotonic()):
                log.warning("%s doesn't respond any more", host.name)
                self.lose(host.name, "it doesn't respond any more")
                self.changed()

    def lose(self, name: str, why: str, *, taken_only: bool = False) -> None:
        """End the runs that a host has, and see that it stops them when it is heard again."""
        lost = [one for one in self.runs.going_on(name) if one.taken or not taken_only]
        for handed in lost:
            self._abandon(handed.token, name)
            handed.end(Lost(handed.run.job_id, f"{name}: {why}", shared=len(lost) > 1))

    def _abandon(self, token: str, name: str) -> None:
        """Have a run stopped when its host is heard, however late."""
        self._abandoned[token] = name, monotonic()

    async def _hold_for_ever(self) -> None:
        while True:
            now, kept = monotonic(), 2 * self._timing.lease  # after that nobody goes on with an abandoned one
            self._abandoned = {
                token: (host, at) for token, (host, at) in self._abandoned.items() if now - at < kept
            }
            for host in list(self.hosts):
                await self._publish(f"hold.{host.name}", self._hold_of(host.name))
                await asyncio.sleep(0)  # a thousand hosts, and nobody else is to wait for them
            await asyncio.sleep(self._timing.hold)

    def _say_hold(self, name: str) -> None:
        self._say(f"hold.{name}", self._hold_of(name))

    def _hold_of(self, name: str) -> protocol.Hold:
        ours = self.runs.of_host(name)
        stopping = [handed.token for handed in ours if handed.stopping and not handed.outcome.done()]
        abandoned = [token for token, (host, _) in self._abandoned.items() if host == name]
        tokens = tuple(handed.token for handed in ours if handed.token not in self._abandoned)
        return protocol.Hold(self._name, tokens, (*stopping, *abandoned))

    def _say(self, subject: str, message: protocol.StopRun | protocol.Hold | protocol.ForgetAll) -> None:
        self._do(self._publish(subject, message))

    async def _publish(
        self, subject: str, message: protocol.StopRun | protocol.Hold | protocol.ForgetAll
    ) -> None:
        try:
            await self.bus.publish(subject, message)
        except WireError as error:
            log.error("%s: %s", subject, error)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="bus")
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)


LOAD_SUBJECT = "queue.load"


class AskLoad(Message, frozen=True):
    """Asks for a Load."""


class Machine(Message, frozen=True):
    """A machine with an agent. ready: a device of it takes jobs. running: jobs."""

    name: str
    ready: bool
    running: int


class Load(Message, frozen=True):
    """The queue now. waiting: jobs that no device has yet. paused: none is started."""

    waiting: int
    paused: bool
    machines: tuple[Machine, ...]


async def answer_load(bus: Bus, queue: Queue) -> None:
    """Answer whoever asks, until this is cancelled."""

    async def answer(asked: AskLoad, subject: str) -> Load:
        return load_of(queue)

    end = await bus.serve(LOAD_SUBJECT, AskLoad, answer, most=protocol.SMALL)
    try:
        await asyncio.Event().wait()
    finally:
        await end()


def load_of(queue: Queue) -> Load:
    """Return how the queue stands, and the machines that the bus tells of."""
    ready, running = dict[str, bool](), dict[str, int]()
    for device in queue.executor.devices:
        name, elsewhere, _ = device.name.partition(SEPARATOR)
        if elsewhere:
            ready[name] = ready.get(name, False) or device.state == "ready"
            running[name] = running.get(name, 0) + device.running
    machines = tuple(Machine(name, ready[name], running[name]) for name in ready)
    return Load(queue.health().waiting, queue.dispatcher.waitlist.paused, machines)
