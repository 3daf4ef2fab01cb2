"""What the host sees from outside: health, readiness and metrics."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from core.errors import AtelierError, StorageError
from host.metrics import Metrics, answering, not_ready, serve_metrics
from tests.bot.conftest import Studio, open_studio
from tests.host.pretended import WIRE
from tests.jobs.conftest import ask, open_queue, until
from tests.jobs.hand_executor import HandExecutor


async def test_metrics_and_health_tell_of_work_done(tmp_path: Path, unused_tcp_port: int) -> None:
    async with open_studio(tmp_path) as studio:
        await _metrics_and_health(studio, unused_tcp_port)


async def _metrics_and_health(studio: Studio, unused_tcp_port: int) -> None:
    metrics, connected = Metrics(studio.built.queue, lambda: WIRE), [True]
    studio.hooks.delivered.append(metrics.delivered)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    async with (
        serve_metrics(metrics, studio.built.queue, unused_tcp_port, lambda: connected[0]),
        aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session,
    ):
        async with session.get("/healthz") as answer:
            assert answer.status == 200 and (await answer.json())["ok"]
        async with session.get("/readyz") as answer:
            assert answer.status == 200 and (await answer.json()) == {"ready": True, "problems": []}
        async with session.get("/livez") as answer:
            assert answer.status == 200 and (await answer.json()) == {"alive": True}
        connected[0] = False
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["problems"] == ["Discord's gateway is not connected"]
        async with session.get("/metrics") as answer:
            text = await answer.text()
    for line in (
        'atelier_deliveries_total{rung="edit"} 1.0',
        'atelier_run_seconds_count{kind="imagine"} 1.0',
        "atelier_steps_total 4.0",
        'atelier_queue_depth{lane="fast"} 0.0',
        "atelier_invalid_requests 3.0",
        "atelier_identifies_left 249.0",
        "atelier_gateway_up 1.0",
        'atelier_shards{state="open"} 2.0',
        'atelier_shards{state="closed"} 1.0',
        'atelier_rest_requests_total{route="POST /channels/{id}/messages",status="200"} 5.0',
        "atelier_healthy 1.0",
        'atelier_jobs_total{end="rendered"} 1.0',
        'atelier_jobs_total{end="failed"} 0.0',
        'atelier_device_busy{device="cpu"} 0.0',
        'atelier_device_up{device="cpu"} 1.0',
        "atelier_db_unknown_commits_total 0.0",
    ):
        assert line in text, line
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['atelier_files_seconds_count{op="put"}']) > 0
    assert float(values['atelier_db_seconds_count{op="read"}']) > 0
    writes, commits = (float(values[f'atelier_db_seconds_count{{op="{op}"}}']) for op in ("write", "commit"))
    assert writes >= commits > 0
    assert float(values["atelier_disk_free_bytes"]) > 0
    assert "boat" not in text


async def test_a_process_with_a_job_that_hangs_is_not_alive_and_one_with_a_full_disk_is(
    tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_queue(tmp_path, HandExecutor()) as queue:
        async with (
            serve_metrics(Metrics(queue), queue, unused_tcp_port, lambda: True),
            aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session,
        ):
            queue.dispatcher.saving.disk_full = True
            assert [(await session.get(path)).status for path in ("/healthz", "/livez")] == [503, 200]
            queue.dispatcher.saving.disk_full = False
            await ask(queue)
            await until(lambda: queue.health().running)
            monkeypatch.setattr("jobs.queue.HUNG_AFTER", 0.0)
            assert [(await session.get(path)).status for path in ("/healthz", "/livez")] == [503, 503]


async def test_a_process_whose_backups_fail_is_unhealthy_and_alive(tmp_path, unused_tcp_port: int) -> None:
    async def fail() -> None:
        raise StorageError("no room")

    async with open_queue(tmp_path, HandExecutor()) as queue:
        failing = asyncio.create_task(queue.database.supervisor.forever("backups", fail))
        async with (
            serve_metrics(Metrics(queue), queue, unused_tcp_port, lambda: True),
            aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session,
        ):
            await until(lambda: queue.database.problem)
            found = [(await session.get(path)).status for path in ("/healthz", "/livez", "/readyz")]
            assert found == [503, 200, 200] and not queue.health().hung  # what the watchdog goes by
        failing.cancel()


class _Away:
    """A database that doesn't answer."""

    async def read(self, work, *, once: bool = False) -> None:
        raise StorageError("the database does not answer")


async def test_a_port_that_is_taken_is_told_in_a_sentence(unused_tcp_port: int) -> None:
    async with answering({}, unused_tcp_port, "127.0.0.1"):
        with pytest.raises(
            AtelierError, match=(f"METRICS_PORT={unused_tcp_port}: can't be used on 127.0.0.1")
        ):
            async with answering({}, unused_tcp_port, "127.0.0.1"):
                pass


async def test_a_process_whose_database_is_away_is_not_ready() -> None:
    assert await not_ready(_Away(), lambda: True) == ["the database does not answer"]  # type: ignore[arg-type]
