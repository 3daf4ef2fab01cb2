"""How long the queue is, as a launcher hears it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.errors import BusAway
from core.settings import for_workers
from jobs.cluster.executor import LOAD_SUBJECT, AskLoad, Load, Machine, answer_load
from jobs.executors.base import Device
from tests.jobs.conftest import ask, open_queue, until
from tests.jobs.hand_executor import HandExecutor
from tests.scale.line import Pipe


class Elsewhere(HandExecutor):
    """With devices of other machines beside it."""

    @property
    def devices(self) -> list[Device]:  # type: ignore[override]
        return [
            *super().devices,
            Device("ray-1/cuda:0", "ready", running=2),
            Device("ray-1/cuda:1", "down", running=1),
            Device("ray-2/cuda:0", "starting"),
            Device("ray-3", "down", problem="draws with other models"),
        ]


async def test_waiting_jobs_and_machines_are_told_while_somebody_leads(tmp_path: Path) -> None:
    bus = Pipe()
    async with open_queue(tmp_path, Elsewhere()) as queue:
        telling = asyncio.create_task(answer_load(bus, queue))  # type: ignore[arg-type]
        for _ in range(5):
            await ask(queue)
        await until(lambda: queue.health().running == 1)
        told = await bus.request(LOAD_SUBJECT, AskLoad(), Load, patience=5)
        assert told == Load(4, False, (Machine("ray-1", True, 3), Machine("ray-2", False, 0)))
        await queue.pause(1)
        assert (await bus.request(LOAD_SUBJECT, AskLoad(), Load, patience=5)).paused
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        with pytest.raises(BusAway):
            await bus.request(LOAD_SUBJECT, AskLoad(), Load, patience=5)


def test_a_worker_is_handed_what_it_reads_and_no_secret(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        "MODEL_PROFILE=small\nEXACT=off\nDISCORD_TOKEN=secret\nBUS_URL=nats://10.0.0.1:4222\n"
    )
    environ = {
        "EXACT": "on",
        "HF_TOKEN": "secret",
        "BUS_CREDS": "launcher:secret",
        "DATABASE_URL": "postgresql+psycopg://a:secret@db/a",
        "NODE_NAME": "launcher",
        "DEVICES": "none",
        "DATA_DIR": "/srv",
        "METRICS_PORT": "9464",
        "GRACE_SECONDS": "60",
        "PATH": "/bin",
    }
    assert for_workers(environ, env_file) == {
        "BUS_URL": "nats://10.0.0.1:4222",
        "EXACT": "on",
        "GRACE_SECONDS": "60",
        "MODEL_PROFILE": "small",
    }
