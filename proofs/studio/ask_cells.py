"""A seeded stranger at conversations: ``python -m proofs.studio.ask_cells --seed 1``.

Conversations of five turns with words of their own, private or not, in channels that some can read, some
turns deleted; then everybody tries everything with every turn. What comes back, and what a model would be
told, may hold nothing but words that the person can read by rules written down here, apart from the program.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from core.convert import Preferences
from core.errors import UserError
from core.job import Surface
from studio.authority import Action, Actor
from tests.studio.conftest import Sent, open_studio, png
from tests.studio.talker import Talker

HERE, THERE = 10, 20  # servers
OPEN, STAFF, ABROAD = 100, 101, 200  # channels: the first two here
ANN, BEN, CAT, DAN, EVE = 1, 2, 3, 4, 5
READS = {ANN: {OPEN, STAFF}, BEN: {OPEN}, CAT: {OPEN, STAFF}, DAN: {ABROAD}, EVE: set()}
WORD = re.compile(r"canary[kqvwxz]{12}")  # digits would be read as letters by moderation
DEPTH = 5


def actor(user: int, channel: int, *, web: bool = False) -> Actor:
    if web:
        return Actor(user, None, 0, surface=Surface.WEB)
    if channel == 0:
        return Actor(user, None, 9000 + user)
    server = THERE if channel == ABROAD else HERE
    return Actor(user, server, channel, manages=user == CAT, reads=lambda other: other in READS[user])


@dataclass
class Turn:
    """A turn as it was asked. word: stands in its question, and so in its answer."""

    job: str
    word: str
    user: int
    channel: int
    private: bool
    deleted: bool = False


def may_read(turn: Turn, who: Actor) -> bool:
    """The rules, once more: one's own; of others nothing private, and what a channel that one reads has."""
    if turn.deleted:
        return False
    if turn.user == who.user_id:
        return True
    if turn.private or turn.channel == 0 or who.surface is Surface.WEB:
        return False
    if who.channel_id == turn.channel:
        return True
    same = (turn.channel == ABROAD) == (who.channel_id == ABROAD) and who.guild_id is not None
    return same and turn.channel in READS[who.user_id]


class Stranger:
    def __init__(self, studio, talker: Talker, seed: int) -> None:
        self.studio, self.talker, self.dice = studio, talker, random.Random(seed)
        self.talk = studio.talking
        self.ask = partial(studio.requests.ask, chosen=Preferences())
        self.cells = 0
        self.leaks: list[str] = []
        self.granted = Counter[str]()

    async def chain(self) -> list[Turn]:
        """A conversation: each turn by its first person, in one of their places, some of them private."""
        user = self.dice.choice((ANN, BEN, CAT, DAN))
        turns = list[Turn]()
        for _ in range(DEPTH):
            channel = self.dice.choice(sorted(READS[user]) * 4 + [0])
            word = f"canary{''.join(self.dice.choices('kqvwxz', k=12))}"
            who = actor(user, channel)
            question = f"What is {word}?"
            self.talker.say[question] = f"It is {word}."
            given, follows = ([], turns[-1].job) if turns else ([Sent(png())], None)
            new = await self.ask(who, question, given, follows=follows)
            new = replace(new, private=new.private or self.dice.random() < 0.08)
            job = (await self.studio.submit(who, new)).job
            async for _event in await self.studio.watch(who, job.id):
                pass
            turns.append(Turn(job.id, word, user, channel, new.private))
        for turn in turns[:-1]:
            if self.dice.random() < 0.12:
                await self.studio.delete(actor(turn.user, turn.channel), turn.job)
                turn.deleted = True
        return turns

    async def try_all(self, turns: list[Turn], everything: list[Turn]) -> None:
        for turn in turns:
            for user in READS:
                places = [actor(user, channel) for channel in (*sorted(READS[user]), 0)]
                for who in (*places, actor(user, 0, web=True)):
                    await self.try_one(turn, who, everything)

    async def try_one(self, turn: Turn, who: Actor, everything: list[Turn]) -> None:
        """Everything that can be done with a turn, by one person from one place."""
        reads = may_read(turn, who)
        tries: dict[str, Awaitable[object]] = {
            "answer": self.talk.answer(who, turn.job),
            "conversation": self.talk.conversation(who, turn.job),
            "replies": self.talk.replies(who, turn.job),
            "show": self.studio.rights.result(who, turn.job, Action.SHOW),
            "imagine": self.talk.answer(who, turn.job, Action.IMAGINE),
            "ask more": self.ask_more(who, turn.job),
            "again": self.again(who, turn.job),
        }
        for name, trying in tries.items():
            self.cells += 1
            try:
                came = str(await trying)
            except UserError as error:
                came = str(error)
                if reads and not turn.deleted:
                    self.leaks.append(f"REFUSED {name} of {turn} to {who}: {error}")
            else:
                self.granted[name] += 1
                if not reads:
                    self.leaks.append(f"GRANTED {name} of {turn} to {who}")
            self.look(name, who, came, everything)

    def look(self, name: str, who: Actor, came: str, everything: list[Turn]) -> None:
        for word in set(WORD.findall(came)):
            owner = next((turn for turn in everything if turn.word == word), None)
            if owner is None or not may_read(owner, who):
                self.leaks.append(f"TOLD {name}: {word} of {owner} to {who}")

    async def ask_more(self, who: Actor, job_id: str) -> str:
        return await self.told(who, await self.ask(who, "And now?", [], follows=job_id))

    async def again(self, who: Actor, job_id: str) -> str:
        return await self.told(who, await self.studio.from_button(who, job_id, "again", 0))

    async def told(self, who: Actor, new) -> str:
        """What the model is told of turns before."""
        job = (await self.studio.submit(who, replace(new, private=True))).job
        async for _event in await self.studio.watch(who, job.id):
            pass
        turns = self.talker.talks.pop(job.id)
        await self.studio.delete(who, job.id)
        return " ".join(turn.text for turn in turns[:-1])


async def walk(folder: Path, seed: int, cells: int) -> Stranger:
    talker = Talker()
    settings = {"VLM_URL": "http://127.0.0.1:9/v1", "ASK_PER_DAY": "0", "USER_WAITING": "100"}
    async with open_studio(folder, talker, **settings) as opened:
        stranger = Stranger(opened.studio, talker, seed)
        while stranger.cells < cells:
            turns = await stranger.chain()
            await stranger.try_all(turns, turns)
        return stranger


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=5000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stranger = asyncio.run(walk(Path(folder), arguments.seed, arguments.cells))
    print(f"{stranger.cells} cells, granted {dict(stranger.granted)}, {len(stranger.leaks)} wrong")
    print(*stranger.leaks[:10], sep="\n")
    return 1 if stranger.leaks else 0


if __name__ == "__main__":
    sys.exit(main())
