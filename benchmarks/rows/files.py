"""Sixty pictures into a bucket and out of it, against the folder: what each costs the bot's process."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Chart, Cost, Figure, Goal, Result, check, interleaved
from benchmarks.rows import Options, Row
from storage.blobs.base import Files
from storage.blobs.local import Folder
from tests.support import buckets

COUNT, SIZE, AT_ONCE = 60, 1_500_000, 8
TICK = 0.001  # s between two looks at the loop's clock


def measure_files(options: Options) -> Result:
    """Store and read the same pictures in both, fresh ones each time, the cache empty before each read."""
    count = max(8, round(COUNT * options.scale))
    numbers, late, wrong = iter(range(10**6)), dict[str, list[float]](), list[float]()
    with ExitStack() as stack:
        server = stack.enter_context(buckets.rclone(options.folder / "rclone"))
        costs: dict[str, list[Cost]] = {}

        def way(name: str, opened: Callable[[Path], Files]) -> Callable[[], None]:
            def run() -> None:
                number = next(numbers)
                pictures = [random.Random(number * 1000 + n).randbytes(SIZE) for n in range(count)]
                put, get = asyncio.run(_both(opened, options.folder / str(number), pictures, wrong))
                for what, (cost, stalls) in (("put", put), ("get", get)):
                    costs.setdefault(f"{what}, {name}", []).append(cost)
                    late.setdefault(f"{what}, {name}", []).append(max(stalls))

            return run

        def in_bucket(folder: Path) -> Files:
            return buckets.opened(server, folder, f"bench-{folder.parent.name}")

        interleaved(
            {
                "folder": way("folder", lambda folder: Folder(folder.parent / "files", ballast_bytes=0)),
                "bucket": way("bucket", in_bucket),
            },
            options.repeats,
        )
    figures = []
    for what in ("put", "get"):
        for name in ("folder", "bucket"):
            found = costs[f"{what}, {name}"][1:]  # the first of each isn't measured
            cpu = tuple(1000 * cost.cpu / count for cost in found)
            rate = tuple(count * SIZE / 10**6 / cost.wall for cost in found)
            goal = Goal(at_most=10) if name == "bucket" else None
            figures += [
                Figure(f"{what}, {name}", cpu, "ms a picture", "CPU", goal),
                Figure(f"{what}, {name}, speed", rate, "MB/s", "wall"),
            ]
        stall = tuple(1000 * one for one in late[f"{what}, bucket"][1:])
        figures.append(Figure(f"{what}, bucket, longest stall", stall, "ms", "wall", Goal(at_most=25)))
    series = {figure.name: figure.values for figure in figures if figure.clock == "CPU"}
    equal = check("pictures that came back otherwise", wrong, 0.0)
    return Result(tuple(figures), (equal,), Chart("ms of CPU a picture", series))


async def _both(
    opened: Callable[[Path], Files], folder: Path, pictures: list[bytes], wrong: list[float]
) -> tuple[tuple[Cost, list[float]], tuple[Cost, list[float]]]:
    """Return what it cost to store the pictures, and to read them on another machine."""
    files, names = opened(folder / "one"), [hashlib.sha256(one).hexdigest() for one in pictures]
    put = await _watched([lambda one=one: files.put(one, "image/png") for one in pictures], [])
    got: list[bytes] = []
    reader = opened(folder / "two")
    get = await _watched([lambda name=name: reader.get(name) for name in names], got)
    wrong += [float(hashlib.sha256(one).hexdigest() not in names) for one in got]
    return put, get


async def _watched(works: list[Callable], got: list) -> tuple[Cost, list[float]]:
    """Do all, AT_ONCE at a time; return the cost, and how late the event loop was each millisecond."""
    turn, late = asyncio.Semaphore(AT_ONCE), list[float]()

    async def one(work: Callable) -> None:
        async with turn:
            got.append(await work())

    async def watch() -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(TICK)
            late.append(time.perf_counter() - asked - TICK)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*map(one, works))
    cost = Cost(time.process_time() - cpu, time.perf_counter() - wall)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return cost, late or [0.0]


ROWS = {
    "files": Row(
        "Pictures in a bucket",
        "the same 60 pictures of 1.5 MB, 8 at a time, in a folder; the bucket is rclone's on this machine",
        measure_files,
    ),
}
