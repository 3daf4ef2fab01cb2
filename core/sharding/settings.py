"""What a host sets about a bot of several connections to Discord, or several processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.setting.field import setting
from core.setting.values import whole
from core.sharding.shards import Shards

MOST = 1000
AUTO = 0  # connections, until Discord has been asked
GROUP = "Several bots"
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?", re.ASCII)


def shard_ids(text: str) -> tuple[int, ...]:
    """Return the numbers that a text such as 0-3,8 names, in order. Raises ValueError."""
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        if not (given := _RANGE.fullmatch(part)):
            raise ValueError("takes numbers from 0 and ranges of them, such as 0-3,8")
        first, last = int(given[1]), int(given[2] or given[1])
        if last < first or last >= MOST:
            raise ValueError(f"takes ranges that grow, below {MOST}")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def count(text: str) -> int:
    """Return a number of connections, AUTO for the word. Raises ValueError."""
    if text.strip().lower() == "auto":
        return AUTO
    try:
        return whole(1, MOST)(text)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from error


@dataclass(frozen=True, kw_only=True)
class ShardSettings:
    """The settings of shards."""

    shards: int = setting(
        "1",
        "connections to Discord that the whole bot has; Discord asks for one for each 2,500 servers;"
        " auto = as many as it asks for when a bot of one process starts",
        count,
        group=GROUP,
    )
    shard_ids: tuple[int, ...] = setting(
        "",
        "those of them that this process has, such as 0-3, where several processes are one bot (needs"
        " PostgreSQL and BUS_URL); empty = all, in one process",
        shard_ids,
        group=GROUP,
    )

    global_rate: int = setting(
        "45",
        "requests a second that all processes of a bot together make of Discord, which allows 50, more on"
        " request; with SHARD_IDS each keeps to its part, by its connections",
        whole(1, 10_000),
        group=GROUP,
    )

    @property
    def sharding(self) -> Shards:
        """Both as one."""
        return Shards(self.shards, self.shard_ids)


def shard_problems(read: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each of these settings that is wrong beside the others."""
    ids, problems = read.get("shard_ids", ()), []
    if ids and read.get("shards") == AUTO:
        problems.append(
            "SHARDS=auto: is for one process. With SHARD_IDS all must have the same number: write it in each;"
            " `atelier doctor` tells how many Discord asks for."
        )
    elif ids and ids[-1] >= read.get("shards", 1):
        problems.append(f"SHARD_IDS: has {ids[-1]}, where SHARDS={read.get('shards', 1)} goes from 0.")
    if ids and not read.get("database_url", "").startswith("postgresql"):
        problems.append("SHARD_IDS: several processes need a PostgreSQL server in DATABASE_URL.")
    if ids and not read.get("bus_url"):
        problems.append("SHARD_IDS: several processes need BUS_URL, to ask each other.")
    return problems
