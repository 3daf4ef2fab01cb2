"""How many agents there should be, and which of them go. Knows neither bus nor cluster."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.errors import SettingsError

State = Literal["placing", "up", "draining", "ended"]


@dataclass(frozen=True)
class Bounds:
    """least, most: agents. waiting: jobs that are worth another agent. idle: seconds for which fewer agents
    must have been enough before one is drained. Raises SettingsError."""

    least: int
    most: int
    waiting: int = 4
    idle: float = 300.0

    def __post_init__(self) -> None:
        problems = []
        if not 0 <= self.least <= self.most:
            problems.append(f"--min {self.least} --max {self.most}: 0 ≤ min ≤ max is what is taken.")
        if self.waiting < 1:
            problems.append(f"--waiting-per-worker {self.waiting}: takes 1 or more.")
        if self.idle < 0:
            problems.append(f"--idle-seconds {self.idle:g}: takes 0 or more.")
        if problems:
            raise SettingsError(problems)


@dataclass(frozen=True)
class Agent:
    """An agent as it is now. state: placing (it has no process yet, or isn't heard of), up, draining, ended
    (drained, its process has gone). running: jobs that it has."""

    number: int
    state: State
    running: int = 0


@dataclass(frozen=True)
class Queued:
    """The queue now. waiting: jobs that could be started."""

    waiting: int


@dataclass(frozen=True)
class Plan:
    """What is to be done: numbers of agents to place, to drain, and to take off the cluster."""

    place: tuple[int, ...] = ()
    drain: tuple[int, ...] = ()
    remove: tuple[int, ...] = ()


class Scaling:
    """Follows the queue: up at once, down once fewer have been enough for ``idle`` seconds. How many agents
    are wanted is the most that were wanted in that time, as Kubernetes' stabilization window has it
    (https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/)."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._wanted: deque[tuple[float, int]] = deque()  # (when, agents), within the window

    def plan(self, now: float, queue: Queued | None, agents: Sequence[Agent]) -> Plan:
        """Return what is to be done. now: monotonic seconds. queue: None = nobody could be asked; then
        nothing is drained that the bounds allow."""
        staying = [agent for agent in agents if agent.state in ("placing", "up")]
        target = self._target(now, queue, staying)
        used = {agent.number for agent in agents}
        free = [number for number in range(1, self.bounds.most + 1) if number not in used]
        surplus = sorted(staying, key=_worth)[: max(0, len(staying) - target)]
        idle = [agent for agent in surplus if agent.state == "placing" and not agent.running]
        ended = [agent for agent in agents if agent.state == "ended"]
        return Plan(
            place=tuple(free[: max(0, target - len(staying))]),
            drain=tuple(agent.number for agent in surplus if agent not in idle),
            remove=tuple(agent.number for agent in (*idle, *ended)),
        )

    def _target(self, now: float, queue: Queued | None, staying: Sequence[Agent]) -> int:
        bounds = self.bounds
        wanted = len(staying)
        if queue is not None:
            busy = sum(agent.running > 0 for agent in staying)
            wanted = busy + math.ceil(queue.waiting / bounds.waiting)
        if not self._wanted:  # of the time before this nothing is known
            self._wanted.append((now, max(wanted, len(staying))))
        self._wanted.append((now, wanted))
        while now - self._wanted[0][0] > bounds.idle:
            self._wanted.popleft()
        most = max(count for _, count in self._wanted)
        return min(max(most, bounds.least), bounds.most)


def _worth(agent: Agent) -> tuple[bool, int, int]:
    """The order in which agents go: those that do nothing yet, those with least to do, the newest."""
    return agent.state == "up", agent.running, -agent.number
