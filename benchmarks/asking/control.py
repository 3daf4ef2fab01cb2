"""Texts that people may send, with control tokens whole, cut, nested and in other scripts: how many are left
in a prompt beside those of the template."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.measure import Figure, Goal
from tests.vision.chat import fuzz, shapes

TEXTS = 100_000


def measure(folder: Path, scale: float) -> list[Figure]:
    """A figure for each tokenizer; every hundredth text goes through a whole prompt, as question and as
    history."""
    figures = []
    for name, tokens in fuzz.tokenizers().items():
        rng, left, count = random.Random(name), 0, max(1, round(TEXTS * scale))
        for _ in range(count):
            left += tokens.count(fuzz.ids(tokens, tokens.neutralise(fuzz.text(rng, tokens))))
        figures.append(Figure(f"{name}: left in {count:,} texts", (left,), "", "count", Goal(at_most=0)))
    for name in shapes.SHAPES:
        shapes.save(name, folder / name)
        prompts = shapes.loaded(name, folder / name).model.prompts
        rng, count = random.Random(name), max(1, round(TEXTS * scale / 100))
        more = sum(fuzz.more_than_the_template(prompts, rng) for _ in range(count))
        figures.append(Figure(f"{name}: more in {count:,} prompts", (more,), "", "count", Goal(at_most=0)))
    return figures
