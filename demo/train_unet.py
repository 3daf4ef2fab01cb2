"""Trains the image generator's UNet on cached latents with the frozen text encoder, and assembles the pipeline."""

import json
import random

import numpy as np
import torch
from diffusers import (
    AutoencoderTiny,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from tqdm import trange
from transformers import CLIPTextModel, CLIPTokenizer

from demo.captions import describe
from demo.drawing import draw, layout, patches
from demo.train_text import WIDTH as TEXT_WIDTH
from demo.train_text import tokenizer_folder
from demo.train_vae import to_tensor
from demo.training import MODELS, WORK, Plan, Run, autocast, device
from demo.vocabulary import LENGTH, Encoder
from demo.world import Scene, training_scene

CHANNELS = (96, 160, 192)
HEAD = 32
BATCH = 32
GRID = 16  # latent cells a side
SHARD = 2048  # pictures
MIX = {"large": 0.24, "single": 0.33, "several": 0.14, "pair": 0.26, "empty": 0.03}
EASY = {"large": 0.65, "single": 0.35}
DEFAULTS = {"num_inference_steps": 12, "guidance_scale": 3.0}


def scheduler() -> DPMSolverMultistepScheduler:
    """DPM-Solver++ 2M (Lu et al., 2022, arXiv:2211.01095) over a cosine schedule that ends in pure noise."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        algorithm_type="dpmsolver++",
        solver_order=2,
    )


def build() -> UNet2DConditionModel:
    model = UNet2DConditionModel(
        sample_size=GRID,
        in_channels=4,
        out_channels=4,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=tuple(c // HEAD for c in CHANNELS),
        norm_num_groups=16,
    )
    # The backward pass of bfloat16 scaled_dot_product_attention is slow on a CPU: 46 against 39 pictures a second.
    model.set_attn_processor(AttnProcessor())
    return model.to(device())


# Latents -----------------------------------------------------------------------------------------------------------


def _scenes(shard: int) -> list[tuple[Scene, random.Random]]:
    """A shard's scenes, each with the generator that goes on to draw it."""
    scenes = []
    for index in range(SHARD):
        rng = random.Random(f"latents {shard} {index}")
        scenes.append((training_scene(rng, MIX), rng))
    return scenes


def kind(scene: Scene) -> str:
    """The kind of `demo.world.compose` that a scene belongs to."""
    if len(scene.groups) != 1:
        return "pair" if scene.groups else "empty"
    if scene.groups[0].count > 1:
        return "several"
    return "large" if scene.groups[0].size != "small" and scene.place in ("any", "center") else "single"


@torch.no_grad()
def encode_latents(shards: int = 20):
    """Draws and encodes `shards` x SHARD pictures; those already on disk are kept."""
    folder = WORK / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderTiny.from_pretrained(WORK / "vae").to(device(), memory_format=torch.channels_last)
    for shard in trange(shards, desc="latents", mininterval=5):
        path = folder / f"{shard:04d}.npz"
        if path.exists():
            continue
        latents, weights = [], []
        scenes = _scenes(shard)
        for start in range(0, SHARD, 32):
            drawn = []
            for scene, rng in scenes[start : start + 32]:
                placed = layout(scene, rng)
                drawn.append(np.asarray(draw(scene, rng, placed=placed)))
                weights.append(_weight(patches(placed, GRID) >= 0))
            with autocast():
                latents.append(vae.encoder(to_tensor(np.stack(drawn))).float().cpu().numpy().astype(np.float16))
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, latents=np.concatenate(latents), weights=np.stack(weights).astype(np.float16))
        part.replace(path)


def _weight(covered: np.ndarray) -> np.ndarray:
    """The loss weight of each latent cell: small objects count about as much as large ones. (GRID, GRID)."""
    return 1 + covered * np.clip(60 / max(1, covered.sum()), 1, 5)


class Pool:
    """All encoded pictures, sorted by kind."""

    def __init__(self):
        self.shards = 0
        self.scenes: list[Scene] = []
        self.latents = torch.zeros(0, 4, GRID, GRID, dtype=torch.float16)
        self.weights = torch.zeros(0, GRID, GRID, dtype=torch.float16)
        self.by_kind: dict[str, list[int]] = {}
        self.refresh()

    def refresh(self):
        """Takes in the shards that have appeared since."""
        latents, weights = [self.latents], [self.weights]
        while (path := WORK / "latents" / f"{self.shards:04d}.npz").exists():
            with np.load(path) as arrays:
                latents.append(torch.from_numpy(arrays["latents"]))
                weights.append(torch.from_numpy(arrays["weights"]))
            for scene, _ in _scenes(self.shards):
                self.by_kind.setdefault(kind(scene), []).append(len(self.scenes))
                self.scenes.append(scene)
            self.shards += 1
        self.latents, self.weights = torch.cat(latents), torch.cat(weights)

    def sample(self, rng: random.Random, mix: dict[str, float], count: int) -> list[int]:
        kinds = rng.choices(list(mix), list(mix.values()), k=count)
        return [rng.choice(self.by_kind[name]) for name in kinds]


# Training ----------------------------------------------------------------------------------------------------------


def _timesteps(count: int) -> torch.Tensor:
    """Stratified over 0 to 999, half uniform, half around the middle, where the shapes are decided."""
    q = (torch.rand(1) + torch.arange(count) / count) % 1
    bell = 0.5 + 0.2 * 2**0.5 * torch.erfinv((2 * q - 1) * 0.98)
    return ((0.5 * q + 0.5 * bell) * 1000).long().clamp(0, 999)


def train(steps: int = 9000):
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder())
    text = CLIPTextModel.from_pretrained(WORK / "text_encoder").float().to(device()).eval().requires_grad_(False)
    encoder = Encoder(tokenizer)
    torch.manual_seed(0)
    model = build()
    run = Run("unet", model, Plan(steps, lr=1e-3, decay=0.45, ema=0.9985))
    model.train()
    pool = Pool()
    alphas = scheduler().alphas_cumprod.to(device())

    def loss(rng):
        if run.step % 250 == 0:
            pool.refresh()
        mix = {k: 0.5 * MIX[k] + 0.5 * EASY.get(k, 0) for k in MIX} if run.step < 2500 else MIX
        if run.step < 1000:
            mix = EASY
        chosen = pool.sample(rng, mix, BATCH)
        texts = ["" if rng.random() < 0.1 else describe(pool.scenes[i], rng).text for i in chosen]
        ids = torch.tensor([encoder.text(t, LENGTH) for t in texts], device=device())
        z = pool.latents[chosen].float().to(device())  # (B, 4, 16, 16)
        weight = pool.weights[chosen].float().to(device())[:, None]
        t = _timesteps(BATCH).to(device())
        noise = torch.randn_like(z)
        a = alphas[t].view(-1, 1, 1, 1)
        noisy, target = a.sqrt() * z + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * z
        with autocast():
            with torch.no_grad():
                hidden = text(input_ids=ids).last_hidden_state  # (B, 77, TEXT_WIDTH)
            v = model(noisy, t, hidden).sample.float()
        square = (v - target).square()
        return (square * weight).mean() / weight.mean(), {"mse": square.mean().item()}

    run.train(loss)
    assemble(run)


def assemble(run: Run | None = None):
    """Writes `demo/models/stable-diffusion` from the newest checkpoints, in float16."""
    if run is None:
        model = build()
        run = Run("unet", model, Plan(1, lr=0))
    run.use_average()
    folder = MODELS / "stable-diffusion"
    vae = WORK / "vae_sharp" if (WORK / "vae_sharp").exists() else WORK / "vae"
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderTiny.from_pretrained(vae),
        text_encoder=CLIPTextModel.from_pretrained(WORK / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer_folder()),
        unet=run.model.cpu(),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    (folder / "atelier.json").write_text(json.dumps(settings(), indent=2) + "\n")


def settings() -> dict:
    """How the pipeline is meant to be called; steps and strengths were chosen by `python -m demo.evaluate`."""
    return {
        **DEFAULTS,
        "draft": {"num_inference_steps": 6, "guidance_scale": 2.5},
        "native_size": 128,
        "variation": {"subtle": 0.4, "strong": 0.85},
    }
