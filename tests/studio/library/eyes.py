"""An executor that sees: of a picture how red it is, of a text the number in it. It compares as a worker
does."""

import math
import re
import struct

from PIL import Image

from tests.studio.conftest import AtOnce
from vision.protocol import Answered, Declined, Embed, Question
from vision.worker.nearest import nearest


class Seeing(AtOnce):
    """blind: it says that it has no model. asked: every question that it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.blind = False
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Answered | Declined:
        self.asked.append(question)
        if self.blind:
            return Declined(question.question_id, "it has no model")
        if isinstance(question, Embed):
            seen = (*map(vector_of, map(_number, question.texts)), *map(vector_of, map(_red, question.paths)))
            return Answered(question.question_id, seen)
        return Answered(question.question_id, nearest(question))


def vector_of(number: float) -> bytes:
    """What a number 0..255 looks like: an angle, so that near numbers are alike."""
    angle = number / 255 * math.pi / 2
    return struct.pack("<2e", math.cos(angle), math.sin(angle))


def _number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


def _red(path: str) -> int:
    with Image.open(path) as picture:
        return picture.convert("RGB").getpixel((0, 0))[0]
