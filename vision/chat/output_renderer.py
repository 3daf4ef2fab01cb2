"""What people see of a chat model's answer: words, a table or boxes, the picture with boxes drawn on it,
or the chart drawn again from the numbers."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from core.errors import ImageError
from core.events import ChatAnswer, Output, Picture
from core.results import Box, Table
from vision.chat.output_parser import MOST, NotInForm, Wanted, form_answer, numeric, talk_pictures, written
from vision.images import encode
from vision.images.chart import BACKGROUND, BAR, BEST, FAINT, ROW, TEXT, fit_text
from vision.protocol import Talk

CHART_COLOURS = (BAR, BEST, "#fee75c", "#eb459e", "#ed4245", "#3ba5b5")
WIDTH, LEAST_HEIGHT, MOST_HEIGHT = 640, 420, 1000  # px
MARGIN, CHART_GAP = 20, 8
MOST_BARS = 30  # of rows; the rest is in the file
UPRIGHT_ROWS, UPRIGHT_LETTERS = 12, 11  # most of each with bars that stand
FONT, SMALL, TITLE = 16, 14, 18


def draw_chart(table: Table) -> Image.Image | None:
    """Return the numbers of a table as bars, WIDTH px wide; None where it has none to draw."""
    places = numeric(table)[: len(CHART_COLOURS)]
    rows = table.rows[:MOST_BARS]
    series = [[row[place] for row in rows] for place in places]
    values = [value for column in series for value in column if isinstance(value, float)]
    if not values or len(rows) < 2:
        return None
    names = [written(row[0]) for row in rows]
    stands = len(rows) <= UPRIGHT_ROWS and max(map(len, names)) * len(rows) <= 6 * UPRIGHT_LETTERS
    lying = min(MOST_HEIGHT, max(LEAST_HEIGHT, 110 + len(rows) * max(20, 12 * len(places))))
    height = LEAST_HEIGHT if stands else lying
    image = Image.new("RGB", (WIDTH, height), BACKGROUND)
    pen = ImageDraw.Draw(image)
    top = _head(pen, table, places)
    # about five round values that hold zero and all that is drawn
    least, most = min(min(values), 0.0), max(max(values), 0.0)
    span = (most - least) or 1.0
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    ticks = [number * step for number in range(first, max(last, first + 1) + 1)]
    (_standing if stands else _lying)(pen, top, height, names, series, ticks)
    return image


def _head(pen: ImageDraw.ImageDraw, table: Table, places: Sequence[int]) -> int:
    """Write the title and what the colours mean; return where that ends."""
    top, wide = MARGIN, WIDTH - 2 * MARGIN
    if table.title:
        text, face = fit_text(table.title, wide, TITLE, 0)
        pen.text((MARGIN, top), text, TEXT, face)
        top += TITLE + CHART_GAP
    if len(places) > 1:
        room = wide // len(places)
        for x, colour, place in zip(range(MARGIN, WIDTH, room), CHART_COLOURS, places, strict=False):
            text, face = fit_text(table.columns[place] or f"column {place + 1}", room - 30, SMALL, place + 1)
            pen.rectangle((x, top + 2, x + 12, top + 14), colour)
            pen.text((x + 18, top), text, FAINT, face)
        top += SMALL + CHART_GAP
    elif table.columns[places[0]]:
        text, face = fit_text(table.columns[places[0]], wide, SMALL, 0)
        pen.text((MARGIN, top), text, FAINT, face)
        top += SMALL + CHART_GAP
    return top + CHART_GAP


def _standing(
    pen: ImageDraw.ImageDraw,
    top: int,
    height: int,
    names: Sequence[str],
    series: Sequence[Sequence[object]],
    ticks: Sequence[float],
) -> None:
    face = ImageFont.load_default(SMALL)
    marks = [written(round(tick, 10)) for tick in ticks]
    left = MARGIN + CHART_GAP + round(max(face.getlength(mark) for mark in marks))
    right, bottom = WIDTH - MARGIN, height - MARGIN - FONT - CHART_GAP

    def at(value: float) -> int:
        return bottom - round((bottom - top - FONT) * (value - ticks[0]) / (ticks[-1] - ticks[0]))

    for tick, mark in zip(ticks, marks, strict=True):
        y = at(tick)
        pen.line((left, y, right, y), FAINT if tick == 0 else ROW)
        pen.text((left - CHART_GAP, y), mark, FAINT, face, anchor="rm")
    room = (right - left) / len(names)
    for row, name in enumerate(names):
        middle = left + room * (row + 0.5)
        text, wide = fit_text(name, room - 4, SMALL, row + 1)
        pen.text((middle, bottom + CHART_GAP), text, TEXT, wide, anchor="ma")
        for place, (begin, end) in enumerate(_slots(middle, room, len(series))):
            value = series[place][row]
            if isinstance(value, float):
                y, zero = at(value), at(0)
                pen.rectangle((begin, min(y, zero), end, max(y, zero)), CHART_COLOURS[place])
                text = written(value)
                if face.getlength(text) <= room / len(series):
                    anchor, off = ("md", -3) if value >= 0 else ("ma", 3)
                    pen.text(((begin + end) / 2, y + off), text, TEXT, face, anchor=anchor)


def _lying(
    pen: ImageDraw.ImageDraw,
    top: int,
    height: int,
    names: Sequence[str],
    series: Sequence[Sequence[object]],
    ticks: Sequence[float],
) -> None:
    face = ImageFont.load_default(SMALL)
    fitted = [fit_text(name, 190, SMALL, row) for row, name in enumerate(names, 1)]
    left = MARGIN + CHART_GAP + round(max(wide.getlength(text) for text, wide in fitted))
    right, bottom = WIDTH - MARGIN - 56, height - MARGIN - FONT - CHART_GAP

    def at(value: float) -> int:
        return left + round((right - left) * (value - ticks[0]) / (ticks[-1] - ticks[0]))

    for tick in ticks:
        x = at(tick)
        pen.line((x, top, x, bottom), FAINT if tick == 0 else ROW)
        pen.text((x, bottom + CHART_GAP), written(round(tick, 10)), FAINT, face, anchor="ma")
    room = (bottom - top) / len(names)
    for row, (text, wide) in enumerate(fitted):
        middle = top + room * (row + 0.5)
        pen.text((left - CHART_GAP, middle), text, TEXT, wide, anchor="rm")
        for place, (begin, end) in enumerate(_slots(middle, room, len(series))):
            value = series[place][row]
            if isinstance(value, float):
                x, zero = at(value), at(0)
                pen.rectangle((min(x, zero), begin, max(x, zero), end), CHART_COLOURS[place])
                if end - begin >= SMALL - 4:
                    pen.text((max(x, zero) + 4, (begin + end) / 2), written(value), TEXT, face, anchor="lm")


def _slots(middle: float, room: float, count: int) -> list[tuple[float, float]]:
    """Return where the bars of a row begin and end, side by side around its middle."""
    whole = room * (0.62 if count == 1 else 0.8)
    width = whole / count
    begin = middle - whole / 2
    return [(begin + width * n, begin + width * (n + 1) - (1 if count > 1 else 0)) for n in range(count)]


LONGEST = 1600  # px of a drawn picture's longer side
LINE = 2  # px
PLATE = "#1e1f22"
COLOURS = ("#ff5c5c", "#57f287", "#5bb8ff", "#fee75c", "#ff8ad8", "#ff9f43", "#3be0d0", "#b79bff")
BESIDE = 640, 480  # px, most of the original beside its numbers
CAPTION, GAP = 16, 16
QUALITY = 92  # of JPEG


def draw_boxes(image: Image.Image, boxes: Sequence[Box]) -> Picture:
    """Return a copy of ``image`` (RGB) with boxes, each with its label on a plate."""
    drawn = image.copy()
    drawn.thumbnail((LONGEST, LONGEST))
    pen = ImageDraw.Draw(drawn)
    size = max(12, min(24, round(max(drawn.size) / 45)))
    across, down = drawn.size
    for number, box in enumerate(boxes[:MOST]):
        right, bottom = min(box.right * across, across - 1), min(box.bottom * down, down - 1)
        sides = tuple(map(round, (box.left * across, box.top * down, right, bottom)))
        pen.rectangle(sides, outline=COLOURS[number % len(COLOURS)], width=LINE)
    for number, box in enumerate(boxes[:MOST]):
        # write a label above its box; inside it where there is no room above
        text, face = fit_text(f"{number + 1} {box.label}".strip(), max(40, across * 0.6), size, number + 1)
        width, height = round(face.getlength(text)) + 8, size + 6
        left, top = round(box.left * across), round(box.top * down)
        x = min(max(0, left), max(0, across - width))
        y = min(top - height if top >= height else top + LINE, max(0, down - height))
        pen.rectangle((x, y, x + width, y + height), PLATE)
        pen.rectangle((x, y, x + 3, y + height), COLOURS[number % len(COLOURS)])
        pen.text((x + 6, y + height / 2), text, "#ffffff", face, anchor="lm")
    return encoded(drawn)


def drawn_again(table: Table, original: Image.Image | None) -> Picture | None:
    """Return a table's numbers as a chart, beside the picture they were read from; None without any."""
    chart = draw_chart(table)
    if chart is None:
        return None
    if original is None:
        return encoded(chart)
    shown = original.copy()
    shown.thumbnail(BESIDE)
    top = CAPTION + 2 * GAP
    height = top + max(shown.height, chart.height) + GAP
    sheet = Image.new("RGB", (shown.width + chart.width + 3 * GAP, height), BACKGROUND)
    pen, face = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION)
    beside = shown.width + 2 * GAP
    for x, caption, picture in ((GAP, "the picture", shown), (beside, "drawn again from the numbers", chart)):
        pen.text((x, GAP), caption, FAINT, face)
        sheet.paste(picture, (x, top))
    return encoded(sheet)


def encoded(image: Image.Image) -> Picture:
    """Return a picture as PNG, or as JPEG where that is much smaller: a photograph."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, subsampling=0)
    data, kind = out.getvalue(), "image/jpeg"
    if image.width * image.height <= 2**21:
        exact = io.BytesIO()
        image.save(exact, "PNG", optimize=False)
        if len(exact.getvalue()) <= 2 * len(data):
            data, kind = exact.getvalue(), "image/png"
    return Picture(data, kind, *image.size)


NO_FORM = {
    "table": "The model gave no usable table. Its answer:",
    "boxes": "The model gave no usable boxes. Its answer:",
}
NO_PICTURE = "The picture is gone, so nothing is drawn on it."


def finish_output(
    talk: Talk, answer: ChatAnswer, wanted: Wanted, paths: Mapping[str, str], parameters: Mapping[str, Any]
) -> Output:
    """Return what a model's answer comes to. talk: the conversation as it came. paths: SHA-256 → file.
    parameters: of the output. Opens and draws pictures, so it blocks."""
    notes = list(parameters.get("notes", ()))
    if talk.answer not in NO_FORM or not answer.text.strip():
        return Output(answer=answer, parameters=dict(parameters))
    grid = None
    try:
        answer, told = form_answer(talk, answer, wanted)
        notes += told
        names = talk_pictures(talk)
        only = paths.get(names[0]) if len(names) == 1 else None
        original = open_original(only) if only else None
        if answer.table is not None:
            grid = drawn_again(answer.table, original)
        elif answer.boxes and original is not None:
            grid = draw_boxes(original, answer.boxes)
    except NotInForm:
        notes.append(NO_FORM[talk.answer])
    if answer.boxes and grid is None:
        notes.append(NO_PICTURE)
    return Output(grid=grid, answer=answer, parameters={**parameters, "notes": notes})


def open_original(path: str) -> Image.Image | None:
    """Return a stored picture on white, None when it is gone."""
    try:
        return encode.open_picture(path)
    except ImageError:
        return None
