"""What the generator and the editor should have drawn where they drew something else.

A UNet that has learned from drawings alone takes what it makes of noise for a drawing: at every step it finds
again what it drew in the step before, an egg if it was an egg. Here it sees its own picture in the noise and
is asked for the ball (as imitation learning lets a learner act and has the teacher say what would have been
right: Ross et al., 2011, arXiv:1011.0686). What is drawn from nothing is wrong as a whole, and no drawing
lies beside it: so the drawing of the asked object is laid over what was drawn, moved and scaled until it
covers it best, and painted there on the ground of the picture itself. What isn't recognised teaches nothing:
at first that is everything.
"""

import random
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from PIL import Image, ImageDraw, ImageFilter
from transformers import UperNetForSemanticSegmentation

from demo.drawing import ARTISTS, FLOATING, OVERSAMPLING, PAINT, SIZE, Brush, Silhouette, mix
from demo.train.loop import PACK, device, shard, to_pictures, to_tensor
from demo.train.readers import SEGMENTER_SIZE as SEEN
from demo.train.readers import pixels
from demo.world import Scene, training_scene

EVERY = 16  # steps between two shards of own pictures
KEPT = 200  # newest shards that are learned from: older ones were drawn by another network
THINGS = 3.0  # how much a cell counts in which what was drawn and what was meant differ, against the others
FIRST, LAST = 60, 960  # times of its own pictures: above, nothing is seen of what was drawn


def times(count: int) -> torch.Tensor:
    """`count` times, (count,) of whole numbers, spread evenly from FIRST to LAST."""
    spread = (torch.rand(1) + torch.arange(count) / count) % 1
    return (FIRST + (LAST - FIRST) * spread).long()


def error(
    v: torch.Tensor, noisy: torch.Tensor, alpha: torch.Tensor, meant: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """The mean square error of the noise-free latents that `v`, predicted of `noisy`, leads to. All (B, 4, h,
    w), but `alpha`, (B, 1, 1, 1), the share of the picture in the variance, and `weight`, (B, 1, h, w)."""
    clean = alpha.sqrt() * noisy - (1 - alpha).sqrt() * v
    return ((clean - meant).square() * weight).mean() / weight.mean()


class Own:
    """The newest of what a network in training made itself, with what it should have made. make: makes the
    shard of a number by the network as it is, latents by name and their `words`."""

    def __init__(self, folder: Path, make: Callable[[int], dict[str, np.ndarray]]):
        self.folder, self.make = folder, make
        self.shards: dict[int, dict[str, np.ndarray]] = {}

    def look(self, step: int):
        """Takes in the shards up to that of a step, making those that are not on disk."""
        newest = step // EVERY
        for index in range(max(0, newest - KEPT + 1), newest + 1):
            if index not in self.shards:
                self.shards[index] = shard(self.folder / f"{index:04d}.npz", partial(self.make, index))
        self.shards.pop(newest - KEPT, None)

    def sample(
        self, rng: random.Random, count: int, parts: tuple[str, ...]
    ) -> tuple[list[torch.Tensor], list[str]]:
        """Those parts of `count` pictures, (B, …) float32, and the words; nothing where nothing is known."""
        known = [one for one in self.shards.values() if len(one["words"])]
        if not known:
            return [], []
        chosen = [(one, rng.randrange(len(one["words"]))) for one in rng.choices(known, k=count)]
        arrays = [np.stack([one[part][i] for one, i in chosen]) for part in parts]
        tensors = [torch.from_numpy(array).float().to(device()) for array in arrays]
        return tensors, [str(one["words"][i]) for one, i in chosen]


MIX = {"large": 0.4, "single": 0.6}
STYLES = {"flat": 0.4, "outline": 1.0}  # how many scenes of a style are drawn; the others come out well
SHARES = {  # and of those of a thing: what comes out badly
    **dict.fromkeys(("flower", "moon", "tree"), 1.0),
    **dict.fromkeys(("fish", "heart", "mushroom", "diamond"), 0.6),
    **{"star": 0.8, "boat": 0.7, "house": 0.35, "cat": 0.35, "ball": 0.3},
}


def single_scene(rng: random.Random) -> Scene:
    """A training scene of one thing, of those more whose outlines come out badly."""
    while True:
        scene = training_scene(rng, MIX)
        if rng.random() < STYLES.get(scene.style, 0.0) * SHARES[scene.groups[0].object]:
            return scene


# What it should have been
# ------------------------------------------------------------------------------------------------------------

LEAST = 0.5  # overlap (IoU) of what was drawn with the asked thing, below which it isn't known what was meant
STEPS = (4.0, 2.0, 1.0, 0.5)  # px in which a thing is moved and scaled, one after another
AROUND = 3  # px around what was drawn that are painted over, too: its soft edges
NEAR = 60.0  # distance in RGB within which a pixel has the asked colour
JITTER = 12  # how far from its mean a colour of the world may lie


def silhouette(name: str, place: tuple[float, float, float], outline: bool) -> np.ndarray:
    """What a thing covers whose middle and half size are given in px: (SIZE, SIZE) float32, 0 to 1."""
    mask = Image.new("L", (SIZE * OVERSAMPLING, SIZE * OVERSAMPLING))
    ARTISTS[name](Silhouette(ImageDraw.Draw(mask), *(OVERSAMPLING * v for v in place), outline))
    return np.asarray(mask.resize((SIZE, SIZE), Image.Resampling.BOX), np.float32) / 255


def fit(mask: np.ndarray, name: str, outline: bool) -> tuple[tuple[float, float, float], float]:
    """Where, (x, y, half) px, a thing covers most of `mask`, (SIZE, SIZE) of 0 to 1, and little else; and
    their overlap (IoU)."""

    def overlap(place: tuple[float, float, float]) -> float:
        covered = silhouette(name, place, outline)
        return float(np.minimum(covered, mask).sum() / np.maximum(covered, mask).sum())

    def middle(some: np.ndarray) -> np.ndarray:
        return np.array([(some.sum(axis) * (np.arange(SIZE) + 0.5)).sum() / some.sum() for axis in (0, 1)])

    half = 0.4 * SIZE
    known = silhouette(name, (SIZE / 2, SIZE / 2, half), outline)
    scale = (mask.sum() / known.sum()) ** 0.5
    place = np.append(middle(mask) - (middle(known) - SIZE / 2) * scale, half * scale)
    best = overlap(tuple(place))
    for step in STEPS:
        improves = True
        while improves:
            improves = False
            for axis, sign in product(range(3), (-1, 1)):
                moved = place.copy()
                moved[axis] += sign * step
                if (value := overlap(tuple(moved))) > best + 1e-4:
                    place, best, improves = moved, value, True
    return tuple(place.tolist()), best


def ground_without(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`picture`, (H, W, 3) float32, with what lies beside `mask` drawn across it, row by row."""
    filled = picture.copy()
    columns = np.arange(picture.shape[1])
    whole = np.median(picture[~mask], 0) if (~mask).any() else picture.mean((0, 1))
    for row, hidden, out in zip(picture, mask, filled, strict=True):
        shown = columns[~hidden]
        for channel in range(3) if hidden.any() else ():
            values = np.interp(columns, shown, row[shown, channel]) if len(shown) else whole[channel]
            out[:, channel] = np.where(hidden, values, row[:, channel])
    return filled


def meant(picture: np.ndarray, mask: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray] | None:
    """What a decoded picture, (SIZE, SIZE, 3) uint8, should have been, and where that was painted, (SIZE,
    SIZE) bool; None where the asked thing isn't recognised in it. mask: what shows a thing, 0 to 1."""
    group, outline = scene.groups[0], scene.style == "outline"
    if mask.sum() < 0.01 * SIZE * SIZE:
        return None
    place, overlap = fit(mask, group.object, outline)
    if overlap < LEAST:
        return None
    x, y, half = place
    shadowed = scene.background in PAINT and not outline and group.object not in FLOATING
    painted = (mask > 0.3) | (silhouette(group.object, place, outline) > 0)
    if shadowed:
        ys, xs = np.mgrid[0:SIZE, 0:SIZE] + 0.5
        painted |= ((xs - x) / (0.75 * half)) ** 2 + ((ys - y - 0.9 * half) / (0.12 * half)) ** 2 <= 1
    painted = np.asarray(Image.fromarray(painted).filter(ImageFilter.MaxFilter(2 * AROUND + 1)))
    base = np.array(PAINT[group.colour], np.float32)
    own = picture[(mask > 0.7) & (np.abs(picture - base).sum(2) < NEAR)]
    if len(own) and not outline:
        base += (np.median(own, 0) - base).clip(-JITTER, JITTER)
    ground = ground_without(picture.astype(np.float32), painted).round().clip(0, 255).astype(np.uint8)
    canvas = Image.fromarray(ground.repeat(OVERSAMPLING, 0).repeat(OVERSAMPLING, 1))
    brush = ImageDraw.Draw(canvas)
    x, y, half = (OVERSAMPLING * v for v in place)
    if shadowed:
        brush.ellipse(
            [x - half * 0.75, y + half * 0.78, x + half * 0.75, y + half * 1.02],
            fill=mix(PAINT[scene.background], (20, 20, 40), 0.26),
        )
    ARTISTS[group.object](Brush(brush, x, y, half, tuple(int(v) for v in base.round()), outline))
    return np.array(canvas.resize((SIZE, SIZE), Image.Resampling.BOX)), painted


def segmenter() -> UperNetForSemanticSegmentation:
    """The one that was trained, for `things_in`."""
    model = UperNetForSemanticSegmentation.from_pretrained(PACK / "segmenter", dtype=torch.float32)
    return model.to(device()).eval()


@torch.no_grad()
def things_in(pictures: np.ndarray, segmenter: UperNetForSemanticSegmentation) -> np.ndarray:
    """How much of each pixel of (B, SIZE, SIZE, 3) uint8 shows a thing by the segmenter: (B, SIZE, SIZE)
    float32."""
    seen = [Image.fromarray(p).resize((SEEN, SEEN), Image.Resampling.BICUBIC) for p in pictures]
    logits = segmenter(pixels([np.asarray(p) for p in seen])).logits.float()
    ground = F.interpolate(logits.softmax(1)[:, -1:], (SIZE, SIZE), mode="bilinear", antialias=True)
    return (1 - ground[:, 0]).cpu().numpy()


CELL = SIZE // 16  # px of a latent cell's side


@torch.no_grad()
def pairs(
    latents: torch.Tensor, scenes: list[Scene], words: list[str], vae: AutoencoderTiny, segmenter
) -> dict[str, np.ndarray]:
    """Those of the latents, (B, 4, 16, 16), of which it is known what was meant: `drawn` and `meant`, latents
    (N, 4, 16, 16) float16; `things`, the cells in which they may differ, (N, 16, 16) bool; and their
    `words`."""
    pictures = to_pictures(vae.decode(latents).sample)
    kept, wanted, things = [], [], []
    for index, (picture, mask) in enumerate(zip(pictures, things_in(pictures, segmenter), strict=True)):
        found = meant(picture, mask, scenes[index])
        if found is not None:
            kept.append(index)
            wanted.append(to_tensor(found[0][None])[0])
            things.append(found[1].reshape(SIZE // CELL, CELL, SIZE // CELL, CELL).any((1, 3)))
    shape = (0, *latents.shape[1:])
    again = vae.encoder(torch.stack(wanted)) if wanted else latents.new_zeros(shape)
    return {
        "drawn": latents[kept].cpu().numpy().astype(np.float16),
        "meant": again.cpu().numpy().astype(np.float16),
        "things": np.array(things, bool).reshape(-1, *latents.shape[2:]),
        "words": np.array([words[index] for index in kept], str),
    }
