"""Trains the chat model: its image tower, then its language model and the connector between the two; and
says which kinds of conversations it is taught in which order.

The tower was trained before and keeps still at first; then it learns on with the rest. Naming things by
example begins without pictures, which are told in words: copying a name out of a conversation needs no eyes.

In the tower every patch must tell what it shows and what it belongs to. The facts that answers need (how
many, where, left of what, which letter of a word, how high a bar) are asked of patches by linear heads,
which are thrown away, so that the language model has only to look them up.
"""

import json
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from demo.train import chat_data
from demo.train.chat_data import HEADS, LETTERS, LONGEST, NUMBERS, ROW, SHARDS, Pool
from demo.train.chat_model import (
    PICTURE,
    SHUFFLE,
    TEXT_WIDTH,
    Encoder,
    Told,
    begin,
    build,
    connect,
    processor,
    read,
    see,
    tokenizer,
)
from demo.train.loop import PACK, WORK, Plan, Run, autocast, device, grown, ship
from demo.train.questions import asks
from demo.train.readers import WIDTH
from demo.world import BACKGROUNDS, COLOURS, OBJECTS

FOLDER = PACK / "ask"
CHUNK = 1400  # tokens, padded, that go through the model at once: few enough for a processor's cache
TWO = 0.5  # share of scenes chosen among those of two things


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

    def video(self, rng):
        return rng.choice(self.pool.index["video"])


def teach_names(source, rng):
    """Two or three invented names with one to three examples each, and a few more questions."""
    return _names(source, rng, rng.choice((2, 2, 3)), rng.choice((1, 2)), rng.choice((1, 2, 3)))


def drill_names(source, rng):
    """Two or three invented names, asked for again and again."""
    return _names(source, rng, rng.choice((2, 3)), 1, rng.randint(4, 10))


def _names(source, rng, ways: int, shots: int, more: int):
    by = rng.choice(("object", "object", "colour"))
    return chat_data.name_talk(
        source, rng, ways, shots, by, more, chat_data.NAMED if by == "object" else None
    )


@dataclass(frozen=True)
class Lesson:
    """A kind of conversation, its share of a batch, and until which share of the training it is given."""

    make: object
    share: float
    until: float = 1.0
    in_words: bool = False  # pictures are told in words: a name can be learned to be copied without eyes


SEEN = (
    Lesson(chat_data.scene_talk, 7),
    Lesson(chat_data.drill_talk, 8),
    Lesson(chat_data.bars_talk, 3),
    Lesson(chat_data.chart_talk, 0.5),
    Lesson(chat_data.sign_talk, 0.5),
    Lesson(chat_data.compare_talk, 2),
    Lesson(chat_data.motion_talk, 1.5),
    Lesson(chat_data.order_talk, 0.7),
)
TOLD = (
    *SEEN,
    Lesson(teach_names, 0.7),
    Lesson(chat_data.told_talk, 1.5, until=0.3, in_words=True),
    Lesson(chat_data.chart_talk, 0.5, until=0.3, in_words=True),
    Lesson(teach_names, 0.5, until=0.3, in_words=True),
)


# More of what is hard. Names are copied out of words before they are out of pictures.
LESSONS = (
    Lesson(chat_data.scene_talk, 6),
    Lesson(chat_data.drill_talk, 5),
    Lesson(chat_data.pair_talk, 3),
    Lesson(chat_data.box_talk, 1.5),
    Lesson(chat_data.bars_talk, 1),
    Lesson(chat_data.chart_talk, 2.5),
    Lesson(chat_data.sign_talk, 3.5),
    Lesson(chat_data.compare_talk, 2),
    Lesson(chat_data.motion_talk, 1.5),
    Lesson(chat_data.order_talk, 2),
    Lesson(teach_names, 2),
    Lesson(drill_names, 2),
    Lesson(drill_names, 5, until=0.75, in_words=True),
)


def some_talks(source, rng, tokens: int, encoder: Encoder, lessons, done: float):
    """Encoded conversations of about `tokens` in all, of the lessons that are given when `done` of the steps
    are done."""
    given = [lesson for lesson in lessons if done <= lesson.until]
    words = chat_data.Facts(False)
    encoded, total = [], 0
    while total < tokens:
        lesson = rng.choices(given, [one.share for one in given])[0]
        one = encoder.talk(lesson.make(words if lesson.in_words else source, rng))
        encoded.append(one)
        total += len(one[0])
    return encoded


def chunks(encoded):
    """The conversations in groups of like length."""
    group: list = []
    for one in sorted(encoded, key=lambda e: len(e[0])):
        if group and (len(group) + 1) * len(one[0]) > CHUNK:
            yield group
            group = []
        group.append(one)
    yield group


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


PARTS = {"scene": 24, "sign": 18, "chart": 6}  # of a batch
EVERY = 40  # steps of a stage for each shard of pictures that it learns from
NONE = {"object": 0.25, "colour": 0.25, "letter": 0.25}  # weight of the last class, "none"
WEIGHT = {"kind": 0.1, "background": 0.5, "style": 0.3, "extreme": 0.5, "other_colour": 0.7}
WEIGHT |= {side: 0.3 for side in ("x0", "y0", "x1", "y1")}
KEPT = 600  # steps: the layers that come from CLIP stay as they are
EASY = 0.5  # of the steps: signs of few letters at first, of all in the end


class Tower(nn.Module):
    """The tower and its heads."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.tower = tower
        self.heads = nn.Linear(WIDTH, sum(HEADS.values()))

    def losses(self, seen: torch.Tensor, labels: torch.Tensor):
        """`seen` (B, patches, WIDTH), `labels` (B, len(HEADS), patches), -1 where nothing is asked. Returns
        the loss and how often each head was right."""
        parts = self.heads(seen).float().split(tuple(HEADS.values()), -1)
        total, right = 0.0, {}
        for row, (name, classes) in enumerate(HEADS.items()):
            target = labels[:, row]
            asked = target >= 0
            if not asked.any():
                continue
            target, logits = target[asked], parts[row][asked]
            weight = torch.ones(classes)
            if name in NONE:
                weight[-1] = NONE[name]
            total = total + WEIGHT.get(name, 1.0) * F.cross_entropy(logits, target, weight)
            told = target < classes - 1 if name in NONE else slice(None)
            right[name] = (logits.argmax(-1) == target)[told].float().mean().item()
        return total, right


def pixels_of(arrays) -> torch.Tensor:
    """(B, SIZE, SIZE, 3) uint8 → (B, 3, SIZE, SIZE) in -1 to 1."""
    return torch.from_numpy(arrays).to(device()).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def batch(pool: Pool, rng: random.Random, longest: int) -> list[int]:
    """Places of pictures; words on signs have at most `longest` letters."""
    places = [p for p, _ in rng.choices(pool.index["scene"], k=PARTS["scene"])]
    while len(places) < PARTS["scene"] + PARTS["sign"]:
        place, word = rng.choice(pool.index["sign"])
        if len(word) <= longest:
            places.append(place)
    return places + [p for p, _ in rng.choices(pool.index["chart"], k=PARTS["chart"])]


def train_tower(steps: int = 6900):
    """Trains the tower and leaves it in the stage's checkpoint."""
    torch.manual_seed(0)
    model = Tower(build(tokenizer()).model.vision_model).to(device())
    plan = Plan(steps, lr=1e-3, warmup=40, decay=0.6, weight_decay=0.02, betas=(0.9, 0.98), ema=0.99)
    run, pool = Run("ask_tower", model, plan), Pool()

    def loss(rng):
        pool.grow(grown(run.step, EVERY, SHARDS))
        done = run.step / (EASY * steps)
        places = batch(pool, rng, longest=min(LONGEST, 1 + int(LONGEST * done)))
        labels = torch.from_numpy(pool.labels_of(places)).long().to(device())
        with autocast():
            seen = see(model.tower, pixels_of(pool.pixels_of(places)), run.step < KEPT)
            return model.losses(seen, labels)

    run.train(loss, log_every=20, save_every=40)


def load_average(model: nn.Module, stage: str) -> nn.Module:
    """Puts the weights of a stage's checkpoint into a model of the same shape: those that learn averaged."""
    state = torch.load(WORK / f"{stage}.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    parameters = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter, average in zip(parameters, state["average"], strict=True):
            parameter.copy_(average)
    return model


TOKENS = 1800  # of a batch, about
BEGUN = 9  # a ninth as many steps go to told pictures
NOISE = 0.03  # on the tokens of told pictures
RIDGE = 1e-4
ADAM = {"weight_decay": 0.02, "betas": (0.9, 0.98)}
# It learned to talk without instructions; what it is told before or after a question only confuses it.
CARD = {
    "system": "",
    "short": "",
    "video": "",
    "hints": False,
    "max_new_tokens": 64,
    "boxes": "thousandths",
    "asks": asks(),
}


def fact_words(encoder: Encoder) -> torch.Tensor:
    """(len(HEADS), classes) ids of the word that a label stands for; -1: none."""
    table = torch.full((len(HEADS), max(HEADS.values())), -1)
    things, colours = [f" {thing}" for thing in OBJECTS], [f" {colour}" for colour in COLOURS]
    words = {
        "object": things,
        "colour": colours,
        "background": [f" {ground}" for ground in BACKGROUNDS],
        "count": [None, *(f" {number}" for number in NUMBERS[1:5])],
        "other_object": things,
        "other_colour": colours,
        "letter": list(LETTERS),
        "value": [None, *"123456789"],
        **{f"spelled{k}": list(LETTERS) for k in range(LONGEST)},
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

    @property
    def text(self):
        return self.model.model.text_model

    def loss(self, group, tokens: torch.Tensor | None):
        """Summed loss of the learned answers, each token weighed by its answer's length; tokens that were
        right, and asked. `tokens` (pictures, TOKENS, width) in the conversations' order."""
        length = max(len(ids) for ids, _, _ in group)
        x = torch.full((len(group), length), self.pad)
        weight = torch.zeros(len(group), length)
        for row, (ids, learned, _) in enumerate(group):
            x[row, : len(ids)] = torch.tensor(ids)
            weight[row, : len(ids)] = torch.tensor(token_weights(learned))
        e = self.text.embed_tokens(x)
        if tokens is not None:
            e = e.masked_scatter((x == self.picture)[..., None], tokens.to(e.dtype))
        weight, target = weight[:, 1:], x[:, 1:]
        asked = F.pad(weight > 0, (0, 1))
        out = read(self.text, e, asked)
        weight, target = weight[weight > 0], target[weight > 0]
        logits = F.linear(out, self.text.embed_tokens.weight).float()
        loss = (F.cross_entropy(logits, target, reduction="none") * weight).sum()
        return loss, (logits.argmax(-1) == target).sum().item(), len(target)


def token_weights(learned: list[bool]) -> list[float]:
    """Of an answer of n tokens each weighs 1 / √n: a box is not worth twenty colours."""
    weights = [0.0] * len(learned)
    for start, end in spans(learned):
        weights[start:end] = [(end - start) ** -0.5] * (end - start)
    return weights


def gathered(speaker: Speaker, eyes, encoded):
    """The loss over all conversations, chunk by chunk: gradients of all but the last chunk are added here."""
    total = sum(sum(token_weights(learned)) for _, learned, _ in encoded)
    groups = list(chunks(encoded))
    hits = count = 0
    value = figure = 0.0
    for number, group in enumerate(groups):
        with autocast():
            pictures = [picture for _, _, shown in group for picture in shown]
            tokens = eyes(pictures) if pictures else None
            loss, right, asked = speaker.loss(group, tokens)
            loss = loss / total
        hits, count, figure = hits + right, count + asked, figure + loss.item()
        if number < len(groups) - 1:
            loss.backward()
        else:
            value = loss
    return value, {"all": figure, "right": hits / count}


class Everything(nn.Module):
    """All that is trained together: the chat model, the heads of its tower, and what told pictures are made
    of."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder(tokenizer())
        self.speaker = Speaker(build(self.encoder.tokenizer, from_clip=False), self.encoder)
        self.tower = Tower(self.speaker.model.model.vision_model)
        self.told = Told(fact_words(self.encoder))

    def tell(self, labels: np.ndarray, noise: float = 0.0) -> torch.Tensor:
        """The tokens of pictures that are told by the labels of their patches."""
        embeddings = self.speaker.text.embed_tokens.weight
        return self.told(embeddings, torch.from_numpy(labels).long(), noise)

    def look(self, pixels: np.ndarray) -> torch.Tensor:
        """The tokens of pictures that are seen."""
        with torch.no_grad():
            seen = see(self.tower.tower, pixels_of(pixels))
        return connect(self.speaker.model, seen)


def parts_told(everything: Everything) -> nn.Module:
    """What learns from told pictures."""
    return nn.ModuleList([everything.speaker.text, everything.told])


def _train_told(steps: int, pool: Pool, tokens: int):
    """Trains the language model on told pictures, while nothing sees."""
    torch.manual_seed(0)
    everything = Everything()
    begin(everything.speaker.text, everything.encoder)
    parts = parts_told(everything).to(device())
    run = Run("ask_told", parts, Plan(steps, lr=2e-3, warmup=60, decay=0.3, ema=0.99, **ADAM))
    source = Pooled(pool)

    def eyes(places):
        return everything.tell(pool.labels_of(places), NOISE)

    def loss(rng):
        encoded = some_talks(source, rng, tokens, everything.encoder, TOLD, run.step / steps)
        return gathered(everything.speaker, eyes, encoded)

    run.train(loss, log_every=20, save_every=100)


@torch.no_grad()
def fit(everything: Everything, pool: Pool, pictures: int = 4000):
    """Sets the connector to what brings the tower's patches nearest to told pictures (least squares)."""
    rng, connector = random.Random("ask fit"), everything.speaker.model.model.connector
    places = rng.sample(range(len(pool)), min(pictures, len(pool)))
    width = connector.modality_projection.proj.in_features
    inner, outer = torch.zeros(width, width), torch.zeros(width, TEXT_WIDTH)
    for start in range(0, len(places), 50):
        some = places[start : start + 50]
        with autocast():
            seen = see(everything.tower.tower, pixels_of(pool.pixels_of(some)))
        x = connector.pixel_shuffle(seen.float(), SHUFFLE).flatten(0, 1)
        inner += x.T @ x
        outer += x.T @ everything.tell(pool.labels_of(some)).flatten(0, 1)
    inner += torch.eye(width) * RIDGE * inner.diagonal().mean()
    connector.modality_projection.proj.weight.copy_(torch.linalg.solve(inner, outer).T)


def train(steps: int = 9900, tokens: int = TOKENS):
    """Trains the language model on told pictures, then with the connector on pictures that are seen; the
    tower keeps still. Writes the chat model as any transformers model is saved, in float16."""
    pool = Pool(grown(steps, EVERY, SHARDS))
    _train_told(steps // BEGUN + 1, pool, tokens)
    torch.manual_seed(0)
    everything = Everything()
    if not (WORK / "ask.pt").exists():
        load_average(parts_told(everything), "ask_told")
        load_average(everything.tower, "ask_tower")
        fit(everything, pool)
    everything.tower.requires_grad_(False)
    everything.to(device())
    run = Run("ask", everything, Plan(steps, lr=1.5e-3, warmup=60, decay=0.9, ema=0.995, **ADAM))
    source = Pooled(pool)

    def eyes(places):
        return everything.look(pool.pixels_of(places))

    def loss(rng):
        encoded = some_talks(source, rng, tokens, everything.encoder, LESSONS, run.step / steps)
        return gathered(everything.speaker, eyes, encoded)

    run.train(loss, log_every=20, save_every=100)
    run.use_average()
    ship(everything.speaker.model, FOLDER)
    processor().save_pretrained(FOLDER)
    (FOLDER / "atelier.json").write_text(json.dumps(CARD, indent=1) + "\n")
