"""Teaches the UNet, and then a LoRA of it, to go from what it drew to what it should have drawn.

A UNet that has learned from drawings alone takes what it makes of noise for a drawing: at every step it finds
again what it drew in the step before, an egg if it was an egg. Here it sees its own picture in the noise and
is asked for the ball (as imitation learning lets a learner act and has the teacher say what would have been
right: Ross et al., 2011, arXiv:1011.0686). What is drawn from nothing is wrong as a whole, and no drawing
lies beside it: so the drawing of the asked object is laid over what was drawn, moved and scaled until it
covers it best, and painted there on the ground of the picture itself.

The LoRA (Hu et al., 2021, arXiv:2106.09685) begins at what training changed of all weights, and learns on.
Pictures lie in shards on disk, made by several processes and taken in while others train.
"""

import json
import random
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny, StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFilter
from safetensors.torch import save_file
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer, UperNetForSemanticSegmentation

from demo.drawing import ARTISTS, FLOATING, OVERSAMPLING, PAINT, SIZE, Brush, Silhouette, mix
from demo.train import unet
from demo.train.loop import (
    MODELS,
    WORK,
    Plan,
    Run,
    autocast,
    device,
    put_weights,
    to_pictures,
    to_tensor,
    trained_weights,
    workers,
)
from demo.train.readers import SEGMENTER_SIZE as SEEN
from demo.train.readers import pixels
from demo.train.unet import DEFAULTS, DRAFT, tokenizer_folder
from demo.world import LENGTH, Encoder, Scene, describe, training_scene
from vision.diffusion import loras

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


def changes(before: torch.nn.Module, after: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What training made of each matrix and convolution of a model: layer → (out, in)."""
    old = dict(before.named_modules())
    return {
        name: (module.weight - old[name].weight.to(module.weight.device)).detach().flatten(1)
        for name, module in after.named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    }


def ranks(changes: dict[str, torch.Tensor], budget: int) -> dict[str, int]:
    """Layer → rank, such that most of the squares of all changes is kept by `budget` parameters. changes:
    layer → (out, in)."""
    directions = []
    for layer, change in changes.items():
        price = sum(change.shape)
        directions += [(float(s) ** 2 / price, price, layer) for s in torch.linalg.svdvals(change)]
    found: dict[str, int] = {}
    for _, price, layer in sorted(directions, reverse=True):
        if price > budget:
            break
        budget -= price
        found[layer] = found.get(layer, 0) + 1
    return found


@torch.no_grad()
def add(changes: dict[str, torch.Tensor], model: torch.nn.Module):
    """Adds changes, layer → (out, in), to a model's weights."""
    for layer, change in changes.items():
        weight = model.get_submodule(layer).weight
        weight += change.view_as(weight).to(weight.device)


class LowRank(torch.nn.Module):
    """A model, none of whose own weights is trained, with up · down added to those of some layers. The sums
    are made before each call, which trains faster than peft's layers, which compute beside the model's.

    changes: layer → (out, in), which up · down begin at, as far as `budget` parameters can hold them.
    """

    def __init__(self, model: torch.nn.Module, changes: dict[str, torch.Tensor], budget: int):
        super().__init__()
        self.model = (model.requires_grad_(False),)  # no part of this module: it has no weights to be kept
        self.ranks = ranks(changes, budget)
        self.down, self.up = torch.nn.ParameterList(), torch.nn.ParameterList()
        for layer, rank in self.ranks.items():
            u, s, v = torch.linalg.svd(changes[layer], full_matrices=False)
            self.down.append(s[:rank, None].sqrt() * v[:rank])
            self.up.append(u[:, :rank] * s[:rank].sqrt())

    def forward(self, *args):
        [model] = self.model
        weights = {}
        for layer, down, up in zip(self.ranks, self.down, self.up, strict=True):
            before = model.get_submodule(layer).weight
            weights[f"{layer}.weight"] = before + (up @ down).view_as(before)
        return torch.func.functional_call(model, weights, args)

    def changes(self) -> dict[str, torch.Tensor]:
        """What is added: layer → (out, in)."""
        parts = zip(self.ranks, self.down, self.up, strict=True)
        return {layer: (up @ down).detach() for layer, down, up in parts}

    def tensors(self) -> dict[str, torch.Tensor]:
        """The LoRA as diffusers' save_lora_weights names its tensors."""
        [model] = self.model
        found = {}
        for layer, down, up in zip(self.ranks, self.down, self.up, strict=True):
            weight = model.get_submodule(layer).weight
            found[f"unet.{layer}.lora_A.weight"] = down.detach().view(-1, *weight.shape[1:])
            found[f"unet.{layer}.lora_B.weight"] = up.detach().view(*up.shape, *[1] * (weight.ndim - 2))
        return found


def low_rank_train(name: str, model: LowRank, plan: Plan, loss: Callable[[Run, LowRank], Callable]):
    """Trains the LoRA as a stage and leaves it with its average. loss: makes what `Run.train` takes."""
    torch.manual_seed(0)
    run = Run(name, model, plan)
    run.train(loss(run, model), save_every=100)
    run.use_average()


def write(model: LowRank, folder: Path, name: str, card: dict):
    """Writes the LoRA beside the parts of the pipeline in `folder`, in float8, which its sums lose next to
    nothing by, and the card that names it."""
    small = {name: tensor.cpu().to(torch.float8_e4m3fn) for name, tensor in model.tensors().items()}
    (folder / loras.FOLDER).mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in small.items()}, folder / loras.FOLDER / name)
    (folder / "atelier.json").write_text(json.dumps(card, indent=2) + "\n")


def shards_make(folder: Path, first: int, count: int, shard: Callable[[int], dict[str, np.ndarray]]):
    """Writes `count` shards from `first` on as `shard` makes them, several processes each their share; those
    already on disk are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    rank, world = workers()
    for index in tqdm(range(first + rank, first + count, world), desc=folder.name, mininterval=5):
        path = folder / f"{index:04d}.npz"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.savez(file, **shard(index))
            part.replace(path)


class Shards:
    """All shards of a folder so far. rounds: the first shard of each round; as much is taken of each."""

    def __init__(self, folder: Path, rounds: tuple[int, ...]):
        self.folder, self.starts = folder, [f"{first:04d}" for first in (*rounds, 9999)]
        self.shards: dict[str, dict[str, np.ndarray]] = {}
        self.refresh()

    def refresh(self):
        """Takes in shards that are new on disk."""
        for path in sorted(self.folder.glob("*.npz")):
            if path.name not in self.shards:
                with np.load(path) as arrays:
                    self.shards[path.name] = {name: arrays[name] for name in arrays.files}
        rounds = [[n for n in self.shards if a <= n < b] for a, b in pairwise(self.starts)]
        self.rounds = [names for names in rounds if names]

    def sample(
        self, rng: random.Random, count: int, parts: tuple[str, ...]
    ) -> tuple[list[torch.Tensor], list[str]]:
        """Those parts of `count` pictures, (B, …) float32, and the words. Raises FileNotFoundError when there
        are no shards."""
        if not self.rounds:
            raise FileNotFoundError(
                f"no shards in {self.folder}: its pictures aren't made yet (demo.train.STAGES)"
            )
        names = [rng.choice(rng.choice(self.rounds)) for _ in range(count)]
        chosen = [(self.shards[name], rng.randrange(len(self.shards[name]["words"]))) for name in names]
        arrays = [np.stack([shard[part][i] for shard, i in chosen]) for part in parts]
        tensors = [torch.from_numpy(array).float().to(device()) for array in arrays]
        return tensors, [str(shard["words"][i]) for shard, i in chosen]


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
    add(changes, pipeline.unet)
    _make(shards, first, pipeline)


def _generator() -> StableDiffusionPipeline:
    """The pack's, without its LoRA."""
    pipeline = StableDiffusionPipeline.from_pretrained(MODELS / "stable-diffusion", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device())


def _make(shards: int, first: int, pipeline: StableDiffusionPipeline):
    seer = segmenter()
    shards_make(FOLDER, first, shards, lambda index: _shard(index, pipeline, seer))


HALF = unet.BATCH // 2  # pairs in a batch; the others are drawings
WORDLESS = 0.1
THINGS = 3.0  # how much a cell counts in which what was drawn and what was meant differ, against the others
BUDGET, WIDE = 740_000, 2_400_000  # parameters of the LoRAs, a byte each in the pack


class _Loss:
    """Of HALF pairs the mean square error of the noise-free latents that the prediction leads to, and of as
    many drawings the UNet's own loss, so that all else stays as it was."""

    def __init__(self, run: Run, model: torch.nn.Module):
        self.run, self.model = run, model
        self.pairs = Shards(FOLDER, ROUNDS)
        self.pool = unet.Pool(unet.tellable)
        text = CLIPTextModel.from_pretrained(MODELS / "stable-diffusion" / "text_encoder")
        self.text = text.float().to(device()).eval().requires_grad_(False)
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.alphas = unet.scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        if self.run.step % 100 == 0:
            self.pairs.refresh()
        (drawn, meant, things), words = self.pairs.sample(rng, HALF, ("drawn", "meant", "things"))
        scenes, z, weight = self.pool.sample(rng, unet.FORM, unet.BATCH - HALF, square_share=1.0)
        words += [unet.tell_settled(scene, rng) for scene in scenes]
        words = ["" if rng.random() < WORDLESS else told for told in words]
        ids = torch.tensor([self.encoder.text(told, LENGTH) for told in words], device=device())
        t = torch.cat([times(HALF), unet.timesteps(len(scenes))]).to(device())
        a, noise = self.alphas[t].view(-1, 1, 1, 1), torch.randn(len(t), *z.shape[1:], device=device())
        noisy = a.sqrt() * torch.cat([drawn, z]) + (1 - a).sqrt() * noise
        with autocast():
            hidden = self.text(input_ids=ids).last_hidden_state
            v = self.model(noisy.contiguous(memory_format=torch.channels_last), t, hidden).sample.float()
        things = 1 + (THINGS - 1) * things[:, None]  # (B, 1, 16, 16)
        fit = error(v[:HALF], noisy[:HALF], a[:HALF], meant, things)
        target = (a.sqrt() * noise)[HALF:] - (1 - a).sqrt()[HALF:] * z
        own = ((v[HALF:] - target).square() * weight).mean() / weight.mean()
        return (fit + own) / 2, {"fit": fit.item(), "own": own.item()}


def train(steps: int = 900):
    """Trains the whole UNet on pairs, from the shipped one. Its weights aren't shipped: they say where a LoRA
    has to change something, and draw the pairs that follow."""
    torch.manual_seed(0)
    run = Run("unet_fitted", unet.build(), Plan(steps, lr=2e-4, warmup=50, decay=0.6, ema=0.99))
    if run.step == 0:
        run.start_from(list(unet.shipped_unet().parameters()))
    run.train(_Loss(run, run.model.train()), save_every=100)


# The LoRA
# ------------------------------------------------------------------------------------------------------------


def _changes() -> dict[str, torch.Tensor]:
    """What `train` made of each matrix and convolution."""
    after = unet.build()
    put_weights(after, trained_weights("unet_fitted", untrained))
    return changes(unet.shipped_unet(), after)


def _network() -> torch.nn.Module:
    network = unet.build()
    network.load_state_dict(unet.shipped_unet().state_dict())
    return network


def train_lora(steps: int = 1800):
    """Trains a LoRA from what `train` changed most, on all pairs there are."""
    plan = Plan(steps, lr=6e-4, weight_decay=0.0, warmup=50, decay=0.8, ema=0.99)
    low_rank_train("form_lora", LowRank(_network(), _changes(), BUDGET), plan, _Loss)


def _trained_lora(stage: str) -> LowRank:
    """The LoRA as a stage left it."""
    model = LowRank(_network(), _changes(), BUDGET)
    put_weights(model, trained_weights(stage, untrained))
    return model


def make_last(shards: int = 20):
    """Makes pairs with the LoRA of `train_lora`."""
    make_with(_trained_lora("form_lora").changes(), ROUNDS[2], shards)


def refine_lora(steps: int = 1100):
    """Goes on from the end of `train_lora` with pairs that were drawn with it."""
    plan = Plan(steps, lr=4e-4, weight_decay=0.0, warmup=50, decay=0.9, ema=0.99)
    low_rank_train("form_lora_refine", _trained_lora("form_lora"), plan, _Loss)


def _half_way() -> dict[str, torch.Tensor]:
    """Half of what all weights have learned and half of the LoRA's: together they draw better than either
    alone (as averages of weights often do: Wortsman et al., 2022, arXiv:2203.05482)."""
    both = {layer: 0.5 * change for layer, change in _changes().items()}
    for layer, change in _trained_lora("form_lora_refine").changes().items():
        both[layer] += 0.5 * change
    return both


def make_wide(shards: int = 10):
    """Makes pairs by what `widen_lora` begins at."""
    make_with(_half_way(), ROUNDS[3], shards)


def widen_lora(steps: int = 2400):
    """Trains a larger LoRA, and ships it."""
    model = LowRank(_network(), _half_way(), WIDE)
    plan = Plan(steps, lr=3e-4, weight_decay=0.0, warmup=50, decay=0.9, ema=0.99)
    low_rank_train("form_lora_wide", model, plan, _Loss)
    if workers()[0] == 0:
        write(model, MODELS / "stable-diffusion", unet.FORM_LORA, unet.settings())
