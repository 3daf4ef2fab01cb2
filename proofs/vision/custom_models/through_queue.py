"""What own models cost through the whole way: a studio with a real worker process and the demo models.

Rows of ``proofs.vision.custom_models.proof``: ``speed`` from pressing Train to the chart and from asking
to the verdict, ``beside`` how much slower others draw while a training runs."""

from __future__ import annotations

import asyncio
import io
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from core.events import Progress
from core.settings import load_settings
from host.services import services
from storage.projects import dataset
from storage.projects.dataset import Incoming
from studio.studio import Studio
from tests.jobs.conftest import until
from tests.studio.conftest import ALICE, KINDS, AllFit, Opened, Sent
from tests.studio.projects.conftest import people
from tests.support.fresh import fresh_database
from tests.vision.custom_models import parts

Row = dict[str, object]
PART = "plate"
WORDS = "a red house --steps 12"
MINUTES, LEAST_PAIRS = 6, 4  # of drawings beside a training


@asynccontextmanager
async def studio(folder: Path, photo: str) -> AsyncIterator[Opened]:
    """Open a studio as a host has it. photo: "on" with readers of photographs."""
    common = {"DATA_DIR": str(folder), "DISK_FLOOR_MB": "0", "PHOTO_READERS": photo}
    loaded = load_settings(common, folder / "none.env")
    fresh_database(loaded.database)
    async with services(loaded) as built:
        built.moderator.check = AllFit()
        with built.directory.connected(people()):
            yield Opened(Studio(built, KINDS), built)


def picture(seed: int, defect: str | None = None) -> Sent:
    held = io.BytesIO()
    parts.picture(PART, seed, defect)[0].save(held, "PNG")
    return Sent(held.getvalue(), f"{seed}.png")


async def project(opened: Opened, name: str, good: int, bad: int = 0) -> None:
    """Make a project with pictures of parts: rows and files as its doors write them, however many."""
    found = await opened.studio.projects.new(ALICE, name)
    coming = [(picture(seed), "good") for seed in range(good)]
    coming += [
        (picture(5000 + seed, parts.DEFECTS[seed % 7]), parts.DEFECTS[seed % 7]) for seed in range(bad)
    ]
    put = []
    for sent, label in coming:
        put.append(Incoming(await opened.services.files.put(sent.data, "image/png"), label))
        await opened.services.queue.people.note_upload(ALICE.user_id, put[-1].sha256)
    given = {"user_id": ALICE.user_id, "coming": put, "most": 2000, "now": datetime.now(UTC)}
    await opened.services.database.write(lambda c: dataset.add_items(c, found.id, **given))


async def over(opened: Opened, new, on: Callable[[object], None] = lambda event: None) -> tuple[str, float]:
    """Submit a job; return its id and how long it took until its end was told."""
    began = time.monotonic()
    job = (await opened.studio.submit(ALICE, new)).job
    async for event in await opened.studio.watch(ALICE, job.id):
        on(event)
    found = await opened.services.queue.job(job.id)
    assert found is not None and found.status.value in ("rendered", "delivered"), found
    return job.id, time.monotonic() - began


async def speed(opened: Opened, scale: float) -> Row:
    """8.7: 20 good pictures of 256 px."""
    studio = opened.studio
    await project(opened, "plates", 20)
    begun, spent = psutil.cpu_times(), [_cpu_seconds()]
    _, first = await over(opened, await studio.training.train(ALICE, "plates"))
    spent.append(_cpu_seconds())
    _, second = await over(opened, await studio.training.train(ALICE, "plates", seed=1))
    spent.append(_cpu_seconds())
    await studio.training.use(ALICE, "plates", 1)
    times, strange = [], 0
    for seed in range(round(40 * scale)):
        sent = picture(9000 + seed, parts.DEFECTS[seed % 7] if seed % 2 else None)
        began = time.monotonic()
        job_id, _ = await over(opened, await studio.inference.try_(ALICE, "plates", [sent]))
        times.append(time.monotonic() - began)
        (said,) = await studio.inference.judged(ALICE, job_id)
        strange += said.strange
    ordered = sorted(times)
    return {
        "first training s": first,
        "of them CPU s": spent[1] - spent[0],
        "second training s": second,
        "of these CPU s": spent[2] - spent[1],
        "verdict CPU s": (_cpu_seconds() - spent[2]) / len(times),
        "verdict s, first": times[0],
        "verdict s, median": statistics.median(times),
        "verdict s, p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "verdicts": len(times),
        "strange": strange,
        "others' share of the processor": _others_share(begun),
    }


def _cpu_seconds() -> float:
    """Return what this process and its children have used of the processor."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in [me, *me.children(recursive=True)])


def _others_share(begun: Any) -> float:
    """Return which share of the machine's busy time since then was neither this process's nor its
    children's."""
    now = psutil.cpu_times()
    busy = (now.user + now.system + now.nice) - (begun.user + begun.system + begun.nice)
    return max(0.0, 1 - _cpu_seconds() / max(busy, 1e-6))


async def beside(opened: Opened, scale: float) -> Row:
    """8.8: the same drawings without and with a training of many pictures beside them, in pairs whose order
    turns, so that what else the machine does falls on both; for MINUTES at most."""
    studio = opened.studio
    count = round(500 * scale)
    await project(opened, "many", count)
    await _drawing(opened, 0)
    await _drawing(opened, 1)
    took: dict[bool, list[float]] = {False: [], True: []}
    firsts: dict[bool, list[float]] = {False: [], True: []}
    ends, rounds = time.monotonic() + 60 * MINUTES, round(12 * scale) + 3
    while len(took[True]) < rounds and (time.monotonic() < ends or len(took[True]) < LEAST_PAIRS):
        number = len(took[True])
        for busy in (False, True) if number % 2 else (True, False):
            training = None
            if busy:
                new = await studio.training.train(ALICE, "many", seed=number)
                training = (await opened.studio.submit(ALICE, new)).job
                await _running(opened, training.id)
            whole, first = await _drawing(opened, 100 + number)
            took[busy].append(whole)
            firsts[busy].append(first)
            if training is not None:
                await opened.studio.cancel(ALICE, training.id)
                await until(lambda: not opened.services.queue.unfinished)  # it ends between two slices
    slower = [b / a for a, b in zip(took[False], took[True], strict=True)]
    later = [b / a for a, b in zip(firsts[False], firsts[True], strict=True)]
    return {
        "pictures of the training": count,
        "drawing alone s, median": statistics.median(took[False]),
        "beside a training s, median": statistics.median(took[True]),
        "slower, median of pairs": statistics.median(slower),
        "slower, of sums": sum(took[True]) / sum(took[False]),
        "first preview, median of pairs": statistics.median(later),
        "pairs": len(slower),
    }


async def _drawing(opened: Opened, seed: int) -> tuple[float, float]:
    """Draw; return how long it took, and until its first step."""
    chosen = await opened.studio.own.preferences(ALICE)
    [new] = await (await opened.studio.requests.imagine(ALICE, f"{WORDS} --seed {seed}", chosen)).jobs()
    began, first = time.monotonic(), list[float]()

    def note(event: object) -> None:
        if isinstance(event, Progress) and not first:
            first.append(time.monotonic() - began)

    _, took = await over(opened, new, note)
    return took, first[0] if first else took


async def _running(opened: Opened, job_id: str, share: float = 0.0) -> None:
    async for event in await opened.studio.watch(ALICE, job_id):
        if isinstance(event, Progress) and event.step >= share * event.total:
            return


def row(work: Callable[[Opened, float], Awaitable[Row]], cache: Path) -> Callable[[float], Iterator[Row]]:
    """Return a row of the proof that opens a studio for itself. cache: of packages with readers of
    photographs, where it is there."""

    async def opened(folder: Path, scale: float, photo: str) -> Row:
        async with studio(folder, photo) as found:
            return await work(found, scale)

    def measured(scale: float) -> Iterator[Row]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if cache.is_dir():
                (folder / "cache").mkdir()
                (folder / "cache" / "packages").symlink_to(cache.resolve())
            yield asyncio.run(opened(folder, scale, "on" if cache.is_dir() else "off"))

    return measured
