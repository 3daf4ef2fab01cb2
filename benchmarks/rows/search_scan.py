"""The nearest of a million vectors, exactly and by indexes: how long it takes, and how many of them are
found."""

from __future__ import annotations

import importlib.util
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.measure import Chart, Figure, Goal, Result, check, quantile
from benchmarks.rows import Options
from vision.protocol import Nearest
from vision.worker.nearest import nearest

TITLE = "Nearest of a million vectors"
AGAINST = "each way to find the ten nearest of 1,000,000 × 512 vectors, of all and of a twentieth"
COUNT, WIDTH, CLUSTERS = 1_000_000, 512, 2_000
QUERIES, TOP, SHARE = 30, 10, 20  # SHARE: of one in so many vectors is asked with a filter
CHUNK = 4096  # vectors compared at once
INDEXED = 20_000  # vectors of the graph: one of a million takes an hour to build on two cores
Ask = Callable[[np.ndarray, np.ndarray | None], list[int]]  # (query, places or None = all) → places
Way = tuple[Ask, int]  # how to ask, and how many vectors are asked: the first so many


def measure(options: Options) -> Result:
    """Ask the same queries of every way that is installed."""
    count = max(20_000, round(COUNT * options.scale))
    vectors, queries = _vectors(count), _vectors(QUERIES, seed=1)
    places = np.flatnonzero(np.random.default_rng(2).random(count) < 1 / SHARE)
    figures, series, worst, known_right = [], {}, [], {}
    for name, (way, known) in _ways(options.folder, vectors).items():
        for share, some in ((None, None), (SHARE, places[places < known])):
            if (known, share) not in known_right:
                known_right[known, share] = _exact(vectors[:known], queries, some)
            right = known_right[known, share]
            seconds, recall = _asked(way, queries, some, right)
            label = f"{name}, {'all' if share is None else f'1 in {share}'}"
            ms = [1000 * one for one in seconds]
            goal = Goal(at_most=1000) if name == SHIPPED and share is None else None
            figures += [
                Figure(f"p50, {label}", (quantile(ms, 0.5),), "ms", "wall"),
                Figure(f"p95, {label}", (quantile(ms, 0.95),), "ms", "wall", goal),
                Figure(f"recall of {TOP}, {label}", (100 * recall,), "%", "count"),
            ]
            series[label] = [quantile(ms, 0.95)]
            if name == SHIPPED:
                worst.append(1 - recall)
    equal = check("share of the nearest that the product misses, for rounding", worst, 0.05)
    return Result(tuple(figures), (equal,), Chart("bars", TITLE, "ms, p95", series, log=True), _notes(count))


SHIPPED = "numpy float32, mapped"


def _ways(folder: Path, vectors: np.ndarray) -> Mapping[str, Way]:
    half, single = folder / "vectors.f16", folder / "vectors.f32"
    vectors.astype("<f2").tofile(half)
    vectors.tofile(single)
    mapped = np.memmap(half, np.float16, "r").reshape(-1, WIDTH)
    everything = ",".join(map(str, range(len(vectors))))

    def shipped(query: np.ndarray, places: np.ndarray | None) -> list[int]:
        text = everything if places is None else ",".join(map(str, places.tolist()))
        asked = Nearest("q", str(single), (query.astype("<f2").tobytes(),), text, "", TOP)
        return list(nearest(asked).others)

    ways: dict[str, Way] = {
        SHIPPED: (shipped, len(vectors)),
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
) -> tuple[list[float], float]:
    """Seconds of each query, and the share of the nearest that was found."""
    way(queries[0], places)
    seconds, hits, all_of_them = [], 0, 0
    for query, nearest_ones in zip(queries, right, strict=True):
        begin = time.perf_counter()
        found = way(query, places)
        seconds.append(time.perf_counter() - begin)
        hits, all_of_them = hits + len({*found} & {*nearest_ones}), all_of_them + len(nearest_ones)
    return seconds, hits / all_of_them


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
        f"{count:,} vectors, {QUERIES} queries after one that isn't counted. The product reads the places"
        " as text, which is in its time. With a filter the graph is asked for more, and those that don't pass"
        f" are left out. It has the first {min(count, INDEXED):,} vectors only.",
    )
