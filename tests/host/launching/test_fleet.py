"""Agents of a cluster in memory: placed, moved, drained and found again as the queue asks for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from core.telemetry.release import release
from host.launching import fleet as fleets
from host.launching.fleet import Fleet, Sighting
from host.launching.keeper import Report
from host.launching.scaling import Bounds, Scaling
from jobs.elsewhere.load import Load, Machine

QUICK = 0.005  # seconds between two looks


class Memory:
    """A cluster with so many places, whose agents start and drain within a look unless ``slow``."""

    def __init__(self, places: int = 9) -> None:
        self.places, self.slow, self.failing = places, False, ""
        self.agents: dict[str, Report | None] = {}
        self.failed: list[str] = []
        self.did: list[str] = []

    def look(self) -> Sequence[Sighting]:
        failed = [Sighting(name, failed=self.failing) for name in self.failed]
        self.failed = []
        for name, report in self.agents.items():
            if report is None and not self.slow and self._up() < self.places:
                self.agents[name] = Report(name, "n1", 7, False, False, 1, "", release())
            elif report is not None and report.draining and not self.slow:
                self.agents[name] = replace(report, pid=0, ended=True)
        return [*failed, *(Sighting(name, report) for name, report in self.agents.items())]

    def _up(self) -> int:
        return sum(report is not None for report in self.agents.values())

    def place(self, name: str) -> None:
        self.did.append(f"place {name}")
        if self.failing:
            self.failed.append(name)
        else:
            self.agents[name] = None

    def drain(self, name: str) -> None:
        self.did.append(f"drain {name}")
        if (report := self.agents[name]) is not None:
            self.agents[name] = replace(report, draining=True)

    def remove(self, name: str) -> None:
        self.did.append(f"remove {name}")
        del self.agents[name]


class Story:
    """Says what the queue says, look after look, and ends with the last of it."""

    def __init__(
        self, stopping: asyncio.Event, said: Sequence[Load | None | Callable[[], Load | None]]
    ) -> None:
        self._stopping, self._said = stopping, list(said)

    async def ask(self) -> Load | None:
        said = self._said.pop(0)
        if not self._said:
            self._stopping.set()
        return said() if callable(said) else said


async def told(cluster: Memory, bounds: Bounds, *said: Load | None | Callable[[], Load | None]) -> Fleet:
    stopping = asyncio.Event()
    fleet = Fleet(cluster, Scaling(bounds), "ray", grace=0.0)
    await fleet.keep(Story(stopping, said).ask, stopping, every=QUICK)
    return fleet


def load(waiting: int = 0, *running: int, paused: bool = False) -> Load:
    machines = tuple(Machine(f"ray-{number}", True, jobs) for number, jobs in enumerate(running, 1))
    return Load(waiting, paused, machines)


async def test_agents_come_and_go_with_the_queue() -> None:
    cluster = Memory()
    bounds = Bounds(1, 3, waiting=2, idle=0.0)
    await told(
        cluster, bounds, load(), load(), load(5, 1), load(1, 2, 1, 1), load(0, 1, 0, 1), *[load(0, 1)] * 3
    )
    assert cluster.did == [
        *("place ray-1", "place ray-2", "place ray-3"),
        *("drain ray-2", "drain ray-3", "remove ray-2", "remove ray-3"),
    ]
    assert list(cluster.agents) == ["ray-1"]


async def test_a_paused_queue_asks_for_nobody() -> None:
    cluster = Memory()
    await told(cluster, Bounds(0, 3), load(50, paused=True), load(50, paused=True))
    assert cluster.did == []


async def test_a_launcher_finds_those_that_another_has_placed() -> None:
    cluster = Memory()
    await told(cluster, Bounds(2, 3), load(), load())
    await told(cluster, Bounds(2, 3), None, load(), load())
    assert cluster.did == ["place ray-1", "place ray-2"]


async def test_a_drain_that_another_has_begun_goes_on() -> None:
    cluster = Memory()
    await told(cluster, Bounds(2, 2), load(), load())
    cluster.drain("ray-2")
    cluster.slow = True
    await told(cluster, Bounds(0, 2), load(), load())
    assert "ray-2" in cluster.agents
    cluster.slow = False
    await told(cluster, Bounds(0, 2), load(), load())
    assert cluster.did[2:] == ["drain ray-2", "remove ray-2"]


async def test_one_that_never_ends_its_drain_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Memory()
    await told(cluster, Bounds(1, 1), load(), load())
    cluster.slow = True
    monkeypatch.setattr(fleets, "LATE", 0.02)
    await told(cluster, Bounds(0, 0, idle=0.0), load(0, 1), *[load(0, 1)] * 12)
    assert cluster.did == ["place ray-1", "drain ray-1", "remove ray-1"] and not cluster.agents


async def test_one_whose_node_is_lost_amid_its_drain_is_drained_again() -> None:
    cluster = Memory()
    await told(cluster, Bounds(1, 1), load(), load())

    def moved() -> Load:
        cluster.agents["ray-1"] = Report("ray-1", "n2", 8, False, False, 1, "", release())
        return load()

    await told(cluster, Bounds(0, 0, idle=0.0), load(0, 1), moved, load(), load())
    assert cluster.did[1:] == ["drain ray-1", "drain ray-1", "remove ray-1"]


async def test_what_cant_be_placed_is_told_once_and_rests(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Memory()
    cluster.failing = "No module named 'host'"
    await told(cluster, Bounds(1, 1), *[load()] * 5)
    assert cluster.did == ["place ray-1"]
    assert [line for line in caplog.messages if "can't be placed" in line] == [
        "ray-1 can't be placed: No module named 'host'"
    ]


async def test_what_waits_for_a_place_asks_for_no_other() -> None:
    cluster = Memory(places=1)
    await told(cluster, Bounds(1, 2), *[load(50)] * 5)
    assert cluster.did == ["place ray-1", "place ray-2"]


async def test_troubles_of_agents_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cluster = Memory()
    report = Report("ray-1", "n1", 7, False, False, 1, "", release())
    cluster.agents = {
        "ray-1": report,
        "ray-2": replace(report, name="ray-2", pid=0, starts=3, problem="it ended with status 2: BUS_URL"),
        "ray-3": replace(report, name="ray-3", release="0.0.1"),
    }
    await told(cluster, Bounds(3, 3), *[load()] * 3)
    assert [line for line in caplog.messages if line.startswith("ray-")] == [
        "ray-1 runs on n1",
        "ray-2 on n1: it ended with status 2: BUS_URL",
        f"ray-3 on n1 is release 0.0.1, and this {release()}",
    ]


async def test_one_that_the_bot_doesnt_hear_of_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleets, "HEARD_AFTER", 0.0)
    cluster = Memory()
    await told(cluster, Bounds(2, 2), load(), *[load(0, 1)] * 4)
    assert [line for line in caplog.messages if "hear" in line] == [
        "ray-2 runs, and the bot doesn't hear of it: has it an account on the bus?"
    ]


async def test_all_are_taken_off_on_request() -> None:
    cluster = Memory()
    await told(cluster, Bounds(3, 3), load(), load())

    async def ask() -> Load | None:
        return None

    fleet = Fleet(cluster, Scaling(Bounds(0, 0, idle=0.0)), "ray", grace=0.0)
    async with asyncio.timeout(10):
        await fleet.keep(ask, asyncio.Event(), until_empty=True, every=QUICK)
    assert not cluster.agents
    assert sorted(cluster.did[3:6]) == ["drain ray-1", "drain ray-2", "drain ray-3"]
