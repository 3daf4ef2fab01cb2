"""Eight people ask about a picture at the same moment: answers of 64 tokens written together against one
after the other, and when the first token of each comes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.asking import models
from benchmarks.asking.together import Ask, one_by_one, together
from benchmarks.measure import Figure, Goal, quantile
from vision.protocol import Talk, Turn

PEOPLE, TOKENS, REPEATS = 8, 64, 7


def _asked() -> list[Ask]:
    return [Ask(Talk((Turn("user", f"what is on table {i}", (f"p{i}",)),)), TOKENS) for i in range(PEOPLE)]


def measure(folder: Path, scale: float) -> list[Figure]:
    """Each repeat: all at once, and one after the other."""
    talker = models.small(folder / "small")
    one_by_one(talker, _asked()[:2]), together(talker, _asked(), PEOPLE)
    faster, first, wrong = [], [], 0
    for _ in range(max(2, round(REPEATS * scale))):
        alone, crowd = _asked(), _asked()
        seconds = one_by_one(talker, alone)
        faster.append(seconds / together(talker, crowd, PEOPLE))
        first += [ask.wait for ask in crowd]
        wrong += sum(one.tokens != other.tokens for one, other in zip(alone, crowd, strict=True))
    return [
        Figure("answers with other tokens", (wrong,), "", "count", Goal(at_most=0)),
        Figure("tokens a second, against one after another", tuple(faster), "×", goal=Goal(3)),
        Figure("first token, median", (quantile(first, 0.5),), "CPU s", goal=Goal(at_most=0.3)),
        Figure("… of the last of 20", (quantile(first, 0.95),), "CPU s", goal=Goal(at_most=1)),
    ]
