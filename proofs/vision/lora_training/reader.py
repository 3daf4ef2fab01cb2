"""A judge that reads scenes under looks: the demo's own, which has seen drawn scenes as they are, taught on
scenes under every filter, as they are and as the demo's autoencoder shows them. It takes no part in any
training of a style."""

import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

from demo.drawing import draw, layout
from demo.judge import GRID, SIZE, Judge
from demo.train.readers import pixels
from demo.world import BACKGROUNDS, OBJECTS, PLACES, training_scene
from proofs.vision.lora_training import looks

SCENES, EPOCHS, BATCH, RATE = 6000, 5, 64, 1e-3
PLAIN, SHOWN = 0.2, 0.5  # shares of scenes without a look, and of those that the autoencoder shows
PLACE = torch.tensor([PLACES.index(one) + 1 if one in PLACES else 0 for one in BACKGROUNDS])  # 0 = plain
Show = Callable[[Image.Image], Image.Image]
Lesson = tuple[np.ndarray, int, int, int, int]  # picture (64, 64, 3); cell (y, x), object and place


def _lesson(number: int, shown: Show) -> Lesson:
    rng = random.Random(f"reader {number}")
    scene = looks.flat(training_scene(rng, looks.KINDS, held_pairs=True))
    (thing, *_), picture = (placed := layout(scene, rng)), draw(scene, rng, placed=placed)
    if rng.random() >= PLAIN:
        picture = rng.choice(list(looks.LOOKS.values()))(picture, number)
    if rng.random() < SHOWN:
        picture = shown(picture)
    y, x = (min(int(value * GRID), GRID - 1) for value in (thing.y, thing.x))
    ground = int(PLACE[BACKGROUNDS.index(scene.background)])
    return _small(picture, rng.choice((40, 48, 64))), y, x, OBJECTS.index(thing.object), ground


def _small(picture: Image.Image, sharp: int = SIZE) -> np.ndarray:
    soft = picture.convert("RGB").resize((sharp, sharp), Image.Resampling.BOX)
    return np.asarray(soft.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


@cache
def taught(shown: Show, kept: Path | None) -> Judge:
    """Return the judge, taught on scenes that differ from those that styles learn from and are asked for.
    shown: a picture as the autoencoder shows it. kept: file where the weights are, or are put."""
    judge = Judge()
    if kept is not None and kept.exists():
        judge.network.load_state_dict(load_file(kept))
        return judge
    _teach(judge.network, [_lesson(number, shown) for number in range(SCENES)])
    if kept is not None:
        save_file(judge.network.state_dict(), kept)
    return judge


def _teach(network: torch.nn.Module, lessons: Sequence[Lesson]) -> None:
    network, order = network.train(), torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01)
    steps = EPOCHS * SCENES // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        if step % (SCENES // BATCH) == 0:
            shuffled = torch.randperm(SCENES, generator=order).tolist()
        first = step % (SCENES // BATCH) * BATCH
        some = [lessons[number] for number in shuffled[first : first + BATCH]]
        grid, summary = network(pixels([one[0] for one in some]))
        at = torch.tensor([one[1:] for one in some])
        named = grid[torch.arange(len(some)), 1 : 1 + len(OBJECTS), at[:, 0], at[:, 1]]
        heat = grid[:, 0].flatten(1)
        loss = F.cross_entropy(named, at[:, 2]) + F.cross_entropy(heat, at[:, 0] * GRID + at[:, 1])
        loss = loss + F.nll_loss(_places(summary), at[:, 3])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()


def _places(summary: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of the chances of plain grounds, and of each place (B, 8)."""
    chances = summary[:, : len(BACKGROUNDS)].softmax(1)
    joined = torch.zeros(len(summary), len(PLACES) + 1).index_add(1, PLACE, chances)
    return joined.clamp(min=1e-6).log()


@torch.no_grad()
def read(pictures: list[Image.Image], judge: Judge) -> list[tuple[str, str]]:
    """Return the object and the place that each picture shows; "plain" where the ground is no place."""
    network = judge.network
    grid, summary = network(pixels([_small(picture) for picture in pictures]))
    best = grid[:, 0].flatten(1).argmax(1)
    named = grid[:, 1 : 1 + len(OBJECTS)].flatten(2)[torch.arange(len(best)), :, best].argmax(1)
    places = _places(summary).argmax(1)
    names = ("plain", *PLACES)
    return [(OBJECTS[int(a)], names[int(b)]) for a, b in zip(named, places, strict=True)]
