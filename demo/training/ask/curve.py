"""How many held-out questions the chat model answers exactly while it is trained."""

import json
import random
import time

import torch
import torch.nn.functional as F

from demo.training.ask import talks
from demo.training.ask.lessons import SEEN
from demo.training.ask.model import read
from demo.training.loop import WORK, autocast

CURVE_TALKS = 40
DRILLS = (talks.drill_talk, talks.bars_talk)


class Curve:
    """How many of some held-out questions are answered exactly, now and then during training.

    An answer that is chosen greedily is right if and only if each of its tokens is the likeliest after the
    true tokens before it, so one pass tells what generating would."""

    def __init__(self, name: str, speaker, tokens_of):
        self.speaker, self.tokens_of = speaker, tokens_of
        rng, n = random.Random("ask curve"), CURVE_TALKS
        source = talks.Fresh(True)
        makers = dict.fromkeys(lesson.make for lesson in SEEN if lesson.make not in DRILLS)
        self.talks = [
            make(source, rng) for make in makers for _ in range(n * (3 if make is talks.scene_talk else 1))
        ]
        self.talks += [talks.name_talk(source, rng, 2, 2) for _ in range(n)]
        self.path = WORK / f"{name}-curve.jsonl"

    @torch.no_grad()
    def measure(self, step: int, cpu_seconds: float):
        """Appends a row to the curve's file."""
        hits: dict[str, list[bool]] = {}
        for start in range(0, len(self.talks), 8):
            some = self.talks[start : start + 8]
            for kind, right in exact(self.speaker, some, self.tokens_of):
                hits.setdefault(kind, []).append(right)
        rates = {kind: round(sum(r) / len(r), 3) for kind, r in sorted(hits.items())}
        row = {"step": step, "cpu_seconds": round(cpu_seconds), "time": round(time.time()), **rates}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


@torch.no_grad()
def exact(speaker, some: list[talks.Talk], tokens_of):
    """Yields the kind of every learned answer and whether greedy decoding would give it; `tokens_of` makes
    the tokens of pictures."""
    encoded = [speaker.encoder.talk(talk) for talk in some]
    pictures = [p for _, _, drawn in encoded for p in drawn]
    with autocast():
        tokens = tokens_of(pictures)
        x = torch.full((len(some), max(len(ids) for ids, _, _ in encoded)), speaker.pad)
        for row, (ids, _, _) in enumerate(encoded):
            x[row, : len(ids)] = torch.tensor(ids)
        e = speaker.text.embed_tokens(x)
        e = e.masked_scatter((x == speaker.picture)[..., None], tokens.to(e.dtype))
        out = read(speaker.text, e)
    for row, (talk, (ids, learned, _)) in enumerate(zip(some, encoded, strict=True)):
        answers = iter(spans(learned))
        for turn in talk.turns:
            if turn.learned:
                start, end = next(answers)
                logits = F.linear(out[row, start - 1 : end - 1].float(), speaker.text.embed_tokens.weight)
                yield turn.kind, logits.argmax(-1).tolist() == ids[start:end]


def spans(learned: list[bool]):
    """First and one past the last place of every run of learned tokens."""
    start = 0
    while start < len(learned):
        end = start
        while end < len(learned) and learned[end] == learned[start]:
            end += 1
        if learned[start]:
            yield start, end
        start = end
