"""What the host sees from outside: health and metrics."""

from pathlib import Path

import aiohttp

from host.metrics import Metrics, serve
from tests.bot.conftest import Studio, open_studio


async def test_metrics_and_health_tell_of_work_done(tmp_path: Path, unused_tcp_port: int) -> None:
    async with open_studio(tmp_path) as studio:
        await _metrics_and_health(studio, unused_tcp_port)


async def _metrics_and_health(studio: Studio, unused_tcp_port: int) -> None:
    metrics = Metrics(studio.built.queue, lambda: 3)
    studio.hooks.delivered.append(metrics.delivered)
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    async with (
        serve(metrics, studio.built.queue, unused_tcp_port),
        aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session,
    ):
        async with session.get("/healthz") as answer:
            assert answer.status == 200 and (await answer.json())["ok"]
        async with session.get("/metrics") as answer:
            text = await answer.text()
    for line in (
        'atelier_deliveries_total{rung="edit"} 1.0',
        'atelier_run_seconds_count{kind="imagine"} 1.0',
        "atelier_steps_total 4.0",
        'atelier_queue_depth{lane="fast"} 0.0',
        "atelier_invalid_requests 3.0",
        "atelier_healthy 1.0",
    ):
        assert line in text, line
    assert "boat" not in text
