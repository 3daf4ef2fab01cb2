"""Tables that were read from pictures, as people get them: text in columns, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Sequence

from core.results import Cell, Table
from studio.asking.words import counted, visible

WIDTH, ROWS, COLUMNS = 60, 20, 30  # characters across, rows and columns at most, of text in columns
GROWN = 15  # rows that are shown while a table grows: the newest
NARROWEST = 4  # characters of a column
BETWEEN = "  "
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is worked out by programs for tables


def as_text(table: Table) -> str:
    """Return the table in columns of text, WIDTH characters wide at most; what has no room is said to be in
    the file."""
    rows = table.rows[:ROWS]
    grid = [list(map(shown, row)) for row in rows]
    return _columns([list(map(shown, table.columns)), *grid], table) + _missing(
        len(table.rows) - len(rows), "row"
    )


def growing(text: str) -> str:
    """Return lines of "a | b | c", as a table is told while it grows, in columns; other lines as they are."""
    lines = text.split("\n")
    split = [[shown(cell) for cell in line.split(" | ")] for line in lines]
    wide = max(map(len, split))
    rows = [cells for cells in split if len(cells) > 1]
    if not rows:
        return text
    sizes = _sizes([[*row, *[""] * (wide - len(row))] for row in rows])
    made = [_line(row, sizes, rows[0]) if len(row) > 1 else _cut(row[0], WIDTH) for row in split]
    head = lines.index(next(line for line in lines if " | " in line)) + 1
    return "\n".join([*made[:head], *made[head:][-GROWN:]])


def as_csv(table: Table) -> str:
    """Return the table as CSV (RFC 4180). What a program would take for a formula begins with an
    apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_harmless(name) for name in table.columns])
    writer.writerows([[_harmless(cell) for cell in row] for row in table.rows])
    return out.getvalue()


def as_json(table: Table) -> str:
    """Return the table as JSON: its title, its columns, and rows of numbers, texts and nulls."""
    held = {"title": table.title, "columns": table.columns, "rows": table.rows}
    return json.dumps(held, ensure_ascii=False, indent=1)


def numbers(table: Table) -> list[bool]:
    """Return which columns hold numbers, and nothing else but gaps."""
    columns = zip(*table.rows, strict=True)
    return [
        any(isinstance(cell, float) for cell in cells)
        and all(isinstance(cell, float | None) for cell in cells)
        for cells in columns
    ]


def _harmless(cell: Cell) -> str:
    if not isinstance(cell, str):
        return _plain(cell)
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else f"{cell:.10g}"


def shown(cell: Cell) -> str:
    """Return a cell on one line, without signs that can't be seen."""
    text = visible(_plain(cell)).replace("`", "'")
    return " ".join(text.split())


def _columns(rows: Sequence[Sequence[str]], table: Table) -> str:
    count = min(len(table.columns), COLUMNS)
    while count > 1 and count * NARROWEST + len(BETWEEN) * (count - 1) > WIDTH:
        count -= 1
    rows = [row[:count] for row in rows]
    right = numbers(table)[:count]
    sizes = _sizes(rows)
    head = [] if not any(rows[0]) else [_line(rows[0], sizes, right), "─" * (sum(sizes) + 2 * (count - 1))]
    lines = [*head, *(_line(row, sizes, right) for row in rows[1:])]
    return "\n".join(lines) + _missing(len(table.columns) - count, "column")


def _missing(count: int, what: str) -> str:
    return f"\n… {counted(count, f'more {what}')} in the file" if count > 0 else ""


def _sizes(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is, so that all have room: the widest give way."""
    sizes = [max(1, *(_wide(row[place]) for row in rows)) for place in range(len(rows[0]))]
    room = WIDTH - len(BETWEEN) * (len(sizes) - 1)
    while sum(sizes) > room and max(sizes) > NARROWEST:
        sizes[sizes.index(max(sizes))] -= 1
    return sizes


def _line(row: Sequence[str], sizes: Sequence[int], right: Sequence[object]) -> str:
    cells = []
    for place, (text, size) in enumerate(zip(row, sizes, strict=False)):
        fitted = _cut(text, size)
        space = " " * (size - _wide(fitted))
        cells.append(space + fitted if right[place] is True else fitted + space)
    return BETWEEN.join(cells).rstrip()


def _cut(text: str, size: int) -> str:
    if _wide(text) <= size:
        return text
    while text and _wide(text) >= size:
        text = text[:-1]
    return f"{text}…"


def _wide(text: str) -> int:
    """Return how many columns a text takes up: letters of East Asia are two wide, marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
