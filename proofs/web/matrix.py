"""The whole matrix of routes: ``python -m proofs.web.matrix [--every N] [--pairs N]`` walks it, plants
every bug, and sends random people to random addresses."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote

from proofs.web.bugs import BUGS
from tests.web import expected
from tests.web.cells import Cell, cells, filled, leaked, token_cells, walk, without_line
from tests.web.conftest import Answered
from tests.web.world import LINK, MASK, ON_WEB, PEOPLE, PROJECT, SET, SUBJECTS, Somebody, World, open_world

SPOILT = ("..", "%2e%2e", "%00", "%2f", "//", "a" * 300, "é", "\\", ";", "0", "-1", "99", "%", "?", "#", "~")
QUERIES = (
    "",
    "?plain=1",
    "?download=1",
    "?limit=200",
    "?skip=1",
    "?q=canary",
    "?before=1-0",
    "?month=2026-11",
    "?favourite=1",
)


def chosen(world: World, every: int, *, programs: bool = False) -> list[Cell]:
    """Return each ``every``-th cell, of browsers or ``programs``, with routes and people mixed."""
    found = list((token_cells if programs else cells)(world.routes))
    random.Random(1).shuffle(found)
    return found[::every]


async def missed(world: World) -> list[str]:
    """Return the planted bugs that the walk doesn't see."""
    found, everything = [], list(cells(world.routes))
    random.Random(2).shuffle(everything)
    for bug in BUGS:
        with bug.plant(world):
            tally = await walk(world, [cell for cell in everything if bug.where(cell)], patient=False)
        if not tally.wrong:
            found.append(bug.name)
    return found


async def wander(world: World, count: int, seed: int = 3) -> list[str]:
    """Send ``count`` random people to random addresses; return what they got of others'."""
    rng, found = random.Random(seed), []
    reads = [route for route in world.routes if route.method == "GET"]
    for _ in range(count):
        person, subject, route = rng.choice(PEOPLE), rng.choice(SUBJECTS), rng.choice(reads)
        asker = rng.choice(PEOPLE)  # of whose own job is meant
        values = expected.named(world.id_of(subject, asker), world.upload, world.session)
        values["n"], values["side"] = str(rng.choice((0, 1, 2, 4, 5, 64))), rng.choice(("256", "512"))
        path = filled(route, values)
        if rng.random() < 0.3:
            parts = path.split("/")
            parts[rng.randrange(1, len(parts))] = rng.choice(SPOILT)
            path = "/".join(parts)
        answer = await world.browser(person).get(path + rng.choice(QUERIES))
        if _is_others(world, person, path, answer):
            found.append(f"{person.name}: {path}: {answer.status}")
    return found


def _is_others(world: World, person: Somebody, path: str, answer: Answered) -> bool:
    """Return whether an answer holds words or a picture that the person may not see."""
    if leaked(person, answer):
        return True
    if answer.status >= 300 or not answer.headers.get("Content-Type", "").startswith("image/"):
        return False
    if path.startswith("/static/"):
        return False
    mine = {
        world.id_of(subject, person)
        for subject in SUBJECTS
        if expected.may_look(person, subject) and not subject.blocked
    } | ({world.upload, MASK, SET, PROJECT} if person.id == 1 else set())
    if path.startswith(f"/files/s/{LINK}/"):  # what a link shows is everybody's who has it
        mine.add(world.id_of(ON_WEB, person))
    return not any(name in unquote(path) for name in mine)


async def prove(every: int, pairs: int) -> bool:
    """Print what was found; True when all is as the rules want it."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_world(Path(folder)) as world:
            lines, began = without_line(world.routes), time.monotonic()
            print(f"routes: {len(world.routes)}, without a line in the second table: {lines or 0}")
            tally = await walk(world, chosen(world, every))
            print(
                f"matrix: {tally.cells:,} cells, {len(tally.escalations)} escalations,"
                f" {len(tally.refusals)} wrong refusals ({time.monotonic() - began:.0f} s)"
            )
            by_token = await walk(world, chosen(world, every, programs=True))
            print(
                f"by tokens of each scope: {by_token.cells:,} cells, {len(by_token.escalations)} escalations,"
                f" {len(by_token.refusals)} wrong refusals ({time.monotonic() - began:.0f} s)"
            )
            wrong = [*tally.wrong, *by_token.wrong]
            for text in wrong[:40]:
                print(f"  {text}")
            unseen = await missed(world)
            caught = len(BUGS) - len(unseen)
            print(f"  negative control: {caught} of {len(BUGS)} seeded bugs are caught {unseen or ''}")
            others = await wander(world, pairs)
            print(f"random people at random addresses: {pairs:,}, {len(others)} got something of others'")
            for text in others[:5]:
                print(f"  {text}")
            return not (lines or wrong or unseen or others)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="walk each n-th cell only")
    parser.add_argument("--pairs", type=int, default=10_000)
    arguments = parser.parse_args()
    logging.disable()  # each refusal of moderation is a warning
    return 0 if asyncio.run(prove(arguments.every, arguments.pairs)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
