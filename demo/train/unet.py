"""Trains the image generator: its text encoder on captions alone, then its UNet on cached latents with that
encoder frozen; and assembles the pipeline.

A caption's scene is known, so every token has dense labels: at a noun, its object, colour and count; at the
end and at every padding token after it, both groups, the background and the style. A frozen encoder that
carries these lets the UNet learn binding ("a red cat above a blue star") from few pictures.
"""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import (
    AutoencoderTiny,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from tqdm import trange
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from demo.drawing import draw, layout, patches
from demo.train.loop import MODELS, WORK, Plan, Run, autocast, device, ship, to_tensor, trained_weights
from demo.world import (
    BACKGROUNDS,
    COLOUR_WORDS,
    COLOURS,
    LENGTH,
    OBJECT_WORDS,
    OBJECTS,
    REVERSE,
    SIZE_WORDS,
    STYLES,
    Caption,
    Encoder,
    Scene,
    build_clip,
    describe,
    known_words,
    training_scene,
)

WIDTH = 128
TEXT_BATCH = 128
TEXT_MIX = {"large": 0.1, "single": 0.3, "several": 0.15, "pair": 0.42, "empty": 0.03}
SIDES = ("any", "center", "left", "right", "top", "bottom")
SIDE_OF_RELATION = {"above": "top", "below": "bottom", "left": "left", "right": "right"}
IGNORE = -100
# What is asked at the end: two groups in the order of their names, then the background and the style.
SLOT = (len(OBJECTS) + 1, len(COLOURS) + 1, 5, len(SIDES))
SUMMARY = SLOT + SLOT + (len(BACKGROUNDS) + 1, len(STYLES) + 1)


def tokenizer_folder():
    return MODELS / "stable-diffusion" / "tokenizer"


def text_build(vocabulary: int, end: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
    )
    return CLIPTextModel(config)


def summary_labels(scene: Scene, caption: Caption) -> list[int]:
    """The labels of SUMMARY; what the words leave open is a class of its own (the last or, for sides, the
    first)."""
    labels = []
    for index in caption.order:
        group = scene.groups[index]
        side = "any"
        if caption.place_told:
            side = scene.place
            if len(scene.groups) == 2:
                side = SIDE_OF_RELATION[scene.place if index == 0 else REVERSE[scene.place]]
        colour = COLOURS.index(group.colour) if caption.colour_told[index] else len(COLOURS)
        labels += [OBJECTS.index(group.object), colour, group.count, SIDES.index(side)]
    labels += [len(OBJECTS), len(COLOURS), 0, 0] * (2 - len(caption.order))
    labels.append(BACKGROUNDS.index(scene.background) if caption.background_told else len(BACKGROUNDS))
    labels.append(STYLES.index(scene.style) if caption.style_told else len(STYLES))
    return labels


class DenseText(nn.Module):
    """The encoder and the heads that are thrown away after training."""

    def __init__(self, encoder: CLIPTextModel):
        super().__init__()
        self.encoder = encoder
        self.noun = nn.Linear(WIDTH, len(OBJECTS) + len(COLOURS) + 1 + 4)
        self.colour = nn.Linear(WIDTH, len(COLOURS))
        self.summary = nn.Linear(WIDTH, sum(SUMMARY))

    def losses(self, hidden: torch.Tensor, batch: "Batch") -> tuple[torch.Tensor, dict[str, float]]:
        """`hidden`: (B, L, WIDTH) of the batch's ids."""
        noun = self.noun(hidden[batch.noun_at[:, 0], batch.noun_at[:, 1]]).float()
        parts = noun.split((len(OBJECTS), len(COLOURS) + 1, 4), -1)
        loss = sum(F.cross_entropy(part, target) for part, target in zip(parts, batch.noun.T, strict=True))
        colour = self.colour(hidden[batch.colour_at[:, 0], batch.colour_at[:, 1]]).float()
        loss = loss + F.cross_entropy(colour, batch.colour)
        rows = torch.arange(len(hidden), device=hidden.device)
        right = []
        for position in (batch.end, batch.pad):
            parts = self.summary(hidden[rows, position]).float().split(SUMMARY, -1)
            loss = (
                loss
                + sum(
                    F.cross_entropy(part, target) for part, target in zip(parts, batch.summary.T, strict=True)
                )
                / 2
            )
            right.append(
                torch.stack([p.argmax(-1) == t for p, t in zip(parts, batch.summary.T, strict=True)])
                .all(0)
                .float()
                .mean()
            )
        return loss, {"end": right[0].item(), "pad": right[1].item()}


class Batch:
    """Captions as tensors, with the positions and labels of their nouns, colours and ends."""

    def __init__(self, pairs: list[tuple[Scene, Caption]], encoder: Encoder, rng: random.Random, length: int):
        ids, noun_at, noun, colour_at, colour, end, pad = [], [], [], [], [], [], []
        for row, (scene, caption) in enumerate(pairs):
            tokens, ends = encoder.words([word.text for word in caption.words], length)
            ids.append(tokens)
            coloured = set()
            for word, position in zip(caption.words, ends, strict=True):
                if position < 0 or not word.role:
                    continue
                group = scene.groups[word.group]
                if word.role == "colour":
                    coloured.add(word.group)
                    colour_at.append((row, position))
                    colour.append(COLOURS.index(group.colour))
                else:
                    noun_at.append((row, position))
                    known = COLOURS.index(group.colour) if word.group in coloured else len(COLOURS)
                    noun.append((OBJECTS.index(group.object), known, group.count - 1))
            end.append(tokens.index(encoder.end))
            pad.append(rng.randint(end[-1], length - 1))
        to = device()
        self.ids = torch.tensor(ids, device=to)  # (B, L)
        self.noun_at, self.noun = torch.tensor(noun_at, device=to), torch.tensor(noun, device=to)
        self.colour_at, self.colour = torch.tensor(colour_at, device=to), torch.tensor(colour, device=to)
        self.end, self.pad = torch.tensor(end, device=to), torch.tensor(pad, device=to)
        self.summary = torch.tensor([summary_labels(scene, caption) for scene, caption in pairs], device=to)


def text_train(steps: int = 1600):
    tokenizer = build_clip(tokenizer_folder())
    encoder = Encoder(tokenizer)
    torch.manual_seed(0)
    model = DenseText(text_build(len(tokenizer), tokenizer.eos_token_id)).to(device())
    run = Run("text", model, Plan(steps, lr=1.5e-3, weight_decay=0.02, betas=(0.9, 0.98), ema=0.995))

    def loss(rng):
        scenes = [training_scene(rng, TEXT_MIX) for _ in range(TEXT_BATCH)]
        # The far positions only ever hold padding: they are seen in every fourth batch.
        batch = Batch(
            [(s, describe(s, rng, noise=0.25)) for s in scenes],
            encoder,
            rng,
            rng.choice((40, 40, 48, LENGTH)),
        )
        with autocast():
            hidden = model.encoder(input_ids=batch.ids).last_hidden_state
            return model.losses(hidden, batch)

    run.train(loss)
    run.use_average()
    model.encoder.save_pretrained(WORK / "text_encoder")


# Layout
# ----------------------------------------------------------------------------------------------------------
# "a red house" may stand anywhere and "a cat and a star" in any order: the UNet, asked for all of these at
# once, draws some of each. `train_layout` lets the encoder choose.

CENTRED, LARGE = ("in", "the", "center"), "large"
BESIDE = ("left", "of")
LEFT_OPEN = {"and", ",", "with", "together", "next", "beside"}  # how two things are joined without an order


def settled(scene: Scene, caption: Caption) -> list[tuple[str, int]]:
    """The words of a caption with a layout where it leaves one open: a single thing is large and in the
    middle, the first of two stands left of the second. Each word comes with the index of the caption's own
    word that it stands for, -1 for none."""
    words = [(word.text, index) for index, word in enumerate(caption.words)]
    if not _leaves_layout_open(scene, caption):
        return words
    of_group = [[i for i, w in enumerate(caption.words) if w.role and w.group == g] for g in caption.order]
    if len(of_group) == 2:
        between = range(of_group[0][-1] + 1, of_group[1][0])
        joint = next((i for i in between if caption.words[i].text in LEFT_OPEN), None)
        if joint is None:
            return words
        after = joint + (2 if caption.words[joint].text in ("next", "together") else 1)
        left, of = ((word, joint + i if joint + i < after else -1) for i, word in enumerate(BESIDE))
        return [*words[:joint], left, of, *words[after:]]
    first, last = _start(scene, caption, of_group[0][0]), of_group[0][-1]
    size = [] if _tells_size(caption) else [(LARGE, -1)]
    place = [(word, -1) for word in CENTRED]
    return [*words[:first], *size, *words[first : last + 1], *place, *words[last + 1 :]]


def _leaves_layout_open(scene: Scene, caption: Caption) -> bool:
    """Whether it is for the encoder to choose where things stand; several of a thing stand as they do."""
    several = len(scene.groups) == 1 and scene.groups[0].count > 1
    return bool(scene.groups) and not several and not caption.place_told


def _tells_size(caption: Caption) -> bool:
    sizes = {word for size in ("small", "large") for word in SIZE_WORDS[size]}
    return not sizes.isdisjoint(word.text for word in caption.words)


def is_as_settled(scene: Scene, caption: Caption) -> bool:
    """Whether a scene has the layout that its caption tells or, where that leaves one open, the one that
    `settled` puts in."""
    if not _leaves_layout_open(scene, caption):
        return True
    if len(scene.groups) == 2:
        return (caption.order[0], scene.place) in ((0, "left"), (1, "right"))
    return scene.place == "center" and (_tells_size(caption) or scene.groups[0].size == LARGE)


def _start(scene: Scene, caption: Caption, at: int) -> int:
    """Where the words begin of the thing or colour that ends at index `at`: "a light [green] house"."""
    group = scene.groups[0]
    texts = [word.text for word in caption.words]
    phrases = [phrase.split() for phrase in (*OBJECT_WORDS[group.object], *COLOUR_WORDS[group.colour])]
    lengths = [len(phrase) for phrase in phrases if texts[: at + 1][-len(phrase) :] == phrase]
    return at + 1 - max(lengths, default=1)


def _aligned(
    encoder: Encoder, caption: Caption, chosen: list[tuple[str, int]], length: int
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """The `length` ids of a caption, those of its settled words (`chosen`), and the pairs of positions, in
    the one and in the other, that should say the same: each word's last token, the end, and all padding."""
    ids, ends = encoder.words([word.text for word in caption.words], length)
    others, other_ends = encoder.words([text for text, _ in chosen], length)
    of_words = [(ends[index], at) for (_, index), at in zip(chosen, other_ends, strict=True) if index >= 0]
    pairs = [(0, 0), *(pair for pair in of_words if min(pair) >= 0)]  # -1: cut off
    end, other_end = ids.index(encoder.end), others.index(encoder.end)
    pairs.append((end, other_end))
    pairs += [(at, min(max(at, other_end + 1), length - 1)) for at in range(end + 1, length)]
    return ids, others, pairs


def train_layout(steps: int = 900):
    """Teaches the encoder to say of a caption that leaves the layout open what it says of the same caption
    with one (`settled`), and of all others what it said before, by the mean square of hidden states. Writes
    WORK/text_encoder."""
    torch.manual_seed(0)
    encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
    folder = WORK / "text_encoder"
    if not folder.exists():
        folder = MODELS / "stable-diffusion" / "text_encoder"
    before = CLIPTextModel.from_pretrained(folder).float().to(device()).eval().requires_grad_(False)
    model = copy.deepcopy(before).requires_grad_(True).train()
    run = Run("text_layout", model, Plan(steps, lr=1e-3, decay=0.7, betas=(0.9, 0.98), ema=0.99))

    def loss(rng):
        length = rng.choice((40, 48, LENGTH))
        ids, others, places = [], [], []
        for row in range(TEXT_BATCH // 2):
            scene = training_scene(rng, TEXT_MIX)
            caption = describe(scene, rng, noise=0.25)
            own, other, pairs = _aligned(encoder, caption, settled(scene, caption), length)
            ids.append(own)
            others.append(other)
            places += [(row, at, other_at) for at, other_at in pairs]
        ids, others = (torch.tensor(rows, device=device()) for rows in (ids, others))  # (B, L) each
        row, at, other_at = torch.tensor(places, device=device()).T
        with autocast():
            hidden = model(input_ids=ids).last_hidden_state  # (B, L, WIDTH)
            with torch.no_grad():
                wanted = before(input_ids=others).last_hidden_state
        value = F.mse_loss(hidden[row, at].float(), wanted[row, other_at].float())
        return value, {"apart": value.item()}

    run.train(loss)
    run.use_average()
    model.save_pretrained(WORK / "text_encoder")


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
FORM_LORA = "form.safetensors"  # `demo.train.lora` writes it, anew for every new UNet
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
    demo.evaluate.choose`."""
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
