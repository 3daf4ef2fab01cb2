"""The worker's end of the pipe: reads what the parent sends in a thread of its own, and sends what jobs
report."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from core.errors import JobCancelled
from vision.protocol import (
    LAST_STEP,
    EngineQuestion,
    Forget,
    LoadingModel,
    Quit,
    Run,
    SideQuestion,
    Step,
    Stop,
)
from vision.reporter import Leaving, Reporter

if TYPE_CHECKING:
    from vision.diffusion.checkpoint import Checkpoint
    from vision.engine.engine import Fiber

log = logging.getLogger(__name__)

PREVIEW_EVERY = 0.5  # seconds
LOADING_EVERY = 0.25  # seconds


class Inbox:
    """Reads the pipe in a thread of its own, so that a Stop is seen while a job runs. On Quit, when the
    parent is gone, or when it says what can't be read, ``closing`` is set and running jobs end at their next
    step; LAST_STEP seconds later the process is ended whatever it does. wake: set at each message. at_once:
    is given, in that thread, each question that doesn't wait for the jobs."""

    def __init__(
        self,
        conn: Connection,
        wake: threading.Event,
        at_once: Callable[[SideQuestion], None] = lambda question: None,
    ) -> None:
        self._conn, self._wake, self._at_once = conn, wake, at_once
        self._come = deque[Run | Forget | EngineQuestion]()
        self.stopped: set[str] = set()
        self.closing = False
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def _read(self) -> None:
        try:
            while not isinstance(message := self._conn.recv(), Quit):
                if isinstance(message, Stop):
                    self.stopped.add(message.job_id)
                elif isinstance(message, SideQuestion):
                    self._at_once(message)
                else:
                    self._come.append(message)
                self._wake.set()
        except (EOFError, OSError):
            log.debug("the parent is gone")
        except Exception:  # unpickling raises what it likes; without a reader no job could be stopped
            log.exception("a message can't be read; this worker ends, and its jobs go to the next one")
        self.closing = True
        self._wake.set()
        time.sleep(LAST_STEP)
        os._exit(0)

    def take(self) -> list[Run | Forget | EngineQuestion]:
        """Return what has come since the last call: runs, questions, and what may not be kept."""
        return [self._come.popleft() for _ in range(len(self._come))]

    def check_open(self) -> None:
        """Raise Leaving if the worker is to exit."""
        if self.closing:
            raise Leaving

    def check(self, job_id: str) -> None:
        """Raise Leaving if the worker is to exit, JobCancelled if somebody stopped this job."""
        if self.closing:
            raise Leaving(job_id)
        if job_id in self.stopped:
            raise JobCancelled(job_id)

    def forget(self, job_id: str) -> None:
        """Drop a Stop for a job that is answered."""
        self.stopped.discard(job_id)


def sender(conn: Connection) -> Callable[[Any], None]:
    """Return a function that sends messages through ``conn`` from any thread, while there is a parent."""
    lock = threading.Lock()  # a model that loads in a thread of its own reports, too

    def send(message: Any) -> None:
        try:
            with lock:
                conn.send(message)
        except OSError:  # the parent is gone, as the inbox sees too
            log.debug("nobody hears %s", type(message).__name__)

    return send


class PipeReporter(Reporter):
    """Sends every step, a preview at most every PREVIEW_EVERY seconds, loading of the same model every
    LOADING_EVERY; what is done and the box of previews with every step until there are others."""

    def __init__(
        self,
        job_id: str,
        send: Callable[[Any], None],
        inbox: Inbox,
        checkpoint: Checkpoint | None,
        fiber: Fiber | None = None,
    ) -> None:
        self.job_id, self.send, self.inbox = job_id, send, inbox
        self.checkpoint, self.fiber = checkpoint, fiber
        self._previewed = time.monotonic() - PREVIEW_EVERY
        self._loading: tuple[str, bool, float] = ("", False, 0.0)
        self._box: tuple[int, int, int, int] | None = None
        self._doing = ""

    def loading(
        self, model: str, fraction: float | None, *, fetching: bool = False, left: float | None = None
    ) -> None:
        now = time.monotonic()
        *before, sent = self._loading
        if before != [model, fetching] or fraction == 1.0 or now - sent >= LOADING_EVERY:
            self._loading = (model, fetching, now)
            self.send(LoadingModel(self.job_id, model, fraction, fetching, left))

    def step(self, step: int, total: int, preview: Callable[[], bytes | None] | None = None) -> None:
        data = None
        if preview is not None and step < total and time.monotonic() - self._previewed >= PREVIEW_EVERY:
            try:
                data = preview()
            except Exception:  # a preview is never worth a job
                log.exception("no preview for %s", self.job_id)
            self._previewed = time.monotonic()
        self.send(Step(self.job_id, step, total, data, self._box, doing=self._doing))

    def doing(self, words: str) -> None:
        self._doing = words

    def write(self, step: int, total: int, text: str) -> None:
        self.send(Step(self.job_id, step, total, text=text, doing=self._doing))

    def seen(self, text: str) -> None:
        self.send(Step(self.job_id, 0, 1, seen=text))  # a step that isn't shown

    def place(self, box: tuple[int, int, int, int]) -> None:
        self._box = box

    def check(self) -> None:
        self.inbox.check(self.job_id)
