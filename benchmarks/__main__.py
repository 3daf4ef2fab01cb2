"""``python -m benchmarks [ROW …]``: measures, prints the table, and merges what it found into
docs/evidence/benchmarks.md."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import report
from benchmarks.measure import Unequal
from benchmarks.rows import LONGEST_FIRST, ROWS, Options, row
from core.settings import ROOT

HEADING = """# Benchmarks

What the studio's parts cost, and what they save compared with simpler ways to do the same. Read a row as: \
this figure, its median, and how far the repeats lie apart.

`make bench` measures every row in about a quarter of an hour and writes this page; \
`python -m benchmarks ROW` measures one. Ratios come from pairs that ran interleaved on one machine. *CPU* \
is the time of the process's threads, which other work on the machine hardly changes; *wall* is the clock on \
the wall. Each goal was set before the measurement, and goals that were missed stay in the table. All \
repeats are in [results.json](benchmarks/results.json)."""

BROKEN, PROCESSES = 2, 2


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 all goals met, 1 a goal missed, 2 a row broke or was unequal."""
    arguments = _parser().parse_args(argv)
    if unknown := [name for name in arguments.rows if name not in ROWS]:
        print(f"{', '.join(unknown)}: no such row; there are {', '.join(ROWS)}", file=sys.stderr)
        return BROKEN
    import torch

    from vision.worker.main import quiet_libraries

    torch.set_num_threads(1)
    quiet_libraries()
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    if arguments.gpu:
        from benchmarks import gpu

        return gpu.main(arguments)
    path, wanted = arguments.out / "results.json", arguments.rows or (() if arguments.draw else ROWS)
    statuses = _measure_all(wanted, arguments, path)
    shown = [name for name in wanted if statuses[name] < BROKEN]
    rows = report.load(path)
    if arguments.save:
        report.draw(rows, arguments.out)
        page = report.page(rows, HEADING, arguments.out.name)
        arguments.out.with_suffix(".md").write_text(page, encoding="utf-8")
    print(report.table({name: rows[name] for name in (rows if arguments.draw else shown)}))
    return max(statuses.values(), default=0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all when none is named"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the usual work, to try a row quickly"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=report.FOLDER,
        help="folder of results.json and charts; the page is written beside it",
    )
    parser.add_argument(
        "--draw",
        action="store_true",
        help="measure nothing (but named rows); draw page and charts from results.json",
    )
    parser.add_argument(
        "--gpu", action="store_true", help="the rows for a GPU: full-size architectures with random weights"
    )
    parser.add_argument("--tiny", action="store_true", help="with --gpu: tiny models instead, on any device")
    parser.add_argument(
        "--no-save", dest="save", action="store_false", help="draw no charts and write no page"
    )
    return parser


def _measure_all(names: Sequence[str], arguments: argparse.Namespace, path: Path) -> dict[str, int]:
    """Status of each row; where there are two cores, those that count CPU time are measured in two processes
    at a time, before the others."""
    together = [name for name in LONGEST_FIRST if name in names]
    if len(together) < 2 or (os.cpu_count() or 1) < PROCESSES:
        return {name: _measure(name, arguments, path) for name in names}
    with ThreadPoolExecutor(PROCESSES) as pool, tempfile.TemporaryDirectory() as folder:
        statuses = dict(
            zip(
                together,
                pool.map(lambda name: measure_in_process(name, arguments, Path(folder) / name), together),
                strict=True,
            )
        )
        for name in together:
            if name in (found := report.load(Path(folder) / name / "results.json")):
                report.keep(path, name, found[name], ROWS)
    return statuses | {name: _measure(name, arguments, path) for name in names if name not in statuses}


def measure_in_process(name: str, arguments: argparse.Namespace, out: Path) -> int:
    options = (f"--repeats={arguments.repeats}", f"--scale={arguments.scale}", f"--out={out}", "--no-save")
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", name, *options], cwd=ROOT, stdout=subprocess.DEVNULL, check=False
    ).returncode


def _measure(name: str, arguments: argparse.Namespace, path: Path) -> int:
    """0 goals met, 1 one missed, BROKEN."""
    title, against, measure = row(name)
    began, where = time.perf_counter(), report.environment("cpu")
    print(f"{name}: {title} …", file=sys.stderr, flush=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(Options(arguments.repeats, Path(folder), arguments.scale))
    except Unequal as error:
        print(f"{name}: NOT EQUAL: {error}", file=sys.stderr)
        return BROKEN
    except Exception:
        traceback.print_exc()
        return BROKEN
    seconds = time.perf_counter() - began
    report.keep(path, name, report.entry(result, title, against, seconds, where, arguments.repeats), ROWS)
    print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    return int(any(figure.met is False for figure in result.figures))


if __name__ == "__main__":
    sys.exit(main())
