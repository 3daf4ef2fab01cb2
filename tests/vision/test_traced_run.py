"""A worker's part of a run is a span of its own."""

import threading
from pathlib import Path
from typing import Any

from core.redact import Redactor
from core.traces import open_tracing
from tests.core.collector import collecting, told
from vision.protocol import Ready, Run
from vision.worker.main import WorkerLoop


class _Engine:
    """Does each job at once; the inbox of it has nothing."""

    def __init__(self) -> None:
        self.wake = threading.Event()

    def begin(self, job_id: str, work: Any, *, check: Any, done: Any) -> None:
        self.answer = work(None)

    def check(self, job_id: str) -> None:
        pass


def test_the_workers_part_of_a_run_is_a_span_of_its_own(tmp_path: Path) -> None:
    with collecting() as collector:
        tracing, engine = open_tracing(collector.endpoint), _Engine()
        loop: Any = WorkerLoop(
            engine, print, None, engine, tmp_path, None, Redactor(), Ready("cuda:0", 1, "card", 0), tracing
        )
        with tracing.span("abc", "run") as traceparent:
            loop.begin(Run("abc", "nothing", "{}", traceparent=traceparent))
        tracing.close()
        work = collector.named("work")
        assert work.parent_span_id == collector.named("run").span_id
        assert told(work) == {"atelier.kind": "nothing", "atelier.device": "cuda:0"}
