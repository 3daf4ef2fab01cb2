"""What answers in a form hold besides their words: a table, or boxes around things."""

from __future__ import annotations

from dataclasses import dataclass, field

Cell = float | str | None  # of a table; None = nothing was there to be read


@dataclass(frozen=True)
class Table:
    """What was read from a chart or a table. columns: names of all columns, the first that of what the rows
    are called. rows: each with a cell for every column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...] = field(repr=False)
    title: str = ""


@dataclass(frozen=True)
class Box:
    """Where a thing is in a picture: shares (0..1) of its width and height from the left and the top."""

    label: str
    left: float
    top: float
    right: float
    bottom: float
