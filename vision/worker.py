"""The process that holds a device: takes runs from its pipe between two steps, reports every step, and says
honestly why a run broke.

``main`` is the target of a process started with "spawn". Nothing heavy is imported before
``startup.prepare_environment`` has set what torch and the Hugging Face libraries read at import.
"""

from __future__ import annotations

import gc
import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import requests
from core.errors import JobCancelled, ModelError, OutOfMemory, UserError
from core.events import Output
from core.prompt.parameters import parameters
from core.prompt.values import Words
from core.redact import Redactor
from core.requests.base import Answer
from core.tracing import UNTRACED, Tracing, open_tracing
from vision import startup
from vision.pipe import Inbox, PipeReporter, sender
from vision.protocol import Broke, Done, Fault, Ready, Run, Stopped, WorkerConfig
from vision.reporter import Reporter
from vision.search import guests
from vision.search.finder import Finder

if TYPE_CHECKING:
    from vision.drawing.checkpoint import Checkpoint, Pace
    from vision.engine import Engine, Fiber
    from vision.model_store import Models

log = logging.getLogger(__name__)

# jobs in one worker's hands: more would wait here, where no newcomer of a higher lane can go before them
SLOTS = 8
BY_PATH = (Answer.FILMS, Answer.MODEL, Answer.VERDICTS, Answer.FILES)
TOO_LARGE = "This needs more memory than the device has. Try a smaller size."


def main(conn: Connection, config: WorkerConfig, pace: Pace | None = None) -> None:
    """Serve ``conn`` until Quit comes or its other end is gone. pace: of checkpoints, None = the usual
    one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # what is imported stays; looking through it for garbage is a fifth of the time of the imports
    gc.disable()
    startup.prepare_environment(config)
    redact = startup.set_up_logs(config)
    wake = threading.Event()
    send = sender(conn)
    inbox = Inbox(conn, wake, Finder(send).begin)
    try:
        models, ready = startup.start(config, SLOTS)
    except Exception:
        log.exception("the worker for %s can't start", config.device)
        raise
    from vision.drawing import checkpoint

    checkpoints = Path(config.cache_dir) / "checkpoints"
    checkpoint.sweep(checkpoints)
    tracing = open_tracing(config.traces, config.traces_headers)
    engine = _engine(config, wake)
    loop = WorkerLoop(inbox, send, models, engine, checkpoints, pace, redact, ready, tracing)
    send(ready)
    loop.serve()
    tracing.close()


def _engine(config: WorkerConfig, wake: threading.Event) -> Engine:
    from vision import devices
    from vision.engine import Engine
    from vision.engine.durations import DurationModel

    durations = DurationModel(Path(config.cache_dir) / "curves" / f"{config.device.replace(':', '-')}.json")
    return Engine(
        exact=config.exact,
        wake=wake,
        durations=durations,
        has_spare_core=lambda: devices.has_spare_core(config.device),
    )


@dataclass
class WorkerLoop:
    """Takes runs from the inbox, lets the engine work on all of them, and sends one answer for each.

    checkpoints: the folder where jobs keep their state. ready: what the worker sent last about itself.
    """

    inbox: Inbox
    send: Callable[[Any], None]
    models: Models
    engine: Engine
    checkpoints: Path
    pace: Pace | None
    redact: Redactor
    ready: Ready
    tracing: Tracing = UNTRACED

    def serve(self) -> None:
        """Serve until Quit comes or the parent is gone; jobs that are unfinished then keep their
        checkpoints."""
        while not self.inbox.closing:
            self.engine.wake.clear()
            if forgotten := self.inbox.take_forgotten():
                self.models.forget(forgotten)
            for run in self.inbox.take():
                self._begin(run)
            for question in self.inbox.take_questions():
                guests.begin(question, self.models, self.engine, self.inbox, self.send, self.redact)
            if not self.engine.tick() and not self.engine.measure():
                self.engine.rest()
        self.engine.stop()

    def _begin(self, run: Run) -> None:
        from vision.drawing.checkpoint import Checkpoint

        checkpoint = Checkpoint(self.checkpoints, run.job_id, self.pace)
        self.redact.add(words := _words(run))

        def work(fiber: Fiber) -> Done | Stopped | Broke:
            reporter = PipeReporter(run.job_id, self.send, self.inbox, checkpoint, fiber)
            with self.tracing.part(run.traceparent, "work", kind=run.kind, device=self.ready.device):
                return _answer(run, self.models, reporter)

        self.engine.begin(
            run.job_id,
            work,
            check=partial(self.inbox.check, run.job_id),
            done=partial(self._end, run, checkpoint, words),
        )

    def _end(
        self,
        run: Run,
        checkpoint: Checkpoint,
        words: set[str],
        answer: Done | Stopped | Broke | None,
        error: BaseException | None,
    ) -> None:
        self.redact.drop(words)
        if self.inbox.closing:  # the job is somebody else's now, with its checkpoint
            return
        if error is not None:
            raise error
        self.send(answer)
        self._send_slots()
        self.inbox.forget(run.job_id)
        fault = answer.fault if isinstance(answer, Broke) else None
        if fault is Fault.MEMORY:
            self.models.release()
        if fault is not Fault.PROCESS:  # else another process tries it again
            checkpoint.remove()

    def _send_slots(self) -> None:
        """Take one job at a time while a model is loaded whose jobs are whole calls: others had better wait
        in the queue, where lanes and turns count."""
        slots = SLOTS if self.models.share_steps else 1
        if slots != self.ready.slots:
            self.ready = replace(self.ready, slots=slots)
            self.send(self.ready)


def _words(run: Run) -> set[str]:
    """Return the texts that a member wrote in a run's request; names of models, samplers and the like aren't
    among them."""
    known = next(
        (parameters(cls) for cls in requests.REQUESTS if cls.kind == run.kind), {}
    )  # else all of them
    found: set[str] = set()
    rest: list[Any] = [
        value
        for name, value in json.loads(run.request).items()
        if name not in known or known[name].moderated or isinstance(known[name].value, Words)
    ]
    while rest:
        value = rest.pop()
        rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        found |= {value} if isinstance(value, str) else set()
    return found


def _answer(run: Run, models: Models, reporter: Reporter) -> Done | Stopped | Broke:
    """Do the run and turn whatever happens into one message."""
    start = time.monotonic()
    try:
        output = _do(run, models, reporter)
        log.info("job %s (%s) done in %.2f s", run.job_id, run.kind, time.monotonic() - start)
        return Done(run.job_id, output)
    except JobCancelled:
        log.info("job %s stopped", run.job_id)
        return Stopped(run.job_id)
    except Exception as error:
        answer = Broke(run.job_id, *_blame(error))
        log.log(
            logging.INFO if answer.fault is Fault.USER else logging.ERROR,
            "job %s: %s",
            run.job_id,
            answer.fault,
            exc_info=answer.fault is not Fault.USER,
        )
    return answer


def _do(run: Run, models: Models, reporter: Reporter) -> Output:
    from vision.capabilities import capability
    from vision.pictures import encode

    request = requests.from_json(run.kind, run.request)
    reporter.check()
    if isinstance(request, requests.GenerateRequest) and request.files:
        models.loader.note_stored({sha256: Path(run.paths[sha256]) for sha256 in request.files})
    if request.answer in BY_PATH:  # which opens files itself, and writes some where it is told to
        return capability(run.kind)(request, run.paths, models, reporter, Path(run.folder))
    if request.told:  # which opens only the pictures that its models have to look at
        return capability(run.kind)(request, run.paths, models, reporter, run.talk)
    images = (
        reporter.in_thread(lambda: {sha: encode.open_picture(run.paths[sha]) for sha in request.pictures})
        if request.pictures
        else {}
    )
    return capability(run.kind)(request, images, models, reporter)


def _blame(error: Exception) -> tuple[Fault, str]:
    """Return what broke the run, and a sentence for the person who asked."""
    from vision import devices
    from vision.image_model.decode import BlankPicture

    if isinstance(error, UserError):
        return Fault.USER, str(error)
    if isinstance(error, ModelError):
        return Fault.MODEL, str(error)
    if isinstance(error, OutOfMemory) or devices.is_out_of_memory(error):
        return Fault.MEMORY, str(error) if isinstance(error, OutOfMemory) else TOO_LARGE
    if devices.is_sticky(error):
        return Fault.PROCESS, "The graphics card reported an error; the worker is started again."
    if isinstance(error, BlankPicture):
        return Fault.ERROR, str(error)
    return Fault.ERROR, "Something unexpected went wrong while drawing; the log has the details."
