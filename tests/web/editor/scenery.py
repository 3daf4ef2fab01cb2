"""An executor that draws scenes as large as they are wanted: what the editor's tests paint on."""

import asyncio
import io
from dataclasses import replace
from functools import cache

from PIL import Image, ImageDraw

from core.events import Picture
from core.requests import GenerateRequest, from_json
from jobs.executors.base import Outcome, Report
from tests.jobs.fake_worker import output_of
from tests.studio.conftest import AtOnce
from vision.protocol import Answered, Broke, Declined, Done, Fault, Question, Run, Select, Selected, Step

MOON = (576, 64, 672, 128)  # of a scene of 768 × 512 px


@cache
def scene(width: int, height: int, seed: int) -> bytes:
    """A house on a hill under a sky, as PNG; another seed has other colours."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    sky = Image.new("RGB", (width, height), (90 + seed * 37 % 120, 130, 200 - seed * 53 % 90))
    image = Image.blend(image, sky, 0.7)
    draw = ImageDraw.Draw(image)
    w, h = width / 16, height / 16
    draw.ellipse([-4 * w, 9 * h, 20 * w, 26 * h], fill=(70, 110 + seed * 29 % 60, 60))
    draw.rectangle([6 * w, 7 * h, 10 * w, 11 * h], fill=(180, 60 + seed * 41 % 120, 50))
    draw.polygon([(5.5 * w, 7 * h), (8 * w, 4.5 * h), (10.5 * w, 7 * h)], fill=(90, 50, 40))
    draw.rectangle([7.5 * w, 9 * h, 8.5 * w, 11 * h], fill=(240, 220, 150))
    draw.ellipse([12 * w, 2 * h, 14 * w, 4 * h], fill=(250, 240, 200))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _sheet(colour: tuple[int, int, int]) -> bytes:
    """Four pictures in two rows, the first in a colour and the others in none, as JPEG."""
    sheet, out = Image.new("RGB", (64, 64), (128, 128, 128)), io.BytesIO()
    sheet.paste(colour, (0, 0, 32, 32))
    sheet.save(out, "JPEG", quality=95)
    return out.getvalue()


class Objects:
    """Tells which pixels belong to what is pointed at, in place of a worker: a square of 40 px around it, or
    the moon by its name.

    gate: what it waits for.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.asked: list[Select] = []
        self.can = {"points": True, "words": True}
        self.declines = False
        self.gate: asyncio.Event | None = None

    async def ask(self, question: Question) -> Answered | Declined:
        if self.declines or not isinstance(question, Select):
            return Declined(question.question_id, "no worker is ready")
        self.asked.append(question)
        if self.gate is not None and self.asked_for(question):
            await self.gate.wait()
        return Answered(question.question_id, self._found(question))

    @staticmethod
    def asked_for(question: Select) -> bool:
        return bool(question.points or question.box or question.words)

    def _found(self, question: Select) -> Selected:
        rows = bytearray(self.width * self.height)
        boxes = [(x - 20, y - 20, x + 20, y + 20, label) for x, y, label in question.points]
        if question.box:
            boxes = [(*question.box, 1)]
        if question.words:
            if question.words != "the moon":
                return Selected(refused="Nothing in the picture fits these words.", **self.can)
            boxes = [(*MOON, 1)]
        if not boxes:
            return Selected(**self.can)
        for left, top, right, bottom, label in boxes:
            for y in range(int(top), int(bottom)):
                row = y * self.width
                rows[row + int(left) : row + int(right)] = bytes([label]) * int(right - left)
        packed = bytes(int("".join(map(str, rows[at : at + 8])), 2) for at in range(0, len(rows), 8))
        return Selected("sam", 0.9, (0, 0, 1, 1), (self.width, self.height), packed, **self.can)


class Scenes(AtOnce):
    """Draws scenes of one size. gate: what it waits for in the middle of a job. looks: colours of previews
    that are still to come, None = no more; each shows four pictures of ``box``, the first in that colour.
    error: why it doesn't draw."""

    def __init__(self, width: int = 768, height: int = 512) -> None:
        super().__init__()
        self.width, self.height = width, height
        self.gate: asyncio.Event | None = None
        self.looks: asyncio.Queue[tuple[int, int, int] | None] | None = None
        self.box = (0, 0, width, height)
        self.error = ""

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        self.started.append(run.job_id)
        request = from_json(run.kind, run.request)
        for step in (1, 2, 3):
            look = await self.looks.get() if self.looks is not None else None
            report(Step(run.job_id, step, 4, *((_sheet(look), self.box) if look else ())))
        if self.gate is not None:
            await self.gate.wait()
        if self.error:
            return Broke(run.job_id, Fault.MEMORY, self.error)
        output = output_of(request)
        if isinstance(request, GenerateRequest):
            seeds = range(request.seed, request.seed + request.num_images)
            output = replace(output, pictures=tuple(self._picture(seed) for seed in seeds))
        return Done(run.job_id, output)

    def _picture(self, seed: int) -> Picture:
        data = scene(self.width, self.height, seed)
        return Picture(data, "image/png", self.width, self.height, seed)
