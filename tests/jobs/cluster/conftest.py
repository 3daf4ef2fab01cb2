"""Agents and a bot in this process, on a real server of the bus."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings, load_settings
from jobs.cluster.executor import BusExecutor
from jobs.cluster.file_transfer import FileFetcher
from jobs.cluster.nats import Bus, connected
from jobs.cluster.protocol import Timing
from jobs.cluster.remote_worker import Identity, RemoteWorker
from jobs.executors.local import LocalExecutor
from jobs.queue import Queue
from storage.blobs.local import Cache
from tests.jobs.conftest import open_queue
from tests.support import nats
from vision.protocol import WorkerConfig

FAKE, VIDEOS = "tests.jobs.fake_worker:main", "tests.jobs.video_worker:main"
QUICK = Timing(
    beat=0.2, soonest=0.02, hold=0.2, silent=1.0, lease=3.0, kept=6.0, again=0.2, look=0.1, back=1.0
)


@pytest.fixture
def server() -> Iterator[nats.Server]:
    nats.need()
    with nats.server() as found:
        yield found


def settings(server: nats.Server, host: str, **more: str) -> Settings:
    return load_settings({"BUS_URL": server.url, "NODE_NAME": host, **more}, Path("/nowhere"))


def agent_of(
    bus: Bus,
    host: str,
    folder: Path,
    *,
    slots: int = 4,
    target: str = FAKE,
    timing: Timing = QUICK,
    **known: str,
) -> RemoteWorker:
    config = WorkerConfig("cpu", {"slots": slots}, str(folder / host / "cache"))  # type: ignore[dict-item]
    fetching = FileFetcher(bus, host, Cache(folder / host / "files", most=10**9), None)
    local = LocalExecutor([config], target=target)
    return RemoteWorker(bus, Identity(host, **known), local, fetching, folder / host / "jobs", timing=timing)


@asynccontextmanager
async def agents(
    server: nats.Server, folder: Path, *hosts: str, **options: Any
) -> AsyncIterator[dict[str, RemoteWorker]]:
    """Agents that run while the block does."""
    async with AsyncExitStack() as stack:
        found = {}
        for host in hosts:
            bus = await stack.enter_async_context(connected(settings(server, host)))
            found[host] = agent_of(bus, host, folder, **options)
            await found[host].start()
            stack.push_async_callback(found[host].stop, 0)
        yield found


@asynccontextmanager
async def bot(
    server: nats.Server, folder: Path, *, timing: Timing = QUICK, models: str = "", **options: Any
) -> AsyncIterator[Queue]:
    """A queue whose jobs run elsewhere."""
    async with connected(settings(server, "bot")) as bus:
        assert await bus.until_up(10)
        executor = BusExecutor(bus, folder / "scratch", models=models, timing=timing)
        async with open_queue(folder, executor, **options) as queue:
            yield queue
