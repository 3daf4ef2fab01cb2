"""A studio with a pretended worker inside a simulated Discord: alice and bob are members, mira manages the
server."""

import contextlib
import copy
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import discord
import pytest
from simcord import Env

from bot.client import Atelier
from bot.discord_api.http import SIMULATED
from bot.discord_api.interactions import PendingInteractions
from core.job import Job
from core.requests import REQUESTS
from core.settings import Settings, load_settings
from host.services import services
from jobs.feed import Wait
from storage.members import Members
from studio import studio as application
from studio.services import Services
from tests.studio.conftest import AllFit, png
from tests.support import REAL
from tests.support.forks import forks
from tests.support.fresh import fresh_database

KINDS = frozenset(cls.kind for cls in REQUESTS)
WORKER = "tests.bot.pretend_worker:main"


@dataclass
class Hooks:
    """What a test wants to be called with: ids of edited messages, delivered jobs with their rungs, and what
    a followed job waits for."""

    edited: list[Callable[[int], None]] = field(default_factory=list)
    delivered: list[Callable[[Job, str], None]] = field(default_factory=list)
    wait: Wait | None = None

    def client(self, built: Services, pending: PendingInteractions) -> Atelier:
        """A bot whose hooks are these; the pretended worker does all kinds of jobs."""
        return Atelier(
            built,
            application.Studio(built, KINDS),
            pending,
            servers=SIMULATED,
            on_edit=lambda message_id: [hook(message_id) for hook in self.edited],
            on_delivered=lambda job, rung: [hook(job, rung) for hook in self.delivered],
            wait=lambda awaitable: self.wait(awaitable) if self.wait else awaitable,
        )


@dataclass
class Studio:
    """The people and places of a test, and the bot among them."""

    env: Any
    built: Services
    pending: PendingInteractions
    hooks: Hooks
    bot: Atelier
    channel: Any
    alice: Any
    bob: Any
    mira: Any
    guild: Any
    problems: list[str] = field(default_factory=list)

    @property
    def members(self) -> Members:
        return Members(self.built.database)

    def outside(self, awaitable: Awaitable[Any]) -> Awaitable[Any]:
        """Waiting for a job, as ``hooks.wait``: the simulator goes on meanwhile."""
        return self.env.external_wait(awaitable, reason="the queue")

    async def restart(self) -> None:
        """A new client on the same services, as after a restart of the process."""
        self.bot = self.hooks.client(self.built, self.pending)
        await self.env.restart_bot(self.bot)

    def newcomer(self, name: str = "dora") -> Any:
        """Somebody who shares no server, only a DM."""
        return self.env.create_user(name)

    async def send_dm(self, user: Any, content: str, *files: tuple[str, bytes]) -> discord.Message:
        attachments = self.env.backend.store_attachments(user.dm_channel.id, files)
        return await user.send_dm(content, attachments=attachments)

    async def submit_as(self, person: Any, shown: Any, custom_id: str, fields: dict[str, str]) -> Any:
        """Send off a window under another custom_id, as somebody can who writes to Discord by themselves."""
        shown._interaction.modal["custom_id"] = custom_id
        return await person.submit_modal(shown, fields)

    def last(self, channel: Any = None) -> discord.Message:
        return (channel or self.channel).history()[-1]


class Copies:
    """``copy`` for simcord, which copies each request and event: by pickle, in a tenth of the time."""

    @staticmethod
    def deepcopy(value: Any) -> Any:
        try:
            return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        except (pickle.PicklingError, AttributeError, TypeError):  # not plain data
            return copy.deepcopy(value)


@asynccontextmanager
async def open_studio(
    data_dir: Path, *, target: str = WORKER, settle: float = 60, **settings: str
) -> AsyncIterator[Studio]:
    """``target``: the worker's entry. ``settle``: seconds that an action may take. Every picture is fit
    until a test gives the moderator another judge."""
    common = {"DATA_DIR": str(data_dir), "DEVICES": "cpu", "DISK_FLOOR_MB": "0", "GRACE_SECONDS": "2"}
    common |= {"PHOTO_READERS": "off", "PRESENCE": "off"}  # for the simulator its pauses are work
    loaded = load_settings({**common, **settings}, data_dir / "none.env")
    with contextlib.ExitStack() as patches:
        if not REAL:
            # A second is short on a busy machine, and then answers are private.
            patches.enter_context(mock.patch("bot.submit.PATIENCE", 60.0))
            patches.enter_context(mock.patch("simcord.http.router.copy", Copies))
            patches.enter_context(mock.patch("simcord.gateway.copy", Copies))
        if not REAL and target == WORKER:
            patches.enter_context(mock.patch("jobs.executors.local.PROCESSES", forks()))
        async with _opened_studio(loaded, target, settle) as opened:
            yield opened


@asynccontextmanager
async def _opened_studio(loaded: Settings, target: str, settle: float) -> AsyncIterator[Studio]:
    data_dir = loaded.data_dir
    fresh_database(loaded.database)
    async with services(loaded, target=target) as built:
        if not REAL:
            built.moderator.check = AllFit()
        pending = PendingInteractions(data_dir / "unanswered")
        hooks = Hooks()
        bot = hooks.client(built, pending)
        env = Env(bot, settle_timeout=settle, shard_count=1)
        await env.start()
        try:
            guild = env.create_guild("Test")
            channel = guild.create_text_channel("studio")
            role = guild.create_role("Managers", permissions=discord.Permissions(manage_guild=True))
            people = {name: guild.add_member(env.create_user(name)) for name in ("alice", "bob")}
            mira = guild.add_member(env.create_user("mira"), roles=[role])
            alice, bob = people["alice"], people["bob"]
            yield Studio(env, built, pending, hooks, bot, channel, alice, bob, mira, guild)
        finally:
            await env.shutdown()
            pending.close()
        assert env.errors == []


@pytest.fixture
async def studio(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Studio]:
    """With the test module's SETTINGS, where it has some."""
    async with open_studio(tmp_path, **getattr(request.module, "SETTINGS", {})) as opened:
        yield opened


@pytest.fixture
def picture() -> tuple[str, bytes]:
    return "photo.png", png()
