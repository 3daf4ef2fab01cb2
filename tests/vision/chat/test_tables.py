"""Tables out of what models write, whole, sloppy or cut off."""

import random

import pytest

from core.results import Table
from vision.chat import output_parser
from vision.chat.output_parser import NotInForm, cell

ASKED = '{"title": "Sales", "x": "Month", "columns": ["A", "B"], "rows": [["Jan", 1, 2.5], ["Feb", 3, null]]}'
READ = Table(("Month", "A", "B"), (("Jan", 1.0, 2.5), ("Feb", 3.0, None)), "Sales")


@pytest.mark.parametrize(
    "text",
    [
        ASKED,
        f"```json\n{ASKED}\n```",
        f"Here is the table you asked for [1]:\n{ASKED}\nAnything else?",
        ASKED.replace("]}", ",],}").replace("null", "NaN"),
        ASKED.replace('"', "'"),
        ASKED.replace('"title"', "title").replace('"rows"', "rows"),
        ASKED.replace('"columns": ["A", "B"]', '"columns": ["Month", "A", "B"]'),
        ASKED.replace("2.5", '"2.5"').replace("null", '"n/a"'),
        '{"title": "Sales", "data": [{"Month": "Jan", "A": 1, "B": 2.5}, {"Month": "Feb", "A": 3}]}',
    ],
)
def test_a_table_is_read_however_its_json_is_written(text: str) -> None:
    assert output_parser.read_table(text) == READ


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("red, 7\nblue, 3", (("red", 7.0), ("blue", 3.0))),
        ("| a | b |\n|---|---|\n| x | 3 |\n| y | 4,5 |", (("x", 3.0), ("y", 4.5))),
        ("TITLE | Rain <0x0A> Year | mm <0x0A> 2001 | 3 <0x0A> 2002 | 4", (("2001", 3.0), ("2002", 4.0))),
        ("Name,Value\nx,1\ny,2", (("x", 1.0), ("y", 2.0))),
        ("- red: 7\n- blue: 8", (("red", 7.0), ("blue", 8.0))),
        ('{"red": 7, "blue": 8}', (("red", 7.0), ("blue", 8.0))),
    ],
)
def test_lines_are_a_table_too(text: str, rows: tuple) -> None:
    assert output_parser.read_table(text).rows == rows


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I see a cat.", "no table"),
        ("", "no table"),
        ('{"columns": ["A", "B"], "rows": [["x", 1], ["y"]]}', "row 2 has 1 cells"),
        ('{"columns": ["A"], "rows": []}', "no rows"),
        ('{"title": "A"}', "no list"),
        ('{"columns": ["A", "B"], "rows": [["x", [1]]]}', "a number or a text"),
        ('{"columns": ["A", "B"], "rows": [["", null]]}', "empty"),
        ('{"columns": ["A", "B"], "rows": [' + '["x", 1],' * 1001 + "]}", "1001 rows"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(NotInForm, match=why):
        output_parser.read_table(text)


def so_far(text: str) -> Table | None:
    try:
        return output_parser.read_table(text)
    except NotInForm:
        return None


def test_a_table_grows_row_by_row_and_never_shows_half_a_number() -> None:
    seen = [table.rows for end in range(len(ASKED)) if (table := so_far(ASKED[:end])) is not None]
    assert seen and all(rows in (READ.rows[:1], READ.rows) for rows in seen)
    assert seen.index(READ.rows) > 0


def test_units_and_marks_of_thousands_are_no_part_of_numbers() -> None:
    rows = '[["a", "12 %", "$1,234", "5 km"], ["b", "7%", "$900", "3 h"]]'
    table = output_parser.read_table(f'{{"x": "n", "columns": ["share", "cost", "way"], "rows": {rows}}}')
    assert table.columns == ("n", "share (%)", "cost ($)", "way")
    assert table.rows == (("a", 12.0, 1234.0, "5 km"), ("b", 7.0, 900.0, "3 h"))
    assert output_parser.numeric(table) == [1, 2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234", 1234.0), ("1.234,5", 1234.5), ("1 234", 1234.0), ("1'000", 1000.0), ("0,5", 0.5),
        ("−3", -3.0), ("(12)", -12.0), ("-$5", -5.0), ("≈5", 5.0), ("1.5e3", 1500.0), ("1.234", 1.234),
        ("12:30", "12:30"), ("2019-05-01", "2019-05-01"), ("1,23,4", "1,23,4"), ("<5", "<5"),
        ("—", None), ("n/a", None), ("1e400", "1e400"), (True, "True"),
    ],
)  # fmt: skip
def test_cells_are_read_as_people_write_them(text: object, value: object) -> None:
    assert cell(text)[0] == value


def test_words_tell_the_whole_table() -> None:
    assert output_parser.table_words(READ) == "Sales\n\nMonth | A | B\nJan | 1 | 2.5\nFeb | 3 | "
    assert output_parser.table_words(Table(("", "a|b"), (("x", 1.0),))) == " | a¦b\nx | 1"


def test_nothing_that_a_model_writes_breaks_the_reader() -> None:
    rng, signs = random.Random(0), "{}[]\",:'\\ntu0189.-eE|\n` rowscolumnsNaN<>"
    for _ in range(3000):
        text = "".join(rng.choice(signs) for _ in range(rng.randrange(120)))
        cut = ASKED[: rng.randrange(len(ASKED))] + text
        for tried in (text, cut):
            list(output_parser.json_values(tried))
            so_far(tried)
    assert so_far("[" * 100_000) is None
