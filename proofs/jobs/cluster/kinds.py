"""The demo models' own workers here, by one agent and by two: ``python -m proofs.jobs.cluster.kinds``;
``--short`` takes few jobs and one agent.

Jobs of each kind, the later ones from pictures of the first; told is whether what comes is the same, byte for
byte and word for word, and how long eight drawings take beside each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.events import Rendered
from core.job import Origin
from core.requests import (
    AskRequest,
    ClassifyRequest,
    CutOutRequest,
    DescribeRequest,
    ImagineRequest,
    OutpaintRequest,
    ReadRequest,
    Request,
    ShortenRequest,
    UpscaleRequest,
    VariationRequest,
    VideoRequest,
    WhyRequest,
)
from core.settings import load_settings
from host.services import worker_configs
from jobs.cluster.executor import BusExecutor
from jobs.cluster.file_transfer import FileFetcher
from jobs.cluster.nats import connected
from jobs.cluster.protocol import models_digest
from jobs.cluster.remote_worker import Identity, RemoteWorker
from jobs.executors.base import Executor
from jobs.executors.local import LocalExecutor
from jobs.queue import Queue
from storage.blobs.cache import Cache
from tests.jobs.cluster.live import LIMITS
from tests.jobs.conftest import open_queue
from tests.support import nats

AT_ONCE = 8
ROUNDS = 7
SHORT = ("describe", "classify", "shorten", "ask")
_keys = itertools.count()


def following(picture: str) -> list[Request]:
    """Jobs that begin with a picture, or with none."""
    return [
        VariationRequest(prompt="a red house", image=picture, seed=4),
        UpscaleRequest(prompt="a red house", image=picture),
        OutpaintRequest(prompt="a red house", image=picture, seed=5, left=64),
        CutOutRequest(image=picture),
        DescribeRequest(image=picture),
        ClassifyRequest(image=picture),
        ClassifyRequest(image=picture, labels=("a house", "a boat")),
        WhyRequest(image=picture, label="a house"),
        ReadRequest(image=picture),
        ShortenRequest(prompt="a red house by the sea, very beautiful"),
        AskRequest(question="What is it?", images=(picture,)),
        VideoRequest(prompt="a red boat sails to the right", seed=6, seconds=1.0, resolution=480),
    ]


async def done(queue: Queue, request: Request, user: int = 1) -> tuple[str, list[str]]:
    """How a job ends and what it made: hashes, words, figures."""
    asked = await queue.submit(request, Origin(user, 2, request_key=str(next(_keys))))
    events = [event async for event in queue.watch(asked.job.id)]
    if not isinstance(events[-1], Rendered):
        return str(events[-1]), []
    result = await queue.result(asked.job.id)
    assert result is not None
    pictures = [*result.pictures, *([result.grid] if result.grid else [])]
    videos = [hashlib.sha256(await queue.files.get(video.sha256)).hexdigest() for video in result.videos]
    told = [str(one) for one in (result.captions, result.scores, result.lines)]
    answer = getattr(result, "answer", None)
    return "rendered", [*(one.sha256 for one in pictures), *videos, *told, answer.text if answer else ""]


async def all_kinds(queue: Queue, *, short: bool) -> dict[str, tuple[str, list[str]]]:
    """What jobs of each kind made."""
    few: dict[str, Any] = {"num_images": 1, "num_inference_steps": 4} if short else {}
    first = await done(queue, ImagineRequest(prompt="a red house", seed=3, **few))
    found, more = {"imagine": first}, following(first[1][0])
    for number, request in enumerate(more if not short else [one for one in more if one.kind in SHORT]):
        found[f"{request.kind} {number}"] = await done(queue, request)
    for number, one in enumerate(await beside(queue, 100, AT_ONCE if not short else 2, **few)):
        found[f"beside {number}"] = one
    return found


async def beside(queue: Queue, seed: int, count: int, **options: Any) -> list[tuple[str, list[str]]]:
    """What drawings of so many members beside each other made."""
    requests = [
        ImagineRequest(prompt="a red house", seed=seed + n, **{"num_images": 1, **options})
        for n in range(count)
    ]
    return await asyncio.gather(*(done(queue, one, n + 1) for n, one in enumerate(requests)))


async def throughput(here: Queue, there: Queue) -> str:
    """Eight drawings beside each other, here and there by turns, the same ones."""
    ratios, times = list[float](), list[tuple[float, float]]()
    for turn in range(ROUNDS + 1):
        took = list[float]()
        for queue in (here, there) if turn % 2 else (there, here):
            began = time.monotonic()
            await beside(queue, 1000 * (turn + 1), AT_ONCE)
            took.append(time.monotonic() - began)
        at_home, away = took if turn % 2 else reversed(took)
        if turn:  # the first isn't measured
            times.append((at_home, away))
            ratios.append(at_home / away)
    median_here, median_there = (statistics.median(one) for one in zip(*times, strict=True))
    return (
        f"eight beside each other: here {median_here:.2f} s, by an agent {median_there:.2f} s; throughput"
        f" {statistics.median(ratios):.3f} of here's ({min(ratios):.3f} to {max(ratios):.3f}, n={ROUNDS})"
    )


@asynccontextmanager
async def elsewhere(server: nats.Server, folder: Path, hosts: int) -> AsyncIterator[Executor]:
    """An executor with so many agents, each with a worker of the demo models."""
    async with AsyncExitStack() as stack:
        for number in range(hosts):
            name = f"h{number + 1}"
            settings = load_settings(
                {"BUS_URL": server.url, "NODE_NAME": name, **common(folder / name)}, Path("/nowhere")
            )
            bus = await stack.enter_async_context(connected(settings))
            configs = await worker_configs(settings)
            agent = RemoteWorker(
                bus,
                Identity(name, models_digest(configs[0]), "1", settings.models["clip"]),
                LocalExecutor(configs),
                FileFetcher(bus, name, Cache(folder / name / "files", most=10**9), None),
                folder / name / "jobs",
            )
            await agent.start()
            stack.push_async_callback(agent.stop, 0)
        settings = load_settings(
            {"BUS_URL": server.url, "NODE_NAME": "bot", **common(folder)}, Path("/nowhere")
        )
        bus = await stack.enter_async_context(connected(settings))
        [config] = await worker_configs(settings)
        yield BusExecutor(bus, folder / "scratch", models=models_digest(config), clip=settings.models["clip"])


def common(folder: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder),
        "DEVICES": "cpu",
        "EXACT": "on",
        "CPU_THREADS": "1",
        "DISK_FLOOR_MB": "0",
    }


async def measure(folder: Path, *, short: bool) -> list[str]:
    """Compare; return what differs."""
    configs = await worker_configs(load_settings(common(folder / "here"), Path("/nowhere")))
    (folder / "here").mkdir()
    limits, differ = replace(LIMITS, user_running=AT_ONCE), list[str]()
    with nats.server() as server:
        async with open_queue(folder / "here", LocalExecutor(configs), limits) as queue:
            here = await all_kinds(queue, short=short)
            print(f"here: {len(here)} jobs", flush=True)
            for name, how in here.items():
                print(f"  {name}: {how[0]}")
            for hosts in (1,) if short else (1, 2):
                place = folder / str(hosts)
                place.mkdir()
                async with (
                    elsewhere(server, place, hosts) as executor,
                    open_queue(place, executor, limits) as other,
                ):
                    there = await all_kinds(other, short=short)
                    if hosts == 1 and not short:
                        print(await throughput(queue, other), flush=True)
                wrong = [name for name in here if there[name] != here[name]]
                print(f"{hosts} agents: {len(wrong)} of {len(here)} differ {wrong or ''}", flush=True)
                differ += wrong
    return differ


def main() -> None:
    short = "--short" in sys.argv
    with tempfile.TemporaryDirectory(prefix="kinds-") as name:
        raise SystemExit(bool(asyncio.run(measure(Path(name), short=short))))


if __name__ == "__main__":
    main()
