"""Opens the studio's services and closes them again; no door is needed for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from core.settings import Settings
from core.supervisor import Supervisor
from host.elsewhere.executors import executor_of
from host.operating.traces import opened_tracing
from jobs.executor import Executor
from jobs.films import FilmLimits
from jobs.limits import Limits
from jobs.queue import Queue
from storage.database import Database, open_database
from storage.engine.sqlite_file import AHEAD, newest_backup, stamped
from storage.files import Files
from storage.filing.opening import open_files
from storage.filing.removal import Removal
from storage.identity import Identity
from storage.members import Members
from storage.moving.note import refuse_half_moved
from storage.search.vector_files import VectorFiles
from storage.web.sessions import Sessions
from studio.asking.conversations import Conversations
from studio.authority import Authority
from studio.deletions import Deletions
from studio.directory import CurrentDirectory
from studio.janitor import Janitor
from studio.marking.credentials import Credentials
from studio.marking.marker import Marker
from studio.moderation.classifier import PictureCheck
from studio.moderation.moderator import Moderator
from studio.moderation.rules import ModerationSettings
from studio.pictures.intake import Intake
from studio.pictures.showing import Showing
from studio.pictures.thumbnails import Thumbnails
from studio.places.memberships import Memberships
from studio.places.sight import Sight
from studio.places.starting import Starting
from studio.privacy import Privacy, Retention
from studio.projects.projects import limits_of
from studio.projects.retraining import Retraining
from studio.search.eyes import Eyes
from studio.search.indexing import Indexing
from studio.services import Services
from studio.web_links import WebLinks
from vision.weights import fingerprint

BACKUP_EVERY = 86_400.0  # seconds


@asynccontextmanager
async def services(
    settings: Settings,
    *,
    target: str = "vision.worker:main",
    executor: Executor | None = None,
    adopt: bool = False,
) -> AsyncIterator[Services]:
    """Open database, files, workers and queue in order, and close them in reverse.

    target: what a worker's process runs. executor: what runs jobs; None = a worker for each device of this
    machine, and those that are heard of on the bus. adopt: make one studio of a database, a folder and files
    that aren't one's. Raises StorageError when the database can't be opened, or these aren't one studio's,
    AtelierError when no device can be used, BusError when the bus needs what isn't there.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database, settings.backups, may_migrate=settings.migrate)
        )
        await refuse_half_moved(database)
        files, directory = open_files(settings), CurrentDirectory()
        identity = Identity(database, files, settings.data_dir)
        await identity.settle(adopt=adopt)
        check = PictureCheck(settings.nsfw_model)
        rules = ModerationSettings(settings.moderation, settings.moderation_pictures)
        moderator = Moderator(database, files, check, rules, directory)
        bus = None
        if settings.bus_url:
            from bus.connection import connected  # here: a bot without one needs nothing of it

            bus = await stack.enter_async_context(connected(settings))
        if executor is None:
            executor = await executor_of(settings, target, bus)
        rendered = asyncio.Queue[str]()
        authority = Authority(directory, settings.owner_ids, settings.home_guild_ids)
        memberships = Memberships(directory, Members(database))
        sight = Sight(authority, database, directory, memberships)
        queue = Queue(
            database,
            files,
            executor,
            _limits(settings),
            gate=Starting(database, moderator, authority, directory).gate,
            on_rendered=rendered.put_nowait,
            converse=Conversations(database, sight, moderator, directory, settings).begin,
            tracing=await stack.enter_async_context(opened_tracing(settings)),
        )
        if bus is not None:
            from jobs.elsewhere.load import answer_for_ever

            telling = partial(answer_for_ever, bus, queue)
            await stack.enter_async_context(running("load", telling, database.supervisor))
        copies = VectorFiles(settings.data_dir / "cache" / "vectors")
        privacy = _privacy(settings, queue, database, files, copies, Removal(database, files, identity))
        await privacy.replay()
        await queue.start()
        stack.push_async_callback(queue.stop, settings.grace_seconds)
        stack.push_async_callback(check.close)
        idle = timedelta(days=settings.session_days)
        janitor = Janitor(database, privacy, settings.data_dir, idle=idle)
        await stack.enter_async_context(running("retention", janitor.run_for_ever, database.supervisor))
        await stack.enter_async_context(
            running("backups", partial(_back_up_daily, database), database.supervisor)
        )
        again = Retraining(database, queue, privacy, limits_of(settings))
        await stack.enter_async_context(running("retraining", again.run_for_ever, database.supervisor))
        eyes, model = Eyes(executor), await asyncio.to_thread(_model_of_vectors, settings)
        indexing = Indexing(database, files, copies, queue, eyes, model, rendered)
        await stack.enter_async_context(running("indexing", indexing.run_for_ever, database.supervisor))
        intake = Intake(files, settings.max_upload_mb * 2**20, queue.people.note_upload)
        thumbnails = Thumbnails(files)
        stack.push_async_callback(thumbnails.close)
        marker = await asyncio.to_thread(_marker, settings)
        parameters = settings.picture_parameters
        showing = Showing(files, intake, moderator, thumbnails, marker=marker, parameters=parameters)
        links = WebLinks(Sessions(database, idle))
        yield Services(
            settings,
            database,
            files,
            queue,
            moderator,
            privacy,
            janitor,
            intake,
            marker,
            showing,
            directory,
            links,
            indexing,
            eyes,
            bus,
        )


def _model_of_vectors(settings: Settings) -> str:
    """Return what the model that says what is in pictures is called in rows, "" = the host wants none."""
    return fingerprint.named(settings.models["clip"]) if settings.search_pictures else ""


def _marker(settings: Settings) -> Marker:
    """Return what marks pictures and films. Raises AtelierError when the host's certificate can't be used."""
    certificate, key = settings.c2pa_certificate, settings.c2pa_key
    credentials = Credentials(Path(certificate), Path(key)) if certificate else None
    return Marker(ai_mark=settings.ai_mark, credentials=credentials)


def _limits(settings: Settings) -> Limits:
    return Limits(
        user_running=settings.user_running,
        user_waiting=settings.user_waiting,
        guild_waiting=settings.guild_waiting,
        disk_floor=settings.disk_floor_mb * 10**6,
        tokens_per_day=settings.ask_per_day,
        answer_tokens=settings.ask_tokens,
        conversation_tokens=settings.ask_context,
        turns=settings.ask_turns,
        trainings=settings.trainings_waiting,
        films=FilmLimits(
            running=settings.video_running,
            waiting=settings.video_waiting,
            seconds=settings.video_seconds,
            max_pixels=settings.video_max_pixels,
            per_day=settings.video_per_day,
        ),
    )


def _privacy(
    settings: Settings,
    queue: Queue,
    database: Database,
    files: Files,
    copies: VectorFiles,
    removal: Removal,
) -> Privacy:
    return Privacy(
        queue,
        database,
        files,
        copies,
        removal,
        Deletions(settings.data_dir / "deletions.json"),
        Retention(
            settings.retention_days,
            settings.upload_days,
            settings.backup_days,
            settings.trash_days,
            settings.video_keep_days,
        ),
        checkpoints=settings.data_dir / "cache" / "checkpoints",
    )


@asynccontextmanager
async def running(
    name: str, work: Callable[[], Awaitable[None]], supervisor: Supervisor
) -> AsyncIterator[None]:
    """Run ``work`` beside the block, again where it fails, and cancel it at the block's end."""
    task = asyncio.create_task(supervisor.forever(name, work), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _back_up_daily(database: Database) -> None:
    """A copy whenever the newest is a day old; a crash loop makes none, so it can't push sound ones out."""
    while database.path is not None and database.backup_dir is not None:
        newest = newest_backup(database.path, database.backup_dir)
        age = time.time() - stamped(newest) if newest else BACKUP_EVERY
        if -AHEAD < age < BACKUP_EVERY:
            await asyncio.sleep(BACKUP_EVERY - max(0.0, age))
            continue
        await database.backup("daily")
