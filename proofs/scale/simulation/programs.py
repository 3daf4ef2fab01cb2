"""The programs of the simulation: machines, and the bot whose members ask and follow. Each is a process that
says when it is ready, and writes its notes when it is told to end."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from core.errors import LimitError
from core.events import Failed, Rendered, Started
from core.job import Origin, Reply
from core.requests import ImagineRequest
from core.settings import load_settings
from host import process
from jobs.admission import Limits
from jobs.cluster.executor import BusExecutor
from jobs.cluster.nats import connected
from jobs.queue import Queue
from jobs.scheduling import eta
from proofs.scale.simulation import fleet
from proofs.scale.simulation.sampling import Notes, Profile
from storage.blobs.local import Folder
from storage.database import open_database

MEMBERS = 5_000
LIMITS = Limits(disk_floor=0, user_waiting=10_000, guild_waiting=1_000_000, user_running=50)
READY = "ready"


def say_ready() -> None:
    """Tell whoever started this program."""
    print(READY, flush=True)


async def bot(
    url: str, address: str, folder: Path, name: str, seed: int, rate: float, slow: float,
    notes: Notes, ready: Callable[[], None],
) -> None:  # fmt: skip
    """Be the bot until cancelled. rate: jobs a second that its members ask for. slow: how many times slower
    time goes."""
    eta.ANNOUNCE_GAP *= slow
    settings = load_settings({"BUS_URL": url, "NODE_NAME": name}, Path("/nowhere"))
    async with connected(settings) as bus, open_database(address, None) as database:
        await bus.until_up(30)
        executor = BusExecutor(bus, folder / f"scratch-{name}", timing=fleet.slowed(slow))
        files = Folder(folder / "pictures", ballast_bytes=4096)
        queue = Queue(database, files, executor, LIMITS)
        await queue.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(notes.sample_for_ever([bus], lambda: _counts(queue, executor), slow))
            process.configure_gc()  # as the bot's process does
            group.create_task(process.collect_garbage(lambda: True))
            ready()
            group.create_task(_ask_for_ever(queue, rate, seed, notes, group))


def _counts(queue: Queue, executor: BusExecutor) -> dict[str, float]:
    dispatcher = queue.dispatcher
    return {
        "waiting": len(dispatcher.waitlist),
        "running": len(dispatcher.running),
        "devices": sum(device.state == "ready" for device in executor.devices),
    }


async def _ask_for_ever(queue: Queue, rate: float, seed: int, notes: Notes, group: asyncio.TaskGroup) -> None:
    chance, loop = random.Random(seed), asyncio.get_running_loop()
    at = loop.time()
    for number in itertools.count():
        at += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, at - loop.time()))
        user = 1 + int(MEMBERS * chance.random() ** 2)  # some ask more than others
        group.create_task(_ask(queue, user, seed * 10**7 + number, notes))


async def _ask(queue: Queue, user: int, number: int, notes: Notes) -> None:
    """Ask for a picture, follow its job, and note that it was told, as a bot's delivery does."""
    request, asked = ImagineRequest(prompt="a red house", seed=number % 2**31), Notes()
    asked.note("asked", "")
    try:
        submitted = await queue.submit(request, Origin(user, 2, user % 50), Reply(number))
    except LimitError:
        notes.note("refused", str(number))
        return
    job_id = submitted.job.id
    notes.times.setdefault("asked", {})[job_id] = asked.times["asked"][""]
    notes.note("queued", job_id)
    async for event in queue.watch(job_id):
        if isinstance(event, Started):
            notes.note("started", job_id)
        elif isinstance(event, Rendered):
            await queue.result(job_id)
            if await queue.delivered(job_id, message_id=number, channel_id=2, rung="edit"):
                notes.note("told", job_id)
        elif isinstance(event, Failed):
            notes.note("failed", job_id)


def main() -> None:
    """Be the program that the first word names, with the options of a JSON object. SIGTERM ends it as if its
    power had failed, once it has written its notes."""
    what, options = sys.argv[1], json.loads(sys.argv[2])
    notes, folder = Notes(), Path(options.pop("folder"))
    name, profile = options.pop("name"), Profile() if options.pop("profile", False) else None

    async def work() -> None:
        def end() -> None:
            if profile is not None:
                profile.write(folder / f"{name}.profile")
            notes.write(folder / f"{name}.json")
            os._exit(0)

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        if profile is not None:
            profile.begin()
        if what == "fleet":
            drawn = fleet.Work(**options.pop("work"))
            await fleet.play(**options, folder=folder, work=drawn, notes=notes, ready=say_ready)
        await bot(**options, folder=folder, name=name, notes=notes, ready=say_ready)

    asyncio.run(work())


if __name__ == "__main__":
    main()
