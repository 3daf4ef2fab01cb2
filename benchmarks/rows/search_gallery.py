"""A search among a hundred thousand pictures, through the studio and a real worker: by words, by what is in
them, like one of them, each with filters."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks import gallery
from benchmarks.measure import Chart, Figure, Goal, Result, quantile
from benchmarks.rows import Options
from core.settings import Settings, load_settings
from demo.world import COLOURS, OBJECTS
from host.services import services
from storage import people
from storage.gallery import Filter
from studio import search
from studio.authority import Actor
from studio.embeddings import IN_USE
from studio.services import Services
from studio.studio import Studio
from vision.weights import files

TITLE = "A search among 100,000 pictures"
AGAINST = (
    "milliseconds from asking the studio until sixty pictures are known; another member has as many beside"
)
COUNT, QUERIES, PAGE = 100_000, 40, 60
YOU, OTHER = Actor(1, None), 2
WORDS, CONTENT = Goal(at_most=50), Goal(at_most=300)
LIKE_WIDTH = 512  # numbers of a vector of CLIP ViT-B/32; the demo model's have 128


def measure(options: Options) -> Result:
    """Fill two studios, of vectors of the demo model's width and of ``LIKE_WIDTH``, and search in them."""
    count = max(4000, round(COUNT * options.scale) // 4000 * 4000)
    found = {
        **asyncio.run(_by_words(options.folder / "words", count)),
        **asyncio.run(_like(options.folder / "like", count)),
    }
    figures = tuple(
        Figure(f"{which}, {name}", (value,), "ms", "wall", goal if which == "p95" else None)
        for name, (seconds, goal) in found.items()
        for which, value in (
            ("p50", 1000 * statistics.median(seconds)),
            ("p95", 1000 * quantile(seconds, 0.95)),
        )
    )
    series = {name: [1000 * quantile(seconds, 0.95)] for name, (seconds, _) in found.items()}
    notes = (f"{count:,} pictures of the person's and as many of another's; {QUERIES} queries each.",)
    return Result(figures, (), Chart("bars", TITLE, "ms, p95", series), notes)


async def _by_words(folder: Path, count: int) -> dict[str, tuple[list[float], Goal]]:
    settings = _settings(folder)
    await gallery.fill(folder, (YOU.user_id, OTHER), count, _model(settings), 128)
    async with services(settings, adopt=True) as built:  # rows name pictures that nobody has drawn
        studio = Studio(built)
        await _ready(built)
        await studio.search.find(YOU, search.read_query("warm up"))

        async def words(text: str) -> None:
            wanted = Filter(tuple(text.split()))
            await studio.gallery.pictures(YOU, wanted, limit=PAGE)

        async def content(text: str) -> None:
            found = await studio.search.find(YOU, search.read_query(text), limit=PAGE)
            assert len(found.tiles) == PAGE and not found.note

        async def first(text: str) -> None:
            found = await Studio(built).search.find(YOU, search.read_query(text), limit=PAGE)
            assert len(found.tiles) == PAGE and not found.note

        return {
            "words of the prompt": (await _timed(words, _queries()), WORDS),
            "words that stand nowhere": (await _timed(words, _queries("xylophone")), WORDS),
            "words and what is in the picture": (await _timed(content, _queries()), CONTENT),
            "the same, nothing kept of searches before": (await _timed(first, _queries()), CONTENT),
            "with a filter, nothing kept": (
                await _timed(first, _queries("kind:imagine ar:1:1")),
                CONTENT,
            ),
            "the same with a filter": (await _timed(content, _queries("kind:imagine ar:1:1")), CONTENT),
            "the same from five days": (
                await _timed(content, _queries("from:2024-01-01 to:2024-01-05")),
                CONTENT,
            ),
        }


async def _like(folder: Path, count: int) -> dict[str, tuple[list[float], Goal]]:
    settings = _settings(folder)
    await gallery.fill(folder, (YOU.user_id, OTHER), count, _model(settings), LIKE_WIDTH)
    async with services(settings, adopt=True) as built:  # rows name pictures that nobody has drawn
        studio = Studio(built)
        await _ready(built)
        page = await studio.gallery.pictures(YOU, Filter(), limit=QUERIES)

        async def like(text: str) -> None:
            found = await studio.search.find(YOU, search.read_query(text), limit=PAGE)
            assert len(found.tiles) == PAGE and not found.note

        texts = [f"like:{tile.job.id}/{tile.picture.index + 1}" for tile in page.tiles]
        return {f"like a picture, {LIKE_WIDTH} numbers": (await _timed(like, texts), CONTENT)}


def _settings(folder: Path) -> Settings:
    folder.mkdir(parents=True)
    values = {"DATA_DIR": str(folder), "DEVICES": "cpu", "MODEL_PROFILE": "demo", "DISK_FLOOR_MB": "0"}
    return load_settings(values, folder / "none.env")


def _model(settings: Settings) -> str:
    return files.named_by(settings.models["clip"])


async def _ready(built: Services) -> None:
    """Wait until the worker is there, and the background has seen that nothing is missing."""
    while True:
        ready = all(device.state == "ready" for device in built.queue.executor.devices)
        if ready and await built.database.read(partial(people.read_setting, key=IN_USE)) is not None:
            return
        await asyncio.sleep(0.1)


def _queries(more: str = "") -> list[str]:
    random_ = random.Random(3)
    pairs = [(random_.choice(COLOURS), random_.choice(OBJECTS)) for _ in range(QUERIES)]
    return [f"{colour} {thing} {more}".strip() for colour, thing in pairs]


async def _timed(ask: Callable[[str], Awaitable[None]], texts: list[str]) -> list[float]:
    await ask(texts[-1])
    seconds = []
    for text in texts:
        begin = time.perf_counter()
        await ask(text)
        seconds.append(time.perf_counter() - begin)
    return seconds
