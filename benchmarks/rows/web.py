"""What a request costs the bot's process, whose one core acknowledges Discord as well."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.measure import Chart, Figure, Goal, Result, check
from benchmarks.rows import Options, Row
from core.settings import ROOT
from proofs.web import strain
from proofs.web.process import Browser, Person, fill, running

PEOPLE, PICTURES = 40, 20_000
COPIES, LOADS = 100, 20  # small copies of one page; loads of each page that are counted together
FEW = 5  # people who open the create page for the first time, each repeat others
IDLE = 10  # core ms in a second, up to which a process has nothing to do
COPIES_NAME, CREATE, BARE = f"{COPIES} small copies", "create page", "bare aiohttp"
GOALS = {COPIES_NAME: 100.0, CREATE: 15.0}  # ms


def measure_requests(options: Options) -> Result:
    """One process of the bot, and one of aiohttp with the same answers; the loads of all pages in turns."""
    people = fill(options.folder, people=PEOPLE, pictures=round(PICTURES * options.scale))
    found, apart = asyncio.run(_measure(options, people))
    figures = tuple(
        Figure(name, tuple(values), "ms", "CPU", Goal(at_most=GOALS[name]) if name in GOALS else None)
        for name, values in found.items()
    )
    checks = (check("small copies and those of the first load, in bytes", apart, 0),)
    return Result(figures, checks, Chart("ms of a core", found))


async def _measure(options: Options, people: list[Person]) -> tuple[dict[str, list[float]], list[float]]:
    """Return core ms of a process for each repeat, for all small copies together and for each page; and how
    many small copies weren't as the first time."""
    first: list[bytes] = []
    apart: list[float] = []
    found: dict[str, list[float]] = {}
    async with running(options.folder, SEARCH_PICTURES="off") as (studio, http):  # nothing beside it
        browsers = [Browser(http, studio.url, person) for person in people]
        assert studio.bot.process is not None
        process = studio.bot.process.pid
        used = -math.inf
        while (now := _core_ms(process)) - used > IDLE:  # until what a start leaves for later is done
            used = now
            await asyncio.sleep(1)
        _, body = await browsers[0].ask("GET", f"/api/pictures?limit={COPIES}")
        tiles = json.loads(body)["pictures"]
        ways = {
            COPIES_NAME: [tile["small"] for tile in tiles],
            CREATE: ["/"] * LOADS,
            "picture's page": [tile["href"] for tile in tiles[:LOADS]],
            "gallery page": ["/pictures"] * LOADS,
        }
        samples = [(await browsers[0].ask("GET", paths[0]))[1] for paths in ways.values()]
        async with _bare(options.folder, samples) as (port, bare):
            for repeat in range(options.repeats + 1):  # the first opens connections and compiles statements
                costs = dict[str, float]()
                for number, (name, paths) in enumerate(ways.items()):
                    costs[name], answers = await _asked(process, browsers[:1], paths)
                    if name == COPIES_NAME:
                        first = first or answers
                        apart.append(sum(a != b for a, b in zip(first, answers, strict=True)))
                    plain = Browser(http, f"http://127.0.0.1:{port}", people[0])
                    costs[f"{name}, {BARE}"], _ = await _asked(bare, [plain], [f"/{number}"] * len(paths))
                strangers = browsers[1 + repeat * FEW :][:FEW]
                costs[f"{CREATE}, for the first time"], _ = await _asked(process, strangers, ["/"] * FEW)
                for name, cost in costs.items() if repeat else ():
                    found.setdefault(name, []).append(cost * (COPIES if name.startswith(COPIES_NAME) else 1))
    return found, apart


async def _asked(
    process: int, browsers: Sequence[Browser], paths: Sequence[str]
) -> tuple[float, list[bytes]]:
    """Return what each of some answers costs a process, in core ms, and the answers; browsers take turns."""
    began = _core_ms(process)
    answers = [
        await one.ask("GET", path) for one, path in zip(itertools.cycle(browsers), paths, strict=False)
    ]
    cost = (_core_ms(process) - began) / len(paths)
    assert {status for status, _ in answers} == {200}
    return cost, [body for _, body in answers]


@asynccontextmanager
async def _bare(folder: Path, answers: Sequence[bytes]) -> AsyncIterator[tuple[int, int]]:
    """Yield the port and the process of ``benchmarks.bare_web``."""
    files = [folder / f"answer{number}" for number in range(len(answers))]
    for file, answer in zip(files, answers, strict=True):
        file.write_bytes(answer)
    command = (sys.executable, "-m", "benchmarks.bare_web", *map(str, files))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.kill()
        await process.wait()


def _core_ms(process: int) -> float:
    """Return what a process has used of a core until now, its threads included: its own clock, as
    clock_getcpuclockid(3) names it."""
    return 1000 * time.clock_gettime(~process << 3 | 2)


REQUESTS = 100_000
KEPT = 5.0  # MB


def measure_memory(options: Options) -> Result:
    """One process for each value; what it keeps on purpose is full after the first tenth."""
    grown, counted = [], dict[int, list[float]]()
    for repeat in range(max(1, options.repeats // 5)):  # each takes minutes
        folder = options.folder / str(repeat)
        folder.mkdir()
        report = asyncio.run(strain.run(folder, round(REQUESTS * options.scale), 0, 0, 0.0))
        grown.append(report.kept * 2**20 / 1e6)
        for status, count in sorted(report.statuses.items()):
            counted.setdefault(status, []).append(float(count))
    figures = (
        Figure("more memory in all", tuple(grown), "MB", "count", Goal(at_most=KEPT)),
        *(Figure(f"answers {status}", tuple(counts), "", "count") for status, counts in counted.items()),
    )
    missing = [float(len(strain.EVERY - counted.keys()))]
    return Result(
        figures, (check("statuses that never came", missing, 0),), Chart("MB", {"more memory": grown})
    )


ROWS = {
    "requests_memory": Row(
        "Memory: what 100,000 requests of every status leave in the bot's process",
        "the same process after the first 10,000",
        measure_memory,
    ),
    "requests": Row(
        "Requests: what a page costs the bot's process, 20,000 pictures of 40 people",
        "aiohttp alone, which answers with the same bytes, uncompressed and without asking who it is",
        measure_requests,
    ),
}
