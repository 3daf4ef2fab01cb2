"""``python -m benchmarks [ROW …]``: measures, prints the table, and merges what it found into docs/benchmarks/."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from benchmarks import report
from benchmarks.measure import Unequal
from benchmarks.rows import ROWS, Options, row

HEADING = """# Benchmarks

`make bench` measures every row again (about half an hour; `--scale 0.3` does about a third of the work) and writes this page; `python -m benchmarks ROW …` only those rows. Ratios come
from pairs that ran interleaved in one process or on one machine; *CPU* is time of the process's threads, which other work on the machine
hardly changes, *wall* is the clock on the wall. Rows that fall short stand beside those that don't. Medians are of as many repeats as `n` says."""

BROKEN = 2


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 all goals met, 1 a goal missed, 2 a row broke or was unequal."""
    arguments = _parser().parse_args(argv)
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    if arguments.gpu:
        from benchmarks import gpu

        return gpu.main(arguments)
    path, status, shown = arguments.out / "results.json", 0, []
    for name in arguments.rows or (() if arguments.draw else ROWS):
        found = _measure(name, arguments, path)
        status = max(status, found)
        shown += [name] if found < BROKEN else []
    rows = report.load(path)
    if arguments.save:
        report.draw(rows, arguments.out)
        (arguments.out / "README.md").write_text(report.page(rows, HEADING), encoding="utf-8")
    print(report.table({name: rows[name] for name in (rows if arguments.draw else shown)}))
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all when none is named")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual work, to try a row quickly")
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="folder of results.json, page and charts")
    parser.add_argument("--draw", action="store_true", help="measure nothing (but named rows); draw page and charts from results.json")
    parser.add_argument("--gpu", action="store_true", help="the rows for a card: full-size architectures with random weights")
    parser.add_argument("--tiny", action="store_true", help="with --gpu: tiny models instead, on any device")
    parser.add_argument("--no-save", dest="save", action="store_false", help="draw no charts and write no page")
    return parser


def _measure(name: str, arguments: argparse.Namespace, path: Path) -> int:
    """0 goals met, 1 one missed, BROKEN."""
    try:
        title, against, measure = row(name)
    except KeyError:
        print(f"{name} is no row; there are {', '.join(ROWS)}", file=sys.stderr)
        return BROKEN
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
