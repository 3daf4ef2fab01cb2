"""Pictures of single things that the image generator drew from words alone, and what each should have been.

What is drawn from nothing is wrong as a whole, an egg for a ball, and no drawing lies beside it. So the
drawing of the asked thing is laid over what was drawn, moved and scaled until it covers it best, and painted
there on the ground of the picture itself.
"""

import random
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny, StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFilter
from transformers import UperNetForSemanticSegmentation

from demo.captions import describe
from demo.drawing import OVERSAMPLING, PAINT, SIZE
from demo.objects import ARTISTS, FLOATING, Brush, Silhouette, mix
from demo.training.autoencoder.network import to_pictures, to_tensor
from demo.training.form import low_rank
from demo.training.form.shards import make as make_shards
from demo.training.loop import MODELS, WORK, autocast, device, put_weights, trained_weights
from demo.training.segmenter import SIZE as SEEN
from demo.training.unet import DEFAULTS, DRAFT
from demo.training.vision import pixels
from demo.world import Scene, training_scene

FOLDER = WORK / "fitted"
SHARD = 256  # pictures
# The first shards of four rounds: drawn by the shipped UNet, by what learned from these, with the LoRA that
# learned from both, and by what the larger LoRA begins at.
ROUNDS = (0, 34, 100, 200)
DRAWN_AT_ONCE = 16
MIX = {"large": 0.4, "single": 0.6}
STYLES = {
    "flat": 0.3,
    "outline": 1.0,
}  # how many of the scenes of a style are drawn; the others come out well
STYLES_AGAIN = {"flat": 0.4, "outline": 1.0}
AGAIN = {  # and in these shards, of the scenes of a thing: what still comes out badly
    **dict.fromkeys(("flower", "moon", "tree"), 1.0),
    **dict.fromkeys(("fish", "heart", "mushroom", "diamond"), 0.6),
    **{"star": 0.8, "boat": 0.7, "house": 0.35, "cat": 0.35, "ball": 0.3},
}


def single_scene(rng: random.Random, again: bool = False) -> Scene:
    """A training scene of one thing, in a style whose outlines come out badly."""
    styles = STYLES_AGAIN if again else STYLES
    while True:
        scene = training_scene(rng, MIX)
        if rng.random() < styles.get(scene.style, 0.0) and (
            not again or rng.random() < AGAIN[scene.groups[0].object]
        ):
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
    """The pack's, for `things_in`."""
    model = UperNetForSemanticSegmentation.from_pretrained(MODELS / "segmenter", dtype=torch.float32)
    return model.to(device()).eval()


@torch.no_grad()
def things_in(pictures: np.ndarray, segmenter: UperNetForSemanticSegmentation) -> np.ndarray:
    """How much of each pixel of (B, SIZE, SIZE, 3) uint8 shows a thing by the segmenter: (B, SIZE, SIZE)
    float32."""
    seen = [Image.fromarray(p).resize((SEEN, SEEN), Image.Resampling.BICUBIC) for p in pictures]
    logits = segmenter(pixels([np.asarray(p) for p in seen])).logits.float()
    ground = F.interpolate(logits.softmax(1)[:, -1:], (SIZE, SIZE), mode="bilinear", antialias=True)
    return (1 - ground[:, 0]).cpu().numpy()


# Pictures
# ------------------------------------------------------------------------------------------------------------

CELL = SIZE // 16  # px of a latent cell's side


@torch.no_grad()
def _shard(index: int, pipeline: StableDiffusionPipeline, segmenter) -> dict[str, np.ndarray]:
    """What `pairs` tells of a shard's pictures. Of those drawn again every second shard is a draft, as drafts
    are drawn worst."""
    again = index >= ROUNDS[1]
    settings = {**DEFAULTS, **(DRAFT if again and index % 2 else {})}
    parts = []
    for start in range(0, SHARD, DRAWN_AT_ONCE):
        scenes, words, seeds = [], [], []
        for position in range(start, start + DRAWN_AT_ONCE):
            rng = random.Random(f"fitted {index} {position}")
            scenes.append(single_scene(rng, again))
            words.append(describe(scenes[-1], rng, noise=0.2, drop=0).text)
            seeds.append(torch.Generator().manual_seed(rng.randrange(1 << 30)))
        with autocast():
            latents = pipeline(words, generator=seeds, output_type="latent", **settings).images
        parts.append(pairs(latents.float(), scenes, words, pipeline.vae, segmenter))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


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


def make(shards: int = 34):
    """Makes `shards` x SHARD pictures in FOLDER, several processes each their share; those already on disk
    are kept."""
    _make(shards, 0, _generator())


def make_again(shards: int = 30):
    """Makes more, by the UNet that has learned from those before."""
    pipeline = _generator()
    put_weights(pipeline.unet, trained_weights("unet_fitted", untrained))
    _make(shards, ROUNDS[1], pipeline)


def untrained() -> torch.nn.Module:
    """Stands for the weights of a stage that has nothing shipped. Raises FileNotFoundError."""
    raise FileNotFoundError("this stage goes on from one that isn't trained yet (demo.train.STAGES)")


def make_with(changes: dict[str, torch.Tensor], first: int, shards: int):
    """Makes more, by the UNet with `changes` (layer → what is added, (out, in)) added to it."""
    pipeline = _generator()
    low_rank.add(changes, pipeline.unet)
    _make(shards, first, pipeline)


def _generator() -> StableDiffusionPipeline:
    """The pack's, without its LoRA."""
    pipeline = StableDiffusionPipeline.from_pretrained(MODELS / "stable-diffusion", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device())


def _make(shards: int, first: int, pipeline: StableDiffusionPipeline):
    seer = segmenter()
    make_shards(FOLDER, first, shards, lambda index: _shard(index, pipeline, seer))
