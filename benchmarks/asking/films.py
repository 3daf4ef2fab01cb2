"""Order and direction in drawn films of 3 to 8 frames, asked as members ask: a GIF goes through the film
process, its frames are stored, and the worker answers with the host's chat model (``ASK_MODEL``). Then memory
and time of the film process for a minute of 1080p."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import Figure, Goal
from core.settings import load
from demo.train.chat_data import article, moving, scene_picture, single_scene
from demo.train.chat_talks import TO
from demo.world import OBJECTS
from host.opening import services
from studio.actor import Actor
from studio.pictures.intake import InMemory, child_environment
from studio.studio import Studio
from tests.films import animation, film
from tests.fresh import fresh_database

EACH = 20  # films of each kind and number of frames
COUNTS = range(3, 9)
SIDE, RATE, MINUTE = (1920, 1080), 30, 60


@dataclass(frozen=True)
class Question:
    """A question about a film and its answer."""

    kind: str
    frames: tuple[Image.Image, ...]
    text: str
    answer: str

    def is_right(self, said: str) -> bool:
        """Return whether an answer says it, and no other direction."""
        told = said.lower().strip(" .\n")
        if self.kind == "order":
            return self.answer in told
        return [way for way in TO.values() if way in told] == [self.answer]


def questions(kind: str, count: int, number: int) -> Iterator[Question]:
    """Yield questions about films of ``count`` frames of compositions that training never saw."""
    rng = random.Random(f"films {kind} {count}")
    for _ in range(number):
        if kind == "direction":
            scene, way = single_scene(rng, True), rng.choice(list(TO))
            shown = [picture.image for picture in moving(scene, way, rng, count)]
            text = f"which way does the {scene.groups[0].object} move?"
            yield Question(kind, tuple(shown), text, TO[way])
            continue
        scenes = [single_scene(rng, True, object=thing) for thing in rng.sample(OBJECTS, count)]
        says = [article(f"{s.groups[0].colour} {s.groups[0].object}") for s in scenes]
        k = rng.randrange(count - 1)
        text, answer = rng.choice(
            [
                ("what comes first?", says[0]),
                ("what comes last?", says[-1]),
                (f"what comes after the {scenes[k].groups[0].object}?", says[k + 1]),
                (f"what comes before the {scenes[k + 1].groups[0].object}?", says[k]),
            ]
        )
        yield Question(kind, tuple(scene_picture(s, rng).image for s in scenes), text, answer)


def measure(folder: Path, scale: float) -> list[Figure]:
    """Ask all questions, then read the long film."""
    figures = asyncio.run(_asked(folder, max(2, round(EACH * scale))))
    return [*figures, *_minute()]


async def _asked(folder: Path, each: int) -> list[Figure]:
    figures = []
    async with _studio(folder) as studio:
        for kind, goal in (("order", 90), ("direction", 97)):
            all_hits = list[bool]()
            for count in COUNTS:
                people = (Actor(n, 10, 100) for n in range(1, each + 1))  # each may send so many at once
                hits = [
                    await _hit(studio, one, actor)
                    for one, actor in zip(questions(kind, count, each), people, strict=True)
                ]
                name = f"{kind} in {count} frames, n = {len(hits)}"
                figures.append(Figure(name, (100 * sum(hits) / len(hits),), "%", "count"))
                all_hits += hits
            share = 100 * sum(all_hits) / len(all_hits)
            name = f"{kind} in 3 to 8 frames, n = {len(all_hits)}"
            figures.append(Figure(name, (share,), "%", "count", Goal(at_least=goal)))
    return figures


@asynccontextmanager
async def _studio(folder: Path) -> AsyncIterator[Studio]:
    here = {"DATA_DIR": str(folder), "DISK_FLOOR_MB": "0", "CPU_THREADS": "1", "ASK_PER_DAY": "0"}
    settings = load({**os.environ, **here, "SAFETY_CHECK": "off"}, folder / "none.env")
    if not settings.has_chat_model:
        sys.exit("Name a chat model in ASK_MODEL, or a server in VLM_URL.")
    fresh_database(settings.database)
    async with services(settings) as built:
        yield Studio(built)


async def _hit(studio: Studio, question: Question, actor: Actor) -> bool:
    gif = InMemory("film.gif", animation(question.frames, "GIF", 1))
    new = await studio.talking.ask(actor, question.text, [gif])
    job = (await studio.submit(actor, new)).job
    async for _ in await studio.watch(actor, job.id):
        pass
    return question.is_right(await studio.talking.answer(actor, job.id))


def _minute() -> list[Figure]:
    """Read a film of a minute that pans over noise, with a cut each 13 seconds."""
    rng = np.random.default_rng(1)
    wide = (rng.random((270, 960)) * 60).repeat(4, 0).repeat(4, 1) + np.linspace(0, 150, 3840)
    wall = wide.astype("uint8")

    def shown() -> Iterator[Image.Image]:
        for number in range(RATE * MINUTE):
            left = number * 5 % 1900
            grey = wall[:, left : left + SIDE[0]]
            yield Image.fromarray(255 - grey if number // 400 % 2 else grey).convert("RGB")

    data = film(shown(), "h264", fps=RATE, key_every=250, size=SIDE)
    seconds, memory = zip(*(_read(data) for _ in range(3)), strict=True)
    long = f"film process, {MINUTE} s of 1080p, {len(data) / 2**20:.0f} MB"
    return [
        Figure(f"{long}: processor time", seconds, "s", goal=Goal(at_most=5)),
        Figure("… memory at most", memory, "MiB", "count", Goal(at_most=600)),
    ]


def _read(data: bytes) -> tuple[float, float]:
    """Return the processor seconds and the most memory in MiB of one film process."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'studio.films.gate', 'frames', '16', '250000'], check=True,"
        " stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", code]  # a small parent: a child begins with the peak of its parent
    run = subprocess.run(command, input=data, capture_output=True, env=child_environment(), check=True)
    spent, peak = map(float, run.stdout.split())
    return spent, peak
