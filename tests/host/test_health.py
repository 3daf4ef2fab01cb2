"""What is told of a machine with workers: to systemd, and to whoever watches METRICS_PORT."""

import logging
from types import SimpleNamespace
from typing import Any

import aiohttp

from host.worker_app import AgentMetrics, health, serve_worker_metrics
from tests.host.pretended import PretendedAgent, PretendedBus


def test_a_bus_that_is_away_is_told_and_is_no_reason_to_restart() -> None:
    agent: Any = SimpleNamespace(runs=["a", "b"])
    bus: Any = SimpleNamespace(is_up=True)
    assert (health(agent, bus).running, health(agent, bus).problem) == (2, None)
    bus.is_up = False
    assert (health(agent, bus).hung, health(agent, bus).problem) == (False, "the bus is away")


async def test_a_machine_tells_of_devices_runs_steps_and_the_bus() -> None:
    text = (await AgentMetrics(PretendedAgent(), PretendedBus()).text()).decode()  # type: ignore[arg-type]
    for line in (
        'atelier_agent_device_busy{device="cuda:0"} 0.25',
        'atelier_agent_device_up{device="cuda:1"} 0.0',
        'atelier_agent_worker_restarts_total{device="cuda:1"} 3.0',
        'atelier_agent_runs{state="going on"} 1.0',
        'atelier_agent_runs{state="being told"} 1.0',
        'atelier_agent_ends_total{end="lost"} 1.0',
        "atelier_agent_steps_total 280.0",
        "atelier_agent_bus_up 1.0",
        "atelier_agent_bus_reconnects_total 2.0",
        "atelier_agent_bus_lag_seconds 0.003",
    ):
        assert line in text.splitlines(), line


async def test_its_pages_are_served_and_a_taken_port_stops_no_work(unused_tcp_port: int, caplog) -> None:
    agent: Any = PretendedAgent()
    bus: Any = PretendedBus()
    where = f"http://127.0.0.1:{unused_tcp_port}"
    async with (
        serve_worker_metrics(agent, bus, unused_tcp_port, "127.0.0.1"),
        aiohttp.ClientSession(where) as session,
    ):
        async with session.get("/metrics") as answer:
            assert answer.status == 200 and "atelier_agent_steps_total" in await answer.text()
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True, "running": 2, "problem": None})
        with caplog.at_level(logging.ERROR):
            async with serve_worker_metrics(agent, bus, unused_tcp_port, "127.0.0.1"):
                assert f"METRICS_PORT={unused_tcp_port}: can't be used" in caplog.text
        bus.is_up = False
        async with session.get("/healthz") as answer:
            assert answer.status == 503
        async with session.get("/livez") as answer:
            assert answer.status == 200
