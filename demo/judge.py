"""The judge of generated pictures: a small convolutional network that finds objects, colours and the
background.

It is trained on drawn scenes only and takes no part in making the pack. It marks object centres on a grid,
after "Objects as Points" (Zhou et al., 2019, arXiv:1904.07850), and names the object and colour at each.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

from demo.drawing import draw, layout
from demo.training.loop import Plan, Run, autocast, device
from demo.training.vision import pixels
from demo.world import BACKGROUNDS, COLOURS, OBJECTS, STYLES, training_scene

# Beside the evaluation: the pack holds what the product loads.
WEIGHTS = Path(__file__).parent / "evaluation" / "judge" / "model.safetensors"

SIZE = 64  # px
GRID = 16
BATCH = 64
MIX = {"large": 0.2, "single": 0.35, "several": 0.15, "pair": 0.25, "empty": 0.05}
CENTRE = 0.35  # a cell above this is an object's centre


def _block(before, after, stride=1):
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, 1, 1, bias=False),
        nn.BatchNorm2d(after),
    )


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = _block(channels, channels)

    def forward(self, x):
        return F.relu(x + self.body(x))


class Network(nn.Module):
    """(B, 3, 64, 64) to a map (B, 1 + objects + colours, 16, 16) and a summary (B, backgrounds + styles)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(_block(3, 32, 2), nn.ReLU(), _block(32, 64, 2), nn.ReLU())
        self.body = nn.Sequential(*(Residual(64) for _ in range(2)))
        self.deep = nn.Sequential(_block(64, 128, 2), nn.ReLU(), Residual(128), Residual(128))
        self.join = nn.Sequential(_block(192, 96), nn.ReLU())
        self.map = nn.Conv2d(96, 1 + len(OBJECTS) + len(COLOURS), 1)
        self.summary = nn.Linear(256, len(BACKGROUNDS) + len(STYLES))

    def forward(self, x):
        near = self.body(self.stem(x))  # (B, 64, 16, 16)
        far = self.deep(near)  # (B, 128, 8, 8)
        grid = self.map(self.join(torch.cat([near, F.interpolate(far, scale_factor=2.0)], 1)))
        return grid, self.summary(torch.cat([far.mean((2, 3)), far.amax((2, 3))], 1))


@dataclass(frozen=True)
class Found:
    """An object the judge sees: its cell's centre as shares of the side, how sure it is that one is there
    (score), and of the names of object and colour (named)."""

    object: str
    colour: str
    x: float
    y: float
    score: float
    named: float


@dataclass(frozen=True)
class Verdict:
    found: tuple[Found, ...]  # surest first
    background: str
    style: str


class Judge:
    """Looks at pictures of any size: `judge(pictures)` gives one Verdict each."""

    def __init__(self):
        self.network = Network().to(device())
        weights = load_file(WEIGHTS)
        self.network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        )
        self.network.eval()

    @torch.no_grad()
    def __call__(self, pictures: list[Image.Image]) -> list[Verdict]:
        verdicts = []
        for start in range(0, len(pictures), 64):
            some = [
                np.asarray(p.convert("RGB").resize((SIZE, SIZE), Image.BOX))
                for p in pictures[start : start + 64]
            ]
            grids, summaries = self.network(pixels(some))
            verdicts += [
                _read(grid, summary) for grid, summary in zip(grids.cpu(), summaries.cpu(), strict=True)
            ]
        return verdicts


def _read(grid: torch.Tensor, summary: torch.Tensor) -> Verdict:
    heat = grid[0].sigmoid()
    peak = F.max_pool2d(heat[None], 3, 1, 1)[0] == heat
    objects, colours = grid[1:].split((len(OBJECTS), len(COLOURS)))
    cells = [(heat[y, x].item(), y, x) for y, x in (peak & (heat > CENTRE)).nonzero().tolist()]
    if not cells:
        best = int(heat.argmax())
        cells = [(heat.max().item(), best // GRID, best % GRID)]
    found = tuple(
        Found(
            OBJECTS[int(objects[:, y, x].argmax())],
            COLOURS[int(colours[:, y, x].argmax())],
            (x + 0.5) / GRID,
            (y + 0.5) / GRID,
            score,
            float(objects[:, y, x].softmax(0).max() * colours[:, y, x].softmax(0).max()),
        )
        for score, y, x in sorted(cells, reverse=True)
    )
    background, style = summary.split((len(BACKGROUNDS), len(STYLES)))
    return Verdict(found, BACKGROUNDS[int(background.argmax())], STYLES[int(style.argmax())])


def _sample(rng: random.Random):
    """A picture and its labels: heat (16, 16), centres [(y, x, object, colour)], background, style."""
    scene = training_scene(rng, MIX, held_pairs=True)
    placed = layout(scene, rng)
    image = draw(scene, rng, placed=placed).resize((SIZE, SIZE), Image.BOX)
    a = np.asarray(image).astype(np.float32)
    if rng.random() < 0.5:  # generated pictures are softer and noisier than drawn ones
        small = rng.choice((40, 48, 56))
        a = np.asarray(
            image.resize((small, small), Image.BILINEAR).resize((SIZE, SIZE), Image.BICUBIC)
        ).astype(np.float32)
        a = a + np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(0, 8), a.shape)
    heat = np.zeros((GRID, GRID), np.float32)
    ys, xs = np.mgrid[0:GRID, 0:GRID] + 0.5
    centres = []
    for thing in placed:
        spread = max(0.8, thing.half * GRID * 0.3)
        square = (xs - thing.x * GRID) ** 2 + (ys - thing.y * GRID) ** 2
        heat = np.maximum(heat, np.exp(-square / (2 * spread**2)))
    for thing in placed:
        y, x = min(int(thing.y * GRID), GRID - 1), min(int(thing.x * GRID), GRID - 1)
        heat[y, x] = 1
        reach = max(1, int(thing.half * GRID * 0.4))
        for _ in range(4):  # name the object in the cells around its centre too
            v, u = y + rng.randint(-reach, reach), x + rng.randint(-reach, reach)
            if 0 <= v < GRID and 0 <= u < GRID:
                centres.append((v, u, OBJECTS.index(thing.object), COLOURS.index(thing.colour)))
        centres.append((y, x, OBJECTS.index(thing.object), COLOURS.index(thing.colour)))
    return (
        a.clip(0, 255).astype(np.uint8),
        heat,
        centres,
        BACKGROUNDS.index(scene.background),
        STYLES.index(scene.style),
    )


def train(steps: int = 1500):
    torch.manual_seed(1)
    model = Network().to(device())
    run = Run("judge", model, Plan(steps, lr=2e-3, weight_decay=0.01, decay=0.6, ema=0.99))

    def loss(rng):
        pictures, heats, centres, backgrounds, styles = zip(
            *(_sample(rng) for _ in range(BATCH)), strict=True
        )
        with autocast():
            grid, summary = model(pixels(list(pictures)))
        grid, summary = grid.float(), summary.float()
        heat = torch.from_numpy(np.stack(heats)).to(device())
        p = grid[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
        focal = torch.where(heat == 1, (1 - p) ** 2 * p.log(), (1 - heat) ** 4 * p**2 * (1 - p).log())
        value = -focal.sum() / (heat == 1).sum()
        at = torch.tensor([(i, *c) for i, some in enumerate(centres) for c in some], device=device())
        logits = grid[at[:, 0], 1:, at[:, 1], at[:, 2]]
        objects, colours = logits.split((len(OBJECTS), len(COLOURS)), 1)
        value = value + F.cross_entropy(objects, at[:, 3]) + F.cross_entropy(colours, at[:, 4])
        background, style = summary.split((len(BACKGROUNDS), len(STYLES)), 1)
        truth = torch.tensor(backgrounds, device=device())
        value = (
            value
            + F.cross_entropy(background, truth)
            + 0.5 * F.cross_entropy(style, torch.tensor(styles, device=device()))
        )
        return value, {
            "object": (objects.argmax(1) == at[:, 3]).float().mean().item(),
            "colour": (colours.argmax(1) == at[:, 4]).float().mean().item(),
            "background": (background.argmax(1) == truth).float().mean().item(),
        }

    run.train(loss)
    run.use_average()
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.cpu().state_dict().items()}
    save_file(state, WEIGHTS)
