"""The local executor: one worker process for each device of this machine, started, fed, watched, killed; and
a process that compares vectors for a bot that has none: their file is here, and a remote worker would have to
be sent all of it for each search. Knows no queue, no torch.

A worker is lost when its process ends, its pipe closes, or it shows no sign of life for longer than a step
may take; then it is killed and started again, after a pause that grows while it keeps dying.

Messages are sent from a thread, because a question may be larger than a pipe holds, and the event loop must
not wait for the other end."""

import asyncio
import importlib
import logging
import multiprocessing
import os
import queue
import signal
import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from core.process import step_back
from jobs.admission import is_video
from jobs.executors.base import Device, Executor, Lost, Outcome, Report
from vision import protocol

log = logging.getLogger(__name__)


def answer_side(question: protocol.SideQuestion) -> Any:
    """Return what vectors tell. For the process that compares them: this one loads no numpy."""
    from vision.worker import nearest

    return nearest.answer_side(question)


def begin_worker(target: str, connection: Connection, config: protocol.WorkerConfig) -> None:
    """First function in the new process. Signals are the parent's business; its death is ours."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    end_with_parent()
    if config.device == "cpu":
        step_back()
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(connection, config)


def end_with_parent() -> None:
    """End this process when the one that started it has gone."""

    def die_with_parent() -> None:
        # a worker in the middle of a long kernel doesn't look at its pipe, and may hold the card no longer
        if (parent := multiprocessing.parent_process()) is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=die_with_parent, daemon=True).start()


PATIENCE = 10.0  # seconds for a process that can't be ended and reads nothing


class Outbox:
    """Sends messages through ``connection`` until it is closed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send_all, name="outbox", daemon=True)
        self._thread.start()

    def put(self, message: object) -> None:
        """Send ``message`` behind those before it; when the other end is gone, nobody gets it."""
        self._messages.put(message)

    def close(self) -> None:
        """Wait until nothing is being sent any more, which ends at once when the other end is gone."""
        self._messages.put(None)
        self._thread.join(PATIENCE)

    def _send_all(self) -> None:
        while (message := self._messages.get()) is not None:
            with suppress(OSError, ValueError):  # the reader of this pipe says that it is broken
                self._connection.send(message)


COSTS_KEPT = 500  # whose slowest step is known


@dataclass(frozen=True)
class Timeouts:
    """Seconds without a sign of life before a worker is killed. A step: max(step, factor × the median step);
    for a video also ``slowest`` × the slowest step of such videos, since a piece of it that is decoded may
    take many times what a step of drawing does.

    A sign from any of its jobs will do: a worker that has several may let one of them wait.
    """

    step: float = 30.0
    factor: float = 10.0
    slowest: float = 3.0
    video: float = 300.0  # a step of a video of a model and size of which none was finished yet
    loading: float = 600.0  # after a report of loading, and until the first sign after a job was handed over
    forgotten: float = 3600.0  # without a sign from one job while the others go on
    ready: float = 300.0  # imports, on a slow disk
    quit: float = protocol.LAST_STEP + 1.0  # a worker ends itself by then, its last step saved
    check: float = 1.0  # between two looks at the clock


@dataclass
class WorkerRun:
    """One run in a worker's hands, and its clock. Times are monotonic seconds. slowest: of its steps."""

    report: Report
    outcome: asyncio.Future[Outcome]
    since: float
    last_sign: float
    cost_key: str = ""
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=50))  # seconds each
    slowest: float = 0.0

    def sign(self, now: float, *, step: bool) -> None:
        """Note a sign of life, which says that a step is done or that something loads."""
        if step:
            self.steps.append(now - self.last_sign)
            self.slowest = max(self.slowest, self.steps[-1])
        self.last_sign = now


class SlowestSteps:
    """The slowest step of videos that were finished, by cost key."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, running: WorkerRun) -> None:
        """Note a run that was finished, so that every kind of its steps was seen."""
        if is_video(running.cost_key):
            before = self._seconds.pop(running.cost_key, 0.0)
            self._seconds[running.cost_key] = max(before, running.slowest)
            while len(self._seconds) > COSTS_KEPT:
                del self._seconds[next(iter(self._seconds))]

    def allowed(self, running: WorkerRun, timeouts: Timeouts) -> float:
        """Seconds that a step of this run may take; 0 = nothing is known that other jobs don't have."""
        if not is_video(running.cost_key):
            return 0.0
        known = self._seconds.get(running.cost_key)
        return timeouts.video if known is None else timeouts.slowest * known


@dataclass
class Pulse:
    """The latest sign of life of a worker, of whichever run. ``at``: monotonic seconds."""

    at: float = 0.0
    loads: bool = False

    def allowed(self, runs: Iterable[WorkerRun], timeouts: Timeouts, slowest: SlowestSteps) -> float:
        """Seconds of silence that are normal. The low median: one slow first step must not stretch it."""
        runs = tuple(runs)
        medians = [statistics.median_low(running.steps) for running in runs if running.steps]
        if self.loads or not medians or any(running.since >= self.at for running in runs):
            return timeouts.loading
        videos = max(slowest.allowed(running, timeouts) for running in runs)
        return max(timeouts.step, timeouts.factor * max(medians), videos)


class Questions:
    """Sends questions and hands their answers to whoever waits."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[protocol.Answered | protocol.Declined]] = {}

    async def ask(
        self, question: protocol.Question, send: Callable[[protocol.Question], None]
    ) -> protocol.Answered | protocol.Declined:
        """Send ``question`` and return its answer. What comes after the caller has gone is dropped."""
        answer = self._waiting[question.question_id] = asyncio.get_running_loop().create_future()
        try:
            send(question)
            return await answer
        finally:
            del self._waiting[question.question_id]

    def hear(self, message: protocol.Answered | protocol.Declined) -> None:
        """Hand an answer over."""
        answer = self._waiting.get(message.question_id)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def lose_all(self, reason: str) -> None:
        """Decline what isn't answered: the process has gone."""
        for question_id in list(self._waiting):
            self.hear(protocol.Declined(question_id, reason))


# whole and clean: a fork would share the bot's files and locks
PROCESSES = multiprocessing.get_context("spawn")
RESTART_PAUSES = (0.0, 1.0, 2.0, 5.0)  # after 1, 2, … deaths in a row
START_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # … before it was ever ready
DOWN_AFTER = 3  # deaths in a row before it was ready
MEMORY_FAULTS = 2  # in a row, then a fresh process: a fragmented card stays fragmented


class Worker:
    """One device's process, through all its lives."""

    def __init__(self, name: str, config: protocol.WorkerConfig, target: str, timeouts: Timeouts) -> None:
        self.name, self.config, self.target, self.timeouts = name, config, target, timeouts
        self.pid: int | None = None
        self._process: Any = None
        self._connection: Connection | None = None
        self._outbox: Outbox | None = None
        self._ready: protocol.Ready | None = None
        self.runs: dict[str, WorkerRun] = {}
        self._questions = Questions()
        self._pulse = Pulse()
        self._slowest = SlowestSteps()
        self._innocent: set[str] = set()  # jobs that are lost with a worker which another one broke
        self._ended: asyncio.Future[str] | None = None
        self._why: str | None = None  # it was killed
        self._problem: str | None = None
        self._deaths = 0  # in a row: an answer resets it
        self._stillborn = 0  # deaths in a row before it was ready
        self._memory_faults = 0
        self._restarts = 0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._changed: Callable[[], None] = lambda: None

    @property
    def view(self) -> Device:
        """What others see of this device and its worker."""
        state = "ready" if self._ready else "down" if self._stillborn >= DOWN_AFTER else "starting"
        ready = self._ready or protocol.Ready(self.config.device, 0, "", 0)
        card, running = (ready.name, ready.memory, ready.slots), len(self.runs)
        return Device(self.name, state, *card, running, self._restarts, self._problem)

    @property
    def free_slots(self) -> int:
        """How many more jobs it takes now."""
        return max(0, self._ready.slots - len(self.runs)) if self._ready and not self._stopping else 0

    @property
    def is_ready(self) -> bool:
        """Whether it takes questions."""
        return self._ready is not None and not self._stopping

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to keep a process alive. ``changed`` is called when slots or state change."""
        self._changed, self._stopping = changed, False
        self._task = asyncio.create_task(self._supervise(), name=f"worker {self.name}")

    async def stop(self) -> None:
        """Ask the process to end, and kill it when it takes too long."""
        self._stopping = True
        self._send(protocol.Quit())
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=self.timeouts.quit)
            if not done:
                self.kill("the studio stops")
                if self.pid is None or self._ended is None or self._ended.done():
                    self._task.cancel()  # between two lives: nothing to kill
            await asyncio.gather(self._task, return_exceptions=True)

    async def run(self, run: protocol.Run, report: Report) -> Outcome:
        """Hand a run over and return how it ended; ``report`` hears of its progress."""
        if not self.free_slots:
            return Lost(run.job_id, "the worker had gone before the job reached it", untouched=True)
        now = time.monotonic()
        running = WorkerRun(report, asyncio.get_running_loop().create_future(), now, now, run.cost_key)
        if not self.runs:
            self._pulse = Pulse(now)
        self.runs[run.job_id] = running
        self._send(run)  # if the pipe is broken, its reader says so
        # whoever stops waiting: the slot is taken until the worker answers
        return await asyncio.shield(running.outcome)

    async def ask(self, question: protocol.Question) -> protocol.Answered | protocol.Declined:
        """Put a question to the process and return what it says; Declined when it is lost."""
        return await self._questions.ask(question, self._send)

    def cancel(self, job_id: str) -> None:
        """Ask the process to stop a job, if it has it."""
        if job_id in self.runs:
            self._send(protocol.Stop(job_id))

    def forget(self, names: Sequence[str]) -> None:
        """Ask the process to give up what it keeps of jobs and pictures; a new one has nothing."""
        self._send(protocol.Forget(tuple(names)))

    def kill(self, why: str) -> None:
        """End the process at once; ``why`` stands in the log."""
        if self.pid is not None and self._ended is not None and not self._ended.done():
            self._why = self._why or why
            self._process.kill()

    def _send(
        self, message: protocol.Run | protocol.Stop | protocol.Forget | protocol.Question | protocol.Quit
    ) -> None:
        if self._outbox is not None:
            self._outbox.put(message)

    async def _supervise(self) -> None:
        while not self._stopping:
            lived = False
            try:
                lived = await self._live()
            except Exception as error:  # out of memory, file handles, threads: whatever it was, try again
                self._problem = f"can't be started: {error}"
                log.error("worker %s can't be started", self.name, exc_info=True)
            self._restarts += 1
            self._deaths += 1
            self._stillborn = 0 if lived else self._stillborn + 1
            self._changed()
            if not self._stopping:
                pauses, deaths = (RESTART_PAUSES, self._deaths) if lived else (START_PAUSES, self._stillborn)
                await asyncio.sleep(pauses[min(deaths, len(pauses)) - 1])

    async def _live(self) -> bool:
        """One life of the process; whether it ever became ready."""
        loop = asyncio.get_running_loop()
        self._connection, theirs = PROCESSES.Pipe(duplex=True)
        arguments = (self.target, theirs, self.config)
        self._process = PROCESSES.Process(
            target=begin_worker, args=arguments, name=f"atelier-worker-{self.name}", daemon=True
        )
        self._why, self._memory_faults, self._ended = None, 0, loop.create_future()
        outbox = self._outbox = Outbox(self._connection)
        lived = False
        try:
            await asyncio.to_thread(self._process.start)
            theirs.close()
            self.pid = self._process.pid
            reader = threading.Thread(
                target=self._read, args=(loop, self._connection, self._process.sentinel), daemon=True
            )
            reader.start()
            log.info("worker %s started, pid %s", self.name, self.pid)
            reason = await self._watch_over(self._ended)
            lived = self._ready is not None
            await asyncio.to_thread(self._process.join, 1)
            if self._process.exitcode is None:  # the pipe closed, the process did not end
                self._process.kill()
                await asyncio.to_thread(self._process.join, 10)
            await asyncio.to_thread(reader.join, 10)
            reason = f"{self._why or reason}, {_exit_words(self._process.exitcode)}"
            if self._stopping and self._why is None:
                log.info("worker %s has ended, as it was asked to", self.name)
            else:
                log.log(
                    logging.INFO if self._stopping else logging.WARNING,
                    "worker %s ended: %s",
                    self.name,
                    reason,
                )
            self._problem = None if self._stopping else reason
            self._lose_all(reason)
        finally:
            self._lose_all("the worker ended")
            self._ready, self.pid, self._outbox = None, None, None
            connection, self._connection = self._connection, None
            theirs.close()
            await asyncio.to_thread(outbox.close)
            connection.close()
            with suppress(ValueError):  # not started, or still not gone
                self._process.close()
            self._process = None
        return lived

    async def _watch_over(self, ended: asyncio.Future[str]) -> str:
        """Until the process ends: look at the clock of everything it does."""
        began = before = time.monotonic()
        while not ended.done():
            await asyncio.wait({ended}, timeout=self.timeouts.check)
            now = time.monotonic()
            overslept, before = now - before - self.timeouts.check, now
            if overslept > self.timeouts.check + 1:  # this process was the one that stood still
                began += overslept
                self._pulse.at += overslept
                for running in self.runs.values():
                    running.since += overslept
                    running.last_sign += overslept
            if self._ready is None and now - began > self.timeouts.ready:
                self.kill(f"not ready after {now - began:.0f} s")
            self._kill_if_silent(now)
        return ended.result()

    def _kill_if_silent(self, now: float) -> None:
        silence = now - self._pulse.at
        if self.runs and silence > self._pulse.allowed(self.runs.values(), self.timeouts, self._slowest):
            log.error(
                "jobs %s: no step for %.0f s, worker %s is killed", ", ".join(self.runs), silence, self.name
            )
            self.kill(f"no step for {silence:.0f} s")
        for job_id, running in self.runs.items():
            if now - running.last_sign > self.timeouts.forgotten:
                log.error(
                    "job %s: forgotten for %.0f s, worker %s is killed",
                    job_id,
                    now - running.last_sign,
                    self.name,
                )
                self._innocent |= self.runs.keys() - {job_id}
                self.kill(f"one job had no step for {now - running.last_sign:.0f} s")

    def _read(self, loop: asyncio.AbstractEventLoop, connection: Connection, sentinel: int) -> None:
        """In a thread of its own, until the process has ended and everything it said is heard."""
        reason = "its pipe closed"
        try:
            while True:
                if connection in wait([connection, sentinel]) or connection.poll(0):
                    loop.call_soon_threadsafe(self._hear, connection, connection.recv())
                else:
                    reason = "it died"
                    break
        except (EOFError, OSError):
            pass
        except Exception as error:  # what can't be unpickled was cut off or is foreign
            log.exception("worker %s said something that can't be read", self.name)
            reason = f"unreadable message ({type(error).__name__})"
        with suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(self._hear_end, connection, reason)

    def _hear_end(self, connection: Connection, reason: str) -> None:
        if connection is self._connection and self._ended is not None and not self._ended.done():
            self._ended.set_result(reason)

    def _hear(self, connection: Connection, message: Any) -> None:
        if connection is not self._connection:
            return
        if isinstance(message, protocol.Ready):
            self._ready, self._problem = message, None
            log.info("worker %s is ready: %s", self.name, message.name)
            self._changed()
            return
        if isinstance(message, (protocol.Answered, protocol.Declined)):
            self._questions.hear(message)
            return
        running = self.runs.get(message.job_id)
        if running is None:
            log.warning("job %s: worker %s spoke of it too late", message.job_id, self.name)
        elif isinstance(message, (protocol.LoadingModel, protocol.Step)):
            now = time.monotonic()
            running.sign(now, step=isinstance(message, protocol.Step))
            self._pulse = Pulse(now, loads=isinstance(message, protocol.LoadingModel))
            running.report(message)
        else:
            self._answer(running, message)

    def _answer(self, running: WorkerRun, message: protocol.Done | protocol.Stopped | protocol.Broke) -> None:
        del self.runs[message.job_id]
        self._deaths = 0
        self._pulse = Pulse(time.monotonic())
        if not running.outcome.done():
            running.outcome.set_result(message)
        if isinstance(message, protocol.Done):
            self._slowest.note(running)
        fault = message.fault if isinstance(message, protocol.Broke) else None
        self._memory_faults = self._memory_faults + 1 if fault is protocol.Fault.MEMORY else 0
        if fault is protocol.Fault.PROCESS:
            self._take_no_more()
            self._innocent |= self.runs.keys()
            self.kill("the process is poisoned")
        elif self._memory_faults >= MEMORY_FAULTS:
            self._take_no_more()
        if not self.runs and self._ready is not None and not self._ready.slots:
            self.kill(f"{MEMORY_FAULTS} jobs in a row ran out of memory")
        self._changed()

    def _take_no_more(self) -> None:
        if self._ready is not None:
            self._ready = replace(self._ready, slots=0)

    def _lose_all(self, reason: str) -> None:
        shared = len(self.runs) > 1
        for job_id, running in self.runs.items():
            untouched = job_id in self._innocent
            if not running.outcome.done():
                running.outcome.set_result(
                    Lost(job_id, reason, untouched=untouched, shared=shared and not self._innocent)
                )
        self.runs.clear()
        self._innocent.clear()
        self._questions.lose_all(reason)


def _exit_words(code: int | None) -> str:
    if code is None:
        return "the process would not end"
    if code < 0:
        with suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


WORKER = "vision.worker.main:main"


class LocalExecutor(Executor):
    """A worker for each of ``configs`` on this machine. target: "module:function" that its process runs."""

    def __init__(
        self,
        configs: Sequence[protocol.WorkerConfig],
        *,
        target: str = WORKER,
        timeouts: Timeouts | None = None,
    ) -> None:
        timeouts = timeouts or Timeouts()
        names: Counter[str] = Counter()
        self.workers: dict[str, Worker] = {}
        for config in configs:
            names[config.device] += 1
            count = names[config.device]
            name = config.device if count == 1 else f"{config.device}#{count}"
            self.workers[name] = Worker(name, config, target, timeouts)

    @property
    def devices(self) -> Sequence[Device]:
        return tuple(worker.view for worker in self.workers.values())

    async def start(self, changed: Callable[[], None]) -> None:
        for worker in self.workers.values():
            worker.start(changed)

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.workers.values()))

    def free(self) -> Mapping[str, int]:
        return {name: worker.free_slots for name, worker in self.workers.items() if worker.free_slots}

    def has(self, job_id: str) -> bool:
        return any(job_id in worker.runs for worker in self.workers.values())

    async def run(self, device: str, run: protocol.Run, report: Report) -> Outcome:
        return await self.workers[device].run(run, report)

    async def ask(self, question: protocol.Question) -> protocol.Answered | protocol.Declined:
        """Ask the worker that is ready and has the least to do."""
        ready = [worker for worker in self.workers.values() if worker.is_ready]
        if not ready:
            return protocol.Declined(question.question_id, "no worker is ready")
        return await min(ready, key=lambda worker: len(worker.runs)).ask(question)

    def cancel(self, job_id: str) -> None:
        for worker in self.workers.values():
            worker.cancel(job_id)

    def forget(self, names: Sequence[str]) -> None:
        for worker in self.workers.values():
            worker.forget(names)

    def pids(self) -> dict[str, int | None]:
        """Device → process id of its worker, None while there is none."""
        return {name: worker.pid for name, worker in self.workers.items()}


class VectorComparer:
    """Answers one question after the other, in a process that is started for the first."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def ask(self, question: protocol.SideQuestion) -> protocol.Answered | protocol.Declined:
        """Return what the vectors tell."""
        pool = self._pool = self._pool or ProcessPoolExecutor(1, PROCESSES, initializer=end_with_parent)
        try:
            found = await asyncio.get_running_loop().run_in_executor(pool, answer_side, question)
        except BrokenProcessPool:
            self._pool = None
            return protocol.Declined(question.question_id, "the process that compares vectors has ended")
        except Exception as error:
            log.exception("vectors can't be compared")
            return protocol.Declined(question.question_id, type(error).__name__)
        return protocol.Answered(question.question_id, found)

    async def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
