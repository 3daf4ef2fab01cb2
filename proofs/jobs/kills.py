"""kill -9 of the queue's process and of its workers, at named points and at random, in a world that survives
them.

    python -m proofs.jobs.kills --kills 500
    python -m proofs.jobs.kills --kills 12 --bug "delivers before it is sure"
    python -m proofs.jobs.kills --kills 100 --videos --busy
    python -m proofs.jobs.kills --kills 100 --postgres

The world (a database of its own, that nobody kills) asks for pictures, hears "queued", and takes posts by
nonce as Discord
does: the same nonce again is the same post. At the end every ask that was heard must have exactly one job and
one post. With --videos every other ask is for a video: its post names the video, its poster and its ends, all
of which must be there, and at the end no folder of a worker may be left, nor any file that no row names
unless its job was given up.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import hashlib
import json
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from statistics import quantiles
from typing import Any
from unittest import mock

import psutil

from core.events import Failed, Rendered, Started
from core.job import Job, Origin, Reply
from core.requests import ImagineRequest
from core.requests.video import VideoRequest
from jobs.admission import Limits
from jobs.executors.local import LocalExecutor
from jobs.inputs import Incoming
from jobs.queue import Queue, Result
from storage import job_queries
from storage import jobs as rows
from storage.blobs import local as files_module
from storage.blobs import removal
from storage.database import open_database
from storage.identity import Identity
from tests.jobs import video_worker
from tests.jobs.conftest import open_queue
from tests.jobs.fake_worker import picture_of
from tests.support import buckets, postgres
from tests.support.forks import forks
from tests.support.fresh import address_in
from tests.support.rows import rows as rows_of
from vision.protocol import WorkerConfig

POINTS = ("asked", "claimed", "in a file", "saved", "rendered", "posted")
VIDEO_POINTS = ("given a folder", "in a video's file", "video taken", "folder removed")
ASKS_AT_ONCE = 4  # asks the world has open at a time
LAST_WORDS = 1.0  # s in which a process that gives no sign tells where it stands
ALL_POINTS = (*POINTS, *VIDEO_POINTS)
KILOBYTES = 64  # of a video
KINDS = (*POINTS, "process at random", "worker at random")
VIDEO_KINDS = (*VIDEO_POINTS, *KINDS)
LIMITS = Limits(user_waiting=10**6, guild_waiting=10**6, disk_floor=0)
BUGS = ("forgets what ran", "never says it twice", "leaves what was written")


class World:
    """What outlives every process. Each method is one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as db:
            db.executescript("""
                PRAGMA journal_mode=WAL;
                CREATE TABLE IF NOT EXISTS asks (interaction INTEGER PRIMARY KEY, heard TEXT);
                CREATE TABLE IF NOT EXISTS posts
                    (nonce TEXT PRIMARY KEY, words TEXT, times INTEGER DEFAULT 1);
                CREATE TABLE IF NOT EXISTS signs (at REAL);
            """)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            db.execute("PRAGMA synchronous=OFF")  # the machine survives
            yield db

    def keep_asking(self) -> None:
        """``ASKS_AT_ONCE`` are open."""
        with self._open() as db:
            (open_,) = db.execute(
                "SELECT (SELECT count(*) FROM asks) - (SELECT count(*) FROM posts)"
            ).fetchone()
            db.executemany("INSERT INTO asks (heard) VALUES (?)", [(None,)] * (ASKS_AT_ONCE - open_))

    def unheard(self) -> list[int]:
        """What nobody has answered yet, and, as a gateway replays, the last thing that somebody has."""
        with self._open() as db:
            open_ = [i for (i,) in db.execute("SELECT interaction FROM asks WHERE heard IS NULL")]
            return open_ + [
                i
                for (i,) in db.execute(
                    "SELECT interaction FROM asks WHERE heard IS NOT NULL ORDER BY interaction DESC LIMIT 1"
                )
            ]

    def hear(self, interaction: int, job_id: str) -> None:
        with self._open() as db:
            db.execute(
                "UPDATE asks SET heard = ? WHERE interaction = ? AND heard IS NULL", (job_id, interaction)
            )
            (heard,) = db.execute("SELECT heard FROM asks WHERE interaction = ?", (interaction,)).fetchone()
        assert heard == job_id, "one interaction was told of two jobs"

    def post(self, nonce: str, words: str) -> None:
        with self._open() as db:
            db.execute(
                "INSERT INTO posts (nonce, words) VALUES (?, ?) ON CONFLICT DO UPDATE SET times = times + 1",
                (nonce, words),
            )

    def sign(self) -> None:
        with self._open() as db:
            db.execute("INSERT INTO signs VALUES (?)", (time.time(),))

    def first_sign_after(self, moment: float) -> float | None:
        with self._open() as db:
            return db.execute("SELECT min(at) FROM signs WHERE at > ?", (moment,)).fetchone()[0]

    def count(self) -> tuple[int, int]:
        """Asks heard, posts."""
        with self._open() as db:
            return db.execute(
                "SELECT (SELECT count(heard) FROM asks), (SELECT count(*) FROM posts)"
            ).fetchone()

    def audit(self, database: str) -> list[str]:
        """What is lost or doubled. database: its address."""
        found = rows_of(database, "SELECT id, interaction_id, status FROM jobs")
        return self.problems_with({i: (interaction, status) for i, interaction, status in found})

    def problems_with(self, jobs: dict[str, tuple[int, str]]) -> list[str]:
        """What is lost or doubled. jobs: id → interaction and status."""
        with self._open() as db:
            asks = dict(db.execute("SELECT heard, interaction FROM asks WHERE heard IS NOT NULL"))
            posts = dict(db.execute("SELECT nonce, words FROM posts"))
        problems = [f"job {i} was heard of and is lost" for i in asks if i not in jobs]
        problems += [f"job {i} was never posted" for i in asks if i not in posts]
        problems += [f"job {i} was posted and nobody asked for it" for i in posts if i not in jobs]
        problems += [
            f"job {i} is {status}" for i, (_, status) in jobs.items() if status not in ("delivered", "failed")
        ]
        if len({interaction for interaction, _ in jobs.values()}) != len(jobs):
            problems.append("an interaction made two jobs")
        for job_id, words in posts.items():
            seed = jobs[job_id][0] if job_id in jobs else -1
            if words not in ("failed", picture_of(seed).data.hex(), _video_words(seed)):
                problems.append(f"job {job_id} was posted with another's picture or video")
        return problems


# The process that gets killed


@dataclass(frozen=True)
class Life:
    """What a process is told. database: its address. point: where it kills itself, at which ``occurrence``.
    bucket: the address of an S3 server that has the files; "" = a folder."""

    folder: Path
    database: str
    point: str | None = None
    occurrence: int = 0
    bug: str | None = None
    videos: bool = False
    bucket: str = ""


async def serve(life: Life) -> None:
    folder, videos = life.folder, life.videos
    video_worker.register()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, _tell_tasks)
    world = World(folder / "world.db")
    executor = LocalExecutor(
        [WorkerConfig(d, {}, "") for d in ("cuda:0", "cuda:1")], target="tests.jobs.video_worker:main"
    )
    with _bug(life.bug):
        files = buckets.opened(buckets.Server("S3", life.bucket), folder, "kills") if life.bucket else None
        async with open_queue(folder, executor, LIMITS, files=files, address=life.database) as queue:
            if life.point:
                _arm(queue, life.point, life.occurrence)
            followed: set[str] = set()
            async with asyncio.TaskGroup() as group:

                def follow(job: Job) -> None:
                    if job.id not in followed:
                        followed.add(job.id)
                        group.create_task(_follow(queue, world, job))

                for job in await queue.undelivered():
                    follow(job)
                while True:
                    for interaction in world.unheard():
                        prompt = json.dumps({"steps": 4, "delay": 0.02, "kilobytes": KILOBYTES})
                        asked = VideoRequest if videos and interaction % 2 else ImagineRequest
                        request = asked(prompt=prompt, seed=interaction, num_images=1)
                        origin = Origin(interaction % 7, 2)
                        submitted = await queue.submit(request, origin, Reply(interaction))
                        world.hear(interaction, submitted.job.id)
                        follow(submitted.job)
                    await asyncio.sleep(0.02)


def _tell_tasks() -> None:
    """Say what every task waits for."""
    for task in asyncio.all_tasks():
        task.print_stack(limit=4)


async def _follow(queue: Queue, world: World, job: Job) -> None:
    async for event in queue.watch(job.id):
        if isinstance(event, Started):
            world.sign()
            _signed.append(True)
        if isinstance(event, Rendered):
            result = await queue.result(job.id)
            world.post(job.id, await _words_of(queue, result))
        elif isinstance(event, Failed):
            world.post(job.id, "failed")
        else:
            continue
        _reach("posted")
        await queue.delivered(job.id, message_id=abs(hash(job.id)), channel_id=2, rung="edit")


async def _words_of(queue: Queue, result: Result) -> str:
    """What a post of the result says: its picture, or the hashes of its video's files as they are on the
    disk."""
    poster = await queue.files.get(result.pictures[0].sha256)
    if not result.videos:
        return poster.hex()
    (video,) = result.videos
    assert video.ends is not None
    return _hashes(await queue.files.get(video.sha256), poster, await queue.files.get(video.ends))


def _video_words(seed: int) -> str:
    ends = f"ends of {seed}".encode()
    return _hashes(video_worker.video_bytes(seed, KILOBYTES), picture_of(seed).data, ends)


def _hashes(*files: bytes) -> str:
    return " ".join(hashlib.sha256(data).hexdigest() for data in files)


_armed: dict[str, int] = {}
_signed: list[bool] = []  # a life that ends before its first sign would look like one that never began


def _reach(point: str) -> None:
    if point in _armed and _signed:
        _armed[point] -= 1
        if _armed[point] < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _arm(queue: Queue, point: str, occurrence: int) -> None:
    _armed[point] = occurrence
    dispatcher = queue.dispatcher

    def before(owner: Any, name: str, when: Callable[..., bool] = lambda *a: True) -> None:
        real = getattr(owner, name)

        @wraps(real)
        def wrapper(*arguments: Any, **options: Any) -> Any:
            if when(*arguments):
                _reach(point)
            return real(*arguments, **options)

        setattr(owner, name, wrapper)

    if point == "asked":
        before(dispatcher, "enqueue")
    elif point == "claimed":
        before(dispatcher, "_on_device")
    elif point == "in a file":
        before(files_module.os, "replace")
    elif point == "given a folder":
        before(dispatcher.incoming, "make")
    elif point == "in a video's file":
        before(files_module, "hashed")
    elif point == "video taken":
        before(dispatcher.saving, "_save_one", lambda picture, index: queue.files.incoming.is_dir())
    elif point == "folder removed":
        before(dispatcher.incoming, "_remove")
    elif point == "saved":
        before(rows, "finish")
    elif point == "rendered":
        before(dispatcher._outcomes, "publish_end", lambda job_id, event: isinstance(event, Rendered))


@contextmanager
def _bug(name: str | None) -> Iterator[None]:
    def nothing(connection: Any, *arguments: Any, **options: Any) -> list[Any]:
        return []

    patches = {
        None: lambda: mock.patch.dict(_armed),
        "forgets what ran": lambda: mock.patch.object(rows, "recover", nothing),
        "leaves what was written": lambda: mock.patch.object(Incoming, "remove", nothing),
        "never says it twice": lambda: mock.patch.object(job_queries, "undelivered", nothing),
    }
    with patches[name]():
        yield


# The killer


@dataclass
class Figures:
    kills: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    back: list[float] = field(default_factory=list)
    heard: int = 0
    posts: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        back = quantiles(self.back, n=100) if len(self.back) > 1 else (self.back or [float("nan")]) * 99
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.by_kind.items()))
        return (
            f"{self.kills} kills ({kinds}); {self.heard} jobs, {self.posts} posts, {len(self.problems)} lost"
            f" or doubled; back at work: p50 {back[49]:.1f} s, p99 {back[98]:.1f} s"
        )


def measure(
    folder: Path,
    kills: int,
    *,
    kinds: Sequence[str] = KINDS,
    seed: int = 0,
    bug: str | None = None,
    patience: float = 60.0,
    forked: bool = False,
    videos: bool = False,
    bucket: str = "",
    database: str = "",
) -> Figures:
    """database: the address of an empty one on a server; "" = a file in the folder."""
    chance, world, figures = random.Random(seed), World(folder / "world.db"), Figures()
    order = [kinds[number % len(kinds)] for number in range(kills)]
    database = database or address_in(folder)
    life = Life(folder, database, bug=bug, videos=videos, bucket=bucket)
    start = partial(_start, life, chance, forked=forked)
    process = start(order[0])
    try:
        for number, kind in enumerate(order):
            killed_at = _kill(chance, world, process, kind, max(patience, 60.0))
            figures.kills += 1
            figures.by_kind[kind] = figures.by_kind.get(kind, 0) + 1
            following = order[number + 1] if number + 1 < kills else None
            if process.poll() is not None:
                process = start(following)
            elif following in ALL_POINTS:  # it lives, but isn't armed
                process.kill()
                process.wait()
                process = start(following)
            back = _wait(lambda at=killed_at: world.keep_asking() or world.first_sign_after(at), patience)
            if back is None:
                figures.problems.append(
                    f"no sign in {patience:.0f} s after kill {number} ({kind}); {_standing(process, folder)}"
                )
                break
            figures.back.append(back - killed_at)
        _wait(lambda: _all_done(world, database), patience)
        figures.problems += [] if bucket else _left_over(folder, database, patience)
    finally:
        process.kill()
        process.wait()
    figures.heard, figures.posts = world.count()
    figures.problems += world.audit(database)
    return figures


@dataclass
class _Forked:
    """A process of ``forks()``, with the words of ``subprocess.Popen``: it is there a second sooner."""

    process: ForkServerProcess

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()

    def wait(self) -> None:
        self.process.join()


Process = subprocess.Popen[bytes] | _Forked


def _start(life: Life, chance: random.Random, kind: str | None, *, forked: bool) -> Process:
    """A process that, for a named point, kills itself there some time after its first sign of life."""
    occurrence, point = chance.randrange(3), kind if kind in ALL_POINTS else None
    life = replace(life, point=point, occurrence=occurrence)
    if forked:
        process = forks().Process(target=_live, args=(life,))
        process.start()
        return _Forked(process)
    entry = (
        "from proofs.jobs.kills import main; main()"  # as -m, each of its workers would import it all again
    )
    words = [sys.executable, "-c", entry, "--serve", str(life.folder), "--occurrence", str(occurrence)]
    words += ["--database", life.database]
    words += ["--point", point] if point else []
    words += ["--bug", life.bug] if life.bug else []
    words += ["--videos"] if life.videos else []
    words += ["--bucket", life.bucket] if life.bucket else []
    return subprocess.Popen(words)


def _live(life: Life) -> None:
    with (life.folder / "stderr.txt").open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    faulthandler.register(signal.SIGUSR1)
    logging.disable(logging.CRITICAL)
    asyncio.run(serve(life))


def _kill(chance: random.Random, world: World, process: Process, kind: str, patience: float) -> float:
    """See the process die at its point, or kill it, or one worker of it; when that was."""
    if kind in ALL_POINTS:
        dead = _wait(lambda: world.keep_asking() or process.poll(), patience)
        assert dead == -signal.SIGKILL, f"it did not reach {kind!r}, but ended with {dead}"
        return time.time()
    end = time.monotonic() + chance.random() * 2.5
    while time.monotonic() < end:
        world.keep_asking()
        time.sleep(0.02)
    if kind == "worker at random":
        victims = [c for c in psutil.Process(process.pid).children() if "spawn_main" in " ".join(c.cmdline())]
        if victims:
            chance.choice(victims).kill()
            return time.time()
    process.kill()
    process.wait()
    return time.time()


def _standing(process: Process, folder: Path) -> str:
    """Where a process and its workers stand: the stacks of their threads, and of its tasks."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.send_signal(signal.SIGUSR1)
        for which in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(process.pid, which)
        time.sleep(LAST_WORDS)
    return f"the process: {process.poll()} {(folder / 'stderr.txt').read_text()}"


def _all_done(world: World, database: str) -> bool | None:
    heard, posts = world.count()
    ((open_,),) = rows_of(database, "SELECT count(*) FROM jobs WHERE delivered_at IS NULL")
    return (heard == posts and not open_) or None


def _left_over(folder: Path, database: str, patience: float) -> list[str]:
    """What videos leave behind that they shouldn't, once all jobs are over."""
    incoming = folder / "incoming"
    _wait(lambda: not incoming.is_dir() or not list(incoming.iterdir()) or None, patience)
    problems = [f"the folder of job {path.name} is left" for path in incoming.glob("*")]
    named = ("sha256 FROM pictures", "sha256 FROM films", "ends_sha256 FROM films")
    known = {sha256 for what in named for (sha256,) in rows_of(database, f"SELECT {what}")}
    ((failed,),) = rows_of(database, "SELECT count(*) FROM jobs WHERE status = 'failed'")
    stored = {path.stem: path for path in (folder / "pictures").glob("??/??/*")}
    if not failed:
        problems += [f"no row names {path.name}" for sha256, path in stored.items() if sha256 not in known]
    return problems + [f"a row names {sha256}, which is gone" for sha256 in known - stored.keys() if sha256]


@dataclass(frozen=True)
class Left:
    """Objects of a bucket: missing ones that rows name, those that no row names, and these after a sweep."""

    objects: int
    missing: int
    orphans: int
    swept: int


async def left_in(bucket: str, folder: Path, database: str = "") -> Left:
    """Compare a bucket with the rows, and sweep it as if a day had gone by."""
    database = database or address_in(folder)
    files = buckets.opened(buckets.Server("S3", bucket), folder / "another machine", "kills")
    named = {sha256 for (sha256,) in rows_of(database, "SELECT sha256 FROM pictures")}

    async def names() -> set[str]:
        return {entry.sha256 async for entry in files.entries()}

    before = await names()
    async with open_database(database, None) as opened:
        with mock.patch.multiple(removal, ORPHANS_KEPT=-60.0, SHARE=1.0):
            sweep = removal.Removal(opened, files, Identity(opened, files, folder))
            await sweep.note_orphans()
            sweep.clock = lambda: removal.utc_now() + removal.ORPHANS_WAIT
            await sweep.remove()
    return Left(len(before), len(named - before), len(before - named), len(await names() - named))


def _wait(condition: Callable[[], Any], patience: float) -> Any:
    end = time.monotonic() + patience
    while (found := condition()) is None and time.monotonic() < end:
        time.sleep(0.02)
    return found


def check(figures: Figures, back_within: float = 5.0) -> None:
    assert not figures.problems, figures.problems[:5]
    assert figures.heard == figures.posts > 0
    assert len(figures.back) == figures.kills, "it did not come back to work"
    assert sorted(figures.back)[int(0.99 * (len(figures.back) - 1))] < back_within


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bug", choices=BUGS)
    parser.add_argument("--videos", action="store_true")
    parser.add_argument(
        "--busy", action="store_true", help="fork processes, and wait longer for signs of life"
    )
    parser.add_argument("--bucket", default="", help="moto: files lie in a bucket of its server")
    parser.add_argument("--postgres", action="store_true", help="rows lie on a server")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    parser.add_argument("--occurrence", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        own = {
            name: getattr(arguments, name) for name in ("database", "point", "occurrence", "bug", "videos")
        }
        return _live(Life(arguments.serve, **own, bucket=arguments.bucket))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        bucket = stack.enter_context(buckets.moto()).endpoint if arguments.bucket else ""
        database = ""
        if arguments.postgres:
            server = stack.enter_context(postgres.serving(durable=True))
            database = postgres.address(server.folder, postgres.TEMPLATE)
        kinds = VIDEO_KINDS if arguments.videos else KINDS
        figures = measure(
            Path(folder),
            arguments.kills,
            kinds=kinds,
            seed=arguments.seed,
            bug=arguments.bug,
            videos=arguments.videos,
            bucket=bucket,
            database=database,
            forked=arguments.busy,
            patience=300.0 if arguments.busy else 60.0,
        )
        if bucket:
            print(asyncio.run(left_in(bucket, Path(folder), database)))
    print(figures)
    check(figures, 60.0 if arguments.busy else 5.0)


if __name__ == "__main__":
    main()
