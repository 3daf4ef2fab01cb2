"""The bot as a process of its own with its real worker, in a Discord on loopback: what a member would see,
and when."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from core.settings import ROOT
from tests.wire.discord import GUILD, Discord, Interaction, Message
from tests.wire.process import BotProcess

PATIENCE = 600.0  # seconds; on a quiet machine nothing takes a tenth of it


class RealBot(BotProcess):
    """``async with RealBot(discord, folder, …)``; options are of ``benchmarks.launch``."""

    async def spawn(self, *options: str) -> None:
        """Start the bot's process against the simulated Discord. options: of ``benchmarks.launch``."""
        (self.folder / "connections.json").unlink(missing_ok=True)
        command = (sys.executable, "-m", "benchmarks.launch", self.discord.url, *self.options, *options)
        with self.log_file.open("ab") as log:
            self.started = time.monotonic()
            self.process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=self._env, stdout=log, stderr=log, start_new_session=True
            )


def imagine(discord: Discord, user: int, prompt: str) -> Interaction:
    """One member types /imagine."""
    return discord.slash("imagine", GUILD + 1 + user % 20, 50_000 + user, prompt=prompt)


async def answered(discord: Discord, asked: list[Interaction]) -> list[Message]:
    """Each one's message once it shows a finished picture."""
    await discord.until(lambda: all(_finished(made) for made in asked), PATIENCE)
    return [made.message for made in asked]


def finished_at(message: Message) -> float:
    """Monotonic seconds."""
    return next(at for at, text in message.versions if _tells_the_end(text))


def picture(message: Message) -> np.ndarray:
    """(H, W, 3) of the file that stands in the message."""
    with Image.open(io.BytesIO(message.files[0][1])) as image:
        return np.asarray(image.convert("RGB"))


def _finished(made: Interaction) -> bool:
    return made.message is not None and bool(made.message.files) and _tells_the_end(made.message.content)


def _tells_the_end(text: str) -> bool:
    return "job " in text


def stalls(path: Path) -> list[float]:
    """ms by which each look of the event loop at the clock was late."""
    return [float(line) for line in path.read_text().splitlines() if "." in line]
