"""What a chat model is asked for, by form of answer, and how its answer is read from what it writes: words
behind thoughts, tables as JSON, rows of Markdown or commas and DePlot's lines, each family's form of boxes.
Florence-2 (Xiao et al., 2023) and PaliGemma (Beyer et al., 2024) as their model cards have it."""

import csv
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

from core.errors import UserError
from core.events import ChatAnswer
from core.requests.chat import Form
from core.results import Box, Cell, Table
from vision.protocol import Talk, Turn

THINKING = "thinking"  # told in place of words while a model thinks to itself
# Marks around what a model thinks before it answers: Qwen, DeepSeek and GLM; others that imitate them; Seed;
# Mistral; Kimi; Gemma 4; Cohere; gpt-oss. From vLLM's and SGLang's parsers of reasoning, November 2026:
# https://docs.vllm.ai/en/stable/features/reasoning_outputs, https://docs.sglang.io/docs/advanced_features
THOUGHT_MARKS = (
    *((f"<{tag}>", f"</{tag}>") for tag in ("think", "thinking", "thought", "reasoning", "seed:think")),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel>thought", "<channel|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
    ("<|channel|>commentary<|message|>", "<|end|>"),
)
_AROUND = (
    "<|start|>assistant <|channel|>final<|message|> <|end|> <|return|> <|START_RESPONSE|> <|END_RESPONSE|>"
)
ANSWER_MARKS = (*_AROUND.split(), "<|begin_of_box|>", "<|end_of_box|>", "<answer>", "</answer>")
_BLOCKS = [rf"{re.escape(begin)}.*?(?:{re.escape(end)}|\Z)" for begin, end in THOUGHT_MARKS]
_THOUGHTS = re.compile(
    rf"^\s*(?:<\|start\|>assistant)?(?:{'|'.join(_BLOCKS)}|analysis(?=[A-Z]).*?(?:assistantfinal|\Z))\s*",
    re.DOTALL | re.MULTILINE,
)  # the last as gpt-oss' marks are left by a server that leaves special tokens out
_END_OF_THOUGHTS = re.compile("|".join(re.escape(end) for _, end in THOUGHT_MARKS if end not in ANSWER_MARKS))
_AROUND_ANSWER = re.compile("|".join(map(re.escape, ANSWER_MARKS)))
_HALF_MARKS = {
    mark[:length]
    for mark in (*(mark for pair in THOUGHT_MARKS for mark in pair), *ANSWER_MARKS)
    for length in range(1, len(mark))
}
_LONGEST_MARK = max(map(len, _HALF_MARKS))


def answer_in(text: str, *, growing: bool = False) -> str:
    """Return what a model has said without what it thought to itself, at its beginning or that of a line, and
    without marks around the answer; "" while it still thinks. growing: more is to come, so that what may be
    the beginning of a mark is left out."""
    said = text
    while (found := _THOUGHTS.match(said)) is not None:
        said = said[found.end() :]
    said = _THOUGHTS.sub("", said)
    said = _END_OF_THOUGHTS.split(said)[-1]  # thoughts that began in the prompt
    said = _AROUND_ANSWER.sub("", said)
    if said != text:
        said = said.lstrip()
    if growing:
        if "analysis".startswith(said.lstrip()):
            return ""
        longest = range(min(len(said), _LONGEST_MARK), 0, -1)
        cut = next((length for length in longest if said[-length:] in _HALF_MARKS), 0)
        said = said[: len(said) - cut]
    return said


LONGEST, DEEPEST = 200_000, 8  # characters; lists and objects in each other
TRIES = 100  # places where a list or object may begin
_SPACE = re.compile(r"(?:[\s\ufeff]|//[^\n]*)*")
_BARE = re.compile(r"[^,:\[\]{}\"'\n]+")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "", "f": ""}
_NOTHING = {"null", "none", "nan", "undefined", "infinity", "-infinity", "inf", "-inf"}


class Found(NamedTuple):
    """What was read. whole: whether it had its end."""

    value: Any
    whole: bool


class Bare(str):
    """A value without quotes, as it is written."""


def json_values(text: str) -> Iterator[Found]:
    """Yield the lists and objects in ``text``, those inside of others not.

    Numbers and other bare values come as they are written; nothing (null, NaN, …) as None. What has no end
    is read as far as it goes, without the value that was cut.
    """
    text, begin = text[:LONGEST], 0
    for _ in range(TRIES):
        found = re.compile(r"[\[{]").search(text, begin)
        if found is None:
            return
        reader = _Reader(text, found.start())
        try:
            yield Found(reader.value(0), reader.whole)
            begin = reader.place
        except _NotJson:
            begin = found.end()


class _NotJson(ValueError):
    pass


class _Cut(Exception):
    """The text ends in the middle of a value, which is left out."""


class _Reader:
    def __init__(self, text: str, place: int) -> None:
        self.text, self.place, self.whole = text, place, True

    def value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise _NotJson
        match self._next():
            case "{" | "[" as begin:
                return self._held(begin == "{", depth)
            case "“" | '"' | "'" as quote:
                return self._string({"“": "”"}.get(quote, quote))
        found = _BARE.match(self.text, self.place)
        if found is None:
            raise _NotJson
        if found.end() >= len(self.text):
            raise _Cut
        self.place = found.end()
        text = found[0].strip()
        return None if text.lower() in _NOTHING else Bare(text)

    def _next(self) -> str:
        """Return the next character that means something; raises _Cut at the end."""
        found = _SPACE.match(self.text, self.place)
        self.place = found.end() if found else self.place
        if self.place >= len(self.text):
            raise _Cut
        return self.text[self.place]

    def _held(self, named: bool, depth: int) -> dict[str, Any] | list[Any]:
        self.place += 1
        by_name, values, end = dict[str, Any](), list[Any](), "}" if named else "]"
        try:
            while self._next() != end:
                if self.text[self.place] == ",":
                    self.place += 1
                    continue
                if named:
                    name = self.value(DEEPEST)
                    if not isinstance(name, str) or self._next() != ":":
                        raise _NotJson
                    self.place += 1
                    by_name[str(name)] = self.value(depth + 1)
                else:
                    values.append(self.value(depth + 1))
                if not self.whole:
                    break
                if self._next() not in ("," + end):
                    raise _NotJson
            else:
                self.place += 1
        except _Cut:
            self.whole = False
        return by_name if named else values

    def _string(self, quote: str) -> str:
        self.place += 1
        parts: list[str] = []
        while self.place < len(self.text):
            char = self.text[self.place]
            self.place += 1
            if char == quote:
                return "".join(parts)
            if char == "\\" and self.place < len(self.text):
                char = self.text[self.place]
                self.place += 1
                if char == "u":
                    code = self.text[self.place : self.place + 4]
                    self.place += len(code)
                    char = chr(int(code, 16)) if re.fullmatch("[0-9a-fA-F]{4}", code) else ""
                    char = "" if "\ud800" <= char <= "\udfff" else char
                else:
                    char = _ESCAPES.get(char, char)
            parts.append(char)
        raise _Cut


LONGEST_CELL = 200  # characters of a cell
NOTHING = {"", "-", "–", "—", "n/a", "na", "nan", "none", "null", "?", "…", "..."}
_SIGN = r"[-+−–]?"
_NUMBER = re.compile(rf"{_SIGN}(?:\d[\d.,'’ \u00a0\u2009\u202f_]*|[.,]\d+)(?:[eE][-+]?\d+)?")
_BEFORE = re.compile(r"(?:~|≈|ca\.?|about)\s*", re.IGNORECASE)
_UNIT = re.compile(r"[%‰$€£¥°]|[A-Za-zµ°²³/]{1,6}|[%‰$€£¥°][A-Za-z]{1,3}")
_GROUPED = re.compile(r"\d{1,3}(?P<mark>[,.'’_ ])\d{3}(?:(?P=mark)\d{3})*")
LARGEST = 1e15  # numbers beyond it are kept as text


def clean(value: Any) -> str:
    """Return a name on one line, without signs that can't be seen."""
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(value))
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def cell(value: Any) -> tuple[Cell, str]:
    """Return what a cell holds, and the unit of its number: ("12 %") → (12.0, "%"). What is no number is a
    name, and what says that there is nothing is None."""
    if value is None:
        return None, ""
    text = clean(value)
    if text.lower() in NOTHING:
        return None, ""
    found = number(text)
    return (text, "") if found is None else found


def number(text: str) -> tuple[float, str] | None:
    """Return the number in a text that is nothing else, with its unit, else None."""
    text = _BEFORE.sub("", text.strip(), count=1)
    owed = text.startswith("(") and text.endswith(")")  # as bookkeepers write what is less than nothing
    text = text.strip("()").strip() if owed else text
    before = _UNIT.match(text)
    if before and not before[0].isalpha():
        text = text[before.end() :].lstrip()
    signed = re.fullmatch(rf"({_SIGN})\s*([$€£¥])\s*(.+)", text)
    if signed:
        before, text = _UNIT.match(signed[2]), signed[1] + signed[3]
    found = _NUMBER.match(text)
    if found is None:
        return None
    after = text[found.end() :].strip()
    if after and not _UNIT.fullmatch(after):
        return None
    value = _value(found[0].strip())
    if value is None:
        return None
    unit = after or (before[0] if before and not before[0].isalpha() else "")
    return (-value if owed else value), unit


def _value(text: str) -> float | None:
    digits = text.replace("−", "-").replace("–", "-")
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits.lstrip("+"))
    mantissa, _, exponent = digits.lower().partition("e")
    mantissa = re.sub("[\u00a0\u2009\u202f ]", " ", mantissa).strip()
    whole = _plain(mantissa)
    if whole is None:
        return None
    try:
        value = float(f"{sign}{whole}e{exponent or 0}")
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= LARGEST else None


def _plain(text: str) -> str | None:
    """Return digits with a point, without marks between thousands; None where it is no number. A mark before
    three digits is one between thousands unless it is a point alone."""
    if re.fullmatch(r"\d*\.?\d+|\d+\.", text):
        return text
    for point, mark in ((".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (".", "’"), (".", "_")):
        head, cut, tail = text.rpartition(point) if point in text else (text, "", "")
        grouped = _GROUPED.fullmatch(head)
        if grouped and grouped["mark"] == mark and (not cut or tail.isdigit()):
            return head.replace(mark, "") + (f".{tail}" if cut else "")
    if re.fullmatch(r"\d*,\d+", text):
        return text.replace(",", ".")
    return None


def written(value: Cell) -> str:
    """Return a cell as it is shown: 12.0 as 12, nothing as nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.10g}"


MOST_ROWS, MOST_COLUMNS = 1000, 40
_NAMED_ROWS = ("rows", "data", "table", "values", "records")
_RULE = re.compile(r":?-{2,}:?")


class NotInForm(ValueError):
    """What was written isn't in the form that was asked for. The text says why, to the model."""


def read_table(text: str) -> Table:
    """Return the table that ``text`` holds. Raises NotInForm. Of what was cut off, the whole part counts."""
    for value, whole in json_values(text):
        if value and (isinstance(value, dict) or all(isinstance(row, list | dict) for row in value)):
            return _of_json(value, whole)
    return _of_lines(text)


def table_words(table: Table) -> str:
    """Return the table as plain text, a line a row, as later questions and rules know it."""
    lines = [_line(table.columns), *(_line(map(written, row)) for row in table.rows)]
    return "\n".join([table.title, "", *lines] if table.title else lines)


def _line(cells: Iterable[str]) -> str:
    return " | ".join(text.replace("|", "¦") for text in cells)


def numeric(table: Table) -> list[int]:
    """Return which columns after the first hold numbers, and nothing else but gaps."""
    held = [[row[at] for row in table.rows if row[at] is not None] for at in range(len(table.columns))]
    return [at for at, some in enumerate(held) if at and some and all(isinstance(one, float) for one in some)]


def make_table(title: Any, columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Table:
    """Return a table with numbers as numbers, and a column's unit in its name. Raises NotInForm."""
    count = len(columns)
    if not rows:
        raise NotInForm("it has no rows")
    if len(rows) > MOST_ROWS or count > MOST_COLUMNS:
        raise NotInForm(f"it has {len(rows)} rows and {count} columns; {MOST_ROWS} and {MOST_COLUMNS} fit")
    if count < 2:
        raise NotInForm("it has one column only; the first names the rows, the others hold values")
    for at, row in enumerate(rows, 1):
        if len(row) != count:
            raise NotInForm(f"row {at} has {len(row)} cells, but there are {count} columns")
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


def _of_json(value: Any, whole: bool) -> Table:
    title, columns, x = "", None, None
    rows = value
    if isinstance(value, dict):
        rows = next((value[name] for name in _NAMED_ROWS if isinstance(value.get(name), list)), None)
        title, columns, x = value.get("title", ""), value.get("columns"), value.get("x")
        if rows is None:
            rows = [[name, held] for name, held in value.items() if name not in ("title", "x")]
            columns, is_named = ["", ""], bool({"columns", "rows"} & set(value))
            if is_named or not any(isinstance(cell(row[1])[0], float) for row in rows):
                raise NotInForm('it has no list "rows"')
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
    return make_table(title if isinstance(title, str) else "", columns, rows)


def _width(row: Any) -> int:
    return len(row) if isinstance(row, list | dict) else 0


# Lines


def _of_lines(text: str) -> Table:
    text = text.replace("<0x0A>", "\n").replace("<br>", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("```")]
    for split in (_bars, lambda line: [part.strip() for part in line.split("\t")], _commas, _colon):
        rows = [row for line in lines if len(row := split(line)) > 1]
        rows = [row for row in rows if not all(_RULE.fullmatch(value) for value in row)]
        if not rows or len(rows) < len(lines) / 2:
            continue
        title = ""
        if split is _bars and rows[0][0].upper() == "TITLE":  # DePlot's first line
            title, rows = rows[0][1], rows[1:]
        columns, rows = _with_head(rows)
        if any(isinstance(cell(value)[0], float) for row in rows for value in row[1:]):
            return make_table(title, columns, [row for row in rows if len(row) == len(columns)] or rows)
    raise NotInForm("no table is in it")


def _with_head(rows: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
    """Return columns' names and the rows below: the first row's, if it has no number and the next has."""
    if not rows:
        raise NotInForm("it has no rows")

    def numbers(row: Sequence[Any]) -> int:
        return sum(isinstance(cell(value)[0], float) for value in row[1:])

    if len(rows) > 1 and not numbers(rows[0]) and numbers(rows[1]):
        return rows[0], rows[1:]
    return [""] * len(rows[0]), rows


def _bars(line: str) -> list[str]:
    return [part.strip(" *") for part in line.strip("|").split("|")] if "|" in line else []


def _commas(line: str) -> list[str]:
    [row] = csv.reader([line], skipinitialspace=True) if '"' in line else [re.split(r"[,;]\s+|;", line)]
    return [part.strip() for part in row] if len(row) > 1 else [part.strip() for part in line.split(",")]


def _colon(line: str) -> list[str]:
    name, colon, value = line.lstrip("-*• ").rpartition(":")
    return [name.strip(" *"), value.strip(" *.")] if colon else []


Family = Literal["qwen3", "pixels", "loc", "florence", "thousandths"]
FAMILIES: tuple[Family, ...] = get_args(Family)
MOST = 20
SMALLEST = 0.001  # of the picture's area
LOC_BINS, FLORENCE_BINS = 1024, 1000
# Beginning of a model's type or name → its form: Qwen2.5-VL tells pixels of the picture as it got it
_KNOWN: dict[str, Family] = {"qwen2_5": "pixels", "qwen2.5": "pixels", "paligemma": "loc"}
_KNOWN |= {"florence": "florence"}
_NAMES = ("bbox_2d", "bbox", "box_2d", "box", "bounding_box", "coordinates")
_LABELS = ("label", "name", "object", "class", "category", "text_content")
_LOC = re.compile(r"((?:<loc\d{4}>\s*){4})([^<;\n]*)")
_FLORENCE = re.compile(r"([^<>]*)((?:<loc_\d+>){4,})")
_FOUR = re.compile(r"[\[(]\s*" + r"\s*[,;]\s*".join([r"(-?\d+(?:\.\d+)?)"] * 4) + r"\s*[\])]")
_PAIRS = re.compile(r"\((\d+)\s*,\s*(\d+)\)\s*,?\s*\((\d+)\s*,\s*(\d+)\)")
_NONE = re.compile(r"\b(?:no|none|not|nothing|isn't|aren't|without)\b", re.IGNORECASE)


class Read(NamedTuple):
    """The boxes that can be drawn, and how many can't: outside of the picture, too small, or over MOST."""

    boxes: tuple[Box, ...]
    dropped: int


class _Raw(NamedTuple):
    """A box as it was written: two corners (x, y), and what divides them, across and down."""

    label: str
    corners: tuple[float, float, float, float]
    scale: tuple[float, float]


def family_of(name: str) -> Family:
    """Return the form in which a model of this type or name tells boxes, as far as that is known."""
    name = name.lower().replace("-", "_")
    return next((form for known, form in _KNOWN.items() if known in name), "qwen3")


def read_boxes(text: str, family: Family, size: tuple[int, int], obj: str = "") -> Read:
    """Return the boxes that ``text`` holds. size: of the picture as the model got it, px. object: what a box
    without a label shows. Raises NotInForm; a text that says that there is none has none."""
    found = list(_raw(text, family, size))
    if not found and not (
        any(found.value == [] and found.whole for found in json_values(text))
        or (_NONE.search(text) and not re.search(r"\d", text))
    ):
        raise NotInForm("no box is in it")
    boxes = [box for raw in found if (box := _box(raw, obj)) is not None]
    kept = list(dict.fromkeys(boxes))  # models repeat themselves
    return Read(tuple(kept[:MOST]), len(found) - len(boxes) + max(0, len(kept) - MOST))


def describe_boxes(boxes: Sequence[Box]) -> str:
    """Return where objects are, a line each: what later questions know of them, and rules are asked about."""
    return "\n".join(
        f"{number}. {box.label}: {box.left:.0%} to {box.right:.0%} from the left,"
        f" {box.top:.0%} to {box.bottom:.0%} from the top"
        for number, box in enumerate(boxes, 1)
    )


def _raw(text: str, family: Family, size: tuple[int, int]) -> Iterator[_Raw]:
    """Yield each box as it is written; places in words are told by the words themselves."""
    if marks := _LOC.findall(text):
        for places, label in marks:
            top, left, bottom, right = map(int, re.findall(r"\d{4}", places))
            yield _Raw(clean(label), (left, top, right, bottom), (LOC_BINS, LOC_BINS))
        return
    if groups := _FLORENCE.findall(text):
        for label, places in groups:
            numbers = [int(number) for number in re.findall(r"\d+", places)]
            for place in range(0, len(numbers) - 3, 4):
                left, top, right, bottom = numbers[place : place + 4]
                yield _Raw(clean(label), (left, top, right, bottom), (FLORENCE_BINS, FLORENCE_BINS))
        return
    yield from _in_numbers(text, size if family == "pixels" else (1000, 1000))


def _in_numbers(text: str, scale: tuple[int, int]) -> Iterator[_Raw]:
    named = [box for found in json_values(text) for box in _named(found.value)]
    if not named:
        named = [("", four) for four in _FOUR.findall(text) or _PAIRS.findall(text)]
    corners = [(label, four) for label, raw in named if (four := _numbers(raw)) is not None]
    if corners and all(0 <= side <= 1 for _, four in corners for side in four):
        scale = (1, 1)  # shares, whatever was asked for
    for label, (left, top, right, bottom) in corners:
        yield _Raw(clean(label), (left, top, right, bottom), scale)


def _named(value: Any) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield label and numbers of every box in a value that was read from JSON."""
    if isinstance(value, dict):
        numbers = next((value[name] for name in _NAMES if isinstance(value.get(name), list)), None)
        if numbers is not None and len(numbers) == 4 and not any(isinstance(n, list | dict) for n in numbers):
            label = next((value[name] for name in _LABELS if isinstance(value.get(name), str)), "")
            yield label, numbers
            return
        for name, held in value.items():
            for label, four in _named(held) if isinstance(held, list | dict) else ():
                yield label or (name if name not in _NAMES else ""), four
    elif isinstance(value, list):
        if len(value) == 4 and _numbers(value) is not None:
            yield "", value
            return
        for held in value:
            yield from _named(held) if isinstance(held, list | dict) else ()


def _numbers(raw: Sequence[Any]) -> tuple[float, float, float, float] | None:
    try:
        left, top, right, bottom = map(float, raw)
        return left, top, right, bottom
    except (TypeError, ValueError):
        return None


def _box(raw: _Raw, obj: str) -> Box | None:
    """Return the part of a box that is in the picture, None where that is nothing, or too little to see."""
    across, down = raw.scale
    x = sorted((raw.corners[0] / across, raw.corners[2] / across))
    y = sorted((raw.corners[1] / down, raw.corners[3] / down))
    left, right = (min(max(side, 0.0), 1.0) for side in x)
    top, bottom = (min(max(side, 0.0), 1.0) for side in y)
    if not (right - left) * (bottom - top) >= SMALLEST:
        return None
    return Box(raw.label or obj, *(round(side, 4) for side in (left, top, right, bottom)))


ALL_OBJECTS = frozenset(("everything", "things", "objects", "anything", "all"))
DESCRIBES = "This model doesn't answer questions; it always describes the picture."
NO_TABLE = "This model reads no tables. Ask in words, for boxes, or for the text in the picture."


@dataclass(frozen=True)
class Tasks:
    """What a model is told; {question} stands for somebody's words, or for the object that is looked for.

    free, short, text, boxes: by form of answer. all_boxes: for boxes around whatever there is, "" = as of one
    object. note: said beside an answer in words.
    """

    free: str
    short: str
    text: str
    boxes: str
    all_boxes: str = ""
    note: str = ""

    def told(self, form: Form, question: str) -> str:
        """Return what the model is told. question: harmless already. Raises UserError for a table."""
        if form == "table":
            raise UserError(NO_TABLE)
        if form == "boxes" and self.all_boxes and question.strip().lower() in ALL_OBJECTS:
            return self.all_boxes
        task = {"short": self.short, "text": self.text, "boxes": self.boxes}.get(form, self.free)
        return task.replace("{question}", question.replace("<", "‹"))


TASKS: Mapping[str, Tasks] = {  # by the model's type
    "florence2": Tasks(
        free="<MORE_DETAILED_CAPTION>",
        short="<CAPTION>",
        text="<OCR>",
        boxes="<CAPTION_TO_PHRASE_GROUNDING>{question}",
        all_boxes="<OD>",
        note=DESCRIBES,
    ),
    "paligemma": Tasks(
        free="<image>answer en {question}",
        short="<image>answer en {question}",
        text="<image>ocr",
        boxes="<image>{question}",  # "detect object", by ``vision.chat.output_parser``
    ),
}


TABLE = (
    "Answer with the numbers or cells of the picture as one JSON object and nothing else, in this form:"
    ' {"title": "…", "x": "what the rows are", "columns": ["what the values are"], "rows": [["name", 12.5]]}.'
    " Each row begins with its name, and has one value for each of the columns; null where there is none."
    " Give numbers as they can be read off the axis, without units."
)
BOXES = (
    "Answer with a JSON list and nothing else: for each such object"
    ' {"bbox_2d": [x1, y1, x2, y2], "label": "its name"}. An empty list if there is none.'
)
IN_THOUSANDTHS = " Coordinates are from 0 to 1000, across and down the whole picture."
TEXT = (
    "Write down all the text in the picture as it stands there, line by line, and nothing else. If there is"
    " none, write: no text."
)
_ASKED = re.compile(
    r"^(?:please\s+)?(?:(?:can|could) you\s+)?(?:where(?:'s|\s+is|\s+are)|find|locate|detect|mark"
    r"|show(?: me)?|point (?:to|at)"
    r"|(?:draw|give|put)\s+(?:me\s+)?(?:an?\s+|the\s+)?box(?:es)?\s+(?:of|for|around|on))\s+",
    re.IGNORECASE,
)
# How a model is asked that can be told nothing but the object
_FINDS: Mapping[str, str] = {"loc": "detect {obj}", "thousandths": "locate the {obj}.", "florence": "{obj}"}
_ARTICLE = re.compile(r"^(?:the|a|an|all(?: of)?(?: the)?|every|each|any)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """How a model wants to be asked. table, text: said after the question. boxes: how it tells them. locate:
    instead of the question, with the object in place of {obj}; "" = the question and what is wanted. note:
    said beside an answer in words."""

    table: str = TABLE
    boxes: Family = "qwen3"
    text: str = TEXT
    locate: str = ""
    note: str = ""

    @property
    def finds(self) -> str:
        """How it is asked for boxes by the object alone, "" where it can be told more."""
        return self.locate or _FINDS.get(self.boxes, "")

    def question(self, question: str, form: Form) -> str:
        """Return a question as it is put for an answer in a form."""
        if form == "table":
            return f"{question}\n{self.table}" if self.table else question
        if form == "text":
            return f"{question}\n{self.text}" if self.text else question
        if form == "boxes":
            if self.finds:
                return self.finds.replace("{obj}", asked_object(question))
            return f"{question}\n{BOXES}{'' if self.boxes == 'pixels' else IN_THOUSANDTHS}"
        return question


def wanted_of_card(card: Mapping[str, Any], name: str = "") -> Wanted:
    """Return how a model wants to be asked. card: its own words, "table", "text", "locate", and "boxes", one
    of FAMILIES. name: its type or name, which tells the rest."""
    family = card.get("boxes")
    return Wanted(
        str(card.get("table", TABLE)),
        family if family in FAMILIES else family_of(name),
        str(card.get("text", TEXT)),
        str(card.get("locate", "")),
        TASKS[name].note if name in TASKS else "",
    )


def asked_object(question: str) -> str:
    """Return what is looked for: "Where are the red boats?" → "red boats"."""
    text = question.strip().rstrip("?!. ")
    text = _ARTICLE.sub("", _ASKED.sub("", text, count=1), count=1)
    return re.sub(r"\s+(?:in|on) (?:the|this) (?:picture|image|photo)$", "", text).strip() or question.strip()


def put_in_form(talk: Talk, wanted: Wanted) -> Talk:
    """Return the conversation with its last question as it is put for the form of its answer."""
    last = talk.turns[-1]
    asked = replace(last, text=wanted.question(last.text, talk.answer))
    return replace(talk, turns=(*talk.turns[:-1], asked))


def ask_again(talk: Talk, answer: ChatAnswer, wanted: Wanted) -> Talk | None:
    """Return the conversation in which a model is asked once more, since its answer isn't in the form; None
    where it is, or has no end. talk: as it came, before ``put``."""
    if answer.ended == "stopped" or not answer.text.strip() or (talk.answer == "boxes" and wanted.finds):
        return None  # a model that is told an object only can't be told what was wrong
    try:
        form_answer(talk, answer, wanted)
        return None
    except NotInForm as error:
        last = talk.turns[-1]
        first = put_in_form(talk, wanted).turns[-1]
        said = Turn("assistant", answer.text, (), last.job_id)
        asked = Turn("user", f"That can't be used: {error}. Once more.\n{last.text}", (), last.job_id)
        return replace(talk, turns=(*talk.turns[:-1], first, said, asked))


def form_answer(talk: Talk, answer: ChatAnswer, wanted: Wanted) -> tuple[ChatAnswer, tuple[str, ...]]:
    """Return an answer with what its words hold, and sentences about it. Raises NotInForm."""
    if talk.answer == "table":
        table = read_table(answer.text)
        return replace(answer, text=table_words(table), table=table), ()
    if talk.answer == "boxes":
        size = answer.pictures[-1] if answer.pictures else (1000, 1000)
        found, dropped = read_boxes(answer.text, wanted.boxes, size, asked_object(talk.turns[-1].text))
        text = describe_boxes(found) or "Nothing of that was found in the picture."
        one = dropped == 1
        told = (
            f"{dropped} box{'' if one else 'es'} {'is' if one else 'are'} left out: outside of the picture,"
            f" too small, or more than {MOST}."
        )
        return replace(answer, text=text, boxes=found), (told,) if dropped else ()
    return answer, ()


def output_so_far(form: Form, text: str) -> str:
    """Return what there is to read of an answer that grows: of a table its rows, of boxes what was found."""
    try:
        if form == "table":
            return table_words(read_table(text))
        return describe_boxes(read_boxes(text, "qwen3", (1000, 1000)).boxes) if form == "boxes" else text
    except NotInForm:
        return ""


def talk_pictures(talk: Talk) -> tuple[str, ...]:
    """Return the SHA-256 of the pictures that a question is about: its own, else the latest before it."""
    return next((turn.pictures for turn in reversed(talk.turns) if turn.pictures), ())


def join_answers(first: ChatAnswer, second: ChatAnswer) -> ChatAnswer:
    """Return the second answer of a model that was asked once more, with the tokens of both."""
    return replace(
        second,
        tokens_in=first.tokens_in + second.tokens_in,
        tokens_cached=first.tokens_cached + second.tokens_cached,
        tokens_out=first.tokens_out + second.tokens_out,
        pictures=first.pictures,
        turns_dropped=max(first.turns_dropped, second.turns_dropped),
    )
