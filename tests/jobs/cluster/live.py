"""Bots and agents as processes of their own, to be killed, and what rows and disk say of their jobs."""

import asyncio
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.job import Origin
from core.requests import ImagineRequest
from core.settings import load_settings
from jobs.admission import Limits
from jobs.cluster.executor import BusExecutor
from jobs.cluster.nats import connected
from jobs.cluster.protocol import Timing
from jobs.queue import Queue
from storage import jobs as rows
from tests.jobs.cluster.conftest import agent_of
from tests.jobs.conftest import open_queue

LIMITS = Limits(disk_floor=0, user_waiting=10_000, guild_waiting=10_000, user_running=100)


@dataclass(frozen=True)
class Plan:
    """The jobs that a bot asks for: ``count`` of ``steps`` steps, each of ``delay`` seconds."""

    count: int
    steps: int
    delay: float


async def _agent(url: str, host: str, folder: Path, slots: int) -> None:
    async with connected(load_settings({"BUS_URL": url, "NODE_NAME": host}, Path("/nowhere"))) as bus:
        agent = agent_of(bus, host, folder, slots=slots, timing=Timing())
        await agent.start()
        await asyncio.Event().wait()


async def _bot(url: str, folder: Path, plan: Plan) -> None:
    async with connected(load_settings({"BUS_URL": url, "NODE_NAME": "bot"}, Path("/nowhere"))) as bus:
        await bus.until_up(30)
        async with open_queue(folder, BusExecutor(bus, folder / "scratch"), LIMITS) as queue:
            await ask_for(plan, folder, queue)
            await asyncio.Event().wait()


async def ask_for(plan: Plan, folder: Path, queue: Queue) -> None:
    """Ask for the jobs; those that were asked for before are the same."""
    for number in range(plan.count):
        wish = {"steps": plan.steps, "delay": plan.delay, "count": str(folder / f"steps-{number}")}
        request = ImagineRequest(prompt=json.dumps(wish), seed=number)
        await queue.submit(request, Origin(number % 7 + 1, 2, request_key=f"job {number}"))


def start(*words: object, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start ``agent URL HOST FOLDER SLOTS`` or ``bot URL FOLDER COUNT STEPS DELAY``, for the caller to
    end."""
    entry = "from tests.jobs.cluster.live import main; main()"
    command = [*prefix, sys.executable, "-c", entry, *map(str, words)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


@contextmanager
def started(*words: object, prefix: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end."""
    process = start(*words, prefix=prefix)
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process as if its machine had failed."""
    process.send_signal(signal.SIGKILL)
    process.wait()


class Jobs:
    """What rows and workers say of a plan's jobs."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan

    def rows(self) -> list[tuple[str, int, str | None]]:
        """(status, attempts, device) of each job, by the order of asking."""
        try:
            with closing(sqlite3.connect(f"file:{self.folder / 'atelier.db'}?mode=ro", uri=True)) as db:
                return list(db.execute("SELECT status, attempts, device FROM jobs ORDER BY seq"))
        except sqlite3.OperationalError:  # not made yet
            return []

    def count(self, status: str) -> int:
        """How many have it."""
        return sum(row[0] == status for row in self.rows())

    def over(self) -> int:
        """How many have ended, one way or another."""
        return self.count("rendered") + self.count("failed")

    def steps(self) -> int:
        """How many steps were drawn, all tries together."""
        paths = (self.folder / f"steps-{number}" for number in range(self.plan.count))
        return sum(path.stat().st_size for path in paths if path.exists())

    def problems(self) -> list[str]:
        """What is lost or doubled once all is over."""
        with closing(sqlite3.connect(self.folder / "atelier.db")) as db:
            (jobs,) = db.execute("SELECT count(*) FROM jobs").fetchone()
            found = [f"{jobs} rows for {self.plan.count} jobs"] if jobs != self.plan.count else []
            unmade = "SELECT id, status, attempts FROM jobs WHERE rendered_at IS NULL"
            for job, status, attempts in db.execute(unmade):
                if status != "failed" or attempts < rows.MAX_ATTEMPTS:
                    found.append(f"job {job} is {status} after {attempts} tries")
            for job, seeds in db.execute(
                "SELECT job_id, count(*) FROM pictures GROUP BY job_id HAVING count(*) != 5"
            ):
                found.append(f"job {job} has {seeds} pictures")
        return found


def wait(condition: Callable[[], Any], patience: float) -> float:
    """Wait for something; return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < patience, "it never came"
        time.sleep(0.01)
    return time.monotonic() - began


def main() -> None:
    logging.basicConfig(level=os.environ.get("LIVE_LOG", "ERROR"), format="%(asctime)s %(name)s %(message)s")
    what, url, *rest = sys.argv[1:]
    if what == "agent":
        asyncio.run(_agent(url, rest[0], Path(rest[1]), int(rest[2])))
    else:
        asyncio.run(_bot(url, Path(rest[0]), Plan(int(rest[1]), int(rest[2]), float(rest[3]))))
