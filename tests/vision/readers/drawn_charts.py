"""Bar charts as programs for numbers draw them, each with the numbers that it shows: drawn by Pillow, or by
matplotlib where that is installed."""

import io
import math
import random
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

from core.results import TextLine

NAMES = (
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"),
    ("Q1", "Q2", "Q3", "Q4"),
    ("2017", "2018", "2019", "2020", "2021", "2022", "2023"),
    ("North", "South", "East", "West"),
    ("Apples", "Pears", "Plums", "Cherries", "Grapes", "Lemons"),
    ("Oslo", "Rome", "Paris", "Berlin", "Madrid", "Vienna", "Lisbon"),
    ("A", "B", "C", "D", "E", "F"),
    ("red", "green", "blue", "yellow", "violet"),
)
SERIES = (("Sales", "Costs", "Profit"), ("Boys", "Girls"), ("2021", "2022", "2023"), ("Online", "Shops"))
TITLES = ("Sales by month", "Visitors", "Rain in mm", "Results of the survey", "Energy used", "")
UNITS = ("", "", "Thousand euros", "Number of people", "Share in %", "kWh")
PALETTES = (
    ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"),
    ("#4285f4", "#db4437", "#f4b400", "#0f9d58", "#ab47bc", "#00acc1", "#ff7043", "#9e9d24"),
    ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c"),
    ("#264653", "#2a9d8f", "#e9c46a", "#f4a261", "#e76f51", "#6d597a", "#355070", "#b56576"),
    ("#333333", "#777777", "#aaaaaa", "#555555", "#999999", "#222222", "#666666", "#888888"),
)


@dataclass(frozen=True)
class Drawn:
    """A chart: what it shows, and how it looks. values: series × names."""

    names: tuple[str, ...]
    series: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    title: str = ""
    unit: str = ""
    lying: bool = False
    look: dict[str, object] = field(default_factory=dict)


def some_chart(rng: random.Random) -> Drawn:
    """Return a chart of random numbers in a random look."""
    names = rng.choice(NAMES)
    count = rng.randint(3, len(names))
    several = rng.random() < 0.3
    series = rng.choice(SERIES)[: rng.randint(2, 3)] if several else ("",)
    size = 10 ** rng.uniform(0.7, 4.5)
    digits = 0 if size > 40 else 1
    top = size * rng.uniform(0.7, 1)
    values = tuple(tuple(round(rng.uniform(0.06, 1) * top, digits) for _ in range(count)) for _ in series)
    look = {
        "palette": rng.choice(PALETTES),
        "each": not several and rng.random() < 0.25,
        "grid": rng.random() < 0.6,
        "edges": rng.random() < 0.3,
        "told": rng.random() < 0.25,  # its value above each bar
        "dark": rng.random() < 0.15,
        "size": rng.choice(((640, 480), (800, 600), (1000, 500), (720, 720), (500, 400))),
        "wide": rng.uniform(0.5, 0.85),
        "jpeg": rng.choice((0, 0, 0, 85, 60)),
        "font": rng.choice((13, 14, 16, 18)),
        "grouped": rng.random() < 0.6,
    }
    lying = rng.random() < 0.25
    return Drawn(names[:count], series, values, rng.choice(TITLES), rng.choice(UNITS), lying, look)


def ticks_up_to(top: float) -> list[float]:
    """Return round values from zero to over ``top``."""
    rough = top / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough * 0.999)
    return [round(step * n, 10) for n in range(math.ceil(top * 1.02 / step - 1e-9) + 1)]


def told(value: float, grouped: bool) -> str:
    """Return a number as axes have it."""
    return f"{value:,.10g}" if grouped else f"{value:.10g}"


def draw(chart: Drawn, lines: list[TextLine] | None = None) -> Image.Image:
    """Return the chart as Pillow draws it. lines: takes the text that is written, as a perfect reader of text
    would find it."""
    look, (width, height) = chart.look, chart.look["size"]
    ink, paper, line = (
        ("#dddddd", "#1e1e1e", "#444444") if look["dark"] else ("#222222", "#ffffff", "#d0d0d0")
    )
    image = Image.new("RGB", (width, height), paper)
    pen, face = ImageDraw.Draw(image), ImageFont.load_default(look["font"])

    def write(spot: tuple[float, float], text: str, fill: str, font, anchor: str = "la") -> None:
        pen.text(spot, text, fill, font, anchor=anchor)
        if lines is not None:
            left, above, beyond, under = pen.textbbox(spot, text, font, anchor=anchor)
            corners = (left, above), (beyond, above), (beyond, under), (left, under)
            lines.append(TextLine(text, 1.0, corners))

    big = ImageFont.load_default(look["font"] + 4)
    ticks = ticks_up_to(max(map(max, chart.values)))
    marks = [told(tick, look["grouped"]) for tick in ticks]
    names_wide = max(face.getlength(name) for name in chart.names)
    marks_wide = max(face.getlength(mark) for mark in marks)
    left = 16 + (names_wide if chart.lying else marks_wide) + (26 if chart.unit and not chart.lying else 6)
    right, top = width - 30, 20 + (30 if chart.title else 0) + (24 if len(chart.series) > 1 else 0)
    bottom = height - 24 - look["font"] * (2.6 if chart.lying and chart.unit else 1)
    if chart.title:
        write((width / 2, 14), chart.title, ink, big, anchor="ma")
    if len(chart.series) > 1:
        x = left + 10
        for name, colour in zip(chart.series, look["palette"], strict=False):
            pen.rectangle((x, top - 22, x + 14, top - 10), colour)
            write((x + 20, top - 16), name, ink, face, anchor="lm")
            x += 40 + face.getlength(name)
    low, high = (left, right) if chart.lying else (bottom, top)

    def at(value: float) -> float:
        return low + (high - low) * value / (ticks[-1] * 1.02)

    for tick, mark in zip(ticks, marks, strict=True):
        place = round(at(tick))
        if chart.lying:
            if look["grid"]:
                pen.line((place, top, place, bottom), line)
            pen.line((place, bottom, place, bottom + 4), ink)
            write((place, bottom + 8), mark, ink, face, anchor="ma")
        else:
            if look["grid"]:
                pen.line((left, place, right, place), line)
            pen.line((left - 4, place, left, place), ink)
            write((left - 8, place), mark, ink, face, anchor="rm")
    room = ((bottom - top) if chart.lying else (right - left)) / len(chart.names)
    for number, name in enumerate(chart.names):
        middle = (top if chart.lying else left) + room * (number + 0.5)
        if chart.lying:
            write((left - 8, middle), name, ink, face, anchor="rm")
        else:
            write((middle, bottom + 8), name, ink, face, anchor="ma")
        slot = room * look["wide"] / len(chart.series)
        for place, values in enumerate(chart.values):
            begin = middle - room * look["wide"] / 2 + slot * place
            colour = look["palette"][number if look["each"] else place]
            end = at(values[number])
            sides = (left, begin, end, begin + slot) if chart.lying else (begin, end, begin + slot, bottom)
            edge = ink if look["edges"] else None
            pen.rectangle(tuple(round(side) for side in sides), colour, edge)
            if look["told"]:
                spot = (end + 4, begin + slot / 2) if chart.lying else (begin + slot / 2, end - 3)
                write(spot, told(values[number], False), ink, face, anchor="lm" if chart.lying else "md")
    pen.line((left, top, left, bottom), ink)
    pen.line((left, bottom, right, bottom), ink)
    if chart.unit and chart.lying:
        write(((left + right) / 2, height - 8), chart.unit, ink, face, anchor="md")
    elif chart.unit:
        text = Image.new("RGB", (int(face.getlength(chart.unit)) + 4, look["font"] + 6), paper)
        ImageDraw.Draw(text).text((2, 2), chart.unit, ink, face)
        turned = text.rotate(90, expand=True)
        image.paste(turned, (4, max(0, int((top + bottom - turned.height) / 2))))
    return _as_jpeg(image, look["jpeg"])


def draw_by_matplotlib(chart: Drawn) -> Image.Image:
    """Return the chart as matplotlib draws it, in one of its styles. Raises ImportError without it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    look = chart.look
    rng = random.Random(repr(chart))
    style = "dark_background" if look["dark"] else rng.choice(("default", "ggplot", "seaborn-v0_8", "bmh"))
    width, height = look["size"]
    with pyplot.style.context(style):
        figure, axes = pyplot.subplots(figsize=(width / 100, height / 100), dpi=100)
        count = len(chart.series)
        for place, (name, values) in enumerate(zip(chart.series, chart.values, strict=True)):
            slot = look["wide"] / count
            where = [n - look["wide"] / 2 + slot * (place + 0.5) for n in range(len(chart.names))]
            colours = list(look["palette"][: len(values)]) if look["each"] else look["palette"][place]
            more = {"edgecolor": "black"} if look["edges"] else {}
            bars = (axes.barh if chart.lying else axes.bar)(
                where, values, slot, color=colours, label=name, **more
            )
            if look["told"]:
                axes.bar_label(bars)
        if chart.lying:
            axes.set_yticks(range(len(chart.names)), chart.names)
            axes.invert_yaxis()
            axes.set_xlabel(chart.unit)
        else:
            axes.set_xticks(range(len(chart.names)), chart.names, rotation=rng.choice((0, 0, 0, 45)))
            axes.set_ylabel(chart.unit)
        axes.grid(look["grid"], axis="x" if chart.lying else "y")
        axes.set_axisbelow(True)
        axes.set_title(chart.title)
        if count > 1:
            axes.legend()
        figure.tight_layout()
        out = io.BytesIO()
        figure.savefig(out, format="png")
        pyplot.close(figure)
    return _as_jpeg(Image.open(out).convert("RGB"), look["jpeg"])


def _as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    if not quality:
        return image
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")
