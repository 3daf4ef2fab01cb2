"""SIGKILL between a message to the bot, its turn, its job and the message that shows it."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.messages import text_of
from tests.support.rows import rows
from tests.wire.discord import BOT, Call, Discord, Message
from tests.wire.forked import ForkedBot

ALICE, DM = 77, 4001
SHOWS, EDITS = "POST", "PATCH"
# What is asked of Discord when the bot is killed, which time, and whether Discord has done it
POINTS = (
    (SHOWS, 1, False),
    (SHOWS, 1, True),
    (EDITS, 1, False),
    (EDITS, 1, True),
    (EDITS, 2, False),
    (EDITS, 2, True),
)


class Spoken(Discord):
    """Also knows people's direct messages, and ends a bot at a point."""

    def say(self, content: str) -> Message:
        message = self.post(DM, content, author=ALICE)
        self.tell_of(message)
        return message

    def tell_of(self, message: Message) -> None:
        author = {"id": str(ALICE), "username": "alice", "discriminator": "0", "avatar": None}
        self._dispatch("MESSAGE_CREATE", {**self._message(message), "author": author})

    def end_at(self, bot: ForkedBot, method: str, count: int, done: bool) -> list[Call]:
        """Kill the bot at the ``count``-th call by a method on a message of its own; return those calls."""
        seen = list[Call]()

        def kill() -> None:
            with suppress(ProcessLookupError):
                os.killpg(bot.process.pid, signal.SIGKILL)

        def counts(call: Call) -> bool:
            mine = call.method == method and "/messages" in call.path and "/channels/" in call.path
            if mine:
                seen.append(call)
            return mine and len(seen) == count

        def fault(call: Call) -> str | None:
            if done or not counts(call):
                return None
            kill()
            return "reset before commit"

        def after(call: Call) -> None:
            if done and counts(call):
                kill()

        self.fault, self.after = fault, after
        return seen

    def shown(self) -> list[Message]:
        return [
            one for one in self.messages.values() if one.channel_id == DM and one.author == BOT and one.shown
        ]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "count", "done"), POINTS)
async def test_no_turn_is_lost_or_doubled_wherever_the_bot_is_killed(
    tmp_path: Path, method: str, count: int, done: bool
) -> None:
    async with Spoken() as discord, ForkedBot(discord, tmp_path) as bot:
        discord.dms[ALICE] = DM
        seen = discord.end_at(bot, method, count, done)
        sent = discord.say("a red house in the snow")
        await discord.until(lambda: len(seen) >= count or finished(discord), 60, every=0.1)
        assert len(seen) >= count  # else the point is reached no more
        await bot.ended()
        discord.fault, discord.after = (lambda call: None), (lambda call: None)
        await bot.start()
        discord.tell_of(sent)  # as a gateway does whose session is resumed
        await discord.until(lambda: finished(discord), 60, every=0.1)
        found: list[Any] = discord.shown()
        assert len(found) == 1 and "Understood: a new picture" in text_of(found[0]), found
        assert len(rows(tmp_path / "atelier.db", "SELECT id FROM jobs")) == 1


def finished(discord: Spoken) -> bool:
    """Whether a message shows the picture, and none says any more that it will come."""
    shown = discord.shown()
    return any(one.files and "job " in text_of(one) for one in shown) and all(one.files for one in shown)
