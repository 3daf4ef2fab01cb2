"""``atelier workers ray``: keeps agents on a Ray cluster, until SIGINT or SIGTERM. The agents go on without
it, and it finds them again when it is started anew."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bus.connection import Bus, connected
from core.errors import BusError, SettingsError
from core.setting.host.handed import for_workers
from core.setting.servers import word
from core.settings import Settings
from host.elsewhere.worker import NO_BUS
from host.launching import accounts, on_ray
from host.launching.fleet import Fleet
from host.launching.keeper import COMMAND, Orders
from host.launching.scaling import Bounds, Scaling
from host.logs import set_up_logs
from host.operating.manager import ServiceManager
from host.operating.signals import stop_on_signals
from jobs.elsewhere.load import SUBJECT, AskLoad, Load
from jobs.views import Health

PATIENCE = 2.0  # seconds for the bot to answer
STOPPING = "The workers go on; `atelier workers ray --stop` drains them."
log = logging.getLogger(__name__)


def launch(settings: Settings, arguments: argparse.Namespace, command: Sequence[str] = COMMAND) -> int:
    """Keep agents there until a signal comes. command: of an agent. Return the exit status. Raises
    SettingsError for what can't be meant, ClusterError for a cluster that can't be used."""
    if not settings.bus_url:
        raise SettingsError([NO_BUS])
    try:
        if not word(arguments.name):
            raise ValueError("takes a name")
    except ValueError as error:
        raise SettingsError([f"--name {arguments.name!r}: {error}."]) from error
    needs = on_ray.Needs(arguments.gpus_per_worker, arguments.cpus_per_worker)
    address = arguments.address or os.environ.get("RAY_ADDRESS", "")
    on_ray.check_address(address)
    most = arguments.min if arguments.max is None else arguments.max
    asked = Bounds(arguments.min, most, arguments.waiting_per_worker, arguments.idle_seconds)
    on_ray.take_token(os.environ, Path.home())
    known = accounts.read(arguments.creds) if arguments.creds is not None else None
    handed = {"DEVICES": "auto" if needs.gpus else "cpu", **for_workers()}

    def orders(name: str) -> Orders:
        own = {"BUS_CREDS": known[name]} if known is not None else {}
        return Orders(name, {**handed, **own}, arguments.folder, command)

    set_up_logs(settings, name="launcher")
    cluster = on_ray.RayCluster(on_ray.connect(address, settings.bus_prefix), arguments.name, needs, orders)
    try:
        if arguments.stop:
            bounds = Bounds(0, 0, idle=0.0)
        else:
            bounds = _fitted(asked, arguments.max is None, cluster.places())
        names = [f"{arguments.name}-{number}" for number in range(1, bounds.most + 1)]
        if known is not None:
            accounts.check(known, names)
        fleet = Fleet(cluster, Scaling(bounds), arguments.name, settings.grace_seconds)
        return asyncio.run(_keep(settings, fleet, bounds, until_empty=arguments.stop))
    finally:
        cluster.close()


def _fitted(asked: Bounds, is_open: bool, places: int) -> Bounds:
    """Return the bounds for a cluster with so many places. is_open: no most was named."""
    if is_open:
        return replace(asked, most=max(places, asked.least))
    if asked.most > places:
        log.warning("--max %d: the cluster has room for %d now", asked.most, places)
    return asked


async def _keep(settings: Settings, fleet: Fleet, bounds: Bounds, *, until_empty: bool) -> int:
    stopping = asyncio.Event()
    stop_on_signals(stopping, STOPPING)
    async with connected(settings, "launcher") as bus:
        await bus.until_up(PATIENCE)
        queue = _Asking(bus)
        health = lambda: Health(queue.answers, None, len(fleet.agents), 0, queue.problem)  # noqa: E731
        async with ServiceManager(os.environ).serving(health, stopping):
            if not until_empty:
                print(
                    f"Keeping {bounds.least} to {bounds.most} workers. Ctrl+C ends this, not them.",
                    flush=True,
                )
            await fleet.keep(queue.ask, stopping, until_empty=until_empty)
    return 0


class _Asking:
    """Asks whoever starts the jobs how many wait."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self.problem = bus, "nobody was asked yet"

    @property
    def answers(self) -> bool:
        """Whether the last question was answered."""
        return not self.problem

    async def ask(self) -> Load | None:
        """Return the queue, None when nobody answers."""
        try:
            load = await self._bus.request(SUBJECT, AskLoad(), Load, patience=PATIENCE)
        except BusError as error:
            problem = f"nobody says how many jobs wait: {error}"
        else:
            problem = ""
        if problem != self.problem:
            log.log(
                logging.WARNING if problem else logging.INFO, problem or "the bot says how many jobs wait"
            )
        self.problem = problem
        return None if problem else load
