"""Up the ladder out of one machine, and down again, with old messages in the channel.

``python -m proofs.scale.ladder --history 10000``, or ``make scale-proof PROOF=ladder``: one studio with so
many jobs of history goes from SQLite and a folder to a bucket, to PostgreSQL, to two agents, and back. On
each rung old buttons are pressed that messages of the first rung left behind, and the same words and seed are
drawn: every press is answered, and the picture is the same.

Real processes: the bot and its agents with the demo models, PostgreSQL, nats-server and moto's S3. Discord is
that of the tests. The history is four jobs that were drawn, over and over with other numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import dataclasses
import io
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from core.job import new_job_id
from core.settings import ROOT
from tests.support import buckets, nats, postgres
from tests.support.messages import text_of
from tests.wire.discord import GUILD, Interaction, Message
from tests.wire.process import BotProcess
from tests.wire.test_buttons import BUTTON, Screen, parts, said

CHANNEL, MEMBER = GUILD + 1, 77
PROMPTS = ("a red house on grass", "a blue boat at sea", "a green tree in the snow", "a yellow star at night")
SAME = "a red ball on sand --seed 11"
WORKER = "vision.worker.main:main"
DATABASE = "ladder"
PATIENCE = 300.0
WRONG = ("❌", "went wrong", "newer version", "isn't there")
LEFT_OUT = ("delete", "dm")  # what takes the message away, and what is sent to another channel


@dataclasses.dataclass
class Rung:
    """A step of the ladder. pressed: old buttons. answered: seconds until each was."""

    name: str
    jobs: int = 0
    pressed: int = 0
    kinds: set[str] = dataclasses.field(default_factory=set)
    answered: list[float] = dataclasses.field(default_factory=list)
    moved: float = 0.0  # seconds, of rows or files
    picture: bytes = b""

    def __str__(self) -> str:
        most = max(self.answered, default=0.0)
        moved = f"; moved in {self.moved:.0f} s" if self.moved else ""
        return (
            f"{self.name}: {self.jobs} jobs, {self.pressed} old buttons of {len(self.kinds)} kinds answered"
            f" within {most:.1f} s{moved}"
        )


class Ladder:
    """The studio, and what is asked of it."""

    def __init__(self, discord: Screen, folder: Path, server: postgres.Server, seed: int) -> None:
        self.discord, self.folder, self.server = discord, folder, server
        self.settings: dict[str, str] = {
            "EXACT": "on",
            "CPU_THREADS": "1",
            "OWNER_IDS": "",
            "USER_RUNNING": "8",
        }
        self.bot: BotProcess | None = None
        self.agents: list[asyncio.subprocess.Process] = []
        self.rungs: list[Rung] = []
        self.problems: list[str] = []
        self.old: list[Message] = []  # grids of the first rung
        self.ids: list[str] = []  # of their jobs
        self.copies: dict[str, tuple[str, str]] = {}  # job of history → (what it copies, id of its message)
        self.rng = random.Random(seed)

    # Processes

    async def start(self) -> None:
        """Start the bot."""
        (self.folder / "bot").mkdir(exist_ok=True)
        self.bot = BotProcess(self.discord, self.folder / "bot", "--worker", WORKER, **self.settings)
        await self.bot.start()

    async def stop(self) -> None:
        """End it in order, if it runs."""
        bot, self.bot = self.bot, None
        if bot is not None:
            assert bot.process is not None
            bot.process.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(bot.process.wait(), 60)
            await bot.kill()

    async def stop_agents(self) -> None:
        """End the agents in order."""
        for agent in self.agents:
            with suppress(ProcessLookupError):
                agent.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(agent.wait(), 30)
            with suppress(ProcessLookupError):
                os.killpg(agent.pid, signal.SIGKILL)
        self.agents.clear()

    async def command(self, *words: str) -> float:
        """Run ``atelier …`` with the bot's settings; the seconds it took. Raises RuntimeError."""
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *words, cwd=ROOT, env=self._environment("bot"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"atelier {words[0]}: {out.decode()[-2000:]}")
        return time.monotonic() - began

    async def agent(self, host: str) -> None:
        """Start ``atelier worker`` on a machine of that name."""
        environment = {**self._environment(host), "NODE_NAME": host, "DEVICES": "cpu"}
        (self.folder / host).mkdir(exist_ok=True)
        with (self.folder / host / "process.log").open("ab") as log:
            self.agents.append(
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "bot",
                    "worker",
                    cwd=ROOT,
                    env=environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )  # fmt: skip
            )

    def _environment(self, name: str) -> dict[str, str]:
        mine = {"DATA_DIR": str(self.folder / name), "DISK_FLOOR_MB": "0", "DEVICES": "cpu"}
        return {**os.environ, **mine, **self.settings}

    # What is asked

    async def draw(self, words: str) -> Interaction:
        """Ask for pictures and wait for them."""
        made = self.discord.slash("imagine", CHANNEL, MEMBER, prompt=words)
        await self.discord.until(
            lambda: made.message and made.message.files and "job " in text_of(made.message),
            PATIENCE,
            every=0.1,
        )
        return made

    async def begin(self) -> None:
        """Draw what the history is made of."""
        for words in PROMPTS:
            made = await self.draw(words)
            assert made.message is not None
            self.old.append(made.message)
            actions = [part.custom_id.split(":") for part in parts(made.message)]
            self.ids.append(next(one[1] for one in actions if one[0] == "at"))

    def remember(self, history: int) -> None:
        """Write so many jobs of history beside those that were drawn. The bot is stopped."""
        path = self.folder / "bot" / "atelier.db"
        with closing(sqlite3.connect(path)) as database:
            database.row_factory = sqlite3.Row
            place = "SELECT * FROM {} WHERE {} = ?"
            for original in self.ids:
                [job] = database.execute(place.format("jobs", "id"), (original,)).fetchall()
                shown = database.execute(place.format("pictures", "job_id"), (original,)).fetchall()
                told = database.execute(place.format("messages", "job_id"), (original,)).fetchall()
                for _ in range(history // len(self.ids)):
                    new, message = new_job_id(), self.discord.new_id(age=self.rng.uniform(10**5, 10**8))
                    self.copies[new] = (original, str(message))
                    changed = {
                        "seq": None,
                        "id": new,
                        "interaction_id": None,
                        "request_key": None,
                        "press_key": None,
                    }
                    _insert(database, "jobs", {**dict(job), **changed, "message_id": message})
                    for row in shown:
                        _insert(database, "pictures", {**dict(row), "job_id": new})
                    for row in told[:1]:
                        _insert(database, "messages", {**dict(row), "job_id": new, "message_id": message})
            database.commit()

    def message(self, job: str) -> Message:
        """The old message of a job of history, as its channel shows it."""
        original, number = self.copies[job]
        known = self.old[self.ids.index(original)]
        buttons = json.loads(json.dumps(known.components).replace(original, job))
        message = dataclasses.replace(copy.copy(known), id=int(number), components=buttons, versions=[])
        self.discord.messages[message.id] = message
        return message

    async def press(self, rung: Rung) -> None:
        """Press an old button at random, and wait for what it does."""
        job = self.rng.choice(sorted(self.copies))
        known = [part for part in parts(self.message(job)) if part.kind == BUTTON]
        part = self.rng.choice([one for one in known if _action(one.custom_id) not in ("", *LEFT_OUT)])
        began = time.monotonic()
        made = self.discord.press(part.message, part.custom_id, MEMBER)
        try:
            await self.discord.until(lambda: said(self.discord, made), PATIENCE, every=0.1)
        except TimeoutError:
            self.problems.append(f"{rung.name}: no answer to {part.custom_id}")
            return
        text = said(self.discord, made)
        if any(sign in text for sign in WRONG):
            self.problems.append(f"{rung.name}: {part.custom_id}: {text[:200]}")
        rung.pressed += 1
        rung.kinds.add(_action(part.custom_id))
        rung.answered.append(time.monotonic() - began)

    async def stand(self, name: str, presses: int, moved: float = 0.0) -> None:
        """See that everything works on a rung."""
        rung = Rung(name, moved=moved)
        for _ in range(presses):
            await self.press(rung)
        made = await self.draw(SAME)
        assert made.message is not None
        with Image.open(io.BytesIO(made.message.files[0][1])) as picture:
            rung.picture = picture.convert("RGB").tobytes()
        if self.rungs and rung.picture != self.rungs[0].picture:
            self.problems.append(f"{name}: another picture for the same words and seed")
        rung.jobs = await asyncio.to_thread(self.count)
        before = self.rungs[-1].jobs if self.rungs else len(self.copies)
        if rung.jobs <= before:
            self.problems.append(f"{name}: {rung.jobs} jobs, after {before}")
        self.rungs.append(rung)
        print(rung, flush=True)

    def count(self) -> int:
        """How many jobs the rows know."""
        asked = "SELECT count(*) FROM jobs"
        if "DATABASE_URL" in self.settings:
            with postgres.connect(self.server.folder, DATABASE) as connection:
                found = connection.execute(asked).fetchone()
        else:
            with closing(
                sqlite3.connect(f"file:{self.folder / 'bot' / 'atelier.db'}?mode=ro", uri=True)
            ) as db:
                found = db.execute(asked).fetchone()
        return int(found[0])


def _action(custom_id: str) -> str:
    return custom_id.split(":")[2] if custom_id.startswith("at:") else ""


def _insert(database: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    into = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608
    database.execute(into, tuple(row.values()))


async def climb(ladder: Ladder, history: int, presses: int, bucket: buckets.Server, bus: str) -> None:
    """Go up rung by rung, and down again."""

    async def rung(name: str, move: Callable[[], Awaitable[float]] | None = None) -> None:
        await ladder.stop()
        moved = await move() if move else 0.0
        await ladder.start()
        await ladder.stand(name, presses, moved)

    await ladder.start()
    await ladder.begin()
    await ladder.stop()
    ladder.remember(history)
    await rung("SQLite, a folder, the bot's own worker")
    address = bucket.address("ladder")

    async def to_bucket() -> float:
        ladder.settings |= {"AWS_ACCESS_KEY_ID": buckets.KEY, "AWS_SECRET_ACCESS_KEY": buckets.SECRET}
        taken = await ladder.command("move-files", "--to", address)
        ladder.settings["FILES_URL"] = address
        return taken

    await rung("pictures in a bucket", to_bucket)

    async def to_postgres() -> float:
        url = postgres.address(ladder.server.folder, DATABASE)
        taken = await ladder.command("move-database", url)
        ladder.settings["DATABASE_URL"] = url
        return taken

    await rung("rows on PostgreSQL", to_postgres)

    async def to_agents() -> float:
        ladder.settings |= {"BUS_URL": bus, "DEVICES": "none"}
        for host in ("card1", "card2"):
            await ladder.agent(host)
        return 0.0

    await rung("two agents, no card of the bot's", to_agents)

    async def to_own_worker() -> float:
        await ladder.stop_agents()
        for name in ("BUS_URL", "DEVICES"):
            del ladder.settings[name]
        return 0.0

    await rung("back: its own worker", to_own_worker)

    async def to_sqlite() -> float:
        path = ladder.folder / "bot" / "atelier.db"
        for one in path.parent.glob("atelier.db*"):
            one.rename(one.with_name(f"old-{one.name}"))
        taken = await ladder.command("move-database", f"sqlite:///{path}")
        del ladder.settings["DATABASE_URL"]
        return taken

    await rung("back: SQLite", to_sqlite)

    async def to_folder() -> float:
        taken = await ladder.command("move-files", "--to", "files:")
        del ladder.settings["FILES_URL"]
        return taken

    await rung("back: a folder", to_folder)
    await ladder.stop()


@asynccontextmanager
async def built(folder: Path, seed: int) -> AsyncIterator[tuple[Ladder, buckets.Server, str]]:
    """The servers, and a studio that isn't started yet."""
    async with AsyncExitStack() as stack:
        server = postgres.Server()
        stack.callback(server.remove)
        server.start()
        with postgres.connect(server.folder) as connection:
            connection.autocommit = True
            connection.execute(f"CREATE DATABASE {DATABASE}")
        bus = stack.enter_context(nats.server())
        bucket = stack.enter_context(buckets.moto())
        discord = await stack.enter_async_context(Screen())
        ladder = Ladder(discord, folder, server, seed)
        stack.push_async_callback(ladder.stop)
        stack.push_async_callback(ladder.stop_agents)
        yield ladder, bucket, bus.url


def _tell_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*/process.log")):
        print(log.parent.name, log.read_text(errors="replace")[-3000:], sep="\n")


async def measure(folder: Path, history: int, presses: int, seed: int) -> Ladder:
    """Climb, and return what was seen."""
    async with built(folder, seed) as (ladder, bucket, bus):
        try:
            await climb(ladder, history, presses, bucket, bus)
        except BaseException:
            _tell_logs(folder)
            raise
    return ladder


def main() -> None:
    """Measure, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=10_000)
    parser.add_argument("--presses", type=int, default=12, help="old buttons on each rung")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ladder-") as folder:
        ladder = asyncio.run(measure(Path(folder), arguments.history, arguments.presses, arguments.seed))
    total, took = sum(rung.pressed for rung in ladder.rungs), time.monotonic() - began
    print(f"{len(ladder.rungs)} rungs, {total} presses, {len(ladder.problems)} problems; {took:.0f} s")
    print("\n".join(ladder.problems[:20]))
    raise SystemExit(1 if ladder.problems else 0)


if __name__ == "__main__":
    main()
