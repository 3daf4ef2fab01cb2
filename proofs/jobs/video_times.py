"""How long members wait for a video of the demo models, and for pictures that are asked for meanwhile.

    python -m proofs.jobs.video_times --pictures 12

A worker of the demo starts, and makes what is asked for as a studio's own does. Prints the seconds until the
first video is there, reading the models included, and of processors; then until a set of pictures is, alone
and while somebody else's videos are made. Other programs of the machine count, so the load is told, too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import median

import psutil

from core.job import Origin
from core.requests.base import Request
from core.requests.images import ImagineRequest
from core.requests.video import VideoRequest
from core.settings import load_settings
from host.services import executor_of
from jobs.queue import Queue
from tests.jobs.conftest import LIMITS, open_queue, until

WORDS = ("a red boat sails to the left", "a yellow star turns", "a green tree at night", "a blue ball rises")
LONGEST = 1200.0  # seconds for one job
_numbers = count()


def processor_seconds() -> float:
    """Return what the workers of this program have taken of processors, in seconds."""
    taken = 0.0
    for worker in psutil.Process().children(recursive=True):
        used = worker.cpu_times()
        taken += used.user + used.system
    return taken


async def submit(queue: Queue, request: Request, member: int) -> str:
    """Queue a request of a member, and return the job's id."""
    origin = Origin(member, 2, guild_id=3, request_key=str(next(_numbers)))
    return (await queue.submit(request, origin)).job.id


async def made(queue: Queue, request: Request, member: int) -> float:
    """Have a request made; return the seconds."""
    began = time.monotonic()
    job = await submit(queue, request, member)
    await until(lambda: job not in queue.dispatcher.feeds, LONGEST)
    await queue.dispatcher.incoming.settle()
    status = (await queue.result(job)).job.status
    assert status in ("rendered", "done"), f"{request.kind} is {status}"
    return time.monotonic() - began


def picture(number: int) -> ImagineRequest:
    """Return a set of four pictures of words that differ."""
    return ImagineRequest(prompt=f"a red house in the snow, {WORDS[number % len(WORDS)]}", seed=number)


async def beside(queue: Queue, video: VideoRequest, pictures: int) -> tuple[list[float], list[float]]:
    """Return the seconds of sets of pictures of one member that come one after the other while another's
    videos are made, and those of the videos."""
    found: list[float] = []
    videos: list[float] = []

    async def film() -> None:
        while len(found) < pictures:
            videos.append(await made(queue, replace(video, seed=len(videos)), 8))

    going = asyncio.create_task(film())
    await asyncio.sleep(2)
    for number in range(pictures):
        found.append(await made(queue, picture(number), 9))
    await going
    return found, videos


async def measure(folder: Path, videos: int, pictures: int) -> None:
    """Print the figures. videos: of one job."""
    settings = load_settings({"DATA_DIR": str(folder)})
    executor = await executor_of(settings, "vision.worker.main:main", None)
    video = VideoRequest(prompt=WORDS[0], seed=1, num_images=videos)
    async with open_queue(folder, executor, LIMITS) as queue:
        await until(lambda: any(device.state == "ready" for device in executor.devices), LONGEST)
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        before = processor_seconds()
        seconds = await made(queue, video, 8)
        print(
            f"first job of {videos} videos: {seconds:.1f} s, {processor_seconds() - before:.1f} of processors"
        )
        for number in range(2):
            await made(queue, picture(number), 9)
        alone = [await made(queue, picture(number), 9) for number in range(pictures)]
        print(f"pictures alone: p50 {median(alone):.2f} s, most {max(alone):.2f}, n {len(alone)}")
        found, going = await beside(queue, video, pictures)
        print(
            f"beside videos: p50 {median(found):.2f} s, most {max(found):.2f}, n {len(found)}:"
            f" {median(found) / median(alone):.2f} times; videos then took {median(going):.1f} s each"
        )
        print(f"load {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Measure, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=12)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), arguments.videos, arguments.pictures))


if __name__ == "__main__":
    main()
