"""Bar charts measured: by the labels of an axis and by colours, with and without a real reader of text."""

import importlib.util
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from core.results import TextLine
from proofs.vision.readers.chart_rows import Row, compared, reader
from tests.vision.readers.drawn_charts import Drawn, draw, some_chart
from vision.readers import charts
from vision.readers.charts import colours_of, line_words

PHOTO = Path(__file__).parent / "photo" / "chelsea.jpg"
LOOK = {
    "palette": ("#4c72b0", "#dd8452", "#55a868"),
    "each": False,
    "grid": True,
    "edges": False,
    "told": False,
    "dark": False,
    "size": (640, 480),
    "wide": 0.7,
    "jpeg": 0,
    "font": 14,
    "grouped": True,
}
CHART = Drawn(("North", "South", "East"), ("",), ((1250.0, 430.0, 980.0),), "Sales", "", False, LOOK)


def measured(chart: Drawn):
    lines: list[TextLine] = []
    return charts.read_bars(colours_of(draw(chart, lines)), lines)


def at(text: str, x: float, y: float, wide: float = 20, high: float = 12) -> TextLine:
    """A line around a point."""
    left, top, right, bottom = x - wide / 2, y - high / 2, x + wide / 2, y + high / 2
    return TextLine(text, 1.0, ((left, top), (right, top), (right, bottom), (left, bottom)))


def test_bars_are_measured_and_called_by_what_stands_below_them() -> None:
    table = measured(replace(CHART, look={**LOOK, "size": (1200, 900)}))
    assert table.title == "Sales" and [row[0] for row in table.rows] == ["North", "South", "East"]
    assert [row[1] for row in table.rows] == pytest.approx([1250, 430, 980], rel=0.01)


def test_bars_side_by_side_are_columns_with_the_names_of_the_legend() -> None:
    several = replace(CHART, series=("Online", "Shops"), values=((12.0, 7.0, 3.5), (1.0, 9.0, 11.0)))
    table = measured(several)
    assert table.columns == ("", "Online", "Shops")
    assert compared(several, table) == (6, 3)


@pytest.mark.parametrize("lying", [False, True])
def test_a_number_at_the_end_of_a_bar_is_taken_as_it_is_written(lying: bool) -> None:
    table = measured(
        replace(CHART, values=((1251.0, 433.0, 977.0),), lying=lying, look={**LOOK, "told": True})
    )
    assert [row[1] for row in table.rows] == [1251.0, 433.0, 977.0]


def test_random_charts_are_read_when_their_text_is() -> None:
    row = Row()
    for seed in range(30):
        chart = some_chart(random.Random(seed))
        row.add(seed, chart, measured(chart), 0.0)
    assert row.right >= 0.97 * row.values and row.called >= 0.97 * row.names, row.wrong


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="the extra ocr isn't installed")
@pytest.mark.parametrize("seed", [0, 2])
def test_charts_are_read_with_a_real_reader_of_text(seed: int) -> None:
    chart = some_chart(random.Random(seed))
    text = reader()
    table = charts.read_chart(draw(chart), text.read)
    assert compared(chart, table) == (len(chart.names) * len(chart.series), len(chart.names))


def refuse(part: Image.Image) -> list[TextLine]:
    raise AssertionError("its text was read")


def test_what_has_no_bars_isnt_even_read() -> None:
    assert charts.read_chart(Image.open(PHOTO).convert("RGB"), refuse) is None
    assert charts.read_chart(Image.new("RGB", (300, 200), "white"), refuse) is None


def told(image: Image.Image, lines: list[TextLine]):
    return charts.read_bars(colours_of(image), lines)


def page(*boxes: tuple[tuple[int, int, int, int], str]) -> Image.Image:
    image = Image.new("RGB", (400, 320), "white")
    for box, colour in boxes:
        ImageDraw.Draw(image).rectangle(box, colour)
    return image


TICKS = [at(str(value), 30, 300 - value * 2) for value in (0, 50, 100)]


def test_stripes_of_a_table_and_stacked_bars_are_no_bars() -> None:
    stripes = page(*(((60, y, 380, y + 20), "#dde6ff") for y in range(40, 300, 40)))
    years = [at(str(year), 100 + 60 * n, 30) for n, year in enumerate(range(2019, 2024))]
    assert told(stripes, years) is None
    bars = [
        ((80 + 100 * n, 300 - height, 140 + 100 * n, 300), "#4c72b0")
        for n, height in enumerate((80, 120, 60))
    ]
    assert told(page(*bars), TICKS) is not None
    top = [((x, y - 50, right, y), "#dd8452") for (x, y, right, _), _ in bars]
    assert told(page(*bars, *top), TICKS) is None
    numbered = [*TICKS, *(at(str(n), 110 + 100 * n, 312) for n in range(3))]  # an axis below, too
    assert told(page(*bars, *top), numbered) is None


def test_without_two_labels_that_agree_nothing_is_told() -> None:
    bars = [
        ((80 + 100 * n, 300 - height, 140 + 100 * n, 300), "#4c72b0")
        for n, height in enumerate((80, 120, 60))
    ]
    assert told(page(*bars), TICKS[:1]) is None
    assert told(page(*bars), [at("5", 30, 300), at("10", 30, 100)]) is None, "not from zero"
    assert told(page(*bars), [at("0", 30, 300), at("100", 30, 100)]) is not None
    wild = [at(value, 30, y) for value, y in (("7", 300), ("120", 200), ("30", 100))]
    assert told(page(*bars), wild) is None


def test_a_scale_is_what_most_labels_agree_on() -> None:
    lines = [
        *(at(str(v), 30, 300 - v) for v in (0, 50, 100, 150, 200)),
        at("175", 30, 20),
        at("1 000", 300, 40),
    ]
    [found, *_] = charts.find_scales(lines, "up")
    assert [label.value for label in found.labels] == [0, 50, 100, 150, 200]
    assert found.value(225) == pytest.approx(75) and found.place(75) == pytest.approx(225)


def test_thousands_with_a_point_are_told_from_fractions() -> None:
    [found, *_] = charts.find_scales(
        [at(t, 30, 300 - 100 * n) for n, t in enumerate(("0", "1.000", "2.000"))], "up"
    )
    assert found.labels[-1].value == 2000
    [found, *_] = charts.find_scales(
        [at(t, 30, 300 - 100 * n) for n, t in enumerate(("0.500", "1.000", "1.500"))], "up"
    )
    assert found.labels[-1].value == 1.5


def test_labels_that_were_read_as_one_line_are_told_apart() -> None:
    line = at("0 10 20 30", 200, 300, wide=300)
    assert [word.text for word in line_words(line)] == ["0", "10", "20", "30"]
    [found, *_] = charts.find_scales([line], "across")
    assert len(found.labels) >= 3
