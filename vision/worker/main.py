"""The process that holds a device: gets ready (its environment, its logs, the imports that every job needs),
takes runs from its pipe between two steps, reports every step, and says honestly why a run broke.

``main`` is the target of a process started with "spawn". Nothing heavy is imported before
``prepare_environment`` has set what torch and the Hugging Face libraries read at import."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import requests
from core.errors import (
    AtelierError,
    JobCancelled,
    ModelError,
    NotFetched,
    OutOfMemory,
    SettingsError,
    UserError,
    first_line,
)
from core.events import Output
from core.prompt.parameters import parameters
from core.prompt.values import Words
from core.redact import RedactingFormatter, Redactor
from core.requests.base import Answer
from core.traces import UNTRACED, Tracing, open_tracing, release
from vision.protocol import Broke, Done, Fault, Forget, Ready, Run, Stopped, WorkerConfig
from vision.reporter import Reporter
from vision.weights import card, files, hub, memory
from vision.worker.pipe import Inbox, PipeReporter, sender

if TYPE_CHECKING:
    from vision.diffusion.checkpoint import Checkpoint, Pace
    from vision.engine.engine import Engine, Fiber
    from vision.store import Models


LIBRARIES = ("torch", "diffusers", "transformers")  # whose versions a result may depend on


def set_up_logs(config: WorkerConfig) -> Redactor:
    """Log to stderr and return what redacts the lines: the host's token, and the words of jobs once they are
    added, which libraries like to repeat in warnings."""
    redact = Redactor([config.hf_token])
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", redact))
    logging.basicConfig(level=config.log_level.upper(), handlers=[handler])
    return redact


def prepare_environment(config: WorkerConfig) -> None:
    """Set the environment variables that libraries read once, at their import."""
    kind, _, index = config.device.partition(":")
    if kind == "cuda":
        seen = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[int(index or 0)] if seen else index or "0"
    elif kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # threads that spin at barriers take the core from who has the work
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's: comparing vectors waits for no other core
    if "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:  # torch's older name for the same, which a host may use
        os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    # what is compiled outlives this process
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(config.cache_dir).resolve() / "inductor"))
    if not config.allow_download or everything_here(config):
        os.environ["HF_HUB_OFFLINE"] = "1"


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt(3)
KEPT_MEMORY, LARGEST_BLOCK = 256 * 2**20, 32 * 2**20  # bytes; the second is glibc's most


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next tensors, up to KEPT_MEMORY: fetching it anew from the system
    is up to a tenth of a picture's time. Other systems' allocators do as they like."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, KEPT_MEMORY)
        mallopt(MMAP_THRESHOLD, LARGEST_BLOCK)


def everything_here(config: WorkerConfig) -> bool:
    """Return whether nothing is left to fetch: everything of the hub is complete, and every model in a single
    file has its configuration beside it."""
    models = (*config.models.values(), *config.image_models.values(), *config.video_models.values())
    others = (*config.loras.values(), *config.tiny_vaes.values())
    for spec in (*models, *others):
        with contextlib.suppress(ModelError):
            source = files.parse(spec)
            path = hub.find_downloaded(source, Path(config.cache_dir))
            if source.kind == "hub" and path is None:
                return False
            if source.kind == "file" and spec in models and path and files.config_folder(path) is None:
                return False
    return True


def start(config: WorkerConfig, slots: int) -> tuple[Models, Ready]:
    """Import what every job needs; return the empty model store and what the worker says of itself. Raises
    SettingsError where there is no such device."""
    begun = time.monotonic()
    import torch

    from vision import devices
    from vision.store import Models

    torch.set_num_threads(config.cpu_threads or 1)
    quiet_libraries()
    models = Models(config)
    try:
        name, (_, total) = devices.name(models.device), devices.memory(models.device)
    except (AssertionError, RuntimeError) as error:  # of a build of torch without it, and of no such card
        raise SettingsError(
            [f"DEVICES names {config.device}, which isn't here ({first_line(error)})"]
        ) from error
    _import_pipelines(config)
    gc.freeze()
    gc.enable()
    log.info("worker for %s (%s) ready in %.1f s", config.device, name, time.monotonic() - begun)
    if config.quantize == "auto" and (lacks := memory.lacks(models.device)):
        log.warning("%s; `make setup` installs it", lacks)
    return models, Ready(config.device, os.getpid(), name, total, slots)


def quiet_libraries() -> None:
    """Turn off progress bars and advice of diffusers and transformers: loading has its own log lines."""
    import diffusers
    import transformers
    from tqdm import tqdm

    # its own is shared between processes, and of one that was killed Python warns when the bot ends
    tqdm.set_lock(threading.RLock())
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def _import_pipelines(config: WorkerConfig) -> None:
    """Import the configured family's classes now, so that the first job doesn't wait seconds for it."""
    import diffusers

    with contextlib.suppress(AtelierError, OSError, AttributeError, KeyError):
        path = hub.find_downloaded(files.parse(config.models["image"]), Path(config.cache_dir))
        family = card.family_of_folder(path) if path and path.is_dir() else None
        for name in (family.text, family.image, family.inpaint) if family else ():
            if name:
                getattr(diffusers, name)


log = logging.getLogger(__name__)

# jobs in one worker's hands: more would wait here, where no newcomer of a higher lane can go before them
SLOTS = 8
BY_PATH = (Answer.VIDEOS, Answer.MODEL, Answer.VERDICTS, Answer.FILES)
TOO_LARGE = "This needs more memory than the device has. Try a smaller size."


def main(conn: Connection, config: WorkerConfig, pace: Pace | None = None) -> None:
    """Serve ``conn`` until Quit comes or its other end is gone. pace: of checkpoints, None = usual."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # what is imported stays; looking through it for garbage is a fifth of the time of the imports
    gc.disable()
    prepare_environment(config)
    keep_freed_memory()
    from vision.worker.nearest import Finder

    redact = set_up_logs(config)
    wake = threading.Event()
    send = sender(conn)
    inbox = Inbox(conn, wake, Finder(send).begin)
    try:
        models, ready = start(config, SLOTS)
    except SettingsError as error:
        log.error("the worker for %s can't start: %s", config.device, error)
        raise SystemExit(1) from error
    except Exception:
        log.exception("the worker for %s can't start", config.device)
        raise
    from vision import devices
    from vision.diffusion import checkpoint
    from vision.engine.batches import DurationModel
    from vision.engine.engine import Engine

    checkpoints = Path(config.cache_dir) / "checkpoints"
    checkpoint.sweep(checkpoints)
    tracing = open_tracing(config.traces, config.traces_headers)
    durations = DurationModel(Path(config.cache_dir) / "curves" / f"{config.device.replace(':', '-')}.json")
    has_spare_core = partial(devices.has_spare_core, config.device)
    engine = Engine(exact=config.exact, wake=wake, durations=durations, has_spare_core=has_spare_core)
    loop = WorkerLoop(inbox, send, models, engine, checkpoints, pace, redact, ready, tracing)
    send(ready)
    loop.serve()
    tracing.close()


@dataclass
class WorkerLoop:
    """Takes runs from the inbox, lets the engine work on all of them, and sends one answer for each.
    checkpoints: the folder where jobs keep their state. ready: what the worker sent last about itself."""

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
        """Serve until Quit comes or the parent is gone; unfinished jobs keep their checkpoints."""
        from vision.worker import queries  # loads torch

        while not self.inbox.closing:
            self.engine.wake.clear()
            for message in self.inbox.take():
                if isinstance(message, Run):
                    self.begin(message)
                elif isinstance(message, Forget):
                    self.models.forget(message.names)
                else:
                    queries.begin_question(
                        message, self.models, self.engine, self.inbox, self.send, self.redact
                    )
            if not self.engine.tick() and not self.engine.measure():
                self.engine.rest()
        self.engine.stop()

    def begin(self, run: Run) -> None:
        """Let the engine begin a run, whose answer is sent when it ends."""
        from vision.diffusion.checkpoint import Checkpoint

        checkpoint = Checkpoint(self.checkpoints, run.job_id, self.pace)
        self.redact.add(words := words_of_run(run))

        def work(fiber: Fiber) -> Done | Stopped | Broke:
            reporter = PipeReporter(run.job_id, self.send, self.inbox, checkpoint, fiber)
            with self.tracing.part(run.traceparent, "work", kind=run.kind, device=self.ready.device):
                return answer_run(run, self.models, reporter)

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


def words_of_run(run: Run) -> set[str]:
    """Return the texts that a member wrote in a run's request; not names of models, samplers and the like."""
    known = next((parameters(cls) for cls in requests.REQUESTS if cls.kind == run.kind), {})  # else all
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


def answer_run(run: Run, models: Models, reporter: Reporter) -> Done | Stopped | Broke:
    """Do the run and turn whatever happens into one message."""
    start = time.monotonic()
    try:
        output = _do(run, models, reporter)
        log.info("job %s (%s) done in %.2f s", run.job_id, run.kind, time.monotonic() - start)
        made_with = {"versions": versions_text()}
        return Done(run.job_id, replace(output, parameters={**output.parameters, **made_with}))
    except JobCancelled:
        log.info("job %s stopped", run.job_id)
        return Stopped(run.job_id)
    except Exception as error:
        answer = Broke(run.job_id, *_blame(error), later=isinstance(error, NotFetched))
        if answer.later:
            log.warning("job %s waits: %s", run.job_id, answer.message)
        else:
            level = logging.INFO if answer.fault is Fault.USER else logging.ERROR
            if isinstance(error, ModelError):  # its sentence says all that a host needs
                log.log(level, "job %s: %s: %s", run.job_id, answer.fault, answer.message)
            else:
                log.log(level, "job %s: %s", run.job_id, answer.fault, exc_info=level == logging.ERROR)
    return answer


def versions_text() -> str:
    """Return what a result was made with: the versions of Atelier and of the libraries that are loaded."""
    loaded = [name for name in LIBRARIES if name in sys.modules]
    return ", ".join(
        [f"Atelier {release()}", *(f"{name} {sys.modules[name].__version__}" for name in loaded)]
    )


def _do(run: Run, models: Models, reporter: Reporter) -> Output:
    from vision.capabilities import capability
    from vision.images import encode

    request = requests.from_json(run.kind, run.request)
    reporter.check()
    if isinstance(request, requests.GenerateRequest) and request.files:
        models.loader.note_stored({sha256: Path(run.paths[sha256]) for sha256 in request.files})
    if request.answer in BY_PATH:  # which opens files itself, and writes some where it is told to
        return capability(run.kind)(request, run.paths, models, reporter, Path(run.folder))
    if request.told:  # which opens only the pictures that its models have to look at
        return capability(run.kind)(request, run.paths, models, reporter, run.talk)
    images = {}
    if request.pictures:
        given = {sha: run.paths[sha] for sha in request.pictures}
        images = reporter.in_thread(lambda: {sha: encode.open_picture(path) for sha, path in given.items()})
    if run.taste is not None:
        return capability(run.kind)(request, images, models, reporter, run.taste)
    return capability(run.kind)(request, images, models, reporter)


def _blame(error: Exception) -> tuple[Fault, str]:
    """Return what broke the run, and a sentence for the person who asked."""
    from vision import devices
    from vision.diffusion.model import BlankPicture

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
