"""A connection to Discord, a bus and an agent that are only pretended."""

from collections.abc import Mapping
from types import SimpleNamespace

from host.metrics import Wire
from jobs.cluster.nats import Counts
from jobs.executors.base import Device

REQUESTS = {("POST /channels/{id}/messages", 200): 5, ("GET /gateway/bot", 429): 1}
WIRE = Wire(3, 249, (True, True, False), True, REQUESTS)


class PretendedBus:
    """What Metrics asks of the bus."""

    is_up = True
    counts = Counts(reconnects=2, refused=1)

    async def lag(self) -> float:
        return 0.003


class PretendedAgent:
    """What AgentMetrics asks of an agent."""

    runs = (SimpleNamespace(over=False), SimpleNamespace(over=True))
    devices = (Device("cuda:0", "ready", slots=8, running=2), Device("cuda:1", "down", restarts=3))
    ends: Mapping[str, int] = {"done": 7, "lost": 1}
    steps = 280
