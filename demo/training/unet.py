"""Trains the image generator's UNet on cached latents with the frozen text encoder, and assembles the
pipeline."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderTiny,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from tqdm import trange
from transformers import CLIPTextModel, CLIPTokenizer

from demo.captions import describe
from demo.drawing import draw, layout, patches
from demo.training.autoencoder.network import to_tensor
from demo.training.loop import MODELS, WORK, Plan, Run, autocast, device, ship, trained_weights
from demo.training.text import WIDTH as TEXT_WIDTH
from demo.training.text import is_as_settled, tokenizer_folder
from demo.vocabulary import LENGTH, Encoder, known_words
from demo.world import Scene, training_scene

CHANNELS = (96, 160, 192)
HEAD = 32
BATCH = 32
GRID = 16  # latent cells a side
SHARD = 2048  # pictures
MIX = {"large": 0.24, "single": 0.33, "several": 0.14, "pair": 0.26, "empty": 0.03}
FINAL = {"large": 0.32, "single": 0.34, "several": 0.08, "pair": 0.24, "empty": 0.02}
EASY = {"large": 0.6, "single": 0.25, "several": 0.05, "pair": 0.1}
REFINE = {"large": 0.18, "single": 0.30, "several": 0.08, "pair": 0.42, "empty": 0.02}
FORM = {"large": 0.26, "single": 0.34, "several": 0.14, "pair": 0.24, "empty": 0.02}
HARD = {"large": 0.24, "single": 0.30, "several": 0.20, "pair": 0.25, "empty": 0.01}
DEFAULTS = {"num_inference_steps": 12, "guidance_scale": 3.0}
FORM_LORA = "form.safetensors"  # `demo.training.form.lora` writes it, anew for every new UNet
DRAFT = {"num_inference_steps": 6, "guidance_scale": 2.5}


NOISY, PLAIN = "sde-dpmsolver++", "dpmsolver++"  # DPM-Solver++ with new noise in each step, and without


def scheduler(algorithm: str = NOISY) -> DPMSolverMultistepScheduler:
    """DPM-Solver++ 2M (Lu et al., 2022, arXiv:2211.01095) over a cosine schedule that ends in pure noise. New
    noise in each step lets the later ones mend what the earlier ones did wrong."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        algorithm_type=algorithm,
        solver_order=2,
        steps_offset=1,
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
    # The backward pass of bfloat16 scaled_dot_product_attention is slow on a CPU: 46 against 39 pictures a
    # second.
    model.set_attn_processor(AttnProcessor())
    return model.to(device(), memory_format=torch.channels_last)


# Latents
# -----------------------------------------------------------------------------------------------------------

SHAPES = ((16, 16), (20, 13), (13, 20), (18, 14), (14, 18), (22, 12), (12, 22))  # latent cells: columns, rows
SHIFT = 3.0  # of the times: 56 % lie above 700 of 1000
SQUARE = 0.85  # share of the batches, and about that of the shards


def _shape(shard: int) -> tuple[int, int]:
    """The shape of all of a shard's pictures: every sixth shard goes to the next of the other shapes."""
    return SHAPES[1 + shard // 6 % 6] if shard % 6 == 5 else SHAPES[0]


def _scenes(shard: int) -> list[tuple[Scene, random.Random]]:
    """A shard's scenes, each with the generator that goes on to draw it."""
    scenes = []
    for index in range(SHARD):
        rng = random.Random(f"latents {shard} {index}")
        scenes.append((training_scene(rng, MIX), rng))
    return scenes


def made(part: str) -> Path:
    """The folder of a part that an earlier stage made; where that is gone, the shipped one."""
    return WORK / part if (WORK / part).exists() else MODELS / "stable-diffusion" / part


def kind(scene: Scene) -> str:
    """The kind of `demo.world.compose` that a scene belongs to."""
    if len(scene.groups) != 1:
        return "pair" if scene.groups else "empty"
    if scene.groups[0].count > 1:
        return "several"
    return "large" if scene.groups[0].size != "small" and scene.place in ("any", "center") else "single"


def emphasis(scene: Scene) -> float:
    """How often `refine_hard` takes a scene, against another of its kind: line art and three of a thing are
    drawn worst."""
    return (3.0 if scene.style == "outline" else 1.0) * (
        2.0 if any(group.count == 3 for group in scene.groups) else 1.0
    )


def _even(scene: Scene) -> float:
    return 1.0


@torch.no_grad()
def encode_latents(shards: int = 60):
    """Draws and encodes `shards` x SHARD pictures; those already on disk are kept."""
    folder = WORK / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderTiny.from_pretrained(made("vae"), torch_dtype=torch.float32).to(
        device(), memory_format=torch.channels_last
    )
    for shard in trange(shards, desc="latents", mininterval=5):
        path = folder / f"{shard:04d}.npz"
        if path.exists():
            continue
        columns, rows = _shape(shard)
        latents, weights = [], []
        scenes = _scenes(shard)
        for start in range(0, SHARD, 32):
            drawn = []
            for scene, rng in scenes[start : start + 32]:
                size = (8 * columns, 8 * rows)
                placed = layout(scene, rng, size)
                drawn.append(np.asarray(draw(scene, rng, size, placed)))
                weights.append(_weight(patches(placed, rows, columns) >= 0))
            with autocast():
                latents.append(
                    vae.encoder(to_tensor(np.stack(drawn))).float().cpu().numpy().astype(np.float16)
                )
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, latents=np.concatenate(latents), weights=np.stack(weights).astype(np.float16))
        part.replace(path)


def _weight(covered: np.ndarray) -> np.ndarray:
    """The loss weight of each latent cell: small objects count about as much as large ones. (rows,
    columns)."""
    return 1 + covered * np.clip(60 / max(1, covered.sum()), 1, 5)


class Pool:
    """All encoded pictures, by shard; inside a shard, by kind. emphasis: how often a scene is taken against
    others of its kind."""

    def __init__(self, emphasis: Callable[[Scene], float] = _even):
        self.emphasis = emphasis
        self.scenes: list[list[Scene]] = []
        self.latents: list[torch.Tensor] = []  # (SHARD, 4, rows, columns) each
        self.weights: list[torch.Tensor] = []
        self.by_kind: list[dict[str, list[int]]] = []
        self.share: list[dict[str, list[float]]] = []  # of each picture in `by_kind`
        self.refresh()

    def refresh(self):
        """Takes in the shards that have appeared since."""
        while (path := WORK / "latents" / f"{len(self.scenes):04d}.npz").exists():
            with np.load(path) as arrays:
                self.latents.append(torch.from_numpy(arrays["latents"]))
                self.weights.append(torch.from_numpy(arrays["weights"]))
            by_kind: dict[str, list[int]] = {}
            scenes = [scene for scene, _ in _scenes(len(self.scenes))]
            for index, scene in enumerate(scenes):
                by_kind.setdefault(kind(scene), []).append(index)
            self.scenes.append(scenes)
            self.by_kind.append(by_kind)
            self.share.append({k: [self.emphasis(scenes[i]) for i in v] for k, v in by_kind.items()})

    def sample(self, rng: random.Random, mix: dict[str, float], count: int, square_share: float = SQUARE):
        """`count` scenes of one shape, their latents (B, 4, rows, columns) and loss weights (B, 1, rows,
        columns). square_share: of the calls, how many get square ones."""
        square = [i for i in range(len(self.scenes)) if _shape(i) == SHAPES[0]]
        other = [i for i in range(len(self.scenes)) if _shape(i) != SHAPES[0]]
        if other and rng.random() > square_share:
            shards = [rng.choice(other)] * count
        else:
            shards = rng.choices(square, k=count)
        kinds = rng.choices(list(mix), list(mix.values()), k=count)
        chosen = [
            (shard, rng.choices(self.by_kind[shard][name], self.share[shard][name])[0])
            for shard, name in zip(shards, kinds, strict=True)
        ]
        latents = torch.stack([self.latents[shard][i] for shard, i in chosen]).float()
        weights = torch.stack([self.weights[shard][i] for shard, i in chosen]).float()[:, None]
        return [self.scenes[shard][i] for shard, i in chosen], latents.to(device()), weights.to(device())


# Training
# ----------------------------------------------------------------------------------------------------------


def timesteps(count: int) -> torch.Tensor:
    """Stratified over 0 to 999, more of them at high noise, where the shapes are decided (the shift of Esser
    et al., 2024, arXiv:2403.03206)."""
    q = (torch.rand(1) + torch.arange(count) / count) % 1
    return (SHIFT * q / (1 + (SHIFT - 1) * q) * 1000).long().clamp(0, 999)


def train(steps: int = 4800):
    """From nothing: shapes are learned from large objects first, then the mix of scenes turns to the full
    world."""
    torch.manual_seed(0)
    run = Run("unet", build(), Plan(steps, lr=1e-3, decay=0.45, ema=0.993))

    def mix() -> dict[str, float]:
        hard = min(1.0, max(0.0, run.step / steps - 0.7) / 0.12)
        return {kind: (1 - hard) * EASY.get(kind, 0) + hard * FINAL[kind] for kind in FINAL}

    _train(run, mix)


def shipped_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(
        MODELS / "stable-diffusion" / "unet", torch_dtype=torch.float32
    )


def refine(steps: int = 5600):
    """Goes on from the end of `train` with more pairs; where its checkpoint is gone, from the shipped pack's
    UNet."""
    model = build()
    run = Run("unet_refine", model, Plan(steps, lr=6e-4, decay=0.75, ema=0.996))
    if run.step == 0:
        run.start_from(trained_weights("unet", shipped_unet))
    _train(run, lambda: REFINE)


def refine_form(steps: int = 3800):
    """Goes on from the UNet that `refine` ended with, which draws the right thing with a lumpy outline. The
    average is over the last hundred steps: over a thousand it was worse than the weights at the end."""
    run = Run("unet_form", build(), Plan(steps, lr=5e-4, decay=0.8, ema=0.99))
    if run.step == 0:
        run.start_from(trained_weights("unet_refine", shipped_unet))
    _train(run, lambda: FORM)


def refine_hard(steps: int = 4400):
    """Goes on from `refine_form` with more line art, more of several things, and more threes."""
    run = Run("unet_hard", build(), Plan(steps, lr=5e-4, decay=0.9, ema=0.99))
    if run.step == 0:
        run.start_from(trained_weights("unet_form", shipped_unet))
    _train(run, lambda: HARD, emphasis)


def _train(run: Run, mix: Callable[[], dict[str, float]], emphasis: Callable[[Scene], float] = _even):
    """Trains `run.model` by v-prediction (Salimans & Ho, 2022, arXiv:2202.00512) on scenes of the kinds `mix`
    weighs, inside a kind by `emphasis`."""
    text = (
        CLIPTextModel.from_pretrained(made("text_encoder")).float().to(device()).eval().requires_grad_(False)
    )
    pool = Pool(emphasis)
    model = run.model.train()
    run.train(_Loss(run, model, text, pool, mix, lambda scene, rng: describe(scene, rng).text))
    if run.rank == 0:
        assemble(run)


class _Loss:
    """The mean square error of v over a batch of BATCH latents, weighted by `_weight`. Trained is what of
    `model` (the UNet) and `text` (its encoder) asks for gradients. tell: puts a scene into words."""

    def __init__(self, run: Run, model, text, pool: Pool, mix, tell: Callable[[Scene, random.Random], str]):
        self.run, self.model, self.text, self.pool, self.mix, self.tell = run, model, text, pool, mix, tell
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.alphas = scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        if self.run.step % 100 == 0:
            self.pool.refresh()
        scenes, z, weight = self.pool.sample(rng, self.mix(), BATCH)  # z: (B, 4, rows, columns)
        z = z.contiguous(memory_format=torch.channels_last)
        texts = ["" if rng.random() < 0.1 else self.tell(scene, rng) for scene in scenes]
        ids = torch.tensor([self.encoder.text(t, LENGTH) for t in texts], device=device())
        t = timesteps(BATCH).to(device())
        noise = torch.randn_like(z)
        a = self.alphas[t].view(-1, 1, 1, 1)
        noisy, target = a.sqrt() * z + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * z
        with autocast():
            hidden = self.text(input_ids=ids).last_hidden_state  # (B, 77, TEXT_WIDTH)
            v = self.model(noisy, t, hidden).sample.float()
        square = (v - target).square()
        return (square * weight).mean() / weight.mean(), {"mse": square.mean().item()}


def tune_text(steps: int = 4000):
    """Trains the text encoder by the loss of the UNet, which stays as it is: on scenes laid out as their
    captions say or, where these don't, as `text.settled` chooses. Writes WORK/text_encoder."""
    text = CLIPTextModel.from_pretrained(made("text_encoder")).float().to(device()).train()
    run = Run("text_tune", text, Plan(steps, lr=3e-4, decay=0.8, ema=0.99))
    model = build().requires_grad_(False)
    model.load_state_dict(shipped_unet().state_dict())

    run.train(_Loss(run, model, text, Pool(tellable), lambda: FORM, tell_settled))
    run.use_average()
    text.save_pretrained(WORK / "text_encoder")


def tell_settled(scene: Scene, rng: random.Random) -> str:
    """A caption of which the picture is one that the text encoder chooses."""
    while True:
        caption = describe(scene, rng)
        if is_as_settled(scene, caption):
            return caption.text


def tellable(scene: Scene) -> float:
    """How often `tune_text` and the LoRA of form take a scene: single things anywhere never, since no words
    tell where they are; line art and watercolor, which come out worst, three times as often."""
    alone = len(scene.groups) == 1 and scene.groups[0].count == 1
    if alone and scene.place == "any":
        return 0.0
    return emphasis(scene) * (3.0 if scene.style == "watercolor" else 1.0)


def assemble(run: Run | None = None):
    """Writes `demo/models/stable-diffusion` in float16: each part from its newest checkpoint or, without one,
    as it is shipped."""
    stages = ("unet_hard", "unet_form", "unet_refine", "unet")
    name = next((stage for stage in stages if (WORK / f"{stage}.pt").exists()), None)
    if run is None and name:
        run = Run(name, build(), Plan(1, lr=0))
    if run is not None:
        run.use_average()
    model = run.model if run is not None else shipped_unet()
    sharper = (WORK / name for name in ("vae_redrawn", "vae_sharp"))
    vae = next((folder for folder in sharper if folder.exists()), made("vae"))
    text = made("text_encoder")
    write(StableDiffusionPipeline, model, vae, text, MODELS / "stable-diffusion", settings())


def write(
    pipeline_class: type[DiffusionPipeline],
    model: UNet2DConditionModel,
    vae: Path,
    text_encoder: Path,
    folder: Path,
    settings: dict,
    algorithm: str = NOISY,
):
    """Writes a pipeline around `model` into `folder`, in float16, with how it is meant to be called. vae,
    text_encoder: their folders. algorithm: of the scheduler."""
    pipeline = pipeline_class(
        vae=AutoencoderTiny.from_pretrained(vae),
        text_encoder=CLIPTextModel.from_pretrained(text_encoder),
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer_folder()),
        unet=model.cpu(),
        scheduler=scheduler(algorithm),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder)
    ship(pipeline.text_encoder, folder / "text_encoder")
    (folder / "atelier.json").write_text(json.dumps(settings, indent=2) + "\n")


def settings() -> dict:
    """How the pipeline is meant to be called; steps and strengths were chosen with `python -m
    demo.choose`."""
    return {
        **DEFAULTS,
        "draft": DRAFT,
        "native_size": 128,
        "max_area": 1.1,
        "output_scale": 4,
        "variation": {"subtle": 0.42, "strong": 0.85},
        "outpaint": {"strength": 0.95, "max_area": 1.0, "band": 8},
        "merged_lora": FORM_LORA,
        "vocabulary": " ".join(known_words()),
    }
