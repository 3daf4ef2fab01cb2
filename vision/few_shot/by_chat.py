"""The other way to learn from a few examples: a chat model is shown the most similar ones as turns of a
conversation, and its probabilities of the labels are compared.

Flamingo (Alayrac et al., 2022) chooses examples by similarity, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from vision.chat import scoring
from vision.chat.pictures import Picture
from vision.chat.talking import Talker
from vision.few_shot.lesson import Lesson
from vision.protocol import Talk, Turn
from vision.reporter import Reporter

SHOTS = 8  # examples that the model is shown
MOST_TESTED = 16  # examples that are asked about in turn: each costs as much as the question


@dataclass(frozen=True)
class Told:
    """chances: of the labels, in the lesson's order. tested: examples that were asked about, each without
    itself among those shown; ``right`` of them were named rightly."""

    chances: tuple[float, ...]
    tested: int
    right: int

    @property
    def accuracy(self) -> float | None:
        """The share of tested examples that was named rightly, None when none was tested."""
        return self.right / self.tested if self.tested else None


def tell(
    lesson: Lesson,
    talker: Talker,
    pictures: Mapping[str, Picture],
    seen: torch.Tensor,
    asked: torch.Tensor,
    limits: Talk,
    reporter: Reporter,
) -> Told:
    """Return what a chat model makes of a lesson. seen, asked: (n, D) and (D,), by which pictures are
    similar. limits: whose ``context`` holds.

    A step is a picture that it was asked about. Raises ModelError for a model that can't compare answers,
    UserError when one question is too long for it.
    """
    key = (*lesson.pictures, *(answer.text for _, answer in lesson.turns))
    known = talker.tested.get(key)
    tested = tested_of(lesson.places, MOST_TESTED) if known is None else []
    steps, right = len(tested) + 1, 0
    chances = ask(lesson, talker, pictures, seen, asked, limits, reporter)
    reporter.step(1, steps)
    for number, place in enumerate(tested, 2):
        shown = _similar(lesson, seen, seen[place], lesson.without(place))
        found = _chances(lesson, talker, pictures, shown, lesson.turns[place][0], limits, reporter)
        right += max(range(len(found)), key=found.__getitem__) == lesson.places[place]
        reporter.step(number, steps)
    if known is None:
        known = talker.tested[key] = len(tested), right
    return Told(tuple(chances), *known)


def ask(
    lesson: Lesson,
    talker: Talker,
    pictures: Mapping[str, Picture],
    seen: torch.Tensor,
    asked: torch.Tensor,
    limits: Talk,
    reporter: Reporter,
) -> list[float]:
    """Return the chances of a lesson's labels, without testing them; arguments and errors are those of
    ``tell``."""
    shown = _similar(lesson, seen, asked, range(len(lesson.turns)))
    return _chances(lesson, talker, pictures, shown, lesson.asked, limits, reporter)


def _similar(lesson: Lesson, seen: torch.Tensor, asked: torch.Tensor, places: Sequence[int]) -> list[int]:
    """Return the places of the examples that are shown: the most similar ones, but no label more than its
    share of them, the most similar last."""
    some = torch.tensor(list(places))
    alike = torch.nn.functional.cosine_similarity(seen[some], asked[None], dim=-1)
    share = max(1, -(-SHOTS // len(lesson.labels)))
    chosen, of_label = list[int](), dict[int, int]()
    for place in some[alike.argsort(descending=True, stable=True)].tolist():
        label = lesson.places[place]
        if len(chosen) < SHOTS and of_label.get(label, 0) < share:
            of_label[label] = of_label.get(label, 0) + 1
            chosen.append(place)
    return chosen[::-1]


def _chances(
    lesson: Lesson,
    talker: Talker,
    pictures: Mapping[str, Picture],
    shown: Sequence[int],
    asked: Turn,
    limits: Talk,
    reporter: Reporter,
) -> list[float]:
    turns = [turn for place in shown for turn in lesson.turns[place]]
    names = f"The answer is one of: {', '.join(lesson.labels)}."
    first = turns[0] if turns else asked
    turns = [replace(first, text=f"{names}\n{first.text}"), *turns[1:], replace(asked, job_id="")]
    talk = Talk(tuple(turns), context=limits.context, most_pictures=len(shown) + 1)
    scores = torch.tensor(scoring.score(talker, talk, pictures, lesson.labels, reporter))
    return scores.softmax(0).tolist()


def tested_of(labels: Sequence[int], most: int) -> list[int]:
    """Return which examples a chat model is tested on: of each label that has more than one, as many as of
    the others as far as there are, at most ``most`` in all."""
    places: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    several = [some for some in places.values() if len(some) > 1]
    found: list[int] = []
    for turn in range(max(map(len, several), default=0)):
        found += [some[turn] for some in several if turn < len(some)]
    return sorted(found[:most])
