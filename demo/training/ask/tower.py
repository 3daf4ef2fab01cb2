"""Trains the chat model's image tower alone: every patch must tell what it shows and what it belongs to.

The facts that answers need (how many, where, left of what, which letter of a word, how high a bar) are asked
of patches by linear heads, which are thrown away, so that the language model has only to look them up.
"""

import random
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import SmolVLMForConditionalGeneration

from demo.training.ask.model import build, see
from demo.training.ask.pictures import HEADS, LONGEST
from demo.training.ask.pool import Pool
from demo.training.ask.tokens import keep_shipped, tokenizer
from demo.training.loop import MODELS, WORK, Plan, Run, autocast, device
from demo.training.vision import WIDTH

PARTS = {"scene": 36, "sign": 5, "chart": 7}  # of a batch
REFINED = {"scene": 24, "sign": 18, "chart": 6}
HEADS_ALONE = 200  # steps of the refinement in which only the heads learn, which were not shipped
LOOK = 100  # steps between two looks for newly drawn pictures
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


def batch(
    pool: Pool, rng: random.Random, longest: int = LONGEST, parts: dict[str, int] | None = None
) -> list[int]:
    """Places of pictures; words on signs have at most `longest` letters."""
    parts = PARTS if parts is None else parts
    places = [p for p, _ in rng.choices(pool.index["scene"], k=parts["scene"])]
    while len(places) < parts["scene"] + parts["sign"]:
        place, word = rng.choice(pool.index["sign"])
        if len(word) <= longest:
            places.append(place)
    return places + [p for p, _ in rng.choices(pool.index["chart"], k=parts["chart"])]


def train(steps: int = 3400):
    """Trains the tower and leaves it in the stage's checkpoint."""
    torch.manual_seed(0)
    model = Tower(build(tokenizer()).model.vision_model).to(device())
    plan = Plan(steps, lr=1e-3, warmup=40, decay=0.6, weight_decay=0.02, betas=(0.9, 0.98), ema=0.99, sync=5)
    run, pool = Run("ask_tower", model, plan), Pool()

    def loss(rng):
        if run.step % LOOK == 0:
            pool.look()
        done = run.step / (EASY * steps)
        places = batch(pool, rng, longest=min(LONGEST, 1 + int(LONGEST * done)))
        labels = torch.from_numpy(pool.labels_of(places)).long().to(device())
        with autocast():
            total, right = model.losses(
                see(model.tower, pixels_of(pool.pixels_of(places)), run.step < KEPT), labels
            )
        return total, right

    run.train(loss, log_every=20, save_every=40)


def refine(steps: int = 3500):
    """Goes on with the shipped tower: more signs, whose letters it read worst."""
    torch.manual_seed(0)
    keep_shipped()
    model = Tower(shipped().model.vision_model).to(device())
    plan = Plan(
        steps, lr=7e-4, warmup=300, decay=0.8, weight_decay=0.02, betas=(0.9, 0.98), ema=0.995, sync=5
    )
    run, pool = Run("ask_tower_refine", model, plan), Pool()

    def loss(rng):
        if run.step % LOOK == 0:
            pool.look()
        places = batch(pool, rng, parts=REFINED)
        labels = torch.from_numpy(pool.labels_of(places)).long().to(device())
        with autocast():
            with torch.set_grad_enabled(run.step >= HEADS_ALONE):
                seen = see(model.tower, pixels_of(pool.pixels_of(places)))
            return model.losses(seen, labels)

    run.train(loss, log_every=50, save_every=100)


def shipped(folder: Path = MODELS / "ask") -> SmolVLMForConditionalGeneration:
    """Returns the chat model of the pack, in float32."""
    return SmolVLMForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def trained() -> Tower:
    """Returns the tower and its heads as the stage left them."""
    return load_average(Tower(build(tokenizer(), from_clip=False).model.vision_model), "ask_tower")


def load_average(model: nn.Module, stage: str) -> nn.Module:
    """Puts the weights of a stage's checkpoint into a model of the same shape: those that learn averaged."""
    state = torch.load(WORK / f"{stage}.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    parameters = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter, average in zip(parameters, state["average"], strict=True):
            parameter.copy_(average)
    return model
