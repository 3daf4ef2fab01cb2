"""Where jobs run, as the settings say: workers of this machine, of others over the bus, a chat server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from core.errors import AtelierError
from core.settings import Settings
from host.workers import worker_configs
from jobs.executor import Executor
from jobs.remote.both import Both
from jobs.workers.local import LocalExecutor

if TYPE_CHECKING:
    from bus.connection import Bus

NO_DEVICES = "DEVICES=none leaves nothing to draw with: name devices, or workers elsewhere by BUS_URL."


async def executor_of(settings: Settings, target: str, bus: Bus | None) -> Executor:
    """Return what runs jobs. target: what a worker's process runs. bus: None = no workers elsewhere.
    Raises AtelierError when no device can be used."""
    configs = await worker_configs(settings)
    executor: Executor = LocalExecutor(configs, target=target)
    if bus is not None:
        executor = Both(executor, await _elsewhere(settings, bus))
    elif not configs:
        raise AtelierError(NO_DEVICES)
    if settings.vlm_url:
        from host.chat_server import opened_by  # here: nothing else needs aiohttp
        from jobs.remote.remote import RemoteExecutor

        remote = RemoteExecutor(
            opened_by(settings), settings.vlm_slots, look=executor.ask, boxes=settings.vlm_boxes
        )
        executor = Both(executor, remote)
    return executor


async def _elsewhere(settings: Settings, bus: Bus) -> Executor:
    from jobs.agents.models import digest  # here: nothing else needs the bus
    from jobs.elsewhere.executor import BusExecutor

    [config] = await worker_configs(replace(settings, devices=("cpu",)))  # as every agent's are
    models = await asyncio.to_thread(digest, config)
    scratch = settings.data_dir / "cache" / "bus"
    return BusExecutor(bus, scratch, models=models, clip=settings.models["clip"])
