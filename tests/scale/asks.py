"""Several programs that share a database are asked by the same members at the same time: does anybody get
more than the limits, and does one interaction make two jobs?

``python -m tests.scale.asks --asks 10000 --programs 4``, or ``make scale-proof``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import sqlalchemy as sa

from core.errors import LimitError
from core.job import Job, Lane, Origin, Reply, Status, new_job_id
from core.requests import ImagineRequest
from core.settings import ROOT
from jobs.admission import Admission
from jobs.limits import Limits
from storage.database import open_database
from storage.engine import holding
from storage.filing.folder import Folder
from storage.schema import jobs
from tests import postgres

EACH = 20  # asks of one member; half of them are told to two programs
WAITING = 7  # jobs that one member may have
AT_ONCE = 64  # asks that a program has open
SERVERS = 3  # that the members are in


@dataclass(frozen=True)
class Figures:
    """over: members and servers with more than their limit. twice: interactions with two jobs."""

    asked: int
    admitted: int
    over: int
    twice: int
    full: int  # members and servers that reached their limit

    @property
    def problems(self) -> int:
        """How much went wrong."""
        return self.over + self.twice

    def __str__(self) -> str:
        return (
            f"{self.asked} asks, {self.admitted} admitted, {self.full} limits reached, {self.over} exceeded,"
            f" {self.twice} interactions with two jobs"
        )


def limits(asks: int) -> Limits:
    """A server's limit ends the asking of its members before all of them have had theirs."""
    of_members = asks // EACH // SERVERS * WAITING
    return Limits(user_waiting=WAITING, guild_waiting=max(1, of_members * 3 // 4), disk_floor=0)


def asks_of(asks: int, program: int, programs: int) -> list[tuple[int, int]]:
    """Return (interaction, member) of what a program is asked, in its order. Every second interaction comes
    to the next program too, as it does while one takes over from another."""
    mine = [
        (number, 1 + number % (asks // EACH))
        for number in range(1, asks + 1)
        if number % programs == program or number % 2 and (number + 1) % programs == program
    ]
    random.Random(program).shuffle(mine)
    return mine


async def ask(address: str, folder: Path, asks: int, program: int, programs: int, begin: Callable) -> None:
    """Ask all that one program is asked."""
    async with open_database(address, None, several=True) as database:
        admission = Admission(database, Folder(folder, ballast_bytes=4096), limits(asks))
        await asyncio.to_thread(begin)
        room = asyncio.Semaphore(AT_ONCE)

        async def one(interaction: int, member: int) -> None:
            origin = Origin(member, 2, 1 + member % SERVERS)
            now = datetime.now(UTC)
            job = Job(
                new_job_id(), ImagineRequest(prompt="a red house"), origin, Status.QUEUED, Lane.FAST, now
            )
            async with room:
                with contextlib.suppress(LimitError):
                    await admission.admit(replace(job, reply=Reply(interaction)), None)

        await asyncio.gather(*(one(*each) for each in asks_of(asks, program, programs)))


def measure(address: str, asks: int, programs: int, *, bug: bool = False) -> Figures:
    """Ask through so many programs at once. bug: they don't wait for each other."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.scale.asks", "--address", address, "--folder", folder]
        command += ["--asks", str(asks), "--programs", str(programs), *(["--bug"] if bug else [])]
        running = [
            subprocess.Popen(
                [*command, "--program", str(n)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for n in range(programs)
        ]
        try:
            for one in running:
                assert one.stdout is not None and one.stdout.readline() == b"ready\n"
            for one in running:
                assert one.stdin is not None
                one.stdin.write(b"go\n")
                one.stdin.close()
            codes = [one.wait(600) for one in running]
        finally:
            for one in running:
                one.kill()
                one.wait()
                assert one.stdout is not None
                one.stdout.close()
    assert codes == [0] * programs, codes
    return asyncio.run(look(address, asks))


async def look(address: str, asks: int) -> Figures:
    allowed = limits(asks)
    async with open_database(address, None) as database:
        count = sa.func.count()
        by = {
            column.name: await database.read(
                lambda c, column=column: (
                    c.execute(sa.select(count).select_from(jobs).group_by(column)).scalars().all()
                )
            )
            for column in (jobs.c.user_id, jobs.c.guild_id, jobs.c.interaction_id)
        }
    pairs = [(n, allowed.user_waiting) for n in by["user_id"]]
    pairs += [(n, allowed.guild_waiting) for n in by["guild_id"]]
    return Figures(
        asks,
        sum(by["user_id"]),
        sum(number > most for number, most in pairs),
        sum(number > 1 for number in by["interaction_id"]),
        sum(number == most for number, most in pairs),
    )


@contextlib.contextmanager
def careless() -> Iterator[None]:
    """Programs that don't wait for each other: the negative control."""
    with mock.patch.object(holding, "hold_keys", lambda connection, keys: None):
        yield


def _begin() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    """Measure on a server of its own, and print the figures; or be one of the programs that ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--asks", type=int, default=10_000)
    parser.add_argument("--programs", type=int, default=4)
    parser.add_argument("--bug", action="store_true", help="let them not wait for each other")
    parser.add_argument("--address", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--program", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.address:
        with careless() if arguments.bug else contextlib.nullcontext():
            work = ask(
                arguments.address,
                arguments.folder,
                arguments.asks,
                arguments.program,
                arguments.programs,
                _begin,
            )
            asyncio.run(work)
        return
    server = postgres.Server()
    try:
        server.start()
        postgres.make_template(server.folder)
        began = time.monotonic()
        address = postgres.address(server.folder, postgres.TEMPLATE)
        figures = measure(address, arguments.asks, arguments.programs, bug=arguments.bug)
        print(f"{figures}; {arguments.programs} programs, {time.monotonic() - began:.0f} s")
    finally:
        server.remove()
    raise SystemExit(1 if figures.problems else 0)


if __name__ == "__main__":
    main()
