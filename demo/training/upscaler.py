"""Trains the network that enlarges a decoded picture of 128 px to 512 px (`vision.pictures.upscaler`).

It learns from drawn scenes of 512 px and what the pack's autoencoder makes of the same scenes at 128 px,
blurred by lot: what the UNet draws is softer than what it has learned from, and a picture that is drawn
larger than the model's own size is softer still.
"""

import random
from functools import cache

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from torchvision.transforms.functional import gaussian_blur
from tqdm import trange

from demo.drawing import SIZE, draw
from demo.training.autoencoder.network import edge_difference, to_pictures
from demo.training.loop import MODELS, WORK, Plan, Run, device
from demo.world import training_scene
from vision.pictures.upscaler import Upscaler

SCALE = 4
SHARD = 128  # pictures
SHARDS = 8
CROP = 48  # px of the small picture
BATCH = 8
PLACES = 4  # of a picture; the busiest is taken, since most of a picture is bare background
PLAIN = 0.2  # share of the crops that didn't go through the autoencoder
BLURS = (0, 0.3, 0.6, 0.9, 1.2, 1.7, 2.4)  # px of the small picture, the standard deviation
PASSES = 2  # of narrowing edges, in use: what the UNet draws is softer than what this learns from
REACH = 15  # px, a side of what a blurred pixel is the mean of
MIX = {"large": 0.25, "single": 0.37, "several": 0.12, "pair": 0.24, "empty": 0.02}
NAMES = ("large", "small", "decoded")


@cache
def _autoencoder() -> AutoencoderTiny:
    return AutoencoderTiny.from_pretrained(MODELS / "stable-diffusion" / "vae").to(device()).eval()


@torch.no_grad()
def _decoded(pictures: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 through the autoencoder."""
    x = _tensor(list(pictures)) * 2 - 1
    return to_pictures(_autoencoder().decode(_autoencoder().encode(x).latents).sample)


def _shard(index: int) -> dict[str, np.ndarray]:
    """large (SHARD, 512, 512, 3), small and decoded (SHARD, 128, 128, 3), all uint8."""
    large, small = [], []
    for position in range(SHARD):
        rng = random.Random(f"upscaler {index} {position}")
        picture = draw(training_scene(rng, MIX), rng, (SIZE * SCALE, SIZE * SCALE))
        large.append(np.asarray(picture))
        small.append(np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX)))
    eights = [_decoded(np.stack(small[start : start + 8])) for start in range(0, SHARD, 8)]
    return {"large": np.stack(large), "small": np.stack(small), "decoded": np.concatenate(eights)}


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
        folder = WORK / "upscaler"
        count = len(list(folder.glob("*-large.npy")))
        self.shards = [
            {name: np.load(folder / f"{index:04d}-{name}.npy", mmap_mode="r") for name in NAMES}
            for index in range(count)
        ]

    def crop(self, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
        """A part of a small picture, (CROP, CROP, 3), and as it is drawn, (4 CROP, 4 CROP, 3)."""
        shard, index = rng.choice(self.shards), rng.randrange(SHARD)
        places = [tuple(rng.randint(0, SIZE - CROP) for _ in range(2)) for _ in range(PLACES)]
        boxes = [np.s_[index, y : y + CROP, x : x + CROP] for y, x in places]
        best = max(range(PLACES), key=lambda i: float(shard["small"][boxes[i]].std(axis=(0, 1)).sum()))
        small = shard["small" if rng.random() < PLAIN else "decoded"][boxes[best]]
        y, x = (SCALE * start for start in places[best])
        large = shard["large"][index, y : y + SCALE * CROP, x : x + SCALE * CROP]
        return (small[:, ::-1], large[:, ::-1]) if rng.random() < 0.5 else (small, large)


def _tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in 0 to 1."""
    x = torch.from_numpy(np.stack(pictures)).to(device()).permute(0, 3, 1, 2)
    return x.float().div(255).contiguous(memory_format=torch.channels_last)


def _softer(pictures: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Each of (B, 3, H, W) blurred by a width of its own."""
    widths = [rng.choice(BLURS) for _ in pictures]
    return torch.stack(
        [gaussian_blur(p, [9, 9], w) if w else p for p, w in zip(pictures, widths, strict=True)]
    )


def _apart(made: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
    return 2 * (made - large).abs().mean() + edge_difference(made, large)


def train(steps: int = 2700):
    torch.manual_seed(0)
    model = Upscaler(passes=PASSES).to(device(), memory_format=torch.channels_last)
    run = Run("upscaler", model, Plan(steps, lr=1.5e-3, weight_decay=0.0, decay=0.5, ema=0.99))
    pictures = Pictures()

    def loss(rng):
        small, large = zip(*(pictures.crop(rng) for _ in range(BATCH)), strict=True)
        moved, rest = model.parts(_softer(_tensor(small), rng))
        y = _tensor(large)
        whole, alone = _apart(moved + rest, y), _apart(moved, y)  # places have to do what they can alone
        return whole + alone / 2, {"whole": 255 * whole.item(), "moved": 255 * alone.item()}

    run.train(loss, log_every=50, save_every=100)
    ship(run)


def ship(run: Run | None = None):
    """Writes the newest checkpoint's average into the pack."""
    if run is None:
        run = Run("upscaler", Upscaler(passes=PASSES).to(device()), Plan(1, lr=0))
    run.use_average()
    run.model.cpu().half().save_pretrained(MODELS / "stable-diffusion" / "upscaler")
