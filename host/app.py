"""Building, running and stopping the studio: services first, then the client, on Discord or in the
sandbox."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.alerts import Alerts
from bot.client import Atelier
from bot.wire.connections import Connections
from bot.wire.pending import Promises
from bot.wire.transport import Transport
from core.errors import AtelierError, StorageError
from core.settings import Settings
from host import garbage
from host.logs import set_up_logs
from host.metrics import Metrics, serve
from jobs.local import LocalExecutor
from jobs.policy import Limits
from jobs.queue import Queue
from storage.database import Database, open_database
from storage.files import Files
from storage.sqlite_file import newest_backup
from studio.directory import CurrentDirectory
from studio.moderation.classifier import PictureCheck
from studio.moderation.moderator import Moderator
from studio.moderation.rules import ModerationSettings
from studio.privacy import Periods, Privacy
from studio.services import Services
from vision.protocol import WorkerConfig
from vision.weights.describe import probe_devices

if TYPE_CHECKING:
    from bot.sandbox import Page

log = logging.getLogger(__name__)
# seconds; the event loop gets the interpreter from a thread that computes after this time, not after 5 ms
SWITCH_INTERVAL = 0.0005
BACKUP_EVERY, BACKUP_RETRY = 86_400.0, 3600.0  # seconds
_CARD_NODES = (
    "/dev/nvidia0",
    "/dev/nvidiactl",
    "/dev/kfd",
    "/dev/dxg",
    "/dev/dri/renderD128",
)  # NVIDIA, AMD, WSL, Intel


def run(settings: Settings, *, sandbox: Page | None = None) -> int:
    """Start, serve Discord or the ``sandbox`` page until SIGINT or SIGTERM, stop. Returns the exit status."""
    set_up_logs(settings)
    sys.setswitchinterval(SWITCH_INTERVAL)
    return asyncio.run(_serve(settings, sandbox))


async def _serve(settings: Settings, sandbox: Page | None) -> int:
    stopping = asyncio.Event()
    _on_signals(stopping)
    async with services(settings) as built:
        promises = Promises(settings.data_dir / "unanswered")
        garbage.tame()
        collecting = asyncio.create_task(
            garbage.collect_when_idle(lambda: built.queue.unfinished), name="garbage"
        )
        try:
            if sandbox is not None:
                from bot.sandbox import serve_sandbox

                return await serve_sandbox(built, promises, stopping, sandbox)
            return await _serve_discord(built, promises, stopping)
        finally:
            collecting.cancel()


def _on_signals(stopping: asyncio.Event) -> None:
    """The first SIGINT or SIGTERM asks for an orderly stop, the second one is not waited for."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            os._exit(130)  # workers end when their pipe closes; the rows say what has to go on
        print("Stopping; running jobs may end first. Once more to stop at once.", flush=True)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


@asynccontextmanager
async def services(settings: Settings, *, target: str = "vision.worker:main") -> AsyncIterator[Services]:
    """Database, files, workers and queue, opened in order and closed in reverse."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with open_database(settings.database, settings.data_dir / "backups") as database:
        files = Files(settings.data_dir / "pictures")
        executor = LocalExecutor(await worker_configs(settings), target=target)
        limits = Limits(
            user_running=settings.user_running,
            user_waiting=settings.user_waiting,
            guild_waiting=settings.guild_waiting,
            disk_floor=settings.disk_floor_mb * 10**6,
        )
        check = PictureCheck(settings.nsfw_model)
        directory = CurrentDirectory()
        rules = ModerationSettings(settings.moderation, settings.moderation_pictures)
        moderator = Moderator(database, files, check, rules, directory)
        queue = Queue(database, files, executor, limits, gate=moderator.gate)
        privacy = Privacy(
            queue,
            database,
            files,
            Periods(settings.retention_days, settings.upload_days, settings.backup_days),
            checkpoints=settings.data_dir / "cache" / "checkpoints",
            notes=settings.data_dir / "deletions.json",
        )
        await privacy.replay()
        await queue.start()
        backups = asyncio.create_task(_back_up_daily(database), name="backups")
        sweeps = asyncio.create_task(privacy.sweep_for_ever(), name="retention")
        try:
            yield Services(settings, database, files, queue, moderator, privacy, directory)
        finally:
            backups.cancel()
            sweeps.cancel()
            await asyncio.gather(sweeps, return_exceptions=True)
            await check.close()
            await queue.stop(settings.grace_seconds)


async def _back_up_daily(database: Database) -> None:
    """A copy whenever the newest is a day old; a crash loop makes none, so it can't push sound ones out."""
    while database.path is not None and database.backup_dir is not None:
        newest = newest_backup(database.path, database.backup_dir)
        age = time.time() - newest.stat().st_mtime if newest else BACKUP_EVERY
        if age < BACKUP_EVERY:
            await asyncio.sleep(BACKUP_EVERY - max(0.0, age))
            continue
        try:
            await database.backup("daily")
        except StorageError:
            log.exception("the daily backup failed")
            await asyncio.sleep(BACKUP_RETRY)


async def worker_configs(settings: Settings) -> list[WorkerConfig]:
    """One per device. "auto" asks a child process, so that no torch is loaded here."""
    devices = await asyncio.to_thread(workers_devices, settings.devices)
    return [
        WorkerConfig(
            device=device,
            models=settings.models,
            cache_dir=str(settings.data_dir / "cache"),
            dtype=settings.dtype,
            offload=settings.offload,
            cpu_threads=settings.cpu_threads,
            allow_download=settings.allow_download,
            hf_token=settings.hf_token,
            log_level=settings.log_level,
            image_models=settings.image_models,
            loras=settings.loras,
            exact=settings.exact,
            ip_adapter=settings.ip_adapter,
            tiny_vaes=settings.tiny_vaes,
            compile=settings.compile,
        )
        for device in devices
    ]


def workers_devices(asked: tuple[str, ...]) -> tuple[str, ...]:
    """The devices to start workers on. "auto": every card torch can use, else the processor; asked of a child
    process."""
    if asked != ("auto",):
        return asked
    if sys.platform.startswith("linux") and not any(Path(node).exists() for node in _CARD_NODES):
        return ("cpu",)  # no driver, no card: saves the seconds that loading torch takes
    found = [entry["device"] for entry in probe_devices()]
    if not found:
        raise AtelierError("torch can't be loaded on this machine. `make doctor` says more.")
    return tuple(name for name in found if name != "cpu") or ("cpu",)


async def _serve_discord(built: Services, promises: Promises, stopping: asyncio.Event) -> int:
    """Connect, and connect again when that fails, with pauses that outlive this process; discord.py resumes
    lost gateways itself."""
    transport = Transport()
    metrics = Metrics(built.queue, lambda: transport.breaker.invalid)
    connections = Connections(built.settings.data_dir / "connections.json")
    async with serve(metrics, built.queue, built.settings.metrics_port):
        while not stopping.is_set():
            pause = connections.pause()
            if pause:
                log.warning("the next connection to Discord is made in %.0f s", pause)
            if await _stopped_within(stopping, pause):
                break
            connections.note()
            client = Atelier(built, promises, transport, on_delivered=metrics.delivered)
            if await _connected(client, built, stopping):
                break
    return 0


async def _connected(client: Atelier, built: Services, stopping: asyncio.Event) -> bool:
    """Serve until stopped (True) or until the connection fails (False). AtelierError when trying again can't
    help."""
    try:
        async with client:
            with Alerts(client):
                await _until_stopped(client, built, stopping)
    except discord.LoginFailure as error:
        raise AtelierError(
            "Discord refuses DISCORD_TOKEN. Copy it again: developer portal, Bot, Reset Token."
        ) from error
    except discord.PrivilegedIntentsRequired as error:
        raise AtelierError(
            "Discord refuses the intents; Atelier needs no privileged ones, so the library's defaults"
            " changed."
        ) from error
    except (
        discord.HTTPException,
        discord.GatewayNotFound,
        discord.ConnectionClosed,
        aiohttp.ClientError,
        OSError,
        AttributeError,
    ) as error:
        log.warning(
            "no connection to Discord (%s)", type(error).__name__
        )  # AttributeError: discord.py's own when the first one is refused
        return False
    return True


async def _until_stopped(client: Atelier, built: Services, stopping: asyncio.Event) -> None:
    serving = asyncio.create_task(client.start(built.settings.discord_token), name="discord")
    stop = asyncio.create_task(stopping.wait(), name="stop")
    try:
        await asyncio.wait((serving, stop), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            await built.queue.stop(built.settings.grace_seconds)
            await client.delivery.close()
            await client.close()
        await serving
    finally:
        stop.cancel()


async def _stopped_within(stopping: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True
