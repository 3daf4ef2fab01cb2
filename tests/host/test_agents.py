"""What is told of machines with workers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from host.metrics import Metrics
from jobs.executors.base import Device
from tests.host.pretended import PretendedBus
from tests.jobs.conftest import open_queue
from tests.jobs.hand_executor import HandExecutor


class _Machines(HandExecutor):
    @property
    def devices(self) -> Sequence[Device]:
        return [
            Device("cpu", "down"),
            Device("h1/cuda:0", "ready", slots=8, running=2),
            Device("h1/cuda:1", "down"),
            Device("h2/cuda:0", "starting"),
            Device("h3/cuda:0", "down"),
        ]


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
