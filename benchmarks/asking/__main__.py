"""Measures the rows that are named, or all."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import tempfile
import warnings
from pathlib import Path

ROWS = ("together", "eight", "turns", "interleaved", "beside", "mixes", "control")
NAMED = ("films",)  # measured only when they are named: they want a chat model that the host has


def main(argv: list[str] | None = None) -> int:
    """Print what each row finds; exit status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asking", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)} (all if none is named), and films")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual work")
    arguments = parser.parse_args(argv)
    if unknown := [name for name in arguments.rows if name not in (*ROWS, *NAMED)]:
        parser.error(f"{', '.join(unknown)}: no such row")
    import torch

    from benchmarks.measure import Figure
    from vision.startup import quiet_libraries

    torch.set_num_threads(1)
    quiet_libraries()
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    missed = False
    for name in arguments.rows or ROWS:
        with tempfile.TemporaryDirectory() as folder:
            figures: list[Figure] = importlib.import_module(f"benchmarks.asking.{name}").measure(
                Path(folder), arguments.scale
            )
        for figure in figures:
            missed |= figure.met is False
            low, high = figure.spread
            spread = f" ({low:.3g} to {high:.3g})" if len(figure.values) > 1 else ""
            goal = "" if figure.goal is None else f"{figure.goal}"
            print(
                f"| {name} | {figure.name} | {figure.median:.3g}{spread} {figure.unit} | {figure.clock} |"
                f" {len(figure.values)} | {goal} |",
                flush=True,
            )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
