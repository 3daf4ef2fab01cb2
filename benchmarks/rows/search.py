"""Search: among a hundred thousand pictures that were never drawn, through the studio and a real worker, and
the nearest of a million vectors, exactly and by indexes."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import sqlalchemy as sa

from benchmarks.measure import Chart, Figure, Goal, Result, check, quantile
from benchmarks.rows import Options, Row
from core.job import NOBODY, Job, Lane, Origin, Status, Surface, new_job_id
from core.requests import ImagineRequest
from core.settings import Settings, load_settings
from core.styles import STYLES, codes
from demo.world import COLOURS, OBJECTS, PLACES
from host.services import services
from storage import embeddings, people, place_sets
from storage import jobs as rows
from storage.database import Database, open_database
from storage.embeddings import VectorFiles
from storage.gallery import Filter
from storage.job_queries import StoredOutput, StoredPicture
from storage.people import pages
from storage.schema import jobs, picture_minors, picture_scores, picture_vectors, pictures, style_tiles
from storage.wall import list_tiles
from studio import search
from studio.authority import Actor
from studio.embeddings import IN_USE
from studio.services import Services
from studio.studio import Studio
from vision.protocol import Nearest
from vision.weights import files
from vision.worker.nearest import nearest

PER_JOB, BATCH = 4, 4000
CLASSIFIER = "open_nsfw"  # that Atelier comes with; each picture is judged once, when it is made
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)


def words(random_: random.Random) -> str:
    """A prompt such as "a red boat at night"."""
    colour, obj, place = random_.choice(COLOURS), random_.choice(OBJECTS), random_.choice(PLACES)
    return f"a {colour} {obj} at {place}, {random_.choice(('flat', 'in oil', 'from afar', 'in detail'))}"


async def fill(folder: Path, user_ids: tuple[int, ...], count: int, model: str, width: int) -> None:
    """Give each of these people ``count`` pictures, in turns, with vectors of ``width`` numbers."""
    async with open_database(folder / "atelier.db", None) as database:
        await _fill(database, VectorFiles(folder / "cache" / "vectors"), user_ids, count, model, width)


async def _fill(
    database: Database, copies: VectorFiles, user_ids: tuple[int, ...], count: int, model: str, width: int
) -> None:
    first = await _one(database, user_ids[0])
    numbers, random_ = np.random.default_rng(0), random.Random(0)
    total = count * len(user_ids)
    for start in range(0, total, BATCH):
        drawn = numbers.standard_normal((min(BATCH, total - start), width), np.float32)
        unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        packed = [one.tobytes() for one in unit.astype("<f2")]
        made = list(_jobs(first, user_ids, start, len(packed), random_))
        await database.write(lambda c, s=start, m=made, p=packed: _insert(c, s, m, p, model))
        await copies.put(model, {start + place: vector for place, vector in enumerate(packed)})
        await asyncio.sleep(0)


async def _one(database: Database, user_id: int) -> dict[str, Any]:
    """A finished job's row, as the program writes it; it is taken out again."""
    request = ImagineRequest(prompt="a red house")
    origin = Origin(user_id, 0, surface=Surface.WEB)
    job = Job(new_job_id(), request, origin, Status.QUEUED, Lane.FAST, BEGAN)
    picture = StoredPicture("0" * 64, "image/png", 512, 512, 1, 0, 400_000)

    def work(connection: sa.Connection) -> dict[str, Any]:
        rows.add_job(connection, job, cost_key="imagine||image", max_running=3)
        rows.claim(connection, job.id, token="t", device="cpu", now=BEGAN)
        output = StoredOutput((picture,), parameters={"model": "stable-diffusion", "seed": 1})
        rows.finish(connection, job.id, output, token="t", now=BEGAN, run_seconds=1.0)
        row = dict(connection.execute(sa.select(jobs).where(jobs.c.id == job.id)).one()._mapping)
        connection.execute(sa.delete(jobs).where(jobs.c.id == job.id))
        return row

    return await database.write(work)


def _jobs(
    first: dict[str, Any], user_ids: tuple[int, ...], start: int, count: int, random_: random.Random
) -> Iterator[dict[str, Any]]:
    for place in range(start, start + count, PER_JOB):
        number, text = place // PER_JOB, words(random_)
        at = BEGAN + timedelta(minutes=number)
        times = dict.fromkeys(("created_at", "rendered_at", "finished_at", "delivered_at"), at)
        yield {
            **{name: value for name, value in first.items() if name != "seq"},
            "id": new_job_id(),
            "user_id": user_ids[number % len(user_ids)],
            "prompt": text,
            "request": first["request"].replace("a red house", text),
            "parameters": json.dumps({"model": f"model-{number % SHARE:02}", "seed": place}),
            **times,
        }


def _insert(
    connection: sa.Connection, start: int, made: list[dict[str, Any]], packed: list[bytes], model: str
) -> None:
    connection.execute(sa.insert(jobs), made)
    drawn, seen = [], []
    for place, vector in enumerate(packed, start):
        job, position = made[(place - start) // PER_JOB], place % PER_JOB
        sha256 = f"{random.Random(place).getrandbits(256):064x}"
        common = {"sha256": sha256, "media_type": "image/png", "width": 512, "height": 512, "size": 400_000}
        drawn.append({"job_id": job["id"], "position": position, "seed": place, **common})
        seen.append({"place": place, "sha256": sha256, "model": model, "vector": vector})
    connection.execute(sa.insert(pictures), drawn)
    judged = [{"sha256": one["sha256"], "classifier": CLASSIFIER, "nsfw": 0.0} for one in drawn]
    connection.execute(sa.insert(picture_scores), judged)
    connection.execute(sa.insert(picture_minors), [{"sha256": one["sha256"], "of_minor": 0} for one in drawn])
    connection.execute(sa.insert(picture_vectors), seen)
    for page in pages(one["sha256"] for one in seen):
        embeddings.note_places(connection, model, page)


COUNT, QUERIES, PAGE = 100_000, 40, 60
YOU, OTHER = Actor(1, None), 2
WORDS, CONTENT = Goal(at_most=50), Goal(at_most=300)
LIKE_WIDTH = 512  # numbers of a vector of CLIP ViT-B/32; the demo model's have 128


def measure_search_gallery(options: Options) -> Result:
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
    return Result(figures, (), Chart("ms, p95", series), notes)


async def _by_words(folder: Path, count: int) -> dict[str, tuple[list[float], Goal]]:
    settings = _settings(folder)
    await fill(folder, (YOU.user_id, OTHER), count, _model(settings), 128)
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
    await fill(folder, (YOU.user_id, OTHER), count, _model(settings), LIKE_WIDTH)
    async with services(settings, adopt=True) as built:  # rows name pictures that nobody has drawn
        studio = Studio(built)
        await _ready(built)
        page = await studio.gallery.pictures(YOU, Filter(), limit=QUERIES)

        async def like(text: str) -> None:
            found = await studio.search.find(YOU, search.read_query(text), limit=PAGE)
            assert len(found.tiles) == PAGE and not found.note

        texts = [f"like:{tile.job.id}/{tile.picture.index + 1}" for tile in page.tiles]
        return {f"like a picture, {LIKE_WIDTH} numbers": (await _timed(like, texts), CONTENT)}


HUNG = 1000  # styles
PLAIN = "styles compared one by one instead"


def measure_wall(options: Options) -> Result:
    """Hang ``HUNG`` styles, of vectors as wide as a CLIP ViT-B/32's, and search among them."""
    found, apart = asyncio.run(_hung(options.folder / "wall"))
    figures = tuple(
        Figure(
            f"{which}, {name}", (value,), "ms", "wall", WORDS if which == "p95" and name != PLAIN else None
        )
        for name, seconds in found.items()
        for which, value in (
            ("p50", 1000 * statistics.median(seconds)),
            ("p95", 1000 * quantile(seconds, 0.95)),
        )
    )
    series = {name: [1000 * quantile(seconds, 0.95)] for name, seconds in found.items()}
    notes = (f"{HUNG:,} styles with four tiles each; {QUERIES} queries each, which share what was read.",)
    checks = (check("likeness of a style in the same place", apart, 1e-3),)
    return Result(figures, checks, Chart("ms, p95", series), notes)


async def _hung(folder: Path) -> tuple[dict[str, list[float]], list[float]]:
    """Return how long each kind of search takes, and how far the likeness of a style in each place is from
    that of all compared one by one."""
    settings, random_ = _settings(folder), random.Random(1)
    model, numbers = _model(settings), list(codes().values())[:HUNG]
    await fill(folder, (NOBODY,), PER_JOB * HUNG, model, LIKE_WIDTH)
    async with services(settings, adopt=True) as built:
        wall, image = Studio(built).wall, settings.models["image"]
        ids = await built.database.read(lambda c: list(c.scalars(sa.select(jobs.c.id).order_by(jobs.c.seq))))
        hung = [
            {"model": image, "style": n, "subject": 0, "job_id": i} for n, i in zip(numbers, ids, strict=True)
        ]
        await built.database.write(lambda c: c.execute(sa.insert(style_tiles), hung) and None)
        await _ready(built)
        tiles = {one.style: one.sha256 for one in await built.database.read(partial(list_tiles, model=image))}
        rows_ = await built.database.read(lambda c: c.execute(sa.select(picture_vectors)).all())
        vectors = {row.sha256: np.frombuffer(row.vector, "<f2").astype(np.float32) for row in rows_}
        texts = [" ".join(random_.choice(kinds) for kinds in STYLES[:2]) for _ in range(QUERIES)]
        likes = [str(random_.choice(numbers)) for _ in range(QUERIES)]
        ours, apart = dict[str, list[int]](), list[float]()

        async def words(text: str) -> None:
            assert (await wall.find(YOU, text)).styles

        async def like(number: str) -> None:
            ours[number] = [one.number for one in (await wall.find(YOU, like=int(number))).styles]

        async def plain(number: str) -> None:
            own = vectors[tiles[int(number)]]
            near = sorted((float(own @ vectors[tiles[n]]) for n in numbers if n != int(number)), reverse=True)
            mine = [float(own @ vectors[tiles[n]]) for n in ours[number]]
            apart.extend(abs(one - other) for one, other in zip(mine, near, strict=False))

        names = ("words of a style", "like a style", PLAIN)
        asked = ((words, texts), (like, likes), (plain, likes))
        return {name: await _timed(*how) for name, how in zip(names, asked, strict=True)}, apart


MILLION, ASKED = 1_000_000, 20
REQUEST = Goal(at_most=40)


def measure_search_request(options: Options) -> Result:
    """Ask the studio among a million pictures, and count what it and its worker use of a core."""
    count = max(20_000, round(MILLION * options.scale) // 4000 * 4000)
    found = asyncio.run(_requests(options.folder / "million", count))
    figures = tuple(
        Figure(name, tuple(values), "ms", clock, REQUEST if clock == "CPU" else None)
        for name, (cores, seconds) in found.items()
        for clock, values in (("CPU", cores), ("wall", seconds))
    )
    series = {name: [statistics.median(cores)] for name, (cores, _) in found.items()}
    notes = (
        f"{count:,} pictures of one person with vectors of {LIKE_WIDTH} numbers; core milliseconds of the"
        " bot's process and its worker's, means of four searches each. The vectors of the words are known, as"
        " after a first search for them. Each filter lets one picture in twenty through.",
    )
    return Result(figures, (), Chart("ms of a core", series), notes)


async def _requests(folder: Path, count: int) -> dict[str, tuple[list[float], list[float]]]:
    settings, models = _settings(folder), [f"model:model-{number:02}" for number in range(ASKED)]
    await fill(folder, (YOU.user_id,), count, _model(settings), LIKE_WIDTH)
    async with services(settings, adopt=True) as built:  # rows name pictures that nobody has drawn
        studio = Studio(built)
        await _ready(built)
        await _sorted(built)
        page = await studio.gallery.pictures(YOU, Filter(), limit=ASKED)
        like = [f"like:{tile.job.id}/{tile.picture.index + 1}" for tile in page.tiles]
        texts, drawn = _queries()[:ASKED], np.random.default_rng(5).standard_normal((ASKED + 64, LIKE_WIDTH))
        vectors = [one.tobytes() for one in (drawn / 23).astype("<f2")]
        eyes = built.eyes
        eyes._unrelated[_model(settings)] = tuple(vectors[ASKED:])
        eyes._texts.update({(_model(settings), text): one for text, one in zip(texts, vectors, strict=False)})
        span = max(1, count // PER_JOB // 1440 // ASKED)  # days of a twentieth, a job a minute
        begins = [BEGAN + timedelta(days=span * number) for number in range(ASKED)]
        days = [f"from:{one:%F} to:{one + timedelta(days=span - 1):%F}" for one in begins]
        asked = {
            "like a picture": like,
            "… a filter that nobody has asked for": [f"{a} {b}" for a, b in zip(like, models, strict=True)],
            "… days that nobody has asked for": [f"{a} {b}" for a, b in zip(like, days, strict=False)],
            "words, and what is in the picture": texts,
        }
        return {name: await _used(studio, some) for name, some in asked.items()}


async def _sorted(built: Services) -> None:
    """Wait until all is known that is noted a moment after a start."""
    missing = partial(place_sets.missing, model=built.indexing.model)
    while built.indexing.looked is None or await built.database.read(missing):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def _used(studio: Studio, texts: list[str]) -> tuple[list[float], list[float]]:
    """Milliseconds of a core, of this process and its children, and of the clock, for each four searches."""
    cores, seconds = list[float](), list[float]()
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    for start in range(0, len(texts) - 3, 4):
        begin, used = time.perf_counter(), sum(sum(one.cpu_times()[:2]) for one in processes)
        for text in texts[start : start + 4]:
            found = await studio.search.find(YOU, search.read_query(text), limit=PAGE)
            assert not found.note, text
        seconds.append(250 * (time.perf_counter() - begin))
        cores.append(250 * (sum(sum(one.cpu_times()[:2]) for one in processes) - used))
    return cores, seconds


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
    return [f"{colour} {obj} {more}".strip() for colour, obj in pairs]


async def _timed(ask: Callable[[str], Awaitable[None]], texts: list[str]) -> list[float]:
    await ask(texts[-1])
    seconds = []
    for text in texts:
        begin = time.perf_counter()
        await ask(text)
        seconds.append(time.perf_counter() - begin)
    return seconds


SCAN_COUNT, WIDTH, CLUSTERS = 1_000_000, 512, 2_000
SCAN_QUERIES, TOP, SHARE = 30, 10, 20  # SHARE: of one in so many vectors is asked with a filter
CHUNK = 4096  # vectors compared at once
INDEXED = 20_000  # vectors of the graph: one of a million takes an hour to build on two cores
Ask = Callable[[np.ndarray, np.ndarray | None], list[int]]  # (query, places or None = all) → places
Way = tuple[Ask, int]  # how to ask, and how many vectors are asked: the first so many


def measure_search_scan(options: Options) -> Result:
    """Ask the same queries of every way that is installed."""
    count = max(20_000, round(SCAN_COUNT * options.scale))
    vectors, queries = _vectors(count), _vectors(SCAN_QUERIES, seed=1)
    places = np.flatnonzero(np.random.default_rng(2).random(count) < 1 / SHARE)
    figures, series, worst, known_right = [], {}, [], {}
    for name, (way, known) in _ways(options.folder, vectors).items():
        for share, some in ((None, None), (SHARE, places[places < known])):
            if (known, share) not in known_right:
                known_right[known, share] = _exact(vectors[:known], queries, some)
            right = known_right[known, share]
            seconds, cores, recall = _asked(way, queries, some, right)
            label = f"{name}, {'all' if share is None else f'1 in {share}'}"
            ms = [1000 * one for one in seconds]
            goal = Goal(at_most=1000) if name == SHIPPED and share is None else None
            least = Goal(at_most=25) if name == SHIPPED and share is None else None
            figures += [
                Figure(f"p50, {label}", (quantile(ms, 0.5),), "ms", "wall"),
                Figure(f"of a core, {label}", tuple(1000 * one for one in cores), "ms", "CPU", least),
                Figure(f"p95, {label}", (quantile(ms, 0.95),), "ms", "wall", goal),
                Figure(f"recall of {TOP}, {label}", (100 * recall,), "%", "count"),
            ]
            series[label] = [quantile(ms, 0.95)]
            if name == SHIPPED:
                worst.append(1 - recall)
    equal = check("share of the nearest that the product misses, for rounding", worst, 0.05)
    return Result(tuple(figures), (equal,), Chart("ms, p95", series, log=True), _notes(count))


SHIPPED, EXACT = "signs, then exact", "numpy float32, mapped"


def _ways(folder: Path, vectors: np.ndarray) -> Mapping[str, Way]:
    half, single = folder / "vectors.f16", folder / "vectors.f32"
    vectors.astype("<f2").tofile(half)
    vectors.tofile(single)
    mapped = np.memmap(half, np.float16, "r").reshape(-1, WIDTH)
    mapped_single = np.memmap(single, np.float32, "r").reshape(-1, WIDTH)

    def shipped(query: np.ndarray, places: np.ndarray | None) -> list[int]:
        marked = np.full(len(vectors), places is None)
        marked[[] if places is None else places] = True
        bits = np.packbits(marked, bitorder="little").tobytes()
        asked = Nearest("q", str(single), (query.astype("<f2").tobytes(),), bits, b"", TOP)
        return list(nearest(asked).others)

    ways: dict[str, Way] = {
        SHIPPED: (shipped, len(vectors)),
        EXACT: (lambda query, places: _top(mapped_single, query, places), len(vectors)),
        "numpy float16, mapped": (lambda query, places: _top(mapped, query, places), len(vectors)),
        "numpy float32, in memory": (lambda query, places: _top(vectors, query, places), len(vectors)),
    }
    if importlib.util.find_spec("usearch"):
        ways |= _usearch(vectors)
    if importlib.util.find_spec("sqlite_vec"):
        ways["sqlite-vec float32"] = _sqlite_vec(folder, vectors), len(vectors)
    return ways


def _top(vectors: np.ndarray, query: np.ndarray, places: np.ndarray | None) -> list[int]:
    if places is None:
        parts = (vectors[start : start + CHUNK] for start in range(0, len(vectors), CHUNK))
        scores = np.concatenate([part.astype(np.float32, copy=False) @ query for part in parts])
    else:
        scores = vectors[places].astype(np.float32, copy=False) @ query
    best = np.argpartition(-scores, TOP)[:TOP]
    best = best[np.argsort(-scores[best])]
    return (best if places is None else places[best]).tolist()


def _usearch(vectors: np.ndarray) -> dict[str, Way]:
    from usearch.index import Index, MetricKind, search

    half, few = vectors.astype(np.float16), vectors[:INDEXED]
    index = Index(ndim=WIDTH, metric=MetricKind.IP, dtype="f16")
    index.add(np.arange(len(few)), few)

    def exact(query: np.ndarray, places: np.ndarray | None) -> list[int]:
        some = half if places is None else half[places]
        found = search(some, query.astype(np.float16), TOP, MetricKind.IP, exact=True).keys
        return (found if places is None else places[found.astype(np.int64)]).tolist()

    def graph(query: np.ndarray, places: np.ndarray | None) -> list[int]:
        found = index.search(query, TOP if places is None else TOP * SHARE * 2).keys
        return (found if places is None else found[np.isin(found, places)][:TOP]).tolist()

    return {
        "usearch float16, exact": (exact, len(vectors)),
        f"usearch graph of {len(few):,}": (graph, len(few)),
    }


def _sqlite_vec(folder: Path, vectors: np.ndarray) -> Ask:
    import sqlite_vec

    database = sqlite3.connect(folder / "vectors.db")
    database.enable_load_extension(True)
    sqlite_vec.load(database)
    database.execute(f"CREATE VIRTUAL TABLE v USING vec0(vector float[{WIDTH}])")
    rows = ((number + 1, vector.tobytes()) for number, vector in enumerate(vectors))
    database.executemany("INSERT INTO v(rowid, vector) VALUES (?, ?)", rows)
    database.commit()

    def ask(query: np.ndarray, places: np.ndarray | None) -> list[int]:
        among = "" if places is None else f"AND rowid IN ({','.join(map(str, (places + 1).tolist()))})"
        text = f"SELECT rowid FROM v WHERE vector MATCH ? AND k = {TOP} {among} ORDER BY distance"  # noqa: S608
        return [row[0] - 1 for row in database.execute(text, (query.tobytes(),))]

    return ask


def _asked(
    way: Ask, queries: np.ndarray, places: np.ndarray | None, right: list[list[int]]
) -> tuple[list[float], list[float], float]:
    """Seconds of each query, those of a core, and the share of the nearest that was found."""
    way(queries[0], places)
    seconds, cores, hits, all_of_them = [], [], 0, 0
    for query, nearest_ones in zip(queries, right, strict=True):
        begin, used = time.perf_counter(), time.process_time()
        found = way(query, places)
        seconds.append(time.perf_counter() - begin)
        cores.append(time.process_time() - used)
        hits, all_of_them = hits + len({*found} & {*nearest_ones}), all_of_them + len(nearest_ones)
    return seconds, cores, hits / all_of_them


def _exact(vectors: np.ndarray, queries: np.ndarray, places: np.ndarray | None) -> list[list[int]]:
    return [_top(vectors, query, places) for query in queries]


def _vectors(count: int, seed: int = 0) -> np.ndarray:
    """Vectors of unit length around ``CLUSTERS`` centres, as pictures of the same things are: (N, WIDTH)."""
    centres = np.random.default_rng(9).standard_normal((CLUSTERS, WIDTH), np.float32)
    random = np.random.default_rng(seed)
    made = np.empty((count, WIDTH), np.float32)
    for start in range(0, count, 50_000):
        some = made[start : start + 50_000]
        some[:] = centres[random.integers(0, CLUSTERS, len(some))]
        some += random.standard_normal(some.shape, np.float32)
        some /= np.linalg.norm(some, axis=1, keepdims=True)
    return made


def _notes(count: int) -> tuple[str, ...]:
    return (
        f"{count:,} vectors, {SCAN_QUERIES} queries after one that isn't counted. The product reads the"
        " places as bits, which is in its time. With a filter the graph is asked for more, and those that"
        f" don't pass are left out. It has the first {min(count, INDEXED):,} vectors only.",
    )


ROWS = {
    "search_gallery": Row(
        "A search among 100,000 pictures",
        (
            "milliseconds from asking the studio until sixty pictures are known; another member has as "
            "many beside"
        ),
        measure_search_gallery,
    ),
    "wall": Row(
        "A search of the wall among 1,000 styles",
        "milliseconds from asking the studio until sixty styles are known",
        measure_wall,
    ),
    "search_request": Row(
        "A whole search among a million pictures",
        "core milliseconds of the bot's process and of its worker's, from asking until sixty are known",
        measure_search_request,
    ),
    "search_scan": Row(
        "Nearest of a million vectors",
        "each way to find the ten nearest of 1,000,000 × 512 vectors, of all and of a twentieth",
        measure_search_scan,
    ),
}
