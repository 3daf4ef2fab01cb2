"""What ``doctor`` says of the bus: whether it answers, what it takes, whether it refuses what it must."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import BusError
from core.settings import Settings
from host.installed import Check

if TYPE_CHECKING:
    from jobs.cluster.nats import Bus

PATIENCE = 6.0  # seconds for a connection
LISTENED = 1.6  # seconds in which every machine that works is heard once
APART = 2.0  # seconds between two clocks
WRITE_CONFIG = (
    "give each program an account of its own: `atelier bus --print-config` writes the server's file"
)


def checks(settings: Settings) -> list[Check]:
    """Say whether the bus can be used; nothing without one."""
    return asyncio.run(_checks(settings)) if settings.bus_url else []


async def _checks(settings: Settings) -> list[Check]:
    try:
        from jobs.cluster.nats import connected

        async with connected(settings, "doctor") as bus:
            where = ", ".join(settings.bus_url)
            if not await bus.until_up(PATIENCE):
                fix = "look at BUS_URL, BUS_CREDS and BUS_CA, and whether nats-server runs there"
                return [Check("Bus", False, f"{where} can't be reached{_why(bus.last_trouble)}", fix)]
            found = [Check("Bus", True, f"{where} answers, as {bus.me}")]
            if bus.most < 8 * 2**20:
                text = f"the server takes messages of up to {bus.most / 2**20:.0f} MB"
                found.append(Check("Bus", None, text, "set max_payload: 8MB in its file"))
            if _in_the_clear(settings.bus_url):
                fix = "give the server a certificate and write tls://: prompts and pictures cross that line"
                found.append(Check("Bus", None, "anybody on the way can read along", fix))
            return [*found, await _rights(bus), *await _machines(bus)]
    except ModuleNotFoundError:
        return [Check("Bus", False, "isn't installed", "make setup EXTRAS=scale")]
    except BusError as error:
        return [Check("Bus", False, str(error), "correct the settings of the bus")]


def _why(trouble: str) -> str:
    return f" ({trouble})" if trouble else ""


def _in_the_clear(servers: tuple[str, ...]) -> bool:
    for one in servers:
        found = urlsplit(one)
        host = found.hostname or ""
        try:
            is_here = ip_address(host).is_loopback
        except ValueError:
            is_here = host == "localhost"
        if found.scheme != "tls" and not is_here:
            return True
    return False


async def _rights(bus: Bus) -> Check:
    """Publish what nobody may."""
    from jobs.cluster.nats import Message

    class Nothing(Message, frozen=True):
        pass

    before = bus.counts.refused
    await bus.publish("refused.by.the.server", Nothing())
    await bus.flush()
    await asyncio.sleep(0.1)
    if bus.counts.refused > before:
        return Check("Rights on the bus", True, "what must be refused is refused")
    text = "everybody who reaches the server may say and hear everything"
    return Check("Rights on the bus", None, text, WRITE_CONFIG)


async def _machines(bus: Bus) -> list[Check]:
    """Tell who is heard, where this account may hear it."""
    from jobs.cluster.protocol import BEAT_MOST, Beat

    heard, unread, refused = dict[str, tuple[Beat, float]](), set[str](), bus.counts.refused
    processes = defaultdict[str, set[str]](set)

    def hear(beat: Beat, subject: str) -> None:
        name = subject.partition(".")[2]
        heard[name] = beat, time.time()
        processes[name].add(beat.instance)

    await bus.listen(
        "beat.*",
        Beat,
        hear,
        most=BEAT_MOST,
        unread=lambda error, subject: unread.add(subject.partition(".")[2]),
    )
    await asyncio.sleep(LISTENED)
    if bus.counts.refused > refused:  # this is a worker's account
        return []
    found = []
    if unread:
        text = f"another version than this runs on {', '.join(sorted(unread))}"
        found.append(Check("Machines", None, text, "bring all machines to one version"))
    if same := [name for name, instances in sorted(processes.items()) if len(instances) > 1]:
        text = f"several `atelier worker` have the name {', '.join(same)}, and only one of each gets jobs"
        found.append(Check("Machines", False, text, "give each a NODE_NAME of its own"))
    for name, (beat, at) in sorted(heard.items()):
        apart = beat.clock - at
        if abs(apart) > APART:
            text = f"the clock of {name} is {apart:+.0f} s from ours"
            found.append(Check("Machines", None, text, "set the clocks by NTP"))
    names = ", ".join(f"{name} ({len(beat.devices)})" for name, (beat, _) in sorted(heard.items()))
    return [Check("Machines", True, f"heard of, with devices: {names or 'none yet'}"), *found]
