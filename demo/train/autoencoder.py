"""Trains the autoencoder: pictures of 128 x 128 px to latents of 16 x 16 x 4 and back."""

import random

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny

from demo.drawing import SIZE, draw, layout
from demo.train.loop import WORK, Plan, Run, autocast, device
from demo.world import training_scene

CHANNELS = 64
CROP = 64  # px; a crop holds an object more often than not, a whole picture is mostly background
BATCH = 12
MIX = {"large": 0.2, "single": 0.35, "several": 0.15, "pair": 0.27, "empty": 0.03}


def build() -> AutoencoderTiny:
    """No normalisation layers: they hide the absolute colour of flat areas and learn it slowly."""
    model = AutoencoderTiny(
        encoder_block_out_channels=(CHANNELS,) * 4,
        decoder_block_out_channels=(CHANNELS,) * 4,
        num_encoder_blocks=(0, 0, 2, 3),
        num_decoder_blocks=(3, 3, 1, 0),
        latent_channels=4,
        scaling_factor=1.0,
        act_fn="relu",
    )
    return model.to(device(), memory_format=torch.channels_last)


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in -1 to 1."""
    x = torch.from_numpy(pictures).to(device()).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return x.contiguous(memory_format=torch.channels_last)


def to_pictures(x: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) in -1 to 1 to (B, H, W, 3) uint8."""
    return x.float().add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def _crop(rng: random.Random) -> np.ndarray:
    """(CROP, CROP, 3) uint8: a part of a drawn picture, at a multiple of 8 px as the encoder sees it."""
    scene = training_scene(rng, MIX, held_pairs=True)
    placed = layout(scene, rng)
    picture = np.asarray(draw(scene, rng, placed=placed))
    if placed and rng.random() < 0.8:
        thing = rng.choice(placed)
        x, y = (round((c * SIZE - CROP / 2) / 8) + rng.randint(-2, 2) for c in (thing.x, thing.y))
    else:
        x, y = rng.randint(0, 8), rng.randint(0, 8)
    x, y = (8 * min(max(v, 0), (SIZE - CROP) // 8) for v in (x, y))
    crop = picture[y : y + CROP, x : x + CROP]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def _edges(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def reconstruction(y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss (L1, L2 and the L1 of the edges) and the mean square error; both pictures in -1 to 1."""
    square = (y - x).square().mean()
    return (y - x).abs().mean() + 2 * square + 0.5 * edge_difference(y, x), square


def edge_difference(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The L1 of the steps between neighbours, across and down."""
    return sum((a - b).abs().mean() for a, b in zip(_edges(y), _edges(x), strict=True))


def psnr(square: float) -> float:
    """Peak signal to noise ratio in dB of a mean square error over pictures in -1 to 1."""
    return 10 * float(np.log10(4 / square))


def train(steps: int = 7000):
    model = build()
    run = Run("vae", model, Plan(steps, lr=1.5e-3, weight_decay=0.0, decay=0.5))

    def loss(rng):
        x = to_tensor(np.stack([_crop(rng) for _ in range(BATCH)]))
        with autocast():
            z = model.encoder(x).float()  # (B, 4, 8, 8)
            y = model.decoder(z + 0.08 * torch.randn_like(z)).float()
        value, square = reconstruction(y, x)
        # Keep each channel near mean 0, deviation 1: a diffusion pipeline knows one scale for all four.
        mean, deviation = z.mean((0, 2, 3)), z.std((0, 2, 3))
        spread = mean.square().mean() + (deviation + 1e-4).log().square().mean()
        tails = F.relu(z.abs() - 2.7).mean()
        return value + 0.02 * spread + 0.05 * tails, {"psnr": psnr(square.item()), "spread": spread.item()}

    run.train(loss)
    run.use_average()
    _unit_latents(model)
    model.save_pretrained(WORK / "vae")


def _pictures(rng: random.Random, count: int) -> torch.Tensor:
    return to_tensor(np.stack([np.asarray(draw(training_scene(rng, MIX), rng)) for _ in range(count)]))


@torch.no_grad()
def _unit_latents(model: AutoencoderTiny):
    """Folds each latent channel's mean and deviation into the convolutions on both sides of the latent."""
    rng = random.Random("latent statistics")
    z = torch.cat([model.encoder(_pictures(rng, 32)) for _ in range(12)])
    mean, deviation = z.mean((0, 2, 3)), z.std((0, 2, 3))
    last, first = model.encoder.layers[-1], model.decoder.layers[0]
    last.weight /= deviation.view(4, 1, 1, 1)
    last.bias.copy_((last.bias - mean) / deviation)
    first.bias += (first.weight * mean.view(1, 4, 1, 1)).sum((1, 2, 3))
    first.weight *= deviation.view(1, 4, 1, 1)


def train_decoder(steps: int = 4000):
    """The decoder alone on latents of the frozen encoder: it mends what the folding cost, and sharpens."""
    model = AutoencoderTiny.from_pretrained(WORK / "vae").to(device(), memory_format=torch.channels_last)
    model.encoder.requires_grad_(False)
    run = Run("decoder", model, Plan(steps, lr=1e-3, weight_decay=0.0, decay=0.8))

    def loss(rng):
        x = to_tensor(np.stack([_crop(rng) for _ in range(BATCH)]))
        with autocast():
            with torch.no_grad():
                z = model.encoder(x).float()
            y = model.decoder(z + 0.05 * torch.randn_like(z)).float()
        value, square = reconstruction(y, x)
        return value, {"psnr": psnr(square.item())}

    run.train(loss)
    run.use_average()
    model.save_pretrained(WORK / "vae_sharp")
