"""The bot as a process of its own, pointed at a Discord of the tests: started, killed, looked at from
outside."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from core.settings import ROOT
from tests.support.rows import rows
from tests.wire.discord import TOKEN, Discord

WITHOUT = {"PYTHONDONTWRITEBYTECODE"}  # compiling all modules at each start would double its time


class BotProcess:
    """``async with BotProcess(discord, folder) as bot``. The folder keeps its data over all of its lives."""

    def __init__(self, discord: Discord, folder: Path, *options: str, **settings: str) -> None:
        self.discord, self.folder, self.options = discord, folder, options
        self.process: asyncio.subprocess.Process | None = None
        self.started = 0.0  # monotonic
        self._env = {
            **{name: value for name, value in os.environ.items() if name not in WITHOUT},
            "DISCORD_TOKEN": TOKEN,
            "DATA_DIR": str(folder),
            "DEVICES": "cpu",
            "DISK_FLOOR_MB": "0",
            "GRACE_SECONDS": "1",
            "USER_WAITING": "1000",
            "GUILD_WAITING": "20000",
            "LOG_LEVEL": "info",
            **settings,
        }

    async def __aenter__(self) -> BotProcess:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self, *options: str) -> None:
        """A new life; returns when it is connected, or was. ``options``: of ``proofs.wire.launch``, for this
        life only."""
        before = self.discord.sessions_begun
        await self.spawn(*options)
        await self.discord.until(lambda: self._gone() or self.discord.sessions_begun > before, 60, every=0.1)
        if self.discord.sessions_begun == before:
            raise RuntimeError(
                f"the bot ended ({self.process.returncode}) before it connected:\n{self.log[-3000:]}"
            )

    async def spawn(self, *options: str) -> None:
        command = (sys.executable, "-m", "proofs.wire.launch", self.discord.url, *self.options, *options)
        with self.log_file.open("ab") as log:
            self.started = time.monotonic()
            self.process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=self._env, stdout=log, stderr=log, start_new_session=True
            )

    def _gone(self) -> bool:
        return self.process is None or self.process.returncode is not None

    async def kill(self) -> None:
        """SIGKILL to the whole group: the bot and its workers."""
        if not self._gone():
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        await self.ended()

    async def ended(self) -> None:
        await self.process.wait()

    def kill_worker(self) -> bool:
        """SIGKILL to one worker; False when there is none."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
                    return True
        return False

    @property
    def log_file(self) -> Path:
        return self.folder / "process.log"

    @property
    def log(self) -> str:
        """What it has written; "" before a forked one has begun."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def memory(self) -> int:
        """Resident bytes of the bot's own process."""
        return psutil.Process(self.process.pid).memory_info().rss

    @property
    def cpu_seconds(self) -> float:
        """Spent by the bot's own process, all threads."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def libraries(self) -> str:
        """What is mapped into the bot's own process."""
        return Path(f"/proc/{self.process.pid}/maps").read_text()

    def private_jobs(self) -> set[str]:
        """Ids of the jobs that nobody but their asker may see."""
        return {job_id for (job_id,) in rows(self._database, "SELECT id FROM jobs WHERE private <> 0")}

    def rows(self) -> dict[int, tuple[str, str, bool]]:
        """Interaction id → (job id, status, whether its end was told)."""
        found = rows(self._database, "SELECT interaction_id, id, status, delivered_at IS NOT NULL FROM jobs")
        return {interaction: (job_id, status, bool(told)) for interaction, job_id, status, told in found}

    @property
    def _database(self) -> str | Path:
        return self._env.get("DATABASE_URL") or self.folder / "atelier.db"
