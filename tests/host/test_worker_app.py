"""An agent that serves no longer than whoever has started it. What is told of machines with workers. Which
workers are started."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.errors import AtelierError
from core.settings import load_settings
from host import services
from host.metrics import Metrics
from host.worker_app import _stop, stop_when_left_alone
from jobs.executors.base import Device
from tests.host.pretended import PretendedBus
from tests.jobs.conftest import open_queue
from tests.jobs.hand_executor import HandExecutor


class Busy:
    """An agent whose run takes as long as it may, unless ``over`` is set."""

    def __init__(self) -> None:
        self.over, self.said = asyncio.Event(), list[str]()

    async def drain(self, grace: float) -> None:
        self.said.append(f"drain {grace:g}")
        await self.over.wait()

    async def stop(self, grace: float) -> None:
        self.said.append(f"stop {grace:g}")


async def test_it_is_told_when_standard_input_ends_and_not_before() -> None:
    theirs, ours = os.pipe()
    stopping, alone = asyncio.Event(), asyncio.Event()
    stop_when_left_alone(stopping, alone, theirs)
    os.write(ours, b"whatever")
    await asyncio.sleep(0.05)
    assert not stopping.is_set()
    os.close(ours)
    async with asyncio.timeout(10):
        await stopping.wait()
    assert alone.is_set()
    os.close(theirs)


async def test_what_runs_may_end_while_somebody_waits_for_it() -> None:
    agent: Any = Busy()
    ending = asyncio.create_task(_stop(agent, 20, asyncio.Event()))
    await asyncio.sleep(0.02)
    assert agent.said == ["drain 20"]
    agent.over.set()
    await ending
    assert agent.said == ["drain 20", "stop 0"]


async def test_whoever_is_left_alone_amid_a_drain_gives_back_at_once() -> None:
    agent: Any = Busy()
    alone = asyncio.Event()
    ending = asyncio.create_task(_stop(agent, 20, alone))
    await asyncio.sleep(0.02)
    alone.set()
    async with asyncio.timeout(10):
        await ending
    assert agent.said == ["drain 20", "stop 0"]


class _Machines(HandExecutor):
    @property
    def devices(self) -> Sequence[Device]:
        made = [Device("cpu", "down"), Device("h1/cuda:0", "ready", slots=8, running=2)]
        made += [Device("h1/cuda:1", "down"), Device("h2/cuda:0", "starting"), Device("h3/cuda:0", "down")]
        return made


async def test_a_machine_is_ready_while_one_of_its_devices_is(tmp_path: Path) -> None:
    async with open_queue(tmp_path, _Machines(), start=False) as queue:
        text = (await Metrics(queue, bus=PretendedBus()).text()).decode()  # type: ignore[arg-type]
        alone = (await Metrics(queue).text()).decode()
    for line in (
        'atelier_agents{state="ready"} 1.0',
        'atelier_agents{state="down"} 2.0',
        'atelier_device_busy{device="h1/cuda:0"} 0.25',
        "atelier_bus_up 1.0",
        "atelier_bus_reconnects_total 2.0",
        "atelier_bus_refused_total 1.0",
        "atelier_bus_unread_total 0.0",
    ):
        assert line in text.splitlines(), line
    assert "atelier_bus" not in alone and "atelier_agents" not in alone


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torch finds on a machine with a driver."""
    devices: list[str] = []
    monkeypatch.setattr(services, "_GPU_NODES", ("/dev/null",))
    monkeypatch.setattr(services, "probe_devices", lambda: [{"device": name} for name in devices])
    return devices


def test_devices_that_are_named_are_taken_as_they_are(found: list[str]) -> None:
    assert services.device_names(("cuda:1", "cpu")) == ("cuda:1", "cpu")


@pytest.mark.parametrize(
    ("there", "started"),
    [(["cuda:0", "cuda:1", "cpu"], ("cuda:0", "cuda:1")), (["mps", "cpu"], ("mps",)), (["cpu"], ("cpu",))],
)
def test_auto_starts_every_gpu_or_else_the_processor(found, there, started) -> None:
    found += there
    assert services.device_names(("auto",)) == started


def test_a_torch_that_cannot_be_loaded_is_said(found: list[str]) -> None:
    with pytest.raises(AtelierError, match="torch can't be loaded"):
        services.device_names(("auto",))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drivers have files on Linux only")
def test_without_a_driver_nobody_loads_torch_to_find_out(found: list[str], monkeypatch) -> None:
    monkeypatch.setattr(services, "_GPU_NODES", ("/dev/no-such-card",))
    found.append("cuda:0")
    assert services.device_names(("auto",)) == ("cpu",)


async def test_each_device_gets_the_settings(tmp_path: Path) -> None:
    settings = load_settings(
        {"DATA_DIR": str(tmp_path), "DEVICES": "cpu, cuda:0", "DTYPE": "float32"}, tmp_path / "no"
    )
    made = await services.worker_configs(settings)
    assert [config.device for config in made] == ["cpu", "cuda:0"]
    assert {config.dtype for config in made} == {"float32"}
    assert {config.cache_dir for config in made} == {str(tmp_path / "cache")}
