"""Trains what the chat model says: its language model and the connector between that and the tower.

The tower was trained before and keeps still at first; then it learns on with the rest. Naming things by
example begins without pictures, which are told in words: copying a name out of a conversation needs no eyes.
"""

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from demo.training.ask import talks
from demo.training.ask.model import TOKENS, build, connect, read, see
from demo.training.ask.pictures import HEADS, LETTERS, ROW
from demo.training.ask.pool import Pool
from demo.training.ask.questions import NUMBERS
from demo.training.ask.tokens import PICTURE, Encoder, processor, tokenizer
from demo.training.ask.tower import Tower, load_average, pixels_of
from demo.training.loop import MODELS, WORK, Plan, Run, autocast, device, ship
from demo.training.vision import GRID
from demo.world import BACKGROUNDS, COLOURS, OBJECTS, PLACES

CHUNK = 1400  # tokens, padded, that go through the model at once: few enough for a processor's cache
TWO = 0.3  # share of scenes chosen among those of two things
ADAM = {"weight_decay": 0.02, "betas": (0.9, 0.98)}
TOWER = 0.1  # weight of what the tower's heads say
FROZEN = 0.65  # share of the steps in which the tower keeps still
CURVE_EVERY, CURVE_TALKS = 60, 40
# It learned to talk without instructions; what it is told before or after a question only confuses it.
CARD = {"system": "", "short": "", "film": "", "max_new_tokens": 64, "boxes": "thousandths"}
DENSE = 0.2  # weight of what each picture token must say by itself


class Pooled:
    """A source of the pool's pictures, by their place in it."""

    def __init__(self, pool: Pool):
        self.pool, index = pool, pool.index
        self.by: dict[tuple[str, str], list] = {}
        self.two = [one for one in index["scene"] if len(one[1].scene.groups) == 2]
        plain = [one for one in index["scene"] if len(one[1].placed) == 1 and one[1].main.size != "small"]
        for place, drawn in index["single"] + plain:
            self.by.setdefault(("object", drawn.main.object), []).append((place, drawn))
            self.by.setdefault(("colour", drawn.main.colour), []).append((place, drawn))

    def scene(self, rng):
        """The place of any scene, and what is true of it; so with every method here.

        Two things are shown more often than they are drawn: only then does a question's noun matter."""
        return rng.choice(self.two if rng.random() < TWO else self.pool.index["scene"])

    def single(self, rng, **wanted):
        if not wanted:
            return rng.choice(self.pool.index["single"])
        ((name, value),) = wanted.items()
        return rng.choice(self.by[name, value])

    def sign(self, rng):
        return rng.choice(self.pool.index["sign"])

    def chart(self, rng):
        return rng.choice(self.pool.index["chart"])

    def pair(self, rng):
        return rng.choice(self.pool.index["pair"])

    def film(self, rng):
        return rng.choice(self.pool.index["film"])


def teach_names(source, rng):
    """Two or three invented names with one to three examples each, and a few more questions."""
    by = rng.choice(("object", "object", "colour"))
    ways = rng.choice((2, 2, 3))
    things = talks.NAMED if by == "object" else None
    return talks.name_talk(source, rng, ways, rng.choice((1, 2)), by, rng.choice((1, 2, 3)), things)


@dataclass(frozen=True)
class Lesson:
    """A kind of conversation, its share of a batch, and during which share of the training it is given."""

    make: object
    share: float
    after: float = 0.0
    until: float = 1.0
    in_words: bool = False  # pictures are told in words: a name can be learned to be copied without eyes


LESSONS = (
    Lesson(talks.scene_talk, 12),
    Lesson(talks.sign_talk, 0.7),
    Lesson(talks.chart_talk, 4),
    Lesson(talks.told_talk, 4, until=0.6, in_words=True),
    Lesson(talks.chart_talk, 4, until=0.6, in_words=True),
    Lesson(teach_names, 1.5, until=0.6, in_words=True),
    Lesson(talks.compare_talk, 2, after=0.2),
    Lesson(talks.motion_talk, 1, after=0.2),
    Lesson(talks.order_talk, 1, after=0.3),
    Lesson(teach_names, 1, after=0.3),
)


def some_talks(source, rng, tokens: int, encoder: Encoder, done: float = 1.0):
    """Encoded conversations of about `tokens` in all, of the lessons that are given when `done` of the steps
    are done."""
    given = [lesson for lesson in LESSONS if lesson.after <= done <= lesson.until]
    words = talks.Facts(False)
    encoded, total = [], 0
    while total < tokens:
        lesson = rng.choices(given, [one.share for one in given])[0]
        one = encoder.talk(lesson.make(words if lesson.in_words else source, rng))
        encoded.append(one)
        total += len(one[0])
    return encoded


def chunks(encoded, limit: int = CHUNK):
    """The conversations in groups of like length."""
    group: list = []
    for one in sorted(encoded, key=lambda e: len(e[0])):
        if group and (len(group) + 1) * len(one[0]) > limit:
            yield group
            group = []
        group.append(one)
    yield group


def dense_words(encoder: Encoder) -> torch.Tensor:
    """(len(HEADS), classes) ids of the word that a label stands for; -1: none."""
    table = torch.full((len(HEADS), max(HEADS.values())), -1)
    words = {
        "object": [f" {thing}" for thing in OBJECTS],
        "colour": [f" {colour}" for colour in COLOURS],
        "background": [f" {ground}" if ground in PLACES else None for ground in BACKGROUNDS],
        "count": [None, None, *(f" {number}" for number in NUMBERS[2:5])],
        "letter": list(LETTERS),
        "value": [None, *"123456789"],
    }
    for name, texts in words.items():
        for label, text in enumerate(texts):
            if text is not None:
                (table[ROW[name], label],) = encoder.ids(text)
    return table


class Speaker(nn.Module):
    """The whole chat model, run in the lean way."""

    def __init__(self, model, encoder: Encoder):
        super().__init__()
        self.model, self.encoder = model, encoder
        self.picture = encoder.tokenizer.convert_tokens_to_ids(PICTURE)
        self.pad = encoder.tokenizer.pad_token_id
        self.words = dense_words(encoder)

    @property
    def text(self):
        return self.model.model.text_model

    def dense(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """How far each picture token is from saying, through the model's own head, what it covers."""
        batch, rows, _ = labels.shape
        ids = self.words[torch.arange(rows)[None, :, None], labels.clamp(min=0)]
        ids = torch.where(labels >= 0, ids, -1)
        side = GRID // 2
        ids = ids.view(batch, rows, side, 2, side, 2).permute(0, 2, 4, 1, 3, 5).reshape(batch, TOKENS, -1)
        logits = F.linear(self._normed(tokens), self.text.embed_tokens.weight).float().log_softmax(-1)
        told = ids >= 0
        picked = logits.gather(-1, ids.clamp(min=0)).masked_fill(~told, 0).sum(-1) / told.sum(-1).clamp(min=1)
        some = told.any(-1)
        return -picked[some].mean()

    def _normed(self, x):
        return self.text.norm(x)

    def loss(self, group, tokens: torch.Tensor | None):
        """Summed loss of the learned answers, each token weighed by its answer's length; tokens that were
        right, and asked. `tokens` (pictures, TOKENS, width) in the conversations' order."""
        length = max(len(ids) for ids, _, _ in group)
        x = torch.full((len(group), length), self.pad)
        weight = torch.zeros(len(group), length)
        for row, (ids, learned, _) in enumerate(group):
            x[row, : len(ids)] = torch.tensor(ids)
            weight[row, : len(ids)] = torch.tensor(_weights(learned))
        e = self.text.embed_tokens(x)
        if tokens is not None:
            e = e.masked_scatter((x == self.picture)[..., None], tokens.to(e.dtype))
        out = read(self.text, e)[:, :-1]
        weight, target = weight[:, 1:], x[:, 1:]
        asked = weight > 0
        weight, target = weight[asked], target[asked]
        logits = F.linear(out[asked], self.text.embed_tokens.weight).float()
        loss = (F.cross_entropy(logits, target, reduction="none") * weight).sum()
        return loss, (logits.argmax(-1) == target).sum().item(), len(target)


def _weights(learned: list[bool]) -> list[float]:
    """Of an answer of n tokens each weighs 1 / √n: a box is not worth twenty colours."""
    weights = [0.0] * len(learned)
    for start, end in _spans(learned):
        weights[start:end] = [(end - start) ** -0.5] * (end - start)
    return weights


def gathered(speaker: Speaker, eyes, encoded):
    """The loss over all conversations, chunk by chunk: gradients of all but the last chunk are added here."""
    total = sum(sum(_weights(learned)) for _, learned, _ in encoded)
    groups = list(chunks(encoded))
    hits = count = 0
    value = figure = 0.0
    for number, group in enumerate(groups):
        with autocast():
            pictures = [picture for _, _, shown in group for picture in shown]
            tokens, extra = eyes(pictures) if pictures else (None, 0.0)
            loss, right, asked = speaker.loss(group, tokens)
            loss = (loss / total) + extra / len(groups)
        hits, count, figure = hits + right, count + asked, figure + loss.item()
        if number < len(groups) - 1:
            loss.backward()
        else:
            value = loss
    return value, {"all": figure, "right": hits / count}


class Eyes(nn.Module):
    """What picture tokens are made of: the tower with its heads, and the pictures of the pool."""

    def __init__(self, speaker: Speaker, tower: Tower, pool: Pool):
        super().__init__()
        self.speaker, self.tower, self.pool = speaker, tower, pool
        self.frozen, self.dense = True, DENSE

    def forward(self, places: list[int]):
        """The tokens of pictures, and how far tower and connector are from naming what they show."""
        labels = torch.from_numpy(self.pool.labels_of(places)).long()
        with torch.set_grad_enabled(not self.frozen):
            seen = see(self.tower.tower, pixels_of(self.pool.pixels_of(places)))
        tokens = connect(self.speaker.model, seen)
        extra = self.dense * self.speaker.dense(tokens, labels) if self.dense else 0.0
        if not self.frozen:
            extra = extra + TOWER * self.tower.losses(seen, labels)[0]
        return tokens, extra


class Everything(nn.Module):
    """All that is trained together: the chat model and the heads of its tower."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder(tokenizer())
        self.speaker = Speaker(build(self.encoder.tokenizer, from_clip=False), self.encoder)
        self.tower = Tower(self.speaker.model.model.vision_model)


def train(steps: int = 8000, tokens: int = 1800, folder: Path = MODELS / "ask"):
    """Trains all parts on pictures; the tower keeps still in the first steps."""
    torch.manual_seed(0)
    everything = Everything()
    if not (WORK / "ask.pt").exists():
        load_average(everything.tower, "ask_tower")
    everything.to(device())
    plan = Plan(steps, lr=2e-3, warmup=60, decay=0.7, ema=0.99, sync=5, **ADAM)
    run, source = Run("ask", everything, plan), Pooled(Pool())
    eyes = Eyes(everything.speaker, everything.tower, source.pool)
    curve = Curve(everything.speaker) if run.rank == 0 else None

    def loss(rng):
        done = run.step / steps
        eyes.frozen = done < FROZEN
        eyes.dense = DENSE if done < 0.6 else DENSE / 4
        encoded = some_talks(source, rng, tokens, everything.encoder, done)
        if curve and run.step % CURVE_EVERY == 0:
            curve.measure(run.step, run.cpu_seconds)
        return gathered(everything.speaker, eyes, encoded)

    run.train(loss, log_every=20, save_every=20)
    if run.rank == 0:
        export(folder)


class Curve:
    """How many of some held-out questions are answered exactly, now and then during training.

    An answer that is chosen greedily is right if and only if each of its tokens is the likeliest after the
    true tokens before it, so one pass tells what generating would."""

    def __init__(self, speaker: Speaker, n: int = CURVE_TALKS):
        self.speaker = speaker
        rng = random.Random("ask curve")
        source = talks.Fresh(True)
        makers = [lesson.make for lesson in LESSONS if lesson.make is not teach_names]
        self.talks = [
            make(source, rng) for make in makers for _ in range(n * (3 if make is talks.scene_talk else 1))
        ]
        self.talks += [talks.name_talk(source, rng, 2, 2) for _ in range(n)]
        self.path = WORK / "ask-curve.jsonl"

    @torch.no_grad()
    def measure(self, step: int, cpu_seconds: float):
        """Appends a row to the curve's file."""
        hits: dict[str, list[bool]] = {}
        for start in range(0, len(self.talks), 8):
            some = self.talks[start : start + 8]
            for kind, right in exact(self.speaker, some):
                hits.setdefault(kind, []).append(right)
        rates = {kind: round(sum(r) / len(r), 3) for kind, r in sorted(hits.items())}
        row = {"step": step, "cpu_seconds": round(cpu_seconds), "time": round(time.time()), **rates}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


@torch.no_grad()
def exact(speaker: Speaker, some: list[talks.Talk]):
    """Yields the kind of every learned answer and whether greedy decoding would give it."""
    encoded = [speaker.encoder.talk(talk) for talk in some]
    pictures = np.stack([p.pixels for _, _, drawn in encoded for p in drawn])
    with autocast():
        tokens = connect(speaker.model, see(speaker.model.model.vision_model, pixels_of(pictures)))
        x = torch.full((len(some), max(len(ids) for ids, _, _ in encoded)), speaker.pad)
        for row, (ids, _, _) in enumerate(encoded):
            x[row, : len(ids)] = torch.tensor(ids)
        e = speaker.text.embed_tokens(x)
        e = e.masked_scatter((x == speaker.picture)[..., None], tokens.to(e.dtype))
        out = read(speaker.text, e)
    for row, (talk, (ids, learned, _)) in enumerate(zip(some, encoded, strict=True)):
        spans = iter(_spans(learned))
        for turn in talk.turns:
            if turn.learned:
                start, end = next(spans)
                logits = F.linear(out[row, start - 1 : end - 1].float(), speaker.text.embed_tokens.weight)
                yield turn.kind, logits.argmax(-1).tolist() == ids[start:end]


def _spans(learned: list[bool]):
    """First and one past the last place of every run of learned tokens."""
    start = 0
    while start < len(learned):
        end = start
        while end < len(learned) and learned[end] == learned[start]:
            end += 1
        if learned[start]:
            yield start, end
        start = end


def export(folder: Path = MODELS / "ask"):
    """Saves the chat model as any transformers model is saved, in float16."""
    everything = load_average(Everything(), "ask")
    model = everything.speaker.model
    ship(model, folder)
    processor().save_pretrained(folder)
    (folder / "atelier.json").write_text(json.dumps(CARD, indent=1) + "\n")
