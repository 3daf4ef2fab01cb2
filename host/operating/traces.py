"""Opens and closes the traces of jobs, if a host has named a collector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time  # by name: the sandbox's simulator stops the module's clock for the bot's tasks

from core.errors import SettingsError
from core.job import Job
from core.settings import Settings
from core.tracing import Tracing, open_tracing


@asynccontextmanager
async def opened_tracing(settings: Settings) -> AsyncIterator[Tracing]:
    """Have what takes the spans of jobs, and send the last ones when the block ends. Raises SettingsError
    without the extra that it needs."""
    try:
        tracing = open_tracing(settings.otel_exporter_otlp_endpoint, settings.otel_exporter_otlp_headers)
    except ModuleNotFoundError as error:
        raise SettingsError(["OTEL_EXPORTER_OTLP_ENDPOINT: traces need: make setup EXTRAS=otel."]) from error
    try:
        yield tracing
    finally:
        await asyncio.to_thread(tracing.close)


def note_delivered(tracing: Tracing, job: Job, rung: str) -> None:
    """Take the span from a job's result to its delivery. rung: of the delivery's ladder."""
    now = time()
    tracing.note(job.id, "deliver", job.rendered_at.timestamp() if job.rendered_at else now, now, rung=rung)
