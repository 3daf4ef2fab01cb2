"""kill -9 of the studio's process at named points between what is said, its job and its messages, in a world
that says everything again until it has been answered, as Discord does.

python -m proofs.talk.kills --rounds 20
python -m proofs.talk.kills --rounds 1 --bug "forgets the key"

Of each message there must be one turn, one job and one post in the end; the second message of a conversation
is said before the first has its picture, and its job must be made from that.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from core.job import Reply
from core.talk import Decision, State
from storage.database import Database
from storage.schema import turns
from studio.authority import Actor
from studio.talk.dialogues import Turn
from tests.studio.conftest import Opened, open_studio

SAID = ("a red house", "make it blue")
# A point: what the database is to write, whether the process dies before or after that, the how many-th time
POINTS = {
    "before the turn": ("add_turns", False, 1),
    "turn written": ("add_turns", True, 1),
    "posted, message not noted": ("note_message", False, 1),
    "message noted": ("note_message", True, 1),
    "before the job": ("_admit", False, 1),
    "job written, turn doesn't know": ("note_job", False, 1),
    "turn knows its job": ("note_job", True, 1),
    "second turn written": ("add_turns", True, 2),
    "the one that waits, before its job": ("_admit", False, 2),
    "the one that waits, job written": ("note_job", False, 2),
}


class World:
    """What outlives every process: messages that people have sent, and posts by what they answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, channel INTEGER, said TEXT)"
            )
            db.execute("CREATE TABLE IF NOT EXISTS posts (nonce TEXT PRIMARY KEY, id INTEGER, times INTEGER)")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            yield db

    def send(self, channel: int) -> None:
        with self._open() as db:
            for said in SAID:
                db.execute("INSERT INTO messages (channel, said) VALUES (?, ?)", (channel, said))

    def messages(self, channel: int) -> list[tuple[int, str]]:
        with self._open() as db:
            return db.execute(
                "SELECT id, said FROM messages WHERE channel = ? ORDER BY id", (channel,)
            ).fetchall()

    def post(self, nonce: str) -> int:
        """Post an answer; the same nonce again is the same post."""
        with self._open() as db:
            db.execute(
                "INSERT INTO posts (nonce, id, times)"
                " VALUES (?, (SELECT coalesce(max(id), 1000) + 1 FROM posts), 1)"
                " ON CONFLICT DO UPDATE SET times = times + 1",
                (nonce,),
            )
            return db.execute("SELECT id FROM posts WHERE nonce = ?", (nonce,)).fetchone()[0]

    def count_posts(self) -> int:
        with self._open() as db:
            return db.execute("SELECT count(*) FROM posts").fetchone()[0]


async def decide(actor: Actor, said: str, state: State) -> Decision:
    if state.shown is None:
        return Decision(kind="draw", words=said)
    return Decision(kind="change", changes=(said,))


async def keyless(submit: Callable[..., Any], *given: Any, once: str | None = None) -> Any:
    """Queue a job without the key of its turn: what a second process asks for is a second job."""
    return await submit(*given)


def dying(point: str | None) -> Any:
    """Let the process die at a point of what it writes."""
    write, seen = Database.write, Counter[str]()
    name, after, times = POINTS[point] if point else ("", False, 0)

    async def watched(self: Database, work: Callable[..., Any], *, first: bool = False) -> Any:
        called = work.func if isinstance(work, partial) else work
        what = getattr(called, "__name__", "")
        seen[what] += 1
        dies = what == name and seen[what] == times
        if dies and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = await write(self, work, first=first)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return mock.patch.object(Database, "write", watched)


async def is_there(actor: Actor, turn: Turn) -> None:
    """Show a step of a plan, as a bot does; there are none here."""


async def life(folder: Path, channel: int, point: str | None, bug: str | None = None) -> None:
    """One process: hear what wasn't answered, answer, and be done when all has its picture."""
    world, actor = World(folder / "world.db"), Actor(1, None, channel)
    with dying(point):
        async with open_studio(folder / "data", EDIT_MODEL="tiny/edit") as opened:
            dialogues = opened.studio.dialogues
            dialogues.decide = decide
            if bug:
                dialogues._submit = partial(keyless, dialogues._submit)
            with dialogues.telling(lambda _: None, show=is_there):
                await dialogues.resume()
                for message, said in world.messages(channel):
                    turn = await dialogues.say(actor, said, once=f"message:{message}")
                    shown = world.post(f"message:{message}")
                    if turn.message_id != shown:
                        await dialogues.said_with(actor, turn.id, shown)
                    if turn.asks:
                        await dialogues.submit(actor, turn, Reply(message_id=shown))
                await finished(opened, actor, [f"message:{m}" for m, _ in world.messages(channel)])


async def finished(opened: Opened, actor: Actor, onces: list[str]) -> None:
    """Wait until each of these turns has a job that is over."""
    for once in onces:
        turn: Turn | None = None
        for _ in range(2000):
            work = sa.select(turns.c.id).where(turns.c.once == once)
            turn_id = await opened.services.database.read(lambda c, work=work: c.scalar(work))
            turn = await opened.studio.dialogues.turn(actor, turn_id)
            if turn.job is not None and turn.job.status.over:
                break
            assert turn.job is not None or turn.asks, turn
            await asyncio.sleep(0.01)
        assert turn is not None and turn.job is not None and turn.job.status.over, turn


def lived(work: Callable[[], Awaitable[None]]) -> int:
    """Run a life in a process of its own; return its exit status, below 0 = killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(work())  # type: ignore[arg-type]
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def audit(folder: Path, channel: int) -> list[str]:
    """Return what is lost or doubled of a conversation."""
    with closing(sqlite3.connect(folder / "data" / "atelier.db")) as db:
        said = db.execute(
            "SELECT t.id, t.once, t.message_id, t.is_open, j.id, j.status, j.kind, j.parent_id, j.request_key"
            " FROM turns t LEFT JOIN jobs j ON j.id = t.job_id WHERE t.channel_id = ? ORDER BY t.seq",
            (channel,),
        ).fetchall()
        made = db.execute("SELECT count(*) FROM jobs WHERE channel_id = ?", (channel,)).fetchone()[0]
    problems = [] if len(said) == 2 else [f"{len(said)} turns of 2 messages"]
    problems += [] if made == 2 else [f"{made} jobs of 2 messages"]
    for turn_id, once, message, is_open, job_id, status, _, _, key in said:
        if job_id is None or is_open or status != "rendered" or key != f"turn:{turn_id}" or message is None:
            problems.append(f"turn {once}: job {job_id} {status}, open {is_open}, message {message}")
    if len(said) == 2 and said[1][7] != said[0][4]:
        problems.append("the second wasn't made from the first")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="kills at each point")
    parser.add_argument("--bug", choices=("forgets the key",), help="a fault that must be found")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    began, kills, problems = time.monotonic(), 0, list[str]()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        (folder / "data").mkdir()
        world = World(folder / "world.db")
        for round_ in range(options.rounds):
            for number, point in enumerate(POINTS):
                channel = 100 + round_ * len(POINTS) + number
                world.send(channel)
                status = lived(partial(life, folder, channel, point, options.bug))
                if status != -signal.SIGKILL:
                    problems.append(f"{point}: wasn't killed ({status})")
                kills += status == -signal.SIGKILL
                if (status := lived(partial(life, folder, channel, None, options.bug))) != 0:
                    problems.append(f"{point}: the next process ended with {status}")
                problems += [f"{point}: {one}" for one in audit(folder, channel)]
        posts = world.count_posts()
    expected = 2 * options.rounds * len(POINTS)
    if posts != expected:
        problems.append(f"{posts} posts of {expected} messages")
    for line in problems:
        print(line)
    print(f"{kills} kills at {len(POINTS)} points, {expected} messages: {len(problems)} problems,", end=" ")
    print(f"{time.monotonic() - began:.0f} s")
    raise SystemExit(bool(problems))


if __name__ == "__main__":
    main()
