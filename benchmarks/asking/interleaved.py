"""1,000 turns of many people's conversations, in turn and at once, on a model that counts positions in rows
and columns (Qwen3-VL): the tokens of each from what is kept, against ``generate`` from the beginning."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Figure, Goal
from tests.vision.chat import mixes, shapes

TURNS, PEOPLE, ROUNDS = 1000, 5, 5


def measure(folder: Path, scale: float) -> list[Figure]:
    """Let five people talk for five turns, until there are enough turns."""
    shapes.save("qwen3-vl", folder / "qwen3-vl")
    talker = shapes.loaded("qwen3-vl", folder / "qwen3-vl", {"system": "Look well."})
    talker.decoder.kept.max_bytes = 2**28
    turns = wrong = seed = 0
    while turns < TURNS * scale:
        more, differing = mixes.mixes(talker, 10_000 + seed, PEOPLE, ROUNDS)
        turns, wrong, seed = turns + more, wrong + differing, seed + 1
    return [Figure(f"turns with other tokens, of {turns:,}", (wrong,), "", "count", Goal(at_most=0))]
