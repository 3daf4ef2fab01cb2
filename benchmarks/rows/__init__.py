"""One module for each row of the table: TITLE, AGAINST (the baseline, as a competent user would write it) and
``measure(options) -> Result``.

A row raises ``Unequal`` instead of giving times when its two ways don't give the same.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import Result

ROWS: tuple[str, ...] = (
    "exactness",
    "small_latents",
    "mixed",
    "saturated",
    "cache",
    "beside",
    "videos_beside",
    "videos_half_load",
    "image_tail",
    "preview",
    "event_loop",
    "serving_tax",
    "redo",
    "start",
    "files",
    "bus",
    "search_beside",
    "search_gallery",
    "search_scan",
)
# Those that count CPU time, or things; the others are timed by the clock on the wall, and nothing may run
# beside them.
LONGEST_FIRST = (
    "saturated",
    "small_latents",
    "exactness",
    "mixed",
    "beside",
    "videos_beside",
    "videos_half_load",
    "redo",
    "cache",
    "image_tail",
    "preview",
    "search_beside",
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
    if name not in ROWS:
        raise KeyError(name)
    module: Any = importlib.import_module(f"benchmarks.rows.{name}")
    return Row(module.TITLE, module.AGAINST, module.measure)
