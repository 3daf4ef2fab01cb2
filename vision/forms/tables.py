"""Reads tables from what models write: JSON first, else rows of Markdown, of commas, or DePlot's lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any

from core.results import Cell, Table
from vision.forms import lenient
from vision.forms.cells import cell, clean, written

MOST_ROWS, MOST_COLUMNS = 1000, 40
_NAMED_ROWS = ("rows", "data", "table", "values", "records")
_RULE = re.compile(r":?-{2,}:?")


class NotInForm(ValueError):
    """What was written isn't in the form that was asked for. The text says why, to the model."""


def read(text: str) -> Table:
    """Return the table that ``text`` holds. Raises NotInForm. What was cut off at its end lacks what wasn't
    whole of it."""
    found = next((one for one in lenient.values(text) if _could_be(one.value)), None)
    return _of_lines(text) if found is None else _of_json(found.value, found.whole)


def so_far(text: str) -> Table | None:
    """Return what there is already of a table that is being written, None while there is no row."""
    try:
        return read(text)
    except NotInForm:
        return None


def words(table: Table) -> str:
    """Return the table as plain text, a line a row: what later questions know of it, and rules are asked
    about."""
    lines = [_line(table.columns), *(_line(map(written, row)) for row in table.rows)]
    return "\n".join([table.title, "", *lines] if table.title else lines)


def _line(cells: Iterable[str]) -> str:
    return " | ".join(text.replace("|", "¦") for text in cells)


def numeric(table: Table) -> list[int]:
    """Return which columns after the first hold numbers, and nothing else but gaps."""
    found = []
    for place in range(1, len(table.columns)):
        values = [row[place] for row in table.rows if row[place] is not None]
        if values and all(isinstance(value, float) for value in values):
            found.append(place)
    return found


def make(title: Any, columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Table:
    """Return a table of what was read, with numbers as numbers; a unit that all of a column share is told in
    its name. Raises NotInForm."""
    count = len(columns)
    if not rows:
        raise NotInForm("it has no rows")
    if len(rows) > MOST_ROWS or count > MOST_COLUMNS:
        raise NotInForm(f"it has {len(rows)} rows and {count} columns; {MOST_ROWS} and {MOST_COLUMNS} fit")
    if count < 2:
        raise NotInForm("it has one column only; the first names the rows, the others hold values")
    for number, row in enumerate(rows, 1):
        if len(row) != count:
            raise NotInForm(f"row {number} has {len(row)} cells, but there are {count} columns")
    names = [clean(name) for name in columns]
    read_cells = [[cell(value) for value in row] for row in rows]
    for place in range(1, count):
        units = {row[place][1] for row in read_cells if isinstance(row[place][0], float)}
        unit = units.pop() if len(units) == 1 else ""
        if unit and unit not in names[place]:
            names[place] = f"{names[place]} ({unit})".strip()
        if units:  # of different kinds: they stay as they are written
            for row, raw in zip(read_cells, rows, strict=True):
                row[place] = (None if row[place][0] is None else clean(raw[place]), "")
    made: list[tuple[Cell, ...]] = [
        ("" if raw[0] is None else clean(raw[0]), *(value for value, _ in row[1:]))
        for row, raw in zip(read_cells, rows, strict=True)
    ]
    if all(not row[0] and all(value is None for value in row[1:]) for row in made):
        raise NotInForm("all of its cells are empty")
    return Table(tuple(names), tuple(made), clean(title or ""))


# JSON


def _could_be(value: Any) -> bool:
    """Whether a value may be a table at all: else words in brackets would hide one in lines."""
    if isinstance(value, dict):
        return bool(value)
    return bool(value) and all(isinstance(row, list | dict) for row in value)


def _of_json(value: Any, whole: bool) -> Table:
    title, columns, x = "", None, None
    if isinstance(value, dict):
        rows = next((value[name] for name in _NAMED_ROWS if isinstance(value.get(name), list)), None)
        title, columns, x = value.get("title", ""), value.get("columns"), value.get("x")
        if rows is None and not {"columns", "rows"} & set(value):
            rows = [[name, held] for name, held in value.items() if name not in ("title", "x")]
            columns = ["", ""]
            if not any(isinstance(cell(row[1])[0], float) for row in rows):
                raise NotInForm('it has no list "rows"')
        elif rows is None:
            raise NotInForm('it has no list "rows"')
    else:
        rows = value
    rows = list(rows)
    if not whole and rows and (len(rows) < 2 or _width(rows[-1]) < _width(rows[0])):
        del rows[-1]  # it was cut
    if rows and all(isinstance(row, dict) for row in rows):
        columns = list(dict.fromkeys(name for row in rows for name in row))
        rows, x = [[row.get(name) for name in columns] for row in rows], None
    if not all(isinstance(row, list) for row in rows):
        raise NotInForm("each row has to be a list of cells")
    if any(isinstance(value, list | dict) for row in rows for value in row):
        raise NotInForm("a cell has to be a number or a text")
    if not isinstance(columns, list):
        columns, rows = _with_head(rows)
    if rows and len(rows[0]) == len(columns) + 1:
        columns = [x if isinstance(x, str) else "", *columns]
    return make(title if isinstance(title, str) else "", columns, rows)


def _width(row: Any) -> int:
    return len(row) if isinstance(row, list | dict) else 0


# Lines


def _of_lines(text: str) -> Table:
    text = text.replace("<0x0A>", "\n").replace("<br>", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("```")]
    for split in (_bars, _tabs, _commas, _colon):
        rows = [row for line in lines if len(row := split(line)) > 1]
        rows = [row for row in rows if not all(_RULE.fullmatch(value) for value in row)]
        if not rows or len(rows) < len(lines) / 2:
            continue
        title = ""
        if split is _bars and rows[0][0].upper() == "TITLE":  # DePlot's first line
            title, rows = rows[0][1], rows[1:]
        columns, rows = _with_head(rows)
        if any(isinstance(cell(value)[0], float) for row in rows for value in row[1:]):
            return make(title, columns, [row for row in rows if len(row) == len(columns)] or rows)
    raise NotInForm("no table is in it")


def _with_head(rows: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
    """Return the names of columns and the rows below: those of the first row, where it has no number and the
    next has one."""
    if not rows:
        raise NotInForm("it has no rows")

    def numbers(row: Sequence[Any]) -> int:
        return sum(isinstance(cell(value)[0], float) for value in row[1:])

    if len(rows) > 1 and not numbers(rows[0]) and numbers(rows[1]):
        return rows[0], rows[1:]
    return [""] * len(rows[0]), rows


def _bars(line: str) -> list[str]:
    return [part.strip(" *") for part in line.strip("|").split("|")] if "|" in line else []


def _tabs(line: str) -> list[str]:
    return [part.strip() for part in line.split("\t")]


def _commas(line: str) -> list[str]:
    [row] = csv.reader([line], skipinitialspace=True) if '"' in line else [re.split(r"[,;]\s+|;", line)]
    return [part.strip() for part in row] if len(row) > 1 else [part.strip() for part in line.split(",")]


def _colon(line: str) -> list[str]:
    name, colon, value = line.lstrip("-*• ").rpartition(":")
    return [name.strip(" *"), value.strip(" *.")] if colon else []
