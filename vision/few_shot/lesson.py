"""What a set teaches, as a job is handed out with it: pictures with their labels, and the picture that is
asked about. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from core.errors import UserError
from vision.protocol import Talk, Turn

TOO_FEW = "This set has examples of {count} of the two labels that it takes at least. Add more to it."


@dataclass(frozen=True)
class Lesson:
    """turns: a question and its right answer for each example, oldest first. asked: the question now."""

    turns: tuple[tuple[Turn, Turn], ...]
    asked: Turn

    @classmethod
    def of(cls, talk: Talk) -> Lesson:
        """Return the lesson of a talk without the examples whose picture is gone. Raises UserError when fewer
        than two labels are left."""
        before = talk.turns[:-1]
        pairs = tuple(
            (question, answer)
            for question, answer in zip(before[::2], before[1::2], strict=True)
            if question.pictures
        )
        lesson = cls(pairs, talk.turns[-1])
        if len(lesson.labels) < 2:
            count = ("none", "one")[len(lesson.labels)]
            raise UserError(TOO_FEW.format(count=count))
        return lesson

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Every label, in the order in which they came."""
        return tuple(dict.fromkeys(answer.text for _, answer in self.turns))

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The label of each example, by its place in ``labels``."""
        places = {label: place for place, label in enumerate(self.labels)}
        return tuple(places[answer.text] for _, answer in self.turns)

    @property
    def pictures(self) -> tuple[str, ...]:
        """SHA-256 of the picture of each example."""
        return tuple(question.pictures[0] for question, _ in self.turns)

    def without(self, place: int) -> Sequence[int]:
        """Return the places of all examples but one."""
        return [other for other in range(len(self.turns)) if other != place]
