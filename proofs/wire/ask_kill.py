"""SIGKILL of the bot or of its worker in the middle of answers and of conversations: ``python -m
proofs.wire.ask_kill --kills 200 [--server]``.

As in ``kill``, every job that was taken must end with exactly one message; besides, that message must say
what the row says, and each answer must come of the whole conversation before it: the pretended worker, or the
server, tells how many turns it was handed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from bot.ui.markdown import beginning
from core.settings import ROOT
from proofs.wire import kill
from proofs.wire.kill import Killer, Report
from tests.support.chat_server import Exchange, chat_server
from tests.support.messages import text_of
from tests.wire.discord import GUILD, Discord, Interaction
from tests.wire.forked import ForkedBot
from tests.wire.process import BotProcess

CHANNEL = GUILD + 1
# A server takes questions before Discord is there, so that a life that is to end here has no connection
AT_START = ("job claimed", "files saved", "job rendered")
QUESTION = "slow " + "and what else is there to be seen on it, " * 20
MIDDLE = ("before answering", "after answering")
POINTS = (*(point for point in kill.POINTS if "progress" not in point), *MIDDLE * 6)
kill.REQUESTS["answering"] = lambda call: "(Answering)" in call.text and "This is turn" in call.text


async def told(exchange: Exchange) -> None:
    """Answer as the pretended worker does: how many turns came, slowly."""
    turns = [m for m in exchange.body["messages"] if m["role"] != "system"]
    text = f"This is turn {len(turns) // 2 + 1} with {exchange.pictures()} pictures. You asked: {QUESTION}"
    await exchange.head()
    for word in text.split(" "):
        await exchange.piece(word + " ")
        await asyncio.sleep(0.01)
    await exchange.piece("", "stop")
    await exchange.end()


class AskKiller(Killer):
    """Asks questions about the first picture, and goes on with answers that there are."""

    drawn = ""  # the job whose picture is asked about

    def ask(self, prompt: str, *, refused: bool = False) -> Interaction:
        if not self.drawn:
            return super().ask("a red house", refused=refused)
        user = next(self._users)
        answers = [job for job, _, answer in asked_rows(self.bot.folder) if answer]
        if answers and self.dice.random() < 0.6:
            job = self.dice.choice(answers[-6:])
            made = self.discord.interaction(CHANNEL, user, kind=5)
            field = {"type": 4, "custom_id": "question", "value": QUESTION}
            data = {"custom_id": f"mo:more:{job}:0:", "components": [{"type": 18, "component": field}]}
            self.discord.act(made, {"data": data})
        else:
            made = self.discord.slash("ask", CHANNEL, user, question=QUESTION, link=f"{self.drawn} 1")
        if refused or self.dice.random() < 0.3:
            made.born -= 20 * 60  # its token is refused: the answer goes to the channel
        self.asked.append(made)
        return made

    async def draw(self) -> None:
        """Have a picture to ask about."""
        try:
            await self.bot.start()
            made = super().ask("a red house")
            await self.discord.until(lambda: self.bot.rows().get(made.id, ("", "", False))[2], 60, every=0.1)
            self.drawn = self.bot.rows()[made.id][0]
        finally:
            await self.bot.kill()


def asked_rows(folder: Path) -> list[tuple[str, str | None, str | None]]:
    """(job id, parent, answer as JSON) of every question, oldest first."""
    with closing(sqlite3.connect(f"file:{folder / 'atelier.db'}?mode=ro", uri=True)) as database:
        return database.execute(
            "SELECT id, parent_id, answer FROM jobs WHERE kind = 'ask' ORDER BY seq"
        ).fetchall()


def wrong_answers(discord: Discord, folder: Path) -> list[str]:
    """Questions whose message doesn't say what their row says, or whose answer missed a turn."""
    rows = {
        job: (parent, json.loads(answer) if answer else None) for job, parent, answer in asked_rows(folder)
    }
    wrong = []
    for job, (parent, answer) in rows.items():
        depth = 1
        while parent in rows:
            depth, parent = depth + 1, rows[parent][0]
        if answer is None:
            continue
        finals = discord.finals(job)
        whole = bool(finals) and beginning(answer["text"])[0][:400] in text_of(finals[0])
        if not (whole and answer["text"].startswith(f"This is turn {depth} ")):
            wrong.append(f"{job}: turn {depth}: {answer['text'][:40]!r}, told: {whole}")
    return wrong


async def run(
    folder: Path,
    points: list[str],
    *,
    seed: int = 1,
    settle: float = kill.SETTLE,
    process: type[BotProcess] = BotProcess,
    by_server: bool = False,
) -> tuple[Report, list[str], int]:
    """One kill for each of ``points``; the report, wrong answers, and how many answers there were."""
    async with chat_server(told) as server, Discord() as discord:
        model = {"VLM_URL": server.url} if by_server else {"ASK_MODEL": str(ROOT / "tests")}
        killer = AskKiller(discord, process(discord, folder, **model), seed)
        await killer.draw()
        report = await kill.through(killer, points, settle)
        answers = sum(bool(answer) for _, _, answer in asked_rows(folder))
        return report, wrong_answers(discord, folder), answers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--server", action="store_true", help="answers come of a chat server, not of a worker"
    )
    arguments = parser.parse_args()
    known = [point for point in POINTS if not (arguments.server and point in AT_START)]
    points = kill.shuffled(known, arguments.kills, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        report, wrong, answers = asyncio.run(
            run(Path(folder), points, seed=arguments.seed, by_server=arguments.server, process=ForkedBot)
        )
    print(
        f"{len(points)} kills in {report.seconds:.0f} s: {report.sent} interactions, {report.jobs} jobs,"
        f" {answers} answers, {report.failures} honest failures, {len(report.lost)} lost,"
        f" {len(report.doubled)} doubled, {len(wrong)} of another text or with a turn missing"
    )
    print("kills:", dict(Counter(report.kills)), "not reached:", Counter(report.missed))
    print(*report.stories, *wrong[:10], sep="\n")
    return 1 if report.lost or report.doubled or report.silent or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
