"""kill -9 of leaders and followers: two to four programs on one database of a server, in a world that
survives them all.

``python -m tests.scale.leaders --kills 100 --programs 3``, or ``make scale-proof``.

The world asks for pictures and takes posts by nonce, as in ``tests.jobs.kills``. Each ask is told to one
program, and to another when nobody has answered. Each program tells of the jobs of its own members, and of
those that the one before it has left. At the end every ask that was heard has one job and one post. The
leader draws in its own process, as quickly as an agent elsewhere would begin; how soon a new one does is
measured.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from statistics import quantiles
from typing import Any
from unittest import mock

from core.events import Failed, Rendered, Started
from core.job import Job, Origin, Reply
from core.requests import ImagineRequest, from_json
from jobs.executor import Outcome, Report
from jobs.sharing.queue import SharedQueue
from storage.database import Database, open_database
from storage.filing.folder import Folder
from tests import postgres
from tests.forks import forks
from tests.jobs.fake_worker import output_of
from tests.jobs.hand_executor import HandExecutor
from tests.jobs.kills import LIMITS, World
from tests.rows import rows
from vision.protocol import Done, Run

MEMBERS = 7
DRAW = 0.1  # s
ASK_AGAIN = 1.0  # s after which an ask that nobody has heard is told to another program
EVERY = 0.2  # s between two looks, so that many kills take less time; a bot's is 1 s
BUGS = ("both lead", "no one looks")


class Quick(HandExecutor):
    """Draws by itself, for a moment."""

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        asyncio.get_running_loop().call_later(DRAW, self._drawn, run)
        return await super().run(device, run, report)

    def _drawn(self, run: Run) -> None:
        if run.job_id in self.held:
            self.end(Done(run.job_id, output_of(from_json(run.kind, run.request))))


class Shared(World):
    """A world with several programs. It notes who leads, and since when."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self._open() as db:
            db.execute("CREATE TABLE IF NOT EXISTS leaders (at REAL, pid INTEGER, leads INTEGER)")

    def lead(self, leads: bool) -> None:
        with self._open() as db:
            db.execute("INSERT INTO leaders VALUES (?, ?, ?)", (time.time(), os.getpid(), leads))

    def leader(self) -> int | None:
        """The process that has led last, None when it has stopped."""
        with self._open() as db:
            row = db.execute("SELECT pid, leads FROM leaders ORDER BY at DESC LIMIT 1").fetchone()
        return row[0] if row and row[1] else None

    def leading(self) -> set[int]:
        """The processes whose last word is that they lead."""
        with self._open() as db:
            notes = db.execute("SELECT pid, leads FROM leaders ORDER BY at").fetchall()
        return {pid for pid, leads in dict(notes).items() if leads}

    def for_program(self, number: int, programs: int) -> list[int]:
        """Asks that this program is told now."""
        turn = int(time.time() / ASK_AGAIN)
        return [one for one in self.unheard() if (one + turn) % programs == number]


async def serve(folder: Path, address: str, number: int, programs: int, bug: str | None) -> None:
    """Be one of the programs until killed."""
    world = Shared(folder / "world.db")
    executor = Quick({"cuda:0": 2})
    with _bug(bug):
        async with open_database(address, None, several=True) as database:
            files = Folder(folder / "pictures", ballast_bytes=4096)
            queue = SharedQueue(database, files, executor, LIMITS, on_leading=world.lead, every=EVERY)
            await queue.start()
            followed: set[str] = set()
            async with asyncio.TaskGroup() as group:

                def follow(job: Job) -> None:
                    if job.id not in followed:
                        followed.add(job.id)
                        group.create_task(_follow(queue, world, job))

                while True:
                    for job in await queue.undelivered():
                        if job.origin.user_id % programs == number:  # its members' jobs
                            follow(job)
                    for interaction in world.for_program(number, programs):
                        request = ImagineRequest(prompt="a red house", seed=interaction, num_images=1)
                        origin = Origin(interaction % MEMBERS, 2)
                        submitted = await queue.submit(request, origin, Reply(interaction))
                        world.hear(interaction, submitted.job.id)
                    await asyncio.sleep(0.05)


async def _follow(queue: SharedQueue, world: Shared, job: Job) -> None:
    async for event in queue.watch(job.id):
        if isinstance(event, Started) and queue.leads:
            world.sign()
        if isinstance(event, Rendered):
            result = await queue.result(job.id)
            world.post(job.id, (await queue.files.get(result.pictures[0].sha256)).hex())
        elif isinstance(event, Failed):
            world.post(job.id, "failed")
        else:
            continue
        await queue.delivered(job.id, message_id=abs(hash(job.id)), channel_id=2, rung="edit")


@contextmanager
def _bug(name: str | None) -> Iterator[None]:
    async def yes(self: Database) -> bool:
        return True

    async def nothing(self: SharedQueue) -> None:
        pass

    with ExitStack() as patches:
        if name == "both lead":
            patches.enter_context(mock.patch.object(Database, "lead", yes))
            patches.enter_context(mock.patch.object(Database, "leads", property(lambda self: True)))
        if name == "no one looks":
            patches.enter_context(mock.patch.object(SharedQueue, "_look", nothing))
        yield


def _live(folder: Path, address: str, number: int, programs: int, bug: str | None) -> None:
    with (folder / f"stderr-{number}.txt").open("ab") as file:
        os.dup2(file.fileno(), 2)
    asyncio.run(serve(folder, address, number, programs, bug))


@dataclass
class Figures:
    """next: seconds from a leader's death until another leads. drawn: until a job is started."""

    kills: int = 0
    leaders: int = 0
    next: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    heard: int = 0
    posts: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.leaders} of a leader; {self.heard} jobs, {self.posts} posts,"
            f" {self.failed} given up after three cuts, {len(self.problems)} lost or doubled;"
            f" next leader {_spread(self.next)}, its first job {_spread(self.drawn)}"
        )


def _spread(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return f"{seconds}"
    found = quantiles(seconds, n=100)
    return f"p50 {found[49]:.2f} s, p99 {found[98]:.2f} s, most {max(seconds):.2f} s"


def measure(
    folder: Path, address: str, kills: int, programs: int, *, seed: int = 0, bug: str | None = None,
    patience: float = 60.0,
) -> Figures:  # fmt: skip
    """Kill so often, the leader every second time."""
    chance, world, figures = random.Random(seed), Shared(folder / "world.db"), Figures()
    running = {n: _start(folder, address, n, programs, bug) for n in range(programs)}
    try:
        for number in range(kills):
            _spend(world, 0.3 + chance.random())
            leader = _until(lambda: _number_of(running, world.leader()), world, patience)
            if leader is None:
                figures.problems.append(f"nobody leads before kill {number}")
                break
            alive = {one.pid for one in running.values() if one.is_alive()}
            if len(alive & world.leading()) > 1:
                figures.problems.append(f"two lead before kill {number}")
                break
            victim = leader if number % 2 == 0 else chance.randrange(programs)
            running[victim].kill()
            running[victim].join()
            at = time.time()
            figures.kills += 1
            if victim == leader:
                figures.leaders += 1
                found = _until(lambda gone=victim: _others(running, world.leader(), gone), world, patience)
                if found is None:
                    figures.problems.append(f"nobody leads after kill {number}")
                    break
                figures.next.append(time.time() - at)
            running[victim] = _start(folder, address, victim, programs, bug)
            back = _until(lambda at=at: world.first_sign_after(at), world, patience)
            if back is None:
                figures.problems.append(f"no job starts after kill {number}")
                break
            if victim == leader:
                figures.drawn.append(back - at)
        _until(lambda: _done(world, address), None, patience)
    finally:
        for one in running.values():
            one.kill()
            one.join()
    figures.heard, figures.posts = world.count()
    jobs = _jobs(address)
    figures.failed = sum(status == "failed" for _, status in jobs.values())
    figures.problems += world.problems_with(jobs)
    return figures


def _start(folder: Path, address: str, number: int, programs: int, bug: str | None) -> ForkServerProcess:
    process = forks().Process(target=_live, args=(folder, address, number, programs, bug))
    process.start()
    return process


def _spend(world: Shared, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        world.keep_asking()
        time.sleep(0.05)


def _until(condition: Any, world: Shared | None, patience: float) -> Any:
    end = time.monotonic() + patience
    while (found := condition()) is None and time.monotonic() < end:
        if world is not None:
            world.keep_asking()
        time.sleep(0.02)
    return found


def _number_of(running: dict[int, ForkServerProcess], pid: int | None) -> int | None:
    return next((n for n, one in running.items() if one.pid == pid and one.is_alive()), None)


def _others(running: dict[int, ForkServerProcess], pid: int | None, victim: int) -> int | None:
    found = _number_of(running, pid)
    return None if found == victim else found


def _jobs(address: str) -> dict[str, tuple[int, str]]:
    found = rows(address, "SELECT id, interaction_id, status FROM jobs")
    return {job: (interaction, status) for job, interaction, status in found}


def _done(world: Shared, address: str) -> bool | None:
    heard, posts = world.count()
    over = all(status in ("delivered", "failed") for _, status in _jobs(address).values())
    return (heard == posts and over) or None


def main() -> None:
    """Measure on a server of its own, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--programs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bug", choices=BUGS)
    arguments = parser.parse_args()
    server = postgres.Server(durable=True)
    try:
        server.start()
        postgres.make_template(server.folder)
        address = postgres.address(server.folder, postgres.TEMPLATE)
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(
                Path(folder), address, arguments.kills, arguments.programs, seed=arguments.seed,
                bug=arguments.bug,
            )  # fmt: skip
            if figures.problems:
                for path in sorted(Path(folder).glob("stderr-*")):
                    print(path.name, path.read_text()[-3000:])
    finally:
        server.remove()
    print(figures)
    print("\n".join(figures.problems[:20]))
    raise SystemExit(1 if figures.problems else 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    main()
