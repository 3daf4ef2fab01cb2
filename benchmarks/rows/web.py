"""What a request costs the bot's process, whose one core acknowledges Discord as well."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from benchmarks.measure import Chart, Figure, Goal, Result, check
from benchmarks.rows import Options, Row
from proofs.web.process import Browser, Person, fill, running

PEOPLE, PICTURES = 40, 20_000
COPIES, LOADS = 100, 20  # small copies of one page; loads of each page that are counted together
COPIES_NAME = f"{COPIES} small copies"
GOALS = {COPIES_NAME: 100.0, "create page": 15.0, "picture's page": None, "gallery page": None}  # ms


def measure_requests(options: Options) -> Result:
    """One process of the bot; the loads of all pages in turns."""
    [person, *_] = fill(options.folder, people=PEOPLE, pictures=round(PICTURES * options.scale))
    found, apart = asyncio.run(_measure(options, person))
    figures = tuple(
        Figure(name, tuple(values), "ms", "CPU", None if goal is None else Goal(at_most=goal))
        for (name, values), goal in zip(found.items(), GOALS.values(), strict=True)
    )
    checks = (check("small copies and those of the first load, in bytes", apart, 0),)
    return Result(figures, checks, Chart("ms of a core", found))


async def _measure(options: Options, person: Person) -> tuple[dict[str, list[float]], list[float]]:
    """Return core ms of the bot's process for each repeat, for all small copies together and for each page;
    and how many small copies weren't as the first time."""
    first: list[bytes] = []
    apart: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in GOALS}
    async with running(options.folder, SEARCH_PICTURES="off") as (studio, http):  # nothing beside it
        browser = Browser(http, studio.url, person)
        assert studio.bot.process is not None
        process = studio.bot.process.pid
        _, body = await browser.ask("GET", f"/api/pictures?limit={COPIES}")
        tiles = json.loads(body)["pictures"]
        ways = {
            COPIES_NAME: [tile["small"] for tile in tiles],
            "create page": ["/"] * LOADS,
            "picture's page": [tile["href"] for tile in tiles[:LOADS]],
            "gallery page": ["/pictures"] * LOADS,
        }
        for repeat in range(options.repeats + 1):  # the first opens connections and compiles statements
            for name, paths in ways.items():
                began = _core_ms(process)
                answers = [await browser.ask("GET", path) for path in paths]
                cost = _core_ms(process) - began
                assert {status for status, _ in answers} == {200}
                if name == COPIES_NAME:
                    first = first or [body for _, body in answers]
                    apart.append(sum(a != b for a, (_, b) in zip(first, answers, strict=True)))
                if repeat:
                    found[name].append(cost if name == COPIES_NAME else cost / len(paths))
    return found, apart


def _core_ms(process: int) -> float:
    """Return what a process has used of a core until now, its threads included."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


ROWS = {
    "requests": Row(
        "Requests: what a page costs the bot's process, 20,000 pictures of 40 people",
        "nothing; stated",
        measure_requests,
    ),
}
