"""Trains the network that draws a decoded picture of 128 px at 512 px (`vision.pictures.upscaler`).

It learns from drawn scenes of 512 px and what the pack makes of the same scenes at 128 px: encoded and
decoded, and also drawn anew in part by the UNet, so that it learns to mend what the UNet does to outlines.
"""

import random
from functools import cache

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image
from tqdm import trange

from demo.captions import describe
from demo.drawing import SIZE, draw
from demo.training.loop import MODELS, WORK, Plan, Run, device
from demo.training.vae import edge_difference
from demo.world import training_scene
from vision.pictures.upscaler import Upscaler

SCALE = 4
SHARD = 128  # pictures
CROP = 64  # px of the small picture
BATCH = 8
SHARDS, MORE_EVERY = 20, 120  # the pictures are made while the training runs: a shard after so many steps
REDRAWN = 0.7  # share of the crops that the UNet had drawn anew
STRENGTHS = (0.17, 0.25, 0.34, 0.42)  # of 12 steps: two to five
DIFFERENT = 9.0  # of 255: where a redrawn crop lies further from the drawn one, another thing was drawn
MIX = {"large": 0.25, "single": 0.37, "several": 0.12, "pair": 0.24, "empty": 0.02}


@cache
def _pipeline() -> StableDiffusionImg2ImgPipeline:
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
        MODELS / "stable-diffusion", torch_dtype=torch.float32
    ).to(device())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def _decoded(pictures: list[Image.Image]) -> list[Image.Image]:
    pipeline = _pipeline()
    x = pipeline.image_processor.preprocess(pictures).to(device())
    return pipeline.image_processor.postprocess(pipeline.vae.decode(pipeline.vae.encode(x).latents).sample)


def _shard(index: int) -> dict[str, np.ndarray]:
    """large (SHARD, 512, 512, 3), drawn, decoded and redrawn (SHARD, 128, 128, 3), all uint8."""
    large, drawn, texts = [], [], []
    for position in range(SHARD):
        rng = random.Random(f"upscaler {index} {position}")
        scene = training_scene(rng, MIX)
        large.append(draw(scene, rng, (SIZE * SCALE, SIZE * SCALE)))
        drawn.append(large[-1].resize((SIZE, SIZE), Image.BOX))
        texts.append(describe(scene, rng).text)
    decoded, redrawn = [], []
    for start in range(0, SHARD, 8):
        some = slice(start, start + 8)
        decoded += _decoded(drawn[some])
        generator = torch.Generator().manual_seed(SHARD * index + start)
        redrawn += _pipeline()(
            texts[some],
            image=drawn[some],
            strength=STRENGTHS[start // 8 % len(STRENGTHS)] + 0.001,
            num_inference_steps=12,
            guidance_scale=3.0,
            generator=generator,
        ).images
    parts = {"large": large, "drawn": drawn, "decoded": decoded, "redrawn": redrawn}
    return {name: np.stack([np.asarray(p) for p in some]) for name, some in parts.items()}


def make_pictures(shards: int = SHARDS):
    """Makes `shards` x SHARD pictures; those already on disk are kept."""
    folder = WORK / "upscaler"
    folder.mkdir(parents=True, exist_ok=True)
    for index in trange(shards, desc="upscaler pictures", mininterval=5):
        if (folder / f"{index:04d}-large.npy").exists():
            continue
        for name, pictures in reversed(_shard(index).items()):
            part = folder / f"{index:04d}-{name}.part"
            with part.open("wb") as file:
                np.save(file, pictures)
            part.replace(part.with_suffix(".npy"))


class Pictures:
    """The pictures of all shards, mapped from disk."""

    def __init__(self):
        self.shards: list[dict[str, np.ndarray]] = []
        self.refresh()

    def refresh(self):
        """Takes in the shards that have appeared since."""
        while (WORK / "upscaler" / f"{len(self.shards):04d}-large.npy").exists():
            names = ("large", "drawn", "decoded", "redrawn")
            paths = {name: WORK / "upscaler" / f"{len(self.shards):04d}-{name}.npy" for name in names}
            self.shards.append({name: np.load(path, mmap_mode="r") for name, path in paths.items()})

    def crop(self, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
        """A part of a picture as the pack makes it, (CROP, CROP, 3), and as it is drawn, (4 CROP, 4 CROP, 3).

        Of three places the busiest is taken, since most of a picture is bare background.
        """
        shard, index = rng.choice(self.shards), rng.randrange(SHARD)
        places = [tuple(4 * rng.randint(0, (SIZE - CROP) // 4) for _ in range(2)) for _ in range(3)]
        boxes = [np.s_[index, y : y + CROP, x : x + CROP] for y, x in places]
        best = max(range(3), key=lambda i: float(shard["drawn"][boxes[i]].std(axis=(0, 1)).sum()))
        box, (y, x) = boxes[best], places[best]
        small = shard["decoded"][box]
        if rng.random() < REDRAWN:
            redrawn = shard["redrawn"][box]
            if np.abs(redrawn.astype(np.int16) - small).mean() < DIFFERENT:
                small = redrawn
        y, x, side = SCALE * y, SCALE * x, SCALE * CROP
        large = shard["large"][index, y : y + side, x : x + side]
        if rng.random() < 0.5:
            small, large = small[:, ::-1], large[:, ::-1]
        return small, large


def _tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in 0 to 1."""
    x = torch.from_numpy(np.stack(pictures)).to(device()).permute(0, 3, 1, 2)
    return x.float().div(255).contiguous(memory_format=torch.channels_last)


def train(steps: int = 2200):
    torch.manual_seed(0)
    model = Upscaler().to(device(), memory_format=torch.channels_last)
    run = Run("upscaler", model, Plan(steps, lr=1.5e-3, weight_decay=0.0, decay=0.6, ema=0.995))
    pictures = Pictures()

    def loss(rng):
        if run.step % MORE_EVERY == 0:
            make_pictures(min(SHARDS, 3 + run.step // MORE_EVERY))
            pictures.refresh()
        small, large = zip(*(pictures.crop(rng) for _ in range(BATCH)), strict=True)
        x, y = _tensor(small), _tensor(large)
        made = model(x)
        apart = (made - y).abs().mean()
        edges = edge_difference(made, y)
        return 2 * apart + edges, {"apart": 255 * apart.item(), "edges": 255 * edges.item()}

    run.train(loss, log_every=25, save_every=25)
    ship(run)


def ship(run: Run | None = None):
    """Writes the newest checkpoint's average into the pack."""
    if run is None:
        run = Run("upscaler", Upscaler().to(device()), Plan(1, lr=0))
    run.use_average()
    run.model.cpu().half().save_pretrained(MODELS / "stable-diffusion" / "upscaler")
