"""Results as JSON, as a table and as charts. The JSON is the truth; table and charts are drawn from it, also
without measuring again."""

from __future__ import annotations

import json
import os
import platform
import statistics
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measure import Goal, Result
from core.settings import ROOT

FOLDER = ROOT / "docs" / "evidence" / "benchmarks"
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "pillow", "discord.py")


def environment(device: str) -> dict[str, Any]:
    """What the figures depend on. load: processes that wanted a core in the last minute, ours among them."""
    from vision import devices

    return {
        "device": devices.name(device),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def entry(
    result: Result, title: str, against: str, seconds: float, where: Mapping[str, Any], repeats: int
) -> dict[str, Any]:
    """A row as it is kept."""
    figures = [{**asdict(figure), "median": figure.median, "met": figure.met} for figure in result.figures]
    return {
        "title": title,
        "against": against,
        "measured": datetime.now(UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "repeats": repeats,
        "environment": dict(where),
        "figures": figures,
        "checks": [asdict(check) for check in result.checks],
        "chart": asdict(result.chart),
        "notes": list(result.notes),
    }


def load(path: Path) -> dict[str, Any]:
    """Return the rows kept in a JSON file; {} when there is none."""
    return json.loads(path.read_text()) if path.is_file() else {}


def keep(path: Path, name: str, row: Mapping[str, Any], order: Iterable[str]) -> dict[str, Any]:
    """Put one row among those kept before; rows are in ``order``."""
    rows = {**load(path), name: row}
    known = {key: rows[key] for key in order if key in rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return load(path)


# The table


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown, one line a figure: median, smallest and largest of the repeats, goal, verdict."""
    lines = [
        "| row | figure | median | smallest to largest | clock | goal | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        for i, figure in enumerate(row["figures"]):
            values, unit = figure["values"], figure["unit"]
            goal = str(Goal(**figure["goal"])) if figure["goal"] else ""
            verdict = {True: "yes", False: "**no**", None: ""}[figure["met"]]
            spread = f"{short(min(values))} to {short(max(values))}, n={len(values)}"
            middle = f"{short(statistics.median(values))} {unit}"
            cells = (
                f"`{name}`" if i == 0 else "",
                figure["name"],
                middle,
                spread,
                figure["clock"],
                goal,
                verdict,
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(rows: Mapping[str, Mapping[str, Any]], heading: str, charts: str) -> str:
    """The whole page: table, then each row with its chart, checks and notes. charts: folder of the charts."""
    parts = [heading, table(rows)]
    for name, row in rows.items():
        where = row["environment"]
        checks = [
            f"- equal: {c['what']}: worst {c['worst']:.3g} of {c['bound']:g} allowed, {c['count']:,}"
            " comparisons"
            for c in row["checks"]
        ]
        machine = (
            f"{where['device']}, {where['cores']} cores, load {where['load']}, torch {where['torch']},"
            f" diffusers {where['diffusers']}"
        )
        parts += [
            f"## {row['title']}",
            (
                f"Against {row['against']}. {row['measured']}, {row['seconds']:.0f} s, {row['repeats']}"
                f" repeats; {machine}."
            ),
            f"![{row['title']}]({charts}/{name}.svg)",
            "\n".join([*checks, *(f"- {note}" for note in row["notes"])]),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def short(value: float) -> str:
    """Three digits that matter."""
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


# The charts


def draw(rows: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write one chart for each row, as SVG."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "atelier", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    for name, row in rows.items():
        chart = row["chart"]
        figure, axes = pyplot.subplots(
            figsize=(7, max(3.6, 1 + 0.2 * len(chart["series"]))), layout="constrained"
        )
        (_lines if chart["x"] else _bars)(axes, chart)
        figure.suptitle(textwrap.fill(row["title"], 100), x=0.01, ha="left", fontsize=10)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)


def _bars(axes: Any, chart: Mapping[str, Any]) -> None:
    """The median as a bar, each repeat as a dot."""
    names = list(chart["series"])[::-1]
    for place, name in enumerate(names):
        values = chart["series"][name]
        axes.barh(place, statistics.median(values), height=0.6, color="#5b8fc7")
        axes.plot(values, [place] * len(values), "o", markersize=3, color="#1b2f45", alpha=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(chart["unit"])
    if chart["log"]:
        axes.set_xscale("log")
        _plain_numbers(axes.xaxis)


def _plain_numbers(axis: Any) -> None:
    """1, 2, 5, 10, … on a logarithmic axis, instead of powers of ten."""
    from matplotlib import ticker

    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(ticker.NullFormatter())


def _lines(axes: Any, chart: Mapping[str, Any]) -> None:
    for name, points in chart["series"].items():
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            marker="o" if len(points) < 30 else "",
            markersize=3,
            label=name,
        )
    axes.set_xlabel(chart["x"])
    axes.set_ylabel(chart["unit"])
    axes.set_ylim(bottom=None if chart["log"] else 0)
    if chart["log"]:
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    axes.legend(frameon=False)
