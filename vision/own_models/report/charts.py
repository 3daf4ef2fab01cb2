"""Charts of a report as PNG: confusion, curves, and the scores with the limit in them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vision.own_models.report.metrics import Curve, NamesReport

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
    places = range(len(report.labels))
    axes.set_xticks(places, [_plain(label) for label in report.labels], rotation=45, ha="right")
    axes.set_yticks(places, [_plain(label) for label in report.labels])
    axes.set_xlabel("said")
    axes.set_ylabel("right")
    axes.set_title(f"{report.accuracy} right")
    return _png(figure)


def curves(roc: Curve | None, precision_recall: Curve | None) -> bytes:
    """Draw the ROC and the precision-recall curve side by side; what can't be told is said in its place."""
    figure = Figure((2 * SIZE[0], SIZE[1]), DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, curve, name, x, y in zip(
        figure.subplots(1, 2),
        (roc, precision_recall),
        ("area under the ROC", "average precision"),
        ("false alarms", "found (recall)"),
        ("found", "right of those stopped (precision)"),
        strict=True,
    ):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y)
        if curve is None:
            axes.text(0.5, 0.5, "needs good pictures\nand pictures with defects", ha="center", va="center")
        else:
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
    axes.bar_label(
        found,
        [str(count) for count in counts] if counts else [f"{share:.0%}" for _, share in shares],
        padding=4,
    )
    axes.set(xlim=(0, 1.1), title=title)
    return _png(figure)


def _figure() -> tuple[Figure, Any]:
    figure = Figure(SIZE, DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _plain(text: str) -> str:
    """Return a label as it is written: to matplotlib a dollar would begin a formula."""
    short = text if len(text) <= 24 else f"{text[:23]}…"
    return short.replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
