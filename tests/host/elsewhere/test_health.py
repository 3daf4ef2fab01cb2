"""What systemd is told of a machine's workers."""

from types import SimpleNamespace
from typing import Any

from host.elsewhere.worker import health


def test_a_bus_that_is_away_is_told_and_is_no_reason_to_restart() -> None:
    agent: Any = SimpleNamespace(runs=["a", "b"])
    bus: Any = SimpleNamespace(is_up=True)
    assert (health(agent, bus).running, health(agent, bus).problem) == (2, None)
    bus.is_up = False
    assert (health(agent, bus).hung, health(agent, bus).problem) == (False, "the bus is away")
