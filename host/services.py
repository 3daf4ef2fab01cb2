"""Opens everything that a studio needs: rows, files, the queue with its workers here and elsewhere,
moderation and marks; knows no door."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core import web_push
from core.errors import AtelierError, SettingsError
from core.outside import MQTT, Hosts
from core.process import Supervisor
from core.settings import Settings
from core.traces import Tracing, open_tracing
from host.process import refuse_taken
from jobs.admission import Limits, VideoLimits
from jobs.executors.base import Both, Executor
from jobs.executors.local import LocalExecutor
from jobs.queue import Queue
from storage.blobs import open_files
from storage.blobs.removal import Removal
from storage.database import Database, open_database
from storage.embeddings import VectorFiles
from storage.engines.sqlite import AHEAD, newest_backup, stamped
from storage.identity import Identity, refuse_half_moved
from storage.members import Members
from storage.sessions import Sessions
from studio.authority import Authority, CurrentDirectory
from studio.duels import Duelling
from studio.embeddings import Eyes, Indexing
from studio.janitor import Janitor
from studio.library.rendition import Showing, Thumbnails
from studio.library.wall import WallDrawing
from studio.media.provenance import Credentials, Marker
from studio.media.uploads import Intake
from studio.moderation.moderator import Moderator, PictureCheck, Starting
from studio.moderation.rules import ModerationSettings
from studio.privacy import Deletions, Privacy, Retention
from studio.projects.projects import ProjectLimits
from studio.projects.trainings import Retraining
from studio.requests.chat import Conversations
from studio.rights import Memberships, Sight
from studio.server_tastes import Counting
from studio.services import Services, WebLinks
from vision.describe_models import probe_devices
from vision.protocol import WorkerConfig
from vision.weights import files as files_of_models

if TYPE_CHECKING:
    from host.mqtt_client import MqttClient
    from jobs.cluster.nats import Bus

# The drivers' files: NVIDIA, NVIDIA, AMD, WSL, Intel
_GPU_NODES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/dri/renderD128")
NO_MQTT = "MQTT_URL needs aiomqtt: make setup EXTRAS=mqtt, then a restart."
NO_TORCH = "torch can't be loaded on this machine. `make doctor` says more."


async def worker_configs(settings: Settings) -> list[WorkerConfig]:
    """Return the configuration of each worker.

    Raises AtelierError when DEVICES is "auto" and torch can't be loaded.
    """
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
            video_models=settings.video_models,
            loras=settings.loras,
            exact=settings.exact,
            ip_adapter=settings.ip_adapter,
            controlnet=settings.controlnet_model,
            tiny_vaes=settings.tiny_vaes,
            compile=settings.compile,
            quantize=settings.quantize,
            video_encoder=settings.video_encoder,
            traces=settings.otel_exporter_otlp_endpoint,
            traces_headers=settings.otel_exporter_otlp_headers,
        )
        for device in await asyncio.to_thread(device_names, settings.devices)
    ]


def device_names(asked: tuple[str, ...]) -> tuple[str, ...]:
    """Return the devices to start workers on. "auto" means every GPU that torch can use, or else the
    processor; a child process finds out, so that this one loads no torch.

    Raises AtelierError when that can't load torch either.
    """
    if asked != ("auto",):
        return asked
    if sys.platform.startswith("linux") and not any(Path(node).exists() for node in _GPU_NODES):
        return ("cpu",)  # no driver, no GPU: this saves the seconds that loading torch takes
    found = [entry["device"] for entry in probe_devices()]
    if not found:
        raise AtelierError(NO_TORCH)
    return tuple(name for name in found if name != "cpu") or ("cpu",)


NO_DEVICES = "DEVICES=none leaves nothing to draw with: name devices, or remote workers by BUS_URL."


async def executor_of(settings: Settings, target: str, bus: Bus | None) -> Executor:
    """Return what runs jobs. target: of a process. bus: None = no remote workers. Raises AtelierError."""
    configs = await worker_configs(settings)
    executor: Executor = LocalExecutor(configs, target=target)
    if bus is not None:
        from jobs.cluster.executor import BusExecutor
        from jobs.cluster.protocol import models_digest  # here: nothing else needs the bus

        [config] = await worker_configs(replace(settings, devices=("cpu",)))  # as every agent's are
        models, scratch = await asyncio.to_thread(models_digest, config), settings.data_dir / "cache" / "bus"
        executor = Both(executor, BusExecutor(bus, scratch, models=models, clip=settings.models["clip"]))
    elif not configs:
        raise AtelierError(NO_DEVICES)
    if settings.vlm_url:
        from host.openai_client import open_chat_server  # here: nothing else needs aiohttp
        from jobs.executors.chat_server import ChatServerExecutor

        server, slots, boxes = open_chat_server(settings), settings.vlm_slots, settings.vlm_boxes
        executor = Both(executor, ChatServerExecutor(server, slots, look=executor.ask, boxes=boxes))
    return executor


BACKUP_EVERY = 86_400.0  # seconds


@asynccontextmanager
async def services(
    settings: Settings,
    *,
    target: str = "vision.worker.main:main",
    executor: Executor | None = None,
    adopt: bool = False,
    ports: Sequence[tuple[str, str, int]] = (),
) -> AsyncIterator[Services]:
    """Open database, files, workers and queue in order, and close them in reverse.

    target: what a worker's process runs. executor: what runs jobs; None = a worker for each device of this
    machine, and those that are heard of on the bus. adopt: make one studio of a database, a folder and files
    that aren't one's. ports: setting, host and port of what listens later, looked at before a worker
    starts. Raises StorageError when the database can't be opened, or these aren't one studio's,
    AtelierError when no device can be used or a port is taken, BusError when the bus needs what isn't there.
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
        for port in ports:
            refuse_taken(*port)
        check = PictureCheck(settings.nsfw_model)
        rules = ModerationSettings(settings.moderation, settings.moderation_pictures)
        moderator = Moderator(database, files, check, rules, directory)
        bus = None
        if settings.bus_url:
            from jobs.cluster.nats import connected  # here: a bot without one needs nothing of it

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
            converse=Conversations(database, sight, moderator, settings).begin,
            sees=sight.readable,
            tracing=await stack.enter_async_context(opened_tracing(settings)),
        )
        if bus is not None:
            from jobs.cluster.executor import answer_load

            telling = partial(answer_load, bus, queue)
            await stack.enter_async_context(run_beside("load", telling, database.supervisor))
        copies = VectorFiles(settings.data_dir / "cache" / "vectors")
        kept = settings.retention_days, settings.upload_days, settings.backup_days, settings.trash_days
        privacy = Privacy(
            queue,
            database,
            files,
            copies,
            Removal(database, files, identity),
            Deletions(settings.data_dir / "deletions.json"),
            Retention(*kept, settings.video_keep_days),
            checkpoints=settings.data_dir / "cache" / "checkpoints",
        )
        await privacy.replay()
        await queue.start()
        stack.push_async_callback(queue.stop, settings.grace_seconds)
        stack.push_async_callback(check.close)
        idle = timedelta(days=settings.session_days)
        janitor = Janitor(database, privacy, settings.data_dir, idle=idle)
        await stack.enter_async_context(run_beside("retention", janitor.run_for_ever, database.supervisor))
        await stack.enter_async_context(
            run_beside("backups", partial(back_up_daily, database), database.supervisor)
        )
        again = Retraining(database, queue, privacy, ProjectLimits.of(settings))
        await stack.enter_async_context(run_beside("retraining", again.run_for_ever, database.supervisor))
        drawing = WallDrawing(database, queue, settings)
        await stack.enter_async_context(run_beside("wall", drawing.run_for_ever, database.supervisor))
        counting = Counting(database, directory, settings)
        await stack.enter_async_context(run_beside("tastes", counting.run_for_ever, database.supervisor))
        # the model that says what is in pictures, as rows call it; "" = the host wants none
        wanted = settings.models["clip"] if settings.search_pictures else ""
        eyes, model = (
            Eyes(executor),
            await asyncio.to_thread(files_of_models.named_by, wanted) if wanted else "",
        )
        indexing = Indexing(database, files, copies, queue, eyes, model, rendered)
        await stack.enter_async_context(run_beside("indexing", indexing.run_for_ever, database.supervisor))
        await stack.enter_async_context(run_beside("sorting", indexing.sort_for_ever, database.supervisor))
        await stack.enter_async_context(run_beside("prompts", database.index_prompts, database.supervisor))
        intake = Intake(files, settings.max_upload_mb * 2**20, queue.people.note_upload)
        thumbnails = Thumbnails(files)
        stack.push_async_callback(thumbnails.close)
        marker = await asyncio.to_thread(_marker, settings)
        parameters = settings.picture_parameters
        showing = Showing(files, intake, moderator, thumbnails, marker=marker, parameters=parameters)
        duelling = Duelling(database, queue, showing, directory, settings)
        await stack.enter_async_context(run_beside("duels", duelling.run_for_ever, database.supervisor))
        links = WebLinks(Sessions(database, idle))
        choice = None
        if settings.talk == "model" and settings.vlm_url:
            from host.openai_client import open_chat_server  # here: nothing else needs aiohttp
            from jobs.executors.server_choice import WAITS, ServerChoice

            choice = ServerChoice(open_chat_server(settings, WAITS))
            stack.push_async_callback(choice.close)
        posting = None
        if settings.webhook_hosts:
            from host.outside_client import Outgoing  # here, for the same reason

            posting = Outgoing(Hosts.of(settings.webhook_hosts))
        pushing = None
        if settings.push_hosts and web_push.is_there():
            from host.outside_client import Outgoing  # here, for the same reason

            pushing = Outgoing(Hosts.of(settings.push_hosts))
        cameras = None
        if any("://" in place for place in settings.watch_sources.values()):
            from host.camera_client import CameraClient  # here, for the same reason

            cameras = CameraClient()
        broker = None
        if settings.mqtt_url:
            broker = _broker(settings)
            await stack.enter_async_context(run_beside("mqtt", broker.run, database.supervisor))
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
            choice,
            posting,
            pushing,
            cameras,
            broker,
        )


def _marker(settings: Settings) -> Marker:
    """Return what marks pictures and videos. Raises AtelierError for a certificate that can't be used."""
    certificate, key = settings.c2pa_certificate, settings.c2pa_key
    credentials = Credentials(Path(certificate), Path(key)) if certificate else None
    return Marker(ai_mark=settings.ai_mark, credentials=credentials)


def _broker(settings: Settings) -> MqttClient:
    """Return the client of the broker, not connected yet. Raises AtelierError without the extra."""
    try:
        from host.mqtt_client import MqttClient
    except ImportError as error:
        raise AtelierError(NO_MQTT) from error
    topics = (place.removeprefix(MQTT) for place in settings.watch_sources.values() if place.startswith(MQTT))
    return MqttClient(settings.mqtt_url, frozenset(topics))


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
        videos=VideoLimits(
            running=settings.video_running,
            waiting=settings.video_waiting,
            seconds=settings.video_seconds,
            max_pixels=settings.video_max_pixels,
            per_day=settings.video_per_day,
        ),
        away_waiting=settings.away_waiting,
        away_per_day=settings.away_per_day,
    )


@asynccontextmanager
async def run_beside(
    name: str, work: Callable[[], Awaitable[None]], supervisor: Supervisor
) -> AsyncIterator[None]:
    """Run ``work`` beside the block, again where it fails, and cancel it at the block's end."""
    task = asyncio.create_task(supervisor.forever(name, work), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def back_up_daily(database: Database) -> None:
    """A copy whenever the newest is a day old; a crash loop makes none, so it can't push intact ones out."""
    while database.path is not None and database.backup_dir is not None:
        newest = newest_backup(database.path, database.backup_dir)
        age = time.time() - stamped(newest) if newest else BACKUP_EVERY
        if -AHEAD < age < BACKUP_EVERY:
            await asyncio.sleep(BACKUP_EVERY - max(0.0, age))
            continue
        await database.backup("daily")


log = logging.getLogger(__name__)


@asynccontextmanager
async def opened_tracing(settings: Settings) -> AsyncIterator[Tracing]:
    """Have what takes the spans of jobs; send the last at the end. Raises SettingsError without its extra."""
    try:
        tracing = open_tracing(settings.otel_exporter_otlp_endpoint, settings.otel_exporter_otlp_headers)
    except ModuleNotFoundError as error:
        raise SettingsError(["OTEL_EXPORTER_OTLP_ENDPOINT: traces need: make setup EXTRAS=otel."]) from error
    try:
        yield tracing
    finally:
        await asyncio.to_thread(tracing.close)
