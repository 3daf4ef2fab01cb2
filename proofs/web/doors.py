"""Which door tells the end of a job: ``python -m proofs.web.doors``.

The studio is opened and closed again and again in one process, with jobs asked by both doors; many are cut
off before they are drawn, or before anybody is told. Discord's own delivery follows what it finds at each
start. Each job's end must be told by the door that it was asked at, and by no other.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import bot.delivery
from bot.delivery import Delivery
from bot.ui.replies import Post
from core.job import Job, Surface
from core.requests import ImagineRequest
from jobs.executors.base import Outcome, Report
from jobs.queue import Result
from studio.authority import Actor, Place
from studio.new_job import NewJob
from tests.jobs.hand_executor import HandExecutor
from tests.studio.conftest import AtOnce, Opened, open_studio
from vision.protocol import Run

PEOPLE = 5
ASKS = 4  # jobs of a life, at most
LONGEST = 0.03  # seconds of a life, after its asks
BUGS = ("Discord follows every job",)


class Slow(AtOnce):
    """Draws at once, or holds a job to the end of this life. held: jobs that were held in any life, each
    once. last: nothing is held any more."""

    def __init__(self, dice: random.Random, held: set[str], last: bool) -> None:
        super().__init__({"cpu": 4})
        self.dice, self.held_once, self.last = dice, held, last

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if not self.last and run.job_id not in self.held_once and self.dice.random() < 0.3:
            self.held_once.add(run.job_id)
            return await HandExecutor.run(self, device, run, report)
        return await super().run(device, run, report)


class Posts:
    """What Discord is shown, without pictures."""

    async def progress(self, job: Job, event: object, *, ran: float = 0.0) -> None:
        return None

    async def result(self, result: Result, limit: int, place: Place | None = None) -> Post:
        return Post(f"job {result.job.id}")

    async def kept(self, job: Job) -> Post:
        return Post(f"job {job.id}")


@dataclass
class Channel:
    """What stands on Discord. Posting takes a moment, in which a life can end."""

    dice: random.Random
    told: Counter[str] = field(default_factory=Counter)

    async def edit(self, job: Job, message: object, post: Post, *, patience: float) -> None:
        """Progress is nobody's end."""

    async def climb(self, job: Job, message: object, *posts: object) -> tuple[str, None]:
        await asyncio.sleep(self.dice.uniform(0, LONGEST / 4))
        self.told[job.id] = 1  # the same nonce is the same message, however often it is sent
        return "channel", None


@dataclass
class Figures:
    """by: how many jobs each door told the end of. wrong: jobs that none, both or the other one told."""

    restarts: int = 0
    jobs: int = 0
    cut_off: int = 0
    by: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


async def run(folder: Path, restarts: int, *, seed: int = 1, bug: str | None = None) -> Figures:
    dice, began = random.Random(seed), time.monotonic()
    channel, figures, asked = Channel(dice), Figures(), dict[str, tuple[Surface, int]]()
    held: set[str] = set()
    with _bug(bug):
        for number in range(restarts + 1):
            last = number == restarts
            async with open_studio(
                folder, executor=Slow(dice, held, last), USER_WAITING="100", GRACE_SECONDS="0"
            ) as opened:
                delivery = Delivery(opened.services.queue, Posts(), channel)
                await delivery.resume()
                figures.cut_off += await _unfinished(opened)
                for _ in range(0 if last else dice.randint(0, ASKS)):
                    await _ask(opened, delivery, dice, asked)
                await _live(opened, delivery, dice.uniform(0, LONGEST) if not last else None)
                await delivery.close(grace=0)
                if last:
                    await _count(opened, channel, asked, figures)
            figures.restarts += 1
    figures.seconds = time.monotonic() - began
    return figures


def _actor(user: int, surface: Surface) -> Actor:
    return Actor(user, None, 0 if surface is Surface.WEB else 100 + user, surface=surface)


async def _ask(
    opened: Opened, delivery: Delivery, dice: random.Random, asked: dict[str, tuple[Surface, int]]
) -> None:
    surface, user = (Surface.DISCORD, Surface.WEB)[len(asked) % 2], dice.randrange(PEOPLE)
    new = NewJob(ImagineRequest(prompt="a red house", seed=len(asked), num_images=1))
    job = (await opened.studio.submit(_actor(user, surface), new)).job
    asked[job.id] = surface, user
    delivery.follow(job)


async def _unfinished(opened: Opened) -> int:
    queue = opened.services.queue
    return sum([len((await queue.mine(user)).jobs) for user in range(PEOPLE)])


async def _live(opened: Opened, delivery: Delivery, seconds: float | None) -> None:
    """Let a life go on for so long; the last one until all is told."""
    if seconds is not None:
        await asyncio.sleep(seconds)
        return
    async with asyncio.timeout(60):
        while await _unfinished(opened) or delivery.tasks:  # noqa: ASYNC110  two objects at once
            await asyncio.sleep(0.01)


async def _count(
    opened: Opened, channel: Channel, asked: dict[str, tuple[Surface, int]], figures: Figures
) -> None:
    """Compare what each door told with what it had to tell. The web tells by its pages, which show what a job
    of its own has made."""
    figures.jobs = len(asked)
    undelivered = {job.id for job in await opened.services.queue.undelivered()}
    for job_id, (surface, user) in asked.items():
        seen = await opened.studio.gallery.look(_actor(user, Surface.WEB), job_id)
        told = {Surface.DISCORD} if channel.told[job_id] else set()
        if seen.result is not None and seen.job.origin.surface is Surface.WEB:
            told.add(Surface.WEB)
        if told == {surface} and job_id not in undelivered:
            figures.by[surface] += 1
        else:
            figures.wrong.append(job_id)


@contextmanager
def _bug(name: str | None) -> Iterator[None]:
    """A seeded bug: Delivery takes every job for Discord's."""
    if name is None:
        yield
        return
    plain = Delivery.follow

    def follow_all(self: Delivery, job: Job, *, resumed: bool = False) -> None:
        with mock.patch.object(bot.delivery, "Surface", mock.Mock(DISCORD=job.origin.surface)):
            plain(self, job, resumed=resumed)

    with mock.patch.object(Delivery, "follow", follow_all):
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bug", choices=BUGS)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        work = run(Path(folder), arguments.restarts, seed=arguments.seed, bug=arguments.bug)
        figures = asyncio.run(work)
    print(
        f"{figures.restarts} lives in {figures.seconds:.0f} s: {figures.jobs} jobs, {figures.cut_off} times"
        f" one went on in a later life; told by Discord {figures.by[Surface.DISCORD]}, by the web"
        f" {figures.by[Surface.WEB]}, by none, both or the other one {len(figures.wrong)}"
    )
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
