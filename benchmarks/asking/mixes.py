"""Random mixes of people, pictures, turns, arrivals and stops: the tokens of each answer written together
against those of ``generate`` for its conversation alone."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Figure, Goal
from tests.vision.chat import mixes, shapes

MIXES = 2000
KEPT = 2**26  # bytes


def measure(folder: Path, scale: float) -> list[Figure]:
    """A figure for each family."""
    figures = []
    for name in shapes.JOINED:
        shapes.save(name, folder / name)
        talker = shapes.loaded(name, folder / name, {"system": "Look well."})
        talker.decoder.kept.max_bytes = KEPT
        answers = wrong = 0
        for seed in range(max(1, round(MIXES * scale))):
            more, differing = mixes.mixes(talker, seed, people=1 + seed % 4, rounds=1 + seed % 3)
            answers, wrong = answers + more, wrong + differing
        figures.append(
            Figure(f"{name}: answers that differ, of {answers:,}", (wrong,), "", "count", Goal(at_most=0))
        )
    return figures
