"""Opens and closes everything: services first, then the client, on Discord or in the sandbox."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from bot.alerts import Alerts
from bot.client import Atelier
from bot.wire.connections import Connections
from bot.wire.pending import PendingInteractions
from bot.wire.serving import Serving
from bot.wire.transport import Transport
from core.errors import StorageError
from core.settings import Settings
from host import garbage
from host.logs import redactor, set_up_logs
from host.metrics import Metrics, serve
from host.workers import worker_configs
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
from studio.pictures.intake import Intake
from studio.pictures.showing import Showing
from studio.privacy import Privacy, Retention
from studio.services import Services
from studio.studio import Studio

if TYPE_CHECKING:
    from bot.sandbox import Page

log = logging.getLogger(__name__)
# seconds; the event loop gets the interpreter from a thread that computes after this time, not after 5 ms
SWITCH_INTERVAL = 0.0005
BACKUP_EVERY, BACKUP_RETRY = 86_400.0, 3600.0  # seconds


def run(settings: Settings, *, sandbox: Page | None = None) -> int:
    """Serve Discord, or the ``sandbox`` page, until SIGINT or SIGTERM. Return the exit status."""
    set_up_logs(settings)
    sys.setswitchinterval(SWITCH_INTERVAL)
    return asyncio.run(_serve(settings, sandbox))


async def _serve(settings: Settings, sandbox: Page | None) -> int:
    stopping = asyncio.Event()
    _on_signals(stopping)
    async with services(settings) as built:
        garbage.configure_gc()
        collecting = garbage.collect_when_idle(lambda: built.queue.unfinished > 0)
        unanswered = settings.data_dir / "unanswered"
        async with _running(collecting, "garbage"):
            with closing(PendingInteractions(unanswered)) as pending:
                if sandbox is not None:
                    from bot.sandbox import serve_sandbox

                    return await serve_sandbox(built, pending, stopping, sandbox)
                return await _serve_discord(built, pending, stopping)


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


async def _serve_discord(built: Services, pending: PendingInteractions, stopping: asyncio.Event) -> int:
    settings, queue, transport, studio = built.settings, built.queue, Transport(), Studio(built)
    metrics = Metrics(queue, lambda: transport.breaker.invalid)

    def make_client() -> Atelier:
        return Atelier(built, studio, pending, transport, on_delivered=metrics.delivered)

    def alerts(client: Atelier) -> Alerts:
        return Alerts(client, queue, lambda: studio.owner_ids, redactor(settings))

    connections = Connections(settings.data_dir / "connections.json")
    async with serve(metrics, queue, settings.metrics_port):
        await Serving(make_client, alerts, connections, queue, settings).until(stopping)
    return 0


@asynccontextmanager
async def services(settings: Settings, *, target: str = "vision.worker:main") -> AsyncIterator[Services]:
    """Open database, files, workers and queue in order, and close them in reverse. ``target``: what a
    worker's process runs."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database, settings.data_dir / "backups")
        )
        files, directory = Files(settings.data_dir / "pictures"), CurrentDirectory()
        check = PictureCheck(settings.nsfw_model)
        rules = ModerationSettings(settings.moderation, settings.moderation_pictures)
        moderator = Moderator(database, files, check, rules, directory)
        executor = LocalExecutor(await worker_configs(settings), target=target)
        queue = Queue(database, files, executor, _limits(settings), gate=moderator.gate)
        privacy = _privacy(settings, queue, database, files)
        await privacy.replay()
        await queue.start()
        stack.push_async_callback(queue.stop, settings.grace_seconds)
        stack.push_async_callback(check.close)
        await stack.enter_async_context(_running(privacy.sweep_for_ever(), "retention"))
        await stack.enter_async_context(_running(_back_up_daily(database), "backups"))
        intake = Intake(files, settings.max_upload_mb * 2**20, queue.note_upload)
        showing = Showing(
            files, intake, moderator, ai_mark=settings.ai_mark, parameters=settings.picture_parameters
        )
        yield Services(settings, database, files, queue, moderator, privacy, intake, showing, directory)


def _limits(settings: Settings) -> Limits:
    return Limits(
        user_running=settings.user_running,
        user_waiting=settings.user_waiting,
        guild_waiting=settings.guild_waiting,
        disk_floor=settings.disk_floor_mb * 10**6,
    )


def _privacy(settings: Settings, queue: Queue, database: Database, files: Files) -> Privacy:
    return Privacy(
        queue,
        database,
        files,
        Retention(settings.retention_days, settings.upload_days, settings.backup_days),
        checkpoints=settings.data_dir / "cache" / "checkpoints",
        notes=settings.data_dir / "deletions.json",
    )


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run ``work`` beside the block, and cancel it at its end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
