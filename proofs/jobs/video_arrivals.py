"""Videos arrive from a worker's process: how long the event loop stands still, and what it takes of memory.

python -m proofs.jobs.video_arrivals --videos 4 --megabytes 30 --times 5

On a busy machine any loop stands still: as long a time in which nothing arrives is measured after each.

"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.job import Origin
from core.requests.video import VideoRequest
from jobs.executors.local import LocalExecutor
from jobs.queue import Queue
from tests.jobs import video_worker
from tests.jobs.conftest import LIMITS, open_queue, until
from vision.protocol import WorkerConfig

LOOK_EVERY = 0.002  # seconds


@dataclass
class Watched:
    """What a look at the loop every LOOK_EVERY seconds has seen. stall: seconds; grown: bytes of memory."""

    stall: float = 0.0
    grown: int = 0


@asynccontextmanager
async def watched():
    """Watch the loop and this process' memory within."""
    seen, process = Watched(), psutil.Process()
    before = process.memory_info().rss

    async def look() -> None:
        at = time.perf_counter()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = time.perf_counter()
            seen.stall, at = max(seen.stall, now - at - LOOK_EVERY), now
            seen.grown = max(seen.grown, process.memory_info().rss - before)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def arrive(queue: Queue, videos: int, megabytes: int, number: int) -> Watched:
    """Have videos made and stored, and return what was seen meanwhile."""
    prompt = json.dumps({"kilobytes": megabytes * 1024})
    request = VideoRequest(prompt=prompt, seed=1000 * number, num_images=videos)
    async with watched() as seen:
        submitted = await queue.submit(request, Origin(1, 2, request_key=str(number)))
        await until(lambda: submitted.job.id not in queue.dispatcher.feeds, 600)
        await queue.dispatcher.incoming.settle()
    result = await queue.result(submitted.job.id)
    assert [video.size for video in result.videos] == [megabytes * 2**20] * videos
    return seen


async def measure(folder: Path, videos: int, megabytes: int, times: int) -> list[tuple[Watched, Watched]]:
    """Return what was seen with nothing to do, and while videos arrived, each time."""
    executor = LocalExecutor([WorkerConfig("cpu", {}, "")], target="tests.jobs.video_worker:main")
    found = []
    async with open_queue(folder, executor, LIMITS) as queue:
        await arrive(queue, 1, 1, 0)  # what is imported and opened once
        for number in range(times):
            began = time.perf_counter()
            busy = await arrive(queue, videos, megabytes, number + 1)
            lasted = time.perf_counter() - began
            async with watched() as quiet:
                await asyncio.sleep(lasted)
            found.append((quiet, busy))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=30)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    video_worker.register()
    with tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(measure(Path(folder), arguments.videos, arguments.megabytes, arguments.times))
    quiet = sorted(before.stall * 1e3 for before, _ in seen)
    busy = sorted(during.stall * 1e3 for _, during in seen)
    grown = max(during.grown for _, during in seen) / 2**20
    print(
        f"{arguments.times} times {arguments.videos} videos of {arguments.megabytes} MB: the loop stood still"
        f" for {busy[len(busy) // 2]:.0f} ms at the median, {busy[-1]:.0f} ms at most; with nothing to do for"
        f" {quiet[len(quiet) // 2]:.0f} and {quiet[-1]:.0f} ms; memory grew by {grown:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
