"""What the host sees from outside: health, metrics, one message per kind of trouble, pauses between
connections."""

import asyncio
import logging
from pathlib import Path

import aiohttp
import pytest

from bot.alerts import Alerts
from bot.wire.connections import DAILY, DAY, Connections
from host.metrics import Metrics, serve
from tests.bot.conftest import Studio


async def test_metrics_and_health_tell_of_work_done(studio: Studio, unused_tcp_port: int) -> None:
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


async def test_the_owner_hears_of_each_kind_of_trouble_once(studio: Studio) -> None:
    log = logging.getLogger("jobs.somewhere")
    sent: list[str] = []
    both = asyncio.Event()

    class _User:
        async def send(self, text: str, **_: object) -> None:
            sent.append(text)
            if len(sent) == 2:
                both.set()

    async def fetch_user(_: int) -> _User:
        return _User()

    studio.bot.fetch_user = fetch_user
    with Alerts(studio.bot):
        for job in ("one", "two", "three"):
            log.error("job %s can't be saved", job)
        log.error("the disk is full")
        log.warning("nothing worth a message")
        async with asyncio.timeout(5):
            await both.wait()
    with Alerts(studio.bot):  # as after a restart
        log.error("job %s can't be saved", "four")
        await asyncio.sleep(0.3)
    assert len(sent) == 2 and any("job one" in text for text in sent) and any("disk" in text for text in sent)


def _clock(now: list[float]):
    return lambda: now[0]


def test_a_crash_loop_slows_down_across_processes(tmp_path: Path) -> None:
    now, pauses = [1_000_000.0], []
    for _ in range(12):
        connections = Connections(tmp_path / "c.json", _clock(now))  # a new process each time
        pauses.append(connections.pause())
        now[0] += pauses[-1] + 1
        connections.note()
    assert pauses[:3] == [0, 0, 0] and pauses[3] > 0 and max(pauses) <= 300
    assert sum(pauses) > 600


def test_a_day_of_crashes_never_reaches_discords_limit(tmp_path: Path) -> None:
    now, times = [1_000_000.0], []
    while now[0] < 1_000_000.0 + 3 * DAY:
        connections = Connections(tmp_path / "c.json", _clock(now))
        now[0] += connections.pause() + 2
        connections.note()
        times.append(now[0])
    assert max(sum(1 for t in times if at - DAY < t <= at) for at in times[:: len(times) // 50]) <= DAILY


@pytest.mark.parametrize("content", ["", "nonsense", "[1, 2", '["x", null, 99999999999]'])
def test_a_damaged_or_future_record_does_not_stop_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(content)
    assert Connections(path, lambda: 1000.0).pause() == 0
