"""SIGKILL of the bot or of its worker, again and again, in a Discord that survives: ``python -m
proofs.wire.kill --kills 500``, with ``--postgres`` on a PostgreSQL server.

At named points inside the bot, at named requests, and at random moments. Every job that was taken must end
with exactly one message. On a busy machine a member's settings may come too late to say who may see an
answer: then the job is private, and its message is one that only its asker sees.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from bot.delivery import TOKEN_LIFE
from bot.ui.messages import FORGOTTEN
from proofs.wire.launch import CRASHES
from tests.support import postgres
from tests.support.messages import text_of
from tests.wire.discord import GUILD, Call, Discord, Interaction
from tests.wire.process import BotProcess

CHANNEL = GUILD + 1
PROMPTS = ("a red house", "a blue boat", "a slow river", "a broken wheel", "a slow {red, blue} boat --sheet")
REQUESTS: dict[str, Callable[[Call], bool]] = {  # name → the request at which the bot is killed
    "acknowledgement": lambda call: call.path.endswith("/callback"),
    "first word": lambda call: "Waiting" in call.text,
    "progress": lambda call: "%" in call.text,
    "result": lambda call: "job " in call.text,
    "row of the result in the channel": lambda call: call.method == "POST" and "job " in call.text,
}
POINTS = (
    *CRASHES,
    *(f"{when} {name}" for name in REQUESTS for when in ("before", "after")),
    *["random"] * 8,
    *["worker"] * 4,
)
POINT_PATIENCE = 60.0  # seconds until a point that is not reached becomes a kill at that moment
SETTLE = 60.0  # seconds without any job's end after the last kill, until what has none counts as lost


@dataclass
class Report:
    """What became of every interaction. ``back``: seconds from a kill of the bot to the next acknowledged
    interaction, of a worker to a result. ``missed_*``: of the interactions sent at the moment of a kill,
    of which the next life is told."""

    kills: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)  # points that were not reached: killed a little later
    sent: int = 0
    jobs: int = 0
    results: int = 0
    failures: int = 0  # told honestly
    lost: list[str] = field(default_factory=list)
    stories: list[str] = field(default_factory=list)  # of what was lost or doubled
    doubled: list[str] = field(default_factory=list)
    cut_off: int = 0  # acknowledged with "thinking …", killed before there was a row
    silent: list[int] = field(
        default_factory=list
    )  # of these, whom the next life could have told so, and didn't
    missed_taken: int = 0
    missed_late: int = 0  # the bot was not back within Discord's 3 s
    identifies: int = 0
    resumes: int = 0
    bot_cpu: list[float] = field(default_factory=list)  # seconds on a core until then
    bot_back: list[float] = field(default_factory=list)
    worker_back: list[float] = field(default_factory=list)
    seconds: float = 0.0


class Killer:
    """One world, one data folder, many lives of the bot."""

    def __init__(self, discord: Discord, bot: BotProcess, seed: int) -> None:
        self.discord, self.bot, self.dice = discord, bot, random.Random(seed)
        self.report = Report()
        self.asked: list[Interaction] = []
        self.missed: list[Interaction] = []  # sent when the bot had just been killed
        self._users = iter(range(50_000, 10**6))

    def ask(self, prompt: str, *, refused: bool = False) -> Interaction:
        made = self.discord.slash("imagine", CHANNEL, next(self._users), prompt=prompt)
        if refused or self.dice.random() < 0.3:
            made.born -= 20 * 60  # its token is refused: the result goes to the channel
        self.asked.append(made)
        return made

    async def round(self, point: str) -> None:
        """A life of the bot that ends at ``point``, or a worker's."""
        crash = [f"--crash={point}"] if point in CRASHES else []
        self.discord.forgets_nonces = self.dice.random() < 0.5
        killed = time.monotonic()
        await self.bot.start(*crash)
        first = self.ask("a red house")
        waiting = [first, *self.missed[-1:]]
        if (
            point not in ("before acknowledgement", "after acknowledgement", "acknowledged", "row written")
            and self.report.kills
        ):
            await self.discord.until(
                lambda: any(one.acknowledged for one in waiting) or self.bot._gone(), every=0.1
            )
            if taken := [one.acknowledged for one in waiting if one.acknowledged]:
                self.report.bot_back.append(min(taken) - killed)
                with suppress(psutil.NoSuchProcess):
                    self.report.bot_cpu.append(self.bot.cpu_seconds)
        for _ in range(self.dice.randint(1, 3)):
            self.ask(self.dice.choice(PROMPTS))
        last = PROMPTS[-1] if "progress" in point else "a red house"  # a whole sheet, killed in its middle
        self.ask(last, refused="channel" in point)
        if point == "worker":
            await self._kill_worker()
        elif point != "random":
            await self._reach(point)
        if point in ("random", "worker"):
            await asyncio.sleep(self.dice.uniform(0, 1.0))
        await self.bot.kill()
        self.report.kills[point] += 1
        self.missed.append(self.ask("a red house"))

    async def _kill_worker(self) -> None:
        """In the middle of the work; then until a result comes."""
        await asyncio.sleep(self.dice.uniform(0, 0.5))
        told = self._told()
        if self.bot.kill_worker():
            began = time.monotonic()
            with suppress(TimeoutError):
                await self.discord.until(lambda: self._told() > told, 15)
                self.report.worker_back.append(time.monotonic() - began)

    def _told(self) -> int:
        """Messages that tell an end; the next end may be of a job asked for long ago."""
        return sum(len(m.versions) for m in self.discord.messages.values() if "job " in text_of(m))

    async def _reach(self, point: str) -> None:
        """Until the bot has died at ``point``, or it has waited long enough for it."""
        when, _, name = point.partition(" ")
        if name in REQUESTS and when in ("before", "after"):
            self.discord.fault = self._deadly(REQUESTS[name], when)
        try:
            async with asyncio.timeout(POINT_PATIENCE):
                await self.bot.ended()
        except TimeoutError:
            self.report.missed.append(point)
        self.discord.fault = lambda call: None

    def _deadly(self, wanted: Callable[[Call], bool], when: str) -> Callable[[Call], str | None]:
        life = self.bot.process.pid  # a request of it may be looked at when the next one has begun

        def fault(call: Call) -> str | None:
            if not wanted(call):
                return None
            with suppress(ProcessLookupError):
                os.killpg(life, signal.SIGKILL)
            return f"reset {when} commit"

        return fault

    async def settle(self, seconds: float) -> None:
        """A last life, until every job's end is told, or none was for ``seconds``."""
        self.discord.forgets_nonces = False
        await self.bot.start()
        left, since = -1, time.monotonic()
        while left and time.monotonic() - since < seconds:
            now = sum(not told for _, _, told in self.bot.rows().values())
            left, since = (now, time.monotonic()) if now != left else (left, since)
            await asyncio.sleep(0.2)  # the rows are another process's: nothing tells us
        await self.bot.kill()

    def story(self, job_id: str) -> str:
        """What the world and the log know of a job."""
        began = min(m.versions[0][0] for m in self.discord.messages.values() if m.versions)
        told = [
            f"  message {m.id}{'' if m.shown else ' (for one alone)' if m.shown_to_one else ' (gone)'}: "
            + "; ".join(f"{at - began:.2f} s {text[-60:]!r}" for at, text in m.versions)
            for m in self.discord.messages.values()
            if any(f"job {job_id}" in text for _, text in m.versions)
        ]
        return "\n".join(
            [job_id, *told, *(f"  {line}" for line in self.bot.log.splitlines() if job_id in line)]
        )

    def count(self) -> Report:
        report, rows, private = self.report, self.bot.rows(), self.bot.private_jobs()
        finals: Counter[str] = Counter()
        for message in self.discord.messages.values():
            _, found, rest = text_of(message).rpartition("job ")
            if found and (message.shown or (message.shown_to_one and rest[:12] in private)):
                finals[rest[:12]] += 1
                report.failures += "❌" in text_of(message)
        report.sent, report.jobs, report.results = (
            len(self.asked),
            len(rows),
            finals.total() - report.failures,
        )
        report.lost = [job_id for job_id, _, _ in rows.values() if not finals[job_id]]
        report.doubled = [job_id for job_id, _, _ in rows.values() if finals[job_id] > 1]
        report.identifies, report.resumes = self.discord.identifies, self.discord.resumes
        report.missed_taken = sum(made.acknowledged is not None for made in self.missed)
        report.missed_late = len(self.missed) - report.missed_taken
        cut_off = [made for made in self.asked if made.acknowledged and made.id not in rows]
        report.cut_off = len(cut_off)
        lives = [made for made in cut_off if time.time() - made.born < TOKEN_LIFE.total_seconds()]
        report.silent = [
            made.id for made in lives if made.message is None or text_of(made.message) != FORGOTTEN
        ]
        return report


async def run(
    folder: Path,
    points: list[str],
    *options: str,
    seed: int = 1,
    settle: float = SETTLE,
    process: Callable[..., BotProcess] = BotProcess,
) -> Report:
    """One kill for each of ``points``. ``options``: of ``proofs.wire.launch``, for every life."""
    async with Discord() as discord:
        return await through(Killer(discord, process(discord, folder, *options), seed), points, settle)


async def through(killer: Killer, points: Sequence[str], settle: float) -> Report:
    """One kill of the killer's bot for each of ``points``, then ``settle`` seconds at most until all is
    done."""
    began = time.monotonic()
    try:
        for point in points:
            await killer.round(point)
        await killer.settle(settle)
    finally:
        await killer.bot.kill()
    report = killer.count()
    report.stories = [killer.story(job_id) for job_id in (report.lost + report.doubled)[:5]]
    report.seconds = time.monotonic() - began
    return report


def shuffled(points: Sequence[str], kills: int, seed: int) -> list[str]:
    """Return as many points as kills, each as often as the others, in an order of its own for each seed."""
    drawn = (list(points) * (kills // len(points) + 1))[:kills]
    random.Random(seed).shuffle(drawn)
    return drawn


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="rows lie on a server")
    arguments = parser.parse_args()
    points = shuffled(POINTS, arguments.kills, arguments.seed)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        process = BotProcess
        if arguments.postgres:
            server = stack.enter_context(postgres.serving(durable=True))
            address = postgres.address(server.folder, postgres.TEMPLATE)
            process = partial(BotProcess, DATABASE_URL=address)
        report = asyncio.run(run(Path(folder), points, seed=arguments.seed, process=process))
    print(
        f"{len(points)} kills in {report.seconds:.0f} s: {report.sent} interactions, {report.jobs} jobs,"
        f" {report.results} results, {report.failures} honest failures, {len(report.lost)} lost,"
        f" {len(report.doubled)} doubled; {report.cut_off} cut off between acknowledgement and row,"
        f" {len(report.silent)} of them not told"
    )
    print(
        f"{report.identifies} identify, {report.resumes} resumes; sent at the moment of a kill:"
        f" {report.missed_taken} taken by the next life, {report.missed_late} too late for Discord"
    )
    print(*report.stories, sep="\n")
    print("kills:", dict(report.kills), "not reached:", report.missed)
    for name, values in (
        ("bot", report.bot_back),
        ("bot, on a core,", report.bot_cpu),
        ("worker", report.worker_back),
    ):
        if values:
            print(
                f"{name} back at work: p50 {statistics.median(values):.2f} s, p99"
                f" {quantile(values, 0.99):.2f} s, n={len(values)}"
            )
    return 1 if report.lost or report.doubled or report.silent else 0


if __name__ == "__main__":
    sys.exit(main())
