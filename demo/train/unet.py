"""Trains the image generator's UNet, and its text encoder once more by the UNet's loss; and writes the
pipeline.

The UNet learns from drawings' latents and, from the first step on, from what it draws of words alone
(`demo.train.corrections`).
"""

import json
import random
from functools import partial
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
from transformers import CLIPTextModel, CLIPTokenizer

from demo.drawing import draw, layout, patches
from demo.train import corrections
from demo.train.loop import PACK, WORK, Plan, Run, autocast, device, grown, shard, ship, to_tensor
from demo.train.text import SETTLED, WIDTH, is_as_settled, tokenizer_folder
from demo.world import COLOURS, LENGTH, OBJECT_WORDS, Encoder, Scene, describe, known_words, training_scene

FOLDER = PACK / "stable-diffusion"
CHANNELS = (96, 160, 192)
HEAD = 32
BATCH = 32
GRID = 16  # latent cells a side
FRONT = {"love", "half", "christmas", "sailing"}  # words of an object's name that name none alone
SHARD, SHARDS = 512, 240  # pictures; each kind of their scenes is as frequent as MIX has it
EVERY = 100  # steps between two new shards
HALF = BATCH // 2  # own pictures in a batch; the others are drawings
OWN_SHARD = 16  # pictures that it draws at once
WORDLESS = 0.1
MIX = {"large": 0.26, "single": 0.34, "several": 0.14, "pair": 0.24, "empty": 0.02}
DEFAULTS = {"num_inference_steps": 12, "guidance_scale": 3.0}
DRAFT = {"num_inference_steps": 6, "guidance_scale": 2.5}
PLACES_IN_WORDS = "at night, in the sky, at sea, on the grass, in the desert, in the snow, at sunset".split(
    ", "
)
# Where no words tell place and size, all seeds draw an object large and in the middle: `emphasis` leaves all
# other scenes out. So each picture of a grid is given one by its seed; four neighbours have four. Not in line
# art and pixel art, of which `compose` has no small ones.
VARIETY = {
    "ways": [
        "{}",
        "small {} on the left",
        "{} near the bottom",
        "small {} on the right",
        "{}",
        "large {}",
        "{} on the right",
        "small {} near the bottom",
    ],
    "bolder": ["{} near the top", "{} on the left"],
    "objects": " ".join(
        sorted(
            {word for words in OBJECT_WORDS.values() for phrase in words for word in phrase.split()} - FRONT
        )
    ),
    "unless": "small tiny little medium large big huge giant left right top bottom upper lower"
    " center centered middle two three four pair 2 3 4"
    " line outline ink coloring sketch pixel pixelated 8 retro",
}


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
        cross_attention_dim=WIDTH,
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


def kind(scene: Scene) -> str:
    """The kind of `demo.world.compose` that a scene belongs to."""
    if len(scene.groups) != 1:
        return "pair" if scene.groups else "empty"
    if scene.groups[0].count > 1:
        return "several"
    return "large" if scene.groups[0].size != "small" and scene.place in ("any", "center") else "single"


def emphasis(scene: Scene) -> float:
    """How often a scene is taken, against another of its kind: single things anywhere never, since no words
    tell where they are; line art, watercolor and three of a thing, which come out worst, more often."""
    alone = len(scene.groups) == 1 and scene.groups[0].count == 1
    if alone and scene.place == "any":
        return 0.0
    threes = any(group.count == 3 for group in scene.groups)
    return (3.0 if scene.style in ("outline", "watercolor") else 1.0) * (2.0 if threes else 1.0)


def autoencoder(folder: Path = WORK / "vae") -> AutoencoderTiny:
    """The autoencoder in float32; without a folder, the one whose decoder hasn't seen a generator yet."""
    model = AutoencoderTiny.from_pretrained(folder, torch_dtype=torch.float32)
    return model.to(device(), memory_format=torch.channels_last).requires_grad_(False)


@torch.no_grad()
def _drawn(index: int, vae: AutoencoderTiny) -> dict[str, np.ndarray]:
    """latents (SHARD, 4, rows, columns) of a shard's drawings, and their loss weights (SHARD, rows,
    columns)."""
    columns, rows = _shape(index)
    size = (8 * columns, 8 * rows)
    latents, weights, scenes = [], [], _scenes(index)
    for start in range(0, SHARD, 32):
        drawn = []
        for scene, rng in scenes[start : start + 32]:
            placed = layout(scene, rng, size)
            drawn.append(np.asarray(draw(scene, rng, size, placed)))
            weights.append(_weight(patches(placed, rows, columns) >= 0))
        with autocast():
            latents.append(vae.encoder(to_tensor(np.stack(drawn))).float().cpu().numpy().astype(np.float16))
    return {"latents": np.concatenate(latents), "weights": np.stack(weights).astype(np.float16)}


def _weight(covered: np.ndarray) -> np.ndarray:
    """The loss weight of each latent cell: small objects count about as much as large ones. (rows,
    columns)."""
    return 1 + covered * np.clip(60 / max(1, covered.sum()), 1, 5)


class Pool:
    """Encoded drawings, by shard; inside a shard, by kind, and inside a kind by `emphasis`."""

    def __init__(self):
        self.vae = autoencoder()
        self.scenes: list[list[Scene]] = []
        self.latents: list[torch.Tensor] = []  # (SHARD, 4, rows, columns) each
        self.weights: list[torch.Tensor] = []
        self.by_kind: list[dict[str, list[int]]] = []
        self.share: list[dict[str, list[float]]] = []  # of each picture in `by_kind`

    def grow(self, shards: int):
        """Takes in as many shards, drawing those that are not on disk."""
        for index in range(len(self.scenes), shards):
            arrays = shard(WORK / "latents" / f"{index:04d}.npz", partial(_drawn, index, self.vae))
            self.latents.append(torch.from_numpy(arrays["latents"]))
            self.weights.append(torch.from_numpy(arrays["weights"]))
            by_kind: dict[str, list[int]] = {}
            scenes = [scene for scene, _ in _scenes(index)]
            for place, scene in enumerate(scenes):
                if emphasis(scene):
                    by_kind.setdefault(kind(scene), []).append(place)
            self.scenes.append(scenes)
            self.by_kind.append(by_kind)
            self.share.append({k: [emphasis(scenes[i]) for i in v] for k, v in by_kind.items()})

    def sample(self, rng: random.Random, count: int, square: bool):
        """`count` scenes of one shape, a square one or, where some are drawn, another; their latents (B, 4,
        rows, columns) and loss weights (B, 1, rows, columns)."""
        squares = [i for i in range(len(self.scenes)) if _shape(i) == SHAPES[0]]
        others = [i for i in range(len(self.scenes)) if _shape(i) != SHAPES[0]]
        if others and not square:
            shards = [rng.choice(others)] * count
        else:
            shards = rng.choices(squares, k=count)
        kinds = rng.choices(list(MIX), list(MIX.values()), k=count)
        chosen = [
            (index, rng.choices(self.by_kind[index][name], self.share[index][name])[0])
            for index, name in zip(shards, kinds, strict=True)
        ]
        latents = torch.stack([self.latents[index][i] for index, i in chosen]).float()
        weights = torch.stack([self.weights[index][i] for index, i in chosen]).float()[:, None]
        return [self.scenes[index][i] for index, i in chosen], latents.to(device()), weights.to(device())


# Training
# ----------------------------------------------------------------------------------------------------------


def timesteps(count: int) -> torch.Tensor:
    """Stratified over 0 to 999, more of them at high noise, where the shapes are decided (the shift of Esser
    et al., 2024, arXiv:2403.03206)."""
    q = (torch.rand(1) + torch.arange(count) / count) % 1
    return (SHIFT * q / (1 + (SHIFT - 1) * q) * 1000).long().clamp(0, 999)


def own_pictures(model: UNet2DConditionModel, text: CLIPTextModel) -> corrections.Own:
    """Single things that the generator draws from words alone, and what they should have been: `drawn`,
    `meant` and `things` of `corrections.pairs`. Every second shard is a draft, as drafts are drawn worst."""
    segmenter, tokenizer = corrections.segmenter(), CLIPTokenizer.from_pretrained(tokenizer_folder())
    pipeline = StableDiffusionPipeline(
        autoencoder(), text, tokenizer, model, scheduler(), None, None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)

    @torch.no_grad()
    def make(index: int) -> dict[str, np.ndarray]:
        scenes, words, seeds = [], [], []
        for position in range(OWN_SHARD):
            rng = random.Random(f"own {index} {position}")
            scenes.append(corrections.single_scene(rng))
            words.append(describe(scenes[-1], rng, noise=0.2, drop=0).text)
            seeds.append(torch.Generator().manual_seed(rng.randrange(1 << 30)))
        settings = DEFAULTS if index % 2 else DRAFT
        with autocast():
            latents = pipeline(words, generator=seeds, output_type="latent", **settings).images
        return corrections.pairs(latents.float(), scenes, words, pipeline.vae, segmenter)

    return corrections.Own(WORK / "own", make)


class _Loss:
    """The mean square error of v (Salimans & Ho, 2022, arXiv:2202.00512) over a batch of drawings' latents,
    weighted by `_weight`. Of HALF a batch, as soon as the UNet draws what can be recognised, it is the error
    of the noise-free latents that the prediction leads to from its own pictures. Trained is what of `model`
    (the UNet) and `text` (its encoder) asks for gradients."""

    def __init__(
        self, run: Run, model: UNet2DConditionModel, text: CLIPTextModel, own: corrections.Own | None = None
    ):
        self.run, self.model, self.text, self.own, self.pool = run, model, text, own, Pool()
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.alphas = scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        self.pool.grow(grown(self.run.step, EVERY, SHARDS))
        square, own, words = rng.random() < SQUARE, [], []
        if self.own is not None:
            self.own.look(self.run.step)
            if square:
                own, words = self.own.sample(rng, HALF, ("drawn", "meant", "things"))
        count = len(words)
        scenes, z, weight = self.pool.sample(rng, BATCH - count, square)  # z: (B, 4, rows, columns)
        words += [tell(scene, rng) for scene in scenes]
        words = ["" if rng.random() < WORDLESS else told for told in words]
        ids = torch.tensor([self.encoder.text(told, LENGTH) for told in words], device=device())
        t = torch.cat([corrections.times(count), timesteps(len(scenes))]).to(device())
        a, noise = self.alphas[t].view(-1, 1, 1, 1), torch.randn(BATCH, *z.shape[1:], device=device())
        noisy = a.sqrt() * torch.cat([*own[:1], z]) + (1 - a).sqrt() * noise
        with autocast():
            hidden = self.text(input_ids=ids).last_hidden_state  # (B, 77, WIDTH)
            v = self.model(noisy.contiguous(memory_format=torch.channels_last), t, hidden).sample.float()
        target = (a.sqrt() * noise)[count:] - (1 - a).sqrt()[count:] * z
        value = ((v[count:] - target).square() * weight).mean() / weight.mean()
        figures = {"drawings": value.item(), "own": count}
        if count:
            _, meant, things = own
            apart = 1 + (corrections.THINGS - 1) * things[:, None]  # (B, 1, 16, 16)
            fit = corrections.error(v[:count], noisy[:count], a[:count], meant, apart)
            value, figures["fit"] = (fit + value) / 2, fit.item()
        return value, figures


def tell(scene: Scene, rng: random.Random) -> str:
    """A caption of which the picture is one that the text encoder chooses."""
    while True:
        caption = describe(scene, rng)
        if is_as_settled(scene, caption):
            return caption.text


def train(steps: int = 24000):
    """Trains the UNet from nothing with SETTLED frozen, and writes the pipeline."""
    torch.manual_seed(0)
    text = CLIPTextModel.from_pretrained(SETTLED).float().to(device()).eval().requires_grad_(False)
    run = Run("unet", build(), Plan(steps, lr=1e-3, decay=0.6, ema=0.993))
    model = run.model.train()
    run.train(_Loss(run, model, text, own_pictures(model, text)))
    run.use_average()
    write(StableDiffusionPipeline, model, WORK / "vae", SETTLED, FOLDER, settings())


def load(folder: Path = FOLDER) -> UNet2DConditionModel:
    """The UNet of a pipeline in `folder`, in float32."""
    model = build()
    made = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    model.load_state_dict(made.state_dict())
    return model


def tune_text(steps: int = 4000):
    """Trains the text encoder by the loss of the UNet, which stays as it is: on scenes laid out as their
    captions say or, where these don't, as `text.settled` chooses."""
    text = CLIPTextModel.from_pretrained(SETTLED).float().to(device()).train()
    run = Run("text_tune", text, Plan(steps, lr=3e-4, decay=0.8, ema=0.99))
    run.train(_Loss(run, load().requires_grad_(False), text))
    run.use_average()
    ship(text, FOLDER / "text_encoder")


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
    demo.evaluate.choose`."""
    return {
        **DEFAULTS,
        "draft": DRAFT,
        "native_size": 128,
        "max_area": 1.1,
        "output_scale": 4,
        "variation": {"subtle": 0.42, "strong": 0.85},
        "outpaint": {"strength": 0.95, "max_area": 1.0, "band": 8, "still": True},
        "variety": VARIETY,
        "style_seconds": 150,
        "vocabulary": " ".join(known_words()),
        "taste_words": {
            "colour": [f"{colour} {{}}" for colour in COLOURS],
            "place": PLACES_IN_WORDS,
            "medium": ["watercolor", "pixel art", "line art", "flat design"],
        },
    }
