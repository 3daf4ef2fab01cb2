"""Trains the editor: a copy of the generator's text encoder that reads instructions, and a UNet that edits.

The UNet starts from the generator's with four more input channels, at nothing, for the latents of the picture
that is edited, as InstructPix2Pix did (Brooks et al., 2022, arXiv:2211.09800, section 3.2), and learns on
pairs of drawn pictures. At the end and at every padding token the text encoder must know what is to be
changed into what; what it says of captions is held to what the shipped one says, so that the generator's
UNet, from which the editor starts, goes on understanding it.

Then the UNet, and a LoRA of it, learn to go from what they made of an edit to its answer, as
`demo.train.lora` tells the generator: a colour that was missed in the first step is found again in all
others.
"""

import copy
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import AutoencoderTiny, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from scipy import ndimage
from transformers import CLIPTextModel, CLIPTokenizer

from demo.drawing import SIZE
from demo.train import lora, unet
from demo.train.edit_words import SUMMARY, Edit, instruct, instruction_words, training_edit
from demo.train.loop import (
    MODELS,
    WORK,
    Plan,
    Run,
    autocast,
    device,
    put_weights,
    ship,
    to_pictures,
    to_tensor,
    trained_weights,
    workers,
)
from demo.train.lora import Shards
from demo.train.lora import shards_make as make_shards
from demo.train.unet import TEXT_MIX, WIDTH, tokenizer_folder
from demo.world import LENGTH, Encoder, describe, known_words, training_scene

TEXT_BATCH = 64  # instructions
CAPTIONS = 16
TEXT_FOLDER = WORK / "edit_text"


def text_folder() -> Path:
    """Where the encoder lies that was trained last; without one, the shipped one."""
    return TEXT_FOLDER if TEXT_FOLDER.exists() else MODELS / "edit" / "text_encoder"


def reader() -> CLIPTextModel:
    """That encoder in float32."""
    return CLIPTextModel.from_pretrained(text_folder()).float()


class Reader(nn.Module):
    """The encoder, and a head that is thrown away after training."""

    def __init__(self, encoder: CLIPTextModel):
        super().__init__()
        self.encoder = encoder
        self.summary = nn.Linear(WIDTH, sum(SUMMARY))


def text_train(steps: int = 500):
    """Writes the encoder to FOLDER; held to the shipped one's hidden states by their mean square."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder())
    encoder = Encoder(tokenizer)
    shipped = CLIPTextModel.from_pretrained(MODELS / "stable-diffusion" / "text_encoder").float().to(device())
    model = Reader(copy.deepcopy(shipped)).to(device()).train()
    shipped.eval().requires_grad_(False)
    run = Run("edit_text", model, Plan(steps, lr=1e-3, decay=0.6, betas=(0.9, 0.98), ema=0.99))

    def loss(rng):
        length = rng.choice((32, 32, 40, LENGTH))
        asked = [instruct(training_edit(rng), rng) for _ in range(TEXT_BATCH)]
        texts = [one.text for one in asked]
        texts += [describe(training_scene(rng, TEXT_MIX), rng).text for _ in range(CAPTIONS)]
        ids = torch.tensor([encoder.text(text, length) for text in texts], device=device())
        labels = torch.tensor([one.labels for one in asked], device=device())
        end = (ids[:TEXT_BATCH] == encoder.end).int().argmax(1)
        pad = end + ((length - end) * torch.rand(TEXT_BATCH, device=device())).long()
        rows = torch.arange(TEXT_BATCH, device=device())
        with autocast():
            hidden = model.encoder(input_ids=ids).last_hidden_state  # (B, L, WIDTH)
            with torch.no_grad():
                before = shipped(input_ids=ids[TEXT_BATCH:]).last_hidden_state
            value = F.mse_loss(hidden[TEXT_BATCH:].float(), before.float())
            figures = {"apart": value.item()}
            for name, position in (("end", end), ("pad", pad)):
                parts = model.summary(hidden[rows, position]).float().split(SUMMARY, -1)
                told = zip(parts, labels.T, strict=True)
                value = value + sum(F.cross_entropy(part, target) for part, target in told) / 2
                right = [p.argmax(-1) == t for p, t in zip(parts, labels.T, strict=True)]
                figures[name] = torch.stack(right).all(0).float().mean().item()
        return value, figures

    run.train(loss)
    run.use_average()
    model.encoder.save_pretrained(TEXT_FOLDER)


BATCH = 32
SHARD = 1024  # pairs
SHARDS = 40
EVERY = 60  # steps between two new shards
UNTOLD = 0.05  # shares of the batch: no words; no picture; neither
GAIN = 8.0  # the picture's latents are trained so much larger, so that their weights, from zero, grow as fast
SOFT = 0.3  # share of the sources with a little noise, as pictures have that were not drawn
DEFAULTS = {
    "num_inference_steps": 12,
    "guidance_scale": 3.0,
    "image_guidance_scale": 1.5,
    "relevance_threshold": 0.18,
}
DRAFT = {"num_inference_steps": 6, "guidance_scale": 3.0}
FOLDER = WORK / "edit_pairs"
OWN_LORA = "own.safetensors"  # written by `train_own`, anew for every new UNet


def widen(model: UNet2DConditionModel, channels: int = 8) -> UNet2DConditionModel:
    """The same UNet with more input channels; the new ones begin at zero."""
    old = model.conv_in
    new = torch.nn.Conv2d(channels, old.out_channels, old.kernel_size, padding=old.padding)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
        new.bias.copy_(old.bias)
    model.conv_in = new
    model.register_to_config(in_channels=channels)
    return model.to(device())


def start() -> UNet2DConditionModel:
    """The generator's UNet, widened; of the last stage where that has been trained, else the shipped one."""
    model = unet.build()
    put_weights(model, trained_weights("unet_hard", unet.shipped_unet))
    return widen(model)


# Pairs
# -----------------------------------------------------------------------------------------------------------


def _shape(shard: int) -> tuple[int, int]:
    """The shape of all of a shard's pictures in latent cells: every sixth goes to the next of the others."""
    return unet.SHAPES[1 + shard // 6 % 6] if shard % 6 == 5 else unet.SHAPES[0]


def _edits(shard: int) -> list[Edit]:
    size = tuple(8 * cells for cells in _shape(shard))
    return [training_edit(random.Random(f"edit {shard} {index}"), size) for index in range(SHARD)]


@torch.no_grad()
def encode_pairs(shard: int, vae: AutoencoderTiny):
    """Draws and encodes a shard of pairs: (SHARD, 2, 4, rows, columns), before and after."""
    size = tuple(8 * cells for cells in _shape(shard))
    edits, latents = _edits(shard), []
    for first in range(0, SHARD, 16):
        drawn = [np.asarray(picture) for edit in edits[first : first + 16] for picture in edit.pictures(size)]
        with autocast():
            z = vae.encoder(to_tensor(np.stack(drawn))).float().cpu().numpy().astype(np.float16)
        latents.append(z.reshape(-1, 2, *z.shape[1:]))
    FOLDER.mkdir(parents=True, exist_ok=True)
    part = FOLDER / f"{shard:04d}.part"
    with part.open("wb") as file:
        np.save(file, np.concatenate(latents))
    part.replace(FOLDER / f"{shard:04d}.npy")


def weights(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The loss weight of each latent cell: what changes counts about as much as all that stays.
    (B, 1, rows, columns)."""
    changed = ((after - before).abs().amax(1, keepdim=True) > 0.25).float()
    share = changed.mean((1, 2, 3), keepdim=True)
    return 1 + changed * (0.6 / share.clamp(min=0.02)).clamp(0.5, 6)


class Pairs:
    """All encoded pairs, by shard."""

    def __init__(self):
        vae = unet.made("vae")
        self.vae = AutoencoderTiny.from_pretrained(vae, torch_dtype=torch.float32).to(
            device(), memory_format=torch.channels_last
        )
        self.edits: list[list[Edit]] = []
        self.latents: list[torch.Tensor] = []  # (SHARD, 2, 4, rows, columns) each

    def grow(self, shards: int):
        """Takes in as many shards, drawing those that are not on disk."""
        for shard in range(len(self.edits), shards):
            path = FOLDER / f"{shard:04d}.npy"
            if not path.exists():
                encode_pairs(shard, self.vae)
            self.latents.append(torch.from_numpy(np.load(path)))
            self.edits.append(_edits(shard))

    def sample(self, rng: random.Random, count: int, square_share: float = unet.SQUARE):
        """`count` edits of one shape and their latents before and after, (B, 4, rows, columns) each."""
        square = [i for i in range(len(self.edits)) if _shape(i) == unet.SHAPES[0]]
        other = [i for i in range(len(self.edits)) if i not in square]
        if other and rng.random() > square_share:
            shards = [rng.choice(other)] * count
        else:
            shards = rng.choices(square, k=count)
        chosen = [(shard, rng.randrange(SHARD)) for shard in shards]
        latents = torch.stack([self.latents[shard][i] for shard, i in chosen]).float().to(device())
        return [self.edits[shard][i] for shard, i in chosen], latents[:, 0], latents[:, 1]


# Training
# -----------------------------------------------------------------------------------------------------------


def timesteps(count: int) -> torch.Tensor:
    """Stratified over 0 to 999, more where next to nothing but noise is seen: what stays is decided there."""
    q = (torch.rand(1) + torch.arange(count) / count) % 1
    return (1000 * q**0.6).long().clamp(0, 999)


def shown(
    rng: random.Random, before: torch.Tensor, words: list[str], always: int = 0
) -> tuple[torch.Tensor, list[str]]:
    """The pictures, (B, 4, rows, columns), and the words as the editor learns from them: some pictures have a
    little noise; UNTOLD of the edits have no words, as many no picture, as many neither, but for the first
    `always`."""
    left_out = torch.tensor([rng.random() for _ in words])
    left_out[:always] = 1
    wordless, blind = left_out < 2 * UNTOLD, (left_out > UNTOLD) & (left_out < 3 * UNTOLD)
    told = ["" if untold else text for untold, text in zip(wordless.tolist(), words, strict=True)]
    soft = torch.tensor([rng.uniform(0, 0.1) * (rng.random() < SOFT) for _ in words], device=device())
    seen = before + soft.view(-1, 1, 1, 1) * torch.randn_like(before)
    return seen * ~blind.to(device()).view(-1, 1, 1, 1), told


def train(steps: int = 4000):
    """From the generator's UNet, which has never seen a picture to edit."""
    torch.manual_seed(0)
    _train(Run("edit", start(), Plan(steps, lr=6e-4, decay=0.75, ema=0.996)))


def shipped_editor() -> UNet2DConditionModel:
    """The shipped editor's UNet, with its picture's latents as large as they are trained."""
    model = UNet2DConditionModel.from_pretrained(MODELS / "edit" / "unet", torch_dtype=torch.float32)
    with torch.no_grad():
        model.conv_in.weight[:, model.config.out_channels :] /= GAIN
    return model


def refine(steps: int = 5000):
    """Goes on from the end of `train`; where its checkpoint is gone, from the shipped editor."""
    torch.manual_seed(0)
    run = Run("edit_refine", widen(unet.build()), Plan(steps, lr=2.5e-4, decay=0.9, ema=0.99))
    if run.step == 0:
        run.start_from(trained_weights("edit", shipped_editor))
    _train(run)


def _train(run: Run):
    """Trains `run.model`, the UNet, with the text encoder as it is."""
    words = reader().to(device()).eval().requires_grad_(False)
    run.train(_Loss(run, run.model.train(), words), save_every=100)
    if run.rank == 0:
        assemble(run)


class _Loss:
    """The mean square error of v over a batch of pairs, as the generator's, weighted by `weights`; words,
    picture or both are left out now and then, for guidance by either. Trained is what of `model` (the UNet)
    and `words` (its text encoder) asks for gradients."""

    def __init__(self, run: Run, model: UNet2DConditionModel, words: CLIPTextModel):
        self.run, self.model, self.words = run, model, words
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.pairs = Pairs()
        self.alphas = unet.scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        self.pairs.grow(min(SHARDS, 4 + self.run.step // EVERY))
        edits, before, after = self.pairs.sample(rng, BATCH)
        seen, texts = shown(rng, before, [instruct(edit, rng).text for edit in edits])
        ids = torch.tensor([self.encoder.text(t, LENGTH) for t in texts], device=device())
        t = timesteps(BATCH).to(device())
        noise = torch.randn_like(after)
        a = self.alphas[t].view(-1, 1, 1, 1)
        noisy, target = a.sqrt() * after + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * after
        with autocast():
            hidden = self.words(input_ids=ids).last_hidden_state  # (B, 77, WIDTH)
            v = self.model(torch.cat([noisy, GAIN * seen], 1), t, hidden).sample.float()
        square, weight = (v - target).square(), weights(before, after)
        stays = weight == 1
        return (square * weight).mean() / weight.mean(), {
            "changes": square[(~stays).expand_as(square)].mean().item(),
            "stays": square[stays.expand_as(square)].mean().item(),
        }


def tune_text(steps: int = 3600):
    """Trains the text encoder by the loss of the UNet, which stays as it is, and writes text.FOLDER. It had
    learned from instructions alone."""
    torch.manual_seed(0)
    words = reader().to(device()).train()
    run = Run("edit_text_tune", words, Plan(steps, lr=3e-4, decay=0.8, ema=0.99))
    model = widen(unet.build()).requires_grad_(False)
    model.load_state_dict(shipped_editor().state_dict())
    run.train(_Loss(run, model, words), save_every=100)
    run.use_average()
    words.save_pretrained(TEXT_FOLDER)
    ship(words, MODELS / "edit" / "text_encoder")


def assemble(run: Run | None = None, folder: Path = MODELS / "edit"):
    """Writes the editor's pipeline from the newest checkpoint, in float16, without the autoencoder, which is
    the generator's."""
    if run is None:
        run = Run("edit", start(), Plan(1, lr=0))
    run.use_average()
    with torch.no_grad():
        run.model.conv_in.weight[:, run.model.config.out_channels :] *= GAIN
    kind = StableDiffusionInstructPix2PixPipeline
    unet.write(kind, run.model, unet.made("vae"), text_folder(), folder, settings(), unet.PLAIN)
    shutil.rmtree(folder / "vae")


def settings() -> dict:
    """How the pipeline is meant to be called."""
    generator = unet.settings()
    kept = {key: generator[key] for key in ("native_size", "max_area", "output_scale")}
    words = sorted({*known_words(), *instruction_words()})
    shared = dict.fromkeys(("vae", "upscaler"), "stable-diffusion")
    return {
        **DEFAULTS,
        "draft": DRAFT,
        **kept,
        "shared": shared,
        "merged_lora": OWN_LORA,
        "vocabulary": " ".join(words),
    }


OWN_FOLDER = WORK / "edit_own"
OWN_SHARD = 256  # edits
# The first shards of four rounds: made by the shipped editor, by what learned from these, and twice with the
# LoRA that had learned from those before.
ROUNDS = (0, 100, 200, 300)
AT_ONCE = 16
# How many of a kind's edits are made: of those more that come out badly, and that do after the first round.
MIX = {"colour": 0.5, "thing": 1.0, "background": 0.4, "style": 0.6, "add": 0.8, "remove": 0.7}
MIX_AGAIN = {"colour": 0.4, "thing": 0.8, "background": 0.3, "style": 1.0, "add": 0.8, "remove": 1.0}
NEW = 0.5  # of a pixel, from which on it shows a thing
GUIDANCE = {name: DEFAULTS[name] for name in ("guidance_scale", "image_guidance_scale")}


def own_edit(rng: random.Random, again: bool = False) -> Edit:
    """A training edit, of those kinds more that come out badly."""
    mix = MIX_AGAIN if again else MIX
    while True:
        edit = training_edit(rng)
        if rng.random() < mix[edit.kind]:
            return edit


def meant(edit: Edit, mask: np.ndarray) -> Edit | None:
    """The edit whose answer a picture comes nearest to: where something is added, its words mostly leave
    open where, so that it lies where `mask`, (SIZE, SIZE) of 0 to 1, what shows a thing, has something new.
    None where nothing is recognised there."""
    if edit.kind != "add" or len(edit.changed) != 1:
        return edit
    [new] = edit.changed
    outline = edit.after.style == "outline"
    there = np.zeros_like(mask)
    for thing in edit.placed[0]:
        place = (SIZE * thing.x, SIZE * thing.y, 1.15 * SIZE * thing.half)
        there = np.maximum(there, lora.silhouette(thing.object, place, outline))
    free = mask * (there == 0)
    part = largest(free > NEW)
    if part.sum() < 0.01 * SIZE * SIZE:
        return None
    (x, y, half), overlap = lora.fit(free * part, new.object, outline)
    if overlap < lora.LEAST:
        return None
    moved = replace(new, x=x / SIZE, y=y / SIZE, half=half / SIZE)
    placed = tuple(moved if thing is new else thing for thing in edit.placed[1])
    return replace(edit, placed=(edit.placed[0], placed))


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask, (SIZE, SIZE) bool."""
    labels, count = ndimage.label(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]) if count else mask


@torch.no_grad()
def _shard(index: int, editor: StableDiffusionInstructPix2PixPipeline, segmenter) -> dict[str, np.ndarray]:
    """`drawn`, `before` and `after`, latents (N, 4, 16, 16) float16 each, and the `words`; every second shard
    is a draft."""
    settings = DRAFT if index % 2 else DEFAULTS
    parts = []
    for start in range(0, OWN_SHARD, AT_ONCE):
        edits, words, seeds = [], [], []
        for position in range(start, start + AT_ONCE):
            rng = random.Random(f"own edit {index} {position}")
            edits.append(own_edit(rng, again=index >= ROUNDS[1]))
            words.append(instruct(edits[-1], rng).text)
            seeds.append(torch.Generator().manual_seed(rng.randrange(1 << 30)))
        before = _encoded([edit.pictures()[0] for edit in edits], editor.vae)
        with autocast():
            drawn = editor(
                words,
                image=before,
                generator=seeds,
                num_inference_steps=settings["num_inference_steps"],
                output_type="latent",
                **GUIDANCE,
            ).images.float()
            pictures = to_pictures(editor.vae.decode(drawn).sample)
        answers = map(meant, edits, lora.things_in(pictures, segmenter))
        known = [(i, answer) for i, answer in enumerate(answers) if answer is not None]
        kept = [i for i, _ in known]
        after = _encoded([answer.pictures()[1] for _, answer in known], editor.vae)
        latents = {"drawn": drawn[kept], "before": before[kept], "after": after}
        part = {name: z.cpu().numpy().astype(np.float16) for name, z in latents.items()}
        parts.append({**part, "words": np.array([words[i] for i in kept], str)})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _encoded(pictures: list, vae) -> torch.Tensor:
    """Latents (B, 4, 16, 16) of drawn pictures."""
    with autocast():
        return vae.encoder(to_tensor(np.stack([np.asarray(picture) for picture in pictures]))).float()


def _make(shards: int, first: int, editor: StableDiffusionInstructPix2PixPipeline):
    segmenter = lora.segmenter()
    make_shards(OWN_FOLDER, first, shards, lambda index: _shard(index, editor, segmenter))


def _editor() -> StableDiffusionInstructPix2PixPipeline:
    """The pack's, without its LoRA."""
    vae = AutoencoderTiny.from_pretrained(MODELS / "stable-diffusion" / "vae", torch_dtype=torch.float32)
    editor = StableDiffusionInstructPix2PixPipeline.from_pretrained(
        MODELS / "edit", vae=vae, torch_dtype=torch.float32
    )
    editor.set_progress_bar_config(disable=True)
    return editor.to(device())


def make(shards: int = 20):
    """Makes `shards` x SHARD edits in FOLDER, several processes each their share; those already on disk are
    kept."""
    _make(shards, 0, _editor())


def make_again(shards: int = 12):
    """Makes more, by the editor that has learned from those before."""
    editor = _editor()
    put_weights(editor.unet, trained_weights("edit_own", lora.untrained))
    _make(shards, ROUNDS[1], editor)


def make_with(changes: dict[str, torch.Tensor], first: int, shards: int):
    """Makes more, by the editor with `changes` (layer → what is added, (out, in)) added to its UNet."""
    editor = _editor()
    lora.add(changes, editor.unet)
    _make(shards, first, editor)


HALF = BATCH // 2  # own edits in a batch; the others are drawings
APART = 0.25  # by which a cell differs whose loss counts more: of drawing and answer, or before and after
THINGS = 4.0  # how much more
BUDGET = 1_800_000  # parameters of the LoRA, a byte each in the pack
PLAN = {"weight_decay": 0.0, "warmup": 50, "decay": 0.8, "ema": 0.99}


class _OwnLoss:
    """Of HALF own edits the mean square error of the noise-free latents that the prediction leads to, and of
    as many drawn ones the editor's own loss."""

    def __init__(self, run: Run, model: torch.nn.Module):
        self.run, self.model = run, model
        self.own, self.drawings = Shards(OWN_FOLDER, ROUNDS), Pairs()
        self.words = reader().to(device()).eval().requires_grad_(False)
        self.encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
        self.alphas = unet.scheduler().alphas_cumprod.to(device())

    def __call__(self, rng: random.Random) -> tuple[torch.Tensor, dict[str, float]]:
        if self.run.step % 100 == 0:
            self.own.refresh()
        self.drawings.grow(min(SHARDS, 6 + self.run.step // (2 * EVERY)))
        (source, drawn, meant), words = self.own.sample(rng, HALF, ("before", "drawn", "after"))
        edits, before, after = self.drawings.sample(rng, BATCH - HALF, square_share=1.0)
        words += [instruct(edit, rng).text for edit in edits]
        # without words and picture it can't be known what an own edit should have been
        seen, words = shown(rng, torch.cat([source, before]), words, always=HALF)
        ids = torch.tensor([self.encoder.text(told, LENGTH) for told in words], device=device())
        t = torch.cat([lora.times(HALF), timesteps(len(edits))]).to(device())
        a, noise = self.alphas[t].view(-1, 1, 1, 1), torch.randn_like(seen)
        noisy = a.sqrt() * torch.cat([drawn, after]) + (1 - a).sqrt() * noise
        with autocast():
            hidden = self.words(input_ids=ids).last_hidden_state
            v = self.model(torch.cat([noisy, seen], 1), t, hidden).sample.float()
        apart = torch.maximum((meant - source).abs(), (meant - drawn).abs()).amax(1, keepdim=True) > APART
        things = 1 + (THINGS - 1) * apart.float()
        fit = lora.error(v[:HALF], noisy[:HALF], a[:HALF], meant, things)
        target = (a.sqrt() * noise)[HALF:] - (1 - a).sqrt()[HALF:] * after
        weight = weights(before, after)
        drawings = ((v[HALF:] - target).square() * weight).mean() / weight.mean()
        return (fit + drawings) / 2, {"fit": fit.item(), "drawings": drawings.item()}


def train_own(steps: int = 900):
    """Trains the editor's whole UNet on own edits, from the shipped one. Its weights aren't shipped: they say
    where a LoRA has to change something, and make the edits that follow."""
    torch.manual_seed(0)
    run = Run("edit_own", _network(), Plan(steps, lr=2e-4, warmup=50, decay=0.6, ema=0.99))
    run.train(_OwnLoss(run, run.model.train()), save_every=100)


def _network() -> torch.nn.Module:
    """The shipped editor's UNet without its LoRA; its picture's latents are as large as they are."""
    shipped = UNet2DConditionModel.from_pretrained(MODELS / "edit" / "unet", torch_dtype=torch.float32)
    model = widen(unet.build())
    model.load_state_dict(shipped.state_dict())
    return model


def _trained_lora(stage: str | None) -> lora.LowRank:
    """The LoRA as a stage left it; without one, as it begins: at what `train` changed most."""
    after = widen(unet.build())
    put_weights(after, trained_weights("edit_own", lora.untrained))
    before = _network()
    model = lora.LowRank(before, lora.changes(before, after), BUDGET)
    if stage:
        put_weights(model, trained_weights(stage, lora.untrained))
    return model


def train_lora(steps: int = 2000):
    """Trains the LoRA on all own edits there are."""
    lora.low_rank_train("edit_lora", _trained_lora(None), Plan(steps, lr=4e-4, **PLAN), _OwnLoss)


def make_last(shards: int = 12):
    """Makes own edits with the LoRA of `train_lora`."""
    make_with(_trained_lora("edit_lora").changes(), ROUNDS[2], shards)


def refine_lora(steps: int = 1000):
    """Goes on from the end of `train_lora` with own edits that were made with it."""
    lora.low_rank_train(
        "edit_lora_refine", _trained_lora("edit_lora"), Plan(steps, lr=3e-4, **PLAN), _OwnLoss
    )


def make_finish(shards: int = 8):
    """Makes own edits with the LoRA of `refine_lora`."""
    make_with(_trained_lora("edit_lora_refine").changes(), ROUNDS[3], shards)


def finish_lora(steps: int = 900):
    """Goes on from the end of `refine_lora` in the same way, and ships the LoRA."""
    model = _trained_lora("edit_lora_refine")
    lora.low_rank_train("edit_lora_finish", model, Plan(steps, lr=3e-4, **PLAN), _OwnLoss)
    if workers()[0] == 0:
        lora.write(model, MODELS / "edit", OWN_LORA, settings())
