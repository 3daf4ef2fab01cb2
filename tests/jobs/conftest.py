"""A queue on a database and files in a temporary folder, its executor worked by hand."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from core.job import Origin, Reply, Status
from core.requests import ImagineRequest
from jobs.admission import Limits
from jobs.executors.base import Executor
from jobs.queue import Queue, Submitted
from storage.blobs.base import Files
from storage.blobs.local import Folder
from storage.database import open_database
from tests.jobs.fake_worker import output_of
from tests.jobs.hand_executor import HandExecutor
from tests.support import REAL
from tests.support.fresh import address_in
from vision.protocol import Done

LIMITS = Limits(disk_floor=0)
REPLY = {field.name for field in fields(Reply)}
_interactions = itertools.count(1)


@asynccontextmanager
async def open_queue(
    folder: Path,
    executor: Executor,
    limits: Limits = LIMITS,
    *,
    start: bool = True,
    files: Files | None = None,
    address: str | None = None,
    **hooks: Any,
) -> AsyncIterator[Queue]:
    """Opened and started, stopped and closed. address: of its database, if not the one of the folder."""
    async with open_database(address or address_in(folder), folder / "backups") as database:
        files = files or Folder(folder / "pictures", **({} if REAL else {"ballast_bytes": 4096}))
        queue = Queue(database, files, executor, limits, **hooks)
        if start:
            await queue.start()
        try:
            yield queue
        finally:
            await queue.stop(0)


@pytest.fixture
def executor() -> HandExecutor:
    return HandExecutor()


@pytest.fixture
async def queue(tmp_path: Path, executor: HandExecutor) -> AsyncIterator[Queue]:
    async with open_queue(tmp_path, executor) as opened:
        yield opened


async def ask(
    queue: Queue, prompt: str = "a red house", *, user: int = 1, seed: int = 0, **options: Any
) -> Submitted:
    """Queue an /imagine of a user in guild 3, channel 2."""
    origin = {"user_id": user, "channel_id": 2, "guild_id": 3, "interaction_id": next(_interactions)}
    origin |= options.pop("origin", {})
    reply = Reply(**{name: origin.pop(name) for name in REPLY & origin.keys()})
    return await queue.submit(ImagineRequest(prompt=prompt, seed=seed), Origin(**origin), reply, **options)


async def ask_held(executor: HandExecutor, queue: Queue, *prompt: str, **options: Any) -> str:
    """Queue an /imagine, and wait until the executor has it: the job's id."""
    job_id = (await ask(queue, *prompt, **options)).job.id
    await held(executor, job_id)
    return job_id


async def held(executor: HandExecutor, job_id: str) -> None:
    """Wait until the executor has a job."""
    await until(lambda: job_id in executor.held)


async def is_at(queue: Queue, job_id: str, status: Status) -> bool:
    job = await queue.job(job_id)
    return job is not None and job.status is status


async def until(condition: Callable[[], Any], patience: float = 20.0) -> None:
    """Wait for something that no event tells of."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.002)


async def eventually(holds: Callable[[], Awaitable[Any]], patience: float = 20.0) -> None:
    """Wait for something in the rows that no event tells of."""
    end = time.monotonic() + patience
    while True:
        if await holds():
            return
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.002)


def done(executor: HandExecutor, job_id: str) -> Done:
    """How the held run ends when all goes well."""
    from core.requests import from_json

    run = executor.held[job_id].run
    return Done(job_id, output_of(from_json(run.kind, run.request)))
