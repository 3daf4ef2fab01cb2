"""Trains what the chat model says: its language model and the connector between that and the tower.

The tower was trained before and keeps still at first; then it learns on with the rest. Naming things by
example begins without pictures, which are told in words: copying a name out of a conversation needs no eyes.
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from demo.training.ask.curve import Curve, spans
from demo.training.ask.lessons import REFINED, TOLD, Pooled, chunks, some_talks
from demo.training.ask.model import SHUFFLE, TEXT_WIDTH, build, connect, read, see
from demo.training.ask.pictures import HEADS, LETTERS, LONGEST, ROW
from demo.training.ask.pool import Pool
from demo.training.ask.questions import NUMBERS
from demo.training.ask.start import begin
from demo.training.ask.tokens import PICTURE, Encoder, keep_shipped, processor, tokenizer
from demo.training.ask.told import Told
from demo.training.ask.tower import Tower, load_average, pixels_of, shipped
from demo.training.loop import MODELS, WORK, Plan, Run, autocast, device, ship
from demo.world import BACKGROUNDS, COLOURS, OBJECTS

CURVE_EVERY = 300  # steps
NOISE = 0.03  # on the tokens of told pictures
RIDGE = 1e-4
ADAM = {"weight_decay": 0.02, "betas": (0.9, 0.98)}
# It learned to talk without instructions; what it is told before or after a question only confuses it.
CARD = {
    "system": "",
    "short": "",
    "film": "",
    "hints": False,
    "max_new_tokens": 64,
    "boxes": "thousandths",
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
            weight[row, : len(ids)] = torch.tensor(_weights(learned))
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


def _weights(learned: list[bool]) -> list[float]:
    """Of an answer of n tokens each weighs 1 / √n: a box is not worth twenty colours."""
    weights = [0.0] * len(learned)
    for start, end in spans(learned):
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


def train_told(steps: int = 1100, tokens: int = 1800):
    """Trains the language model on told pictures, while nothing sees."""
    torch.manual_seed(0)
    everything = Everything()
    begin(everything.speaker.text, everything.encoder)
    parts = parts_told(everything).to(device())
    plan = Plan(steps, lr=2e-3, warmup=60, decay=0.3, ema=0.99, sync=5, **ADAM)
    run, source = Run("ask_told", parts, plan), Pooled(Pool())

    def tokens_of(pictures):
        return everything.tell(np.stack([picture.labels for picture in pictures]))

    curve = Curve("ask_told", everything.speaker, tokens_of) if run.rank == 0 else None

    def eyes(places):
        return everything.tell(source.pool.labels_of(places), NOISE)

    def loss(rng):
        if curve and run.step % CURVE_EVERY == 0:
            curve.measure(run.step, run.cpu_seconds)
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


def train(steps: int = 3200, tokens: int = 1800, folder: Path = MODELS / "ask"):
    """Trains connector and language model on pictures that are seen; the tower keeps still."""
    torch.manual_seed(0)
    everything, pool = Everything(), Pool()
    if not (WORK / "ask.pt").exists():
        load_average(parts_told(everything), "ask_told")
        load_average(everything.tower, "ask_tower")
        fit(everything, pool)
    everything.tower.requires_grad_(False)
    everything.to(device())
    plan = Plan(steps, lr=1.5e-3, warmup=60, decay=0.8, ema=0.99, sync=5, **ADAM)
    run, source = Run("ask", everything, plan), Pooled(pool)

    def tokens_of(pictures):
        return everything.look(np.stack([picture.pixels for picture in pictures]))

    curve = Curve("ask", everything.speaker, tokens_of) if run.rank == 0 else None

    def eyes(places):
        return everything.look(pool.pixels_of(places))

    def loss(rng):
        if curve and run.step % CURVE_EVERY == 0:
            curve.measure(run.step, run.cpu_seconds)
        encoded = some_talks(source, rng, tokens, everything.encoder)
        return gathered(everything.speaker, eyes, encoded)

    run.train(loss, log_every=20, save_every=100)
    if run.rank == 0:
        export(finished().speaker.model, folder)


def refine(steps: int = 8600, tokens: int = 1800, folder: Path = MODELS / "ask"):
    """Goes on with the shipped chat model, with most of the time for what it was weak at."""
    torch.manual_seed(0)
    keep_shipped()
    speaker, pool = Speaker(shipped(), Encoder(tokenizer())), Pool()
    vision = speaker.model.model.vision_model
    if (WORK / "ask_tower_refine.pt").exists():
        load_average(Tower(vision), "ask_tower_refine")
    vision.requires_grad_(False)
    speaker.to(device())
    plan = Plan(steps, lr=1.2e-3, warmup=200, decay=0.9, ema=0.995, sync=5, **ADAM)
    run, source = Run("ask_refine", speaker, plan), Pooled(pool)

    def look(pixels):
        with torch.no_grad():
            seen = see(vision, pixels_of(pixels))
        return connect(speaker.model, seen)

    def tokens_of(pictures):
        return look(np.stack([picture.pixels for picture in pictures]))

    curve = Curve("ask_refine", speaker, tokens_of) if run.rank == 0 else None

    def loss(rng):
        if curve and run.step % (4 * CURVE_EVERY) == 0:
            curve.measure(run.step, run.cpu_seconds)
        encoded = some_talks(source, rng, tokens, speaker.encoder, REFINED, run.step / steps)
        return gathered(speaker, lambda places: look(pool.pixels_of(places)), encoded)

    run.train(loss, log_every=50, save_every=250)
    if run.rank == 0:
        run.use_average()
        export(speaker.model, folder)


def finished() -> Everything:
    """Returns all parts as the last stage left them."""
    everything = Everything()
    everything.tower.requires_grad_(False)
    return load_average(everything, "ask")


def export(model: nn.Module, folder: Path = MODELS / "ask"):
    """Saves the chat model as any transformers model is saved, in float16."""
    ship(model, folder)
    processor().save_pretrained(folder)
    (folder / "atelier.json").write_text(json.dumps(CARD, indent=1) + "\n")
