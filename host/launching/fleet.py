"""Keeps the agents of a cluster at the number that the queue asks for, until it is told to stop; the agents
go on without it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from core.errors import AtelierError
from core.telemetry.release import release
from host.launching.keeper import Report
from host.launching.scaling import Agent, Queued, Scaling, State
from jobs.elsewhere.load import Load

EVERY = 2.0  # seconds between two looks
REST = 30.0  # seconds before an agent that could not be placed is placed again
HEARD_AFTER = 60.0  # seconds that an agent may run before the bot hears of it
LATE = 60.0  # seconds beyond its grace that an agent may take to drain
log = logging.getLogger(__name__)


class ClusterError(AtelierError):
    """The cluster can't be reached, lets nobody or everybody in, or has no place."""


@dataclass(frozen=True)
class Sighting:
    """An agent on the cluster. report: None = it has not said anything yet, or doesn't now. failed: why there
    is none although it was placed."""

    name: str
    report: Report | None = None
    failed: str = ""


class Cluster(Protocol):
    """Where agents are placed, by name. All methods may block."""

    def look(self) -> Sequence[Sighting]:
        """Return the agents that are there, whoever has placed them."""
        ...

    def place(self, name: str) -> None:
        """Have an agent started on a node that has room; one of that name that is there stays."""
        ...

    def drain(self, name: str) -> None:
        """Have an agent take nothing new, end what it can, and go."""
        ...

    def remove(self, name: str) -> None:
        """Take an agent off the cluster."""
        ...


class Fleet:
    """prefix: of the agents' names, before their numbers. grace: seconds that running jobs get in a drain."""

    def __init__(self, cluster: Cluster, scaling: Scaling, prefix: str, grace: float) -> None:
        self._cluster, self._scaling, self._prefix, self._grace = cluster, scaling, prefix, grace
        self._told: dict[str, str] = {}  # what the log has of each agent
        self._resting: dict[int, float] = {}  # numbers that could not be placed, until when
        self._drained: dict[int, float] = {}  # since when
        self._unheard: dict[str, float] = {}  # agents that run and that the bot doesn't hear of, since when
        self.agents: tuple[Agent, ...] = ()

    async def keep(
        self,
        ask: Callable[[], Awaitable[Load | None]],
        stopping: asyncio.Event,
        *,
        until_empty: bool = False,
        every: float = EVERY,
    ) -> None:
        """Look, and do what is planned, until ``stopping`` is set, or there are no agents left. Raises
        ClusterError."""
        while not stopping.is_set():
            load = await ask()
            sightings = await asyncio.to_thread(self._cluster.look)
            await asyncio.to_thread(self._turn, load, sightings, monotonic())
            if until_empty and not self.agents:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await stopping.wait()

    def _turn(self, load: Load | None, sightings: Sequence[Sighting], now: float) -> None:
        running = {one.name: one.running for one in load.machines} if load is not None else {}
        self._tell(sightings, now)
        if load is not None:
            self._tell_unheard({one.name for one in load.machines}, sightings, now)
        self._resting = {number: until for number, until in self._resting.items() if until > now}
        found = {self._number(one.name): one for one in sightings if not one.failed}
        self.agents = tuple(
            Agent(number, self._state(number, one, now), running.get(one.name, 0))
            for number, one in sorted(found.items())
        )
        queue = None if load is None else Queued(0 if load.paused else load.waiting)
        plan = self._scaling.plan(now, queue, self.agents)
        waiting = "?" if queue is None else str(queue.waiting)
        for number in plan.place:
            if number not in self._resting:
                log.info("%s is placed (%d agents, %s jobs wait)", self._name(number), len(found), waiting)
                self._cluster.place(self._name(number))
        for number in plan.drain:
            log.info("%s is drained (%d agents, %s jobs wait)", self._name(number), len(found), waiting)
            self._drained[number] = now
            self._cluster.drain(self._name(number))
        for number in plan.remove:
            log.info("%s is taken off the cluster", self._name(number))
            self._drained.pop(number, None)
            self._cluster.remove(self._name(number))

    def _state(self, number: int, one: Sighting, now: float) -> State:
        report = one.report
        since = self._drained.get(number)
        if since is not None and now - since > self._grace + LATE:
            return "ended"  # whatever it is busy with
        if report is None:
            return "placing" if since is None else "draining"
        if report.ended:
            return "ended"
        if report.draining:
            self._drained.setdefault(number, now)
            return "draining"
        self._drained.pop(number, None)  # its node was lost meanwhile, and Ray has started it anew
        return "up" if report.pid else "placing"

    def _tell(self, sightings: Sequence[Sighting], now: float) -> None:
        """Log what is news of an agent, and let numbers rest whose agents could not be placed."""
        for one in sightings:
            if one.failed:
                self._resting[self._number(one.name)] = now + REST
            if (said := _said(one)) and self._told.get(one.name) != said[1]:
                self._told[one.name] = said[1]
                log.log(said[0], "%s %s", one.name, said[1])
        names = {one.name for one in sightings}
        for name in set(self._told) - names:
            del self._told[name]

    def _tell_unheard(self, heard: set[str], sightings: Sequence[Sighting], now: float) -> None:
        run = {one.name for one in sightings if one.report is not None and one.report.pid}
        self._unheard = {name: self._unheard.get(name, now) for name in run - heard}
        for name, since in self._unheard.items():
            if since <= now - HEARD_AFTER:
                self._unheard[name] = math.inf  # said once
                log.warning("%s runs, and the bot doesn't hear of it: has it an account on the bus?", name)

    def _name(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    def _number(self, name: str) -> int:
        return int(name.removeprefix(f"{self._prefix}-"))


def _said(one: Sighting) -> tuple[int, str] | None:
    """Return what the log says of an agent, None where nothing is known."""
    report = one.report
    if one.failed:
        return logging.WARNING, f"can't be placed: {one.failed}"
    if report is None:
        return None
    if report.problem and not report.pid and not report.draining:
        return logging.WARNING, f"on {report.node}: {report.problem}"
    if report.release != release():
        return logging.WARNING, f"on {report.node} is release {report.release}, and this {release()}"
    if report.pid and not report.draining:
        return logging.INFO, f"runs on {report.node}"
    return None
