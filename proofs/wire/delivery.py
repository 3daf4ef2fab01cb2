"""Many deliveries, half of them hit by a network fault: ``python -m proofs.wire.delivery --n 5000``.

The real ``bot.delivery.Delivery`` and discord.py's real HTTP client against a Discord on 127.0.0.1;
only the queue is played. Exactly one message for each job must stand there at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import discord as library
from PIL import Image

from bot.delivery import Delivery, JobMessage, Ladder, Rations, Sent
from bot.discord_api.http import Breaker, Transport
from bot.posts import Posts, VideoPosts
from bot.projects.results import OwnPosts
from bot.ui.replies import Post
from core.events import Event, Progress, Queued, Rendered, Started
from core.job import Job, Lane, Origin, Reply, Status, new_job_id
from core.requests import ImagineRequest
from jobs.feed import Wait
from jobs.queue import Result
from proofs.wire.launch import point_at
from storage.blobs.local import Folder
from storage.job_queries import StoredPicture
from studio.authority import Place
from studio.library.clips import Clips, Strips, VideoShowing
from studio.library.rendition import Showing, Thumbnails
from studio.media.provenance import Marker
from studio.media.uploads import Intake
from studio.moderation.rules import Visibility
from tests.support.messages import text_of
from tests.wire.discord import APPLICATION, FAULTS, GUILD, TOKEN, Call, Discord, Message

AT_ONCE = 64  # deliveries in flight
LONGEST = 120.0  # seconds; a delivery that takes longer counts as lost
OLD = 20 * 60.0  # seconds: this interaction's token is dead
RUNGS = {"edit": 50, "channel": 28, "refused token": 10, "own message": 10, "dm": 2}  # percent of all jobs
CHANNEL = GUILD + 1
HISTORY = (Queued(2, 9.0), Started(), Progress(1, 4), Progress(3, 4), Rendered())


class PlayedQueue:
    """As much of ``jobs.queue.Queue`` as a delivery asks for. ``events``: job id → what each watcher of it
    will see, in order."""

    def __init__(self, picture: StoredPicture) -> None:
        self.picture = picture
        self.jobs: dict[str, Job] = {}
        self.events: dict[str, Callable[[], AsyncIterator[Event]]] = {}
        self.delivered_by: dict[str, str] = {}

    def add(
        self,
        asked: tuple[Origin, Reply],
        events: Callable[[], AsyncIterator[Event]] | None = None,
        **values: Any,
    ) -> Job:
        job = Job(
            new_job_id(),
            ImagineRequest(prompt="a red house", seed=5),
            asked[0],
            Status.RENDERED,
            Lane.FAST,
            datetime.now(UTC),
            reply=asked[1],
            **values,
        )
        self.jobs[job.id] = job
        self.events[job.id] = events or _history
        return job

    def watch(self, job_id: str, wait: Wait | None = None) -> AsyncIterator[Event]:
        return self.events[job_id]()

    def repeat(self, job_id: str) -> None:
        """What is played here doesn't stand still."""

    async def undelivered(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.id not in self.delivered_by]

    async def job(self, job_id: str) -> Job | None:
        return self.jobs.get(job_id)

    async def result(self, job_id: str) -> Result:
        return Result(self.jobs[job_id], (self.picture,), None, parameters={"model": "played"})

    async def remember_message(
        self, job_id: str, message_id: int, channel_id: int, guild_id: int | None
    ) -> bool:
        return True

    async def delivered(
        self, job_id: str, *, message_id: int | None, channel_id: int | None, rung: str
    ) -> bool:
        self.delivered_by[job_id] = rung
        return True


async def _history() -> AsyncIterator[Event]:
    for event in HISTORY:
        yield event


class Forgetful(Ladder):
    """A seeded bug: sends carry no nonce."""

    async def _send(self, channel: Any, job: Job, message: JobMessage, post: Post, patience: float) -> Sent:
        async def call() -> Sent:
            sent = await post.put_in(await channel.send(post.notice(job)))
            return Sent(sent.id, sent.channel.id)

        return await self._transport.attempt(call, patience=patience)


class Hasty(Delivery):
    """A seeded bug: what fails is not taken up again."""

    async def _follow_again(self, job: Job, followed: Any) -> None:
        with suppress(Exception):
            await self._follow(job, followed)


class Impatient(Transport):
    """A seeded bug: no request is tried again."""

    async def attempt(self, call: Callable[[], Awaitable[Any]], *, patience: float) -> Any:
        return await super().attempt(call, patience=0)


@dataclass
class Bench:
    """A connected client with a delivery, and the Discord it talks to."""

    discord: Discord
    queue: PlayedQueue
    delivery: Delivery
    client: library.Client
    posts: Posts
    ladder: Ladder
    files: Folder
    moderator: Lenient

    def another(self, rations: Rations | None = None) -> Delivery:
        """A delivery beside this one."""
        return Delivery(self.queue, self.posts, self.ladder, rations=rations)  # type: ignore[arg-type]

    def origin(self, rung: str, number: int, age: float = 0.0) -> tuple[Origin, Reply]:
        """Of a job whose result should take this rung."""
        user, channel = 10_000 + number, CHANNEL + 1 + number % 100
        if rung == "own message":
            own = self.discord.post(channel, "…")
            return Origin(user, channel, GUILD), Reply(message_id=own.id)
        made = self.discord.deferred(channel, user, age=OLD if rung == "channel" else age)
        if rung == "refused token":  # it dies earlier than it should
            made.born -= OLD
        if rung == "dm":
            made.born -= OLD
            channel = made.channel_id = 900 + number
            self.discord.forbidden.add(channel)
        return Origin(user, channel, GUILD), Reply(made.id, made.token, APPLICATION)


class Lenient:
    """A moderator that shows everything: what may be shown is tried elsewhere."""

    veils_dms = False

    async def visibility(self, _: object, place: Place) -> Visibility:
        veiled = self.veils_dms and place.guild_id is None
        return Visibility.SPOILER if veiled else Visibility.SHOW

    async def visibilities(self, sha256s: Sequence[str], place: Place) -> list[Visibility]:
        return [await self.visibility(sha256s, place) for _ in sha256s]

    async def shows_preview(self, *_: object) -> bool:
        return True

    async def told(self, job: Job, *_: object) -> Job:
        return job

    async def captions(self, captions: list[str], *_: object) -> list[str]:
        return captions


async def _unnoted(user_id: int, sha256: str) -> None:
    pass


@asynccontextmanager
async def open_bench(
    folder: Path,
    *,
    kind: type[Delivery] = Delivery,
    ladder: type[Ladder] = Ladder,
    transport: Transport | None = None,
) -> AsyncIterator[Bench]:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 60, 60)).save(out, "PNG")
    files = Folder(folder)
    picture = StoredPicture(
        await files.put(out.getvalue(), "image/png"), "image/png", 64, 64, 5, 0, len(out.getvalue())
    )
    async with Discord() as discord:
        point_at(discord.url)
        client = library.Client(intents=library.Intents.none())
        async with client:
            await client.login(TOKEN)
            queue = PlayedQueue(picture)
            intake, moderator = Intake(files, 2**20, _unnoted), Lenient()
            marker, thumbnails = Marker(ai_mark=True), Thumbnails(files)
            showing = Showing(files, intake, moderator, thumbnails, marker=marker, parameters=True)  # type: ignore[arg-type]
            clips = Clips(files.incoming, "auto", max_bytes=2**20, max_seconds=9.0, max_pixels=2**20)
            reels = VideoShowing(files, clips, marker)
            videos = VideoPosts(reels, showing, moderator, "")  # type: ignore[arg-type]
            strips = Strips(files, queue, moderator)  # type: ignore[arg-type]
            own = OwnPosts(None, files)  # type: ignore[arg-type]
            asked: Any = None  # no job here is a turn's
            posts = Posts(showing, moderator, intake, strips, videos, own, dialogues=asked)  # type: ignore[arg-type]
            made = ladder(client, queue, transport or Transport())  # type: ignore[arg-type]
            delivery = kind(queue, posts, made)  # type: ignore[arg-type]
            client._connection.user = library.ClientUser(
                state=client._connection, data=discord._me(None)
            )  # READY would bring it
            bench = Bench(discord, queue, delivery, client, posts, made, files, moderator)
            yield bench
            await bench.delivery.close(grace=0)


@dataclass
class Report:
    """What stands in Discord after ``n`` deliveries. ``worst``: job ids."""

    n: int
    messages: int = 0
    lost: int = 0
    doubled: int = 0
    rungs: Counter[str] = field(default_factory=Counter)
    faults: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    worst: list[str] = field(default_factory=list)


async def run(folder: Path, n: int, seed: int = 1, **seeded: Any) -> Report:
    """``n`` deliveries with every second one hit. ``seeded``: of ``open_bench``."""
    dice, began = random.Random(seed), time.monotonic()
    kinds = dice.choices(list(RUNGS), list(RUNGS.values()), k=n)
    transport = seeded.pop("transport", None) or Transport(
        Breaker(limit=100 * n)
    )  # the breaker has tests of its own
    async with open_bench(folder, transport=transport, **seeded) as bench:
        origins = [bench.origin(rung, number) for number, rung in enumerate(kinds)]
        jobs = [bench.queue.add(origin) for origin in origins]
        plan = {job.id: FAULTS[i // 2 % len(FAULTS)] for i, job in enumerate(jobs) if i % 2}
        bench.discord.fault = planned(plan, dice)
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(deliver(bench, job, gate) for job in jobs))
        report = _count(bench, jobs)
    return replace(report, seconds=time.monotonic() - began)


def planned(plan: dict[str, str], dice: random.Random) -> Callable[[Call], str | None]:
    """The first request that would show the end of a planned job is hit, and one progress edit in twenty."""
    waiting = dict(plan)

    def fault(call: Call) -> str | None:
        if found := re.search("job[ :]([a-z2-9]{12})", call.text):
            return waiting.pop(found[1], None)
        return dice.choice(FAULTS) if call.method == "PATCH" and dice.random() < 0.05 else None

    return fault


async def deliver(bench: Bench, job: Job, gate: asyncio.Semaphore) -> None:
    """Until its follower ends, at most LONGEST."""
    async with gate:
        bench.delivery.follow(job)
        await asyncio.wait({bench.delivery.tasks[job.id]}, timeout=LONGEST)


def _count(bench: Bench, jobs: list[Job]) -> Report:
    shown: dict[str, list[Message]] = {job.id: [] for job in jobs}
    for message in bench.discord.messages.values():
        found = re.search("job[ :]([a-z2-9]{12})", text_of(message))
        if found and message.shown:
            shown[found[1]].append(message)
    report = Report(
        len(jobs), rungs=Counter(bench.queue.delivered_by.values()), faults=bench.discord.faults_done
    )
    for job_id, messages in shown.items():
        report.messages += len(messages)
        report.lost += not any(message.files for message in messages)
        report.doubled += len(messages) > 1
        report.worst += [job_id] * (len(messages) != 1)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), arguments.n, arguments.seed))
    print(
        f"{report.n} deliveries in {report.seconds:.1f} s: {report.messages} messages, {report.lost} lost,"
        f" {report.doubled} doubled"
    )
    print("rungs:", dict(report.rungs))
    print("faults:", dict(sorted(report.faults.items())))
    return 0 if report.messages == report.n and not report.lost and not report.doubled else 1


if __name__ == "__main__":
    sys.exit(main())
