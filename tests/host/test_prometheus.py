"""The rules and the dashboard in a real Prometheus (Debian's package ``prometheus``), where there is one."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from host.metrics import Metrics, serve_metrics
from tests.host.pretended import WIRE
from tests.host.test_watching import RULES, expressions
from tests.jobs.conftest import open_queue
from tests.jobs.hand_executor import HandExecutor


@asynccontextmanager
async def _prometheus(folder: Path, watched: int, port: int) -> AsyncIterator[aiohttp.ClientSession]:
    """One that reads the port ``watched`` four times a second, by the project's rules."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus isn't installed")
    shutil.copy(RULES, folder)
    config = yaml.safe_load((RULES.parent / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "250ms", "evaluation_interval": "250ms"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{watched}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield session
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _get(session: aiohttp.ClientSession, path: str, **query: str) -> Any:
    async with session.get(path, params=query, raise_for_status=True) as answer:
        return json.loads(await answer.text())


async def test_prometheus_takes_the_rules_and_every_panel_and_raises_an_alert(
    tmp_path: Path, unused_tcp_port_factory: Any
) -> None:
    port, own = unused_tcp_port_factory(), unused_tcp_port_factory()
    async with open_queue(tmp_path, HandExecutor()) as queue:
        metrics = Metrics(queue, lambda: replace(WIRE, invalid_requests=201))
        async with (
            serve_metrics(metrics, queue, port, lambda: True),
            _prometheus(tmp_path, port, own) as session,
        ):
            firing: set[str] = set()
            async with asyncio.timeout(60):
                while "AtelierInvalidRequests" not in firing:
                    await asyncio.sleep(0.1)
                    with contextlib.suppress(aiohttp.ClientError):  # it has just begun
                        found = (await _get(session, "/api/v1/alerts"))["data"]["alerts"]
                        firing = {one["labels"]["alertname"] for one in found if one["state"] == "firing"}
            assert firing == {"AtelierInvalidRequests"}
            (group,) = (await _get(session, "/api/v1/rules"))["data"]["groups"]
            assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
            assert len(group["rules"]) > 10
            for place, expression in expressions().items():
                query = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
                found = await _get(session, "/api/v1/query", query=query)
                assert found["status"] == "success", f"{place}: {found}"
