"""How well bar charts are measured: `python -m proofs.vision.readers.chart_rows --charts 200`.

Charts come from ``drawn_charts``, by Pillow and, where it is installed, by matplotlib. A value is right
within 5 % of what was drawn, in its row and column; a chart that isn't read has none right. --sheet keeps a
picture of the first charts, each beside the chart that is drawn again from what was read.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from core.results import Table
from tests.vision.readers import drawn_charts
from tests.vision.readers.drawn_charts import Drawn, some_chart
from vision.chat import output_renderer
from vision.readers import charts
from vision.readers.ocr import TextReader

NEAR = 0.05  # of a value


@dataclass
class Row:
    """What came of some charts."""

    charts: int = 0
    read: int = 0
    whole: int = 0  # every value right
    values: int = 0
    right: int = 0
    names: int = 0
    called: int = 0  # by their right name
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, seed: int, chart: Drawn, table: Table | None, seconds: float) -> None:
        """Count one chart."""
        right, called = compared(chart, table)
        count = len(chart.names) * len(chart.series)
        self.charts, self.read = self.charts + 1, self.read + (table is not None)
        self.values, self.right = self.values + count, self.right + right
        self.names, self.called = self.names + len(chart.names), self.called + called
        self.seconds, self.whole = self.seconds + seconds, self.whole + (right == count)
        if right < count:
            self.wrong.append(f"{seed}: {'not read' if table is None else f'{right} of {count}'}")

    def __str__(self) -> str:
        share = self.right / max(1, self.values)
        return (
            f"{share:6.1%} of {self.values:5} values · {self.whole:3} of {self.charts} charts whole ·"
            f" {self.charts - self.read:2} not read · names {self.called / max(1, self.names):6.1%} ·"
            f" {self.seconds / max(1, self.charts):.2f} s of CPU each"
        )


def compared(chart: Drawn, table: Table | None) -> tuple[int, int]:
    """Return how many values, and how many names, a table has right."""
    if table is None:
        return 0, 0
    by_name = {str(row[0]): row for row in table.rows}
    in_order = len(table.rows) == len(chart.names)
    right = called = 0
    for place, name in enumerate(chart.names):
        row = table.rows[place] if in_order else by_name.get(name)
        if row is None:
            continue
        called += row[0] == name
        for column, values in enumerate(chart.values, 1):
            found = row[column] if column < len(row) else None
            right += isinstance(found, float) and abs(found - values[place]) <= NEAR * abs(values[place])
    return right, called


def kinds_of(chart: Drawn) -> Iterator[str]:
    """Yield the rows that a chart counts for."""
    yield "all"
    yield "lying" if chart.lying else "standing"
    yield "grouped" if len(chart.series) > 1 else "one series"


def others(seed: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield pictures by matplotlib that are no bar charts which can be measured."""
    import io

    from matplotlib import pyplot

    rng = random.Random(seed)
    values = [[rng.uniform(5, 90) for _ in range(6)] for _ in range(2)]
    draws: dict[str, Callable[[object], object]] = {
        "lines": lambda axes: axes.plot(values[0], marker="o"),
        "points": lambda axes: axes.scatter(values[0], values[1]),
        "pie": lambda axes: axes.pie(values[0], labels=list("ABCDEF")),
        "stacked": lambda axes: (
            axes.bar(range(6), values[0]),
            axes.bar(range(6), values[1], bottom=values[0]),
        ),
        "logarithmic": lambda axes: (
            axes.bar(range(6), [10**v for v in range(1, 7)]),
            axes.set_yscale("log"),
        ),
        "area": lambda axes: axes.fill_between(range(6), values[0]),
    }
    for name, draw in draws.items():
        figure, axes = pyplot.subplots(figsize=(6.4, 4.8), dpi=100)
        draw(axes)
        out = io.BytesIO()
        figure.savefig(out, format="png")
        pyplot.close(figure)
        yield name, Image.open(out).convert("RGB")


def sheet_of(pairs: list[tuple[Image.Image, Table | None]]) -> Image.Image:
    """Return charts in rows of two, each beside the one that is drawn again."""
    wide, high = 400, 300
    sheet = Image.new("RGB", (4 * wide, -(-len(pairs) // 2) * high), "#2b2d31")
    for number, (image, table) in enumerate(pairs):
        x, y = number % 2 * 2 * wide, number // 2 * high
        for place, picture in enumerate((image, output_renderer.draw_chart(table) if table else None)):
            if picture is not None:
                small = picture.copy()
                small.thumbnail((wide - 10, high - 10))
                sheet.paste(small, (x + place * wide + 5, y + 5))
    return sheet


def reader() -> TextReader:
    """Return the reader of text that comes with the extra ``ocr``."""
    import rapidocr

    from vision.readers.rapid_ocr import Rapid

    return TextReader("rapidocr", Rapid(Path(rapidocr.__file__).parent / "models").begin)


def main() -> None:
    """Measure, and print a row for each kind of chart."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--charts", type=int, default=200)
    options.add_argument("--matplotlib", type=int, default=200, help="how many of them it draws, too")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--others", type=int, default=0, help="of each kind that is isn't a bar chart")
    options.add_argument("--sheet", default="")
    given = options.parse_args()
    text, pairs = reader(), []
    draws = {"Pillow": drawn_charts.draw}
    try:
        import matplotlib  # noqa: F401

        draws["matplotlib"] = drawn_charts.draw_by_matplotlib
    except ImportError:
        print("matplotlib isn't installed: its charts are left out")
    rows: dict[tuple[str, str], Row] = {}
    for number in range(given.charts):
        chart = some_chart(random.Random(given.seed * 100_000 + number))
        for who, draw in draws.items():
            if who == "matplotlib" and number >= given.matplotlib:
                continue
            image, began = draw(chart), time.process_time()
            table = charts.read_chart(image, text.read)
            seconds = time.process_time() - began
            for kind in kinds_of(chart):
                rows.setdefault((who, kind), Row()).add(number, chart, table, seconds)
            if len(pairs) < 12:
                pairs.append((image, table))
        if number % 25 == 24:
            print(f"after {number + 1}: Pillow {rows['Pillow', 'all']}", flush=True)
    for (who, kind), row in sorted(rows.items()):
        print(f"{who:11} {kind:10} {row}")
    for who in draws:
        print(f"{who} wrong: {'; '.join(rows[who, 'all'].wrong) or 'none'}")
    told: Counter[str] = Counter()
    for number in range(given.others):
        for name, image in others(number):
            told[name] += charts.read_chart(image, text.read) is not None
    if given.others:
        print(f"read though they are no such charts, of {given.others} each: {dict(told)}")
    if given.sheet:
        sheet_of(pairs).save(given.sheet)


if __name__ == "__main__":
    main()
