"""The rows of the table, by subject: a module's ROWS gives each its title, its baseline, as a competent user
would write it, and what measures it.

A row raises ``Unequal`` instead of giving times when its two ways don't give the same.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import Result

ROWS: dict[str, str] = {  # a row and its module, in the order of the page
    "exactness": "exactness",
    "small_latents": "batching",
    "mixed": "batching",
    "saturated": "batching",
    "curve_demo": "curves",
    "curve_h200": "curves",
    "curve_h100": "curves",
    "cache": "exactness",
    "beside": "beside",
    "videos_beside": "beside",
    "videos_half_load": "beside",
    "sheet": "images",
    "layouts": "images",
    "image_tail": "images",
    "preview": "images",
    "event_loop": "bot",
    "interactions": "bot",
    "serving_tax": "bot",
    "redo": "workers",
    "start": "bot",
    "files": "files",
    "bus": "workers",
    "queue_history": "history",
    "search_beside": "beside",
    "search_gallery": "search",
    "search_request": "search",
    "search_scan": "search",
    "wall": "search",
    "requests": "web",
    "requests_memory": "web",
}
# Those that count CPU time, or objects; the others are timed by the clock on the wall, and nothing may run
# beside them.
LONGEST_FIRST = (
    "requests_memory",
    "saturated",
    "small_latents",
    "exactness",
    "mixed",
    "beside",
    "videos_beside",
    "videos_half_load",
    "curve_demo",
    "curve_h200",
    "curve_h100",
    "redo",
    "cache",
    "sheet",
    "layouts",
    "image_tail",
    "preview",
    "search_beside",
    "requests",
)


@dataclass(frozen=True)
class Options:
    """repeats: of each pair, each with a seed of its own where a row is random. folder: for temporary files.
    scale: share of the usual work."""

    repeats: int
    folder: Path
    scale: float = 1.0


class Row(NamedTuple):
    """One row of the benchmark: what it is called, what it is measured against, and how."""

    title: str
    against: str
    measure: Callable[[Options], Result]


def row(name: str) -> Row:
    """Return the row called ``name``. Raises KeyError for an unknown one."""
    module: Any = importlib.import_module(f"benchmarks.rows.{ROWS[name]}")
    return module.ROWS[name]
