"""64 conversations at Poisson times: answers written together, joining at every token, against transformers'
``generate`` for one after the other, first come, first served. Time is CPU time; waiting is skipped."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from benchmarks.asking import models
from benchmarks.measure import Figure, Goal
from benchmarks.serving import Clock
from tests.vision.chat import mixes
from vision.chat.decoder import Decoder
from vision.chat.reply import Reply
from vision.chat.talking import Talker
from vision.protocol import Talk

CONVERSATIONS, LOAD, REPEATS = 64, 0.9, 3
TOKENS = (20, 100)  # of an answer


@dataclass
class Ask:
    """A question: when it comes, and what became of it, in seconds on the trace's clock."""

    talk: Talk
    max_tokens: int
    at: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    tokens: Sequence[int] = ()

    @property
    def wait(self) -> float:
        """Seconds until its first token."""
        return self.first - self.at


def asked(seed: int, count: int) -> list[Ask]:
    """Return questions about up to two pictures."""
    rng = random.Random(seed)
    return [Ask(Talk((mixes.question(rng, f"{seed}-{i}", 2),)), rng.randint(*TOKENS)) for i in range(count)]


class _First(StoppingCriteria):
    """Notes the time of the first token."""

    def __init__(self, ask: Ask, now: Callable[[], float]) -> None:
        self.ask, self.now = ask, now

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        self.ask.first = self.ask.first or self.now()
        return torch.zeros(len(input_ids), dtype=torch.bool)


def one_by_one(talker: Talker, asks: Sequence[Ask]) -> float:
    """Answer them in the order of their coming; return the seconds of work."""
    clock = Clock()
    for ask in asks:
        clock.wait_until(ask.at)
        criteria = StoppingCriteriaList([_First(ask, clock.now)])
        ask.tokens = mixes.alone(talker, ask.talk, ask.max_tokens, stopping_criteria=criteria)
        ask.ended = clock.now()
    return clock.busy


def together(talker: Talker, asks: Sequence[Ask], max_rows: int) -> float:
    """Answer them as the worker does; return the seconds of work."""
    clock, coming, replies = Clock(), deque(asks), list[tuple[Ask, Reply]]()
    decoder = talker.decoder = Decoder(talker.model, talker.decoder.kept, max_rows)
    while coming or decoder.is_busy:
        if coming and not decoder.is_busy:
            clock.wait_until(coming[0].at)
        while coming and coming[0].at <= clock.now():
            ask = coming.popleft()
            reply = mixes.reply_to(talker, ask.talk, ask.max_tokens)
            replies.append((ask, reply))
            decoder.add(reply)
        decoder.write_on()
        now = clock.now()
        for ask, reply in replies:
            ask.first = ask.first or (now if reply.tokens else 0.0)
            ask.ended = ask.ended or (now if reply.is_over else 0.0)
            ask.tokens = reply.tokens
        replies = [(ask, reply) for ask, reply in replies if not reply.is_over]
    return clock.busy


def measure(folder: Path, scale: float) -> list[Figure]:
    """Throughput when all come at once, waits at the load that leaves one by one a tenth of its time."""
    talker, count = models.small(folder / "small"), max(8, round(CONVERSATIONS * scale))
    faster, eight, waits, own, less, wrong = [], [], [], [], [], 0
    one_by_one(talker, asked(99, 4)), together(talker, asked(99, 4), 8)
    for seed in range(REPEATS):
        ways = [asked(seed, count) for _ in range(5)]
        alone = one_by_one(talker, ways[0])
        faster.append(alone / together(talker, ways[1], 16))
        eight.append(alone / together(talker, ways[2], 8))
        rng, at = random.Random(seed), 0.0
        for one, other in zip(ways[3], ways[4], strict=True):
            one.at = other.at = at
            at += rng.expovariate(LOAD * count / alone)
        one_by_one(talker, ways[3]), together(talker, ways[4], 16)
        waits.append(float(np.mean([ask.wait for ask in ways[3]])))
        own.append(float(np.mean([ask.wait for ask in ways[4]])))
        less.append(waits[-1] / own[-1])
        wrong += sum(a.tokens != b.tokens for way in ways[1:] for a, b in zip(ways[0], way, strict=True))
    total = REPEATS * 4 * count
    return [
        Figure(f"answers with other tokens, of {total}", (wrong,), "", "count", Goal(at_most=0)),
        Figure("tokens a second, up to 16 at once, against one by one", tuple(faster), "×", goal=Goal(2.5)),
        Figure("… up to 8 at once", tuple(eight), "×"),
        Figure(f"first token at load {LOAD}, one by one", tuple(waits), "CPU s, mean"),
        Figure("… together", tuple(own), "CPU s, mean"),
        Figure("… earlier by", tuple(less), "×", goal=Goal(5)),
    ]
