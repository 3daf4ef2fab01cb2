"""Starts the servers and programs of the simulation, lets them run, and reckons what it took."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil

from proofs.scale.simulation.programs import READY
from proofs.scale.simulation.sampling import Notes, Sample, read
from tests.support import nats, postgres

HEAD = (
    "agents jobs/s: asked told | bot: CPU/s CPU/job messages/s MB/s memory stall p50/most |"
    " claim p50/p99, asked to device p50/p99 | machines nats postgres CPU/s | slots busy, left over"
)


@dataclass(frozen=True)
class Plan:
    """rate: jobs a second. seconds, steps: of a job. warm, measured: seconds. slow: how many seconds of
    this machine are one of these."""

    agents: int
    rate: float
    slots: int = 8
    seconds: float = 16.4
    steps: int = 28
    preview: int = 15_000
    warm: float = 21.4
    measured: float = 30.0
    slow: float = 1.0
    profile: Path | None = None


@dataclass(frozen=True)
class Figures:
    """Of the measured time; a second is one of the plan's, but for stalls and waits. cpu: processor seconds a
    second, by program. told: jobs a second that ended and were told. claimed, handed: seconds from asking to
    a claim, and to a device, sorted. left: jobs that wait at the end. failed: or refused."""

    plan: Plan
    cpu: dict[str, float]
    asked: float
    told: float
    messages: float
    bytes: float
    memory: int
    stalls: list[float]
    claimed: list[float]
    handed: list[float]
    busy: float
    left: int
    failed: int
    devices: int

    @property
    def bot(self) -> float:
        """Processor seconds a second of the bot."""
        return self.cpu["bot"]

    def __str__(self) -> str:
        cpu, stalls = self.cpu, sorted(self.stalls)
        others = " ".join(f"{cpu.get(name, 0.0):.2f}" for name in ("fleet", "nats", "postgres"))
        return (
            f"{self.plan.agents} {self.plan.rate:g}: {self.asked:.1f} {self.told:.1f} |"
            f" {self.bot:.2f} {1000 * self.bot / max(self.told, 0.001):.1f} ms {self.messages:.0f}"
            f" {self.bytes / 1e6:.1f} {self.memory / 2**20:.0f} MB"
            f" {1000 * stalls[len(stalls) // 2]:.0f}/{1000 * stalls[-1]:.0f} ms |"
            f" {_spread(self.claimed)}, {_spread(self.handed)} | {others} |"
            f" {self.busy:.0%}, {self.left} waiting, {self.failed} failed, {self.devices} devices"
        )


def _spread(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "-"
    found = quantiles(seconds, n=100)
    return f"{1000 * found[49]:.0f}/{1000 * found[98]:.0f} ms"


def measure(folder: Path, plan: Plan) -> Figures:
    """Run it all, which takes ``warm`` + ``measured`` seconds and some to start."""
    with ExitStack() as stack:
        database, bus = postgres.Server(durable=True), nats.Server(folder)
        stack.callback(database.remove)
        database.start()
        postgres.make_template(database.folder)
        bus.start()
        stack.callback(bus.stop)
        address = postgres.address(database.folder, postgres.TEMPLATE)
        delay = plan.slow * plan.seconds / plan.steps
        work = {"steps": plan.steps, "delay": delay, "preview": plan.preview}
        machines = {"url": bus.url, "agents": plan.agents, "slots": plan.slots, "work": work}
        machines["slow"] = plan.slow
        fleet = _started(stack, folder, "fleet", "fleet", machines)
        options = {
            "url": bus.url,
            "address": address,
            "slow": plan.slow,
            "seed": 2,
            "rate": plan.rate / plan.slow,
            "profile": plan.profile is not None,
        }
        running = [fleet, _started(stack, folder, "bot", "bot", options)]
        assert bus.process is not None and database.process is not None
        servers = {"nats": bus.process.pid, "postgres": database.process.pid}
        time.sleep(plan.warm * plan.slow)
        began, before = time.monotonic(), {name: _cpu_of(pid) for name, pid in servers.items()}
        time.sleep(plan.measured * plan.slow)
        ended = time.monotonic()
        spent = {name: (_cpu_of(pid) - before[name]) / plan.measured for name, pid in servers.items()}
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
    if plan.profile is not None:
        shutil.move(folder / "bot.profile", plan.profile)
    found = {path.stem: read(path) for path in folder.glob("*.json")}
    return reckoned(plan, found, began, ended, spent)


def _started(
    stack: ExitStack, folder: Path, what: str, name: str, options: dict[str, Any]
) -> subprocess.Popen[str]:
    """A program that is ready, and killed at the end if it still runs then."""
    command = [sys.executable, "-m", "proofs.scale.simulation.programs", what]
    told = json.dumps({**options, "folder": str(folder), "name": name})
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, told], stdout=subprocess.PIPE, text=True, env=environment)
    stack.callback(_end, process)
    assert process.stdout is not None and process.stdout.readline().strip() == READY, f"no {name}"
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def _cpu_of(pid: int) -> float:
    """Processor seconds of a process and its children, those that have ended too."""
    parent, total = psutil.Process(pid), 0.0
    for one in [parent, *parent.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total + sum(parent.cpu_times()[2:4])


def reckoned(
    plan: Plan, found: dict[str, Notes], began: float, ended: float, servers: dict[str, float]
) -> Figures:
    """Return the figures of the time between two moments."""
    bot, fleet = found["bot"], found["fleet"]
    samples = _between(bot.samples, began, ended)
    first, last = samples[0], samples[-1]
    seconds = (last.at - first.at) / plan.slow
    cpu = {name: _rate(_between(notes.samples, began, ended)) * plan.slow for name, notes in found.items()}
    asked, started = bot.times.get("asked", {}), bot.times.get("started", {})
    handed, wall = fleet.times.get("on its device", {}), plan.measured
    told = bot.times.get("told", {})
    chosen = [job for job, at in asked.items() if began <= at < ended]
    busy = [one.more["running"] / one.more["slots"] for one in _between(fleet.samples, began, ended)]
    return Figures(
        plan,
        {**cpu, **servers},
        len(chosen) / wall,
        sum(began <= at < ended for at in told.values()) / wall,
        (last.heard + last.said - first.heard - first.said) / seconds,
        (last.bytes - first.bytes) / seconds,
        last.memory,
        [one.stall for one in samples[1:]],
        sorted(_waits(chosen, asked, started)),
        sorted(_waits(chosen, asked, handed)),
        sum(busy) / len(busy),
        int(last.more["waiting"]),
        len(bot.times.get("failed", {})) + len(bot.times.get("refused", {})),
        int(last.more["devices"]),
    )


def _between(samples: list[Sample], began: float, ended: float) -> list[Sample]:
    return [one for one in samples if began <= one.at <= ended]


def _rate(samples: list[Sample]) -> float:
    return (samples[-1].cpu - samples[0].cpu) / (samples[-1].at - samples[0].at)


def _waits(jobs: Iterable[str], since: dict[str, float], until: dict[str, float]) -> list[float]:
    return [until[job] - since[job] for job in jobs if job in until]
