"""The process that holds a device: takes runs from its pipe between two steps, reports every step, and says
honestly why a run broke.

``main`` is the target of a process started with "spawn". Nothing heavy is imported before
``prepare_environment`` has set what torch and the Hugging Face libraries read at import.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import requests
from core.errors import AtelierError, JobCancelled, ModelError, OutOfMemory, UserError
from core.events import Output
from core.redact import RedactingFormatter, Redactor
from vision.protocol import (
    Broke,
    Done,
    Fault,
    LoadingModel,
    Quit,
    Ready,
    Run,
    Step,
    Stop,
    Stopped,
    WorkerConfig,
)
from vision.reporter import Leaving, Reporter
from vision.weights import contents, identify, local, sources

if TYPE_CHECKING:
    from vision.drawing.checkpoint import Checkpoint, Pace
    from vision.engine import Engine, Fiber

log = logging.getLogger(__name__)

PREVIEW_EVERY = 0.5  # seconds
LOADING_EVERY = 0.25  # seconds
# jobs in one worker's hands: more would wait here, where no newcomer of a higher lane can go before them
SLOTS = 8
LAST_STEP = 3.0  # seconds a running step has to end once the worker is to exit


def main(conn: Connection, config: WorkerConfig, pace: Pace | None = None) -> None:
    """Serve ``conn`` until Quit, or until its other end is gone. pace: of checkpoints, if not the usual
    one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # what is imported stays; looking through it for garbage is a fifth of the time of the imports
    gc.disable()
    prepare_environment(config)
    redact = _set_up_logs(config)
    wake = threading.Event()
    inbox, send = Inbox(conn, wake), _sender(conn)
    try:
        models, ready = _start(config)
    except Exception:
        log.exception("the worker for %s can't start", config.device)
        raise
    from vision import devices
    from vision.drawing import checkpoint
    from vision.engine import Engine
    from vision.engine.durations import DurationModel

    kept = Path(config.cache_dir) / "checkpoints"
    checkpoint.sweep(kept)
    durations = DurationModel(Path(config.cache_dir) / "curves" / f"{config.device.replace(':', '-')}.json")
    engine = Engine(
        exact=config.exact,
        wake=wake,
        durations=durations,
        has_spare_core=lambda: devices.is_roomy(config.device),
    )
    desk = Desk(inbox, send, models, engine, kept, pace, redact, ready)
    send(ready)
    desk.serve()


class Desk:
    """Takes runs in, lets the engine work on all of them, and sends one answer for each."""

    def __init__(
        self,
        inbox: Inbox,
        send: Callable[[Any], None],
        models: Any,
        engine: Engine,
        kept: Path,
        pace: Pace | None,
        redact: Redactor,
        ready: Ready,
    ) -> None:
        self.inbox, self.send, self.models, self.engine, self.kept, self.pace = (
            inbox,
            send,
            models,
            engine,
            kept,
            pace,
        )
        self.redact, self.ready = redact, ready

    def serve(self) -> None:
        """Until Quit, or until the other end of the pipe is gone; what is unfinished then keeps its
        checkpoint."""
        while not self.inbox.closing:
            self.engine.wake.clear()
            for run in self.inbox.take():
                self._begin(run)
            if not self.engine.tick() and not self.engine.measure():
                self.engine.rest()
        self.engine.stop()

    def _begin(self, run: Run) -> None:
        from vision.drawing.checkpoint import Checkpoint

        reporter = PipeReporter(
            run.job_id, self.send, self.inbox, Checkpoint(self.kept, run.job_id, self.pace)
        )

        self.redact.add(words := _words(run))

        def work(fiber: Fiber) -> Done | Stopped | Broke:
            reporter.fiber = fiber
            return _answer(run, self.models, reporter)

        self.engine.begin(
            run.job_id,
            work,
            check=reporter.check,
            done=lambda answer, error: self._end(reporter, words, answer, error),
        )

    def _end(
        self,
        reporter: PipeReporter,
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
        self._tell_slots()
        self.inbox.forget(reporter.job_id)
        if isinstance(answer, Broke) and answer.fault is Fault.MEMORY:
            self.models.release()
        if not (
            isinstance(answer, Broke) and answer.fault is Fault.PROCESS
        ):  # another process has another try
            reporter.checkpoint.remove()

    def _tell_slots(self) -> None:
        """Where jobs are whole calls, others had better wait in the queue, where lanes and turns count."""
        slots = SLOTS if self.models.share_steps else 1
        if slots != self.ready.slots:
            self.ready = replace(self.ready, slots=slots)
            self.send(self.ready)


def _set_up_logs(config: WorkerConfig) -> Redactor:
    """Lines on stderr, without the host's token and the words of the jobs in hand, which libraries like to
    repeat in warnings."""
    redact = Redactor([config.hf_token])
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s", redact))
    logging.basicConfig(level=config.log_level.upper(), handlers=[handler])
    return redact


def _words(run: Run) -> set[str]:
    """The texts in a run's request."""
    found: set[str] = set()
    rest = [json.loads(run.request)]
    while rest:
        value = rest.pop()
        rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        found |= {value} if isinstance(value, str) else set()
    return found


def prepare_environment(config: WorkerConfig) -> None:
    """Set what libraries read once, at their import."""
    kind, _, index = config.device.partition(":")
    if kind == "cuda":
        seen = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[int(index or 0)] if seen else index or "0"
    elif kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "passive"
    )  # threads that spin at barriers take the core from who has the work
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault(
        "TORCHINDUCTOR_CACHE_DIR", str(Path(config.cache_dir).resolve() / "inductor")
    )  # what is compiled outlives this process
    if not config.allow_download or everything_here(config):
        os.environ["HF_HUB_OFFLINE"] = "1"


def everything_here(config: WorkerConfig) -> bool:
    """Nothing is left to fetch: everything of the hub is complete, and every model in a single file has its
    configuration beside it."""
    models, others = (
        (*config.models.values(), *config.image_models.values()),
        (*config.loras.values(), *config.tiny_vaes.values()),
    )
    for spec in (*models, *others):
        with contextlib.suppress(ModelError):
            source = sources.parse(spec)
            path = local.find(source, Path(config.cache_dir))
            if source.kind == "hub" and path is None:
                return False
            if source.kind == "file" and spec in models and path and contents.config_folder(path) is None:
                return False
    return True


def _start(config: WorkerConfig) -> tuple[Any, Ready]:
    """Import what every job needs."""
    start = time.monotonic()
    import torch

    from vision import devices
    from vision.model_store import Models

    torch.set_num_threads(config.cpu_threads or 1)
    quiet_libraries()
    models = Models(config)
    _import_pipelines(config)
    gc.freeze()
    gc.enable()
    name, (_, total) = devices.name(models.device), devices.memory(models.device)
    log.info("worker for %s (%s) ready in %.1f s", config.device, name, time.monotonic() - start)
    return models, Ready(config.device, os.getpid(), name, total, SLOTS)


def quiet_libraries() -> None:
    """No bars and no advice from the libraries: loading has its own log lines."""
    import diffusers
    import transformers
    from tqdm import tqdm

    tqdm.set_lock(
        threading.RLock()
    )  # its own is shared between processes, and of one that was killed Python warns when the bot ends
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def _import_pipelines(config: WorkerConfig) -> None:
    """The configured family's classes now, so that the first job doesn't wait seconds for their import."""
    import diffusers

    with contextlib.suppress(AtelierError, OSError, AttributeError, KeyError):
        path = local.find(sources.parse(config.models["image"]), Path(config.cache_dir))
        family = identify.family_of_folder(path) if path and path.is_dir() else None
        for name in {family.text, family.image, family.inpaint} - {None} if family else ():
            getattr(diffusers, name)


class Inbox:
    """Reads the pipe in a thread of its own, so that a Stop is seen while a job runs.

    On Quit, or when the other end is gone, a running job ends at its next step and the process exits by
    itself; LAST_STEP later it is ended.
    """

    def __init__(self, conn: Connection, wake: threading.Event) -> None:
        self._conn, self._wake, self._runs = conn, wake, deque[Run]()
        self._stopped: set[str] = set()
        self.closing = False
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # the parent is gone
            while not isinstance(message := self._conn.recv(), Quit):
                if isinstance(message, Run):
                    self._runs.append(message)
                elif isinstance(message, Stop):
                    self._stopped.add(message.job_id)
                self._wake.set()
        self.closing = True
        self._wake.set()
        time.sleep(LAST_STEP)
        os._exit(0)

    def take(self) -> list[Run]:
        """The runs that have come since the last call."""
        return [self._runs.popleft() for _ in range(len(self._runs))]

    def stopped(self, job_id: str) -> bool:
        """Whether this job is to end: somebody stopped it, or the worker is to exit."""
        return self.closing or job_id in self._stopped

    def forget(self, job_id: str) -> None:
        """The job is answered; a Stop for it means nothing any more."""
        self._stopped.discard(job_id)


def _sender(conn: Connection) -> Callable[[Any], None]:
    lock = threading.Lock()  # a model that loads in a thread of its own reports, too

    def send(message: Any) -> None:
        try:
            with lock:
                conn.send(message)
        except OSError:  # the parent is gone, as the inbox sees too
            log.debug("nobody hears %s", type(message).__name__)

    return send


class PipeReporter(Reporter):
    """Talks to the pipe: every step, a preview at most every PREVIEW_EVERY seconds, loading at most every
    LOADING_EVERY."""

    def __init__(
        self, job_id: str, send: Callable[[Any], None], inbox: Inbox, checkpoint: Checkpoint
    ) -> None:
        self.job_id, self.send, self.inbox, self.checkpoint = job_id, send, inbox, checkpoint
        self._previewed = time.monotonic() - PREVIEW_EVERY
        self._loading: tuple[str, float] = ("", 0.0)

    def loading(self, model: str, fraction: float | None) -> None:
        now = time.monotonic()
        if self._loading[0] != model or now - self._loading[1] >= LOADING_EVERY:
            self._loading = (model, now)
            self.send(LoadingModel(self.job_id, model, fraction))

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        data = None
        if preview is not None and step < total and time.monotonic() - self._previewed >= PREVIEW_EVERY:
            try:
                data = preview()
            except Exception:  # a preview is never worth a job
                log.exception("no preview for %s", self.job_id)
            self._previewed = time.monotonic()
        self.send(Step(self.job_id, step, total, data))

    def check(self) -> None:
        if self.inbox.closing:
            raise Leaving(self.job_id)
        if self.inbox.stopped(self.job_id):
            raise JobCancelled(self.job_id)


def _answer(run: Run, models: Any, reporter: Reporter) -> Done | Stopped | Broke:
    """Do it, and turn whatever happens into one message."""
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


def _do(run: Run, models: Any, reporter: Reporter) -> Output:
    from vision.capabilities import capability
    from vision.pictures import encode

    request = requests.from_json(run.kind, run.request)
    reporter.check()
    images = (
        reporter.in_thread(lambda: {sha: encode.open_picture(run.paths[sha]) for sha in request.pictures})
        if request.pictures
        else {}
    )
    return capability(run.kind)(request, images, models, reporter)


def _blame(error: Exception) -> tuple[Fault, str]:
    """(fault, sentence for the person who asked)."""
    from vision import devices
    from vision.drawing.generate import BlankPicture

    if isinstance(error, UserError):
        return Fault.USER, str(error)
    if isinstance(error, ModelError):
        return Fault.MODEL, str(error)
    if isinstance(error, OutOfMemory) or devices.is_out_of_memory(error):
        return Fault.MEMORY, str(error) if isinstance(
            error, OutOfMemory
        ) else "This needs more memory than the device has. Try a smaller size."
    if devices.is_sticky(error):
        return Fault.PROCESS, "The graphics card reported an error; the worker is started again."
    if isinstance(error, BlankPicture):
        return Fault.ERROR, str(error)
    return Fault.ERROR, "Something unexpected went wrong while drawing; the log has the details."
