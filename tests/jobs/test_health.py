"""Signs of life: what counts as hung, and what a job's device seconds are. How long the queue is, as a
launcher hears it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import BusAway, FilesAway, StorageError
from core.job import Job, Status
from core.settings import for_workers
from jobs import runs
from jobs.cluster.executor import LOAD_SUBJECT, AskLoad, Load, Machine, answer_load
from jobs.eta import Estimate, Shares
from jobs.executors.base import Device
from jobs.queue import HUNG_AFTER, Queue
from storage.schema import jobs
from tests.jobs.conftest import ask, ask_held, done, eventually, is_at, open_queue, until
from tests.jobs.hand_executor import HandExecutor
from tests.scale.line import Pipe
from vision.protocol import LoadingModel, Step

LONG = 2 * HUNG_AFTER


def grow_old(queue: Queue) -> None:
    """Let it be long ago that anything was heard of any job."""
    queue.dispatcher.last_sign -= LONG
    for live in queue.dispatcher.running.values():
        live.last_sign -= LONG


async def test_a_job_that_loads_or_draws_is_not_hung_and_a_silent_one_is(
    queue: Queue, executor: HandExecutor
) -> None:
    job_id = await ask_held(executor, queue)
    assert not queue.health().hung
    for sign in (LoadingModel(job_id, "a large model", 0.1), Step(job_id, 1, 4)):
        grow_old(queue)
        health = queue.health()
        assert health.hung and "no job gave a sign of life" in (health.problem or "")
        executor.report(sign)
        assert not queue.health().hung


async def test_a_job_that_was_taken_up_after_a_restart_is_not_hung(tmp_path: Path) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor) as queue:
        job_id = await ask_held(executor, queue)
        executor.surviving.add(executor.held[job_id].run.token)
    async with open_queue(tmp_path, executor, start=False) as queue:
        long_ago = datetime.now(UTC) - timedelta(seconds=LONG)
        await queue.database.write(lambda c: c.execute(sa.update(jobs).values(started_at=long_ago)) and None)
        await queue.start()
        await until(lambda: job_id in executor.held)
        assert not queue.health().hung
        assert queue.dispatcher.running[job_id].before > HUNG_AFTER


async def test_jobs_that_wait_for_files_or_rows_are_not_hung(
    tmp_path: Path, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "AWAY_PAUSES", (0.01,))
    monkeypatch.setattr(runs, "RETRY_PAUSES", (0.01,))
    away, refused = asyncio.Event(), 0
    away.set()

    async def gate(job: Job, running: bool) -> None:
        if running and away.is_set():
            raise FilesAway("the bucket is away")

    async with open_queue(tmp_path, executor, gate=gate) as queue:
        job_id = (await ask(queue)).job.id
        await until(lambda: queue.dispatcher.saving.waits)
        grow_old(queue)
        health = queue.health()
        assert not health.hung and health.problem == "the store of files can't be reached"
        away.clear()
        await until(lambda: job_id in executor.held)

        write = queue.dispatcher.saving.database.write

        async def refuse(*what: object, **how: object) -> None:
            nonlocal refused
            refused += 1
            raise StorageError("the disk doesn't answer")

        monkeypatch.setattr(queue.dispatcher.saving.database, "write", refuse)
        executor.end(done(executor, job_id))
        await until(lambda: refused > 1)
        grow_old(queue)
        assert not queue.health().hung
        monkeypatch.setattr(queue.dispatcher.saving.database, "write", write)
        await eventually(lambda: is_at(queue, job_id, Status.RENDERED))


async def test_waiting_for_files_is_no_time_of_a_device(
    tmp_path: Path, executor: HandExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("jobs.dispatcher.monotonic", lambda: now)

    async def gate(job: Job, running: bool) -> None:
        nonlocal now
        now += 3600 * running  # an hour's outage

    async with open_queue(tmp_path, executor, gate=gate) as queue:
        job_id = await ask_held(executor, queue)
        live = queue.dispatcher.running[job_id]
        assert queue.dispatcher.positions.remaining(live) is None
        now += 60
        executor.report(LoadingModel(job_id, "a large model", 0.5))
        now += 7
        executor.report(Step(job_id, 1, 4))
        executor.end(done(executor, job_id))
        await until(lambda: job_id not in queue.dispatcher.running)
        assert live.seconds == pytest.approx(7)
        assert queue.dispatcher.estimate.seconds("imagine||") == pytest.approx(7)


def test_loading_is_no_time_of_a_device_and_costs_those_beside_it_their_share_alone() -> None:
    shares = Shares()
    shares.begin("a", "loads", 0.0)
    shares.sign("a", "loads", 100.0, loads=True)
    shares.begin("a", "beside", 100.0)
    shares.sign("a", "loads", 110.0, loads=True)
    shares.sign("a", "loads", 114.0, loads=False)
    shares.sign("a", "loads", 118.0, loads=False)
    assert shares.end("a", "loads", 120.0) == pytest.approx(5.0)
    assert shares.end("a", "beside", 120.0) == pytest.approx(10.0)
    assert shares.end("a", "never there", 130.0) == 0.0 and shares.beside("a") == 0
    assert Estimate().pictures(0.0) is None


async def test_a_job_that_waits_for_its_files_still_takes_all_of_its_time(
    tmp_path: Path, executor: HandExecutor
) -> None:
    go_on = asyncio.Event()

    async def gate(job: Job, running: bool) -> None:
        if running:
            await go_on.wait()

    async with open_queue(tmp_path, executor, gate=gate) as queue:
        queue.dispatcher.estimate.add("imagine|0x0x4s0|image", 10.0)
        first = (await ask(queue)).job.id
        await until(lambda: first in queue.dispatcher.running)
        assert queue.dispatcher.positions.remaining(queue.dispatcher.running[first]) == 10.0
        go_on.set()
        await until(lambda: first in executor.held)


async def test_what_goes_on_after_a_restart_has_begun_and_has_worked_before(tmp_path: Path) -> None:
    executor = HandExecutor()
    async with open_queue(tmp_path, executor) as queue:
        job_id = await ask_held(executor, queue)
        live = queue.dispatcher.running[job_id]
        assert not live.is_begun
        again = replace(live, before=100.0)
        again.hand_over(1000.0)
        assert (again.is_begun, again.last_sign, again.working_since) == (True, 1000.0, 900.0)
        again.sign(1005.0, loads=True)
        again.sign(1006.0, loads=False)
        assert (again.last_sign, again.working_since) == (1006.0, 905.0)


class Elsewhere(HandExecutor):
    """With devices of other machines beside it."""

    @property
    def devices(self) -> list[Device]:  # type: ignore[override]
        return [
            *super().devices,
            Device("ray-1/cuda:0", "ready", running=2),
            Device("ray-1/cuda:1", "down", running=1),
            Device("ray-2/cuda:0", "starting"),
            Device("ray-3", "down", problem="uses other models"),
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
