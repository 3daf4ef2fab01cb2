"""Pictures of a report as PNG: charts, heat maps with outlined regions, boxes with their labels, and the
worst mistakes side by side."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont, ImageOps

from core.results import Region
from vision.custom_models.metrics import Curve, NamesReport

SIZE, DOTS = (6.0, 4.5), 120  # inches, dots an inch
GOOD, BAD, LIMIT = "#2b6cb0", "#c05621", "#1a202c"  # told apart by colour-blind people, too
LINE_TONES = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#1a202c")
LINES = ("-", "--", ":", "-.")
BINS = 24


def confusion(report: NamesReport) -> bytes:
    """Draw the confusion matrix: rows are right, columns were said; each cell has its count."""
    figure, axes = _figure()
    shares = report.confusion / np.maximum(report.confusion.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(report.confusion):
        tone = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=tone)
    names = [_plain(label) for label in report.labels]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="said", ylabel="right", title=f"{report.accuracy} right")
    return _png(figure)


def curves(roc: Curve, precision_recall: Curve) -> bytes:
    """Draw the ROC and the precision-recall curve side by side."""
    figure, both = _figure(2)
    for axes, (curve, name, x, y) in zip(
        both,
        (
            (roc, "area under the ROC", "false alarms", "found"),
            (precision_recall, "average precision", "found (recall)", "right of those stopped (precision)"),
        ),
        strict=True,
    ):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y)
        axes.plot(curve.x, curve.y, color=GOOD, linewidth=2)
        axes.set_title(f"{name} {curve.area:.3f}")
    return _png(figure)


def scores(good: Sequence[float], bad: Sequence[float], limit: float) -> bytes:
    """Draw how many good pictures and defects have which score, in limits, with the limit in it."""
    figure, axes = _figure()
    ratios = np.asarray([*good, *bad]) / limit
    low, high = min(0.0, ratios.min(initial=0.0)), max(1.2, float(np.quantile(ratios, 0.98)) * 1.05)
    edges = np.linspace(low, high, BINS + 1)
    for values, colour, name in ((good, GOOD, "good"), (bad, BAD, "defects")):
        if len(values):
            kept = np.clip(np.asarray(values) / limit, low, high)
            axes.hist(kept, edges, color=colour, alpha=0.65, label=f"{name} ({len(values)})")
    axes.axvline(1.0, color=LIMIT, linestyle="--", label="limit")
    axes.set(xlabel="score, in limits (the last bar holds all beyond)", ylabel="pictures")
    axes.legend()
    return _png(figure)


def boxes(curves: Mapping[str, tuple[np.ndarray, np.ndarray, float]]) -> bytes:
    """Draw precision against recall of each label's boxes, with its average precision. curves: recall and
    precision by label."""
    figure, axes = _figure()
    for place, (label, (recall, precision, area)) in enumerate(curves.items()):
        style = LINES[place // len(LINE_TONES) % len(LINES)]
        tone = LINE_TONES[place % len(LINE_TONES)]
        axes.plot([0, *recall], [1, *precision], style, color=tone, label=f"{_plain(label)}: AP50 {area:.2f}")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), xlabel="found (recall)", ylabel="right (precision)")
    axes.set_title("boxes that overlap a marked one by half")
    axes.legend(loc="lower left")
    return _png(figure)


def bars(shares: Sequence[tuple[str, float]], title: str, counts: Sequence[int] | None = None) -> bytes:
    """Draw shares, 0..1, as bars with their names, and beside each its count or what it is in percent."""
    figure, axes = _figure()
    found = axes.barh([_plain(name) for name, _ in shares], [share for _, share in shares], color=GOOD)
    told = [str(count) for count in counts or ()] or [f"{share:.0%}" for _, share in shares]
    axes.bar_label(found, told, padding=4)
    axes.set(xlim=(0, 1.1), title=title)
    return _png(figure)


def _figure(columns: int = 1) -> tuple[Figure, Any]:
    figure = Figure((columns * SIZE[0], SIZE[1]), DOTS, layout="constrained")
    return figure, figure.subplots(1, columns)


def _plain(text: str) -> str:
    """Return a label as it is written: to matplotlib a dollar would begin a formula."""
    return short(text).replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


MOST = 5  # regions that are told
COLD, HOT = np.array((255, 210, 60)), np.array((225, 30, 30))  # at the limit, at twice the limit
COVER = 0.6  # of the picture, by the hottest


def regions(heat: np.ndarray, size: tuple[int, int]) -> list[Region]:
    """Return where heat (h, w), in limits, is above 1 in a picture of ``size``, the MOST strangest first."""
    from scipy import ndimage

    marked, _ = ndimage.label(heat > 1, np.ones((3, 3)))
    wide, high = size[0] / heat.shape[1], size[1] / heat.shape[0]
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(marked), 1):
        inside = marked == number
        ends = (columns.start * wide, rows.start * high, columns.stop * wide, rows.stop * high)
        left, top, right, bottom = (round(end) / side for end, side in zip(ends, (*size, *size), strict=True))
        area, ratio = round(float(inside.mean()), 6), float(heat[inside].max())
        found.append((ratio, Region(left, top, right, bottom, area, round(ratio, 4))))
    return [region for _, region in sorted(found, key=lambda one: -one[0])[:MOST]]


def overlay(image: Image.Image, heat: np.ndarray, outlined: Sequence[Region] = ()) -> Image.Image:
    """Return a picture with heat (h, w), in limits, laid over it: nothing below the limit, full from twice
    the limit on; and outlines of regions."""
    upright = ImageOps.exif_transpose(image).convert("RGB")
    large = Image.fromarray(heat.astype(np.float32)).resize(upright.size, Image.Resampling.BILINEAR)
    strength = (np.asarray(large) - 1).clip(0, 1)[..., None]
    tone = COLD + (HOT - COLD) * strength
    cover = COVER * np.minimum(1, 3 * strength)
    pixels = np.asarray(upright, np.float32) * (1 - cover) + tone * cover
    found = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
    pen, line = ImageDraw.Draw(found), max(2, min(upright.size) // 200)
    for one in outlined:
        sides = zip((one.left, one.top, one.right, one.bottom), (*found.size, *found.size), strict=True)
        pen.rectangle([round(share * side) for share, side in sides], None, tuple(map(int, HOT)), line)
    return found


def beside(image: Image.Image, heat: np.ndarray, outlined: Sequence[Region] = ()) -> Image.Image:
    """Return a picture and its heat map side by side."""
    upright = ImageOps.exif_transpose(image).convert("RGB")
    both = Image.new("RGB", (2 * upright.width + 8, upright.height), "white")
    both.paste(upright, (0, 0))
    both.paste(overlay(image, heat, outlined), (upright.width + 8, 0))
    return both


# told apart by colour-blind people, too (Okabe and Ito, 2008), lighter where that is too dark
TONES = ("#e69f00", "#56b4e9", "#00b386", "#f0e442", "#4a8fe0", "#e0662a", "#d68ab8", "#f2f3f5")
INK = "#101114"
LEAST_TEXT, MOST_TEXT = 11, 28  # px
LONGEST = 24  # characters of a label


@dataclass(frozen=True)
class Outline:
    """box: left, top, right, bottom in shares of the picture. text: "" = none. dashed: of what is missing."""

    box: tuple[float, float, float, float]
    text: str
    tone: str
    dashed: bool = False


def tone_of(labels: Sequence[str], label: str) -> str:
    """Return the colour of a label among those of its model."""
    return TONES[labels.index(label) % len(TONES)] if label in labels else TONES[-1]


def drawn(image: Image.Image, outlines: Sequence[Outline]) -> Image.Image:
    """Return a picture with boxes over it; the first ones are on top."""
    found = ImageOps.exif_transpose(image).convert("RGB")
    pen, short = ImageDraw.Draw(found), min(found.size)
    line = max(2, short // 200)
    font = ImageFont.load_default(max(LEAST_TEXT, min(MOST_TEXT, short // 32)))
    for one in reversed(outlines):
        left, top, right, bottom = (
            each * side for each, side in zip(one.box, (*found.size, *found.size), strict=True)
        )
        if one.dashed:
            _dashed(pen, (left, top, right, bottom), one.tone, line)
        else:
            pen.rectangle((left, top, right, bottom), outline=one.tone, width=line)
    for one in reversed(outlines):
        if not one.text:
            continue
        x0, y0, x1, y1 = pen.textbbox((0, 0), one.text, font)
        wide, high = x1 - x0 + 2 * line, y1 - y0 + 2 * line
        left = max(0.0, min(one.box[0] * found.width, found.width - wide))
        top = one.box[1] * found.height
        top -= high if top >= high else 0  # above the box, or in it where there is no room
        pen.rectangle((left, top, left + wide, top + high), one.tone)
        pen.text((left + line - x0, top + line - y0), one.text, INK, font)
    return found


def _dashed(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], tone: str, line: int) -> None:
    left, top, right, bottom = box
    dash = 4 * line
    for y in (top, bottom):
        for at in range(int(left), int(right), 2 * dash):
            pen.line((at, y, min(at + dash, right), y), tone, line)
    for x in (left, right):
        for at in range(int(top), int(bottom), 2 * dash):
            pen.line((x, at, x, min(at + dash, bottom)), tone, line)


def short(label: str) -> str:
    """Return a label as it is written on a picture."""
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


CELL, LINE, GAP, COLUMNS, MOST_MISTAKES = 192, 18, 6, 4, 12  # pixels, pictures


@dataclass(frozen=True)
class Mistake:
    """A picture named or judged wrongly. wrong: how surely, the largest first on the sheet."""

    sha256: str
    right: str
    said: str
    wrong: float


def mistakes(
    names: Sequence[str], right: Sequence[str], said: Sequence[str], sure: Sequence[float]
) -> list[Mistake]:
    """Return what was wrong, the surest first. names: SHA-256 of the pictures; sure: 0..1 or in limits."""
    found = [
        Mistake(name, a, b, how) for name, a, b, how in zip(names, right, said, sure, strict=True) if a != b
    ]
    return sorted(found, key=lambda one: (-one.wrong, one.sha256))


def mistake_sheet(
    found: Sequence[Mistake],
    open_picture: Callable[[str], Image.Image],
    cell: int = CELL,
    words: tuple[str, str] = ("right", "said"),
) -> Image.Image | None:
    """Draw the MOST surest mistakes, each ``cell`` px large; None without any. words: before what is right,
    and before what was said."""
    some = found[:MOST_MISTAKES]
    if not some:
        return None
    columns = min(COLUMNS, len(some))
    rows = -(-len(some) // columns)
    high = cell + 2 * LINE + GAP
    page = Image.new("RGB", (columns * (cell + GAP) + GAP, rows * high + GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for number, mistake in enumerate(some):
        x, y = GAP + number % columns * (cell + GAP), GAP + number // columns * high
        upright = ImageOps.exif_transpose(open_picture(mistake.sha256)).convert("RGB")
        page.paste(ImageOps.pad(upright, (cell, cell), color="#e2e8f0"), (x, y))
        for line, text in enumerate((f"{words[0]}: {mistake.right}", f"{words[1]}: {mistake.said}")):
            while font.getlength(text) > cell:
                text = f"{text.removesuffix('…')[:-1]}…"
            pen.text((x, y + cell + 2 + line * LINE), text, "black", font)
    return page
