"""Asks servers that others wrote what our own decoder answers with the same weights, and compares the texts:
``python -m proofs.servers.compare [--n 200] [--folder DIR] [--only llama.cpp]``.

The pictures that our decoder sees are those that the server is sent: decoded from the same JPEG.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import io
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from core.requests import AskRequest, to_json
from host.openai_client import HttpChatServer
from jobs.executors.chat_server import ChatServerExecutor
from jobs.executors.openai_api import Prompt, prompt_of
from tests.servers import model, start
from vision.chat import talker as load
from vision.chat.prompt import Picture
from vision.chat.talker import Talker
from vision.protocol import Done, Run, Step, Talk, Turn
from vision.reporter import Reporter

SIDES = (64, 48, 32, 96, 80)  # px
COLOURS = ("red", "navy", "white", "gold", "teal", "black", "pink", "olive")
WORDS = "what colour is the cat on a table left of two red boats and why not show me more 3 12".split()
TOKENS = 24  # of an answer
LEAST = {"transformers serve": 0.99, "llama.cpp": 0.95}  # of the texts that have to be equal
TOGETHER, WITHIN = 3, 0.5  # streams that llama.cpp has to begin within so many seconds


@dataclass(frozen=True)
class Asked:
    """A question with its pictures' files. run: as the queue hands it to a worker."""

    run: Run
    talk: Talk


@dataclass
class Report:
    """other: questions whose text differs, with both texts. first_words: seconds until those of each of three
    answers that are asked for at once."""

    kind: str
    asked: int = 0
    equal: int = 0
    other: list[tuple[str, str]] = field(default_factory=list)
    first_words: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def share(self) -> float:
        return self.equal / max(1, self.asked)

    def __str__(self) -> str:
        streams = ", ".join(f"{seconds:.2f}" for seconds in self.first_words)
        return (
            f"{self.kind}: {self.equal} of {self.asked} texts equal ({self.share:.1%}) in"
            f" {self.seconds:.0f} s; {TOGETHER} streams begin after {streams} s"
        )


def picture(dice: random.Random) -> Image.Image:
    """Draw a few shapes."""
    made = Image.new("RGB", (dice.choice(SIDES), dice.choice(SIDES)), dice.choice(COLOURS))
    draw = ImageDraw.Draw(made)
    for _ in range(dice.randint(1, 3)):
        left, top = (dice.randint(0, side // 2) for side in made.size)
        box = (left, top, left + dice.randint(8, 32), top + dice.randint(8, 32))
        dice.choice((draw.rectangle, draw.ellipse))(box, fill=dice.choice(COLOURS))
    return made


def questions(folder: Path, n: int, seed: int) -> list[Asked]:
    """Make questions, some of which follow on from others, about one to three pictures each."""
    dice, made = random.Random(seed), []
    for number in range(n):
        job_id, paths, turns = f"job{number}", dict[str, str](), list[Turn]()
        for before in range(dice.choice((0, 0, 1, 2))):
            turns.append(_question(dice, f"{job_id}-{before}", folder, paths, first=not turns))
            turns.append(Turn("assistant", _words(dice), (), f"{job_id}-{before}"))
        turns.append(_question(dice, job_id, folder, paths, first=not turns))
        request = AskRequest(question=turns[-1].text, images=turns[-1].pictures, follows=len(turns) > 1)
        talk = Talk(tuple(turns), max_tokens=TOKENS, context=4096)
        made.append(Asked(Run(job_id, "ask", to_json(request), paths, talk), talk))
    return made


def _question(dice: random.Random, job_id: str, folder: Path, paths: dict[str, str], *, first: bool) -> Turn:
    names = []
    for number in range(dice.randint(1, 2) if first else dice.choice((0, 0, 1))):
        name = named(f"{job_id}-{number}")
        picture(dice).save(folder / f"{name}.png")
        paths[name] = str(folder / f"{name}.png")
        names.append(name)
    return Turn("user", f"{_words(dice)}?", tuple(names), job_id)


def named(text: str) -> str:
    """Return a name for a picture that looks like a file's."""
    return hashlib.sha256(text.encode()).hexdigest()


def _words(dice: random.Random) -> str:
    return " ".join(dice.choices(WORDS, k=dice.randint(2, 9)))


def by_ourselves(talker: Talker, asked: Asked) -> str:
    """What the worker's decoder answers, to the pictures as the server is sent them."""
    prompt = prompt_of(asked.talk, asked.run.paths)
    names = [name for turn in asked.talk.turns for name in turn.pictures]
    sent = {name: _decoded(data) for name, data in zip(names, _pictures(prompt), strict=True)}
    pictures = {name: Picture(name, image.size, lambda image=image: image) for name, image in sent.items()}
    return talker.answer(asked.talk, pictures, Reporter()).text


def _pictures(prompt: Prompt) -> list[bytes]:
    parts = [
        part
        for message in prompt.messages
        if not isinstance(message["content"], str)
        for part in message["content"]
    ]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


def _decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


async def by_server(url: str, asked: Sequence[Asked], slots: int) -> list[str]:
    """What a server answers, through the executor that the studio uses."""
    executor = ChatServerExecutor(HttpChatServer(url), slots)
    await executor.start(lambda: None)
    room = asyncio.Semaphore(slots)

    async def one(question: Asked) -> str:
        async with room:
            outcome = await executor.run("server", question.run, lambda step: None)
        return (
            outcome.output.answer.text
            if isinstance(outcome, Done) and outcome.output.answer
            else repr(outcome)
        )

    try:
        return await asyncio.gather(*map(one, asked))
    finally:
        await executor.stop()


async def first_words(url: str, asked: Sequence[Asked]) -> list[float]:
    """Ask at once; return after how many seconds the first words of each came."""
    executor, began, firsts = (
        ChatServerExecutor(HttpChatServer(url), len(asked)),
        time.monotonic(),
        list[float](),
    )

    async def one(question: Asked) -> None:
        came: list[float] = []

        def report(step: Step) -> None:
            came.append(time.monotonic() - began)

        await executor.run("server", question.run, report)
        firsts.append(came[0])

    await executor.start(lambda: None)
    try:
        await asyncio.gather(*map(one, asked))
    finally:
        await executor.stop()
    return sorted(firsts)


async def compared(kind: str, url: str, talker: Talker, work: Path, n: int, seed: int = 1) -> Report:
    """Compare a running server with ``talker``, which has its weights."""
    asked, began = questions(work, n, seed), time.monotonic()
    theirs = await by_server(url, asked, start.SLOTS)
    report = Report(kind, len(asked))
    for question, text in zip(asked, theirs, strict=True):
        ours = by_ourselves(talker, question)
        report.equal += ours == text
        if ours != text:
            report.other.append((ours, text))
    report.first_words = await first_words(url, asked[:TOGETHER])
    report.seconds = time.monotonic() - began
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="of a SmolVLM; a tiny one with random weights without it")
    parser.add_argument("--only", choices=start.NEEDS)
    parser.add_argument("--show", type=int, default=2, help="differing texts to show")
    options, bad = parser.parse_args(), 0
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        folder = model.given(options.folder, work)
        talker = load.load_chat_model(folder, "tiny", {}, "cpu", torch.float32)
        for kind in [options.only] if options.only else start.NEEDS:
            if start.missing(kind):
                print(f"{kind}: not installed: {', '.join(start.missing(kind))}")
                continue
            with start.server(kind, folder.resolve(), work / kind.replace(" ", "-")) as url:
                report = asyncio.run(compared(kind, url, talker, work, options.n, options.seed))
            print(report)
            for ours, theirs in report.other[: options.show]:
                print(f"  ours   {ours!r}\n  theirs {theirs!r}")
            bad += report.share < LEAST[kind]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
